"""Vector environments that reset themselves in the step of an end, or never."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from tiny import tiny_config

from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import IS_FIRST, IS_LAST, IS_TERMINAL, REWARD

LENGTHS = [3, 5]


class Counting(gym.Env):
    """Shows its own length and the number of the step, in a Dict; truncated every other time."""

    observation_space = gym.spaces.Dict(
        {"t": gym.spaces.Box(0, 9, (1,), np.float32), "length": gym.spaces.Discrete(9)}
    )
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length):
        self.length, self.episodes = length, 0

    def _observation(self):
        return {"t": np.array([self.t], np.float32), "length": self.length}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.episodes = 0, self.episodes + 1
        return self._observation(), {}

    def step(self, action):
        self.t += 1
        over, even = self.t == self.length, self.episodes % 2 == 0
        return self._observation(), float(self.t), over and even, over and not even, {"t": self.t}


class Forgetful(SyncVectorEnv):
    """Puts no last observations aside."""

    def step(self, actions):
        *results, infos = super().step(actions)
        return (*results, {key: x for key, x in infos.items() if "final_obs" not in key})


class RewardingResets(SyncVectorEnv):
    """Returns a reward for the step in which an environment resets itself."""

    def step(self, actions):
        resets = self._autoreset_envs.copy()
        observation, reward, *rest = super().step(actions)
        return (observation, reward + 5.0 * resets, *rest)


def make_runner(mode, kind=SyncVectorEnv, callbacks=None):
    def entry_point(config):
        makers = [lambda length=length: Counting(length) for length in LENGTHS]
        return kind(makers, autoreset_mode=mode)

    config = tiny_config(entry_point).callbacks(**(callbacks or {}))
    config.env_runners(
        num_envs_per_env_runner=len(LENGTHS), gym_env_vectorize_mode="vector_entry_point"
    )
    return DreamerV3EnvRunner(config=config, worker_index=0)


@pytest.fixture
def make():
    made = []

    def make_one(*args, **kwargs):
        made.append(make_runner(*args, **kwargs))
        return made[-1]

    yield make_one
    for runner in made:
        runner.stop()


def records(runner, calls, steps):
    """Columns of each environment, and what was said of its episodes, over several calls."""
    chunks = [runner.sample(num_records=steps * len(LENGTHS)) for _ in range(calls)]
    joined = []
    for i in range(len(LENGTHS)):
        mine = [call[i] for call in chunks]
        ends = np.cumsum([len(chunk) for chunk in mine])
        assert [chunk.start for chunk in mine] == [0, *ends[:-1]]
        assert len({chunk.stream for chunk in mine}) == 1
        names = [name for name in mine[0].columns if name != "action"]
        joined.append({name: np.concatenate([x.columns[name] for x in mine]) for name in names})
    return joined, sorted(episode[:2] for episode in runner.take_done_episodes())


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_same_step_gives_the_records_of_next_step(make, kind):
    expected, episodes = records(make(AutoresetMode.NEXT_STEP), calls=7, steps=4)
    found, more = records(make(AutoresetMode.SAME_STEP, kind), calls=7, steps=4)
    assert len(episodes) >= 10
    assert more[: len(episodes) // 2] == episodes[: len(episodes) // 2]
    for old, new, length in zip(expected, found, LENGTHS, strict=True):
        # A vector step gives two records where an episode ends.
        assert len(new[REWARD]) > len(old[REWARD]) == 28
        assert new[IS_TERMINAL].sum() > 1
        assert (new[IS_LAST] & ~new[IS_TERMINAL]).sum() > 1
        for name, column in old.items():
            np.testing.assert_array_equal(new[name][:28], column, err_msg=name)
        # The true return, of the true length.
        assert new[IS_FIRST].sum() >= 28 // length


def test_a_reward_for_a_reset_does_not_count(make):
    expected = records(make(AutoresetMode.NEXT_STEP), calls=3, steps=4)
    found = records(make(AutoresetMode.NEXT_STEP, RewardingResets), calls=3, steps=4)
    assert found[1] == expected[1]
    for old, new in zip(expected[0], found[0], strict=True):
        assert new[IS_FIRST][1:].any()
        np.testing.assert_array_equal(new[REWARD], old[REWARD])


def test_callbacks_see_the_last_observation_and_the_next_first(make):
    seen, ended = [], []

    def on_step(episode, env_index, **_):
        observation, info = episode.get_observations(-1), episode.get_infos(-1)
        seen.append((env_index, float(observation["t"][0]), info["t"]))

    def on_end(episode, env_index, **_):
        ended.append((env_index, len(episode), episode.get_return()))

    runner = make(
        AutoresetMode.SAME_STEP, callbacks={"on_episode_step": on_step, "on_episode_end": on_end}
    )
    runner.sample(num_records=2 * 12)
    for i, length in enumerate(LENGTHS):
        steps = [(t, info) for index, t, info in seen if index == i]
        assert steps == [(1 + s % length, 1 + s % length) for s in range(12)]
        assert {x[1:] for x in ended if x[0] == i} == {(length, sum(range(length + 1)))}


def test_a_missing_last_observation_is_named(make):
    runner = make(AutoresetMode.SAME_STEP, Forgetful)
    with pytest.raises(EnvironmentDataError, match=r"Environment 0 .*lacks 'final_obs'"):
        runner.sample(num_records=20)


def test_environments_that_would_not_be_reset_are_rejected(make):
    with pytest.raises(ConfigError, match=r"DISABLED.*NEXT_STEP or SAME_STEP"):
        make(AutoresetMode.DISABLED)
