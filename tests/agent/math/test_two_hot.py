import numpy as np
import pytest
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.math.two_hot import NUM_BINS, SymexpTwoHot, SymlogTwoHot, make_two_hot
from rllib_dreamerv3.errors import ConfigError

CODES = {"v1": SymlogTwoHot(), "v2": SymexpTwoHot()}
both = pytest.mark.parametrize("variant", ["v1", "v2"])


def symlog64(x):
    return np.sign(x) * np.log1p(np.abs(np.asarray(x, np.float64)))


def dense_target(variant, x):
    """The definition, by comparison with all bins, in float64: ``[N] -> [N, 255]``."""
    bins = np.asarray(CODES[variant].bins, np.float64)
    x = symlog64(x) if variant == "v1" else np.asarray(x, np.float64)
    below = np.clip((bins <= x[:, None]).sum(-1) - 1, 0, NUM_BINS - 1)
    above = np.clip(NUM_BINS - (bins > x[:, None]).sum(-1), 0, NUM_BINS - 1)
    equal = below == above
    to_below = np.where(equal, 1.0, np.abs(bins[below] - x))
    to_above = np.where(equal, 1.0, np.abs(bins[above] - x))
    target = np.zeros((len(x), NUM_BINS))
    np.add.at(target, (np.arange(len(x)), below), to_above / (to_below + to_above))
    np.add.at(target, (np.arange(len(x)), above), to_below / (to_below + to_above))
    return target


def dense_code(variant, x):
    """What `encode` says, scattered: ``[N] -> [N, 255]``."""
    lower, upper, w_lower, w_upper = (np.asarray(part) for part in CODES[variant].encode(x))
    code = np.zeros((len(x), NUM_BINS))
    np.add.at(code, (np.arange(len(x)), lower), w_lower)
    np.add.at(code, (np.arange(len(x)), upper), w_upper)
    return code


