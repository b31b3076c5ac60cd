"""What the documents name exists: pages and headings, files, functions, options, commands."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from rllib_dreamerv3.options.former import FORMER_OPTIONS
from rllib_dreamerv3.plugin.config.config import DreamerV3Config

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("benchmarks/results/*.md"),
    *ROOT.glob("tests/golden/*.md"),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|yaml|toml|jsonl|json|png)")


def each_page(function):
    return pytest.mark.parametrize(
        "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
    )(function)


def anchors(page):
    """What GitHub calls the headings of a page."""
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def files():
    kept = [*ROOT.glob("*"), *(x for top in ROOT.glob("[!.]*/") for x in top.rglob("*"))]
    return [f"/{path.relative_to(ROOT)}" for path in kept if path.is_file()]


@cache
def sources():
    packages = ("rllib_dreamerv3", "rllib_cli")
    return "\n".join(path.read_text() for top in packages for path in (ROOT / top).rglob("*.py"))


def is_written(name):
    """Whether it is a file that runs write."""
    return f'"{name.rpartition("/")[2]}"' in sources()


@each_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


@each_page
def test_files_that_are_named_exist(page):
    for code in CODE.findall(page.read_text()):
        for name in FILE.findall(code):
            if "*" not in code and "<" not in code:
                kept = any(file.endswith(f"/{name}") for file in files())
                assert kept or is_written(name), f"there is no {name}"


@each_page
def test_files_in_commands_exist(page):
    for command in re.findall(r"^    .*$", page.read_text(), re.MULTILINE):
        for path in re.findall(r"(?:tuned_examples|benchmarks)/[\w/]+\.(?:py|yaml)", command):
            assert (ROOT / path).is_file(), f"{command.strip()}: there is no {path}"


def test_functions_of_the_architecture_exist():
    named = [
        code.removesuffix("()")
        for code in CODE.findall((ROOT / "docs" / "architecture.md").read_text())
        if re.fullmatch(r"[\w.]+\(\)|[A-Z]\w+", code)
    ]
    assert len(named) > 50
    # Of RLlib, which calls it.
    for name in {part for path in named for part in path.split(".")} - {"forward_inference"}:
        pattern = rf"^ *(?:def|class) {name}\b|^ *self\.{name} = "
        assert re.search(pattern, sources(), re.MULTILINE), f"there is no {name}"


def first_cells(page, section):
    _, _, rest = page.read_text().partition(f"## {section}\n")
    rows = [line.split("|")[1] for line in rest.partition("\n## ")[0].splitlines() if "|" in line]
    return {name for cell in rows for name in CODE.findall(cell)}


def test_migration_has_every_option_of_rllibs_own():
    import ray

    rllibs = Path(ray.__file__).parent / "rllib" / "algorithms" / "dreamerv3" / "dreamerv3.py"
    if not rllibs.is_file():
        pytest.skip("This version of Ray has no DreamerV3 of its own.")
    (training,) = [
        node
        for node in ast.walk(ast.parse(rllibs.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "training"
    ]
    options = {argument.arg for argument in training.args.kwonlyargs}
    assert len(options) > 15
    assert not options - first_cells(ROOT / "docs" / "migrating.md", "Options")


def test_options_of_the_migration_exist():
    config = DreamerV3Config()
    for name in first_cells(ROOT / "docs" / "migrating.md", "Options"):
        assert name.startswith(".") or hasattr(config, name) or name in FORMER_OPTIONS, name


def test_ci_runs_the_command_of_the_readme_and_the_long_tests():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    # The last one is for dm_control alone.
    quick, long, _ = [line.partition(" ||")[0] for line in lines if " -m pytest " in line]
    assert f"{quick}\n" in (ROOT / "README.md").read_text()
    assert long == f"{quick} -m long"
