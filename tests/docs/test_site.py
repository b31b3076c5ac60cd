"""The documents as a site: built without a complaint, with everything that readers look for."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from documents import ROOT

from rllib_dreamerv3.options.table import OPTIONS

with_links = runpy.run_path(str(ROOT / "docs" / "site_links.py"))["with_links"]
API = "rllib_dreamerv3.DreamerV3Config"


def linked(markdown, source="docs/page.md", repo_url=None):
    return with_links(markdown, source, repo_url, ROOT)


def test_links_between_pages_stay():
    for link in ("[a](tune.md)", "![a](learning.png)", "[a](#there)", "[a](https://x.org/y.md)"):
        assert linked(link) == link


def test_pages_from_elsewhere_have_their_place_in_the_site():
    assert linked("[a](../benchmarks/results/README.md#x)") == "[a](results_measured.md#x)"
    there = "benchmarks/results/README.md"
    assert linked("[a](speed.md#b)", there) == "[a](results_speed.md#b)"
    assert linked("![a](../../docs/learning.png)", there) == "![a](learning.png)"
    assert linked("[a](docs/tune.md#b)", "CHANGELOG.md") == "[a](tune.md#b)"


def test_other_files_are_named_or_found_in_the_repository():
    link = "[the sweep](../tuned_examples/tune_sweep.py#L3)"
    assert linked(link) == "the sweep (`tuned_examples/tune_sweep.py`)"
    assert linked("[atari.yaml](../tuned_examples/atari.yaml)") == "`tuned_examples/atari.yaml`"
    url = "https://x.org/a/b"
    assert linked(link, repo_url=f"{url}/") == (
        f"[the sweep]({url}/blob/main/tuned_examples/tune_sweep.py#L3)"
    )


def test_broken_links_are_left_for_the_checker():
    assert linked("[a](../nowhere.py)", repo_url="https://x.org") == "[a](../nowhere.py)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.long
def test_every_page_is_there_and_no_program(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages | {"results_measured", "results_speed", "reproduced", "golden"} <= {
        path.stem for path in site.glob("*.html")
    }
    assert not list(site.rglob("*.py"))


@pytest.mark.long
def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.glob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)\b[^>]*", page.read_text())
        assert loaded
        for tag in loaded:
            assert "//" not in tag, (page.name, tag)


@pytest.mark.long
def test_lists_and_tables_are_not_taken_for_text(site):
    for page in site.glob("*.html"):
        for paragraph in re.findall(r"<p>.*?</p>", page.read_text(), re.DOTALL):
            assert not re.search(r"\n(- |\||1\. |```)", paragraph), (page.name, paragraph)


@pytest.mark.long
def test_api_has_the_public_names_and_their_arguments(site):
    page = (site / "api.html").read_text()
    methods = ("training", "environment", "evaluation", "reporting", "checkpointing")
    for name in (
        *(f"{API}.{method}" for method in (*methods, "fault_tolerance", "resolved")),
        "rllib_dreamerv3.DreamerV3",
        "rllib_dreamerv3.DreamerV3.restore_from_path",
        "rllib_dreamerv3.load_policy",
        "rllib_dreamerv3.exporting.loaded_policy.LoadedPolicy.__call__",
        "rllib_dreamerv3.count_parameters",
    ):
        assert f'id="{name}"' in page, name
    for argument in (*OPTIONS, "path", "mode", "seed", "is_first"):
        assert f"<code>{argument}</code>" in page, argument
    # Marks of Sphinx, names taken for HTML, and examples taken for quotations.
    assert "dreams/&lt;update&gt;.mp4" in page
    assert ":class:" not in page
    assert "<blockquote>" not in page
