"""What is fused, reordered or written by hand for speed, against plain formulas in float64.

The plain ones are in `plain.py` and `plain_v2.py`. Observations and actions are of all kinds at
once; each kind for itself is compared with the authors' numbers in `test_golden.py`.
"""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from plain import SETTINGS, SIZES, C, Plain, S, assert_close, assert_same_gradients
from plain_v2 import OPTIONS_V2, SIZES_V2, PlainV2

from rllib_dreamerv3.agent.imagination import Trajectory, imagine
from rllib_dreamerv3.agent.kernels.compiled import compiled
from rllib_dreamerv3.agent.kernels.one_hot_products import add_one_hot_product, flat_one_hot
from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.agent.noise import draw_imagination_noise
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.records import IS_FIRST, IS_TERMINAL, REWARD

SEED = tf.constant([3, 4])


def make(observations, actions):
    model = DreamerModel(observations, actions, SIZES, seed=0)
    synthetic.scramble(model)
    return model, Trainer(model, observations, actions, SIZES, SETTINGS)


def test_world_model_update():
    """Losses and the gradients of all parameters, with episodes that end inside of rows."""
    observations, actions = synthetic.EVERYTHING, synthetic.MIXED
    model, trainer = make(observations, actions)
    records = synthetic.batch(observations, actions, rows=3, length=5)
    with tf.GradientTape() as tape:
        noise = trainer._draw_noise(records, SEED)
        output, loss, *_ = trainer._observe(records, None, noise.posterior)
    gradients, start = trainer._gradients(tape, loss, "world_model")["world_model"], output.state
    plain = Plain(model, observations, actions)
    with tf.GradientTape() as tape:
        tape.watch(plain.weights)
        index = tf.reshape(start.index, [3, 5, S])
        plain_loss, feature = plain.world_model_loss(records, index)
    assert_close(loss, plain_loss)
    assert_close(start.h, feature[:, : SIZES.deterministic])
    expected = tape.gradient(plain_loss, plain.weights)
    assert_same_gradients(model, [model.world_model], gradients, expected)


@pytest.mark.parametrize(
    ("observations", "actions"),
    [(synthetic.VECTOR, synthetic.CONTINUOUS), (synthetic.EVERYTHING, synthetic.MIXED)],
    ids=["dynamics", "everything"],
)
def test_actor_critic_update(observations, actions):
    """Losses and gradients of actor and critic, with some starts that are terminal."""
    model, trainer = make(observations, actions)
    n = 7
    start, is_terminal = synthetic.states(SIZES, n), tf.constant([False] * 5 + [True] * 2)
    # Of rewards and first records there are only metrics.
    records = {IS_TERMINAL: is_terminal, REWARD: tf.zeros([n]), IS_FIRST: tf.zeros([n], tf.bool)}
    noise = draw_imagination_noise(actions, S, SETTINGS.horizon_H, n, SEED)
    behaviour = trainer._imagine(start, records, noise)
    through_dynamics = actions.all_continuous
    begin = start.with_dense_z(C) if through_dynamics else start
    trajectory: Trajectory = imagine(
        model.world_model,
        model.actor,
        begin,
        noise,
        through_dynamics=through_dynamics,
    )
    scale = tf.cast(trainer.return_normalizer.scale(), tf.float64)
    plain = Plain(model, observations, actions)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(plain.weights)
        actor_loss, critic_loss, h, _ = plain.actor_and_critic_loss(
            trajectory, is_terminal, scale, through_dynamics
        )
    assert_close(trajectory.state.h, h)
    for name, loss in (("actor", actor_loss), ("critic", critic_loss)):
        assert_close(behaviour.metrics[f"{name.upper()}_L_total"], loss)
        expected = tape.gradient(loss, plain.weights)
        assert_same_gradients(model, [getattr(model, name)], behaviour.gradients[name], expected)


