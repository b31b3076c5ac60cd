"""Environments of users' own, from the script that defines them to the results of a run."""

import sys

import faulty_environments
import gymnasium as gym
import numpy as np
import pytest
import ray
from faulty_environments import Base
from gymnasium.spaces import Box
from tiny import tiny_config

from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError, EnvironmentFailedError


class Numbers(Base):
    """Puts numbers into its infos, and its observations leave their bounds in the last steps."""

    def __init__(self, env_config=None):
        super().__init__(space=Box(-1, 1, (1,)), obs=lambda env: np.full(1, env.time / 16, "f4"))

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(action)
        info = {"is_success": float(truncated), "steps": self.time, "name": "text"}
        return observation, reward, terminated, truncated, info


def nan_keys(results, path=""):
    for key, value in results.items():
        if isinstance(value, dict):
            yield from nan_keys(value, f"{path}/{key}")
        elif isinstance(value, float) and np.isnan(value):
            yield f"{path}/{key}"


def test_results_have_numbers_of_info_and_no_gaps(build):
    config = tiny_config(Numbers, num_steps_sampled_before_learning_starts=200)
    config.env_runners(num_envs_per_env_runner=2)
    algorithm = build(config)
    results = [algorithm.train() for _ in range(5)]
    sampled = results[0]["env_runners"]
    # 120 steps of two environments are six episodes of 20, of which four observations are outside.
    assert sampled["num_episodes"] == 6
    assert sampled["num_observations_outside_lifetime"] == 24
    assert sampled["info"] == {
        "is_success": {"last_mean": 1.0, "sum_mean": 1.0},
        "steps": {"last_mean": 20.0, "sum_mean": 210.0},
    }
    # The first results come without an update, some later ones without sampling.
    assert "learners" not in results[0]
    for result in results:
        assert list(nan_keys({x: result.get(x, {}) for x in ("env_runners", "learners")})) == []
        assert result["env_runners"]["episode_duration_sec_mean"] > 0
    counts = [result["env_runners"]["num_env_steps_sampled"] for result in results]
    assert sum(counts) == results[-1]["env_runners"]["num_env_steps_sampled_lifetime"]
    assert 0 in counts
    trained = results[-1]["learners"]["__all_modules__"]
    assert trained["num_env_steps_trained_lifetime"] == 16 * sum("learners" in r for r in results)


def test_evaluation_reports_numbers_of_info(build):
    config = tiny_config(Numbers).evaluation(evaluation_interval=1, evaluation_duration=2)
    info = build(config).train()["evaluation"]["env_runners"]["info"]
    assert info["is_success"]["last_mean"] == 1.0
    assert info["steps"]["sum_mean"] == 210.0


@pytest.mark.long
def test_results_repeat_an_evaluation_until_the_next(build):
    config = tiny_config(Numbers).evaluation(evaluation_interval=3, evaluation_duration=1)
    algorithm = build(config)
    lasting = [
        algorithm.train()
        .get("evaluation", {})
        .get("env_runners", {})
        .get("episode_duration_sec_mean")
        for _ in range(8)
    ]
    assert lasting[:2] == [None, None]
    assert lasting[2] == lasting[3] == lasting[4] != lasting[5] == lasting[6] == lasting[7] > 0


def test_an_environment_has_to_be_named(build):
    with pytest.raises(ConfigError, match="has no environment"):
        build(tiny_config(None))
    with pytest.raises(ConfigError, match="env must be a name, a class or a function"):
        build(tiny_config(Base()))


def test_clipped_observations_reach_replay_clipped(build):
    config = tiny_config(Numbers).environment(clip_observations=True)
    algorithm = build(config)
    algorithm.train()
    batch, _ = algorithm.replay_buffer.sample(16)
    assert batch["obs/vector"].max() == 1.0


def test_a_module_that_rays_processes_do_not_find_is_reported(build):
    config = tiny_config(Numbers).env_runners(num_env_runners=1)
    with pytest.raises(
        EnvironmentFailedError, match=r"No module named .*not from directories that a script has"
    ):
        build(config)


@pytest.fixture
def as_in_a_script():
    """Classes of these modules are sent to Ray's processes, as those of a script or notebook."""
    modules = [sys.modules[__name__], faulty_environments]
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        ray.cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.long
@pytest.mark.usefixtures("as_in_a_script")
def test_remote_env_runners_know_what_the_script_registered(build):
    """Neither the class nor the id can be imported by Ray's processes."""

    class OfTheScript(Base):
        pass

    gym.register("OfTheScript-v0", OfTheScript)
    algorithm = build(tiny_config("OfTheScript-v0").env_runners(num_env_runners=1))
    assert algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"] > 0
    # An id that is registered again, as in a notebook, means the new environment.
    gym.register("OfTheScript-v0", lambda: Base(space=Box(0, 1, (7,)), obs=lambda e: np.ones(7)))
    config = tiny_config("OfTheScript-v0")
    assert build(config).env_runner.env.single_observation_space.shape == (7,)


@pytest.mark.long
@pytest.mark.usefixtures("as_in_a_script")
def test_a_constructor_that_raises_in_env_runners_is_reported(caplog):
    class Broken(gym.Env):
        def __init__(self, env_config):
            raise OSError("no licence for the simulator")

    config = tiny_config(Broken).env_runners(num_env_runners=2)
    with pytest.raises(
        EnvironmentFailedError, match=r"Broken failed: OSError: no licence"
    ) as error:
        config.build_algo()
    assert len(str(error.value).splitlines()) <= 6
    assert "Traceback" not in caplog.text


@pytest.mark.long
@pytest.mark.usefixtures("as_in_a_script")
@pytest.mark.parametrize("validate", [True, False])
def test_one_of_several_env_runners_that_cannot_be_made(build, validate):
    class Licensed(Base):
        def __init__(self, env_config):
            if env_config.worker_index == 2:
                raise OSError("no licence for the second")
            super().__init__()

    config = tiny_config(Licensed).env_runners(
        num_env_runners=2, validate_env_runners_after_construction=validate
    )
    if validate:
        with pytest.raises(EnvironmentFailedError, match="OSError: no licence for the second"):
            build(config)
    else:
        assert build(config).train()["env_runners"]["num_env_steps_sampled_lifetime"] > 0


@pytest.mark.usefixtures("as_in_a_script")
def test_wrong_data_of_an_env_runner_ends_the_run_at_once(build):
    def wrong(env_config):
        return Base(obs=lambda env: np.zeros(4 if env.time == 5 else 3, "f4"))

    algorithm = build(tiny_config(wrong).env_runners(num_env_runners=1))
    with pytest.raises(EnvironmentDataError, match=r"Env runner 1: step\(\) 5 of episode 1 of"):
        algorithm.train()
    assert algorithm.replay_buffer.metrics()["num_records"] == 0
