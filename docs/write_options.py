"""Writes `docs/options.md` and the short table of the README from the table of options.

    python docs/write_options.py

A test fails if they are stale.
"""

from pathlib import Path

from rllib_dreamerv3.options.documentation import options_page, short_table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "options.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- options -->\n", "<!-- /options -->"


def with_short_table(text: str) -> str:
    """Replaces what is between the two marks of a page by the short table.

    Raises:
        ValueError: If the page does not have both.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The page must have {BEGIN.strip()} and {END}.")
    return f"{head}{BEGIN}\n{short_table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(options_page())
    README.write_text(with_short_table(README.read_text()))
