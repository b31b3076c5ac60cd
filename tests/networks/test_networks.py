"""Layers, encoder, decoder, heads, and the weights of whole models."""

import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.math.scalars import symlog
from rllib_dreamerv3.networks.cnn import BlockStem, PooledDown
from rllib_dreamerv3.networks.decoder import Decoder
from rllib_dreamerv3.networks.encoder import Encoder, centred_image, vector_target
from rllib_dreamerv3.networks.heads import Actor, ContinueHead, TwoHotHead
from rllib_dreamerv3.networks.model import PolicyModel, get_weights, set_weights
from rllib_dreamerv3.networks.state import State
from rllib_dreamerv3.options.model_sizes import LayerStyle, model_settings
from rllib_dreamerv3.spaces.layout import Categorical, Image, ObservationLayout, Vector

NANO = synthetic.NANO
NANO_V2 = model_settings("nano", "v2")
NO_SYMLOG = dataclasses.replace(NANO, symlog_vectors=False)


def rng():
    return np.random.default_rng(0)


def tensors(columns):
    return {name: tf.constant(x) for name, x in columns.items()}


# Encoder


def test_encoder_pixel_vector():
    inputs, expected, rtol, atol = case("reconstruction_loss")
    pixels = tf.constant(inputs["pixels"].astype(np.uint8).reshape(1, 1, 1, 3))
    entering = centred_image(pixels, 0.0, 255.0, "float32")
    np.testing.assert_allclose(
        tf.reshape(entering, [-1]), expected["encoder_pixel_input"], rtol, atol
    )


def test_grey_is_zero_to_the_encoder():
    """Pixels enter as x / 255 - 0.5, and nothing has a bias before its norm."""
    layout = ObservationLayout((Image("obs/i", 16, 16, 2, low=0.0, high=255.0, dtype="float32"),))
    encoder = Encoder(layout, NANO, rng())
    tokens = encoder({"obs/i": tf.fill([2, 16, 16, 2], 127.5)})
    np.testing.assert_array_equal(tokens, np.zeros((2, encoder.width)))


