"""`rllib doctor`: before a run, and on its results."""

import json
import os
import re
from pathlib import Path

import pytest
from command import TINY, run

from rllib_dreamerv3.reports.history import RESULTS_FILE

STOP = '{"num_env_steps_sampled_lifetime": 2000}'


def write_results(directory, **values):
    directory.mkdir(parents=True)
    rows = (
        {"num_env_steps_sampled_lifetime": 10 * i, "num_grad_updates_lifetime": 100 * i, **values}
        for i in range(20)
    )
    (directory / RESULTS_FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.long
def test_says_what_a_file_will_take(tmp_path):
    lines = ["try:", "  run: DreamerV3", "  env: CartPole-v1", "  config:"]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in TINY.items()]
    (tmp_path / "try.yaml").write_text("\n".join(lines))
    options = ("--stop", STOP, "--config", '{"batch_size_B": 3}')
    code, output = run("doctor", tmp_path / "try.yaml", *options)
    assert code == 0, output
    for words in (
        f" for {3 * TINY['batch_length_T']} records",
        "CartPole-v1 with model_size nano",
        "observations:   obs/vector 4; actions: a vector of 2",
        "parameters:     ",
        "update:         ",
        "2,000 env steps: about ",
        "replay then:    6.2e-05 GB",
    ):
        assert words in output, output
    code, output = run(
        *("doctor", "--env", "CartPole-v1", "--config", json.dumps(TINY)),
        *("--stop", '{"num_env_steps_sampled_lifetime": 40}'),
    )
    assert code == 1
    assert "lower num_steps_sampled_before_learning_starts" in output


def test_names_what_is_wrong_with_results():
    rewards = {"episode_return_min": 1e-6, "episode_return_max": 1e-5, "episode_len_mean": 20.0}
    write_results(Path("results/sick"), env_runners=rewards)
    write_results(Path("results/well"))
    code, output = run("doctor", "results")
    assert code == 1
    assert "sick: 190 env steps, 1,900 updates\n\nRewards too small\n  Rewards are" in output
    assert "well: 190 env steps, 1,900 updates\n\nNothing looks wrong.\n" in output
    Path("results/well/checkpoint_000000").mkdir()
    code, output = run("doctor", "results/well/checkpoint_000000")
    assert code == 0
    assert "well: " in output


def test_refuses_options_that_do_not_apply_to_results():
    write_results(Path("results/well"))
    code, output = run("doctor", "results", "--env", "CartPole-v1", "--stop", STOP)
    assert code == 2
    assert "results is a directory of results, which are diagnosed as they are: remove" in output
    assert "--env, --stop" in output


@pytest.mark.parametrize("command", ["doctor", "plot", "report"])
@pytest.mark.parametrize("kind", ["endless", "pipe", "folder"])
def test_results_that_are_no_file_are_an_error_in_words(command, kind):
    results = Path("trial") / RESULTS_FILE
    results.parent.mkdir()
    if kind == "endless":
        results.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(results)
    else:
        results.mkdir()
    code, output = run(command, "trial")
    assert code == 2, output
    assert re.search(r"^Error: \S*trial/result\.json ", output, re.MULTILINE), output
    assert "Traceback" not in output


def test_says_what_it_needs():
    code, output = run("doctor")
    assert code == 2
    assert "Give a file, a directory of results, or --env." in output
    Path("empty").mkdir()
    code, output = run("doctor", "empty")
    assert code == 1
    assert "it has no results of a run" in output
