"""How replay draws: one way or fractions, and what errors say."""

import pytest

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.replay_sampling import fractions_of
from rllib_dreamerv3.options.table import REPLAY_BUFFER

ROW = REPLAY_BUFFER["sampling"]


@pytest.mark.parametrize(
    ("value", "fractions"),
    [
        ("uniform", {"uniform": 1.0}),
        ("recent", {"recent": 1.0}),
        ({"curious": 1}, {"curious": 1.0}),
        ({"uniform": 0.5, "curious": 0.5}, {"uniform": 0.5, "curious": 0.5}),
        # Thirds as people write them.
        (
            {"uniform": 0.333, "curious": 0.333, "recent": 0.333},
            dict.fromkeys(("uniform", "curious", "recent"), pytest.approx(1 / 3)),
        ),
    ],
)
def test_a_way_or_fractions_are_accepted(value, fractions):
    ROW.check(value)
    assert fractions_of(value) == fractions


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("curios", r"sampling must be 'uniform' or 'curious' or .*not 'curios'\. .*'curious'\?"),
        ("Recency", r"not 'Recency'\. Did you mean 'recent'\?"),
        ("priority", r"not 'priority'\. Did you mean 'curious'\?"),
        (0.5, r"or fractions such as {'uniform': 0\.5, 'curious': 0\.5}, not 0\.5\.$"),
        (None, r"not None\."),
        ({}, r"has no fractions\. Name at least one of 'uniform'"),
        ({"uniform": 0.5, "recency": 0.5}, r"not of 'recency'\. Did you mean 'recent'\?"),
        ({"uniform": 1.0, "curious": 0}, r"fraction of 'curious' is 0, .* Leave it out\."),
        ({"uniform": 1.5, "curious": -0.5}, r"'curious' must be a number above 0, not -0\.5\."),
        ({"uniform": True}, r"must be a number above 0, not True"),
        ({"uniform": float("nan")}, r"must be a number above 0, not nan"),
        (
            {"uniform": 1, "curious": 3},
            r"sum to 1, not 4\. In the same proportions: {'uniform': 0\.25, 'curious': 0\.75}\.",
        ),
    ],
)
def test_errors_name_the_nearest_valid_value(value, message):
    with pytest.raises(ConfigError, match=message):
        ROW.check(value)


def test_the_config_checks_it():
    config = DreamerV3Config().training(replay_buffer_config={"sampling": {"curious": 0.5}})
    with pytest.raises(ConfigError, match=r"^replay_buffer_config sampling: .* sum to 1, not 0\.5"):
        config.replay_buffer_options()
    for variant in ("v1", "v2"):
        config = DreamerV3Config().training(variant=variant)
        assert config.replay_buffer_options()["sampling"] == "uniform"
