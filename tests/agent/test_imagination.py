import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.imagination import imagine
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.noise import draw_imagination_noise

NANO = synthetic.NANO
H, N = 4, 5
SEED = tf.constant([1, 2])


def make(actions):
    model = synthetic.model(synthetic.VECTOR, actions)
    synthetic.scramble(model)
    return model


def starts(dense):
    state = synthetic.states(NANO, N)
    return state.with_dense_z(NANO.classes) if dense else state


def roll(model, actions, dense, start=None, seed=SEED):
    start = starts(dense) if start is None else start
    noise = draw_imagination_noise(actions, NANO.categoricals, H, N, seed)
    return imagine(model.world_model, model.actor, start, noise, through_dynamics=dense)


both_ways = pytest.mark.parametrize("dense", [False, True], ids=["reinforce", "dynamics"])
all_actions = pytest.mark.parametrize(
    "actions", [synthetic.DISCRETE, synthetic.CONTINUOUS, synthetic.MIXED], ids=["d", "c", "m"]
)


@both_ways
@all_actions
def test_trajectories_follow_the_model(actions, dense):
    model = make(actions)
    trajectory = roll(model, actions, dense)
    state, action, mask = trajectory
    assert mask is None
    assert state.h.shape == (H + 1, N, NANO.deterministic)
    assert state.index.shape == (H + 1, N, NANO.categoricals)
    assert action.shape == (H + 1, N, actions.size)
    np.testing.assert_array_equal(state.h[0], starts(dense).h)
    np.testing.assert_array_equal(state.index[0], starts(dense).index)
    if dense:
        np.testing.assert_allclose(
            state.z, np.reshape(tf.one_hot(state.index, NANO.classes), (H + 1, N, -1)), atol=1e-6
        )
    else:
        assert state.z is None
    for i in range(H):
        # h depends on state and action alone; the noise decides z.
        following = model.world_model.rssm.imagine(
            State(state.h[i], state.index[i]),
            action[i],
            synthetic.uniform(N, NANO.categoricals),
            dense=False,
        )
        np.testing.assert_allclose(state.h[i + 1], following.h, atol=1e-5)


def test_flat_states_are_time_major():
    model = make(synthetic.CONTINUOUS)
    for dense in (False, True):
        trajectory = roll(model, synthetic.CONTINUOUS, dense)
        flat = trajectory.state.flat()
        np.testing.assert_array_equal(flat.h[2 * N + 3], trajectory.state.h[2, 3])
        np.testing.assert_array_equal(flat.index[2 * N + 3], trajectory.state.index[2, 3])
        assert (flat.z is None) is not dense


def test_one_seed_gives_one_trajectory():
    model = make(synthetic.MIXED)
    first, again, other = (
        roll(model, synthetic.MIXED, False, seed=seed) for seed in (SEED, SEED, SEED + 1)
    )
    np.testing.assert_array_equal(first.action, again.action)
    np.testing.assert_array_equal(first.state.index, again.state.index)
    assert not np.any(first.action[..., :2] == other.action[..., :2])
    assert np.any(first.state.index[1:] != other.state.index[1:])


def test_both_ways_imagine_the_same():
    """Carrying gradients changes no number."""
    model = make(synthetic.CONTINUOUS)
    index, dense = (roll(model, synthetic.CONTINUOUS, dense) for dense in (False, True))
    np.testing.assert_array_equal(index.state.index, dense.state.index)
    np.testing.assert_allclose(index.state.h, dense.state.h, atol=1e-5)
    np.testing.assert_allclose(index.action, dense.action, atol=1e-5)


def test_states_and_actions_are_sampled_from_prior_and_policy():
    """Of many trajectories from one state, second states and actions are as often as probable."""
    n, actions = 4000, synthetic.DISCRETE
    model = make(actions)
    start = State(*(tf.repeat(x[:1], n, 0) for x in starts(False)[:2]))
    noise = draw_imagination_noise(actions, NANO.categoricals, 1, n, SEED)
    state, action, _ = imagine(model.world_model, model.actor, start, noise, through_dynamics=False)
    policy = model.actor(start.first(1))
    probs = [float(np.exp(policy.log_prob(tf.one_hot([a], 4)))[0]) for a in range(4)]
    np.testing.assert_allclose(np.mean(action[0], 0), probs, atol=0.03)
    prior = np.exp(model.world_model.rssm.prior(state.h[1])).mean(0)
    frequencies = np.mean(tf.one_hot(state.index[1], NANO.classes), 0)
    np.testing.assert_allclose(frequencies, prior, atol=0.03)
    # The second action belongs to the second state.
    policy = model.actor(State(state.h[1], state.index[1]))
    probs = [np.exp(policy.log_prob(tf.tile(tf.one_hot([a], 4), [n, 1]))).mean() for a in range(4)]
    np.testing.assert_allclose(np.mean(action[1], 0), probs, atol=0.03)


def gradients(actions, dense, target):
    """Gradients of a number read off the trajectories by actor, RSSM and start."""
    model, start = make(actions), starts(dense)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([start.h])
        trajectory = roll(model, actions, dense, start)
        loss = tf.reduce_sum(target(trajectory) ** 2)
    reaches = {
        name: synthetic.reached(tape, loss, module)
        for name, module in (("actor", model.actor), ("rssm", model.world_model.rssm))
    }
    return reaches, tape.gradient(loss, start.h)


def test_dynamics_carries_gradient_from_later_states_to_the_actor():
    reaches, _ = gradients(synthetic.CONTINUOUS, True, lambda t: t.state.h[-1])
    assert reaches == {"actor": True, "rssm": True}
    # Through z as well as through h.
    reaches, _ = gradients(synthetic.CONTINUOUS, True, lambda t: t.state.z[-1])
    assert reaches == {"actor": True, "rssm": True}


@pytest.mark.parametrize("i", [0, H])
def test_policy_reads_states_as_data(i):
    reaches, by_start = gradients(synthetic.CONTINUOUS, True, lambda t: t.action[i])
    assert reaches == {"actor": True, "rssm": False}
    assert by_start is None or not np.any(by_start)


def test_discrete_actions_carry_no_gradient():
    for dense in (False, True):
        reaches, _ = gradients(synthetic.DISCRETE, dense, lambda t: t.state.h[-1])
        assert reaches["actor"] is False


def test_masks_are_recorded_at_the_start_and_predicted_after_it():
    actions = dataclasses.replace(synthetic.DISCRETE, masked=True)
    model = make(actions)
    start_mask = np.eye(4, dtype=bool)[np.arange(N) % 4]
    trajectory = imagine(
        model.world_model,
        model.actor,
        starts(False),
        draw_imagination_noise(actions, NANO.categoricals, H, N, SEED),
        through_dynamics=False,
        start_mask=tf.constant(start_mask),
    )
    np.testing.assert_array_equal(trajectory.mask[0], start_mask)
    for i in range(1, H + 1):
        state = State(trajectory.state.h[i], trajectory.state.index[i])
        np.testing.assert_array_equal(trajectory.mask[i], model.world_model.mask.allowed(state))
    assert not np.array_equal(trajectory.mask[1], trajectory.mask[0])
    np.testing.assert_array_equal(
        trajectory.flat_mask(2), np.concatenate([trajectory.mask[0], trajectory.mask[1]])
    )
    # The choice in each state is one that its mask allows.
    assert np.all(trajectory.mask.numpy()[trajectory.action.numpy() == 1.0])
