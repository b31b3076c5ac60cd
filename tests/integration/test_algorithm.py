"""The algorithm on real environments and real Ray actors."""

import os

import gymnasium as gym
import numpy as np
import pytest
import ray
import tensorflow as tf
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune.registry import get_trainable_cls
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3, DreamerV3Config
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.errors import (
    EnvironmentDataError,
    ResourceError,
    SpaceError,
)


def weights_of(algorithm):
    return get_weights(algorithm.learner_group._learner.trainer.model)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="v1"),
        pytest.param({"variant": "v2", "lr_warmup": 0}, id="v2"),
        pytest.param({"model_size": "1M"}, id="1M", marks=pytest.mark.long),
    ],
)
def test_trains_and_reports_under_rllibs_keys(build, options):
    # Nothing but what is asked for is reported, however often it would be.
    algorithm = build(tiny_config(**options).reporting(report_frequency=1))
    before = weights_of(algorithm)
    for _ in range(4):
        last = algorithm.train()
    learner = last["learners"]["default_policy"]
    assert "reports" not in last
    assert not any(key.endswith(("_B_T", "_per_step")) for key in learner)
    assert not {"reports", "dreams"} & set(os.listdir(algorithm.logdir))
    for key in ("WORLD_MODEL_L_total", "ACTOR_L_total", "CRITIC_L_total", "total_loss"):
        assert np.isfinite(learner[key])
    assert last["num_grad_updates_lifetime"] == algorithm.update_schedule.get_state()["updates"]
    assert learner["num_module_steps_trained_lifetime"] == 16 * last["num_grad_updates_lifetime"]
    assert last["actual_training_ratio"] == pytest.approx(16)
    assert last["env_runners"]["num_env_steps_sampled_lifetime"] > 32
    assert last["env_runners"]["episode_return_mean"] > 0
    # Also where no episode has ended in the last iteration.
    episodes = algorithm.episodes.results()
    assert episodes.items() <= last["env_runners"].items()
    for name, value in episodes.items():
        assert algorithm.metrics.peek(("env_runners", name)) == value
    assert last["replay_buffer"]["num_env_steps_stored"] > 32
    after = weights_of(algorithm)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    # All but the reward's and critic's hidden layers, which zero outputs shield at first, move.
    assert len(changed) > 0.8 * len(before)


@pytest.mark.long
def test_records_and_updates_do_not_depend_on_the_clock(build):
    """One long iteration does what many short ones do, in the same order."""

    def three_updates_per_record():
        return tiny_config(training_ratio=48)

    long = build(three_updates_per_record().reporting(min_time_s_per_iteration=2))
    updates = 0
    while updates <= 6:  # more than one iteration only where compilation takes longer than that
        updates = long.train()["num_grad_updates_lifetime"]
    short = build(three_updates_per_record())
    while short.update_schedule.get_state()["updates"] == 0:
        short.train()
    while short.metrics.peek("num_grad_updates_lifetime") < updates:
        short.train()
    assert short.iteration > long.iteration
    assert short.update_schedule.get_state() == long.update_schedule.get_state()
    batches = [each.replay_buffer.sample(2).columns for each in (long, short)]
    for name in batches[0]:
        np.testing.assert_array_equal(batches[0][name], batches[1][name])
    after = weights_of(short)
    for name, value in weights_of(long).items():
        np.testing.assert_array_equal(value, after[name])


@pytest.mark.parametrize(
    ("runners", "envs"),
    [
        pytest.param(0, 3, id="local"),
        pytest.param(2, 2, id="two remote", marks=pytest.mark.long),
    ],
)
def test_ratio_is_kept_with_parallel_environments(build, runners, envs):
    config = tiny_config(training_ratio=8).env_runners(
        num_env_runners=runners, num_envs_per_env_runner=envs, num_cpus_per_env_runner=0.5
    )
    algorithm = build(config)
    for _ in range(5):
        result = algorithm.train()
    assert result["actual_training_ratio"] == pytest.approx(8, rel=0.15)
    assert result["replay_buffer"]["num_segments"] == max(1, runners) * envs


