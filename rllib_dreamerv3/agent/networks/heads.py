"""Heads that read a model state: reward, continue, critic, actor."""

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.even_bias import add_even_bias
from rllib_dreamerv3.agent.kernels.parameters import multiply, read
from rllib_dreamerv3.agent.math.two_hot import NUM_BINS
from rllib_dreamerv3.agent.networks.action_distribution import ActionDistribution
from rllib_dreamerv3.agent.networks.layers import Linear, Rng, output_init
from rllib_dreamerv3.agent.networks.state import State, StateMlp
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.spaces.layout import ActionLayout, DiscreteAction


class TwoHotHead(tf.Module):
    """Scalar head (reward, critic): ``State [N] -> logits [N, 255]``, zero at the start."""

    def __init__(self, settings: ModelSettings, layers: int, rng: Rng):
        """Create the MLP and the output, whose weights are 0 (arXiv 2301.04104v1, app. C)."""
        super().__init__()
        self._dtype = settings.compute_dtype
        self.mlp = StateMlp(settings, settings.units, layers, rng)
        self.output = Linear(
            settings.units,
            NUM_BINS,
            rng,
            output_init(settings.style, 0.0),
            dtype=settings.compute_dtype,
        )

    def __call__(self, state: State) -> tf.Tensor:
        """``State [N] -> [N, 255]``, logits over the two-hot bins."""
        logits = multiply(self.mlp(state), self.output.kernel, self._dtype)
        return add_even_bias(logits, read(self.output.bias))


def make_critics(settings: ModelSettings, rng: Rng) -> tuple[TwoHotHead, TwoHotHead]:
    """Create a critic and its slow critic, which starts as a copy."""
    fast, slow = (TwoHotHead(settings, settings.critic_layers, rng) for _ in range(2))
    for copy, variable in zip(slow.variables, fast.variables, strict=True):
        copy.assign(variable)
    return fast, slow


class ContinueHead(tf.Module):
    """Bernoulli head: ``State [N] -> logits [N]`` of the episode continuing."""

    def __init__(self, settings: ModelSettings, rng: Rng):
        super().__init__()
        self.mlp = StateMlp(settings, settings.units, settings.continue_layers, rng)
        self.output = Linear(settings.units, 1, rng, output_init(settings.style))

    def __call__(self, state: State) -> tf.Tensor:
        """``State [N] -> [N]``, logits."""
        return self.output(self.mlp(state))[..., 0]


class MaskHead(tf.Module):
    """Predicts which choices are allowed: ``State [N] -> logits [N, M]``.

    Neither paper has action masks. If an environment has them, imagination needs them too: this
    head learns them like an observation, with one Bernoulli for each choice.
    """

    def __init__(self, settings: ModelSettings, actions: ActionLayout, rng: Rng):
        """Create the MLP, as large as the continue head's, and the output."""
        super().__init__()
        self._slices = [places for places in actions.mask_slices if places is not None]
        self.mlp = StateMlp(settings, settings.units, settings.continue_layers, rng)
        choices = len(actions.mask_positions)
        self.output = Linear(settings.units, choices, rng, output_init(settings.style))

    def __call__(self, state: State) -> tf.Tensor:
        """``State [N] -> [N, M]``, logits."""
        return self.output(self.mlp(state))

    def allowed(self, state: State) -> tf.Tensor:
        """Choices predicted as allowed, bool ``[N, M]``, including the most likely of each part."""
        logits = self(state)
        parts = []
        for places in self._slices:
            part = logits[:, places]
            parts.append((part > 0.0) | (part >= tf.reduce_max(part, -1, keepdims=True)))
        return tf.concat(parts, -1)


class Actor(tf.Module):
    """Policy head: one trunk, one output for each leaf of the action space.

    A discrete leaf of n choices has n logits, a continuous one of size m has m means and m
    standard deviations from two linear layers on the shared trunk (2023 code).
    """

    def __init__(self, settings: ModelSettings, layout: ActionLayout, rng: Rng):
        super().__init__()
        self._settings, self._layout = settings, layout
        self.mlp = StateMlp(settings, settings.units, settings.actor_layers, rng)
        init = output_init(settings.style, settings.actor_output_scale)
        self.outputs = []
        for leaf in layout.leaves:
            heads = 1 if isinstance(leaf, DiscreteAction) else 2
            self.outputs.append(
                [Linear(settings.units, leaf.size, rng, init) for _ in range(heads)]
            )

    def __call__(self, state: State, mask: tf.Tensor | None = None) -> ActionDistribution:
        """The distribution over action vectors ``[N, A]``.

        Args:
            state: ``[N, ...]``.
            mask: Choices that are allowed, bool ``[N, M]``; None for all.
        """
        hidden = self.mlp(state)
        parameters = [tuple(linear(hidden) for linear in leaf) for leaf in self.outputs]
        return ActionDistribution(self._layout, parameters, self._settings.actor_unimix, mask)
