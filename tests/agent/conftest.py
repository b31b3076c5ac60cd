"""What the tests of the trainer share."""

import pytest
import tensorflow as tf


@pytest.fixture
def eager():
    """For trainers of which only an update or two are needed: compiling takes longer."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
