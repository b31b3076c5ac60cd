"""The tuned examples that are installed with the command, by name."""

from collections.abc import Iterator
from pathlib import Path

_SUFFIXES = (".yaml", ".py")


def directory() -> Path:
    """Return the directory of the examples: in a clone beside the package, else inside it."""
    package = Path(__file__).parent
    installed = package / "tuned_examples"
    return installed if installed.is_dir() else package.parent / "tuned_examples"


def find(name: str) -> Path | None:
    """Find an example.

    Args:
        name: As ``cartpole``, ``cartpole.yaml`` or ``tuned_examples/cartpole.yaml``.

    Returns:
        Its file; None if there is no such example.
    """
    file = Path(name)
    if file.parent not in (Path(), Path("tuned_examples")):
        return None
    suffixes = [file.suffix] if file.suffix else _SUFFIXES
    candidates = (directory() / f"{file.stem}{suffix}" for suffix in suffixes)
    return next((path for path in candidates if path.is_file()), None)


def summaries() -> Iterator[tuple[str, str]]:
    """Yield the name of each example that ``rllib train file`` takes, and its first sentence."""
    for path in sorted(directory().glob("*.yaml")):
        yield path.stem, _first_sentence(path.read_text(encoding="utf-8"))


def _first_sentence(text: str) -> str:
    lines = []
    for line in text.lstrip('"').splitlines():
        words = line.lstrip("# ").rstrip('"')
        if not words:
            break
        lines.append(words)
    return " ".join(lines).partition(". ")[0].removesuffix(".") + "."
