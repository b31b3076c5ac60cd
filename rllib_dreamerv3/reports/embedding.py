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
            '<video controls loop muted playsinline preload="metadata" '
            f'src="data:video/mp4;base64,{content}"></video>'
        )
    else:
        shown = f'<div class="wide"><img alt="{name}" src="data:image/png;base64,{content}"></div>'
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"
