"""Replay: stores records of many streams and serves rows of consecutive records.

``buffer`` decides which sequences are served, ``online_queue`` which new ones come first,
``storage`` where their bytes live, ``checkpoint`` how all of it is kept on disk. Needs nothing but
NumPy.
"""

from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer, Rows

__all__ = ["ReplayBuffer", "Rows", "checkpoint"]
