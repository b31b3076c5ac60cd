"""Ensemble loss and disagreement against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from rllib_dreamerv3.agent.losses.exploration import disagreement, ensemble_loss

MODELS, N, WIDTH = 3, 5, 4


@pytest.fixture
def predictions():
    return np.random.default_rng(0).normal(size=(MODELS, N, WIDTH)).astype(np.float32)


def test_disagreement_is_the_mean_standard_deviation(predictions):
    expected = predictions.astype(np.float64).std(0).mean(-1)
    np.testing.assert_allclose(disagreement(list(predictions)), expected, rtol=1e-6)


def test_disagreement_of_equal_models_is_zero_with_zero_gradient():
    x = tf.constant([[0.25, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        reward = disagreement([x, 1.0 * x])
    np.testing.assert_allclose(reward, [0.0], atol=1e-12)
    np.testing.assert_array_equal(tape.gradient(reward, x), [[0.0, 0.0]])


def test_loss_adds_models_and_leaves_out_the_next_episode(predictions):
    z = np.eye(WIDTH, dtype=np.float32)[[0, 1, 2, 3, 0]]
    same_episode = np.array([True, True, False, True, False])
    errors = np.square(predictions.astype(np.float64) - z).sum((0, 2))
    expected = (errors * same_episode).mean()
    loss = ensemble_loss(list(predictions), z, same_episode)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
