"""The policies that come with the package, by name."""

from pathlib import Path

from rllib_dreamerv3.errors import CheckpointError, suggestion

PREFIX = "pretrained:"
_DIRECTORY = Path(__file__).parents[1] / "pretrained"


def names() -> list[str]:
    """Return the names, sorted."""
    return sorted(path.name for path in _DIRECTORY.iterdir() if path.is_dir())


def directory_of(name: str) -> Path:
    """Return the directory of a policy.

    Args:
        name: Without the prefix.

    Raises:
        CheckpointError: If there is none of this name; names the nearest one.
    """
    if name not in names():
        raise CheckpointError(
            f"There is no pretrained policy {name!r}. {suggestion(name, names())} "
            "`rllib pretrained list` describes all."
        )
    return _DIRECTORY / name
