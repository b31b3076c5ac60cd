"""The model's step is that of its open-loop dreams."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import plain_operations
from rllib_dreamerv3.agent.networks.policy import PolicyNoise
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.dream_env.dynamics import Latents, stored_image
from rllib_dreamerv3.records import ACTION, ACTION_MASK, REWARD
from rllib_dreamerv3.reports.checkpoint_dream import read_sequences
from rllib_dreamerv3.reports.dreams import CONTINUE, Dreamer
from rllib_dreamerv3.spaces.layout import Image

ROWS, SEEN, STEPS = 2, 3, 2


@pytest.fixture(scope="session")
def parts(written, several):
    """What the checkpoint says of its networks, its dynamics, and sequences of 3 + 2 records."""
    path = Path(written.path)
    saved = several._saved
    batch = read_sequences(
        path,
        saved.observations.layout,
        saved.actions.layout,
        lambda sequences, context: sequences.draw(ROWS, SEEN + STEPS, context, seed=2),
    )
    return saved, several._dynamics, batch


@pytest.mark.compiled
def test_steps_are_those_of_an_open_loop_dream(written, parts):
    saved, dynamics, batch = parts
    shape = (ROWS, SEEN + STEPS, dynamics.categoricals)
    uniform = np.random.default_rng(5).random(shape, np.float32)
    seen = {key: x[:, :-STEPS] for key, x in batch.items()}
    latents = dynamics.filter(seen, uniform[:, :SEEN])

    layout = saved.observations.layout
    dreamer = Dreamer(written.model.world_model, layout, saved.settings, saved.two_hot_bins)
    records, context = split_context(batch)
    records.pop(ACTION_MASK, None)
    # Compiling takes longer than all of these dreams, and compares XLA with itself.
    with plain_operations():
        imagined = dreamer.predict(records, tf.constant(uniform), SEEN, context).imagination
    gamma = saved.policy.options["gamma"] if ACTION_MASK in batch else 1.0
    for step in range(SEEN, SEEN + STEPS):
        action = records[ACTION][:, step - 1]
        outcome = dynamics.step(latents, action, uniform[:, step])
        latents = outcome.latents
        expected = {key: x[:, step].numpy() for key, x in imagined.items()}
        np.testing.assert_allclose(outcome.reward, expected[REWARD], rtol=1e-3, atol=1e-4)
        chance = np.minimum(expected[CONTINUE] / gamma, 1.0)
        np.testing.assert_allclose(outcome.go_on, chance, rtol=1e-3, atol=1e-5)
        for leaf in layout.leaves:
            found, wanted = outcome.columns[leaf.key], expected[leaf.key]
            assert found.dtype == leaf.dtype
            atol = 1e-3
            if isinstance(leaf, Image):
                found, wanted, atol = found / 255.0, np.clip(wanted, 0, 1), 0.5 / 255 + 1e-6
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=atol)


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


@pytest.mark.parametrize("written", ["masked"], indirect=True)
def test_a_given_observation_is_filtered_as_the_policy_does(written, parts):
    saved, dynamics, batch = parts
    names = [leaf.key for leaf in saved.observations.layout.leaves] + [ACTION_MASK]
    columns = {name: batch[name][:, -1] for name in names}
    uniform = np.random.default_rng(7).random((ROWS, dynamics.categoricals), np.float32)
    found = dynamics.begin(columns, uniform)
    policy = written.model.policy
    noise = policy.draw_noise(np.random.default_rng(0), ROWS)
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
