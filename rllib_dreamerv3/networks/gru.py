"""The sequence model h' = f(h, z, a): what the RSSM carries from step to step.

Both kinds are written once, as a step in terms of an :class:`Arithmetic`: plain products where
states are imagined or acted on, and products whose kernel gradients are put off where whole rows
are filtered (``filtering.py``).
"""

from abc import abstractmethod
from typing import Protocol

import tensorflow as tf

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.kernels.compiled import compiled
from rllib_dreamerv3.kernels.norm_silu import layer_norm, norm_silu
from rllib_dreamerv3.networks.layers import Linear, NormSilu, Rng, hidden_init, multiply
from rllib_dreamerv3.networks.state import State, multiply_z
from rllib_dreamerv3.options.model_sizes import ComputeDtype, ModelSettings

# Blocks of the block-diagonal GRU at every size (2025 code).
BLOCKS = 8

Tensors = dict[str, tf.Tensor]


class Arithmetic(Protocol):
    """How a step multiplies with its kernels.

    Attributes:
        small: Parameters of norms and biases, by name.
    """

    small: dict[str, Tensors]

    def multiply(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Product of ``x [N, in]`` with the kernel of that name, dense or in blocks."""

    def multiply_z(self, name: str, state: State) -> tf.Tensor:
        """Product of a state's flat z with the kernel of that name."""


class PlainArithmetic:
    """Multiplies with the kernels as they are."""

    def __init__(self, kernels: Tensors, small: dict[str, Tensors], dtype: ComputeDtype):
        """Takes tensors by name."""
        self.kernels, self.small, self._dtype = kernels, small, dtype

    def multiply(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """See :class:`Arithmetic`."""
        return multiply(x, self.kernels[name], self._dtype)

    def multiply_z(self, name: str, state: State) -> tf.Tensor:
        """See :class:`Arithmetic`; a sum of kernel rows where the state has no dense z."""
        return multiply_z(state, self.kernels[name], self._dtype)


class SequenceModel(tf.Module):
    """What both kinds have in common."""

    @abstractmethod
    def kernels(self) -> Tensors:
        """Kernels that the step multiplies with, as tensors."""

    @abstractmethod
    def small(self) -> dict[str, Tensors]:
        """Parameters of norms and biases of the step, as tensors."""

    @abstractmethod
    def action_product(self, action: tf.Tensor) -> tf.Tensor:
        """All that depends on the action alone: ``[..., A] -> [..., W]``."""

    @abstractmethod
    def step(self, arithmetic: Arithmetic, state: State, action_product: tf.Tensor) -> tf.Tensor:
        """The next h ``[N, D]`` after ``state [N]``, given ``action_product [N, W]``."""

    @property
    @abstractmethod
    def action_width(self) -> int:
        """W, width of the action product."""


def gru_output(h: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
    """The next h of a GRU whose reset gate multiplies the candidate.

    Args:
        h: float32 ``[N, D]``.
        gates: float32 ``[N, 3 D]``: reset, candidate and update.

    Returns:
        ``u * tanh(r * c) + (1 - u) * h`` with ``r = sigmoid(reset)`` and
        ``u = sigmoid(update - 1)``, float32 ``[N, D]`` (2023 code and 2025 code).
    """
    reset, candidate, update = tf.split(gates, 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    return h + tf.sigmoid(update - 1.0) * (candidate - h)


@compiled
def _normed_gru_output(
    h: tf.Tensor, product: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
) -> tf.Tensor:
    return gru_output(h, layer_norm(product, scale, offset))


@compiled
def _biased_gru_output(h: tf.Tensor, product: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return gru_output(h, product + bias)


def scale_action(action: tf.Tensor) -> tf.Tensor:
    """Divides every component by max(1, |a|), with the gradient of a plain scaling (2023 code)."""
    return action / tf.stop_gradient(tf.maximum(1.0, tf.abs(action)))


class NormedGru(SequenceModel):
    """GRU whose gates share one layer norm (2023 code).

    ``x = SiLU(norm(W1 concat[z, a]))``, ``gates = LayerNorm(W2 concat[h, x])``. The layer norm is
    part of this model, whatever norm the other layers have.
    """

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng):
        """Creates W1 ``[S * C + A, U]`` and W2 ``[D + U, 3 D]``."""
        super().__init__()
        style, d, hidden = settings.style, settings.deterministic, settings.hidden
        init, self._dtype = hidden_init(style), style.compute_dtype
        self._stochastic, self._hidden = settings.stochastic, hidden
        self.input = Linear(settings.stochastic + actions, hidden, rng, init, bias=False)
        self.input_activation = NormSilu(hidden, style)
        self.gates = Linear(d + hidden, 3 * d, rng, init, bias=False)
        self.gates_scale = tf.Variable(tf.ones([3 * d]), name="gates_scale")
        self.gates_offset = tf.Variable(tf.zeros([3 * d]), name="gates_offset")

    @property
    def action_width(self) -> int:
        """U, width of the input layer."""
        return self._hidden

    def kernels(self) -> Tensors:
        """See :class:`SequenceModel`."""
        gates = tf.convert_to_tensor(self.gates.kernel)
        return {"input": self.input.kernel[: self._stochastic], "gates": gates}

    def small(self) -> dict[str, Tensors]:
        """See :class:`SequenceModel`."""
        scale, offset = (tf.convert_to_tensor(v) for v in (self.gates_scale, self.gates_offset))
        return {
            "input": self.input_activation.parameters(),
            "gates": {"scale": scale, "offset": offset},
        }

    def action_product(self, action: tf.Tensor) -> tf.Tensor:
        """The input layer's product with the action."""
        return multiply(scale_action(action), self.input.kernel[self._stochastic :], self._dtype)

    def step(self, arithmetic: Arithmetic, state: State, action_product: tf.Tensor) -> tf.Tensor:
        """See :class:`SequenceModel`."""
        product = arithmetic.multiply_z("input", state) + action_product
        x = norm_silu(product, **arithmetic.small["input"])
        gates = arithmetic.multiply("gates", tf.concat([state.h, x], -1))
        return _normed_gru_output(state.h, gates, *arithmetic.small["gates"].values())


class BlockGru(SequenceModel):
    """GRU with block-diagonal kernels (2025 code).

    h, z and a pass through a layer each; every block sees its own part of h and all three results::

        x = concat[SiLU(norm(W0 h)), SiLU(norm(W1 z)), SiLU(norm(W2 a))]
        y_i = SiLU(norm(V_i concat[h_i, x]))    (one norm over all blocks together)
        gates_i = G_i y_i + b_i
    """

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng, blocks: int = BLOCKS):
        """Creates W0, W1, W2 of ``hidden`` units, V ``[8, D / 8 + 3 hidden, D / 8]``, and G.

        Raises:
            ConfigError: If D is not divisible by the number of blocks.
        """
        super().__init__()
        style, d, hidden = settings.style, settings.deterministic, settings.hidden
        if d % blocks:
            raise ConfigError(
                f"The block GRU needs a recurrent state divisible by {blocks}, not {d} units. "
                'Choose another model_size, or sequence_model: "gru".'
            )
        init, self._dtype = hidden_init(style), style.compute_dtype
        self._hidden, self._width, self._blocks = hidden, d, blocks

        def layer(inputs: int) -> Linear:
            return Linear(inputs, hidden, rng, init, bias=False)

        self.from_h, self.from_h_activation = layer(d), NormSilu(hidden, style)
        self.from_z, self.from_z_activation = layer(settings.stochastic), NormSilu(hidden, style)
        self.from_action, self.from_action_activation = layer(actions), NormSilu(hidden, style)
        width = d + blocks * 3 * hidden
        self.hidden = Linear(width, d, rng, init, bias=False, blocks=blocks)
        self.hidden_activation = NormSilu(d, style)
        # It has no norm and therefore always a bias. Each block gives its part of reset, candidate
        # and update.
        self.gates = Linear(d, 3 * d, rng, init, blocks=blocks)

    @property
    def action_width(self) -> int:
        """D: the action's share of the hidden layer."""
        return self._width

    def _hidden_kernel(self, begin: int, end: int) -> tf.Tensor:
        """The part of V for inputs that all blocks share, dense: ``[end - begin, D]``."""
        share = self._width // self._blocks
        part = self.hidden.kernel[:, share + begin : share + end]
        return tf.reshape(tf.transpose(part, [1, 0, 2]), [end - begin, self._width])

    def kernels(self) -> Tensors:
        """See :class:`SequenceModel`."""
        share = self._width // self._blocks
        return {
            "from_h": tf.convert_to_tensor(self.from_h.kernel),
            "from_z": tf.convert_to_tensor(self.from_z.kernel),
            "hidden_h": self.hidden.kernel[:, :share],
            "hidden_x": self._hidden_kernel(0, 2 * self._hidden),
            # Gate after gate instead of block after block, so that each is a contiguous vector.
            "gates": tf.reshape(self.gates.kernel, [self._blocks, share, 3, share]),
        }

    def small(self) -> dict[str, Tensors]:
        """See :class:`SequenceModel`."""
        bias = tf.reshape(self.gates.bias, [self._blocks, 3, -1])
        return {
            "from_h": self.from_h_activation.parameters(),
            "from_z": self.from_z_activation.parameters(),
            "hidden": self.hidden_activation.parameters(),
            "gates": {"bias": tf.reshape(tf.transpose(bias, [1, 0, 2]), [-1])},
        }

    def action_product(self, action: tf.Tensor) -> tf.Tensor:
        """The action's own layer, and its share of the hidden layer's product."""
        product = multiply(scale_action(action), tf.convert_to_tensor(self.from_action.kernel))
        x = self.from_action_activation(product)
        kernel = self._hidden_kernel(2 * self._hidden, 3 * self._hidden)
        return multiply(x, kernel, self._dtype)

    def step(self, arithmetic: Arithmetic, state: State, action_product: tf.Tensor) -> tf.Tensor:
        """See :class:`SequenceModel`."""
        small = arithmetic.small
        from_h = norm_silu(arithmetic.multiply("from_h", state.h), **small["from_h"])
        from_z = norm_silu(arithmetic.multiply_z("from_z", state), **small["from_z"])
        product = arithmetic.multiply("hidden_h", state.h) + action_product
        product += arithmetic.multiply("hidden_x", tf.concat([from_h, from_z], -1))
        hidden = norm_silu(product, **small["hidden"])
        gates = arithmetic.multiply("gates", hidden)
        return _biased_gru_output(state.h, gates, small["gates"]["bias"])


def make_sequence_model(settings: ModelSettings, actions: int, rng: Rng) -> SequenceModel:
    """The sequence model that the settings name, for action vectors of width ``actions``."""
    kinds: dict[str, type[NormedGru] | type[BlockGru]] = {"gru": NormedGru, "block_gru": BlockGru}
    return kinds[settings.sequence_model](settings, actions, rng)
