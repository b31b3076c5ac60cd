import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.losses.world_model import (
    continue_loss,
    image_loss,
    observation_losses,
    records_at_a_time,
    vector_loss,
    world_model_losses,
)
from rllib_dreamerv3.agent.math.categorical import unimix
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.world_model import WorldModelOutput
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import IS_TERMINAL, REWARD
from rllib_dreamerv3.spaces.layout import Categorical, Image, ObservationLayout, Vector

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2
TWO_HOT = make_two_hot("symlog")


def losses_of(output, records, layout, settings=NANO, **options):
    return world_model_losses(
        output, synthetic.flat(records), layout, TWO_HOT, settings, LearningOptions(**options)
    )


def forward(
    layout,
    actions=synthetic.DISCRETE,
    settings=NANO,
    rows=3,
    length=4,
    scramble=True,
    **kwargs,
):
    """A model, its tape (persistent) and its losses on a random batch."""
    model = synthetic.model(layout, actions, settings)
    if scramble:
        synthetic.scramble(model)
    records = synthetic.batch(layout, actions, rows, length)
    uniform = synthetic.uniform(rows, length, NANO.categoricals)
    with tf.GradientTape(persistent=True) as tape:
        output = synthetic.predicted(model, records, uniform)
        losses = losses_of(output, records, layout, settings, **kwargs)
    return model, tape, output, losses, records


both_variants = pytest.mark.parametrize("settings", [NANO, NANO_V2], ids=["v1", "v2"])


# Single losses


@pytest.mark.parametrize(("variant", "label"), [("v1", 1.0), ("v2", 1.0 - 1.0 / 333.0)])
def test_continue_vector(variant, label):
    inputs, expected, rtol, atol = case("continue_loss")
    loss = continue_loss(tf.constant(inputs["logit"], tf.float32), inputs["is_terminal"], label)
    np.testing.assert_allclose(loss, expected[variant], rtol, atol)


def test_discount_as_continue_label_is_what_the_head_learns():
    """The loss is least where the predicted probability is the discount."""
    probabilities = np.linspace(0.9, 0.999, 100)
    logits = tf.constant(np.log(probabilities / (1 - probabilities)), tf.float32)
    losses = continue_loss(logits, tf.fill([100], False), 0.97).numpy()
    np.testing.assert_allclose(probabilities[losses.argmin()], 0.97, atol=1e-3)


def test_reconstruction_vector():
    inputs, expected, rtol, atol = case("reconstruction_loss")
    layout = ObservationLayout((Vector("obs/v", 4), Image("obs/i", 1, 1, 3)))
    columns = {
        "obs/v": tf.constant(inputs["obs"][None]),
        "obs/i": tf.constant(inputs["pixels"].astype(np.uint8).reshape(1, 1, 1, 3)),
    }
    predictions = {
        "obs/v": tf.constant(inputs["pred"][None]),
        "obs/i": tf.constant(inputs["pixel_pred"].reshape(1, 1, 1, 3)),
    }
    losses = observation_losses(predictions, columns, layout, NANO)
    np.testing.assert_allclose(losses["obs/v"], [expected["vector"]], rtol, atol)
    np.testing.assert_allclose(losses["obs/i"], [expected["image"]], rtol, atol)
    without = dataclasses.replace(NANO, symlog_obs=False)
    raw = observation_losses(predictions, columns, layout, without)
    by_hand = np.square(inputs["pred"] - inputs["obs"]).sum()
    np.testing.assert_allclose(raw["obs/v"], [by_hand], rtol)


def test_classes_are_predicted_by_variant():
    """As one-hot numbers through symlog with a squared error, or with a cross-entropy."""
    layout = ObservationLayout((Categorical("obs/c", (3, 2)),))
    columns = {"obs/c": tf.constant([[2, 0], [1, 1]])}
    predictions = np.random.default_rng(0).normal(size=(2, 5))
    one_hots = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]])
    given = {"obs/c": tf.constant(predictions, tf.float32)}
    squared = np.square(predictions - np.log1p(one_hots)).sum(-1)
    loss = observation_losses(given, columns, layout, NANO)["obs/c"]
    np.testing.assert_allclose(loss, squared, rtol=1e-5)
    parts = (predictions[:, :3], one_hots[:, :3]), (predictions[:, 3:], one_hots[:, 3:])
    cross_entropy = sum(np.log(np.exp(x).sum(-1)) - (x * target).sum(-1) for x, target in parts)
    loss = observation_losses(given, columns, layout, NANO_V2)["obs/c"]
    np.testing.assert_allclose(loss, cross_entropy, rtol=1e-5)


