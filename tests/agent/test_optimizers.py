import numpy as np
import pytest
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.optimizers import Adam, LaProp
from rllib_dreamerv3.errors import CheckpointError

pytestmark = pytest.mark.compiled

ADAM = {
    "actor": {"learning_rate": 3e-5, "epsilon": 1e-5, "clip_global_norm": 100.0},
    "model": {"learning_rate": 1e-4, "epsilon": 1e-8, "clip_global_norm": 1000.0},
}


def make_variables():
    rng = np.random.default_rng(0)
    return [
        tf.Variable(rng.normal(size=(4, 3)).astype(np.float32), name="kernel"),
        tf.Variable(tf.zeros([3]), name="bias"),
    ]


def make_adam(variables):
    return Adam(variables, learning_rate=1e-2, epsilon=1e-5, clip_global_norm=2.0)


def make_laprop(variables):
    return LaProp(variables, learning_rate=1e-2, warmup=5)


def make_gradients(steps, seed=1):
    rng = np.random.default_rng(seed)
    scale = [0.1, 10.0, 1e-4]
    return [
        [tf.constant(rng.normal(size=shape) * scale[i % 3], tf.float32) for shape in ((4, 3), (3,))]
        for i in range(steps)
    ]


both = pytest.mark.parametrize("make", [make_adam, make_laprop])


@pytest.mark.parametrize("which", ["actor", "model"])
def test_adam_vector(which):
    inputs, expected, rtol, _ = case("adam_clip_v1")
    # Adam's steps do not depend on the variable; starting from 0 they lose no digits.
    variable = tf.Variable(tf.zeros([3]))
    optimizer = Adam([variable], **ADAM[which])
    update = tf.function(lambda gradient: optimizer.apply([gradient]))
    before = np.zeros(3)
    for step, gradient in enumerate(inputs["grads"], 1):
        norm = update(tf.constant(gradient))
        np.testing.assert_allclose(norm, np.linalg.norm(gradient), rtol=1e-6)
        delta = variable.numpy() - before
        np.testing.assert_allclose(delta, expected[f"{which}_delta_{step}"], rtol, atol=1e-11)
        before = variable.numpy()


def adam_reference(variables, steps, rate, epsilon, limit):
    theta = [np.asarray(v, np.float64) for v in variables]
    m, v = [np.zeros_like(x) for x in theta], [np.zeros_like(x) for x in theta]
    for t, gradients in enumerate(steps, 1):
        gradients = [np.asarray(g, np.float64) for g in gradients]
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        for i, g in enumerate(gradients):
            g = g if norm < limit else g * limit / norm
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            corrected_m, corrected_v = m[i] / (1 - 0.9**t), v[i] / (1 - 0.999**t)
            theta[i] = theta[i] - rate * corrected_m / (np.sqrt(corrected_v) + epsilon)
    return theta


@pytest.mark.parametrize("epsilon", [1e-8, 1e-5, 0.1])
def test_adam_agrees_with_the_paper_over_many_steps(epsilon):
    variables = make_variables()
    steps = make_gradients(150)
    expected = adam_reference(variables, steps, 1e-2, epsilon, 2.0)
    optimizer = Adam(variables, 1e-2, epsilon, 2.0)
    update = tf.function(lambda *gradients: optimizer.apply(gradients))
    for gradients in steps:
        update(*gradients)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=2e-5)


def test_adam_clips_all_gradients_together():
    variables = make_variables()
    optimizer = make_adam(variables)
    gradients = [tf.fill([4, 3], 3.0), tf.fill([3], 4.0)]
    norm = optimizer.apply(gradients)
    np.testing.assert_allclose(norm, np.sqrt(12 * 9 + 3 * 16), rtol=1e-6)
    for m, gradient in zip(optimizer.m, gradients, strict=True):
        np.testing.assert_allclose(m, 0.1 * gradient * 2.0 / norm, rtol=1e-5)


@pytest.mark.parametrize(
    ("theta", "grad", "expected"),
    [
        ("theta", "grad_A", "clipped_A"),
        ("theta", "grad_B", "clipped_B"),
        ("theta_C", "grad_C", "clipped_C"),
    ],
)
def test_adaptive_clipping_vector(theta, grad, expected):
    vector = case("agc")
    gradient = tf.constant(vector.inputs[grad])
    optimizer = LaProp([tf.Variable(vector.inputs[theta].astype(np.float32))], 4e-5)
    norm = optimizer.apply([gradient])
    np.testing.assert_allclose(norm, np.linalg.norm(gradient), rtol=1e-6)
    # After one update the second moment is 0.001 times the clipped gradient squared.
    clipped = np.sign(gradient) * np.sqrt(optimizer.v[0].numpy() / 1e-3)
    np.testing.assert_allclose(clipped, vector.expected[expected], vector.rtol, vector.atol)


