"""The RSSM, against the formulas written out a second time in `reference_observe`."""

import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.agent.kernels import recurrence as filtering
from rllib_dreamerv3.agent.math.categorical import unimix
from rllib_dreamerv3.agent.networks.model import PolicyModel
from rllib_dreamerv3.agent.networks.rssm import Rssm
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.model_sizes import model_settings

NANO, NANO_V2 = synthetic.NANO, model_settings("nano", "v2")
S, C, D = NANO.categoricals, NANO.classes, NANO.deterministic
E, A = 5, 3
B, T = 2, 5


def make_rssm(settings=NANO, seed=0):
    rssm = Rssm(settings, E, A, np.random.default_rng(seed))
    synthetic.scramble(rssm)
    return rssm


@pytest.fixture(scope="module", params=[NANO, NANO_V2], ids=["v1", "v2"])
def rssm(request):
    return make_rssm(request.param)


def start(seed=0):
    """States before the first records of the rows."""
    return synthetic.states(NANO, B, seed)


def observe_rows(rssm, tokens, action, is_first, noise, before):
    """The posterior of rows, time-major as the reference below."""
    args = [swap(x) for x in (tokens, action, is_first, noise)]
    return tf.nest.map_structure(swap, rssm.observe(*args, before))


def swap(x):
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def observe(rssm, tokens, action, is_first, noise):
    """Rows whose first record begins an episode, so that what was before does not matter."""
    return observe_rows(rssm, tokens, action, is_first, noise, start())


def rows(seed=0, is_first=()):
    """Tokens, actions, is_first and noise, time-major; `is_first` lists (t, b) beyond t = 0."""
    rng = np.random.default_rng(seed)
    first = np.zeros((T, B), bool)
    first[0] = True
    for t, b in is_first:
        first[t, b] = True
    return (
        tf.constant(rng.normal(size=(T, B, E)), tf.float32),
        tf.constant(rng.normal(size=(T, B, A)), tf.float32),
        tf.constant(first),
        synthetic.uniform(T, B, S, seed=seed),
    )


def test_actions_beyond_one_count_as_one(rssm):
    inputs, expected, *_ = case("rssm_action_scale")
    state, u = synthetic.states(NANO, 1), synthetic.uniform(1, S)
    wild, tame = inputs["action"][None, 1:], expected["out"][None, 1:].astype(np.float32)
    imagined = [rssm.imagine(state, tf.constant(a), u, dense=False).h for a in (wild, tame)]
    np.testing.assert_allclose(*imagined, atol=1e-6)

    tokens, _, is_first, noise = rows()
    actions = [tf.constant(np.tile(a, (T, B, 1))) for a in (wild, tame)]
    observed = [observe(rssm, tokens, a, is_first, noise).log_probs for a in actions]
    np.testing.assert_allclose(*observed, atol=1e-5)


