"""The distribution of every parameter that a new model has, against a table of what it should be.

No golden file looks here: those have other parameters. A parameter that no row describes
fails, and so does a row that describes none.
"""

import math
import re

import numpy as np
import pytest
import synthetic

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.options.model_sizes import model_settings
from rllib_dreamerv3.spaces.layout import (
    ActionLayout,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLayout,
    Vector,
)

OBSERVATIONS = ObservationLayout(
    (Vector("obs/p", 3), Image("obs/q", 64, 64, 3), Vector("obs/v", 2), Categorical("obs/w", (3,)))
)
ACTIONS = ActionLayout((DiscreteAction(4), ContinuousAction(2)))
SIZES = {"v1": "XS", "v2": "1M"}

# Deviation of the standard normal distribution cut off at +-2, and its share within +-1.
CUT_STD, CUT_INSIDE = 0.87962566, 0.71523
EVERY_ACTIVATION = r".*activation|decoder/cnn/stem"


def fan_avg(shape):
    """Mean of a layer's inputs and outputs; those of a convolution count with its area."""
    return math.prod(shape[:-2]) * (shape[-2] + shape[-1]) / 2


def fan_in(shape):
    """All axes but the last: of a block kernel the inputs of all blocks together."""
    return math.prod(shape[:-1])


def normal_fan_avg(shape):
    return "normal", math.sqrt(1 / fan_avg(shape)) / CUT_STD


def uniform_fan_avg(shape):
    return "uniform", math.sqrt(3 / fan_avg(shape))


def normal_fan_in(shape):
    return "normal", 1.1368 * math.sqrt(1 / fan_in(shape))


def a_hundredth(shape):
    return "normal", 0.01 * 1.1368 * math.sqrt(1 / fan_in(shape))


def zeros(shape):
    return "constant", 0.0


def ones(shape):
    return "constant", 1.0


# Regular expression of whole names -> distribution, by which every parameter is of one row alone.
# Source: 2023 code, where layers with a norm after them are drawn otherwise than those without.
V1 = {
    r"encoder/cnn/stages/[0-3]/kernel": normal_fan_avg,
    r"encoder/mlp/blocks/0/linear/kernel": normal_fan_avg,
    r"rssm/sequence_model/(input|gates)/kernel": normal_fan_avg,
    r"rssm/(prior_mlp/blocks/0/linear|posterior_hidden)/kernel": normal_fan_avg,
    r"rssm/(prior|posterior)_output/kernel": uniform_fan_avg,
    r"rssm/initial": zeros,
    r"decoder/cnn/stem/linear/linear/kernel": uniform_fan_avg,
    r"decoder/cnn/stages/[0-2]/kernel": normal_fan_avg,
    r"decoder/cnn/stages/3/kernel": uniform_fan_avg,
    r"decoder/outputs/[0-2]/kernel": uniform_fan_avg,
    r"(decoder|reward|continue|actor|(slow_)?critic)/mlp/first/linear/kernel": normal_fan_avg,
    r"continue/output/kernel": uniform_fan_avg,
    r"actor/outputs/(0/0|1/0|1/1)/kernel": uniform_fan_avg,
    r"(reward|(slow_)?critic)/output/kernel": zeros,
    rf"({EVERY_ACTIVATION})/scale|rssm/sequence_model/gates_scale": ones,
    rf"({EVERY_ACTIVATION})/offset|rssm/sequence_model/gates_offset": zeros,
    r"rssm/(prior|posterior)_output/bias": zeros,
    r"decoder/(cnn/stem/linear/linear|cnn/stages/3|outputs/[0-2])/bias": zeros,
    r"((reward|continue|(slow_)?critic)/output|actor/outputs/(0/0|1/0|1/1))/bias": zeros,
}
# Source: 2025 code, which draws all layers alike, but for the scale of the last ones.
V2 = {
    r"encoder/cnn/stages/[0-3]/kernel": normal_fan_in,
    r"encoder/mlp/blocks/[0-2]/linear/kernel": normal_fan_in,
    r"rssm/sequence_model/(from_h|from_z|from_action|hidden|gates)/kernel": normal_fan_in,
    r"rssm/(prior_mlp/blocks/[01]/linear|posterior_hidden)/kernel": normal_fan_in,
    r"rssm/(prior|posterior)_output/kernel": normal_fan_in,
    r"decoder/cnn/stem/(from_h|z_hidden|from_z)/kernel": normal_fan_in,
    r"decoder/cnn/stages/[0-3]/kernel": normal_fan_in,
    r"decoder/outputs/[0-2]/kernel": normal_fan_in,
    r"(decoder|reward|continue|actor|(slow_)?critic)/mlp/first/linear/kernel": normal_fan_in,
    r"(decoder|actor|(slow_)?critic)/mlp/rest/blocks/[01]/linear/kernel": normal_fan_in,
    r"continue/output/kernel": normal_fan_in,
    r"actor/outputs/(0/0|1/0|1/1)/kernel": a_hundredth,
    r"(reward|(slow_)?critic)/output/kernel": zeros,
    rf"({EVERY_ACTIVATION})/scale": ones,
    r".*activation/bias": zeros,
    r"rssm/(sequence_model/gates|(prior|posterior)_output)/bias": zeros,
    r"decoder/(cnn/stem/(from_h|from_z)|cnn/stages/3|outputs/[0-2])/bias": zeros,
    r"((reward|continue|(slow_)?critic)/output|actor/outputs/(0/0|1/0|1/1))/bias": zeros,
}
TABLES = {"v1": V1, "v2": V2}


