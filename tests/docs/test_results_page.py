"""RESULTS.md is what the kept curves say now."""

import runpy

import pytest
from documents import ROOT, commands
from written_curves import write_curve

from rllib_dreamerv3.reports.judgement import judge, load_curves

write_results = runpy.run_path(str(ROOT / "docs" / "write_results.py"))
results_page = write_results["results_page"]

# Tasks without published returns.
UNPUBLISHED = {"mountain_car", "mountain_car_plain"}


@pytest.fixture(scope="module")
def found():
    return write_results["judgements"]()


def test_page_is_up_to_date(found):
    assert (ROOT / "RESULTS.md").read_text() == results_page(found), (
        "RESULTS.md is stale: run `make docs`."
    )


def test_every_kept_curve_is_on_the_page(found):
    page = results_page(found)
    kept = list((ROOT / "benchmarks" / "results").glob("*/*.csv"))
    assert kept
    for path in kept:
        shown = f"]({path.relative_to(ROOT).as_posix()})" in page
        assert shown == (path.parent.name not in UNPUBLISHED), path


def judged(tmp_path, returns, **options):
    path = write_curve(tmp_path / "mine" / "a.csv", returns, seed=0, **options)
    (protocol,) = write_results["protocols_of"]("dmc_finger_spin")
    prescribed = {"dmc_proprio_v1": write_results["prescribed_options"](protocol)}
    return judge("dmc_finger_spin", load_curves("dmc_finger_spin", [path]), prescribed)


def test_misses_are_shown_like_the_rest(tmp_path, monkeypatch):
    monkeypatch.setitem(write_results["_links"].__globals__, "ROOT", tmp_path)
    page = results_page(judged(tmp_path, [0] * 5, imag_last=16))
    assert "0 inside, 0 above, 1 below, 0 no verdict" in page
    assert "| (0, 5,000] | 0 | 0.4 +- 0.49 | 0 0 0 1 1 | inside |" in page
    assert (
        "| 0 11 21 68 81 | **below in (5,000, 10,000], above 0 of the authors' 5 seeds; with "
        "imag_last 16 instead of 0** |" in page
    )
    judging, training = commands(page)
    assert judging == "rllib reproduce dmc_finger_spin --runs mine"
    assert training.startswith("rllib train --algo DreamerV3 --env dm_control/finger-spin-v0")
    assert '"imag_last": 16' in training


def test_pictures_are_written_for_each_benchmark(tmp_path, monkeypatch):
    monkeypatch.setitem(write_results["write_pictures"].__globals__, "_PICTURES", tmp_path)
    write_results["write_pictures"](judged(tmp_path, [0] * 5))
    assert (tmp_path / "reproduced_dmc_proprio.png").read_bytes().startswith(b"\x89PNG")
