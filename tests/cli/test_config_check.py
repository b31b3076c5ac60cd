"""What is wrong with options is said before Ray and TensorFlow are imported."""

import json
import subprocess
import sys

import pytest
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_cli.config_check import check_environment_name, checked
from rllib_cli.errors import InputError
from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.envs import registry
from rllib_dreamerv3.options.rllibs import RLLIBS_FORMER_NAMES

# Says how long the command took, and what it had imported when it ended.
REPORT = """
import json, sys, time
from rllib_cli.main import main
sys.argv = ["rllib", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code
loaded = [name for name in ("ray", "tensorflow", "gymnasium", "numpy") if name in sys.modules]
print("\\n" + json.dumps({"code": code, "loaded": loaded, "seconds": time.process_time()}))
"""


def ended(*arguments):
    """Runs the command in a separate process: report and output."""
    process = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments], capture_output=True, text=True, timeout=60
    )
    return json.loads(process.stdout.splitlines()[-1]), process.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  config: {lambda: 0.9}", "Unknown option 'lambda'. Did you mean 'gae_lambda'?"),
        ("  config: {env_config: }", "env_config must be a mapping.*, not empty"),
        (
            "  config: {training_ratio: {grid_search: []}}",
            "config/training_ratio: grid_search must",
        ),
        ("  config: {trainin_ratio: 4}", "Unknown option 'trainin_ratio'.*'training_ratio'"),
        ("  config: {num_env_runer: 1}", "Unknown option 'num_env_runer'.*'num_env_runners'"),
        ("  config: {batch_size_B: 0}", "batch_size_B must be a whole number of at least 1"),
        ("  config: {use_float16: true}", "compute_dtype"),
        ("  confg: {}", "experiment 'x': Unknown key.*'config'"),
    ],
)
def test_mistake_in_a_file_is_answered_at_once(tmp_path, line, said):
    file = tmp_path / "x.yaml"
    file.write_text(f"x:\n  run: DreamerV3\n  env: CartPole-v1\n{line}\n")
    report, stderr = ended("train", "file", str(file))
    with pytest.raises(InputError, match=f"x.yaml: .*{said}"):
        raise InputError(stderr.partition("Error: ")[2])
    assert report["code"] == 2
    assert report["loaded"] == []
    # CPU time, of which the imports of Ray and TensorFlow alone take more.
    assert report["seconds"] < 2


def test_mistake_in_an_option_of_the_command_line_is_answered_at_once():
    report, stderr = ended(
        *("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--config", '{"horizonH": 3}')
    )
    assert "Unknown option 'horizonH'. Did you mean 'horizon_H'?" in stderr
    assert (report["code"], report["loaded"]) == (2, [])


def test_environment_that_does_not_exist_is_answered_without_ray_and_tensorflow(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("x: {run: DreamerV3, env: CartPol-v1}")
    report, stderr = ended("train", "file", str(file))
    assert "Error: Unknown environment 'CartPol-v1'. Did you mean 'CartPole-v1'" in stderr
    assert (report["code"], report["loaded"]) == (2, ["gymnasium", "numpy"])


@pytest.mark.parametrize(
    ("env", "env_config", "said"),
    [
        ("no_such_module:Env", {}, "The module 'no_such_module' of .* nor installed"),
        ("crafter/reward", {}, r"needs the package crafter.*pip install 'rllib-dreamerv3\[crafter"),
        ("MiniGrid-Empty-5x6-v0", {}, "Unknown environment.*MiniGrid-Empty-5x5-v0"),
        ("Pong-v5", {}, "Unknown environment"),
        ("ale_py:ALE/Pong-v5", {"framskip": 1}, "'framskip'.*'frameskip'"),
    ],
)
def test_environments_are_refused_by_name(monkeypatch, env, env_config, said):
    # Whether or not it is installed here.
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "crafter" else name)
    with pytest.raises(InputError, match=said):
        check_environment_name({"env": env, "env_config": env_config})


@pytest.mark.parametrize(
    "config",
    [
        {"env": "CartPole-v1"},
        {"env": "command:what_this_names_is_not_imported"},
        {"env": {"grid_search": ["CartPole-v1", "nothing"]}},
        {"env": "Catch-v0", "env_config": {"rows": {"grid_search": [5, 6]}}},
    ],
)
def test_what_names_do_not_tell_is_left_to_validation(config):
    check_environment_name(config)


def test_former_names_are_those_that_rllib_translates():
    for former, name in RLLIBS_FORMER_NAMES.items():
        assert AlgorithmConfig._translate_special_keys(former, warn_deprecated=False) == name


def test_every_key_that_a_config_gives_is_known():
    config = DreamerV3Config().environment("CartPole-v1").to_dict()
    checked(config)
    checked({"env": "CartPole-v1", "train_actor": True})


@pytest.mark.parametrize(
    "config",
    [
        {"training_ratio": {"grid_search": [0, 1]}},
        {"batch_size_B": 0, "actor_lr": {"grid_search": [1e-4, 1e-3]}},
        {"replay_buffer_config": {"capacity": {"grid_search": [1, 2]}}},
    ],
)
def test_values_of_a_search_are_left_to_its_trials(config):
    checked(config)
    with pytest.raises(InputError, match="Unknown option"):
        checked(config | {"horizon": 3})


def test_capacity_is_compared_with_what_all_environments_need():
    options = {
        "replay_buffer_config": {"capacity": 300},
        "num_steps_sampled_before_learning_starts": 100,
    }
    checked(options)
    checked(options | {"num_env_runners": 2})
    with pytest.raises(InputError, match="at least 356 records"):
        checked(options | {"num_env_runners": 2, "num_envs_per_env_runner": 2})


def test_numbers_without_a_fraction_are_whole_numbers():
    found = checked(
        {
            "horizon_H": 1.5e1,
            "gamma": 1.0,
            "batch_size_B": {"grid_search": [1e1, 16]},
            "replay_buffer_config": {"capacity": 1e6, "capacity_bytes": 8e9},
        }
    )
    capacity = found["replay_buffer_config"]["capacity"]
    points = found["batch_size_B"]["grid_search"]
    for number in (found["horizon_H"], capacity, *points):
        assert type(number) is int
    assert (capacity, points) == (10**6, [10, 16])
    assert type(found["gamma"]) is float
    with pytest.raises(InputError, match="horizon_H must be a whole number"):
        checked({"horizon_H": 15.5})
