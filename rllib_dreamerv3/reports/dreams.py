"""Dreams: the world model's reconstruction and open-loop prediction of recorded sequences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.registered_gradients import free_registered_gradients
from rllib_dreamerv3.agent.math.two_hot import TwoHot, make_two_hot
from rllib_dreamerv3.agent.networks.observation_values import predicted_column, unit_image
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import Context, WorldModel, split_context
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import TwoHotBins
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_TERMINAL, REWARD, Columns
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout

Batch = Mapping[str, np.ndarray | tf.Tensor]

CONTINUE = "continue"
"""Probability that the episode continues; in truth 0 where it terminates, else 1."""


@dataclass(frozen=True)
class Dream:
    """Recorded sequences, and the world model's predictions of each record.

    Columns are named as in records, with images as float32 ``[B, T, h, w, c]`` in [0, 1], and
    others as recorded; ``reward`` and ``continue`` are float32 ``[B, T]``.

    Attributes:
        layout: Layout of the observation.
        observed: Number of context records that imagination sees.
        is_first: Where episodes begin, bool ``[B, T]``. Imagination does not see it: it continues
            the old episode, so that its predictions no longer correspond to the records.
        truth: The recorded values.
        reconstruction: Decoded from posterior states of all records.
        imagination: Equal to ``reconstruction`` for the first ``observed`` records; the others are
            decoded from prior states, given only the recorded actions.
    """

    layout: ObservationLayout
    observed: int
    is_first: np.ndarray
    truth: Columns
    reconstruction: Columns
    imagination: Columns


class Predictions(NamedTuple):
    """Column -> prediction ``[B, T, ...]``, see :class:`Dream`."""

    reconstruction: dict[str, tf.Tensor]
    imagination: dict[str, tf.Tensor]


class Dreamer:
    """Computes dreams of a world model; traces its function once for each shape."""

    def __init__(
        self,
        world: WorldModel,
        layout: ObservationLayout,
        settings: ModelSettings,
        two_hot_bins: TwoHotBins,
    ):
        """Take a world model, and the layout and settings it was built from."""
        self._world, self._layout, self._settings = world, layout, settings
        self._two_hot = make_two_hot(two_hot_bins)
        self._predict = tf.function(self._drawing_samples, autograph=False)

    def dream(self, batch: Batch, observed: int, seed: tf.Tensor) -> Dream:
        """Dreams of all sequences of a batch.

        Args:
            batch: Record columns ``[B, T, ...]``, or ``[B, 1 + T, ...]`` with a context record.
            observed: Context records that imagination sees, clipped to 1 .. T - 1.
            seed: int32 ``[2]``, seed of the samples.

        Returns:
            The dream.
        """
        records, context = split_context(batch)
        observed = max(1, min(observed, records[IS_FIRST].shape[1] - 1))
        predictions = self._predict(records, context, seed, observed)
        reconstruction, imagination = tf.nest.map_structure(lambda x: x.numpy(), predictions)
        return Dream(
            self._layout,
            observed,
            np.asarray(records[IS_FIRST]),
            self._truth(records),
            reconstruction,
            imagination,
        )

    @free_registered_gradients()
    def _drawing_samples(
        self, records: Batch, context: Context | None, seed: tf.Tensor, observed: int
    ) -> Predictions:
        shape = [*records[IS_FIRST].shape, self._settings.categoricals]
        uniform = tf.random.stateless_uniform(shape, seed)
        return self.predict(records, uniform, observed, context)

    def predict(
        self, records: Batch, uniform: tf.Tensor, observed: int, context: Context | None = None
    ) -> Predictions:
        """Reconstruct all records, and imagine those after the observed ones.

        Args:
            records: Record columns ``[B, T, ...]``.
            uniform: Random numbers of all samples, float32 ``[B, T, S]`` in [0, 1).
            observed: Number of observed records, 1 to T.
            context: State before the first record (2025 code); None if ``is_first[:, 0]`` is True.

        Returns:
            Both predictions.
        """
        rows, length = records[IS_FIRST].shape
        states = self._world.observe(records, uniform, context).state
        reconstruction = self._read(states, rows)
        if observed == length:
            return Predictions(reconstruction, reconstruction)
        last = State(*(_by_sequence(x, rows)[:, observed - 1] for x in (states.h, states.index)))
        # The action at a record leads to the next one.
        actions = tf.convert_to_tensor(records[ACTION])[:, observed - 1 : -1]
        imagined = self._read(self._imagine(last, actions, uniform[:, observed:]), rows)
        imagination = {
            key: tf.concat([reconstruction[key][:, :observed], x], 1) for key, x in imagined.items()
        }
        return Predictions(reconstruction, imagination)

    def _imagine(self, start: State, actions: tf.Tensor, uniform: tf.Tensor) -> State:
        """Return the states ``[B * N, ...]`` after actions ``[B, N, A]``, batch-major."""

        def step(state: tuple, inputs: tuple) -> tuple:
            action, uniform = inputs
            imagined = self._world.rssm.imagine(State(*state), action, uniform, dense=False)
            return imagined.h, imagined.index

        # A scan runs over the first axis.
        inputs = _swap_axes(actions), _swap_axes(uniform)
        states = tf.scan(step, inputs, (start.h, start.index))
        return State(*(_swap_axes(x) for x in states)).flat()

    def _read(self, states: State, rows: int) -> dict[str, tf.Tensor]:
        """Return all predictions from states ``[B * N, ...]``, as columns ``[B, N, ...]``."""
        columns = predicted_columns(
            self._world, self._layout, self._settings, self._two_hot, states
        )
        return {key: _by_sequence(x, rows) for key, x in columns.items()}

    def _truth(self, records: Batch) -> Columns:
        truth = {leaf.key: np.asarray(records[leaf.key]) for leaf in self._layout.vectors}
        for image in self._layout.images:
            truth[image.key] = unit_image(records[image.key], image.low, image.high).numpy()
        truth[REWARD] = np.asarray(records[REWARD])
        truth[CONTINUE] = 1.0 - np.asarray(records[IS_TERMINAL], np.float32)
        return truth


def predicted_columns(
    world: WorldModel,
    layout: ObservationLayout,
    settings: ModelSettings,
    two_hot: TwoHot,
    states: State,
) -> dict[str, tf.Tensor]:
    """Decode model states: observation, reward and continue.

    Args:
        world: The world model.
        layout: Layout of the observation.
        settings: Settings of the networks.
        two_hot: Encoding of rewards.
        states: ``[N, ...]``.

    Returns:
        Column -> prediction ``[N, ...]``, see :class:`Dream`.
    """
    predictions = world.decoder(states)
    columns = {
        leaf.key: predictions[leaf.key]
        if isinstance(leaf, Image)
        else predicted_column(leaf, predictions[leaf.key], settings)
        for leaf in layout.leaves
    }
    columns[REWARD] = two_hot.mean(world.reward(states))
    columns[CONTINUE] = tf.sigmoid(world.cont(states))
    return columns


def _by_sequence(flat: tf.Tensor, rows: int) -> tf.Tensor:
    return tf.reshape(flat, [rows, -1, *flat.shape[1:]])


def _swap_axes(x: tf.Tensor) -> tf.Tensor:
    """``[B, T, ...] -> [T, B, ...]``, and back."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
