"""Episodes of callbacks: right in all that is cheap to keep, and small."""

from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback
from tiny import tiny_config

from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.episode_callbacks import (
    KEPT_OBSERVATIONS,
    KEPT_STEPS,
    RecentEpisode,
)

STEPS = 3000


@pytest.fixture(scope="module")
def episode():
    """Observation and action number i have the value i, as has the reward that leads to i + 1."""
    box, discrete = gym.spaces.Box(0, STEPS, (3,)), gym.spaces.Discrete(STEPS)
    episode = RecentEpisode(box, discrete)
    episode.add_env_reset(observation=np.zeros(3), infos={"i": 0})
    for i in range(STEPS):
        episode.add_env_step(
            observation=np.full(3, i + 1),
            action=i,
            reward=float(i),
            infos={"i": i + 1},
            terminated=i == STEPS - 1,
        )
    return episode


def test_what_is_cheap_is_whole(episode):
    episode.validate()
    assert len(episode) == episode.env_steps() == episode.t == STEPS
    assert episode.t_started == 0
    assert episode.get_return() == sum(range(STEPS))
    assert len(episode.get_rewards()) == STEPS
    assert episode.is_done
    assert str(STEPS) in repr(episode)


def test_the_last_steps_are_there_by_every_kind_of_index(episode):
    assert episode.get_observations(-1).tolist() == [STEPS] * 3
    assert episode.get_observations(STEPS).tolist() == [STEPS] * 3
    assert episode.get_actions([-2, -1]) == [STEPS - 2, STEPS - 1]
    assert episode.get_infos(STEPS - KEPT_STEPS + 1) == {"i": STEPS - KEPT_STEPS + 1}
    assert episode.get_infos(-KEPT_STEPS) == {"i": STEPS - KEPT_STEPS + 1}
    assert episode.get_actions(slice(-3, None)) == [STEPS - 3, STEPS - 2, STEPS - 1]
    assert episode.get_actions(slice(STEPS - 2, STEPS)) == [STEPS - 2, STEPS - 1]
    assert len(episode.observations.data) == KEPT_OBSERVATIONS
    assert len(episode.infos.data) == KEPT_STEPS


@pytest.mark.parametrize(
    "indices", [0, STEPS - KEPT_OBSERVATIONS, -KEPT_OBSERVATIONS - 1, [0], None]
)
def test_access_to_older_entries_is_an_error(episode, indices):
    with pytest.raises(IndexError, match=r"no longer available.*custom_data"):
        episode.get_observations(indices)


def test_older_infos_are_refused_too(episode):
    """What is left alone would be a wrong sum."""
    with pytest.raises(IndexError, match=r"the last 1024, .*in on_episode_step, where index -1"):
        episode.get_infos()


def test_parts_that_need_all_steps_are_refused(episode):
    with pytest.raises(IndexError, match="no longer available"):
        episode.to_numpy()
    with pytest.raises(IndexError, match="no longer available"):
        episode.get_observations(slice(None, 10))


def test_a_short_episode_is_whole():
    episode = RecentEpisode(gym.spaces.Discrete(9), gym.spaces.Discrete(2))
    episode.add_env_reset(observation=0)
    for i in range(5):
        episode.add_env_step(observation=i + 1, action=0, reward=1.0)
    assert episode.get_observations() == [0, 1, 2, 3, 4, 5]
    assert episode.get_observations(slice(1, 3)) == [1, 2]
    assert episode.to_numpy().get_observations(-1) == 5
    with pytest.raises(IndexError):
        episode.get_observations(7)


def test_an_episode_of_a_thousand_steps_has_all_its_infos():
    episode = RecentEpisode(gym.spaces.Discrete(9), gym.spaces.Discrete(2))
    episode.add_env_reset(observation=0, infos={"x": 0})
    for i in range(1000):
        episode.add_env_step(observation=0, action=0, reward=1.0, infos={"x": i})
    assert sum(info["x"] for info in episode.get_infos()) == sum(range(1000))
    assert len(episode.get_actions()) == 1000


class Sizes(RLlibCallback):
    """Notes how long an episode is, and how many observations it has."""

    seen: ClassVar[list[tuple[int, int]]] = []

    def on_episode_step(self, *, episode, **kwargs):
        """Called after each step."""
        self.seen.append((len(episode), len(episode.observations.data)))


def test_callbacks_get_such_episodes():
    runner = DreamerV3EnvRunner(config=tiny_config().callbacks(Sizes), worker_index=0)
    runner.sample(num_episodes=5, random_actions=True)
    runner.stop()
    steps, observations = zip(*Sizes.seen, strict=True)
    assert max(steps) > KEPT_OBSERVATIONS == max(observations)
