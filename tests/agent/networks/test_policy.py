import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.networks.action_distribution import action_noise
from rllib_dreamerv3.agent.networks.model import PolicyModel, get_weights, set_weights
from rllib_dreamerv3.agent.networks.policy import PolicyState
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.model_sizes import model_settings
from rllib_dreamerv3.spaces.layout import ContinuousAction

NANO, NANO_V2 = synthetic.NANO, model_settings("nano", "v2")

COMPILED = pytest.mark.compiled


def make_policy(
    observations=synthetic.VECTOR, actions=synthetic.MIXED, seed=0, settings=synthetic.NANO
):
    model = PolicyModel.create(observations, actions, settings, seed=seed)
    synthetic.scramble(model)
    return model.policy


@pytest.fixture(scope="module")
def policy():
    return make_policy()


def observe(n, layout=synthetic.VECTOR, seed=0):
    return {name: tf.constant(x) for name, x in synthetic.columns(layout, n, seed=seed).items()}


def some_state(n, seed=0):
    """A state as it might be in mid-episode."""
    state = synthetic.states(NANO, n, seed=seed)
    action = tf.constant(synthetic.action_vectors(synthetic.MIXED, n, seed=seed))
    return PolicyState(state.h, state.index, action)


def noise(policy, n, seed=0):
    return policy.draw_noise(np.random.default_rng(seed), n)


def assert_equal(first: PolicyState, second: PolicyState, rows=slice(None)):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a[rows], b[rows])


def assert_legal(action, layout):
    """Discrete parts are one-hot, continuous ones finite."""
    start = 0
    for leaf in layout.leaves:
        part = np.asarray(action)[:, start : start + leaf.size]
        start += leaf.size
        assert np.isfinite(part).all()
        if not isinstance(leaf, ContinuousAction):
            assert set(np.unique(part)) <= {0.0, 1.0}
            np.testing.assert_array_equal(part.sum(-1), 1.0)
    assert start == action.shape[-1]


@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("mode", [False, True], ids=["sample", "mode"])
def test_acts_in_n_environments(policy, n, mode):
    state = policy.initial_state(n)
    assert not any(np.any(x) for x in state)
    is_first = tf.fill([n], True)
    for step in range(3):
        columns = observe(n, seed=step)
        state = policy.act(columns, is_first, state, noise(policy, n, step), mode=mode)
        assert state.h.shape == (n, NANO.deterministic)
        assert state.index.shape == (n, NANO.categoricals)
        assert state.action.shape == (n, synthetic.MIXED.size)
        assert_legal(state.action, synthetic.MIXED)
        assert np.min(state.index) >= 0
        assert np.max(state.index) < NANO.classes
        is_first = tf.fill([n], False)


def test_reset_forgets_the_state_of_that_environment_only(policy):
    is_first = tf.constant([True, False, True])
    columns = observe(3)
    first, second = (
        policy.act(columns, is_first, some_state(3, seed=seed), noise(policy, 3), mode=False)
        for seed in (1, 2)
    )
    assert_equal(first, second, rows=[0, 2])
    assert np.abs(first.h[1] - second.h[1]).max() > 1e-3
    start = policy.initial_state(3)
    fresh = policy.act(columns, tf.fill([3], True), start, noise(policy, 3), mode=False)
    assert_equal(first, fresh, rows=[0, 2])


def test_one_seed_gives_one_action_and_another_seed_another(policy):
    is_first, columns, state = tf.fill([8], False), observe(8), some_state(8)
    first, again, other = (
        policy.act(columns, is_first, state, noise(policy, 8, seed), mode=False)
        for seed in (1, 1, 2)
    )
    assert_equal(first, again)
    assert np.any(first.index != other.index)
    assert not np.any(first.action[:, :2] == other.action[:, :2])


def test_environments_are_sampled_independently(policy):
    """Eight environments that see the same do not all do the same."""
    columns = {name: tf.repeat(x, 8, 0) for name, x in observe(1).items()}
    start = policy.initial_state(8)
    acted = policy.act(columns, tf.fill([8], True), start, noise(policy, 8), mode=False)
    assert len(np.unique(acted.action[:, 0])) == 8


