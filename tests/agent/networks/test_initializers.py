import numpy as np
import pytest
from vectors import case

from rllib_dreamerv3.agent.networks.initializers import (
    truncated_normal_fan_avg,
    truncated_normal_fan_in,
    uniform_fan_avg,
)


def rng():
    return np.random.default_rng(0)


def assert_truncated_normal(weights, shape, factor, std):
    assert weights.shape == shape
    assert weights.dtype == np.float32
    assert np.abs(weights).max() <= 2 * factor * (1 + 1e-6)
    assert np.abs(weights).max() > 1.9 * factor
    np.testing.assert_allclose(weights.std(), std, rtol=0.04)
    assert abs(weights.mean()) < 5 * std / np.sqrt(weights.size)
    # Two thirds of a normal distribution lie within one deviation, of a truncated one 71.5 %.
    np.testing.assert_allclose((np.abs(weights) < factor).mean(), 0.7152, atol=0.03)


@pytest.mark.parametrize("index", range(3))
def test_fan_in_vector(index):
    inputs, expected, *_ = case("init_v2")
    shape = tuple(inputs["shape"][index])
    weights = truncated_normal_fan_in(shape, 1.0, rng())
    assert_truncated_normal(weights, shape, expected["factor"][index], expected["std"][index])
    np.testing.assert_allclose(
        expected["factor"][index], 1.1368 / np.sqrt(expected["fan_in"][index]), rtol=1e-9
    )


@pytest.mark.parametrize("index", range(2))
def test_fan_avg_vector(index):
    inputs, expected, *_ = case("init_v1")
    shape = tuple(inputs["shape"][index])
    weights = truncated_normal_fan_avg(shape, rng())
    assert_truncated_normal(weights, shape, expected["tn_factor"][index], expected["std"][index])


@pytest.mark.parametrize("index", range(2))
def test_uniform_vector(index):
    inputs, expected, *_ = case("init_v1")
    shape, limit = tuple(inputs["shape"][index]), expected["uniform_limit"][index]
    weights = uniform_fan_avg(shape, 1.0, rng())
    assert weights.shape == shape
    assert weights.dtype == np.float32
    assert np.abs(weights).max() <= limit * (1 + 1e-6)
    counts, _ = np.histogram(weights, 10, (-limit, limit))
    np.testing.assert_allclose(counts / weights.size, 0.1, atol=0.03)


def test_scale_of_output_layers():
    # On the variance in the 2023 code, on the weights in the 2025 code.
    np.testing.assert_allclose(
        uniform_fan_avg((8, 4), 0.25, rng()), 0.5 * uniform_fan_avg((8, 4), 1.0, rng()), rtol=1e-6
    )
    np.testing.assert_allclose(
        truncated_normal_fan_in((8, 4), 0.01, rng()),
        0.01 * truncated_normal_fan_in((8, 4), 1.0, rng()),
        rtol=1e-5,
    )
    assert not uniform_fan_avg((8, 4), 0.0, rng()).any()
    assert not truncated_normal_fan_in((8, 4), 0.0, rng()).any()


def test_one_seed_one_network():
    np.testing.assert_array_equal(
        truncated_normal_fan_avg((8, 4), rng()), truncated_normal_fan_avg((8, 4), rng())
    )
    generator = rng()
    first, second = (truncated_normal_fan_avg((8, 4), generator) for _ in range(2))
    assert (first != second).all()