def test_tiny_errors_of_vectors_do_not_count():
    prediction = tf.constant([[1.00005, 2.0, 3.0], [1.0, 2.1, 3.00005]])
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        loss = vector_loss(prediction, tf.constant([[1.0, 2.0, 3.0]] * 2))
    np.testing.assert_allclose(loss, [0.0, 0.01], rtol=1e-4)
    np.testing.assert_allclose(tape.gradient(loss, prediction), [[0, 0, 0], [0, 0.2, 0]], 1e-4)


def test_image_loss_scales_by_the_bounds_and_sums():
    image = tf.constant([[[[-1.0], [0.0]], [[1.0], [1.0]]]])
    np.testing.assert_allclose(image_loss(tf.zeros([1, 2, 2, 1]), image, -1.0, 1.0), [2.25])


@pytest.mark.parametrize(("dtype", "records"), [("float32", 256), ("bfloat16", 512)])
def test_images_are_decoded_in_slices_of_bounded_memory(dtype, records):
    settings = dataclasses.replace(NANO, compute_dtype=dtype)
    for side, images, factor in ((64, 1, 1), (64, 2, 1 / 2), (128, 1, 1 / 4), (16, 1, 16)):
        leaves = tuple(Image(f"obs/{i}", side, side, 3) for i in range(images))
        found = records_at_a_time(ObservationLayout((Vector("obs/v", 4), *leaves)), settings)
        assert found == records * factor
    assert records_at_a_time(ObservationLayout((Image("obs/i", 4096, 4096, 3),)), settings) == 1
    assert records_at_a_time(synthetic.VECTOR, settings) is None


# All losses together


@pytest.mark.parametrize(("which", "gradient"), [("A", True), ("B", False)])
def test_kl_vector(which, gradient):
    inputs, expected, rtol, atol = case("kl_unimix_free_bits")
    post, prior = (tf.constant(inputs[f"{side}_{which}"][None]) for side in ("post", "prior"))
    layout = ObservationLayout((Vector("obs/v", 1),))
    records = {
        "obs/v": tf.zeros([1, 1, 1]),
        REWARD: tf.zeros([1, 1]),
        IS_TERMINAL: tf.zeros([1, 1], bool),
    }
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([post, prior])
        output = WorldModelOutput(
            state=synthetic.states(NANO, 1),
            posterior=unimix(post),
            prior=unimix(prior),
            observations={"obs/v": tf.zeros([1, 1])},
            reward_logits=tf.zeros([1, 255]),
            continue_logits=tf.zeros([1]),
        )
        losses = losses_of(output, records, layout)
        only_kl = tf.reduce_mean(losses.weighted(LearningOptions(prediction_loss_scale=0.0)))
    np.testing.assert_allclose(losses.kl, [expected[f"kl_{which}"]], rtol, atol)
    for clipped in (losses.dynamics, losses.representation):
        np.testing.assert_allclose(clipped, [expected[f"clipped_{which}"]], rtol, atol)
    weighted = expected["weighted_A_v1"] if which == "A" else 0.5 + 0.1
    np.testing.assert_allclose(only_kl, weighted, rtol, atol)
    only_kl = tf.reduce_mean(
        losses.weighted(LearningOptions(prediction_loss_scale=0.0, dynamics_loss_scale=1.0))
    )
    weighted = expected["weighted_A_v2"] if which == "A" else 1.0 + 0.1
    np.testing.assert_allclose(only_kl, weighted, rtol, atol)
    for loss, reached, stopped in (
        (losses.dynamics, prior, post),
        (losses.representation, post, prior),
    ):
        assert not np.any(tape.gradient(loss, stopped, unconnected_gradients="zero"))
        assert bool(np.any(tape.gradient(loss, reached))) is gradient
    assert tape.gradient(losses.kl, [post, prior]) == [None, None]


