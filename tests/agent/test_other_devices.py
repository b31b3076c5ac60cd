"""On devices where no kernel was measured, XLA compiles the whole update of plain formulas."""

import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import NANO, NANO_V2, V1, V2, everything, make_trainer, v2_batch

from rllib_dreamerv3.agent.kernels import compiled
from rllib_dreamerv3.records import ACTION_MASK


def case(variant, observations, actions, mask=None, **sizes):
    """Arguments of make_trainer(), and a batch with this action mask everywhere."""
    options, nano = (V1, NANO) if variant == "v1" else (V2, NANO_V2)
    make_batch = synthetic.batch if variant == "v1" else v2_batch
    batch = dict(make_batch(observations, actions))
    if mask is not None:
        batch[ACTION_MASK] = tf.constant(np.broadcast_to(mask, [*batch["reward"].shape, len(mask)]))
    return (observations, actions, options), {"sizes": dataclasses.replace(nano, **sizes)}, batch


MASKED = dataclasses.replace(synthetic.DISCRETE, masked=True)
CASES = {
    "v1-all-kinds": lambda: everything("v1"),
    "v2-all-kinds": lambda: everything("v2"),
    "v1-dynamics": lambda: case("v1", synthetic.VECTOR, synthetic.CONTINUOUS),
    "v1-masks-bfloat16": lambda: case(
        "v1", synthetic.IMAGE, MASKED, mask=[True, False, True, True], compute_dtype="bfloat16"
    ),
}


@pytest.mark.long
@pytest.mark.compiled
@pytest.mark.parametrize("name", CASES)
def test_an_update_is_the_same_as_with_the_kernels_for_cpus(name, monkeypatch):
    """Equal metrics, latents and new parameters, after two updates."""
    arguments, options, batch = CASES[name]()
    fast = make_trainer(*arguments, **options)
    # As where TensorFlow sees a GPU.
    monkeypatch.setattr(compiled, "MEASURED_DEVICES", frozenset())
    whole = make_trainer(*arguments, **options)
    monkeypatch.undo()
    rounding = {"rtol": 0.02, "atol": 0.02} if "bfloat16" in name else {"rtol": 1e-4, "atol": 1e-6}
    for _ in range(2):
        expected = fast.update(batch)
        with monkeypatch.context() as other_device:
            other_device.setattr(compiled, "MEASURED_DEVICES", frozenset())
            update = whole.update(batch)
        for key, x in expected.metrics.items():
            np.testing.assert_allclose(update.metrics[key], x, **rounding, err_msg=key)
        for key, x in expected.for_replay.items():
            np.testing.assert_allclose(update.for_replay[key], x, **rounding, err_msg=key)
    now = whole.model.named_variables()
    for key, x in fast.model.named_variables().items():
        np.testing.assert_allclose(now[key], x, **rounding, err_msg=key)


def compiled_by_xla(function):
    """Names of the functions within one that XLA compiles."""
    library = function.graph.as_graph_def().library
    return [f.signature.name for f in library.function if f.attr["_XlaMustCompile"].b]


@pytest.mark.compiled
def test_xla_compiles_the_update_as_one_program(monkeypatch):
    def functions_of():
        trainer = make_trainer(synthetic.IMAGE, synthetic.DISCRETE)
        batch = synthetic.batch(synthetic.IMAGE, synthetic.DISCRETE, 2, 3)
        return compiled_by_xla(trainer.update.get_concrete_function(batch))

    assert len(functions_of()) > 1
    monkeypatch.setattr(compiled, "MEASURED_DEVICES", frozenset())
    (whole,) = functions_of()
    assert "do_step" in whole