def test_the_name_is_ours_in_tune_and_rllib():
    assert get_trainable_cls("DreamerV3") is DreamerV3
    # A look-up of a name that does not exist makes RLlib register all of its own algorithms.
    with pytest.raises(Exception):  # noqa: B017
        get_trainable_cls("NoSuchAlgorithm")
    assert get_trainable_cls("DreamerV3") is DreamerV3
    assert isinstance(DreamerV3.get_default_config(), DreamerV3Config)


class Recorder(RLlibCallback):
    """Logs what it has seen of the last episode."""

    def on_episode_created(self, *, episode, **kwargs):
        self.created, self.starts, self.steps = episode, 0, 0

    def on_episode_start(self, *, episode, **kwargs):
        assert episode is self.created
        self.starts += 1

    def on_episode_step(self, *, episode, **kwargs):
        assert episode is self.created
        self.steps += 1

    def on_episode_end(self, *, episode, metrics_logger, **kwargs):
        assert episode is self.created
        metrics_logger.log_value("my_return", episode.get_return(), window=1)
        metrics_logger.log_value("my_length", len(episode), window=1)
        metrics_logger.log_value("my_starts", self.starts, window=1)
        metrics_logger.log_value("my_steps", self.steps, window=1)


def test_users_episode_callbacks_see_whole_episodes(build):
    config = tiny_config(training_ratio=1).callbacks(Recorder)
    config.reporting(metrics_num_episodes_for_smoothing=1)
    algorithm = build(config)
    for _ in range(60):
        result = algorithm.train()["env_runners"]
        if result["num_episodes"]:
            break
    assert result["my_return"] == result["episode_return_mean"]
    assert result["my_length"] == result["my_steps"] == result["episode_len_mean"]
    assert result["my_starts"] == 1


@pytest.mark.parametrize("remote", [0, 1], ids=["local", "remote"])
def test_evaluation_env_runners_play_the_learners_policy(build, remote):
    """One that always takes the same of five choices, as no untrained or random one does."""

    class PaysForTheThird(gym.Env):
        observation_space, action_space = gym.spaces.Box(0, 1, (1,)), gym.spaces.Discrete(5)

        def __init__(self, config):
            self.left = 0

        def reset(self, *, seed=None, options=None):
            self.left = 20
            return np.zeros(1, np.float32), {}

        def step(self, action):
            self.left -= 1
            return np.zeros(1, np.float32), float(action == 2), self.left == 0, False, {}

    config = tiny_config(PaysForTheThird).evaluation(
        evaluation_interval=1000,
        evaluation_num_env_runners=remote,
        evaluation_duration=3,
        evaluation_duration_unit="episodes",
        evaluation_action="mode",
        evaluation_config={"explore": False},
    )
    config.env_runners(num_cpus_per_env_runner=0.5)
    algorithm = build(config)
    ((output,),) = algorithm.learner_group._learner.trainer.model.actor.outputs
    output.kernel.assign(tf.zeros_like(output.kernel))
    output.bias.assign(np.eye(5, dtype=np.float32)[2])
    result = algorithm.evaluate()["env_runners"]
    assert result["num_episodes"] == 3
    assert result["episode_return_min"] == result["episode_return_max"] == 20


