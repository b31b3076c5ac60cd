"""Reports: dreams, what is imagined step by step, and the losses of single records."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.imagination import imagine
from rllib_dreamerv3.agent.losses.world_model import world_model_losses
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.agent.noise import draw_imagination_noise
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import IS_TERMINAL, LATENT_H, REWARD
from rllib_dreamerv3.reports.reporter import Reporter

NANO = synthetic.NANO
B, T, OBSERVED = 3, 8, 4
SETTINGS = LearningOptions(
    horizon_H=3,
    gamma=0.9,
    gae_lambda=0.8,
    prediction_loss_scale=2.0,
    dynamics_loss_scale=0.7,
    representation_loss_scale=0.3,
)
CAMERA = synthetic.IMAGE.images[0].key
UNIFORM = synthetic.uniform(B, T, NANO.categoricals, seed=5)


def scrambled(observations=synthetic.IMAGE, actions=synthetic.DISCRETE):
    model = synthetic.model(observations, actions)
    synthetic.scramble(model)
    return model


def reporter_for(model, observations=synthetic.IMAGE, actions=synthetic.DISCRETE):
    return Reporter(model, observations, actions, NANO, SETTINGS, 0)


def records(observations=synthetic.IMAGE, actions=synthetic.DISCRETE, rows=B, length=T):
    return {
        key: x.numpy()
        for key, x in synthetic.batch(observations, actions, rows=rows, length=length).items()
    }


# Imagination, step by step


def test_dream_data_are_means_over_all_trajectories():
    model, batch = scrambled(), records()
    data = reporter_for(model).dream_data(batch, update=7)
    horizon, n = SETTINGS.horizon_H, B * T
    world, mean = model.world_model, make_two_hot("symlog").mean
    uniform = tf.random.stateless_uniform([B, T, NANO.categoricals], [0, 7])
    start = world.observe(batch, uniform).state.stop_gradient()
    trajectory = imagine(
        world,
        model.actor,
        start,
        draw_imagination_noise(
            synthetic.DISCRETE, NANO.categoricals, horizon, n, tf.random.fold_in([0, 7], 1)
        ),
        through_dynamics=False,
    )
    states = [
        State(h, index) for h, index in zip(trajectory.state.h, trajectory.state.index, strict=True)
    ]
    rewards = np.array([mean(world.reward(s)) for s in states])
    values = np.array([mean(model.critic(s)) for s in states])
    logits = np.array([world.cont(s) for s in states])
    goes_on = (logits > 0).astype(float)
    goes_on[0] = 1.0 - batch[IS_TERMINAL].reshape(n)
    returns, target = [], values[-1]
    for i in reversed(range(horizon)):
        mixed = (1 - SETTINGS.gae_lambda) * values[i + 1] + SETTINGS.gae_lambda * target
        target = rewards[i + 1] + SETTINGS.gamma * goes_on[i + 1] * mixed
        returns.insert(0, target.mean())
    expected = {
        "DREAM_DATA_rewards_per_step": rewards.mean(1),
        "DREAM_DATA_continues_per_step": (1 / (1 + np.exp(-logits))).mean(1),
        "DREAM_DATA_values_per_step": values.mean(1),
        "DREAM_DATA_returns_per_step": returns,
    }
    assert set(data) == set(expected)
    for name, x in expected.items():
        assert isinstance(data[name], list)
        np.testing.assert_allclose(data[name], x, rtol=1e-3, atol=1e-4, err_msg=name)


def test_dream_data_of_mixed_actions_and_vectors_have_their_lengths():
    model = scrambled(synthetic.EVERYTHING, synthetic.MIXED)
    batch = records(synthetic.EVERYTHING, synthetic.MIXED)
    data = reporter_for(model, synthetic.EVERYTHING, synthetic.MIXED).dream_data(batch, update=1)
    lengths = {name.split("_")[2]: len(x) for name, x in data.items()}
    assert lengths == {"rewards": 4, "continues": 4, "values": 4, "returns": 3}
    assert all(0 < p < 1 for p in data["DREAM_DATA_continues_per_step"])


# Losses of single records


def test_record_losses_average_to_the_loss_of_the_world_model():
    observations, actions = synthetic.EVERYTHING, synthetic.MIXED
    model, batch = scrambled(observations, actions), records(observations, actions)
    losses = reporter_for(model, observations, actions).record_losses(batch, update=3)
    names = ("total", "prediction", "decoder", "reward", "continue", "dynamics", "representation")
    assert set(losses) == {f"WORLD_MODEL_L_{name}_B_T" for name in names}
    assert all(x.shape == (B, T) and x.dtype == np.float32 for x in losses.values())
    uniform = tf.random.stateless_uniform([B, T, NANO.categoricals], [0, 3])
    total = world_model_losses(
        synthetic.predicted(model, batch, uniform),
        synthetic.flat(batch),
        observations,
        make_two_hot("symlog"),
        NANO,
        SETTINGS,
    ).weighted(SETTINGS)
    assert losses["WORLD_MODEL_L_total_B_T"].mean() == pytest.approx(
        float(tf.reduce_mean(total)), rel=1e-4
    )
    parts = {name: losses[f"WORLD_MODEL_L_{name}_B_T"] for name in names}
    prediction = parts["decoder"] + parts["reward"] + parts["continue"]
    np.testing.assert_allclose(parts["prediction"], prediction, rtol=1e-5)
    expected = 2.0 * prediction + 0.7 * parts["dynamics"] + 0.3 * parts["representation"]
    np.testing.assert_allclose(parts["total"], expected, rtol=1e-4)


def test_record_losses_lie_where_their_records_do():
    model, batch = scrambled(), records()
    other = batch | {REWARD: batch[REWARD].copy()}
    other[REWARD][1, 2] += 3.0
    reporter = reporter_for(model)
    one, two = (reporter.record_losses(x, update=3) for x in (batch, other))
    name = "WORLD_MODEL_L_reward_B_T"
    assert np.argwhere(one[name] != two[name]).tolist() == [[1, 2]]


# The 2025 revision


def test_reports_of_v2_start_from_the_context_and_weigh_by_probabilities():
    layout, actions, sizes = synthetic.VECTOR, synthetic.DISCRETE, synthetic.NANO_V2
    settings = synthetic.TRAINER_V2
    model = synthetic.model(layout, actions, sizes)
    synthetic.scramble(model)
    reporter = Reporter(model, layout, actions, sizes, settings, 0)
    batch = {
        key: x.numpy()
        for key, x in synthetic.batch_with_context(layout, actions, sizes, B, T).items()
    }
    losses = reporter.record_losses(batch, update=3)
    assert all(x.shape == (B, T) for x in losses.values())
    other = reporter.record_losses(batch | {LATENT_H: -batch[LATENT_H]}, update=3)
    # The second row begins with an episode; the first one has another one from its second record.
    differs = losses["WORLD_MODEL_L_total_B_T"] != other["WORLD_MODEL_L_total_B_T"]
    assert differs[:, 0].tolist() == [True, False, True]
    assert not differs[1].any()

    # With the discount in the continues: R_0 = r_1 + c_1 (r_2 + ...), mixed with values.
    data = reporter.dream_data(batch, update=3)
    assert len(data["DREAM_DATA_returns_per_step"]) == settings.horizon_H
    records, context = split_context(batch)
    uniform = tf.random.stateless_uniform([B, T, sizes.categoricals], [0, 3])
    start = model.world_model.observe(records, uniform, context).state.stop_gradient()
    trajectory = imagine(
        model.world_model,
        model.actor,
        start,
        draw_imagination_noise(
            actions, sizes.categoricals, settings.horizon_H, B * T, tf.random.fold_in([0, 3], 1)
        ),
        through_dynamics=False,
    )
    last = State(trajectory.state.h[-1], trajectory.state.index[-1])
    before = State(trajectory.state.h[-2], trajectory.state.index[-2])
    mean, world = make_two_hot("symexp").mean, model.world_model
    returns = mean(world.reward(last)) + tf.sigmoid(world.cont(last)) * mean(model.critic(last))
    expected = {
        "DREAM_DATA_returns_per_step": returns,
        "DREAM_DATA_values_per_step": mean(model.critic(last)),
        "DREAM_DATA_continues_per_step": tf.sigmoid(world.cont(last)),
    }
    for name, x in expected.items():
        np.testing.assert_allclose(data[name][-1], np.mean(x), rtol=1e-3)
    np.testing.assert_allclose(
        data["DREAM_DATA_rewards_per_step"][-2], np.mean(mean(world.reward(before))), rtol=1e-3
    )


# Reports and updates


@pytest.mark.long
@pytest.mark.compiled
def test_reports_change_nothing():
    parts = (synthetic.IMAGE, synthetic.DISCRETE, NANO, SETTINGS, 0)
    batch = records()
    ends = []
    for reports in (False, True):
        model = scrambled()
        trainer, reporter = Trainer(model, *parts), Reporter(model, *parts)
        for update in range(2):
            metrics = trainer.update(batch).metrics
            if reports:
                reporter.dream(batch, update)
                reporter.dream_data(batch, update)
                reporter.record_losses(batch, update)
        assert trainer.update.experimental_get_tracing_count() == 1
        ends.append({name: float(x) for name, x in metrics.items()})
    assert ends[0] == ends[1]