@both_variants
def test_initial_losses(settings):
    expected, rtol = case("uniform_init_losses").expected, 1e-6
    *_, losses, records = forward(synthetic.VECTOR, settings=settings, scramble=False)
    np.testing.assert_allclose(losses.reward, np.full(12, expected["xent"]), rtol)
    assert np.any(records[REWARD])


@pytest.mark.parametrize(
    ("layout", "settings", "label"),
    [(synthetic.EVERYTHING, NANO, 1.0), (synthetic.EVERYTHING_48, NANO_V2, 0.9)],
    ids=["v1", "v2"],
)
def test_each_record_counts_once_and_the_total_is_their_mean(layout, settings, label):
    options = LearningOptions(
        prediction_loss_scale=0.7, dynamics_loss_scale=0.3, representation_loss_scale=0.2
    )
    _, _, output, losses, records = forward(
        layout, settings=settings, gamma=0.9, discount_in_continue=label == 0.9
    )
    assert losses.observations.keys() == {leaf.key for leaf in layout.leaves}
    parts = [*losses.observations.values(), losses.reward, losses.cont]
    for part in (*parts, losses.dynamics, losses.representation, losses.kl):
        assert part.shape == (12,)
    prediction = sum(part.numpy() for part in parts)
    np.testing.assert_allclose(losses.prediction, prediction, rtol=1e-5)
    total = 0.7 * prediction + 0.3 * losses.dynamics.numpy() + 0.2 * losses.representation.numpy()
    np.testing.assert_allclose(tf.reduce_mean(losses.weighted(options)), total.mean(), rtol=1e-5)
    # Record (b, t) is row b * T + t, in predictions as in columns.
    np.testing.assert_allclose(
        losses.reward, TWO_HOT.loss(output.reward_logits, tf.reshape(records[REWARD], [-1]))
    )
    terminal = tf.reshape(records[IS_TERMINAL], [-1])
    assert np.count_nonzero(terminal) == 1
    logits = output.continue_logits.numpy()
    target = np.where(terminal, 0.0, label)
    by_hand = target * np.log1p(np.exp(-logits)) + (1 - target) * np.log1p(np.exp(logits))
    np.testing.assert_allclose(losses.cont, by_hand, rtol=1e-5)


def test_rows_of_a_batch_do_not_mix():
    """The losses of a row are those it has alone."""
    model, _, _, together, records = forward(synthetic.EVERYTHING)
    uniform = synthetic.uniform(3, 4, NANO.categoricals)
    for b in range(3):
        alone = {name: x[b : b + 1] for name, x in records.items()}
        output = synthetic.predicted(model, alone, uniform[b : b + 1])
        losses = losses_of(output, alone, synthetic.EVERYTHING)
        part = slice(4 * b, 4 * b + 4)
        np.testing.assert_allclose(losses.prediction, together.prediction[part], rtol=1e-4)
        np.testing.assert_allclose(losses.kl, together.kl[part], rtol=1e-3, atol=1e-5)


@both_variants
def test_action_of_a_record_matters_to_the_next_one_only(settings):
    """And that of a last record not at all, nor that of a row's last record."""
    model, _, output, _, records = forward(synthetic.VECTOR, synthetic.CONTINUOUS, settings)
    uniform = synthetic.uniform(3, 4, NANO.categoricals)
    for t, first_change in ((1, 2), (3, None)):
        action = records["action"].numpy()
        action[:, t] += 0.5
        changed = synthetic.predicted(model, {**records, "action": tf.constant(action)}, uniform)
        differs = np.reshape(np.abs(changed.state.h - output.state.h).max(-1) > 1e-6, (3, 4))
        expected = np.zeros((3, 4), bool)
        if first_change is not None:
            expected[1:, first_change:] = True  # Row 0 is reset at record 2.
        np.testing.assert_array_equal(differs, expected)


def test_kl_below_the_free_bits_trains_nothing():
    model, tape, _, losses, _ = forward(synthetic.VECTOR, free_nats=1e3)
    for loss in (losses.dynamics, losses.representation):
        assert not synthetic.reached(tape, loss, model)
        np.testing.assert_array_equal(loss, np.full(12, 1e3))
    assert np.all(losses.kl < 1e3)
