"""The learned world model as a function from states and actions to predictions."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.registered_gradients import free_registered_gradients
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.saved import SavedNetworks
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import Context, WorldModel, split_context
from rllib_dreamerv3.records import ACTION, ACTION_MASK, IS_FIRST, REWARD, Columns
from rllib_dreamerv3.reports.dreams import CONTINUE, predicted_columns
from rllib_dreamerv3.spaces.layout import Image


class Latents(NamedTuple):
    """Model states of N dreams.

    Attributes:
        h: float32 ``[N, D]``.
        classes: Classes of z, int32 ``[N, S]``.
    """

    h: np.ndarray
    classes: np.ndarray


class Outcome(NamedTuple):
    """Predictions for the next states.

    Attributes:
        latents: The states.
        columns: Observation columns ``[N, ...]`` as they are recorded; with masks also
            ``action_mask``.
        reward: The reward head's mean, float32 ``[N]``.
        go_on: Probability that the episode continues, float32 ``[N]``.
    """

    latents: Latents
    columns: Columns
    reward: np.ndarray
    go_on: np.ndarray


class Dynamics:
    """Filters records with the posterior, and continues with the prior."""

    def __init__(self, world: WorldModel, saved: SavedNetworks):
        """Take a world model with its parameters.

        Args:
            world: The world model.
            saved: Its description.
        """
        self._world, self._saved = world, saved
        self._two_hot = make_two_hot(saved.two_hot_bins)
        # By number of dreams.
        self._compiled: dict[int, Callable[..., list[tf.Tensor]]] = {}
        self._parts = self._packed_parts()

    @property
    def categoricals(self) -> int:
        """S: number of random numbers for a sample of z."""
        return self._saved.settings.categoricals

    def filter(self, batch: Columns, uniform: np.ndarray) -> Latents:
        """Filter complete sequences. Not compiled, because they are few and short.

        Args:
            batch: Record columns ``[B, T, ...]``, or ``[B, 1 + T, ...]`` with a context record.
            uniform: Random numbers of the samples, float32 ``[B, T, S]`` in [0, 1).

        Returns:
            The states at their last records, ``[B, ...]``.
        """
        records, context = split_context(batch)
        rows, length = records[IS_FIRST].shape
        if context is None:
            settings = self._saved.settings
            h = tf.zeros([rows, settings.deterministic])
            context = Context(
                State(h, tf.zeros([rows, settings.categoricals], tf.int32)),
                tf.zeros([rows, self._saved.actions.layout.size]),
            )
        state, action = context
        leaves = self._saved.observations.layout.leaves
        for t in range(length):
            tokens = self._world.encoder(
                {leaf.key: tf.constant(records[leaf.key][:, t]) for leaf in leaves}
            )
            state = self._world.rssm.observe_step(
                state, action, tf.constant(records[IS_FIRST][:, t]), tokens, uniform[:, t]
            )
            action = tf.constant(records[ACTION][:, t])
        return Latents(state.h.numpy(), state.index.numpy())

    def begin(self, columns: Columns, uniform: np.ndarray) -> Latents:
        """Return the states at first observations of episodes.

        Args:
            columns: Observation columns ``[N, ...]``.
            uniform: Random numbers of the samples, float32 ``[N, S]`` in [0, 1).

        Returns:
            The states ``[N, ...]``.
        """
        n = len(uniform)
        leaves = self._saved.observations.layout.leaves
        records = {leaf.key: columns[leaf.key][:, None] for leaf in leaves}
        records[IS_FIRST] = np.ones((n, 1), bool)
        records[ACTION] = np.zeros((n, 1, self._saved.actions.layout.size), np.float32)
        return self.filter(records, uniform[:, None])

    def step(self, latents: Latents, actions: np.ndarray, uniform: np.ndarray) -> Outcome:
        """Step the model.

        Compile at the first call for each number of dreams.

        Args:
            latents: ``[N, ...]``.
            actions: Action vectors float32 ``[N, A]``.
            uniform: Random numbers of the samples of z, float32 ``[N, S]`` in [0, 1).

        Returns:
            Predictions for the next states.
        """
        # One array for all arguments, and one for all results except images: passing an array
        # takes as long as a small network.
        packed = np.concatenate([*latents, actions, uniform], -1, dtype=np.float32)
        n = len(packed)
        if n not in self._compiled:
            self._compiled[n] = self._compile(n)
        numbers, *images = (x.numpy() for x in self._compiled[n](tf.constant(packed)))
        return self._unpacked(numbers, images)

    def _compile(self, n: int) -> Callable[..., list[tf.Tensor]]:
        settings, actions = self._saved.settings, self._saved.actions.layout
        d, s = settings.deterministic, settings.categoricals
        sizes = [d, s, actions.size, s]

        def step(packed: tf.Tensor) -> list[tf.Tensor]:
            if n == 1:
                # XLA multiplies two rows several times as fast as one, as for the policy.
                packed = tf.repeat(packed, 2, 0)
            h, classes, action, uniform = tf.split(packed, sizes, -1)
            before = State(h, tf.cast(classes, tf.int32))
            state = self._world.rssm.imagine(before, action, uniform, dense=False)
            found = predicted_columns(
                self._world, self._saved.observations.layout, settings, self._two_hot, state
            )
            if self._world.mask is not None:
                found[ACTION_MASK] = self._world.mask.allowed(state)
            numbers = [state.h, state.index, *(found[name] for name, _ in self._parts)]
            flat = [tf.reshape(tf.cast(x, tf.float32), [max(n, 2), -1]) for x in numbers]
            images = [found[image.key] for image in self._saved.observations.layout.images]
            return [x[:n] for x in (tf.concat(flat, -1), *images)]

        function = tf.function(free_registered_gradients()(step), autograph=False, jit_compile=True)
        return function.get_concrete_function(tf.TensorSpec([n, sum(sizes)], tf.float32))

    def _packed_parts(self) -> list[tuple[str, int]]:
        """Names and widths of the parts that are packed after the state."""
        actions = self._saved.actions.layout
        vectors = [(leaf.key, leaf.shape[0]) for leaf in self._saved.observations.layout.vectors]
        masks = [(ACTION_MASK, len(actions.mask_positions))] if actions.masked else []
        return [*vectors, *masks, (REWARD, 1), (CONTINUE, 1)]

    def _unpacked(self, numbers: np.ndarray, images: list[np.ndarray]) -> Outcome:
        settings, layout = self._saved.settings, self._saved.observations.layout
        widths = [settings.deterministic, settings.categoricals, *(n for _, n in self._parts)]
        h, classes, *values = np.split(numbers, np.cumsum(widths)[:-1], -1)
        found = dict(zip((name for name, _ in self._parts), values, strict=True))
        reward, go_on = found.pop(REWARD)[:, 0], found.pop(CONTINUE)[:, 0]
        leaves = {leaf.key: leaf for leaf in layout.vectors}
        columns = {
            name: value.astype(np.uint8 if name == ACTION_MASK else leaves[name].dtype)
            for name, value in found.items()
        }
        for image, predicted in zip(layout.images, images, strict=True):
            columns[image.key] = stored_image(image, predicted)
        # In the 2025 code the label of the continue head is gamma instead of 1.
        go_on = np.minimum(go_on / np.float32(self._saved.continue_label), np.float32(1.0))
        return Outcome(Latents(h, classes.astype(np.int32)), columns, reward, go_on)


def stored_image(image: Image, predicted: np.ndarray) -> np.ndarray:
    """Convert a predicted image, nominally in [0, 1], to the form in which it is recorded.

    Args:
        image: The part of the observation.
        predicted: float32, any shape.

    Returns:
        The same shape in the image's dtype, within its bounds.
    """
    values = np.clip(predicted, 0.0, 1.0) * (image.high - image.low) + image.low
    return (np.rint(values) if image.dtype == "uint8" else values).astype(image.dtype)
