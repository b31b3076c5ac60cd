"""Tasks with published returns, and how runs differ from their protocols."""

import gymnasium as gym
import pytest
from written_curves import OPTIONS

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.reports.protocols import (
    differences,
    environments,
    protocol_of_run,
    protocols,
    protocols_of,
    task_of_run,
)
from rllib_dreamerv3.reports.published import suite_and_task


def test_tasks_have_the_names_of_their_environments():
    found = list(protocols())
    assert len({each.task for each in found}) == 18 + 20 + 26
    for each in found:
        suite, task = suite_and_task(each.env)
        assert (suite, each.task) == (each.benchmark.suite, f"{each.benchmark.prefix}{task}")
    envs = {each.env for each in found}
    assert {"dm_control/ball_in_cup-catch-v0", "dm_control/cartpole-swingup_sparse-v0"} < envs
    assert {"ALE/UpNDown-v5", "ALE/MsPacman-v5"} < envs


def test_games_exist():
    import ale_py

    gym.register_envs(ale_py)
    games = {each.env for each in protocols() if each.benchmark.suite == "atari"}
    assert games <= set(gym.registry)


@pytest.mark.parametrize(
    ("name", "task", "variants"),
    [
        ("dmc_finger_spin", "dmc_finger_spin", ["v1"]),
        ("dm_control/finger-spin-v0", "dmc_finger_spin", ["v1"]),
        ("shimmy:dm_control/finger-spin-v0", "dmc_finger_spin", ["v1"]),
        ("dmc_vision_finger_spin", "dmc_vision_finger_spin", ["v1", "v2"]),
        ("ale_py:ALE/Boxing-v5", "atari_boxing", ["v1", "v2"]),
    ],
)
def test_a_task_is_found_by_its_name_and_by_its_environment(name, task, variants):
    found = protocols_of(name)
    assert [each.benchmark.variant for each in found] == variants
    assert {each.task for each in found} == {task}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("dmc_finger_spinn", "'dmc_finger_spin'"),
        ("dm_control/finger-spim-v0", "'dm_control/finger-spin-v0'"),
        ("ALE/Boxinng-v5", "'ALE/Boxing-v5'"),
    ],
)
def test_an_unknown_task_suggests_the_nearest(name, near):
    with pytest.raises(ConfigError, match=f"Unknown task .* Did you mean {near}"):
        protocols_of(name)


@pytest.mark.parametrize(
    ("env", "options", "task", "file"),
    [
        ("dm_control/finger-spin-v0", {}, "dmc_finger_spin", "dmc_proprio"),
        # Its only protocol.
        ("dm_control/finger-spin-v0", {"model_size": "1M"}, "dmc_finger_spin", "dmc_proprio"),
        (
            "dm_control/finger-spin-v0",
            {"model_size": "12M", "env_config": {"pixels": True}},
            "dmc_vision_finger_spin",
            "dmc_vision_2025",
        ),
        ("ale_py:ALE/Boxing-v5", {"model_size": "XS"}, "atari_boxing", "atari100k_2023"),
        ("ALE/Boxing-v5", {"model_size": "XS", "variant": "v2"}, "atari_boxing", "atari100k_2025"),
    ],
)
def test_a_run_belongs_to_the_protocol_of_its_version(env, options, task, file):
    assert task_of_run(env, options) == task
    assert protocol_of_run(task, env, options).benchmark.file == file


def test_a_run_of_another_task_belongs_to_none():
    env, pixels = "dm_control/finger-spin-v0", {"env_config": {"pixels": True}}
    assert protocol_of_run("dmc_ball_in_cup_catch", env, {}) is None
    assert protocol_of_run("dmc_finger_spin", env, pixels) is None
    assert protocol_of_run("dmc_vision_finger_spin", env, {}) is None
    assert task_of_run("CartPole-v1", {}) is None


def compare(options, task="dmc_finger_spin", prescribed=OPTIONS):
    return differences(protocols_of(task)[0], prescribed, {**prescribed, **options})


