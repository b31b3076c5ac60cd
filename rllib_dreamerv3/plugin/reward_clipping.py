"""RLlib's option ``clip_rewards``: what is learned from is not what is reported.

RLlib clips rewards when a batch is prepared for training; the returns that it reports are of
rewards as they came. Here they are clipped on the way into replay, which comes to the same. The
policy never sees a reward, so that nothing else depends on it.
"""

import dataclasses

import numpy as np

from rllib_dreamerv3.records import REWARD, RecordChunk


def clip_rewards(chunk: RecordChunk, clip: bool | float | None) -> RecordChunk:
    """Gives records the rewards that training shall see.

    Args:
        chunk: Records as they were sampled; stays as it is.
        clip: True for the sign of each reward, a number x for rewards in [-x, x], False or None for
            rewards as they came.

    Returns:
        Records that share all columns but the rewards with ``chunk``.
    """
    if clip is None or clip is False:
        return chunk
    raw = chunk.columns[REWARD]
    clipped = np.sign(raw) if clip is True else np.clip(raw, -np.float32(clip), np.float32(clip))
    return dataclasses.replace(chunk, columns={**chunk.columns, REWARD: clipped})
