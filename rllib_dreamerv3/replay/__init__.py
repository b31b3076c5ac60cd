"""Replay: stores records of many streams and serves rows of consecutive records.

``buffer`` decides which sequences are served, ``storage`` where their bytes live, ``checkpoint``
how both are kept on disk. Needs nothing but NumPy.
"""

from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer

__all__ = ["ReplayBuffer", "checkpoint"]
