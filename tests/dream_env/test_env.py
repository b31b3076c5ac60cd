"""One dream as Gymnasium's environment, and its parts that both environments share."""

import copy
import shutil
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import data_equivalence

from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.dream_env.env import DreamEnv
from rllib_dreamerv3.dream_env.picture import bars
from rllib_dreamerv3.errors import CheckpointError, EnvironmentDataError
from rllib_dreamerv3.reports.checkpoint_dream import dream_of_checkpoint


@pytest.fixture
def env(single):
    return single


def trajectory(env, steps=8, seed=None):
    env.action_space.seed(0)
    seen = [] if seed is None else [env.reset(seed=seed)]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample()))
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    return seen


@pytest.mark.parametrize("written", ["vector", "nested", "masked"], indirect=True)
def test_gymnasium_finds_nothing_wrong(env):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check_env(env)
    # Created directly, it has no spec in Gymnasium's registry; the spaces are the user's.
    known = ("not having a spec", "symmetric and normalized")
    messages = [str(x.message) for x in seen]
    assert [x for x in messages if not any(part in x for part in known)] == []


def test_one_seed_gives_one_trajectory(env):
    first = trajectory(env, seed=1)
    assert data_equivalence(trajectory(env, seed=1), first)
    assert not data_equivalence(trajectory(env, seed=2), first)


def test_a_state_goes_on_as_it_did(env):
    env.reset(seed=3)
    state = env.get_state()
    kept = copy.deepcopy(state)
    first = trajectory(env)
    env.set_state(state)
    assert data_equivalence(trajectory(env), first)
    # Nothing of it was changed, and a copy is as good.
    env.set_state(kept)
    assert data_equivalence(trajectory(env), first)
    env.set_state(state._replace(random=None))
    assert not data_equivalence(trajectory(env), first)
    with pytest.raises(ValueError, match="2 states"):
        env.set_state(state.take([0, 0]))


def test_dreams_are_cut_at_the_horizon_and_not_gone_on_with(env):
    lengths = []
    for seed in range(30):
        env.reset(seed=seed)
        ended, length = False, 0
        while not ended:
            *_, reward, terminated, truncated, info = env.step(env.action_space.sample())
            length, ended = length + 1, terminated or truncated
            assert truncated == (length == 6 and not terminated)
            assert 0 <= info["continue"] <= 1
            assert isinstance(reward, float)
        lengths.append(length)
        with pytest.raises(gym.error.ResetNeeded):
            env.step(env.action_space.sample())
    assert max(lengths) <= 6


def test_an_observation_to_begin_with(env):
    env.observation_space.seed(4)
    given = env.observation_space.sample()
    if "action_mask" in given:
        given["action_mask"][:] = 1
    observation, _ = env.reset(seed=0, options={"observation": given})
    assert data_equivalence(observation, given)
    begun = env.get_state()
    env.reset(seed=0)
    assert not np.array_equal(env.get_state().latents.h, begun.latents.h)
    with pytest.raises(ValueError, match="no option 'observaton'; it takes 'observation'"):
        env.reset(options={"observaton": given})


def test_predicted_masks_always_allow_something(env):
    env.reset(seed=0)
    for _ in range(5):
        observation, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        if "action_mask" in observation:
            assert observation["action_mask"].any()
        env.set_state(env.get_state()._replace(ended=np.zeros(1, bool)))


@pytest.mark.parametrize("written", ["vector", "nested", "masked"], indirect=True)
def test_pictures(env):
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    columns = env.get_state().columns
    if "obs/camera" in columns:
        assert picture.shape == (256, 256, 3)
        np.testing.assert_array_equal(picture[::16, ::16], columns["obs/camera"][0])
    else:
        assert picture.shape[1] == 257


def test_bars_by_hand():
    picture = bars(np.array([1.0, -3.0, 0.0]))
    is_drawn = (picture != 255).any(-1).sum(-1) - 1
    # 128 pixels times 1/2, then times 3/4.
    assert is_drawn[8] == 64
    assert is_drawn[24] == 96
    assert is_drawn[40] == 0


@pytest.mark.parametrize("written", ["vector"], indirect=True)
def test_what_cannot_be_is_refused(written, env):
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"array\(\[2\]\) contains an action that is not in"):
        env.step(2)
    fresh = DreamEnv(written.path, starts=0)
    with pytest.raises(gym.error.ResetNeeded):
        fresh.step(3)
    with pytest.raises(ValueError, match="needs an observation"):
        fresh.reset()
    observation, _ = fresh.reset(options={"observation": np.ones(4, np.float32)})
    np.testing.assert_array_equal(observation, np.ones(4))
    with pytest.raises(EnvironmentDataError, match=r"the shapes \(5,\) instead of \(4,\)"):
        fresh.reset(options={"observation": np.ones(5, np.float32)})
    for wrong in ({"horizon": 0}, {"starts": -1}, {"begin": "last"}, {"render_mode": "human"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DreamEnv(written.path, **wrong)
    with pytest.raises(CheckpointError, match="not have 99 consecutive records"):
        DreamEnv(written.path, context=99)


def test_dreams_can_begin_where_episodes_did(written):
    begun = DreamEnv(written.path, begin="first")._dreams._starts
    # Five episodes are in replay.
    assert len(begun.latents.h) == 5
    (column, *_) = begun.columns.values()
    assert len(np.unique(column, axis=0)) == 5


@pytest.mark.parametrize("written", ["vector"], indirect=True)
def test_without_first_records_no_dream_begins_there(written, tmp_path):
    shutil.copytree(written.path, tmp_path / "copy")
    file = next((tmp_path / "copy" / "replay_buffer").glob("is_first*.npy"))
    np.save(file, np.zeros_like(np.load(file)))
    manifest.write(tmp_path / "copy", env_steps=1, updates=1, iteration=1)
    with pytest.raises(CheckpointError, match="no first record of an episode"):
        DreamEnv(tmp_path / "copy", begin="first")


def test_an_exported_policy_cannot_dream(tmp_path):
    (tmp_path / "policy.json").write_text('{"format": "rllib_dreamerv3.exported_policy"}')
    for dream in (DreamEnv, lambda path: dream_of_checkpoint(path, rows=1, length=4, observed=2)):
        with pytest.raises(CheckpointError, match=r"no decoder, .* Use the checkpoint"):
            dream(tmp_path)
