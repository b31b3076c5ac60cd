"""Optimised kernels, each with a reference implementation that it is tested against.

Independent of networks and losses: products, norms, convolutions, sampling, recurrences.
"""

from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

prepare_tensorflow()
