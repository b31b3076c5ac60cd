"""The policy's distribution over action vectors.

The leaves of the action space (a number of choices, or a vector of numbers) have independent
distributions.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.math import bounded_normal
from rllib_dreamerv3.agent.math.categorical import entropy, inverse_cdf_sample, unimix
from rllib_dreamerv3.portable.leaves import choice_noise, number_noise
from rllib_dreamerv3.spaces.layout import ActionLayout, DiscreteAction


def action_noise(
    layout: ActionLayout, shape: Sequence[int | tf.Tensor], seed: tf.Tensor
) -> tf.Tensor:
    """Draw all random numbers for `ActionDistribution.sample`, before a loop over steps.

    Args:
        layout: The action layout.
        shape: Leading shape of the result.
        seed: int32 ``[2]``.

    Returns:
        float32 ``[*shape, K]``: in the order of the leaves, one uniform number for a discrete
        leaf, ``size`` standard normal ones for a continuous leaf.
    """
    parts = []
    for i, leaf in enumerate(layout.leaves):
        leaf_seed = tf.random.fold_in(seed, i)
        if isinstance(leaf, DiscreteAction):
            parts.append(tf.random.stateless_uniform([*shape, 1], leaf_seed))
        else:
            parts.append(tf.random.stateless_normal([*shape, leaf.size], leaf_seed))
    return tf.concat(parts, -1)


def draw_action_noise(layout: ActionLayout, n: int, rng: np.random.Generator) -> np.ndarray:
    """Likewise for one step of N environments, float32 ``[N, K]``, with NumPy's generator."""
    parts = [
        choice_noise(rng, n)
        if isinstance(leaf, DiscreteAction)
        else number_noise(rng, n, leaf.size)
        for leaf in layout.leaves
    ]
    return np.concatenate(parts, -1)


class ActionDistribution:
    """Distribution over action vectors ``[N, A]``; log-probabilities and entropies add up.

    Discrete parts are categoricals mixed with a uniform distribution. Continuous parts are normals
    with mean ``tanh`` and standard deviation in (0.1, 1); a sample is not squashed, but clipped to
    [-1, 1] when the environment executes it (2023 code).
    """

    def __init__(
        self,
        layout: ActionLayout,
        parameters: Sequence[tuple[tf.Tensor, ...]],
        mix: float,
        mask: tf.Tensor | None = None,
    ):
        """Turn the actor's outputs into distributions.

        Args:
            layout: The action layout.
            parameters: For each leaf, ``(logits [N, n],)`` or ``(mean [N, m], std [N, m])``, raw.
            mix: Share of the uniform distribution in discrete parts.
            mask: Allowed choices, bool ``[N, M]``, at least one in each discrete part; None for
                all.
        """
        self._layout = layout
        self._parts: list[tuple[tf.Tensor, ...]] = []
        for leaf, raw, places in zip(layout.leaves, parameters, layout.mask_slices, strict=True):
            if not isinstance(leaf, DiscreteAction):
                self._parts.append(bounded_normal.parameters(*raw))
            else:
                allowed = None if mask is None else mask[:, places]
                self._parts.append((unimix(raw[0], mix, allowed),))

    def sample(self, noise: tf.Tensor) -> tf.Tensor:
        """Sample ``[N, A]`` from ``noise [N, K]``; only continuous parts can be differentiated."""
        parts, start = [], 0
        for leaf, part in zip(self._layout.leaves, self._parts, strict=True):
            if isinstance(leaf, DiscreteAction):
                probs = tf.stop_gradient(tf.exp(part[0]))
                index = inverse_cdf_sample(probs, noise[:, start])
                parts.append(tf.one_hot(index, leaf.n))
                start += 1
            else:
                part_noise = noise[:, start : start + leaf.size]
                parts.append(bounded_normal.sample(part[0], part[1], part_noise))
                start += leaf.size
        return tf.concat(parts, -1)

    def mode(self) -> tf.Tensor:
        """The most likely action vectors ``[N, A]``."""
        return tf.concat(
            [
                tf.one_hot(tf.argmax(part[0], -1), leaf.n)
                if isinstance(leaf, DiscreteAction)
                else part[0]
                for leaf, part in zip(self._layout.leaves, self._parts, strict=True)
            ],
            -1,
        )

    def log_prob(self, action: tf.Tensor) -> tf.Tensor:
        """Log-probability ``[N]`` of action vectors ``[N, A]``."""
        total, start = 0.0, 0
        for leaf, part in zip(self._layout.leaves, self._parts, strict=True):
            leaf_action = action[:, start : start + leaf.size]
            start += leaf.size
            if isinstance(leaf, DiscreteAction):
                total += tf.reduce_sum(leaf_action * part[0], -1)
            else:
                total += bounded_normal.log_prob(part[0], part[1], leaf_action)
        return total

    def entropy(self) -> tf.Tensor:
        """Entropy ``[N]``."""
        return tf.add_n(
            [
                entropy(part[0])
                if isinstance(leaf, DiscreteAction)
                else bounded_normal.entropy(part[1])
                for leaf, part in zip(self._layout.leaves, self._parts, strict=True)
            ]
        )

    def bias(self) -> tf.Tensor | None:
        """State-independent bias of the mean action.

        Returns:
            Scalar in [0, 1]: the largest, over the components of continuous parts, of the absolute
            value of the mean over N of the normals' means; None if all parts are discrete.
        """
        biases = [
            tf.abs(tf.reduce_mean(part[0], 0))
            for leaf, part in zip(self._layout.leaves, self._parts, strict=True)
            if not isinstance(leaf, DiscreteAction)
        ]
        return tf.reduce_max(tf.concat(biases, 0)) if biases else None
