import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.networks.cnn import BlockStem, PooledDown
from rllib_dreamerv3.agent.networks.decoder import Decoder
from rllib_dreamerv3.agent.networks.encoder import Encoder
from rllib_dreamerv3.errors import SpaceError
from rllib_dreamerv3.options.model_sizes import LayerStyle
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2


def rng():
    return np.random.default_rng(0)


def tensors(columns):
    return {name: tf.constant(x) for name, x in columns.items()}


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