def test_laprop_vector():
    inputs, expected, rtol, _ = case("laprop")
    variable = tf.Variable(inputs["theta"])
    optimizer = LaProp([variable], inputs["lr"], warmup=0)
    update = tf.function(lambda gradient: optimizer.apply([gradient]))
    for step, gradient in enumerate(inputs["grads"], 1):
        update(tf.constant(gradient))
        np.testing.assert_allclose(variable, expected[f"theta_{step}"], atol=2.5e-7, rtol=0)
        # The difference of two float32 variables has too few digits for the tolerance of the case.
        delta = -inputs["lr"] * optimizer.m[0].numpy() / (1 - 0.9**step)
        np.testing.assert_allclose(delta, expected[f"delta_{step}"], rtol, atol=1e-11)


def laprop_reference(variables, steps, rate, warmup):
    theta = [np.asarray(v, np.float64) for v in variables]
    m, v = [np.zeros_like(x) for x in theta], [np.zeros_like(x) for x in theta]
    for t, gradients in enumerate(steps, 1):
        for i, g in enumerate(np.asarray(g, np.float64) for g in gradients):
            limit = 0.3 * max(1e-3, np.linalg.norm(theta[i]))
            g = g / max(1.0, np.linalg.norm(g) / limit)
            v[i] = 0.999 * v[i] + 0.001 * g**2
            m[i] = 0.9 * m[i] + 0.1 * g / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-20)
            theta[i] = theta[i] - rate * min(1, (t - 1) / warmup) * m[i] / (1 - 0.9**t)
    return theta


def test_laprop_agrees_with_its_definition_over_many_steps():
    variables = make_variables()
    steps = make_gradients(150)
    expected = laprop_reference(variables, steps, 1e-2, 5)
    optimizer = make_laprop(variables)
    update = tf.function(lambda *gradients: optimizer.apply(gradients))
    for gradients in steps:
        update(*gradients)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("gradient", [1e-14, 3e-18, 1e-18, 1e-19, 1e-20, 1e-30])
@pytest.mark.parametrize("zeros_before", [0, 2000])
def test_laprop_bounds_steps_of_tiny_gradients(gradient, zeros_before):
    """Also where their squares are less than float32 can hold.

    A first gradient moves by one learning rate; one after many zeros is not yet in the average of
    squares but for 1 / 1000, so that it moves by the root of that, times 0.1 of momentum.
    """
    variable = tf.Variable([0.0])
    optimizer = LaProp([variable], 1.0, warmup=0)
    optimizer.step.assign(zeros_before)
    optimizer.apply([tf.constant([gradient])])
    step = zeros_before + 1
    most = 0.1 / (1 - 0.9**step) * np.sqrt((1 - 0.999**step) / 0.001)
    assert 0.0 < -variable.numpy()[0] <= most * (1 + 1e-4)
    if gradient >= 1e-14:
        assert -variable.numpy()[0] >= 0.99 * most


def test_warmup_vector():
    inputs, expected, rtol, _ = case("lr_warmup")
    optimizer = LaProp(make_variables(), 4e-5)
    for n, rate in zip(inputs["n"], expected["lr"], strict=True):
        optimizer.step.assign(n - 1)
        np.testing.assert_allclose(optimizer.current_learning_rate(), rate, rtol)


def test_warmup_lets_the_first_update_move_nothing():
    variables = make_variables()
    before = [v.numpy() for v in variables]
    optimizer = make_laprop(variables)
    first, second = make_gradients(2)
    optimizer.apply(first)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    optimizer.apply(second)
    for variable, value in zip(variables, before, strict=True):
        assert (variable.numpy() != value).all()


