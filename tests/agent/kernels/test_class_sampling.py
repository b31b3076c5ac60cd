import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.class_sampling import plain_sample_classes, sample_classes
from rllib_dreamerv3.agent.math.categorical import inverse_cdf_sample, unimix_probs

pytestmark = pytest.mark.compiled

S, C = 4, 8
BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


@pytest.mark.parametrize("mix", [0.0, 0.01, 0.5])
def test_samples_are_those_of_the_plain_formula(mix):
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(0, 3, (500, S * C)), tf.float32)
    uniform = tf.constant(rng.random((500, S)), tf.float32)
    sampled = sample_classes(logits, uniform, mix)
    assert sampled.dtype == tf.int32
    probs = unimix_probs(tf.reshape(logits, [500, S, C]), mix)
    for expected in (
        plain_sample_classes(logits, uniform, mix),
        inverse_cdf_sample(probs, uniform),
    ):
        # A number that falls on a border to the last bit may fall on either side.
        assert np.mean(sampled.numpy() != expected.numpy()) < 1e-3


@pytest.mark.parametrize("sample", [sample_classes, plain_sample_classes])
@pytest.mark.parametrize("logit", [-200.0, 0.0, 200.0])
def test_classes_stay_in_range_at_the_ends(logit, sample):
    """The least and the greatest uniform number, with all probability on one class or on none."""
    logits = np.zeros((2, S, C), np.float32)
    logits[:, :, 1] = logit
    uniform = np.stack([np.zeros(S), np.full(S, BELOW_ONE)]).astype(np.float32)
    sampled = sample(tf.constant(logits.reshape(2, S * C)), tf.constant(uniform), 0.01)
    np.testing.assert_array_equal(sampled, np.stack([np.zeros(S), np.full(S, C - 1)]))
