import dataclasses

import numpy as np
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.math.scalars import symlog
from rllib_dreamerv3.agent.networks.encoder import Encoder
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout

NANO = synthetic.NANO
NO_SYMLOG = dataclasses.replace(NANO, symlog_obs=False)


def rng():
    return np.random.default_rng(0)


def tensors(columns):
    return {name: tf.constant(x) for name, x in columns.items()}


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


def test_vectors_pass_through_symlog_if_configured():
    layout, columns = synthetic.VECTOR, tensors(synthetic.columns(synthetic.VECTOR, 4))
    squashed = {name: symlog(x) for name, x in columns.items()}
    through_symlog = Encoder(layout, NANO, rng())(columns)
    raw = Encoder(layout, NO_SYMLOG, rng())
    np.testing.assert_allclose(through_symlog, raw(squashed), atol=1e-6)
    assert np.abs(raw(columns) - through_symlog).max() > 0.01


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
