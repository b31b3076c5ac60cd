"""Names of policies that can be written wherever a checkpoint's path is expected."""

from pathlib import Path

from rllib_dreamerv3.checkpoints import hub, pretrained


def is_name(path: object) -> bool:
    """Whether a path is a name: ``pretrained:NAME`` or ``hf://owner/name``."""
    text = str(path)
    return text.startswith(pretrained.PREFIX) or hub.is_address(text)


def locate(path: str | Path) -> Path:
    """Return the directory that a name or a path refers to.

    Args:
        path: ``pretrained:NAME`` for a policy of the package, ``hf://owner/name`` or
            ``hf://owner/name@revision`` for one on the Hugging Face hub; or a path, with or without
            ``~``. A directory whose name looks like one of these is written ``./pretrained:NAME``.

    Returns:
        An absolute path, which need not exist.

    Raises:
        CheckpointError: If there is no policy of this name.
    """
    text = str(path)
    if text.startswith(pretrained.PREFIX):
        return pretrained.directory_of(text.removeprefix(pretrained.PREFIX))
    if hub.is_address(text):
        return hub.download(text)
    return Path(path).expanduser().resolve()