@both
def test_zero_gradients_move_nothing(make):
    variables = make_variables()
    before = [v.numpy() for v in variables]
    norm = make(variables).apply([tf.zeros_like(v) for v in variables])
    assert norm == 0
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@both
def test_finds_a_minimum(make):
    target = [tf.constant([[0.3, -0.2, 0.1]] * 4), tf.constant([0.2, 0.0, -0.3])]
    variables = make_variables()
    optimizer = make(variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.add_n(
                [tf.reduce_sum((v - t) ** 2) for v, t in zip(variables, target, strict=True)]
            )
        optimizer.apply(tape.gradient(loss, variables))
        return loss

    losses = [float(step()) for _ in range(500)]
    assert losses[-1] < 1e-2 < 1 < losses[0]


@both
def test_learning_rate_can_change_after_tracing(make):
    variables = make_variables()
    optimizer = make(variables)
    update = tf.function(lambda *gradients: optimizer.apply(gradients))
    first, second = make_gradients(2)
    update(*first)
    optimizer.learning_rate.assign(0.0)
    before = [v.numpy() for v in variables]
    update(*second)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert optimizer.step == 2


@both
def test_sparse_gradients_count_as_dense(make):
    variable = tf.Variable(tf.ones([5, 2]))
    twin = tf.Variable(tf.ones([5, 2]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(variable, [1, 3, 3]))
    gradient = tape.gradient(loss, variable)
    assert isinstance(gradient, tf.IndexedSlices)
    sparse, dense = make([variable]), make([twin])
    for _ in range(3):
        sparse.apply([gradient])
        dense.apply([tf.convert_to_tensor(gradient)])
    np.testing.assert_array_equal(variable, twin)


@both
def test_missing_gradient_names_the_variable(make):
    optimizer = make(make_variables())
    with pytest.raises(ValueError, match=r"1 variable\(s\): 001/bias \(3,\)"):
        optimizer.apply([tf.zeros([4, 3]), None])
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        optimizer.apply([tf.zeros([4, 3])])
    assert optimizer.step == 0


@both
def test_owns_moments_but_not_the_network(make):
    variables = make_variables()
    optimizer = make(variables)
    own = {v.ref() for v in optimizer.variables}
    assert own.isdisjoint(v.ref() for v in variables)
    assert own == {
        v.ref() for v in (optimizer.step, optimizer.learning_rate, *optimizer.m, *optimizer.v)
    }
    assert not optimizer.trainable_variables
    for moments in (optimizer.m, optimizer.v):
        assert [m.shape for m in moments] == [v.shape for v in variables]


@both
def test_restored_state_continues_with_the_same_update(make):
    *first, last = make_gradients(4)
    variables = make_variables()
    optimizer = make(variables)
    for gradients in first:
        optimizer.apply(gradients)
    state = optimizer.get_state()
    assert set(state) == {"step", *(f"{x}/{y}" for x in "mv" for y in ("000/kernel", "001/bias"))}
    assert all(isinstance(value, np.ndarray) for value in state.values())

    restored = make_variables()
    for variable, value in zip(restored, variables, strict=True):
        variable.assign(value)
    other = make(restored)
    other.set_state(state)
    optimizer.apply(last)
    other.apply(last)
    assert other.step == 4
    for a, b in zip(variables, restored, strict=True):
        np.testing.assert_array_equal(a, b)


@both
def test_state_is_a_copy(make):
    optimizer = make(make_variables())
    first, second = make_gradients(2)
    optimizer.apply(first)
    state = optimizer.get_state()
    kept = {name: value.copy() for name, value in state.items()}
    optimizer.apply(second)
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)


@both
@pytest.mark.parametrize("change", ["shape", "dtype", "missing", "unknown"])
def test_state_of_another_network_is_refused_as_a_whole(make, change):
    optimizer = make(make_variables())
    state = {name: value + 1 for name, value in optimizer.get_state().items()}
    if change == "shape":
        state["v/001/bias"] = np.zeros(4, np.float32)
    elif change == "dtype":
        state["v/001/bias"] = state["v/001/bias"].astype(np.float64)
    elif change == "missing":
        del state["v/001/bias"]
    else:
        state["v/001/scale"] = state.pop("v/001/bias")
    with pytest.raises(CheckpointError, match="'v/001/bias'"):
        optimizer.set_state(state)
    assert optimizer.step == 0
    assert not any(np.any(m) for m in optimizer.m)


@both
def test_negative_number_of_updates_is_refused(make):
    optimizer = make(make_variables())
    with pytest.raises(CheckpointError, match="'step' of this optimizer state is negative"):
        optimizer.set_state(optimizer.get_state() | {"step": np.int64(-1)})
