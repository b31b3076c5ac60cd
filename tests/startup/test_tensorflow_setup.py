"""Settings of TensorFlow before its first operation."""

import pytest
import tensorflow as tf

from rllib_dreamerv3.startup.tensorflow_setup import EAGER_VARIABLE, prepare_tensorflow

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize(("value", "eager"), [("1", True), ("0", False), (None, False)])
def test_nothing_is_compiled_if_the_environment_says_so(monkeypatch, value, eager):
    if value is None:
        monkeypatch.delenv(EAGER_VARIABLE)
    else:
        monkeypatch.setenv(EAGER_VARIABLE, value)
    prepare_tensorflow()
    assert tf.config.functions_run_eagerly() is eager
    # What a debugger would stop in: run at each call, or once when it is traced.
    calls = []
    function = tf.function(lambda x: calls.append(x) or x + 1.0, jit_compile=True)
    for _ in range(2):
        assert float(function(tf.constant(1.0))) == 2.0
    assert len(calls) == 1 + eager
