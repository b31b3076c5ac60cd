"""Pictures and films as parts of a page."""

import base64
from html import escape
from pathlib import Path

# Larger ones make a page that browsers open slowly, and that cannot be sent.
_MOST_BYTES = 5_000_000


def picture(path: Path) -> str:
    """A PNG file as an element of HTML."""
    name = escape(path.name, quote=True)
    shown = _shown(path)
    if shown is None:
        return _too_large(path)
    return (
        f'<figure><div class="wide"><img alt="{name}" src="data:image/png;base64,{shown}"></div>'
        f"<figcaption>{name}</figcaption></figure>"
    )


def film(path: Path) -> str:
    """An MP4 file as an element of HTML."""
    name = escape(path.name, quote=True)
    shown = _shown(path)
    if shown is None:
        return _too_large(path)
    return (
        '<figure><video controls loop muted playsinline preload="metadata" '
        f'src="data:video/mp4;base64,{shown}"></video><figcaption>{name}</figcaption></figure>'
    )


def _shown(path: Path) -> str | None:
    if path.stat().st_size > _MOST_BYTES:
        return None
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _too_large(path: Path) -> str:
    size = path.stat().st_size / 1e6
    return f"<p>{escape(str(path))} is too large for this page: {size:.1f} MB.</p>"