def test_update_of_v2(monkeypatch):
    """All losses, and what one update's optimizer is given, from rows with a context record."""
    observations, actions = synthetic.EVERYTHING_48, synthetic.MIXED
    model = DreamerModel(observations, actions, SIZES_V2, seed=0)
    synthetic.scramble(model)
    for part in ("reward", "critic", "slow_critic"):
        # Fewer hundreds of millions among the predictions, beside which all else would vanish.
        bias = model.named_variables()[f"{part}/output/bias"]
        bias.assign_sub(0.3 * np.abs(np.arange(255, dtype=np.float32) - 127))
    trainer = Trainer(model, observations, actions, SIZES_V2, OPTIONS_V2)
    batch = synthetic.batch_with_context(observations, actions, SIZES_V2, rows=3, length=5)
    records, context = split_context(batch)
    gradients = {}
    monkeypatch.setattr(
        trainer, "_apply", lambda given, metrics: gradients.update(given) or metrics
    )
    noise = trainer._draw_noise(records, SEED)
    state, _, metrics = trainer._gradients_together(records, context, noise)
    trajectory: Trajectory = imagine(
        model.world_model,
        model.actor,
        state,
        noise.imagination,
        through_dynamics=False,
    )
    scale = tf.cast(trainer.return_normalizer.scale(), tf.float64)
    plain = PlainV2(model, observations, actions)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(plain.weights)
        index = tf.reshape(state.index, [3, 5, S])
        world, feature = plain.world_model_loss(records, index, context)
        actor, critic, h, returns = plain.actor_and_critic_loss(trajectory, None, scale, False)
        replay = plain.replay_critic_loss(feature, records, returns[0])
        total = world + actor + critic + OPTIONS_V2.replay_critic_scale * replay
    assert_close(state.h, feature[:, : SIZES_V2.deterministic])
    assert_close(trajectory.state.h, h)
    for name, loss in (("WORLD_MODEL", world), ("ACTOR", actor), ("CRITIC", critic)):
        assert_close(metrics[f"{name}_L_total"], loss, name)
    assert_close(metrics["CRITIC_L_replay"], replay)
    expected = tape.gradient(total, plain.weights)
    for part in ("world_model", "actor", "critic"):
        assert_same_gradients(model, [getattr(model, part)], gradients[part], expected)


@pytest.mark.parametrize(("first", "after"), [(0, 0), (3, 0), (0, 2), (3, 2)])
def test_one_hot_product_and_its_gradients(first, after):
    rng = np.random.default_rng(0)
    index = tf.constant(rng.integers(0, C, (50, S)), tf.int32)
    kernel = tf.Variable(rng.normal(size=(first + S * C + after, 6)).astype(np.float32))
    total = tf.Variable(rng.normal(size=(50, 6)).astype(np.float32))
    factor = rng.normal(size=(50, 6)).astype(np.float32)
    results = []
    for product in (
        lambda: add_one_hot_product(total, index, tf.convert_to_tensor(kernel), C, first),
        lambda: total + tf.matmul(flat_one_hot(index, C), kernel[first : first + S * C]),
    ):
        with tf.GradientTape() as tape:
            y = product()
            loss = tf.reduce_sum(factor * y)
        results.append([y, *tape.gradient(loss, [total, kernel])])
    for fast, plain in zip(*results, strict=True):
        assert_close(fast, plain)


def test_first_and_last_states_of_a_stack():
    stack = State(tf.range(6.0)[:, None], tf.range(6)[:, None])
    np.testing.assert_array_equal(stack.first(4).h[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(stack.last(2).index[:, 0], [4, 5])


@pytest.mark.compiled
def test_compiled_functions_differentiate_like_their_originals():
    """With the gradient derived, and with one that is given: it must be the one that is used."""
    x, y = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])

    def product(a, b):
        return a * tf.tanh(b)

    def twice_the_upstream(a, b, upstream):
        return 2.0 * upstream, None

    for function, expected in (
        (compiled(product), (np.tanh(y), x * (1 - np.tanh(y) ** 2))),
        (compiled(product, twice_the_upstream), ([2.0, 2.0], None)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = function(x, y)
        np.testing.assert_allclose(z, x * tf.tanh(y), rtol=1e-6)
        for gradient, value in zip(tape.gradient(z, [x, y]), expected, strict=True):
            if value is None:
                assert gradient is None
            else:
                np.testing.assert_allclose(gradient, value, atol=1e-6)
