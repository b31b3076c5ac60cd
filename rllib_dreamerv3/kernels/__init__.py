"""What exists only to be fast, each beside the plain formula that it is tested against.

Nothing here knows what it computes for: products, norms, convolutions, recurrences.
"""

from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

prepare_tensorflow()
