import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_match import data_equivalence
from gymnasium.vector.utils import iterate

from rllib_dreamerv3.dream_env.vector_env import DreamVectorEnv
from rllib_dreamerv3.errors import EnvironmentDataError

N = 2


@pytest.fixture
def env(several):
    return several


def test_all_values_are_of_their_spaces(env):
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert info == {}
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert observation in env.observation_space
    one = next(iterate(env.observation_space, observation))
    assert one in env.single_observation_space
    assert reward.shape == terminated.shape == truncated.shape == info["continue"].shape == (N,)
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (float, bool, bool)
    assert len(env.render()) == N


def test_ended_dreams_restart_in_the_next_step(env):
    assert env.metadata["autoreset_mode"] is gym.vector.AutoresetMode.NEXT_STEP
    env.action_space.seed(0)
    env.reset(seed=1)
    starts = env._starts
    ended, age, restarts = np.zeros(N, bool), np.zeros(N, int), 0
    for _ in range(40):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        state = env.get_state()
        for i in np.flatnonzero(ended):
            assert (reward[i], terminated[i], truncated[i]) == (0.0, False, False)
            assert (starts.latents.h == state.latents.h[i]).all(-1).any()
            restarts += 1
        age = np.where(ended, 0, age + 1)
        np.testing.assert_array_equal(state.steps, age)
        np.testing.assert_array_equal(truncated, (age == 4) & ~terminated)
        ended = terminated | truncated
    assert restarts > 5


def test_ends_are_as_frequent_as_the_model_says(env):
    env.action_space.seed(0)
    env.reset(seed=2)
    expected = variance = found = 0.0
    for _ in range(600):
        _, _, terminated, _, info = env.step(env.action_space.sample())
        chance = 1.0 - info["continue"]
        expected, variance = expected + chance.sum(), variance + (chance * (1 - chance)).sum()
        found += terminated.sum()
    assert variance > 20
    assert abs(found - expected) < 4 * variance**0.5


def test_one_state_is_gone_on_with_in_several_ways(env):
    env.reset(seed=3)
    one = env.get_state().take([1] * N)
    env.set_state(one)
    np.testing.assert_array_equal(env.get_state().latents.h[0], env.get_state().latents.h[1])
    env.action_space.seed(5)
    actions = env.action_space.sample()
    kept = env.get_state()
    first = env.step(actions)
    env.set_state(kept)
    assert data_equivalence(env.step(actions), first)
    # The same action, but other random numbers.
    same = gym.vector.utils.concatenate(
        env.single_action_space,
        [next(iterate(env.action_space, actions))] * N,
        gym.vector.utils.create_empty_array(env.single_action_space, N),
    )
    env.set_state(kept)
    env.step(same)
    assert len(np.unique(env.get_state().latents.classes, axis=0)) > 1
    with pytest.raises(ValueError, match="3 states for 2 dreams"):
        env.set_state(one.take([0, 1, 1]))


def test_observations_to_begin_with(env):
    env.observation_space.seed(4)
    given = env.observation_space.sample()
    if "action_mask" in given:
        given["action_mask"][:] = 1
    observation, _ = env.reset(seed=0, options={"observation": given})
    assert data_equivalence(observation, given)


@pytest.mark.parametrize("written", ["vector"], indirect=True)
@pytest.mark.parametrize("shape", [(1, 4), (3, 4), (4,), (N, 5)])
def test_observations_of_another_number_or_shape_are_refused(several, shape):
    with pytest.raises(EnvironmentDataError) as refused:
        several.reset(options={"observation": np.ones(shape, np.float32)})
    assert f"the shapes {shape} instead of ({N}, 4)" in str(refused.value)


def test_observations_without_a_part_are_refused(env):
    given = dict(env.observation_space.sample())
    given.popitem()
    with pytest.raises(EnvironmentDataError, match="must have the parts"):
        env.reset(options={"observation": given})


@pytest.mark.parametrize("written", ["masked"], indirect=True)
def test_without_starts_ended_dreams_begin_again_as_they_began(written):
    env = DreamVectorEnv(written.path, N, horizon=2, starts=0)
    env.action_space.seed(0)
    env.observation_space.seed(0)
    given = {**env.observation_space.sample(), "action_mask": np.ones((N, 3), np.int8)}
    env.reset(seed=0, options={"observation": given})
    begun = env.get_state()
    speed = given["speed"].copy()
    given["speed"][:] = 0.0
    # In another environment too, which has not begun; it has the dreams in the opposite order.
    other = DreamVectorEnv(written.path, N, horizon=2, starts=0)
    other.set_state(begun.take([1, 0]))
    for each, order in ((env, [0, 1]), (other, [1, 0])):
        ended, restarts = np.zeros(N, bool), 0
        for _ in range(9):
            observation, reward, terminated, truncated, _ = each.step(env.action_space.sample())
            state = each.get_state()
            for i in np.flatnonzero(ended):
                first = order[i]
                for now, then in zip(state.latents, begun.latents, strict=True):
                    np.testing.assert_array_equal(now[i], then[first])
                np.testing.assert_array_equal(observation["speed"][i], speed[first])
                assert (reward[i], state.steps[i]) == (0.0, 0)
                restarts += 1
            ended = terminated | truncated
        assert restarts >= 2 * N
