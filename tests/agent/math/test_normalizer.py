import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from vectors import case

from rllib_dreamerv3.agent.math.normalizer import ReturnNormalizer


def test_vector():
    inputs, expected, rtol, atol = case("return_normaliser")
    normalizer = ReturnNormalizer()
    for batch, step in zip(inputs["batches"], expected["steps"], strict=True):
        normalizer.update(tf.constant(batch))
        np.testing.assert_allclose(normalizer.low, step["lo"], rtol, atol)
        np.testing.assert_allclose(normalizer.high, step["hi"], rtol, atol)
        np.testing.assert_allclose(normalizer.scale(), step["scale"], rtol, atol)


def test_vector_percentiles():
    inputs, expected, rtol, atol = case("return_normaliser")
    for batch, step in zip(inputs["batches"], expected["steps"], strict=True):
        # Without memory the averages are the percentiles themselves.
        normalizer = ReturnNormalizer(decay=0.0)
        normalizer.update(tf.constant(batch))
        np.testing.assert_allclose(normalizer.low, step["p5"], rtol, atol)
        np.testing.assert_allclose(normalizer.high, step["p95"], rtol, atol)


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 7), (15, 1024)])
@pytest.mark.parametrize("percentiles", [(5.0, 95.0), (0.0, 100.0), (33.0, 50.0)])
def test_percentiles_agree_with_tfp(shape, percentiles):
    returns = (np.random.default_rng(0).standard_cauchy(size=shape) * 10).astype(np.float32)
    normalizer = ReturnNormalizer(decay=0.0, percentiles=percentiles)
    normalizer.update(tf.constant(returns))
    expected = tfp.stats.percentile(returns, percentiles, interpolation="linear")
    np.testing.assert_allclose([normalizer.low, normalizer.high], expected, rtol=1e-4)


def test_scale_has_a_floor():
    normalizer = ReturnNormalizer(floor=0.5)
    np.testing.assert_allclose(normalizer.scale(), 0.5)


def test_state_is_two_variables_that_no_optimizer_finds():
    normalizer = ReturnNormalizer()
    assert not normalizer.trainable_variables
    assert set(map(id, normalizer.variables)) == {id(normalizer.low), id(normalizer.high)}


@pytest.mark.compiled
def test_inside_a_function_with_unknown_shape():
    normalizer, twin = ReturnNormalizer(), ReturnNormalizer()

    @tf.function(input_signature=[tf.TensorSpec([4, None], tf.float32)])
    def run(returns):
        normalizer.update(returns)
        return normalizer.scale()

    for n in (10, 30):
        returns = np.random.default_rng(n).normal(size=(4, n)).astype(np.float32) * 1000
        scale = run(returns)
        twin.update(tf.constant(returns))
        np.testing.assert_allclose(scale, twin.scale(), rtol=1e-6)
    assert scale > 1