@pytest.fixture(scope="module", params=TABLES)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def weights(variant):
    settings = model_settings(SIZES[variant])
    return get_weights(synthetic.model(OBSERVATIONS, ACTIONS, settings, seed=0))


def rows_of(variant, name):
    return [row for row in TABLES[variant] if re.fullmatch(row, name)]


def test_every_parameter_has_one_row_and_every_row_parameters(variant, weights):
    rows = {name: rows_of(variant, name) for name in weights}
    assert {name: found for name, found in rows.items() if len(found) != 1} == {}
    assert set(TABLES[variant]) - {row for found in rows.values() for row in found} == set()


def test_every_parameter_is_drawn_from_its_distribution(variant, weights):
    """Means, deviations and shares within five standard errors of what they should be."""
    wrong = {}
    for name, value in weights.items():
        (row,) = rows_of(variant, name)
        kind, size = TABLES[variant][row](value.shape)
        problem = {"constant": constant, "normal": cut_normal, "uniform": uniform}[kind](
            np.float64(value), size
        )
        if problem:
            wrong[name] = problem
    assert wrong == {}


def constant(value, size):
    return "" if (value == size).all() else f"is not {size} everywhere"


def cut_normal(value, factor):
    """A normal distribution with deviation ``factor``, of which only +-2 deviations are kept."""
    limit = 2 * factor
    return spread(value, factor * CUT_STD, limit) or share(value, factor, CUT_INSIDE)


def uniform(value, limit):
    return spread(value, limit / math.sqrt(3), limit) or share(value, limit / 2, 0.5)


def spread(value, std, limit):
    n = value.size
    if np.abs(value).max() > limit * (1 + 1e-6):
        return f"reaches {np.abs(value).max():.4g}, beyond {limit:.4g}"
    # The density at the limit is high enough for this in both distributions.
    if np.abs(value).max() < limit * (1 - 60 / (n + 60)):
        return f"reaches {np.abs(value).max():.4g} only, not {limit:.4g}"
    if abs(value.mean()) > 5 * std / math.sqrt(n):
        return f"has mean {value.mean():.4g}, not 0"
    # The relative standard error of a deviation is at most 1 / sqrt(2 n).
    if abs(value.std() / std - 1) > 5 / math.sqrt(2 * n):
        return f"has deviation {value.std():.4g}, not {std:.4g}"
    return ""


def share(value, within, expected):
    found = (np.abs(value) < within).mean()
    if abs(found - expected) > 5 * math.sqrt(expected * (1 - expected) / value.size):
        return f"has {found:.1%} within {within:.4g}, not {expected:.1%}"
    return ""


def test_no_two_layers_share_their_numbers(weights):
    """But for the slow critic, a copy."""
    drawn = {
        name: (x.ravel()[1:4] / x.ravel()[0]).round(4)
        for name, x in weights.items()
        if name.endswith("kernel") and x.any() and not name.startswith("slow_")
    }
    assert len({tuple(x) for x in drawn.values()}) == len(drawn)
