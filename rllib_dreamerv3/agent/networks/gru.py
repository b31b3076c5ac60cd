"""The sequence model h' = f(h, z, a).

Two GRUs, each a function of the state and the contribution of the action. The contribution does not
depend on the state: when complete rows are filtered it is computed for all records at once, before
the recurrence.
"""

from abc import abstractmethod

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled
from rllib_dreamerv3.agent.kernels.norm_silu import layer_norm
from rllib_dreamerv3.agent.kernels.parameters import View, multiply, read
from rllib_dreamerv3.agent.networks.layers import Linear, NormSilu, Rng, hidden_init
from rllib_dreamerv3.agent.networks.state import multiply_z
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import ComputeDtype

# The same at every model size (2025 code).
BLOCKS = 8


class SequenceModel(tf.Module):
    """Common base of both GRUs."""

    @abstractmethod
    def embed_action(self, action: tf.Tensor) -> tf.Tensor:
        """Contribution of an action to the next step: ``[..., A] -> [..., W]``."""

    @abstractmethod
    def __call__(
        self,
        h: tf.Tensor,
        z: tf.Tensor,
        embedded_action: tf.Tensor,
        dtype: ComputeDtype = "float32",
    ) -> tf.Tensor:
        """The next h.

        Args:
            h: float32 ``[N, D]``.
            z: float32 ``[N, S * C]``, or its class indices int32 ``[N, S]``.
            embedded_action: :meth:`embed_action` of the action taken there, float32 ``[N, W]``.
            dtype: Dtype of large products.

        Returns:
            float32 ``[N, D]``.
        """


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
    """Divide every component by max(1, |a|), with the gradient of a plain scaling (2023 code)."""
    return action / tf.stop_gradient(tf.maximum(1.0, tf.abs(action)))


class NormedGru(SequenceModel):
    """GRU whose gates share one layer norm (2023 code).

    ::

        x = SiLU(norm(W1 concat[z, a]))
        gates = LayerNorm(W2 concat[h, x])

    The layer norm is part of this model, regardless of the norm of other layers.
    """

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng):
        """Create W1 ``[S * C + A, U]`` and W2 ``[D + U, 3 D]``."""
        super().__init__()
        style, d, hidden = settings.style, settings.deterministic, settings.hidden
        z, init, self._dtype = settings.stochastic, hidden_init(style), style.compute_dtype
        self.input = Linear(z + actions, hidden, rng, init, bias=False)
        self.input_activation = NormSilu(hidden, style.in_float32())
        self.gates = Linear(d + hidden, 3 * d, rng, init, bias=False)
        self.gates_scale = tf.Variable(tf.ones([3 * d]), name="gates_scale")
        self.gates_offset = tf.Variable(tf.zeros([3 * d]), name="gates_offset")
        self._w1_of_z = View(self.input.kernel, lambda w1: w1[:z])
        self._w1_of_action = View(self.input.kernel, lambda w1: w1[z:])

    def embed_action(self, action: tf.Tensor) -> tf.Tensor:
        """The action's share of W1's product, ``[..., A] -> [..., U]``."""
        return multiply(scale_action(action), self._w1_of_action, self._dtype)

    def __call__(
        self,
        h: tf.Tensor,
        z: tf.Tensor,
        embedded_action: tf.Tensor,
        dtype: ComputeDtype = "float32",
    ) -> tf.Tensor:
        """The next h; see :class:`SequenceModel`."""
        x = self.input_activation(multiply_z(z, self._w1_of_z, dtype) + embedded_action)
        gates = multiply(tf.concat([h, x], -1), self.gates.kernel, dtype)
        return _normed_gru_output(h, gates, read(self.gates_scale), read(self.gates_offset))


class BlockGru(SequenceModel):
    """GRU with block-diagonal kernels (2025 code).

    h, z and a pass through a layer each; every block sees its own part of h and all three results::

        x = concat[SiLU(norm(W0 h)), SiLU(norm(W1 z)), SiLU(norm(W2 a))]
        y_i = SiLU(norm(V_i concat[h_i, x]))    (one norm over all blocks together)
        gates_i = G_i y_i + b_i
    """

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng, blocks: int = BLOCKS):
        """Create W0, W1, W2 of ``hidden`` units, V ``[8, D / 8 + 3 hidden, D / 8]``, and G.

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
        init, self._dtype, share = hidden_init(style), style.compute_dtype, d // blocks

        def layer(inputs: int) -> Linear:
            return Linear(inputs, hidden, rng, init, bias=False)

        def activation(width: int) -> NormSilu:
            return NormSilu(width, style.in_float32())

        self.from_h, self.from_h_activation = layer(d), activation(hidden)
        self.from_z, self.from_z_activation = layer(settings.stochastic), activation(hidden)
        self.from_action, self.from_action_activation = layer(actions), NormSilu(hidden, style)
        width = d + blocks * 3 * hidden
        self.hidden = Linear(width, d, rng, init, bias=False, blocks=blocks)
        self.hidden_activation = activation(d)
        # It has no norm and therefore always a bias. Each block gives its part of reset, candidate
        # and update.
        self.gates = Linear(d, 3 * d, rng, init, blocks=blocks)

        # V's rows for x are shared by all blocks: one dense product.
        def dense(begin: int, end: int) -> View:
            def rows(v: tf.Tensor) -> tf.Tensor:
                part = tf.transpose(v[:, share + begin : share + end], [1, 0, 2])
                return tf.reshape(part, [end - begin, d])

            return View(self.hidden.kernel, rows)

        self._v_of_h = View(self.hidden.kernel, lambda v: v[:, :share])
        self._v_of_h_and_z = dense(0, 2 * hidden)
        self._v_of_action = dense(2 * hidden, 3 * hidden)
        # Gate after gate instead of block after block, so that each is a contiguous vector.
        self._g = View(self.gates.kernel, lambda g: tf.reshape(g, [blocks, share, 3, share]))
        self._b = View(
            self.gates.bias,
            lambda b: tf.reshape(
                tf.transpose(tf.reshape(b, [blocks, 3, share]), [1, 0, 2]), [3 * d]
            ),
        )

    def embed_action(self, action: tf.Tensor) -> tf.Tensor:
        """The action's own layer, and its share of V's product: ``[..., A] -> [..., D]``."""
        x = self.from_action_activation(multiply(scale_action(action), self.from_action.kernel))
        return multiply(x, self._v_of_action, self._dtype)

    def __call__(
        self,
        h: tf.Tensor,
        z: tf.Tensor,
        embedded_action: tf.Tensor,
        dtype: ComputeDtype = "float32",
    ) -> tf.Tensor:
        """The next h; see :class:`SequenceModel`."""
        from_h = self.from_h_activation(multiply(h, self.from_h.kernel, dtype))
        from_z = self.from_z_activation(multiply_z(z, self.from_z.kernel, dtype))
        hidden = multiply(h, self._v_of_h, dtype) + embedded_action
        hidden += multiply(tf.concat([from_h, from_z], -1), self._v_of_h_and_z, dtype)
        gates = multiply(self.hidden_activation(hidden), self._g, dtype)
        return _biased_gru_output(h, gates, read(self._b))


def make_sequence_model(settings: ModelSettings, actions: int, rng: Rng) -> SequenceModel:
    """The sequence model that the settings name, for action vectors of width ``actions``."""
    kinds: dict[str, type[NormedGru] | type[BlockGru]] = {"gru": NormedGru, "block_gru": BlockGru}
    return kinds[settings.sequence_model](settings, actions, rng)
