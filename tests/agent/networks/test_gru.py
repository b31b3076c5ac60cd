"""Both sequence models, and products in blocks."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case, fill

from rllib_dreamerv3.agent.kernels.norm_silu import layer_norm
from rllib_dreamerv3.agent.networks.gru import (
    BlockGru,
    gru_output,
    make_sequence_model,
    scale_action,
)
from rllib_dreamerv3.agent.networks.layers import Linear
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.model_sizes import ModelSettings, model_settings

# D, U, S and C of the test vectors, everything else is not used.
SMALL = {
    "deterministic": 4,
    "hidden": 3,
    "categoricals": 2,
    "classes": 2,
    **dict.fromkeys(("units", "vector_units", "cnn_depth"), 1),
    **dict.fromkeys(
        (f"{x}_layers" for x in ("prior", "reward", "continue", "actor", "critic", "vector")), 1
    ),
}


def rng():
    return np.random.default_rng(0)


def step(model, state, action):
    return model(state.h, state.z_or_index, model.embed_action(action))


def test_layer_norm_gru_cell_vector():
    """The gates alone: the product, its layer norm over all three together, and the output."""
    inputs, expected, rtol, atol = case("layernorm_gru_cell")
    h, x = tf.constant([inputs["deter"]]), tf.constant([inputs["input"]])
    product = tf.concat([h, x], -1) @ fill((7, 12), 6.0)
    gates = layer_norm(product, 1 + 0.1 * fill(12, 6.1), 0.1 * fill(12, 6.2))
    np.testing.assert_allclose(gru_output(h, gates), [expected["deter_next"]], rtol, atol)


def test_gru_keeps_its_state_by_its_bias_on_the_update_gate():
    keep = 1 - 1 / (1 + np.e)  # The update gate is sigmoid(-1), the candidate tanh(0).
    kept = gru_output(tf.ones([1, 4]), tf.zeros([1, 12]))
    np.testing.assert_allclose(kept, np.full((1, 4), keep), 1e-6)


def test_block_linear_vector():
    inputs, expected, rtol, atol = case("block_linear")
    layer = Linear(4, 6, rng(), lambda shape, rng: np.zeros(shape, np.float32), blocks=2)
    layer.kernel.assign(fill((2, 2, 3), 0.1))
    layer.bias.assign(fill(6, 0.2))
    x = tf.constant(inputs["x"])
    np.testing.assert_allclose(layer(x[None]), [expected["y"]], rtol, atol)
    np.testing.assert_allclose(layer(x[None, None]), [[expected["y"]]], rtol, atol)


def test_block_gru_cell_vector():
    inputs, expected, rtol, atol = case("block_gru_cell")
    settings = ModelSettings(
        **SMALL, sequence_model="block_gru", norm="rms", hidden_bias=True, weight_init="fan_in"
    )
    model = BlockGru(settings, 2, rng(), blocks=2)
    for linear, activation, shape, s in (
        (model.from_h, model.from_h_activation, (4, 3), 1.0),
        (model.from_z, model.from_z_activation, (4, 3), 2.0),
        (model.from_action, model.from_action_activation, (2, 3), 3.0),
        (model.hidden, model.hidden_activation, (2, 11, 2), 4.0),
    ):
        width = activation.scale.shape[0]
        linear.kernel.assign(fill(shape, s))
        activation.bias.assign(fill(width, s + 0.1))
        activation.scale.assign(1 + 0.1 * fill(width, s + 0.2))
    model.gates.kernel.assign(fill((2, 2, 6), 5.0))
    model.gates.bias.assign(fill(12, 5.1))
    dense = State(
        tf.constant([inputs["deter"]]),
        tf.constant([[0, 1]]),
        tf.constant([inputs["stoch"]]),
    )
    action = tf.constant([inputs["action"]])
    for state in (dense, dense._replace(z=None)):
        h = step(model, state, action)
        np.testing.assert_allclose(h, [expected["deter_next"]], rtol, atol)


def test_block_gru_refuses_a_width_that_it_cannot_divide():
    with pytest.raises(ConfigError, match=r"divisible by 8, not 4"):
        make_sequence_model(ModelSettings(**SMALL, sequence_model="block_gru"), 2, rng())


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_zero_z_is_a_vector_of_zeros(variant):
    """Index -1, which only the 2025 code's initial state has."""
    settings = model_settings("nano", variant)
    model = make_sequence_model(settings, 3, rng())
    synthetic.scramble(model)
    h, action = synthetic.uniform(5, settings.deterministic), synthetic.uniform(5, 3)
    nothing = tf.fill([5, settings.categoricals], -1)
    by_index = step(model, State(h, nothing), action)
    dense = step(model, State(h, nothing, tf.zeros([5, settings.stochastic])), action)
    np.testing.assert_allclose(by_index, dense, atol=1e-6)
    other = step(model, State(h, tf.zeros_like(nothing)), action)
    assert np.abs(by_index - other).max() > 1e-3


def test_action_scale_vector():
    inputs, expected, rtol, atol = case("rssm_action_scale")
    action = tf.constant(inputs["action"])
    with tf.GradientTape() as tape:
        tape.watch(action)
        scaled = scale_action(action)
    np.testing.assert_allclose(scaled, expected["out"], rtol, atol)
    # Only scaled, not clipped: gradient also flows into components beyond 1.
    np.testing.assert_allclose(
        tape.gradient(scaled, action), 1 / np.maximum(1, np.abs(inputs["action"])), rtol
    )
