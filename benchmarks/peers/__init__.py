"""Processes that are measured side by side: this project's own and those of other DreamerV3s.

``interleave`` is the measuring side, ``protocol`` the measured one. Files named after another
library run in a virtual environment of its own; they import neither this project nor TensorFlow.
"""
