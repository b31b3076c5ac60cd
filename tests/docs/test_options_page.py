"""What is written from the table of options is what the table says now."""

import runpy
from pathlib import Path

import pytest

from rllib_dreamerv3.options.table import OPTIONS, REPLAY_BUFFER

ROOT = Path(__file__).parents[2]
write_options = runpy.run_path(str(ROOT / "docs" / "write_options.py"))
options_page, short_table = write_options["options_page"], write_options["short_table"]


def test_page_of_options_is_up_to_date():
    assert (ROOT / "docs" / "options.md").read_text() == options_page(), (
        "docs/options.md is stale: run `make docs`."
    )


def test_short_table_of_the_readme_is_up_to_date():
    readme = (ROOT / "README.md").read_text()
    assert readme == write_options["with_short_table"](readme), (
        "The table of options in README.md is stale: run `make docs`."
    )


def test_page_has_a_line_for_every_option():
    page = options_page()
    # Env runners and replay each have a `sampling`.
    for row in [*OPTIONS.values(), *REPLAY_BUFFER.values()]:
        lines = [line for line in page.splitlines() if line.startswith(f"| `{row.name}` |")]
        assert sum(row.sentence in line and row.words in line for line in lines) == 1, row.name


def test_short_table_stands_between_its_marks():
    text = "a\n<!-- options -->\nstale\n<!-- /options -->\nb\n"
    assert write_options["with_short_table"](text) == (
        f"a\n<!-- options -->\n\n{short_table()}\n<!-- /options -->\nb\n"
    )
    with pytest.raises(ValueError, match="must have"):
        write_options["with_short_table"]("a page without marks")
