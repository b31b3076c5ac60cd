"""What is pasted into a bug report says enough, and nothing of the person."""

import getpass
import platform
from pathlib import Path

import pytest
from command import run
from written_run import result, write_run

from rllib_cli.problem_report import without_paths

# A failed trial, as Tune leaves it.
ERROR = """Traceback (most recent call last):
  File "/home/ada/venv/lib/python3.11/site-packages/ray/tune/x.py", line 7, in step
    raise error
  File "/home/ada/secret_project/my_env.py", line 3, in step
ValueError: no file /data/ada/maze.npy, s3://bucket/key, ALE/Pong-v5, 3/4, ~/ada/x, a/b/c
"""


def test_report_without_a_run_lists_versions_and_machine():
    code, output = run("doctor", "--report")
    assert code == 0
    assert f"- python {platform.python_version()}\n" in output
    assert "- rllib-dreamerv3 " in output
    assert " cores, " in output
    assert " GB of memory\n" in output
    assert "### Run" not in output


def test_report_of_a_run_has_options_results_findings_and_the_end_of_the_error(tmp_path):
    options = {"env": "CartPole-v1", "lr": 1.0, "env_config": {"file": "/data/ada/maze.npy"}}
    rewards = {"episode_return_min": 1e-6, "episode_return_max": 1e-5, "episode_len_mean": 20.0}
    small = {"env_runners": rewards, "replay_buffer": {"reward_min": 0.0, "reward_max": 1e-6}}
    results = [result(200.0 * i, 1e-5, config=options) | small for i in range(9)]
    trial = write_run(tmp_path / "trial", results, said=options)
    (trial / "error.txt").write_text("dropped\n" * 100 + ERROR)
    code, output = run("doctor", "--report", trial)
    assert code == 0, output
    for words in (
        "### Run of CartPole-v1\n",
        "lr: 1.0\n",
        "- num_env_steps_sampled_lifetime: 1,600\n",
        "- Rewards too small Rewards are",
        'File "site-packages/ray/tune/x.py", line 7',
        'File ".../my_env.py", line 3',
        "no file .../maze.npy, s3://bucket/key, ALE/Pong-v5, 3/4, .../x, a/b/c",
    ):
        assert words in output, output
    assert output.count("dropped") < 40
    for private in ("/home", "ada", "secret_project", str(tmp_path), str(Path.home())):
        assert private not in output
    assert getpass.getuser() == "root" or getpass.getuser() not in output


def test_report_names_versions_that_have_changed_since(tmp_path):
    trial = write_run(tmp_path / "trial", [result(10, 1.0)])
    (trial / "config.yaml").write_text("versions: {ray: 2.55.0, numpy: not there}\noptions: {}\n")
    _, output = run("doctor", "--report", trial)
    assert "It ran with ray 2.55.0, numpy not there.\n" in output


def test_report_of_a_run_that_failed_before_its_first_result(tmp_path):
    trial = write_run(tmp_path / "trial", [])
    (trial / "error.txt").write_text(ERROR)
    code, output = run("doctor", "--report", trial)
    assert code == 0
    assert "ValueError: no file" in output


def test_report_of_a_directory_without_runs_says_so(tmp_path):
    code, output = run("doctor", "--report", tmp_path)
    assert code == 2
    assert "contains no results" in output


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/tmp", "/tmp"),
        ("(/home/ada/x.py)", "(.../x.py)"),
        ("http://host/a/b", "http://host/a/b"),
        ("/a/lib/site-packages/numpy/core.py", "site-packages/numpy/core.py"),
        ("/home/ada", "~"),
        ("/Users/ada/x", ".../x"),
        ("~/x", ".../x"),
        (f"{Path.home()}/x y/z", ".../x y/z"),
    ],
)
def test_paths_are_shortened(text, short):
    assert without_paths(text) == short
