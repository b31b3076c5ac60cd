"""Replay: stores the records of many streams and serves sequences of them.

``buffer`` decides which sequences are served, ``online_queue`` which new ones come first,
``storage`` where their bytes are, ``checkpoint`` how all of it is kept on disk, and
``update_schedule`` how many updates are due. Needs nothing but NumPy.
"""

from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer, SampledSequences

__all__ = ["ReplayBuffer", "SampledSequences", "checkpoint"]
