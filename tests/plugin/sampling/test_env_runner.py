"""The env runner alone, with real environments; with replay and learner see tests/integration."""

import gymnasium as gym
import numpy as np
import pytest
from faulty_environments import Base
from ray.rllib.utils.metrics import SAMPLE_TIMER, TIME_BETWEEN_SAMPLING, WEIGHTS_SEQ_NO
from tiny import tiny_config

from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD

ENVS = 3


class ResetFails(Base):
    """Episodes of so many steps; the first reset at the end of one raises."""

    failed = False

    def __init__(self, length):
        super().__init__()
        self.length = length

    def reset(self, **kwargs):
        if hasattr(self, "time") and not ResetFails.failed:
            ResetFails.failed = True
            raise OSError("the simulator has crashed")
        observation = super().reset(**kwargs)
        self.time = 20 - self.length
        return observation


class BreaksOnce(gym.Wrapper):
    """CartPole whose tenth step ever raises."""

    steps = 0

    def step(self, action):
        BreaksOnce.steps += 1
        if BreaksOnce.steps == 10:
            raise OSError("the simulator has crashed")
        return super().step(action)


def make_runner(config):
    config.env_runners(num_envs_per_env_runner=ENVS, rollout_fragment_length=4)
    return DreamerV3EnvRunner(config=config, worker_index=0)


@pytest.fixture(scope="module")
def shared_runner():
    runner = make_runner(tiny_config())
    yield runner
    runner.stop()


@pytest.fixture
def runner(shared_runner):
    """As a new one: reset, with nothing to report."""
    shared_runner.sample(num_records=0, force_reset=True)
    shared_runner.get_metrics()
    return shared_runner


def number(stats):
    """What RLlib's metrics hold under a key."""
    return stats.peek() if hasattr(stats, "peek") else stats


def test_streams_go_on_from_call_to_call(runner):
    first, second = runner.sample(), runner.sample()
    assert [len(chunk) for chunk in (*first, *second)] == [4] * 2 * ENVS
    for before, after in zip(first, second, strict=True):
        assert before.stream == after.stream
        assert (before.start, after.start) == (0, 4)
        assert before.columns[IS_FIRST].tolist() == [True, False, False, False]
    assert len({chunk.stream for chunk in first}) == ENVS


def test_records_are_consistent(runner):
    for chunk in runner.sample(num_records=ENVS * 80):
        columns = chunk.columns
        is_first, is_last = columns[IS_FIRST], columns[IS_LAST]
        assert is_last.any()
        np.testing.assert_array_equal(is_first[1:], is_last[:-1])
        np.testing.assert_array_equal(columns[ACTION].sum(-1), ~is_last)
        np.testing.assert_array_equal(columns[REWARD], ~is_first)
        # Poles of an untrained policy fall long before CartPole's time limit.
        np.testing.assert_array_equal(columns[IS_TERMINAL], is_last)


def test_samples_whole_episodes(runner):
    chunks = runner.sample(num_episodes=4)
    lengths = [episode.length for episode in runner.take_done_episodes()]
    assert len(lengths) >= 4
    assert sum(lengths) <= sum(chunk.env_steps() for chunk in chunks)
    assert all(chunk.columns[IS_FIRST][0] for chunk in chunks)
    (again, *_) = runner.sample()
    assert again.stream != chunks[0].stream
    assert again.columns[IS_FIRST][0]


def test_time_steps_are_env_steps_without_the_resets(runner):
    for wanted in (1, 23, 100):
        chunks = runner.sample(num_timesteps=wanted, random_actions=True)
        assert wanted <= sum(chunk.env_steps() for chunk in chunks) < wanted + ENVS
        assert any(chunk.columns[IS_LAST].any() for chunk in chunks) or wanted < 100


def test_reports_what_was_sampled_since_the_last_report(runner):
    env_steps = sum(chunk.env_steps() for _ in range(5) for chunk in runner.sample())
    metrics = runner.get_metrics()
    assert number(metrics["num_env_steps_sampled"]) == env_steps
    assert number(metrics[SAMPLE_TIMER]) > 0.0
    assert number(metrics[TIME_BETWEEN_SAMPLING]) > 0.0
    assert number(metrics[WEIGHTS_SEQ_NO]) == 0
    chunks = runner.sample(num_episodes=2)
    metrics = runner.get_metrics()
    assert number(metrics["num_env_steps_sampled"]) == sum(chunk.env_steps() for chunk in chunks)
    assert number(metrics["num_episodes"]) >= 2


def test_a_failed_step_begins_new_streams():
    gym.register("BreaksOnce-v0", lambda: BreaksOnce(gym.make("CartPole-v1")))
    config = tiny_config().environment("BreaksOnce-v0")
    config.fault_tolerance(restart_failed_sub_environments=True)
    runner = make_runner(config)
    # Three environments: the tenth step ever is in the fourth of their common steps. What was seen
    # before it is kept, without the action whose outcome is unknown.
    chunks = runner.sample(num_records=6 * ENVS)
    before, after = chunks[:ENVS], chunks[ENVS:]
    assert [len(chunk) for chunk in before] == [len(chunk) for chunk in after] == [3] * ENVS
    for old, new in zip(before, after, strict=True):
        assert old.stream != new.stream
        assert old.start == new.start == 0
        assert new.columns[IS_FIRST][0]


@pytest.mark.parametrize("records", [[5], [2, 3]], ids=["in a call", "at the start of a call"])
def test_a_failed_reset_keeps_the_ends_of_episodes(monkeypatch, records):
    monkeypatch.setattr(ResetFails, "failed", False)
    lengths = [2, 2, 9]
    config = tiny_config(lambda context: ResetFails(lengths[context.vector_index]))
    config.fault_tolerance(restart_failed_sub_environments=True)
    runner = make_runner(config)
    streams = {}
    for number in records:
        for chunk in runner.sample(num_records=number * ENVS, random_actions=True):
            streams.setdefault(chunk.stream, []).append(chunk)
    assert ResetFails.failed
    *ended, running = [*streams.values()][:ENVS]
    for chunks in ended:
        is_last, rewards = (
            np.concatenate([chunk.columns[name] for chunk in chunks]) for name in (IS_LAST, REWARD)
        )
        assert is_last.tolist() == [False, False, True]
        assert rewards.tolist() == [0.0, 1.0, 1.0]
        assert [episode.ret for chunk in chunks for episode in chunk.ended] == [2.0]
    # The outcome of the last action in the other environment is unknown.
    assert sum(map(len, running)) == 2
    assert len(streams) == 2 * ENVS


def test_each_environment_has_the_numbers_of_its_own_info():
    values = [1, 2.7, None]
    config = tiny_config(lambda context: Base(info={"x": values[context.vector_index]}))
    runner = make_runner(config)
    runner.sample(num_records=ENVS * 21)
    numbers = [episode.numbers for episode in runner.take_done_episodes()]
    assert numbers == [{"x": (1, 20)}, {"x": (2.7, pytest.approx(54))}, {}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_timesteps": 1, "num_episodes": 1}, "only one"),
        ({"num_timesteps": 1, "num_records": 0}, "only one"),
        ({"num_timesteps": -1}, "negative"),
        ({"num_records": -1}, "negative"),
        ({"num_episodes": -1}, "negative"),
    ],
)
def test_refuses_what_makes_no_sense(runner, arguments, message):
    with pytest.raises(ValueError, match=message):
        runner.sample(**arguments)


def test_says_that_it_has_no_environment(runner, monkeypatch):
    monkeypatch.setattr(runner, "env", None)
    with pytest.raises(ValueError, match="no environment"):
        runner.sample()