def test_bounds_scale_images():
    as_bytes = ObservationLayout((Image("obs/i", 16, 16, 3),))
    as_floats = ObservationLayout((Image("obs/i", 16, 16, 3, low=-1.0, high=1.0, dtype="float32"),))
    pixels = synthetic.columns(as_bytes, 3)["obs/i"]
    tokens = [
        Encoder(layout, NANO, rng())({"obs/i": tf.constant(values)})
        for layout, values in (
            (as_bytes, pixels),
            (as_floats, (pixels / 127.5 - 1).astype(np.float32)),
        )
    ]
    np.testing.assert_allclose(*tokens, atol=1e-4)
    assert np.std(tokens[0], 0).max() > 0.01


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128])
def test_cnn_takes_powers_of_two(side):
    layout = ObservationLayout((Image("obs/i", side, side, 3),))
    encoder, decoder = Encoder(layout, NANO, rng()), Decoder(layout, NANO, rng())
    tokens = encoder(tensors(synthetic.columns(layout, 2)))
    # 4 x 4 pixels are left, of depth 2 doubled at each further stage: side / 8 times in all.
    assert tokens.shape == (2, encoder.width) == (2, 4 * 4 * NANO.cnn_depth * side // 8)
    assert np.std(tokens, 0).max() > 0
    images = decoder(synthetic.states(NANO, 2))
    assert images["obs/i"].shape == (2, side, side, 3)


@pytest.mark.parametrize(("side", "left"), [(48, 3), (64, 4), (96, 6), (256, 16)])
def test_pooled_cnn_takes_multiples_of_16(side, left):
    layout = ObservationLayout((Image("obs/i", side, side, 1),))
    encoder, decoder = Encoder(layout, NANO_V2, rng()), Decoder(layout, NANO_V2, rng())
    tokens = encoder(tensors(synthetic.columns(layout, 2)))
    assert tokens.shape == (2, encoder.width) == (2, left * left * 4 * NANO_V2.cnn_depth)
    assert np.std(tokens, 0).max() > 0
    images = decoder(synthetic.states(NANO_V2, 2))["obs/i"]
    assert images.shape == (2, side, side, 1)
    assert np.std(images, 0).max() > 0


def test_pooled_convolution_is_convolution_pool_norm():
    stage = PooledDown(2, 6, LayerStyle(norm="rms", hidden_bias=True), rng())
    synthetic.scramble(stage)
    x = synthetic.uniform(2, 4, 8, 2)
    y = tf.nn.conv2d(x, stage.kernel, 1, "SAME") + stage.activation.bias
    pooled = tf.reduce_max(tf.reshape(y, [2, 2, 2, 4, 2, 6]), [2, 4])
    deviation = tf.sqrt(tf.reduce_mean(pooled**2, -1, keepdims=True) + 1e-4)
    expected = tf.nn.silu(pooled / deviation * stage.activation.scale)
    np.testing.assert_allclose(stage(x), expected, atol=1e-5)


def test_block_stem_groups_channels_by_blocks():
    """With z's share at zero, block i of h decides channel group i of every pixel."""
    stem = BlockStem(NANO_V2, 4, 16, rng())
    stem.from_z.kernel.assign(tf.zeros_like(stem.from_z.kernel))
    state = synthetic.states(NANO_V2, 2)
    before = stem.from_h(state.h)
    h = state.h.numpy()
    h[:, :2] += 1.0  # The first of eight blocks of two.
    changed = np.abs(stem.from_h(tf.constant(h)) - before).reshape(2, 8, 4, 4, 2).max((0, 2, 3, 4))
    assert changed[0] > 0.01
    np.testing.assert_array_equal(changed[1:], 0)
    # Undo SiLU and norm by comparing which channels move most: those of group 0.
    picture, moved = stem(state).numpy(), stem(state._replace(h=tf.constant(h))).numpy()
    moves = np.abs(moved - picture).reshape(2, 4, 4, 8, 2).mean((0, 1, 2, 4))
    assert moves.argmax() == 0


@pytest.mark.parametrize(
    ("height", "width"), [(4, 4), (48, 48), (96, 96), (84, 84), (64, 32), (210, 160), (1, 1)]
)
def test_other_images_are_refused(height, width):
    layout = ObservationLayout((Image("obs/camera", height, width, 3),))
    for network in (Encoder, Decoder):
        with pytest.raises(SpaceError, match=f"'obs/camera' is {height}x{width}.*image_size"):
            network(layout, NANO, rng())


def test_images_of_two_sizes_are_refused():
    layout = ObservationLayout((Image("obs/a", 64, 64, 3), Image("obs/b", 32, 32, 3)))
    with pytest.raises(SpaceError, match=r"'obs/a' is 64x64 and 'obs/b' is 32x32.*image_size"):
        Encoder(layout, NANO, rng())


def test_vectors_enter_through_symlog_if_told_so():
    layout, columns = synthetic.VECTOR, tensors(synthetic.columns(synthetic.VECTOR, 4))
    squashed = {name: symlog(x) for name, x in columns.items()}
    through_symlog = Encoder(layout, NANO, rng())(columns)
    raw = Encoder(layout, NO_SYMLOG, rng())
    np.testing.assert_allclose(through_symlog, raw(squashed), atol=1e-6)
    assert np.abs(raw(columns) - through_symlog).max() > 0.01


def test_vector_targets():
    vector, categorical = Vector("obs/v", 2), Categorical("obs/c", (3, 2))
    numbers, classes = tf.constant([[10.0, -1.0]]), tf.constant([[2, 0]])
    np.testing.assert_array_equal(vector_target(vector, numbers, NO_SYMLOG), numbers)
    np.testing.assert_allclose(
        vector_target(vector, numbers, NANO), [[np.log(11), -np.log(2)]], rtol=1e-6
    )
    one_hot = np.array([[0.0, 0.0, 1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(vector_target(categorical, classes, NO_SYMLOG), one_hot)
    np.testing.assert_allclose(vector_target(categorical, classes, NANO), one_hot * np.log(2))
    # Predicted as classes, they are no numbers and need no symlog.
    np.testing.assert_array_equal(vector_target(categorical, classes, NANO_V2), one_hot)


def test_every_leaf_reaches_the_tokens():
    layout = synthetic.EVERYTHING
    encoder = Encoder(layout, NANO, rng())
    columns = synthetic.columns(layout, 2)
    tokens = encoder(tensors(columns))
    assert tokens.shape == (2, encoder.width)
    others = synthetic.columns(layout, 2, seed=1)
    for leaf in layout.leaves:
        changed = encoder(tensors({**columns, leaf.key: others[leaf.key]}))
        assert np.abs(changed - tokens).max() > 1e-3, leaf.key


# Decoder


def test_decoder_predicts_every_leaf_at_its_own_key():
    layout = synthetic.EVERYTHING
    predictions = Decoder(layout, NANO, rng())(synthetic.states(NANO, 3))
    assert {key: tuple(x.shape) for key, x in predictions.items()} == {
        "obs/a": (3, 2),
        "obs/b": (3, 16, 16, 3),
        "obs/c": (3, 3 + 2),
        "obs/d": (3, 16, 16, 1),
        "obs/e": (3, 1),
    }
    assert all(np.std(x, 0).max() > 0 for x in predictions.values())


def test_decoder_without_weights_predicts_grey_and_zero():
    decoder = Decoder(synthetic.EVERYTHING, NANO, rng())
    for variable in decoder.variables:
        variable.assign(tf.zeros_like(variable))
    for x in decoder(synthetic.states(NANO, 2)).values():
        np.testing.assert_array_equal(x, np.full(x.shape, 0.5 if x.shape.rank == 4 else 0.0))


def test_decoded_images_are_not_squashed():
    decoder = Decoder(synthetic.IMAGE, NANO, rng())
    for variable in decoder.variables:
        variable.assign(variable * 30)
    image = decoder(synthetic.states(NANO, 4))["obs/camera"].numpy()
    assert image.min() < -1
    assert image.max() > 2


def test_decoded_images_of_the_2025_code_are_squashed():
    layout = ObservationLayout((Image("obs/camera", 48, 48, 3),))
    decoder = Decoder(layout, NANO_V2, rng())
    for variable in decoder.variables:
        variable.assign(variable * 30)
    image = decoder(synthetic.states(NANO_V2, 4))["obs/camera"].numpy()
    assert 0 <= image.min() < 0.1
    assert 0.9 < image.max() <= 1


# Heads


def test_reward_and_critic_logits_are_zero_at_the_start():
    logits = TwoHotHead(NANO, 1, rng())(synthetic.states(NANO, 3))
    np.testing.assert_array_equal(logits, np.zeros((3, 255)))


def test_continue_and_actor_are_not_constant_at_the_start():
    state = synthetic.states(NANO, 50)
    continues = ContinueHead(NANO, rng())(state)
    assert continues.shape == (50,)
    assert np.std(continues) > 0.01
    actor = Actor(NANO, synthetic.MIXED, rng())
    assert np.std(actor(state).mode(), 0).max() > 0.01
    assert actor(state).entropy().shape == (50,)


def heads():
    yield "two-hot", TwoHotHead(NANO, 1, rng()), lambda y: y
    yield "continue", ContinueHead(NANO, rng()), lambda y: y
    actor = Actor(NANO, synthetic.CONTINUOUS, rng())
    yield "actor", actor, lambda y: tf.concat([y.mode(), y.entropy()[:, None]], -1)
    decoder = Decoder(synthetic.EVERYTHING, NANO, rng())
    yield "decoder", decoder, lambda y: tf.concat([tf.reshape(x, [-1]) for x in y.values()], 0)


@pytest.mark.parametrize(("head", "read"), [pytest.param(h, r, id=i) for i, h, r in heads()])
def test_index_and_dense_states_give_the_same_outputs_and_gradients(head, read):
    """The sum of kernel rows is the product with one-hot vectors, forwards and backwards."""
    synthetic.scramble(head)
    index_only = synthetic.states(NANO, 9)
    results = []
    for state in (index_only, index_only.with_dense_z(NANO.classes)):
        with tf.GradientTape() as tape:
            tape.watch(state.h)
            y = read(head(state))
            loss = tf.reduce_sum(tf.sin(y))
        results.append([y, *tape.gradient(loss, [state.h, *head.trainable_variables])])
    for (position, a), b in zip(enumerate(results[0]), results[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=str(position))


def test_gradient_of_a_state_as_data():
    state = synthetic.states(NANO, 2).with_dense_z(NANO.classes)
    head = TwoHotHead(NANO, 1, rng())
    synthetic.scramble(head)
    with tf.GradientTape() as tape:
        tape.watch([state.h, state.z])
        loss = tf.reduce_sum(head(state.stop_gradient()) ** 2)
    assert tape.gradient(loss, [state.h, state.z]) == [None, None]


def test_first_states_of_a_stack():
    state = synthetic.states(NANO, 5)
    np.testing.assert_array_equal(state.first(2).h, state.h[:2])
    np.testing.assert_array_equal(state.first(2).index, state.index[:2])
    assert state.first(2).z is None
    assert isinstance(state.first(2), State)


# Weights of whole models


def test_weights_depend_on_the_seed_alone():
    first, again, other = (
        get_weights(synthetic.model(synthetic.EVERYTHING, synthetic.MIXED, seed=seed))
        for seed in (0, 0, 1)
    )
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    kernels = [name for name in first if name.endswith("kernel") and np.any(first[name])]
    assert kernels
    assert not any(np.array_equal(first[name], other[name]) for name in kernels)


def test_slow_critic_starts_as_a_copy():
    weights = get_weights(synthetic.model(synthetic.VECTOR, synthetic.DISCRETE))
    slow = {name: x for name, x in weights.items() if name.startswith("slow_critic/")}
    assert slow
    for name, value in slow.items():
        np.testing.assert_array_equal(value, weights[name.removeprefix("slow_")])


def test_weights_carry_over():
    source, target = (
        synthetic.model(synthetic.EVERYTHING, synthetic.MIXED, seed=seed) for seed in (0, 1)
    )
    synthetic.scramble(source)
    set_weights(target, get_weights(source))
    for name, value in get_weights(source).items():
        np.testing.assert_array_equal(value, get_weights(target)[name])


def test_policy_needs_a_part_of_the_model_only():
    model = synthetic.model(synthetic.EVERYTHING, synthetic.MIXED)
    policy = PolicyModel.create(synthetic.EVERYTHING, synthetic.MIXED, NANO)
    names = policy.named_variables().keys()
    assert names < model.named_variables().keys()
    assert {name.split("/")[0] for name in names} == {"encoder", "rssm", "actor"}


def test_weights_of_another_model_are_refused_and_nothing_changes():
    policy = PolicyModel.create(synthetic.VECTOR, synthetic.DISCRETE, NANO, seed=0)
    before = get_weights(policy)
    other = get_weights(PolicyModel.create(synthetic.VECTOR, synthetic.MIXED, NANO, seed=1))
    with pytest.raises(ValueError, match=r"have shape .* but the model needs"):
        set_weights(policy, other)
    lacking = get_weights(PolicyModel.create(synthetic.VECTOR, synthetic.DISCRETE, NANO, seed=1))
    missing = lacking.popitem()[0]
    with pytest.raises(ValueError, match=f"lack '{missing}'"):
        set_weights(policy, lacking)
    for name, value in get_weights(policy).items():
        np.testing.assert_array_equal(value, before[name])
