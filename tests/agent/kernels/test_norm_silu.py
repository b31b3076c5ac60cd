"""Norms, and their fusion with a bias and SiLU."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.kernels.norm_silu import layer_norm, norm_silu, plain_norm_silu, rms_norm
from rllib_dreamerv3.agent.networks.layers import NormSilu
from rllib_dreamerv3.options.model_sizes import LayerStyle

pytestmark = pytest.mark.compiled

STYLES = [LayerStyle(norm, bias) for norm in ("layer", "rms") for bias in (False, True)]


def test_layer_norm_vector():
    inputs, expected, rtol, atol = case("norms")
    normed = layer_norm(inputs["x"][None], tf.ones(6), tf.zeros(6))
    np.testing.assert_allclose(normed, [expected["layer"]], rtol, atol)


def test_rms_norm_vector():
    inputs, expected, rtol, atol = case("norms")
    normed = rms_norm(tf.constant(inputs["x"][None]), tf.ones(6))
    np.testing.assert_allclose(normed, [expected["rms"]], rtol, atol)


def test_silu_vector():
    """Scale and offset undo the norm, so that only SiLU is left."""
    inputs, expected, rtol, _ = case("norms")
    x = tf.constant(inputs["x"][None])
    deviation = tf.fill([6], float(np.sqrt(inputs["x"].var() + 1e-3)))
    y = norm_silu(x, deviation, tf.fill([6], float(inputs["x"].mean())))
    np.testing.assert_allclose(y, [expected["silu"]], rtol, atol=2e-6)


@pytest.mark.parametrize("style", STYLES, ids=lambda s: f"{s.norm}-{s.hidden_bias}")
def test_only_the_parameters_of_the_style_exist(style):
    names = {v.name.split(":")[0] for v in NormSilu(6, style).variables}
    wanted = {"scale"} | ({"offset"} if style.norm == "layer" else set())
    assert names == wanted | ({"bias"} if style.hidden_bias else set())


@pytest.mark.parametrize("shape", [(7, 6), (2, 3, 5, 6)])
@pytest.mark.parametrize("style", STYLES, ids=lambda s: f"{s.norm}-{s.hidden_bias}")
def test_value_and_gradients_are_those_of_the_plain_formula(style, shape):
    """Only the last axis is normalised, at several ranks."""
    layer = NormSilu(6, style)
    synthetic.scramble(layer)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(1, 2, shape), tf.float32)
    factor = tf.constant(rng.normal(size=shape), tf.float32)

    results = []
    for function in (layer, lambda x: plain_norm_silu(x, **layer.parameters())):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            loss = tf.reduce_sum(y * factor)
        results.append([y, *tape.gradient(loss, [x, *layer.trainable_variables])])
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
