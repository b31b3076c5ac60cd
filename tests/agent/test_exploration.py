"""Updates with Plan2Explore: numbers, what learns from what, and saved state."""

import dataclasses
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from plain import NUMBERS, SIZES, C, S, assert_close, assert_same_gradients
from plain_exploration import PlainCurious
from trainers import NANO, NANO_V2, V1, V2, changed, make_trainer, v2_batch

from rllib_dreamerv3.agent.imagination import imagine
from rllib_dreamerv3.agent.losses.exploration import disagreement
from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights, set_weights
from rllib_dreamerv3.agent.noise import draw_imagination_noise
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.options.table import ExplorationOptions, LearningOptions
from rllib_dreamerv3.records import IS_FIRST, IS_TERMINAL, REWARD

SEED = tf.constant([3, 4])
MODELS = 3
# Ranges of the returns of task and curiosity; only the former has a least scale of 1.
SCALES = (3.0, 0.2)
CURIOUS = ExplorationOptions(use_curiosity=True, curiosity_models=MODELS)
BOTH = pytest.mark.parametrize("variant", ["v1", "v2"])


def curious(variant="v1", actions=synthetic.DISCRETE, models=MODELS, **options):
    """A trainer with exploration; one without if there are no models."""
    learning, sizes = {"v1": (V1, NANO), "v2": (V2, NANO_V2)}[variant]
    if models:
        exploration = dataclasses.replace(CURIOUS, **options)
        learning = dataclasses.replace(learning, exploration=exploration)
    sizes = dataclasses.replace(sizes, ensemble=models)
    trainer = make_trainer(synthetic.VECTOR, actions, learning, sizes=sizes, scramble=False)
    model = trainer.model
    # One after the other: the same noise with and without what exploration adds.
    for part in (model.world_model, model.actor, model.critic, model.slow_critic):
        synthetic.scramble(part)
    if models:
        synthetic.scramble(model.curiosity)
    return trainer


def batch_of(variant, actions=synthetic.DISCRETE, seed=0):
    if variant == "v1":
        return synthetic.batch(synthetic.VECTOR, actions, seed=seed)
    return v2_batch(synthetic.VECTOR, actions, seed=seed)


class Updated(NamedTuple):
    """A trainer's first update: parameters before and after, state after, and metrics."""

    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    state: dict[str, np.ndarray]
    metrics: dict[str, Any]


@cache
def updated(variant, actions=synthetic.DISCRETE, models=MODELS, **options):
    trainer = curious(variant, actions, models, **options)
    before = get_weights(trainer.model)
    metrics = trainer.update(batch_of(variant, actions)).metrics
    return Updated(before, get_weights(trainer.model), trainer.get_state(), metrics)


def parts_of(names):
    return {name.split("/")[0] for name in names}


def plain_and_own(actions, **exploration):
    """Trainer, scrambled and with given scales of returns, and the same networks in float64."""
    options = LearningOptions(
        **NUMBERS,
        return_normalization_decay=1.0,
        exploration=dataclasses.replace(CURIOUS, **exploration),
    )
    sizes, observations = dataclasses.replace(SIZES, ensemble=MODELS), synthetic.VECTOR
    model = DreamerModel(observations, actions, sizes, seed=0)
    synthetic.scramble(model)
    trainer = Trainer(model, observations, actions, sizes, options)
    for objective, scale in zip(trainer._objectives, SCALES, strict=True):
        objective.normalizer.high.assign(scale)
    return trainer, PlainCurious(model, observations, actions, options)


@pytest.mark.parametrize("actions", [synthetic.CONTINUOUS, synthetic.MIXED], ids=["c", "m"])
def test_actor_and_critics_against_float64(actions):
    trainer, plain = plain_and_own(actions, intrinsic_rewards_scale=0.3)
    model, n, dynamics = trainer.model, 7, actions.all_continuous
    start, is_terminal = synthetic.states(SIZES, n), tf.constant([False] * 5 + [True] * 2)
    records = {IS_TERMINAL: is_terminal, REWARD: tf.zeros([n]), IS_FIRST: tf.zeros([n], tf.bool)}
    noise = draw_imagination_noise(actions, S, NUMBERS["horizon_H"], n, SEED)
    behaviour = trainer._imagine(start, records, noise)
    trajectory = imagine(
        model.world_model,
        model.actor,
        start.with_dense_z(C) if dynamics else start,
        noise,
        through_dynamics=dynamics,
    )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(plain.weights)
        task = plain.dream(trajectory, is_terminal, dynamics)
        curiosity = plain.curious(task, is_terminal, dynamics)
        _, critic = plain.losses_of_dream(task, SCALES[0], dynamics)
        losses = {
            "actor": plain.mixed_actor_loss([task, curiosity], SCALES, [1.0, 0.3], dynamics),
            "critic": critic,
            "intrinsic_critic": plain.intrinsic_critic_loss(curiosity),
        }
    reward = tf.reduce_mean(tf.stack(curiosity.rewards[1:]))
    assert_close(behaviour.metrics["INTRINSIC_CRITIC_rewards_mean"], reward, "reward")
    parts = model.trained_parts()
    for name, loss in losses.items():
        assert_close(behaviour.metrics[f"{name.upper()}_L_total"], loss, name)
        expected = tape.gradient(loss, plain.weights)
        assert_same_gradients(model, [parts[name]], behaviour.gradients[name], expected)


