"""The model's step is that of its open-loop dreams."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.dream_env.dynamics import Latents, stored_image
from rllib_dreamerv3.networks.policy import PolicyNoise
from rllib_dreamerv3.networks.world_model import split_context
from rllib_dreamerv3.records import ACTION, ACTION_MASK, REWARD
from rllib_dreamerv3.reports.checkpoint_dream import read_sequences
from rllib_dreamerv3.reports.dreams import CONTINUE, Dreamer
from rllib_dreamerv3.spaces.layout import Image

ROWS, SEEN = 2, 3


@pytest.fixture(scope="session")
def parts(written, several):
    """What the checkpoint says of its networks, its dynamics, and sequences of 3 + 1 records."""
    path = Path(written.path)
    saved = several._dreams.saved
    batch = read_sequences(
        path,
        saved.observations.layout,
        saved.actions.layout,
        lambda sequences, context: sequences.draw(ROWS, SEEN + 1, context, seed=2),
    )
    return saved, several._dreams._dynamics, batch


def test_the_first_step_is_that_of_an_open_loop_dream(written, parts):
    saved, dynamics, batch = parts
    uniform = np.random.default_rng(5).random((ROWS, SEEN, dynamics.categoricals), np.float32)
    last = np.random.default_rng(6).random((ROWS, dynamics.categoricals), np.float32)
    latents = dynamics.filter({k: x[:, :-1] for k, x in batch.items()}, uniform)
    outcome = dynamics.step(latents, batch[ACTION][:, -2], last)

    layout = saved.observations.layout
    dreamer = Dreamer(written.model.world_model, layout, saved.settings, saved.two_hot_bins)
    records, context = split_context(batch)
    records.pop(ACTION_MASK, None)
    noise = tf.constant(np.concatenate([uniform, last[:, None]], 1))
    imagined = dreamer.predict(records, noise, SEEN, context).imagination
    expected = {key: x[:, -1].numpy() for key, x in imagined.items()}
    np.testing.assert_allclose(outcome.reward, expected[REWARD], rtol=1e-3, atol=1e-4)
    gamma = saved.policy.options["gamma"] if ACTION_MASK in batch else 1.0
    chance = np.minimum(expected[CONTINUE] / gamma, 1.0)
    np.testing.assert_allclose(outcome.go_on, chance, rtol=1e-3, atol=1e-5)
    for leaf in layout.leaves:
        found, wanted = outcome.columns[leaf.key], expected[leaf.key]
        assert found.dtype == leaf.dtype
        if isinstance(leaf, Image):
            found, wanted = found / 255.0, np.clip(wanted, 0, 1)
        atol = 0.5 / 255 if isinstance(leaf, Image) else 1e-3
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=atol + 1e-6)


def test_one_dream_alone_is_the_same_as_among_others(parts, single):
    _, dynamics, batch = parts
    latents = dynamics.begin(
        {name: x[:, -1] for name, x in batch.items()},
        np.random.default_rng(5).random((ROWS, dynamics.categoricals), np.float32),
    )
    uniform = np.random.default_rng(6).random((ROWS, dynamics.categoricals), np.float32)
    actions = batch[ACTION][:, -2]
    both = dynamics.step(latents, actions, uniform)
    one = single._dreams._dynamics.step(
        Latents(*(x[1:] for x in latents)), actions[1:], uniform[1:]
    )
    np.testing.assert_array_equal(one.latents.classes[0], both.latents.classes[1])
    np.testing.assert_allclose(one.latents.h[0], both.latents.h[1], atol=1e-5)
    assert one.reward[0] == pytest.approx(both.reward[1], rel=1e-3, abs=1e-4)
    assert one.columns.keys() == both.columns.keys()


def test_a_given_observation_is_filtered_as_the_policy_does(written, parts):
    saved, dynamics, batch = parts
    names = [leaf.key for leaf in saved.observations.layout.leaves]
    columns = {name: batch[name][:, -1] for name in names}
    uniform = np.random.default_rng(7).random((ROWS, dynamics.categoricals), np.float32)
    found = dynamics.begin(columns, uniform)
    policy = written.model.policy
    noise = policy.draw_noise(np.random.default_rng(0), ROWS)
    if saved.actions.layout.masked:
        columns[ACTION_MASK] = batch[ACTION_MASK][:, -1]
    state = policy.act(
        columns,
        np.ones(ROWS, bool),
        policy.initial_state(ROWS),
        PolicyNoise(uniform, noise.action),
        mode=True,
    )
    np.testing.assert_allclose(found.h, state.h, atol=1e-5)
    np.testing.assert_array_equal(found.classes, state.index)


def test_images_are_stored_in_their_bounds():
    predicted = np.float32([-0.2, 0.5, 1.3])
    np.testing.assert_array_equal(stored_image(Image("x", 1, 1, 1), predicted), [0, 128, 255])
    floats = stored_image(Image("x", 1, 1, 1, -1.0, 3.0, "float32"), predicted)
    np.testing.assert_array_equal(floats, np.float32([-1, 1, 3]))
