"""Embeds pictures and videos in an HTML page."""

import base64
from html import escape
from pathlib import Path

# Larger files make the page slow to open, and too large to send.
_MOST_BYTES = 5_000_000


def embedded(path: Path) -> str:
    """Returns a PNG or MP4 file as an HTML element; only its path if it is too large."""
    size = path.stat().st_size
    if size > _MOST_BYTES:
        return f"<p>{escape(str(path))} is too large for this page: {size / 1e6:.1f} MB.</p>"
    name = escape(path.name, quote=True)
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    if path.suffix == ".mp4":
        shown = (
            f'<video controls loop muted playsinline preload="metadata" {_poster(path)}'
            f'src="data:video/mp4;base64,{content}"></video>'
        )
    else:
        shown = f'<div class="wide"><img alt="{name}" src="data:image/png;base64,{content}"></div>'
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"


def _poster(path: Path) -> str:
    """Returns the first frame as an attribute of the video; empty if it cannot be read."""
    # Imported only for pictures, to keep the package's start fast.
    import imageio.v3 as imageio

    try:
        frame = imageio.imread(path, index=0, plugin="FFMPEG")
        picture = imageio.imwrite("<bytes>", frame, extension=".jpg")
    except (OSError, ValueError, RuntimeError, IndexError, StopIteration):
        return ""
    return f'poster="data:image/jpeg;base64,{base64.b64encode(picture).decode("ascii")}" '
