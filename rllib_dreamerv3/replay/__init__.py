"""Replay: stores the records of many streams and serves sequences of them.

``buffer`` serves sequences: ``online_queue`` has the new ones to serve first, ``selectors`` draw
the rest. ``storage`` holds the records, ``checkpoint`` saves and restores them, and
``update_schedule`` computes how many updates are due. Requires only NumPy.
"""

from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer, SampledSequences

__all__ = ["ReplayBuffer", "SampledSequences", "checkpoint"]
