"""Embeds pictures and videos in an HTML page."""

import base64
from html import escape
from pathlib import Path

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.run_files import checked

# Larger files make the page slow to open, and too large to send.
_MAX_BYTES = 5_000_000


def embedded(path: Path, folder: Path) -> str:
    """Return a PNG or MP4 file as an HTML element; a sentence if it is not shown.

    Args:
        path: The file.
        folder: That of the run; links that lead out of it are not followed.
    """
    try:
        found = checked(path, folder, _MAX_BYTES).read_bytes()
    except (OSError, CheckpointError) as error:
        return f"<p>Not shown: {escape(str(error))}</p>"
    name = escape(path.name, quote=True)
    content = base64.b64encode(found).decode("ascii")
    if path.suffix == ".mp4":
        shown = (
            f'<video controls loop muted playsinline preload="metadata" {_poster(path)}'
            f'src="data:video/mp4;base64,{content}"></video>'
        )
    else:
        shown = f'<div class="wide"><img alt="{name}" src="data:image/png;base64,{content}"></div>'
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"


def _poster(path: Path) -> str:
    """Return the first frame as an attribute of the video; empty if it cannot be read."""
    # Imported only for pictures, to keep the package's start fast.
    import imageio.v3 as imageio

    try:
        frame = imageio.imread(path, index=0, plugin="FFMPEG")
        picture = imageio.imwrite("<bytes>", frame, extension=".jpg")
    except (OSError, ValueError, RuntimeError, IndexError, StopIteration):
        return ""
    return f'poster="data:image/jpeg;base64,{base64.b64encode(picture).decode("ascii")}" '
