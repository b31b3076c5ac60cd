"""Synthetic dreams, for tests of pictures and videos."""

import numpy as np
import synthetic

from rllib_dreamerv3.records import IS_FIRST, REWARD
from rllib_dreamerv3.reports.dreams import CONTINUE, Dream
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout


def dream_of(layout: ObservationLayout, rows: int = 2, length: int = 6, observed: int = 2) -> Dream:
    """A dream whose reconstruction is right and whose imagination is not."""
    batch = synthetic.batch(layout, synthetic.DISCRETE, rows, length)
    truth = {leaf.key: batch[leaf.key].numpy() for leaf in layout.leaves}
    rng = np.random.default_rng(0)
    for leaf in layout.images:
        truth[leaf.key] = rng.integers(0, 256, truth[leaf.key].shape).astype(np.float32) / 255
    truth |= {REWARD: batch[REWARD].numpy(), CONTINUE: np.ones((rows, length), np.float32)}
    imagination = {key: x.copy() for key, x in truth.items()}
    for leaf in layout.leaves:
        x = imagination[leaf.key][:, observed:]
        x[...] = 1.0 - x if isinstance(leaf, Image) else x + 1
    return Dream(layout, observed, batch[IS_FIRST].numpy(), truth, dict(truth), imagination)
