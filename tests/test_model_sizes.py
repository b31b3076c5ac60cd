import gc

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from rllib_dreamerv3.errors import ConfigError, SpaceError
from rllib_dreamerv3.model_sizes import MODEL_SIZES, model_settings
from rllib_dreamerv3.parameters import count_parameters

# Size -> GRU units, CNN depth, dense units, MLP layers, S, C. From XS on: arXiv 2301.04104v1,
# table B.1; below: RLlib.
TABLE = {
    "nano": (16, 2, 16, 1, 4, 4),
    "micro": (32, 4, 32, 1, 8, 8),
    "mini": (64, 8, 64, 1, 16, 16),
    "XXS": (128, 16, 128, 1, 32, 32),
    "XS": (256, 24, 256, 1, 32, 32),
    "S": (512, 32, 512, 2, 32, 32),
    "M": (1024, 48, 640, 3, 32, 32),
    "L": (2048, 64, 768, 4, 32, 32),
    "XL": (4096, 96, 1024, 5, 32, 32),
}

IMAGE = Box(0, 255, (64, 64, 3), np.uint8), Discrete(17)
PROPRIOCEPTION = (
    Dict({f"v{n}": Box(-np.inf, np.inf, (n,), np.float32) for n in (14, 1, 9)}),
    Box(-1, 1, (6,), np.float32),
)
CARTPOLE = Box(-np.inf, np.inf, (4,), np.float32), Discrete(2)

# Parameters of the 2023 code, counted there: image; then 24 numbers in three vectors and 6
# continuous actions; then one vector of 4 and 2 actions; each vector case with the 2023 code's MLP
# of 5 x 1024 for vectors and with one of the model's size.
TOTALS = {
    "XS": (8_268_083, 12_795_939, 3_171_363, 12_751_365, 3_157_509),
    "S": (17_934_227, 18_708_003, 9_754_147, 18_659_845, 9_726_469),
    "M": (36_910_547, 28_486_563, 20_672_931, 28_436_613, 20_638_341),
    "L": (76_765_715, 52_164_387, 46_311_203, 52_112_645, 46_269_701),
    "XL": (200_743_571, 127_567_395, 127_567_395, 127_512_069, 127_512_069),
}
COLUMNS = (
    (IMAGE, "scaled"),
    (PROPRIOCEPTION, "authors"),
    (PROPRIOCEPTION, "scaled"),
    (CARTPOLE, "authors"),
    (CARTPOLE, "scaled"),
)
IMAGE_PARTS = {
    "XS": {
        "encoder": 388_944,
        "rssm": 2_106_880,
        "decoder": 4_323_795,
        "reward": 393_727,
        "continue": 328_449,
        "actor": 332_561,
        "critic": 393_727,
    },
    "S": {
        "encoder": 690_624,
        "rssm": 5_784_576,
        "decoder": 6_985_667,
        "reward": 1_181_439,
        "continue": 1_051_137,
        "actor": 1_059_345,
        "critic": 1_181_439,
    },
}


@pytest.mark.parametrize("size", MODEL_SIZES)
def test_table_of_sizes(size):
    deterministic, depth, units, layers, categoricals, classes = TABLE[size]
    settings = model_settings(size)
    assert settings.deterministic == deterministic
    assert settings.cnn_depth == depth
    assert settings.hidden == settings.units == settings.vector_units == units
    assert settings.layers == settings.vector_layers == layers
    assert (settings.categoricals, settings.classes) == (categoricals, classes)
    assert settings.stochastic == categoricals * classes
    assert settings.feature == deterministic + categoricals * classes
    assert settings.unimix == 0.01
    assert settings.symlog_vectors


def test_all_sizes_are_there():
    assert set(MODEL_SIZES) == set(TABLE)


def test_authors_vector_mlp_is_the_same_for_all_sizes():
    for size in ("nano", "S", "XL"):
        settings = model_settings(size, vector_mlp="authors")
        assert (settings.vector_units, settings.vector_layers) == (1024, 5)
        assert settings.units == TABLE[size][2]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"model_size 'xll'.*Did you mean 'XL'"):
        model_settings("xll")
    with pytest.raises(ConfigError, match=r"vector_mlp 'author'.*Did you mean 'authors'"):
        model_settings("S", vector_mlp="author")


@pytest.mark.parametrize(
    "size", ["XS", "S", *(pytest.param(size, marks=pytest.mark.slow) for size in ("M", "L", "XL"))]
)
@pytest.mark.parametrize("column", range(len(COLUMNS)))
def test_parameter_counts_of_the_2023_code(size, column):
    spaces, vector_mlp = COLUMNS[column]
    counts = count_parameters(size, *spaces, vector_mlp=vector_mlp)
    gc.collect()  # Models hold reference cycles, and XL takes gigabytes.
    assert counts["total"] == TOTALS[size][column]
    assert counts["total"] == sum(n for part, n in counts.items() if part != "total")
    if spaces is IMAGE and size in IMAGE_PARTS:
        assert counts == {**IMAGE_PARTS[size], "total": TOTALS[size][0]}


def test_counting_refuses_what_cannot_be_built():
    with pytest.raises(ConfigError, match=r"model_size 'XLL'"):
        count_parameters("XLL", *CARTPOLE)
    with pytest.raises(SpaceError, match=r"is 96x96.*Resize"):
        count_parameters("nano", Box(0, 255, (96, 96, 3), np.uint8), Discrete(2))


def test_slow_critic_is_not_counted():
    counts = count_parameters("nano", *CARTPOLE)
    assert "slow_critic" not in counts
    # One layer on 16 + 4 * 4 inputs with its norm, and 255 outputs with their bias.
    assert counts["critic"] == 32 * 16 + 2 * 16 + (16 + 1) * 255