def test_the_protocol_differs_in_nothing():
    found = compare({})
    assert (found.forbidding, found.others) == ((), ())
    # Defaults that are written, and what has no influence.
    found = compare({"lr": None, "gamma": 1 - 1 / 333, "seed": 7, "report_frequency": 5})
    assert (found.forbidding, found.others) == ((), ())
    found = compare({"compute_dtype": "bfloat16"})
    assert (found.forbidding, found.others) == ((), ())
    found = compare({"input_": "sampler", "clip_rewards": False, "start_checkpoint": None})
    assert (found.forbidding, found.others) == ((), ())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "v2"}, "variant v2 instead of v1"),
        ({"model_size": "M"}, "model_size M instead of S"),
        ({"training_ratio": 1024}, "training_ratio 1024 instead of 512"),
        ({"training_ratio": None}, "training_ratio 1024 instead of 512"),
        ({"env_config": {"action_repeat": 4}}, "action_repeat 4 instead of 2"),
        ({"start_checkpoint": "/x"}, "start_checkpoint /x instead of None"),
        ({"input_": ["/data"]}, "input_ ['/data'] instead of None"),
        ({"clip_rewards": True}, "clip_rewards True instead of None"),
        ({"replay_buffer_config": {"sampling": "curious"}}, "sampling curious instead of uniform"),
        (
            {"metrics_num_episodes_for_smoothing": None},
            "metrics_num_episodes_for_smoothing 20 instead of 4",
        ),
        (
            {"metrics_num_episodes_for_smoothing": 1},
            "metrics_num_episodes_for_smoothing 1 instead of 4",
        ),
    ],
)
def test_another_experiment_is_forbidding(options, said):
    assert said in compare(options).forbidding


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model_size": "XS"}, "model_size XS instead of S"),
        ({"imag_last": 16}, "imag_last 16 instead of 0"),
        ({"vector_mlp": None}, "vector_mlp scaled instead of authors"),
        ({"gamma": 0.9}, "gamma 0.9 instead of 0.996997"),
        ({"batch_size_B": 8}, "batch_size_B 8 instead of 16"),
        ({"sampling": "asynchronous"}, "sampling asynchronous instead of synchronous"),
        (
            {"num_env_runners": 2, "metrics_num_episodes_for_smoothing": 8},
            "environments 8 instead of 4",
        ),
    ],
)
def test_other_differences_are_said(options, said):
    found = compare(options)
    assert (found.forbidding, found.others) == ((), (said,))


def test_between_versions_only_what_was_set_differs():
    found = compare({"model_size": "1M", "lr": 0.0003})
    assert found.forbidding == ("variant v2 instead of v1", "model_size 1M instead of S")
    assert found.others == ("lr 0.0003 instead of 4e-05",)
    # Folders of runs have the values of all options.
    assert compare({"model_size": "1M", "norm": "rms"}).others == ()
    assert compare({"model_size": "1M", "norm": "layer"}).others == ("norm layer instead of rms",)


def test_options_of_games_count_but_threads_do_not():
    prescribed = {"model_size": "S", "env_config": {"limit_is_terminal": True}}
    sticky = {**prescribed["env_config"], "repeat_action_probability": 0.25, "num_threads": 2}
    options = {"metrics_num_episodes_for_smoothing": 1, "env_config": sticky}
    found = compare(options, "atari_boxing", prescribed)
    assert found.forbidding == ("repeat_action_probability 0.25 instead of 0",)


def test_unknown_options_of_an_environment_are_errors():
    with pytest.raises(ConfigError, match="action_repeet"):
        compare({"env_config": {"action_repeet": 2}})


def test_environments_are_counted_over_env_runners():
    assert environments({}) == 1
    assert environments({"num_env_runners": 0, "num_envs_per_env_runner": 4}) == 4
    assert environments({"num_env_runners": 3, "num_envs_per_env_runner": 2}) == 6
