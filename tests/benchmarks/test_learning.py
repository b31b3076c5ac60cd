"""Curves of runs of the command."""

import json

import learning
from written_run import result, write_run

from rllib_dreamerv3.reports.episode_curve import EpisodeCurve


def test_a_curve_is_kept_with_the_options_of_its_run(tmp_path):
    results = [result(steps, float(steps)) for steps in (100, 200, 300)]
    results[-1]["config"]["compute_dtype"] = "bfloat16"
    for one, ended in zip(results, (4, 0, 4), strict=True):
        one["env_runners"]["num_episodes"] = ended
    options = {"env": "CartPole-v1", "seed": 3}
    write_run(tmp_path / "run" / "trial", results, options)
    curve = learning.curve(tmp_path / "run", tmp_path / "x_seed3.csv")
    curve.write()
    assert list(learning.windows(curve, 200)) == ["(0, 200]: 100.0", "(200, 400]: 300.0"]
    assert EpisodeCurve.read(tmp_path / "x_seed3.csv").rows == curve.rows
    used = {**options, "compute_dtype": "bfloat16"}
    assert json.loads((tmp_path / "x_seed3.json").read_text()) == used
    head = (tmp_path / "x_seed3.csv").read_text().splitlines()[0]
    assert head.endswith("length,commit,processor,compute_dtype")
