"""Embeds pictures and videos in an HTML page."""

import base64
from html import escape
from pathlib import Path

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.run_files import checked

# Larger files make the page slow to open, and too large to send.
_MOST_BYTES = 5_000_000


def embedded(path: Path, folder: Path) -> str:
    """Returns a PNG or MP4 file as an HTML element; a sentence if it is not shown.

    Args:
        path: The file.
        folder: That of the run; links that lead out of it are not followed.
    """
    try:
        found = checked(path, folder, _MOST_BYTES).read_bytes()
    except (OSError, CheckpointError) as error:
        return f"<p>Not shown: {escape(str(error))}</p>"
    name = escape(path.name, quote=True)
    content = base64.b64encode(found).decode("ascii")
    if path.suffix == ".mp4":
        shown = (
            '<video controls loop muted playsinline preload="metadata" '
            f'src="data:video/mp4;base64,{content}"></video>'
        )
    else:
        shown = f'<div class="wide"><img alt="{name}" src="data:image/png;base64,{content}"></div>'
    return f"<figure>{shown}<figcaption>{name}</figcaption></figure>"