@pytest.mark.long
def test_no_row_crosses_the_gap_of_a_killed_env_runner_or_of_a_lost_answer(build):
    class Counter(gym.Env):
        """Shows its process, and how many observations it has given; episodes of five steps."""

        observation_space, action_space = (
            gym.spaces.Box(0, np.inf, (2,), np.float64),
            gym.spaces.Discrete(2),
        )

        def __init__(self, config):
            self.given = 0

        def observe(self):
            self.given += 1
            return np.array([os.getpid(), self.given], np.float64)

        def reset(self, *, seed=None, options=None):
            self.left = 5
            return self.observe(), {}

        def step(self, action):
            self.left -= 1
            return self.observe(), 0.0, self.left == 0, False, {}

    config = tiny_config(Counter, training_ratio=1).env_runners(
        num_env_runners=2, rollout_fragment_length=4, num_cpus_per_env_runner=0.5
    )
    config.fault_tolerance(restart_failed_env_runners=True)
    algorithm = build(config)
    group, buffer = algorithm.env_runner_group, algorithm.replay_buffer
    for _ in range(4):
        algorithm.train()
    assert buffer.metrics()["num_segments"] == 2
    # Records that never arrive, as after sample_timeout_s.
    group.foreach_env_runner(lambda runner: len(runner.sample()), local_env_runner=False)
    ray.kill(next(iter(group._worker_manager.actors().values())), no_restart=False)
    for _ in range(400):
        algorithm.train()
        if buffer.metrics()["num_segments"] == 4:
            break
    for _ in range(10):
        algorithm.train()

    process, given = np.moveaxis(buffer.sample(3000).columns["obs/vector"], -1, 0)
    assert len(np.unique(process)) == 3
    np.testing.assert_array_equal(np.diff(process, axis=1), 0)
    np.testing.assert_array_equal(np.diff(given, axis=1), 1)


class NanCartPole(gym.Wrapper):
    """Returns NaN in the observation after some steps."""

    def __init__(self, config):
        """Wraps CartPole; ``config["what"]`` says what turns NaN."""
        super().__init__(gym.make("CartPole-v1"))
        self.what, self.steps = config["what"], 0

    def step(self, action):
        """Steps, and spoils the 50th result."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.steps += 1
        if self.steps == 50:
            if self.what == "observation":
                observation = observation * np.nan
            else:
                reward = float("nan")
        return observation, reward, terminated, truncated, info


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_nan_from_an_environment_is_refused_before_it_reaches_replay(build, what):
    config = tiny_config(NanCartPole, num_steps_sampled_before_learning_starts=500)
    config.environment(env_config={"what": what})
    algorithm = build(config)
    with pytest.raises(EnvironmentDataError, match=what if what == "reward" else "NaN|nan"):
        algorithm.train()
    assert algorithm.replay_buffer.num_records == 0


@pytest.mark.long
def test_atari_with_two_runners_of_four_environments(build):
    config = tiny_config("ale_py:ALE/Pong-v5", training_ratio=2).env_runners(
        num_env_runners=2, num_envs_per_env_runner=4, num_cpus_per_env_runner=0.5
    )
    algorithm = build(config)
    for _ in range(3):
        result = algorithm.train()
    assert result["num_grad_updates_lifetime"] == 3
    assert result["replay_buffer"]["num_segments"] == 8
    assert np.isfinite(result["learners"]["default_policy"]["WORLD_MODEL_L_decoder"])
    image = algorithm.replay_buffer.sample(1).columns["obs/image"]
    assert (image.dtype, image.shape) == (np.uint8, (1, 8, 64, 64, 3))


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (gym.spaces.Text(5), "Text"),
        (gym.spaces.Box(0, 255, (2, 64, 64, 3), np.uint8), "Box of 4 dimensions"),
    ],
    ids=["text", "four dimensions"],
)
def test_observations_that_cannot_be_learned_from_are_refused(space, words):
    class Odd(gym.Env):
        observation_space, action_space = space, gym.spaces.Discrete(2)

        def __init__(self, config):
            pass

    with pytest.raises(SpaceError, match=words):
        tiny_config(Odd).build_algo()


def test_more_env_runners_than_cpus_are_refused_at_once():
    config = tiny_config().env_runners(num_env_runners=5)
    with pytest.raises(ResourceError, match="num_env_runners"):
        config.build_algo()