def test_prior_and_posterior_are_mixed_with_uniform(rssm):
    sharp = make_rssm(rssm._settings)
    for variable in sharp.variables:
        variable.assign(variable * 20)
    tokens, action, is_first, noise = rows()
    posterior = observe(sharp, tokens, action, is_first, noise)
    for log_probs in (posterior.log_probs, sharp.prior(posterior.state.h[0])):
        probs = np.exp(log_probs)
        np.testing.assert_allclose(probs.sum(-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(probs.min(), 0.01 / C, rtol=1e-3)


def test_unimix_share_is_a_setting():
    sharp = make_rssm(dataclasses.replace(NANO, unimix=0.2))
    for variable in sharp.variables:
        variable.assign(variable * 20)
    prior = np.exp(sharp.prior(synthetic.states(NANO, 50).h))
    np.testing.assert_allclose(prior.min(), 0.2 / C, rtol=1e-3)


def test_initial_state_is_learned():
    rssm = make_rssm()
    h, index, _ = rssm.initial_state()
    assert h.shape == (1, D)
    np.testing.assert_array_equal(index, tf.argmax(rssm.prior(h), -1))
    fresh = Rssm(NANO, E, A, np.random.default_rng(0))
    np.testing.assert_array_equal(fresh.initial_state()[0], np.zeros((1, D)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(rssm.initial_state()[0])
    reaching = [g for g in tape.gradient(loss, rssm.trainable_variables) if g is not None]
    np.testing.assert_allclose(reaching, [1 - np.square(h[0])], rtol=1e-5)


def test_initial_state_of_the_2025_code_is_zero():
    rssm = make_rssm(NANO_V2)
    h, index, _ = rssm.initial_state()
    np.testing.assert_array_equal(h, np.zeros((1, D)))
    # Which stands for a z of zeros, not a one-hot vector.
    np.testing.assert_array_equal(index, np.full((1, S), -1))
    assert not any("initial" in v.name for v in rssm.variables)


def test_first_record_starts_from_the_initial_state(rssm):
    tokens = synthetic.uniform(4, E)
    u = synthetic.uniform(4, S)
    is_first = tf.constant([True, True, False, False])
    results = [
        rssm.observe_step(
            synthetic.states(NANO, 4, seed=seed),
            synthetic.uniform(4, A, seed=seed),
            is_first,
            tokens,
            u,
        )
        for seed in (1, 2)
    ]
    np.testing.assert_array_equal(results[0].h[:2], results[1].h[:2])
    np.testing.assert_array_equal(results[0].index[:2], results[1].index[:2])
    assert np.abs(results[0].h[2:] - results[1].h[2:]).max() > 0.01
    h, index, _ = rssm.initial_state()
    by_hand = rssm.imagine(State(h, index), tf.zeros([1, A]), u[:1], dense=False)
    np.testing.assert_allclose(results[0].h[:2], tf.repeat(by_hand.h, 2, 0), atol=1e-6)


def test_observing_rows_equals_observing_step_by_step(rssm):
    tokens, action, is_first, noise = rows(is_first=[(2, 0), (4, 1)])
    whole = observe(rssm, tokens, action, is_first, noise)
    state = start()
    for t in range(T):
        state = rssm.observe_step(state, action[t], is_first[t], tokens[t], noise[t])
        np.testing.assert_allclose(state.h, whole.state.h[t], atol=1e-5)
        np.testing.assert_array_equal(state.index, whole.state.index[t])


def test_rows_go_on_from_the_state_before_them(rssm):
    """A row cut in two, the second part started from the end of the first."""
    tokens, action, is_first, noise = rows(is_first=[(4, 1)])
    whole = observe(rssm, tokens, action, is_first, noise)
    middle = State(whole.state.h[1], whole.state.index[1])
    rest = observe_rows(rssm, tokens[2:], action[2:], is_first[2:], noise[2:], middle)
    np.testing.assert_allclose(rest.log_probs, whole.log_probs[2:], atol=1e-6)
    np.testing.assert_array_equal(rest.state.index, whole.state.index[2:])
    other = observe_rows(rssm, tokens[2:], action[2:], is_first[2:], noise[2:], start(seed=1))
    assert np.abs(other.state.h[0] - rest.state.h[0]).max() > 1e-3


def test_no_gradient_reaches_the_state_before_a_row(rssm):
    tokens, action, _, noise = rows()
    before = start()
    with tf.GradientTape() as tape:
        tape.watch([before.h, tokens])
        out = observe_rows(rssm, tokens, action, tf.zeros([T, B], tf.bool), noise, before)
        loss = tf.reduce_sum(out.state.h**2)
    by_state, by_tokens = tape.gradient(loss, [before.h, tokens])
    assert by_state is None
    assert np.abs(by_tokens).max() > 0


def test_row_after_a_reset_equals_the_row_alone(rssm):
    """What came before a reset leaves no trace."""
    tokens, action, is_first, noise = rows(is_first=[(2, 0), (2, 1)])
    whole = observe(rssm, tokens, action, is_first, noise)
    alone = observe(rssm, tokens[2:], action[2:], is_first[2:], noise[2:])
    np.testing.assert_allclose(whole.log_probs[2:], alone.log_probs, atol=1e-6)
    np.testing.assert_array_equal(whole.state.index[2:], alone.state.index)
    np.testing.assert_allclose(whole.state.h[2:], alone.state.h, atol=1e-6)
    # And without the reset it would not be so.
    carried = observe(rssm, tokens, action, rows()[2], noise)
    assert np.abs(carried.state.h[2] - alone.state.h[0]).max() > 1e-3


def test_posterior_is_independent_of_the_future_and_other_rows(rssm):
    tokens, action, is_first, noise = rows()
    before = observe(rssm, tokens, action, is_first, noise)
    changed = tokens.numpy()
    changed[3, 1] += 1
    after = observe(rssm, tf.constant(changed), action, is_first, noise)
    differs = np.abs(before.log_probs - after.log_probs).max((2, 3)) > 1e-6
    np.testing.assert_array_equal(differs[:, 0], False)
    np.testing.assert_array_equal(differs[:, 1], [False, False, False, True, True])


def test_rows_are_filtered_in_groups_of_which_the_last_may_be_smaller(rssm, monkeypatch):
    n, rng = 5, np.random.default_rng(0)
    tokens = tf.constant(rng.normal(size=(T, n, E)), tf.float32)
    action = tf.constant(rng.normal(size=(T, n, A)), tf.float32)
    is_first, noise = tf.constant(rng.random((T, n)) < 0.3), synthetic.uniform(T, n, S)
    before = synthetic.states(NANO, n)
    filtered = []
    run_forward = rssm._filter._forward

    def noting_rows(values, start, *rest):
        filtered.append(start[0].shape[0])
        return run_forward(values, start, *rest)

    monkeypatch.setattr(rssm._filter, "_forward", noting_rows)
    states = []
    for rows_of_a_group in (n, 2):
        monkeypatch.setattr(filtering, "ROWS_OF_A_GROUP", rows_of_a_group)
        states.append(observe_rows(rssm, tokens, action, is_first, noise, before).state)
    assert filtered == [5, 2, 2, 1]
    np.testing.assert_array_equal(states[0].index, states[1].index)
    np.testing.assert_allclose(states[0].h, states[1].h, atol=1e-5)


def test_samples_are_one_hot_and_follow_the_distribution(rssm):
    n = 4000
    h, index = (tf.repeat(x, n, 0) for x in rssm.initial_state()[:2])
    action, grid = tf.zeros([n, A]), (np.arange(n) + 0.5) / n
    rng = np.random.default_rng(0)
    u = tf.constant(np.stack([rng.permutation(grid) for _ in range(S)], -1), tf.float32)
    state = rssm.imagine(State(h, index), action, u, dense=True)
    np.testing.assert_array_equal(state.z, tf.reshape(tf.one_hot(state.index, C), [n, S * C]))
    frequencies = tf.reduce_mean(tf.one_hot(state.index, C), 0)
    np.testing.assert_allclose(frequencies, np.exp(rssm.prior(state.h)[0]), atol=2 / n)


def test_dense_and_index_states_imagine_the_same(rssm):
    index_only, action = synthetic.states(NANO, 6), synthetic.uniform(6, A)
    dense, u = index_only.with_dense_z(C), synthetic.uniform(6, S)
    variables = rssm.trainable_variables
    results = []
    for state in (index_only, dense):
        with tf.GradientTape() as tape:
            following = rssm.imagine(state, action, u, dense=False)
            loss = tf.reduce_sum(tf.sin(3 * following.h))
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        results.append((following, gradients))
    (first, first_gradients), (second, second_gradients) = results
    assert first.z is None
    np.testing.assert_allclose(first.h, second.h, atol=1e-6)
    np.testing.assert_array_equal(first.index, second.index)
    for a, b in zip(first_gradients, second_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_gradient_flows_through_imagined_z_only_when_dense(rssm):
    """With h held as data, the only way from state 1 to state 2 is z."""
    start, action = synthetic.states(NANO, 3), synthetic.uniform(3, A)
    u = synthetic.uniform(3, S)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(start.h)
        dense = rssm.imagine(start, action, u, dense=True)
        index = rssm.imagine(start, action, u, dense=False)
        losses = []
        for state in (dense, index):
            held = state._replace(h=tf.stop_gradient(state.h))
            losses.append(tf.reduce_sum(rssm.imagine(held, action, u, dense=False).h ** 2))
    assert np.abs(tape.gradient(losses[0], start.h)).max() > 0
    assert tape.gradient(losses[1], start.h) is None


def reference_observe(weights, settings, tokens, action, is_first, index):
    """The RSSM once more, with plain operations, for samples that are given.

    Args:
        weights: Tensors by name, without ``rssm/``.
        settings: The model's.
        tokens: ``[T, B, E]``.
        action: ``[T, B, A]``.
        is_first: ``[T, B]``.
        index: Sampled classes ``[T, B, S]``.

    Returns:
        h ``[T, B, D]``, z ``[T, B, S * C]``, posterior and prior ``[T, B, S, C]``.
    """
    v2 = settings.sequence_model == "block_gru"

    def norm(x, name):
        if v2:
            mean_square = tf.reduce_mean(x * x, -1, keepdims=True)
            return x / tf.sqrt(mean_square + 1e-4) * weights[f"{name}scale"]
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(
            x, mean, variance, weights[f"{name}offset"], weights[f"{name}scale"], 1e-3
        )

    def block(x, kernel, activation):
        product = x @ weights[f"{kernel}/kernel"]
        return tf.nn.silu(norm(product + weights.get(f"{activation}/bias", 0.0), f"{activation}/"))

    def log_probs(hidden, name):
        logits = hidden @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
        return unimix(tf.reshape(logits, [-1, S, C]), 0.01)

    def prior_of(h):
        for i in range(settings.prior_layers):
            name = f"prior_mlp/blocks/{i}"
            h = block(h, f"{name}/linear", f"{name}/activation")
        return log_probs(h, "prior_output")

    def normed_gru(h, z, a):
        x = block(tf.concat([z, a], -1), "sequence_model/input", "sequence_model/input_activation")
        gates = tf.concat([h, x], -1) @ weights["sequence_model/gates/kernel"]
        return tf.split(norm(gates, "sequence_model/gates_"), 3, -1)

    def block_gru(h, z, a):
        parts = {"from_h": h, "from_z": z, "from_action": a}
        x = tf.concat(
            [
                block(x, f"sequence_model/{n}", f"sequence_model/{n}_activation")
                for n, x in parts.items()
            ],
            -1,
        )
        kernel = weights["sequence_model/hidden/kernel"]
        hidden = tf.concat(
            [
                tf.concat([part, x], -1) @ k
                for part, k in zip(tf.split(h, 8, -1), tf.unstack(kernel), strict=True)
            ],
            -1,
        )
        hidden += weights["sequence_model/hidden_activation/bias"]
        hidden = tf.nn.silu(norm(hidden, "sequence_model/hidden_activation/"))
        kernel = weights["sequence_model/gates/kernel"]
        biases = tf.split(weights["sequence_model/gates/bias"], 8)
        blocks = zip(tf.split(hidden, 8, -1), tf.unstack(kernel), biases, strict=True)
        gates = [tf.split(part @ k + bias, 3, -1) for part, k, bias in blocks]
        return [tf.concat(x, -1) for x in zip(*gates, strict=True)]

    if v2:
        h0, z0 = tf.zeros([1, D]), tf.zeros([1, S * C])
    else:
        h0 = tf.tanh(weights["initial"])[None]
        z0 = tf.reshape(tf.one_hot(tf.argmax(prior_of(h0), -1), C), [1, S * C])
    h, z = start().h, tf.reshape(tf.one_hot(start().index, C), [B, S * C])
    outputs = []
    for t in range(T):
        first = is_first[t][:, None]
        h, z, a = tf.where(first, h0, h), tf.where(first, z0, z), tf.where(first, 0.0, action[t])
        a /= tf.maximum(1.0, tf.abs(a))
        reset, candidate, update = (block_gru if v2 else normed_gru)(h, z, a)
        update = tf.sigmoid(update - 1)
        h = update * tf.tanh(tf.sigmoid(reset) * candidate) + (1 - update) * h
        hidden = block(tf.concat([h, tokens[t]], -1), "posterior_hidden", "posterior_activation")
        posterior = log_probs(hidden, "posterior_output")
        probs = tf.exp(posterior)
        z = tf.reshape(tf.one_hot(index[t], C) + probs - tf.stop_gradient(probs), [B, S * C])
        outputs.append((h, z, posterior, prior_of(h)))
    return [tf.stack(x) for x in zip(*outputs, strict=True)]


MIXTURES = {
    "v1": NANO,
    "v2": NANO_V2,
    "v2 with two layers in the prior": dataclasses.replace(NANO_V2, prior_layers=2),
}


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("settings", "rows_of_a_group"),
    # One record at a time in both versions, and all rows at once.
    list(zip(MIXTURES.values(), (1, B, 1), strict=True)),
    ids=MIXTURES,
)
def test_observe_and_its_gradients_equal_the_reference(settings, rows_of_a_group, monkeypatch):
    """Gradients by every parameter and by the tokens, of a loss on all that `observe` returns."""
    monkeypatch.setattr(filtering, "ROWS_OF_A_GROUP", rows_of_a_group)
    model = PolicyModel.create(synthetic.VECTOR, synthetic.MIXED, settings, seed=0)
    rssm = model.rssm
    synthetic.scramble(rssm)
    named = {
        name.removeprefix("rssm/"): variable
        for name, variable in model.named_variables().items()
        if name.startswith("rssm/")
    }
    width = model.encoder.width
    rng = np.random.default_rng(0)
    tokens = tf.constant(rng.normal(size=(T, B, width)), tf.float32)
    action = tf.constant(rng.normal(size=(T, B, synthetic.MIXED.size)), tf.float32)
    # One row begins with an episode, the other goes on from a state before it.
    _, _, _, noise = rows()
    is_first = tf.constant([[True, False], [False] * 2, [False] * 2, [False, True], [False] * 2])

    def loss_of(h, z, posterior, prior):
        rng = np.random.default_rng(1)
        return sum(tf.reduce_sum(x * rng.normal(size=x.shape)) for x in (h, z, posterior, prior))

    with tf.GradientTape() as tape:
        tape.watch(tokens)
        out = observe(rssm, tokens, action, is_first, noise)
        prior = rssm.prior(tf.reshape(out.state.h, [T * B, D]))
        actual = (out.state.h, out.state.z, out.log_probs, tf.reshape(prior, [T, B, S, C]))
        loss = loss_of(*actual)
    gradients = tape.gradient(loss, {**named, "tokens": tokens})
    with tf.GradientTape() as tape:
        tape.watch(tokens)
        expected = reference_observe(named, settings, tokens, action, is_first, out.state.index)
        loss = loss_of(*expected)
    expected_gradients = tape.gradient(loss, {**named, "tokens": tokens})

    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    for name, expected_gradient in expected_gradients.items():
        scale = np.abs(expected_gradient).max()
        assert scale > 0, name
        np.testing.assert_allclose(
            gradients[name], expected_gradient, atol=1e-4 * scale, err_msg=name
        )
