"""Small layouts, models and random batches for the tests of networks, losses and trainer.

Tests say ``import synthetic``; pytest has this folder on its path.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import Context, WorldModelOutput
from rllib_dreamerv3.options.model_sizes import ModelSettings, model_settings
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
)
from rllib_dreamerv3.spaces.layout import (
    ActionLayout,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLayout,
    Vector,
)

VECTOR = ObservationLayout((Vector("obs/x", 3),))
IMAGE = ObservationLayout((Image("obs/camera", 8, 8, 3),))
# One leaf of each kind, more than one image, kinds out of order.
EVERYTHING = ObservationLayout(
    (
        Vector("obs/a", 2),
        Image("obs/b", 16, 16, 3),
        Categorical("obs/c", (3, 2)),
        Image("obs/d", 16, 16, 1, low=-1.0, high=1.0, dtype="float32"),
        Vector("obs/e", 1),
    )
)
# The same for the pooled CNN, which takes no smaller images than these.
EVERYTHING_48 = ObservationLayout(
    tuple(
        dataclasses.replace(leaf, height=48, width=48) if isinstance(leaf, Image) else leaf
        for leaf in EVERYTHING.leaves
    )
)

DISCRETE = ActionLayout((DiscreteAction(4),))
CONTINUOUS = ActionLayout((ContinuousAction(2),))
MIXED = ActionLayout((ContinuousAction(2), DiscreteAction(3), DiscreteAction(2)))

NANO = model_settings("nano")
NANO_V2 = model_settings("nano", "v2")

# Few imagined steps; all else as published, but for the warm-up, in which little happens.
TRAINER = LearningOptions(horizon_H=3)
TRAINER_V2 = LearningOptions.of_variant("v2", horizon_H=3, lr_warmup=0)


def model(
    observations: ObservationLayout,
    actions: ActionLayout,
    settings: ModelSettings = NANO,
    seed: int = 0,
) -> DreamerModel:
    return DreamerModel(observations, actions, settings, seed=seed)


def predicted(
    model: DreamerModel,
    batch: Mapping[str, tf.Tensor],
    uniform: tf.Tensor,
    context: Context | None = None,
) -> WorldModelOutput:
    """What the world model predicts for each record of a batch, from its posterior."""
    world = model.world_model
    return world.predict(world.observe(batch, uniform, context))


def columns(layout: ObservationLayout, *batch: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random observation columns ``[*batch, ...]``."""
    rng = np.random.default_rng(seed)
    result = {}
    for leaf in layout.leaves:
        shape = (*batch, *leaf.shape)
        if isinstance(leaf, Image):
            values = rng.uniform(leaf.low, leaf.high, shape)
            result[leaf.key] = values.round().astype(leaf.dtype) if leaf.high > 1 else values
        elif isinstance(leaf, Categorical):
            result[leaf.key] = rng.integers(0, leaf.classes, shape)
        else:
            result[leaf.key] = rng.normal(0, 5, shape)
        result[leaf.key] = result[leaf.key].astype(leaf.dtype)
    return result


def action_vectors(layout: ActionLayout, *batch: int, seed: int = 0) -> np.ndarray:
    """Random action vectors ``[*batch, A]``."""
    rng = np.random.default_rng(seed)
    parts = [
        np.eye(leaf.n)[rng.integers(0, leaf.n, batch)]
        if isinstance(leaf, DiscreteAction)
        else rng.uniform(-1, 1, (*batch, leaf.size))
        for leaf in layout.leaves
    ]
    return np.concatenate(parts, -1).astype(np.float32)


def batch(
    observations: ObservationLayout,
    actions: ActionLayout,
    rows: int = 3,
    length: int = 4,
    seed: int = 0,
) -> dict[str, tf.Tensor]:
    """Record columns ``[B, T, ...]``; an episode terminates in the middle of the first row."""
    rng = np.random.default_rng(seed)
    is_first = np.zeros((rows, length), bool)
    is_first[:, 0] = True
    is_last = np.zeros((rows, length), bool)
    is_last[0, length // 2 - 1] = True
    is_first[0, length // 2] = True
    action = action_vectors(actions, rows, length, seed=seed)
    action[is_last] = 0.0
    reward = rng.normal(0, 2, (rows, length)).astype(np.float32)
    reward[is_first] = 0.0
    records = columns(observations, rows, length, seed=seed) | {
        REWARD: reward,
        IS_FIRST: is_first,
        IS_LAST: is_last,
        IS_TERMINAL: is_last,
        ACTION: action,
    }
    return {name: tf.constant(value) for name, value in records.items()}


def batch_with_context(
    observations: ObservationLayout,
    actions: ActionLayout,
    settings: ModelSettings = NANO_V2,
    rows: int = 3,
    length: int = 4,
    seed: int = 0,
) -> dict[str, tf.Tensor]:
    """Record columns ``[B, 1 + T, ...]`` with stored latents, the first record being the context.

    An episode begins with the second row; the others begin in the middle of one.
    """
    rng = np.random.default_rng(seed)
    records = batch(observations, actions, rows, 1 + length, seed)
    is_first, is_last = records[IS_FIRST].numpy(), records[IS_LAST].numpy()
    is_last[1:2, 0] = is_first[1:2, 1] = True
    shape = (rows, 1 + length)
    index = rng.integers(0, settings.classes, (*shape, settings.categoricals))
    latents = {
        IS_FIRST: is_first,
        IS_LAST: is_last,
        LATENT_H: rng.uniform(-1, 1, (*shape, settings.deterministic)).astype(np.float32),
        LATENT_INDEX: index.astype(np.uint8),
    }
    return records | {name: tf.constant(value) for name, value in latents.items()}


def flat(records: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Record columns ``[B, T, ...]`` as ``[B * T, ...]``."""
    return {name: tf.reshape(x, [-1, *x.shape[2:]]) for name, x in records.items()}


def states(settings: ModelSettings, n: int, seed: int = 0) -> State:
    """Random model states ``[n, ...]`` without a dense z."""
    rng = np.random.default_rng(seed)
    return State(
        tf.constant(rng.uniform(-1, 1, (n, settings.deterministic)), tf.float32),
        tf.constant(rng.integers(0, settings.classes, (n, settings.categoricals)), tf.int32),
    )


def uniform(*shape: int, seed: int = 0) -> tf.Tensor:
    """Random numbers in [0, 1)."""
    return tf.constant(np.random.default_rng(seed).random(shape, np.float32))


def scramble(module: tf.Module, seed: int = 0) -> None:
    """Adds noise to every parameter, so that none is zero or one any more."""
    rng = np.random.default_rng(seed)
    for variable in module.variables:
        variable.assign_add(rng.normal(0, 0.2, variable.shape).astype(np.float32))


def reached(tape: tf.GradientTape, loss: tf.Tensor, module: tf.Module) -> bool:
    """Whether gradient of the loss gets to any parameter of the module; the tape is persistent."""
    gradients = tape.gradient(loss, module.trainable_variables)
    return any(g is not None and np.any(tf.convert_to_tensor(g)) for g in gradients)
