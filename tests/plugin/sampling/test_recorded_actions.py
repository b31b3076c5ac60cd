"""An action on its way: as the policy draws it, as recorded, as environment and RSSM see it."""

import gymnasium as gym
import numpy as np
import pytest
import synthetic
import tensorflow as tf
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, LATENT_H, LATENT_INDEX

LOW, HIGH = np.array([-2.0, 0.0]), np.array([3.0, 10.0])


class Echo(gym.Env):
    """Observes the last action that it was given; an episode has nine steps."""

    observation_space = gym.spaces.Box(-100.0, 100.0, (2,), np.float64)
    action_space = gym.spaces.Box(LOW, HIGH, dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        self._steps = 0
        return np.full(2, -50.0), {}

    def step(self, action):
        self._steps += 1
        assert self.action_space.contains(action)
        return action.copy(), 0.0, False, self._steps == 9, {}


@pytest.fixture(scope="module", params=["v1", "v2"])
def recorded(request):
    """A runner whose policy is drawn to the edges, and 60 records of its only environment."""
    config = tiny_config(lambda _: Echo(), variant=request.param, replay_context=1)
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    synthetic.scramble(runner.module.model)
    # Means near 1 and -1, deviations near 0.9: half of the samples lie beyond.
    runner.module.model.actor.outputs[0][0].bias.assign([4.0, -4.0])
    (chunk,) = runner.sample(num_records=60)
    yield runner, chunk.columns
    runner.stop()


def test_samples_beyond_the_bounds_are_recorded_as_they_are(recorded):
    """Log-probabilities belong to samples that were not clipped (2023 and 2025 code)."""
    _, columns = recorded
    action = columns[ACTION][~columns[IS_LAST]]
    assert 0.3 < (action[:, 0] > 1.0).mean() < 0.7
    assert 0.3 < (action[:, 1] < -1.0).mean() < 0.7
    assert np.abs(action).max() > 1.5
    assert not columns[ACTION][columns[IS_LAST]].any()


def test_environments_get_them_clipped_and_scaled_to_their_bounds(recorded):
    _, columns = recorded
    given = LOW + (np.clip(columns[ACTION][:-1], -1, 1) + 1) / 2 * (HIGH - LOW)
    observed = columns["obs/vector"]
    went_on = ~columns[IS_FIRST][1:]
    np.testing.assert_allclose(observed[1:][went_on], given[went_on], rtol=1e-5, atol=1e-5)
    assert (observed[columns[IS_FIRST]] == -50.0).all()
    # At the bounds exactly, not beyond them by rounding.
    assert {HIGH[0], LOW[1]} <= set(observed.ravel().tolist())


def test_the_rssm_sees_them_clipped(recorded):
    """The state after a sample of 1.7 is that after 1.0."""
    runner, columns = recorded
    rssm, went_on = runner.module.model.rssm, ~columns[IS_FIRST][1:]
    index = tf.constant(columns[LATENT_INDEX][:-1].astype(np.int32))
    state, raw = State(tf.constant(columns[LATENT_H][:-1]), index), columns[ACTION][:-1]
    noise = synthetic.uniform(*index.shape)
    after = {
        name: rssm.imagine(state, tf.constant(action), noise, dense=False).h.numpy()[went_on]
        for name, action in (("raw", raw), ("clipped", np.clip(raw, -1, 1)), ("zero", 0 * raw))
    }
    for name in ("raw", "clipped"):
        np.testing.assert_allclose(after[name], columns[LATENT_H][1:][went_on], atol=1e-5)
    assert np.abs(after["zero"] - columns[LATENT_H][1:][went_on]).max() > 0.01


def test_random_actions_fill_the_bounds(recorded):
    runner, _ = recorded
    (chunk,) = runner.sample(num_records=400, random_actions=True)
    action = chunk.columns[ACTION][~chunk.columns[IS_LAST]]
    assert np.abs(action).max() <= 1.0
    assert (action.min(0) < -0.95).all()
    assert (action.max(0) > 0.95).all()
