import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from vectors import case

from rllib_dreamerv3.agent.math import categorical

tfd = tfp.distributions
BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


def random_logits(*shape, seed=0):
    return (np.random.default_rng(seed).normal(size=shape) * 2).astype(np.float32)


def test_unimix_vector():
    inputs, expected, rtol, atol = case("unimix")
    log_probs = categorical.unimix(inputs["logits"], inputs["mix"])
    np.testing.assert_allclose(log_probs, expected["logp"], rtol, atol)
    np.testing.assert_allclose(np.exp(log_probs), expected["probs"], rtol, atol)
    np.testing.assert_allclose(categorical.entropy(log_probs), expected["entropy"], rtol, atol)


def test_discrete_actor_vector():
    inputs, expected, rtol, atol = case("discrete_actor")
    for mix, suffix in ((0.01, ""), (0.0, "_nomix")):
        log_probs = categorical.unimix(inputs["logits"], mix)
        np.testing.assert_allclose(
            log_probs[inputs["action"]], expected["logp" + suffix], rtol, atol
        )
        np.testing.assert_allclose(
            categorical.entropy(log_probs), expected["entropy" + suffix], rtol, atol
        )


def test_unimix_bounds_log_probs_of_extreme_logits():
    log_probs = categorical.unimix(tf.constant([[1e4, 0.0, -1e4, 0.0]]))
    np.testing.assert_allclose(np.exp(log_probs), [[0.9925, 0.0025, 0.0025, 0.0025]], rtol=1e-5)


