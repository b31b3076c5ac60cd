"""The example of docs/callbacks.md runs, and reports what the page says."""

import json
import sys

from documents import ROOT, blocks
from tiny import tiny_config
from written_run import write_run

from rllib_dreamerv3.reports.page import build_page
from rllib_dreamerv3.reports.runs import find_runs


def test_the_example_reports_its_metrics(tmp_path, monkeypatch):
    (example,) = blocks((ROOT / "docs" / "callbacks.md").read_text(), "python")
    (tmp_path / "my_callbacks.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    # Of another test.
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)
    config = tiny_config(num_steps_sampled_before_learning_starts=300)
    algorithm = config.update_from_dict({"callbacks": "my_callbacks:Reach"}).build_algo()
    try:
        results = [algorithm.train() for _ in range(2)]
    finally:
        algorithm.stop()
    reported = results[0]["env_runners"]
    assert 0 < reported["farthest"] < 4.8
    assert reported["share_of_best_return"] == reported["episode_return_mean"] / 500
    plain = json.loads(json.dumps(results, default=str))
    write_run(tmp_path / "runs" / "trial", plain)
    page = build_page(find_runs([tmp_path / "runs"]))
    assert "<h2>Own metrics</h2>" in page
    assert "env_runners/farthest" in page