def test_latent_and_action_are_sampled_independently():
    """An actor that does not look at the latent does nothing that the latent tells."""
    policy, steps = make_policy(actions=synthetic.DISCRETE), 500
    for variable in policy.actor.variables:
        variable.assign(tf.zeros_like(variable))
    columns, state, is_first = observe(1), policy.initial_state(1), tf.constant([True])
    rng = np.random.default_rng(0)
    acted = [
        policy.act(columns, is_first, state, policy.draw_noise(rng, 1), mode=False)
        for _ in range(steps)
    ]
    action = np.concatenate([np.argmax(a.action, -1) for a in acted])
    latents = np.concatenate([a.index for a in acted])
    assert len(np.unique(action)) == 4
    correlations = np.corrcoef(latents, action, rowvar=False)[-1, :-1]
    assert np.abs(correlations).max() < 4 / np.sqrt(steps)


def test_mode_is_the_mode_of_the_actor_and_sampling_is_not(policy):
    args = observe(8), tf.fill([8], False), some_state(8), noise(policy, 8)
    mode, sample = policy.act(*args, mode=True), policy.act(*args, mode=False)
    assert_equal(mode[:2], sample[:2])  # The latent is sampled either way, with the same noise.
    actor = policy.actor(synthetic.State(mode.h, mode.index))
    np.testing.assert_allclose(mode.action, actor.mode(), atol=1e-6)
    assert not np.any(mode.action[:, :2] == sample.action[:, :2])


def test_sampled_actions_have_the_actors_distribution():
    """Mean and deviation of many sampled actions, given the latents that came with them."""
    policy, n = make_policy(), 4000
    columns = {name: tf.repeat(x, n, 0) for name, x in observe(1).items()}
    start = policy.initial_state(n)
    acted = policy.act(columns, tf.fill([n], True), start, noise(policy, n), mode=False)
    actor = policy.actor(synthetic.State(acted.h, acted.index))
    probable = actor.sample(action_noise(synthetic.MIXED, [n], tf.constant([9, 9])))
    difference = np.mean(acted.action, 0) - np.mean(probable, 0)
    assert np.abs(difference).max() < 5 * np.sqrt(2 / n)
    np.testing.assert_allclose(np.std(acted.action, 0), np.std(probable, 0), atol=0.05)


@pytest.mark.parametrize(
    ("settings", "layout", "n"),
    [
        pytest.param(NANO, synthetic.VECTOR, 1, id="v1-vector-1"),
        pytest.param(NANO, synthetic.EVERYTHING, 3, id="v1-everything-3", marks=COMPILED),
        pytest.param(NANO_V2, synthetic.VECTOR, 3, id="v2-vector-3"),
        pytest.param(NANO_V2, synthetic.EVERYTHING_48, 1, id="v2-everything-1", marks=COMPILED),
    ],
)
def test_acting_filters_as_training_does(settings, layout, n):
    """Policy steps and the learner's filter, given the same noise, reach the same states.

    Rows begin with a stored state, as those of a replay context do.
    """
    steps = 4
    policy = make_policy(layout, settings=settings)
    is_first = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]], bool)[:, :n]
    state = start = some_state(n)
    acted, columns = [], []
    for t in range(steps):
        seen, drawn = observe(n, layout, seed=t), noise(policy, n, t)
        columns.append((policy.encoder(seen), state.action, is_first[t], drawn.latent))
        state = policy.act(seen, tf.constant(is_first[t]), state, drawn, mode=False)
        acted.append(state)
    rows = [tf.stack(x, 1) for x in zip(*columns, strict=True)]
    trained = policy.rssm.observe(*rows, State(start.h, start.index)).state
    for t, state in enumerate(acted):
        np.testing.assert_array_equal(state.index, trained.index[:, t])
        np.testing.assert_allclose(state.h, trained.h[:, t], atol=1e-5)


def test_policy_with_the_models_weights_acts_as_the_model_does():
    layout, actions = synthetic.EVERYTHING, synthetic.MIXED
    trained = synthetic.model(layout, actions, seed=0)
    synthetic.scramble(trained)
    alone = PolicyModel.create(layout, actions, NANO, seed=1)
    columns = observe(3, layout)
    args = columns, tf.fill([3], True), trained.policy.initial_state(3), noise(alone.policy, 3)
    before = alone.policy.act(*args, mode=False)
    set_weights(alone, get_weights(trained))
    expected, after = (m.policy.act(*args, mode=False) for m in (trained, alone))
    assert_equal(expected, after)
    assert np.any(expected.h != before.h)


def test_training_moves_the_policy_that_shares_the_networks():
    model = synthetic.model(synthetic.VECTOR, synthetic.CONTINUOUS)
    start = model.policy.initial_state(2)
    args = observe(2), tf.fill([2], True), start, noise(model.policy, 2)
    before = model.policy.act(*args, mode=True).action
    synthetic.scramble(model.actor)
    assert np.all(model.policy.act(*args, mode=True).action != before)
