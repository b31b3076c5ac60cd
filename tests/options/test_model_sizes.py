import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from rllib_dreamerv3.agent.networks.model import count_parameters
from rllib_dreamerv3.errors import ConfigError, SpaceError
from rllib_dreamerv3.options.model_sizes import MODEL_SIZES, model_settings

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

# Size -> GRU units, RSSM and dense units, classes, CNN depth (2025 code).
TABLE_V2 = {
    "1M": (512, 64, 4, 4),
    "12M": (2048, 256, 16, 16),
    "25M": (3072, 384, 24, 24),
    "50M": (4096, 512, 32, 32),
    "100M": (6144, 768, 48, 48),
    "200M": (8192, 1024, 64, 64),
    "400M": (12288, 1536, 96, 96),
}

IMAGE = Box(0, 255, (64, 64, 3), np.uint8), Discrete(17)
GRAY_96 = Box(0, 255, (96, 96, 1), np.uint8), Discrete(18)
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
# Parameters of the 2025 code, counted there.
TOTALS_V2 = {
    "1M": (687_875, 769_762, 640_867, 637_381),
    "12M": (10_498_259, 11_808_850, 9_738_019, 9_724_165),
    "25M": (23_495_475, 26_444_402, 21_782_947, 21_762_181),
    "50M": (41_658_259, 46_900_882, 38_612_003, 38_584_325),
    "100M": (93_480_531, 105_276_626, 86_622_499, 86_580_997),
    "200M": (165_965_075, 186_936_082, 153_769_507, 153_714_181),
    "400M": (372_920_979, 420_106_130, 345_473_059, 345_390_085),
}
COLUMNS_V2 = {"64x64x3": IMAGE, "96x96x1": GRAY_96, "vectors": PROPRIOCEPTION, "vector": CARTPOLE}
IMAGE_PARTS_V2 = {
    "1M": {
        "encoder": 14_304,
        "rssm": 377_408,
        "decoder": 80_595,
        "reward": 57_663,
        "continue": 41_153,
        "actor": 50_641,
        "critic": 66_111,
    },
    "12M": {
        "encoder": 220_416,
        "rssm": 5_982_464,
        "decoder": 1_272_003,
        "reward": 721_407,
        "continue": 656_129,
        "actor": 792_337,
        "critic": 853_503,
    },
}
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


HEADS = ("reward_layers", "continue_layers", "actor_layers", "critic_layers")


@pytest.mark.parametrize("size", TABLE)
def test_table_of_sizes(size):
    deterministic, depth, units, layers, categoricals, classes = TABLE[size]
    settings = model_settings(size)
    assert settings.deterministic == deterministic
    assert settings.cnn_depth == depth
    assert settings.hidden == settings.units == settings.vector_units == units
    assert settings.prior_layers == 1
    assert all(getattr(settings, head) == layers for head in (*HEADS, "vector_layers"))
    assert (settings.categoricals, settings.classes) == (categoricals, classes)
    assert settings.stochastic == categoricals * classes
    assert settings.feature == deterministic + categoricals * classes
    assert settings.unimix == settings.actor_unimix == 0.01
    assert settings.symlog_vectors


@pytest.mark.parametrize("size", TABLE_V2)
def test_table_of_sizes_of_v2(size):
    deterministic, units, classes, depth = TABLE_V2[size]
    settings = model_settings(size)
    assert settings.deterministic == deterministic
    assert settings.hidden == settings.units == settings.vector_units == units
    assert (settings.categoricals, settings.classes) == (32, classes)
    assert settings.cnn_depth == depth
    assert tuple(getattr(settings, head) for head in HEADS) == (1, 1, 3, 3)
    assert (settings.prior_layers, settings.vector_layers) == (2, 3)
    assert settings.unimix == settings.actor_unimix == 0.01
    assert settings.symlog_vectors


KINDS = {
    "v1": ("gru", "layer", False, "fan_avg", 1.0, "strided", "learned", "vector"),
    "v2": ("block_gru", "rms", True, "fan_in", 0.01, "pooled", "zeros", "categorical"),
}


def kinds(settings):
    return (
        settings.sequence_model,
        settings.norm,
        settings.hidden_bias,
        settings.weight_init,
        settings.actor_output_scale,
        settings.cnn,
        settings.initial_state,
        settings.discrete_observations,
    )


