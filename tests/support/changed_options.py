"""Options of an algorithm that runs, changed for a while."""

import contextlib


@contextlib.contextmanager
def with_options(algorithm, **options):
    """Other options for a while: RLlib reads them in each iteration and at each evaluation."""
    config = algorithm.config
    algorithm.config = config.copy(copy_frozen=False).update_from_dict(options)
    try:
        yield
    finally:
        algorithm.config = config
