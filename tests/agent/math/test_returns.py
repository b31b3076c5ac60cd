import numpy as np
import pytest
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.math.returns import (
    lambda_returns,
    replay_lambda_returns,
    trajectory_weights,
)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_imagination_vector(variant):
    inputs, expected, rtol, atol = case(f"lambda_return_imag_{variant}")
    gamma = inputs["gamma"] if variant == "v1" else inputs["disc"]
    # A second, different trajectory beside the first must not change it.
    reward, value, continues = (
        np.stack([inputs[name], 1 - inputs[name][::-1]], 1) for name in ("rew", "val", "cont")
    )
    returns = lambda_returns(reward, gamma * continues, value, inputs["lam"])
    assert returns.shape == (4, 2)
    np.testing.assert_allclose(returns[:, 0], expected["ret"], rtol, atol)
    weights = trajectory_weights(continues, gamma)
    np.testing.assert_allclose(weights[:, 0], expected["weight"], rtol, atol)


def forward_view(reward, discount, value, lam):
    """The same returns as weighted sums of n-step returns, float64."""
    last = len(reward) - 1
    returns = np.zeros((last, reward.shape[1]))
    for i in range(last):
        n_step, reached = np.zeros(reward.shape[1]), np.ones(reward.shape[1])
        for j in range(i + 1, last + 1):
            n_step = n_step + reached * reward[j]
            reached = reached * discount[j]
            share = lam ** (j - i - 1) * (1 - lam if j < last else 1.0)
            returns[i] += share * (n_step + reached * value[j])
    return returns


@pytest.mark.parametrize("lam", [0.0, 0.6, 0.95, 1.0])
def test_backward_recursion_equals_the_forward_view(lam):
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 16, 9)).astype(np.float32)
    discount = rng.random((16, 9), np.float32)
    np.testing.assert_allclose(
        lambda_returns(reward, discount, value, lam),
        forward_view(reward, discount, value, lam),
        rtol=1e-5,
        atol=1e-5,
    )


def test_gradient_flows_through_returns():
    reward, value = tf.ones([4, 2]), tf.ones([4, 2])
    with tf.GradientTape() as tape:
        tape.watch([reward, value])
        returns = lambda_returns(reward, tf.fill([4, 2], 0.5), value, 0.9)[0]
    by_reward, by_value = tape.gradient(returns, [reward, value])
    np.testing.assert_allclose(by_reward[:, 0], [0, 1, 0.45, 0.45**2], rtol=1e-6)
    np.testing.assert_allclose(by_value[:, 0], [0, 0.05, 0.05 * 0.45, 0.5 * 0.45**2], rtol=1e-6)


@pytest.mark.compiled
def test_unknown_number_of_trajectories():
    @tf.function(input_signature=[tf.TensorSpec([5, None], tf.float32)] * 3)
    def run(reward, discount, value):
        return lambda_returns(reward, discount, value, 0.95), trajectory_weights(discount)

    arrays = np.random.default_rng(1).random((3, 5, 7), np.float32)
    returns, weights = run(*arrays)
    np.testing.assert_allclose(returns, lambda_returns(*arrays, 0.95), rtol=1e-6)
    np.testing.assert_allclose(weights, np.cumprod(arrays[1], 0), rtol=1e-6)


@pytest.mark.parametrize("end", ["terminal", "truncation"])
@pytest.mark.parametrize("flags", [np.float32, bool])
def test_replay_vector(end, flags):
    inputs, expected, rtol, atol = case(f"lambda_return_replay_{end}")
    rows = {
        name: np.stack([inputs[name], inputs[name][::-1]])
        for name in ("rew", "is_last", "is_terminal", "boot")
    }
    returns = replay_lambda_returns(
        rows["rew"].astype(np.float32),
        rows["is_last"].astype(flags),
        rows["is_terminal"].astype(flags),
        rows["boot"].astype(np.float32),
        inputs["disc"],
        inputs["lam"],
    )
    assert returns.shape == (2, 5)
    np.testing.assert_allclose(returns[0], expected["ret"], rtol, atol)
    np.testing.assert_array_equal(1 - inputs["is_last"][:-1], expected["weight"])
    if "ret2_by_hand" in expected:
        np.testing.assert_allclose(returns[0, 2], expected["ret2_by_hand"], rtol)


@pytest.mark.parametrize("terminal", [True, False])
def test_replay_returns_do_not_look_past_the_end_of_an_episode(terminal):
    rng = np.random.default_rng(2)
    reward, bootstrap = rng.normal(size=(2, 3, 12)).astype(np.float32)
    is_last = np.zeros((3, 12), bool)
    is_last[:, 6] = True
    is_terminal = is_last & terminal

    def run(reward, bootstrap):
        return np.asarray(
            replay_lambda_returns(reward, is_last, is_terminal, bootstrap, 0.99, 0.95)
        )

    before = run(reward, bootstrap)
    reward[:, 7:] += 100.0
    bootstrap[:, 7:] -= 100.0
    after = run(reward, bootstrap)
    np.testing.assert_array_equal(after[:, :6], before[:, :6])
    assert (after[:, 6:] != before[:, 6:]).all()


def test_replay_without_ends_equals_imagination():
    reward, bootstrap = np.random.default_rng(3).normal(size=(2, 4, 10)).astype(np.float32)
    never = np.zeros((4, 10), bool)
    replayed = replay_lambda_returns(reward, never, never, bootstrap, 0.9, 0.8)
    imagined = lambda_returns(reward.T, np.full((10, 4), 0.9, np.float32), bootstrap.T, 0.8)
    np.testing.assert_allclose(replayed, tf.transpose(imagined), rtol=1e-6)