@pytest.mark.parametrize("actions", [synthetic.CONTINUOUS, synthetic.DISCRETE], ids=["c", "d"])
def test_ensemble_against_float64(actions):
    trainer, plain = plain_and_own(actions)
    records = synthetic.batch(synthetic.VECTOR, actions, rows=3, length=5)
    assert np.any(records[IS_FIRST][:, 1:])
    state = synthetic.states(SIZES, 15)
    gradients, metrics = trainer._learn_rewards(state, records)
    with tf.GradientTape() as tape:
        tape.watch(plain.weights)
        loss = plain.ensemble_loss(state, records)
    assert_close(metrics["ENSEMBLE_L_total"], loss)
    expected = tape.gradient(loss, plain.weights)
    ensemble = trainer.model.curiosity.ensemble
    assert_same_gradients(trainer.model, [ensemble], gradients["ensemble"], expected)


@pytest.mark.parametrize(
    ("variant", "actions"),
    [("v1", synthetic.CONTINUOUS), ("v1", synthetic.DISCRETE), ("v2", synthetic.DISCRETE)],
    ids=["v1 dynamics", "v1", "v2"],
)
def test_exploration_reaches_no_network_but_the_actor_and_its_own(variant, actions):
    """World model and critic take the same first step, bit for bit."""
    plain, found = updated(variant, actions, 0), updated(variant, actions)
    own = {"ensemble", "intrinsic_critic", "slow_intrinsic_critic"}
    assert parts_of(found.after.keys() - plain.after.keys()) == own
    assert not changed(plain.before, found.before)
    assert parts_of(changed(plain.after, found.after)) == {"actor"}
    assert own <= parts_of(changed(found.before, found.after))


@BOTH
def test_without_curiosity_nothing_is_there(variant):
    plain = updated(variant, models=0)
    names = {name.lower() for name in {*plain.after, *plain.state, *plain.metrics}}
    assert not [name for name in names if "ensemble" in name or "intrinsic" in name]


@BOTH
def test_metrics_are_reported_and_finite(variant):
    metrics = updated(variant).metrics
    expected = {
        "ENSEMBLE_L_total",
        "ENSEMBLE_gradients_global_norm",
        "INTRINSIC_CRITIC_L_total",
        "INTRINSIC_CRITIC_gradients_global_norm",
        "INTRINSIC_CRITIC_rewards_mean",
        "INTRINSIC_CRITIC_values_mean",
    }
    assert expected <= metrics.keys()
    assert all(np.isfinite(metrics[name]) for name in expected)
    assert metrics["INTRINSIC_CRITIC_rewards_mean"] > 0


@pytest.mark.parametrize(
    "option", [{"intrinsic_rewards_scale": 0.5}, {"explore_only": True}], ids=str
)
def test_options_reach_the_actor(option):
    assert parts_of(changed(updated("v1").after, updated("v1", **option).after)) == {"actor"}


def test_explore_only_ignores_the_reward_which_is_still_learned():
    usual, trainer = updated("v2", explore_only=True), curious("v2", explore_only=True)
    assert {"reward", "critic", "actor"} <= parts_of(changed(usual.before, usual.after))
    trainer.model.world_model.reward.output.bias.assign_add(tf.range(255.0) / 255.0)
    trainer.update(batch_of("v2"))
    different = parts_of(changed(usual.after, get_weights(trainer.model)))
    assert {"reward", "critic"} <= different
    assert "actor" not in different


def test_ensemble_learns_and_disagrees_less():
    trainer, state = curious(), synthetic.states(NANO, 12)
    records = batch_of("v1")
    losses, rewards = [], []
    action = tf.reshape(records["action"], [12, -1])
    for _ in range(15):
        gradients, metrics = trainer._learn_rewards(state, records)
        losses.append(float(metrics["ENSEMBLE_L_total"]))
        rewards.append(np.mean(disagreement(trainer.model.curiosity.ensemble(state, action))))
        for variable, gradient in zip(
            trainer._variables["ensemble"], gradients["ensemble"], strict=True
        ):
            variable.assign_sub(0.02 * gradient)
    assert losses[-1] < 0.8 * losses[0]
    assert rewards[-1] < rewards[0]


# Saved state


@BOTH
def test_restored_trainer_continues_to_the_last_bit(variant):
    first, batch = updated(variant), batch_of(variant, seed=1)
    restored, going_on = curious(variant), curious(variant)
    set_weights(restored.model, first.after)
    restored.set_state(first.state)
    assert not changed(first.state, restored.get_state())
    going_on.update(batch_of(variant))
    found = []
    for trainer in (restored, going_on):
        trainer.update(batch)
        found.append({**get_weights(trainer.model), **trainer.get_state()})
    assert not changed(*found)
    kept = {name for name in first.state if name.startswith("intrinsic_returns/")}
    assert kept == {"intrinsic_returns/low", "intrinsic_returns/high"}
    assert len(going_on.optimizers) == {"v1": 5, "v2": 2}[variant]


@BOTH
def test_a_run_may_end_to_explore_but_not_begin_without_its_networks(variant):
    explored, plain = updated(variant), curious(variant, models=0)
    plain.set_state(explored.state)
    set_weights(plain.model, explored.after)
    assert not changed(plain.get_state(), explored.state)
    trainer = curious(variant)
    with pytest.raises(ValueError, match="lack 'ensemble/"):
        set_weights(trainer.model, get_weights(plain.model))
    with pytest.raises(CheckpointError, match="intrinsic_returns"):
        trainer.set_state(plain.get_state())


def test_an_update_that_is_not_finite_leaves_exploration_as_it_was():
    trainer = curious("v2")
    trainer.model.curiosity.critic.output.bias.assign(np.full(255, np.nan, np.float32))
    before = {**get_weights(trainer.model), **trainer.get_state()}
    metrics = trainer.update(batch_of("v2")).metrics
    assert not np.isfinite(metrics["INTRINSIC_CRITIC_L_total"])
    after = {**get_weights(trainer.model), **trainer.get_state()}
    assert changed(before, after) - {"intrinsic_critic/output/bias"} == {"updates"}