def numbers_of_all_sizes(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.choice([-1, 1], n) * np.exp(rng.uniform(-10, 21, n))
    return np.concatenate([x, rng.normal(size=n)]).astype(np.float32)


@both
def test_bins_vector(variant):
    inputs, expected, rtol, atol = case(f"bins_{variant}")
    bins = CODES[variant].bins
    assert bins.shape == (NUM_BINS,)
    assert bins.dtype == np.float32
    np.testing.assert_allclose(bins[inputs["index"]], expected["bin"], rtol, atol)
    if "spacing" in expected:
        np.testing.assert_allclose(np.diff(bins), expected["spacing"], rtol=2e-5)


@both
def test_bins_are_antisymmetric_to_the_last_bit(variant):
    bins = CODES[variant].bins
    np.testing.assert_array_equal(bins, -bins[::-1])
    assert (np.diff(bins) > 0).all()


@both
def test_encode_vector(variant):
    inputs, expected, rtol, atol = case(f"twohot_encode_{variant}")
    lower, upper, w_lower, w_upper = CODES[variant].encode(inputs["value"])
    np.testing.assert_array_equal(lower, expected["lower"])
    np.testing.assert_array_equal(upper, expected["upper"])
    np.testing.assert_allclose(w_lower, expected["w_lower"], rtol, atol)
    np.testing.assert_allclose(w_upper, expected["w_upper"], rtol, atol)


@both
def test_encode_agrees_with_the_definition(variant):
    x = numbers_of_all_sizes()
    # Rounding of the number itself shifts weight between neighbours by about 1e-4 of a bin.
    np.testing.assert_allclose(dense_code(variant, x), dense_target(variant, x), atol=2e-4)


@both
def test_encode_keeps_the_mean(variant):
    x = numbers_of_all_sizes()
    x = x[np.abs(x) < 4.8e8]
    mean = dense_code(variant, x) @ CODES[variant].bins.astype(np.float64)
    np.testing.assert_allclose(mean, symlog64(x) if variant == "v1" else x, rtol=1e-5, atol=1e-5)


@both
def test_encode_exactly_on_a_bin(variant):
    bins = CODES[variant].bins
    x = np.sign(bins) * np.expm1(np.abs(bins.astype(np.float64))) if variant == "v1" else bins
    np.testing.assert_allclose(
        dense_code(variant, x.astype(np.float32)), np.eye(NUM_BINS), atol=2e-4
    )


@both
def test_encode_saturates(variant):
    x = np.array([-3e38, -1e12, -4.9e8, 4.9e8, 1e12, 3e38], np.float32)
    code = dense_code(variant, x)
    np.testing.assert_array_equal(code[:3, 0], 1.0)
    np.testing.assert_array_equal(code[3:, -1], 1.0)


@both
def test_mean_vector(variant):
    inputs, expected, rtol, atol = case(f"twohot_decode_{variant}")
    mean = CODES[variant].mean(inputs["logits"].astype(np.float32)[None])
    np.testing.assert_allclose(mean, [expected["pred"]], rtol, atol)


@pytest.mark.compiled
@both
@pytest.mark.parametrize("shape", [(), (1,), (7,), (16, 64), (3, 5, 2)])
@pytest.mark.parametrize("logit", [0.0, -3.7, 12.3])
def test_equal_logits_mean_exactly_zero(variant, shape, logit):
    expected = case("twohot_decode_v2").expected["pred_uniform"]
    mean = tf.function(CODES[variant].mean)(tf.fill([*shape, NUM_BINS], logit))
    assert mean.shape == shape
    np.testing.assert_array_equal(mean, np.full(shape, expected))


@both
def test_mean_agrees_with_the_plain_sum(variant):
    code = CODES[variant]
    x = np.linspace(-40, 40, 161)
    # A head that has learned: nearly all probability on the two-hot code of x.
    logits = np.log(0.999 * dense_target(variant, x) + 1e-30).astype(np.float32)
    probs = np.exp(logits.astype(np.float64))
    plain = probs / probs.sum(-1, keepdims=True) @ code.bins.astype(np.float64)
    if variant == "v1":
        plain = np.sign(plain) * np.expm1(np.abs(plain))
    np.testing.assert_allclose(code.mean(logits), plain, rtol=2e-5, atol=2e-5)


@both
@pytest.mark.parametrize("size", [1e-4, 1e-2, 1.0])
def test_mean_of_nearly_symmetric_logits_is_not_rounding(variant, size):
    """As a new head has them: far bins are never the target, and fall alike on both sides.

    Rounded probabilities, subtracted, would leave errors of 0.001 to 0.3 where means are smaller.
    """
    rng, middle = np.random.default_rng(0), NUM_BINS // 2
    half = size * rng.normal(size=(500, middle))
    opposite = half[:, ::-1] * (1 + 1e-7 * rng.normal(size=half.shape))
    logits = np.concatenate([half, np.zeros([500, 1]), opposite], 1).astype(np.float32)
    weights, bins = np.exp(np.float64(logits)), np.float64(CODES[variant].bins)
    surplus = weights[:, middle + 1 :] - weights[:, middle - 1 :: -1]
    mean = surplus @ bins[middle + 1 :] / weights.sum(1)
    if variant == "v1":
        mean = np.sign(mean) * np.expm1(np.abs(mean))
    found = CODES[variant].mean(tf.constant(logits))
    np.testing.assert_allclose(found, mean, atol=1e-4 * mean.std())


@both
def test_gradient_of_mean(variant):
    code = CODES[variant]
    logits = tf.constant(np.random.default_rng(1).normal(size=(6, NUM_BINS)), tf.float32)
    # Away from the outer bins: in float32 their share would drown all others in both formulas.
    logits -= tf.constant(0.02 * np.square(np.arange(NUM_BINS) - 127.0), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        mean = code.mean(logits)
        plain = tf.linalg.matvec(tf.nn.softmax(logits), code.bins)
        if variant == "v1":
            plain = tf.sign(plain) * tf.math.expm1(tf.abs(plain))
    np.testing.assert_allclose(
        tape.gradient(mean, logits), tape.gradient(plain, logits), rtol=1e-3, atol=1e-6
    )


@both
def test_loss_vector(variant):
    inputs, expected, rtol, atol = case(f"twohot_loss_{variant}")
    logits = tf.tile(inputs["logits"][None], [len(inputs["target"]), 1])
    loss = CODES[variant].loss(logits, tf.constant(inputs["target"]))
    np.testing.assert_allclose(loss, expected["loss"], rtol, atol)


@both
def test_loss_at_initialisation(variant):
    expected = case("uniform_init_losses").expected
    target = tf.constant([0.0, 1.0, -57.3, 1e12])
    logits = tf.zeros([4, NUM_BINS])
    loss = CODES[variant].loss(logits, target)
    np.testing.assert_allclose(loss, np.full(4, expected["xent"]), rtol=2e-6)
    with_regularizer = loss + CODES[variant].loss(logits, CODES[variant].mean(logits))
    np.testing.assert_allclose(
        with_regularizer, np.full(4, expected["critic_total_with_slowreg"]), rtol=2e-6
    )


@pytest.mark.compiled
@both
def test_loss_and_gradient_agree_with_a_dense_target(variant):
    rng = np.random.default_rng(2)
    x = np.concatenate([numbers_of_all_sizes(100), [0.0, 1e12, -1e12, -1.0]]).astype(np.float32)
    dense = dense_target(variant, x).astype(np.float32)
    logits = tf.constant(rng.normal(size=(len(x), NUM_BINS)) * 3, tf.float32)
    upstream = tf.constant(rng.normal(size=len(x)), tf.float32)

    @tf.function
    def by_gather(logits, target):
        with tf.GradientTape() as tape:
            tape.watch([logits, target])
            loss = CODES[variant].loss(logits, target)
        return loss, *tape.gradient(loss, [logits, target], upstream)

    with tf.GradientTape() as tape:
        tape.watch(logits)
        expected = tf.nn.softmax_cross_entropy_with_logits(dense, logits)
    loss, by_logits, by_target = by_gather(logits, tf.constant(x))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_allclose(by_logits, tape.gradient(expected, logits, upstream), atol=4e-4)
    assert by_target is None


@both
def test_losses_against_two_targets_and_their_gradient(variant):
    """In one pass as one by one; the targets are mixed up in no row, the upstreams neither."""
    rng = np.random.default_rng(3)
    logits = tf.constant(rng.normal(size=(2, 3, NUM_BINS)), tf.float32)
    targets = [tf.constant(rng.normal(scale=9, size=(2, 3)), tf.float32) for _ in range(2)]
    upstreams = [tf.constant(rng.normal(size=(2, 3)), tf.float32) for _ in range(2)]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        together = CODES[variant].losses(logits, *targets)
    with tf.GradientTape() as plain_tape:
        plain_tape.watch(logits)
        dense = [dense_target(variant, x.numpy().ravel()).reshape(2, 3, -1) for x in targets]
        plain = [tf.nn.softmax_cross_entropy_with_logits(x, logits) for x in dense]
    np.testing.assert_allclose(together, plain, rtol=1e-4)
    np.testing.assert_allclose(
        tape.gradient(together, logits, upstreams),
        plain_tape.gradient(plain, logits, upstreams),
        atol=4e-4,
    )


@both
def test_gradient_rows_of_the_loss_add_up_to_zero(variant):
    logits = tf.zeros([3, NUM_BINS])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = CODES[variant].loss(logits, tf.constant([0.3, -1e12, 1e12]))
    np.testing.assert_allclose(
        tf.reduce_sum(tape.gradient(loss, logits), -1), np.zeros(3), atol=1e-6
    )


@both
def test_loss_of_extreme_logits_is_finite(variant):
    logits = np.zeros((2, NUM_BINS), np.float32)
    logits[:, 127] = [1e4, -1e4]
    loss = CODES[variant].loss(tf.constant(logits), tf.zeros(2))
    np.testing.assert_allclose(loss, [0.0, 1e4 + np.log(254)], rtol=1e-6)


@pytest.mark.compiled
@both
@pytest.mark.parametrize("target", [np.nan, np.inf, -np.inf])
def test_loss_of_a_target_that_is_not_finite_is_not_a_number(variant, target):
    """A reward that is NaN would otherwise train the head for its outermost bin."""
    logits = tf.zeros([3, NUM_BINS])
    loss = tf.function(CODES[variant].loss)(logits, tf.constant([1.0, target, 2.0]))
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


@pytest.mark.compiled
@both
def test_unknown_batch_shape(variant):
    code = CODES[variant]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, NUM_BINS], tf.float32),
            tf.TensorSpec([None, None], tf.float32),
        ]
    )
    def run(logits, target):
        return code.loss(logits, target), code.mean(logits), *code.encode(target)

    rng = np.random.default_rng(3)
    logits = rng.normal(size=(3, 5, NUM_BINS)).astype(np.float32)
    target = rng.normal(size=(3, 5)).astype(np.float32)
    loss, mean, lower, *_ = run(logits, target)
    flat = code.loss(tf.reshape(logits, [-1, NUM_BINS]), tf.reshape(target, [-1]))
    np.testing.assert_allclose(loss, np.reshape(flat, (3, 5)), rtol=1e-6)
    assert mean.shape == lower.shape == (3, 5)


@both
def test_loss_refuses_targets_in_another_order(variant):
    with pytest.raises(ValueError, match="incompatible"):
        CODES[variant].loss(tf.zeros([3, 5, NUM_BINS]), tf.zeros([5, 3]))


def test_make_two_hot():
    assert isinstance(make_two_hot("symlog"), SymlogTwoHot)
    assert isinstance(make_two_hot("symexp"), SymexpTwoHot)
    with pytest.raises(ConfigError, match="'symlog'"):
        make_two_hot("symlg")
