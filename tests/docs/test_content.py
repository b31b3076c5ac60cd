"""What documents say is what code and measurements say."""

import ast
import json
import re
import runpy

import pytest
from documents import ROOT

from rllib_dreamerv3.checkpoints import card, pretrained

DOCS = ROOT / "docs"


def test_losses_are_up_to_date():
    page = runpy.run_path(str(DOCS / "write_losses.py"))["losses_page"]()
    assert (DOCS / "losses.md").read_text() == page, "docs/losses.md is stale: run `make docs`."


def test_every_pretrained_policy_has_a_row():
    page = (DOCS / "pretrained.md").read_text()
    for name in pretrained.names():
        found = card.read(pretrained.directory_of(name))
        cells = [f"`pretrained:{name}`", found.env, f"{found.env_steps:,}", found.returns]
        assert f"\n| {' | '.join(cells)} | " in page


def names_of_findings():
    """The first argument of each call of ``Finding`` in the package."""
    for path in (ROOT / "rllib_dreamerv3" / "reports").glob("*findings.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                yield ast.literal_eval(node.args[0])


@pytest.mark.parametrize("page", ["doctor.md", "not_learning.md"])
def test_every_finding_has_a_row(page):
    _, _, table = (DOCS / page).read_text().partition("\n| finding |")
    rows = re.findall(r"^\| (\w[^|]+) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert len(rows) > 10
    assert set(rows) == set(names_of_findings())


def test_numbers_for_choosing_are_those_that_were_measured():
    page = (DOCS / "choosing.md").read_text()
    lines = (ROOT / "benchmarks" / "results" / "scaling.jsonl").read_text().splitlines()
    for row in map(json.loads, lines):
        if ":" in row["series"]:
            continue  # Several processes, of which another page has the numbers.
        seconds, memory = f"{row['median_s']:.2f}", f"{row['peak_rss_gb']:.1f}"
        parameters = f"{row.get('parameters', 0):,}"
        match row["series"]:
            case "env runners":
                cells = [str(row["x"]), seconds]
            case "size":
                cells = [row["x"].partition("-")[2].upper(), parameters, seconds, memory]
            case "image size":
                side = re.sub(r"\D", "", row["x"]) or "64"
                cells = [f"{side}x{side}", parameters, seconds, memory]
            case _:
                cells = [str(row["x"]), seconds, memory]
        assert f"| {' | '.join(cells)} |\n" in page
