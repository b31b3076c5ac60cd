"""The documents that people read, and the code blocks in them."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]

_FENCE = re.compile(r" *```(\w*)")


def blocks(text: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def commands(text: str) -> list[str]:
    """Every ``rllib ...`` that code blocks, fenced or indented, tell people to type, in order."""
    found = []
    language: str | None = None
    # A command may go on in the next line.
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if fence := _FENCE.match(line):
            language = fence[1] if language is None else None
        elif language not in (None, "python") or (language is None and line.startswith("    ")):
            for part in line.split("&&"):
                program, _, arguments = part.strip().removeprefix("$ ").partition(" ")
                if program.rpartition("/")[2] == "rllib":
                    found.append(f"rllib {arguments}")
    return found
