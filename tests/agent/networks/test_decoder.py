import numpy as np
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.networks.decoder import Decoder
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2


def rng():
    return np.random.default_rng(0)


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
