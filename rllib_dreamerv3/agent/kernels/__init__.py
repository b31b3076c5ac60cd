"""What exists only to be fast, each with the plain formula that it is tested against.

Nothing here knows networks or losses: products, norms, convolutions, sampling, recurrences.
"""

from rllib_dreamerv3.startup.tensorflow_setup import prepare_tensorflow

prepare_tensorflow()
