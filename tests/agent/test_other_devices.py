"""On devices for which nothing fast was measured, an update has the plain forms of all kernels."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import everything, make_trainer

from rllib_dreamerv3.agent.kernels import compiled


@pytest.mark.long
@pytest.mark.compiled
@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_an_update_is_the_same_without_what_is_fast_on_cpus(variant, monkeypatch):
    """Observations and actions of all kinds: equal metrics, latents and new parameters."""
    arguments, options, batch = everything(variant)
    fast = make_trainer(*arguments, **options)
    expected = fast.update(batch)
    # As where TensorFlow sees a GPU.
    monkeypatch.setattr(compiled, "MEASURED_DEVICES", frozenset())
    # Its formulas are the same line by line, without the time of compiling them.
    tf.config.run_functions_eagerly(True)
    plain = make_trainer(*arguments, **options)
    update = plain.update(batch)
    for name, x in expected.metrics.items():
        np.testing.assert_allclose(update.metrics[name], x, rtol=1e-4, atol=1e-6, err_msg=name)
    for name, x in expected.for_replay.items():
        np.testing.assert_allclose(update.for_replay[name], x, rtol=1e-4, atol=1e-6, err_msg=name)
    for (name, a), b in zip(
        fast.model.named_variables().items(), plain.model.named_variables().values(), strict=True
    ):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6, err_msg=name)


def compiled_by_xla(function):
    """Names of the functions within one that XLA compiles."""
    library = function.graph.as_graph_def().library
    return [f.signature.name for f in library.function if f.attr["_XlaMustCompile"].b]


@pytest.mark.compiled
def test_nothing_of_an_update_is_compiled_by_xla(monkeypatch):
    def functions_of():
        trainer = make_trainer(synthetic.IMAGE, synthetic.DISCRETE)
        batch = synthetic.batch(synthetic.IMAGE, synthetic.DISCRETE, 2, 3)
        return compiled_by_xla(trainer.update.get_concrete_function(batch))

    assert functions_of()
    monkeypatch.setattr(compiled, "MEASURED_DEVICES", frozenset())
    assert functions_of() == []
