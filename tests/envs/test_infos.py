"""Each environment's info stays what it returned, whatever the others return."""

import gymnasium as gym
import numpy as np
import pytest
from faulty_environments import Base
from gymnasium.vector import SyncVectorEnv

from rllib_dreamerv3.envs.infos import InfoList
from rllib_dreamerv3.envs.registry import vectorize
from rllib_dreamerv3.errors import EnvironmentDataError


class Saying(Base):
    """Returns the same info with every observation."""

    def __init__(self, info):
        super().__init__(info=info)

    def reset(self, **kwargs):
        return super().reset(**kwargs)[0], self.outcome["info"]


def make(infos):
    return [lambda info=info: Saying(info) for info in infos]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"x": 1}, {"x": 2.7}),
        ({"x": None}, {"x": 3.0}),
        ({"x": 3.0}, {"x": None}),
        ({"x": 1.0}, {"x": "text"}),
        ({"x": {"y": 1}}, {"x": 2.0}),
        ({"x": np.zeros(2)}, {"x": np.zeros(3)}),
        ({"x": True}, {"x": 7}),
        ({"x": 10**30}, {"y": 1}),
        ({"_x": 1, "x": {3: 1}}, {}),
        ({"unmerged": 1}, {"final_info": {}, "final_obs": None}),
    ],
)
def test_two_environments_are_kept_apart(first, second):
    env = InfoList(vectorize(make([first, second]), gym.VectorizeMode.SYNC))
    try:
        _, infos = env.reset(seed=0)
        assert infos[0] is first
        assert infos[1] is second
        infos = env.step(env.action_space.sample())[-1]
        assert infos[0] is first
        assert infos[1] is second
    finally:
        env.close()


def test_processes_of_their_own_keep_them_apart_too():
    makers = make([{"x": 1}, {"x": 2.7}])
    env = InfoList(vectorize(makers, gym.VectorizeMode.ASYNC))
    try:
        assert env.reset(seed=0)[1] == [{"x": 1}, {"x": 2.7}]
        assert env.step(env.action_space.sample())[-1] == [{"x": 1}, {"x": 2.7}]
    finally:
        env.close()


class OwnVector(SyncVectorEnv):
    def __init__(self, infos):
        super().__init__([Base, Base])
        self.infos = infos

    def step(self, actions):
        return (*super().step(actions)[:-1], self.infos)


def test_infos_of_a_vector_environment_are_split():
    env = InfoList(OwnVector({"x": np.array([1.0, 2.0]), "_x": np.array([True, False])}))
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[-1] == [{"x": 1.0}, {}]


@pytest.mark.parametrize("infos", [{"x": [1, 2]}, {"x": np.zeros(3)}, {3: np.zeros(2)}])
def test_infos_that_cannot_be_split_are_reported(infos):
    env = InfoList(OwnVector(infos))
    env.reset(seed=0)
    with pytest.raises(
        EnvironmentDataError, match="dict of arrays with an entry for each of its 2"
    ):
        env.step(env.action_space.sample())