def test_size_has_the_layers_of_its_variant_by_default():
    for size in MODEL_SIZES:
        own = "v1" if size in TABLE else "v2"
        assert kinds(model_settings(size)) == KINDS[own]
        for variant in ("v1", "v2"):
            settings = model_settings(size, variant)
            assert kinds(settings) == KINDS[variant]
            assert settings.deterministic == model_settings(size).deterministic
    mixed = model_settings("1M", "v1", norm="rms", unimix=0.1)
    assert kinds(mixed) == (*KINDS["v1"][:1], "rms", *KINDS["v1"][2:])
    assert (mixed.unimix, mixed.actor_unimix) == (0.1, 0.01)


def test_all_sizes_are_there():
    assert list(MODEL_SIZES) == [*TABLE, *TABLE_V2]


def test_authors_vector_mlp_is_the_same_for_all_sizes():
    for size in ("nano", "S", "XL"):
        settings = model_settings(size, vector_mlp="authors")
        assert (settings.vector_units, settings.vector_layers) == (1024, 5)
        assert settings.units == TABLE[size][2]


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"model_size 'xll'.*Did you mean 'XL'"):
        model_settings("xll")
    with pytest.raises(ConfigError, match=r"vector_mlp must be .*'author'.*Did you mean 'authors'"):
        model_settings("S", vector_mlp="author")
    with pytest.raises(ConfigError, match=r"variant must be 'v1' or 'v2' or None, not 'v3'"):
        model_settings("S", "v3")
    with pytest.raises(ConfigError, match=r"cnn must be 'strided' or 'pooled', not 'dense'"):
        model_settings("S", cnn="dense")


@pytest.fixture(scope="module")
def elsewhere():
    """Calls functions in another process: TensorFlow keeps the gigabytes of the largest models."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda *args, **kwargs: pool.submit(*args, **kwargs).result()


@pytest.mark.parametrize(
    ("size", "column"),
    [
        *itertools.product(("XS", "S"), range(len(COLUMNS))),
        *(pytest.param(s, i, marks=pytest.mark.long) for s in ("M", "L") for i in range(2)),
        pytest.param("XL", 0, marks=pytest.mark.long),
    ],
)
def test_parameter_counts_of_the_2023_code(elsewhere, size, column):
    spaces, vector_mlp = COLUMNS[column]
    counts = elsewhere(count_parameters, size, *spaces, vector_mlp=vector_mlp)
    assert counts["total"] == TOTALS[size][column]
    assert counts["total"] == sum(n for part, n in counts.items() if part != "total")
    if spaces is IMAGE and size in IMAGE_PARTS:
        assert counts == {**IMAGE_PARTS[size], "total": TOTALS[size][0]}


@pytest.mark.parametrize(
    ("size", "column"),
    [
        *itertools.product(("1M", "12M"), range(len(COLUMNS_V2))),
        *(pytest.param("25M", i, marks=pytest.mark.long) for i in range(len(COLUMNS_V2))),
        # Of those that take gigabytes and many seconds, one each.
        *(pytest.param(s, 3, marks=pytest.mark.long) for s in ("50M", "100M", "200M")),
        pytest.param("400M", 0, marks=pytest.mark.long),
    ],
)
def test_parameter_counts_of_the_2025_code(elsewhere, size, column):
    spaces = list(COLUMNS_V2.values())[column]
    counts = elsewhere(count_parameters, size, *spaces)
    assert counts["total"] == TOTALS_V2[size][column]
    assert counts["total"] == sum(n for part, n in counts.items() if part != "total")
    if spaces is IMAGE and size in IMAGE_PARTS_V2:
        assert counts == {**IMAGE_PARTS_V2[size], "total": TOTALS_V2[size][0]}


def test_counting_refuses_what_cannot_be_built():
    with pytest.raises(ConfigError, match=r"model_size 'XLL'"):
        count_parameters("XLL", *CARTPOLE)
    with pytest.raises(SpaceError, match="Box of 4 dimensions"):
        count_parameters("nano", Box(0, 255, (4, 64, 64, 3), np.uint8), Discrete(2))
    with pytest.raises(ConfigError, match="divisible by 8"):
        count_parameters("nano", *CARTPOLE, variant="v2", deterministic=12)


def test_slow_critic_is_not_counted():
    counts = count_parameters("nano", *CARTPOLE)
    assert "slow_critic" not in counts
    # One layer on 16 + 4 * 4 inputs with its norm, and 255 outputs with their bias.
    assert counts["critic"] == 32 * 16 + 2 * 16 + (16 + 1) * 255
