import numpy as np
import pytest
import tensorflow as tf
from graphs import ancestors
from trainers import everything, make_trainer

from rllib_dreamerv3.agent import trainer as trainer_module
from rllib_dreamerv3.agent.kernels.chunked_loss import mean_by_slices
from rllib_dreamerv3.agent.networks.state import State

KERNEL, BIAS = tf.Variable([[1.0, 2.0], [3.0, -1.0]]), tf.Variable([0.5])


def loss_of(rows, data):
    """A loss that is quadratic in everything, and what else it saw."""
    h, index, z = rows
    assert z is None
    y = tf.reduce_sum(tf.square(h @ KERNEL), -1) * data["weight"] + BIAS
    return y + tf.cast(index[:, 0], tf.float32), {"h": h, "none": None}


def inputs(n=7):
    rng = np.random.default_rng(0)
    rows = State(
        tf.constant(rng.normal(size=(n, 2)), tf.float32), tf.constant(rng.integers(0, 5, (n, 1)))
    )
    return rows, {"weight": tf.constant(rng.normal(size=n), tf.float32)}


def gradients(size, compiled):
    rows, data = inputs()

    def run(h, index, weight):
        with tf.GradientTape() as tape:
            tape.watch(h)
            mean, more = mean_by_slices(loss_of, State(h, index), {"weight": weight}, size)
            loss = 3.0 * mean
        assert more["none"] is None
        return loss, more["h"], *tape.gradient(loss, [h, KERNEL, BIAS])

    function = tf.function(run, autograph=False) if compiled else run
    return [x.numpy() for x in function(rows.h, rows.index, data["weight"])]


@pytest.mark.compiled
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("size", [1, 3, 6])
def test_slices_give_the_mean_and_its_gradients(size, compiled):
    plain = gradients(None, compiled)
    for part, whole in zip(gradients(size, compiled), plain, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.compiled
def test_one_slice_is_after_the_other():
    """No operation of a slice may run before the gradients of the one before are there."""
    rows, data = inputs(4)

    @tf.function(autograph=False)
    def run(h, index, weight):
        return mean_by_slices(loss_of, State(h, index), {"weight": weight}, 2)[0]

    graph = run.get_concrete_function(rows.h, rows.index, data["weight"]).graph
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    forward = [op for op in products if not any(op.get_attr(f"transpose_{x}") for x in "ab")]
    backward = [op for op in products if op not in forward]
    assert len(forward) == 2
    assert len(backward) == 4
    for op in backward[:2]:
        assert op in ancestors(forward[1])


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_an_update_with_slices_is_one_without(variant, monkeypatch):
    """Equal losses, gradients and new parameters, for 12 records of all kinds, 5 at a time."""
    arguments, options, batch = everything(variant)
    whole = make_trainer(*arguments, **options)
    expected = {name: float(x) for name, x in whole.update(batch).metrics.items()}
    monkeypatch.setattr(trainer_module, "records_at_a_time", lambda *_: 5)
    sliced = make_trainer(*arguments, **options)
    predict, seen = sliced.model.world_model.predict, []

    def predict_and_count(observed):
        seen.append(observed.state.h.shape[0])
        return predict(observed)

    monkeypatch.setattr(sliced.model.world_model, "predict", predict_and_count)
    metrics = {name: float(x) for name, x in sliced.update(batch).metrics.items()}
    assert seen == [5, 5, 2]
    assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for (name, a), b in zip(
        whole.model.named_variables().items(), sliced.model.named_variables().values(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=name)