def test_entropy_of_equal_logits():
    expected = case("uniform_init_losses").expected["ln17"]
    entropy = categorical.entropy(categorical.unimix(tf.zeros([2, 17])))
    np.testing.assert_allclose(entropy, [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("which", ["A", "B"])
def test_kl_vector(which):
    inputs, expected, rtol, atol = case("kl_unimix_free_bits")
    post, prior = (tf.constant(inputs[f"{side}_{which}"]) for side in ("post", "prior"))
    with tf.GradientTape() as tape:
        tape.watch([post, prior])
        log_post, log_prior = categorical.unimix(post), categorical.unimix(prior)
        kl = categorical.kl_divergence(log_post, log_prior)
        clipped = categorical.free_bits(kl)
    each = categorical.kl_divergence(log_post[:, None], log_prior[:, None])
    np.testing.assert_allclose(each, expected[f"kl_each_{which}"], rtol, atol)
    np.testing.assert_allclose(kl, expected[f"kl_{which}"], rtol, atol)
    np.testing.assert_allclose(clipped, expected[f"clipped_{which}"], rtol, atol)
    if which == "A":
        np.testing.assert_allclose(0.6 * clipped, expected["weighted_A_v1"], rtol, atol)
        np.testing.assert_allclose(1.1 * clipped, expected["weighted_A_v2"], rtol, atol)
    for gradient in tape.gradient(clipped, [post, prior]):
        assert np.any(gradient) == (which == "A")


def test_entropy_and_kl_agree_with_tfp():
    p, q = random_logits(5, 4, 8, seed=1), random_logits(5, 4, 8, seed=2)
    log_p, log_q = categorical.unimix(p), categorical.unimix(q)
    twin_p, twin_q = tfd.Categorical(logits=log_p), tfd.Categorical(logits=log_q)
    np.testing.assert_allclose(categorical.entropy(log_p), twin_p.entropy(), rtol=1e-5)
    np.testing.assert_allclose(
        categorical.kl_divergence(log_p, log_q),
        tfd.kl_divergence(tfd.Independent(twin_p, 1), tfd.Independent(twin_q, 1)),
        rtol=1e-5,
    )


def test_kl_gradients_agree_with_tfp():
    p, q = tf.constant(random_logits(6, 3, 5, seed=3)), tf.constant(random_logits(6, 3, 5, seed=4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([p, q])
        own = categorical.kl_divergence(categorical.unimix(p), categorical.unimix(q))
        mixed = [tfd.Categorical(probs=0.99 * tf.nn.softmax(x) + 0.01 / 5) for x in (p, q)]
        twin = tf.reduce_sum(tfd.kl_divergence(*mixed), -1)
    for x in (p, q):
        np.testing.assert_allclose(tape.gradient(own, x), tape.gradient(twin, x), atol=2e-6)


def test_kl_of_a_distribution_with_itself_is_zero():
    log_p = categorical.unimix(random_logits(3, 4, 8))
    np.testing.assert_array_equal(categorical.kl_divergence(log_p, log_p), np.zeros(3))


def test_free_bits_threshold():
    np.testing.assert_array_equal(
        categorical.free_bits(tf.constant([0.2, 3.0, 5.0]), 3.5), [3.5, 3.5, 5.0]
    )


def test_straight_through_is_one_hot_with_the_gradient_of_the_probabilities():
    logits = tf.constant(random_logits(50, 8))
    one_hot = tf.one_hot(tf.range(50) % 8, 8)
    weights = tf.constant(random_logits(50, 8, seed=5))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        probs = tf.nn.softmax(logits)
        sample = categorical.straight_through(one_hot, probs)
        loss, reference = tf.reduce_sum(weights * sample), tf.reduce_sum(weights * probs)
    np.testing.assert_array_equal(sample, one_hot)
    np.testing.assert_array_equal(tape.gradient(loss, logits), tape.gradient(reference, logits))


def test_straight_through_takes_nothing_from_the_probabilities_but_their_gradient():
    one_hot, probs = tf.one_hot([2], 4), tf.fill([1, 4], np.nan)
    with tf.GradientTape() as tape:
        tape.watch([one_hot, probs])
        sample = categorical.straight_through(one_hot, probs)
    np.testing.assert_array_equal(sample, one_hot)
    by_one_hot, by_probs = tape.gradient(sample, [one_hot, probs])
    assert by_one_hot is None
    np.testing.assert_array_equal(by_probs, np.ones([1, 4]))


def test_unimix_over_allowed_classes():
    logits = tf.constant(random_logits(20, 5, seed=7))
    allowed = tf.constant(np.random.default_rng(8).random((20, 5)) < 0.4) | (tf.range(5) == 3)
    probs = categorical.unimix_probs(logits, 0.1, allowed).numpy()
    for row, mask, x in zip(probs, allowed.numpy(), logits.numpy(), strict=True):
        assert (row[~mask] == 0).all()
        expected = categorical.unimix_probs(x[mask], 0.1)
        np.testing.assert_allclose(row[mask], expected, rtol=1e-5)
    log_probs = categorical.unimix(logits, 0.1, allowed)
    np.testing.assert_allclose(log_probs, np.log(np.maximum(probs, 1e-30)), rtol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 6, 32, 64, 96])
def test_sampling_inverts_the_cumulative_distribution(classes):
    rng = np.random.default_rng(classes)
    probs = rng.dirichlet(np.full(classes, 0.3), size=(20, 7)).astype(np.float32)
    uniform = rng.random((20, 7), np.float32)
    sample = np.asarray(categorical.inverse_cdf_sample(probs, uniform))
    assert sample.dtype == np.int32
    cumulative = np.cumsum(probs.astype(np.float64), -1)
    cumulative /= cumulative[..., -1:]
    rounding = 1e-5
    at = np.take_along_axis(cumulative, sample[..., None], -1)[..., 0]
    before = at - np.take_along_axis(probs, sample[..., None], -1)[..., 0]
    assert (uniform < at + rounding).all()
    assert (uniform >= before - rounding).all()


def test_frequencies_of_samples():
    draws = 200_000
    probs = np.array([0.02, 0.3, 0.0, 0.08, 0.25, 0.1, 0.2, 0.05], np.float32)
    uniform = tf.random.stateless_uniform([draws], seed=[1, 2])
    sample = categorical.inverse_cdf_sample(tf.tile(probs[None], [draws, 1]), uniform)
    counts = np.bincount(sample, minlength=8)
    assert counts[2] == 0
    possible = probs > 0
    mean = draws * probs[possible].astype(np.float64)
    chi_square = np.sum((counts[possible] - mean) ** 2 / mean)
    assert chi_square < 22.5  # 0.999 quantile of 6 degrees of freedom


def test_neighbouring_categoricals_are_independent():
    uniform = tf.random.stateless_uniform([20_000, 4], seed=[3, 4])
    sample = categorical.inverse_cdf_sample(tf.fill([20_000, 4, 2], 0.5), uniform)
    correlation = np.corrcoef(np.asarray(sample).T)
    np.testing.assert_allclose(correlation, np.eye(4), atol=0.03)


@pytest.mark.parametrize("total", [1.0, 0.99999, 1.00001, 0.3])
@pytest.mark.parametrize("uniform", [0.0, 0.5, BELOW_ONE, 1.0])
def test_impossible_classes_are_never_sampled(uniform, total):
    rng = np.random.default_rng(6)
    probs = rng.random((500, 32), np.float32) * (rng.random((500, 32)) < 0.3)
    probs[:, 10] += 0.01
    probs[:, [0, 1, 30, 31]] = 0.0
    probs *= total / probs.sum(-1, keepdims=True)
    sample = np.asarray(categorical.inverse_cdf_sample(probs, np.full(500, uniform, np.float32)))
    assert ((sample >= 0) & (sample < 32)).all()
    assert (probs[np.arange(500), sample] > 0).all()


def test_ends_of_the_unit_interval_give_the_first_and_last_possible_class():
    probs = tf.tile([[0.0, 0.5, 0.25, 0.25, 0.0]], [4, 1])
    sample = categorical.inverse_cdf_sample(probs, tf.constant([0.0, 0.5, BELOW_ONE, 1.0]))
    np.testing.assert_array_equal(sample, [1, 2, 3, 3])


@pytest.mark.compiled
def test_sampling_with_unknown_batch_shape():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 4, 8], tf.float32),
            tf.TensorSpec([None, 4], tf.float32),
        ]
    )
    def run(probs, uniform):
        sample = categorical.inverse_cdf_sample(probs, uniform)
        assert sample.shape.as_list() == [None, 4]
        return sample

    probs = np.exp(categorical.unimix(random_logits(9, 4, 8)))
    uniform = np.random.default_rng(0).random((9, 4), np.float32)
    np.testing.assert_array_equal(
        run(probs, uniform), categorical.inverse_cdf_sample(probs, uniform)
    )


def test_samples_of_many_classes_need_no_matrix_of_all_pairs():
    classes = 10_000
    probs = tf.nn.softmax(random_logits(3, classes))
    uniform = tf.constant([0.0, 0.5, BELOW_ONE])
    sample = tf.function(categorical.inverse_cdf_sample)
    found = sample(probs, uniform)
    cumulative = np.cumsum(probs.numpy().astype(np.float64), -1)
    cumulative /= cumulative[:, -1:]
    expected = [
        np.searchsorted(row, x, "right") for row, x in zip(cumulative, uniform, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1)
    graph = sample.get_concrete_function(probs, uniform).graph.as_graph_def()
    assert graph.ByteSize() < classes
