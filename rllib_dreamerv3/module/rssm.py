"""The recurrent state-space model (arXiv 2301.04104v1, eq. 3; layer details from the 2023 code)."""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.math.categorical import (
    sample_classes,
    straight_through,
    unimix,
    unimix_probs,
)
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.compiled import compiled
from rllib_dreamerv3.module.filtering import (
    FilterInputs,
    FilterWeights,
    filter_rows,
    gru_output,
)
from rllib_dreamerv3.module.latent import State, add_one_hot_matmul
from rllib_dreamerv3.module.layers import (
    DenseBlock,
    LayerNorm,
    Linear,
    NormSilu,
    Rng,
    hidden_init,
    output_init,
)


class Posterior(NamedTuple):
    """What observing a batch gives, time-major.

    Attributes:
        state: Sampled model states, ``[T, B, ...]``, with the straight-through gradient.
        log_probs: Log of the unimixed posterior, float32 ``[T, B, S, C]``.
    """

    state: State
    log_probs: tf.Tensor


_compiled_gru_output = compiled(gru_output)


class GruCell(tf.Module):
    """GRU whose gates share one layer norm and whose reset gate multiplies the candidate.

    ``y = LayerNorm(W concat[h, x])``, split into reset, candidate, update;
    ``h' = u * tanh(r * c) + (1 - u) * h`` with ``u = sigmoid(update - 1)`` (2023 code).
    """

    def __init__(self, inputs: int, deterministic: int, rng: Rng):
        """Creates W ``[D + in, 3 D]`` without bias, and the norm over all 3 D values."""
        super().__init__()
        self.linear = Linear(deterministic + inputs, 3 * deterministic, rng, hidden_init, False)
        self.norm = LayerNorm(3 * deterministic)

    def __call__(self, h: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Steps ``h [N, D]`` with input ``x [N, in]``."""
        product = self.linear(tf.concat([h, x], -1))
        scale, offset = (tf.convert_to_tensor(v) for v in (self.norm.scale, self.norm.offset))
        return _compiled_gru_output(h, product, scale, offset)


def scale_action(action: tf.Tensor) -> tf.Tensor:
    """Divides every component by max(1, |a|), with the gradient of a plain scaling (2023 code)."""
    return action / tf.stop_gradient(tf.maximum(1.0, tf.abs(action)))


class Rssm(tf.Module):
    """Sequence model, prior and posterior.

    Parameters are float32. The prior and the posterior are mixed with 1 % uniform wherever they
    are used: sampling, KL and acting.
    """

    def __init__(self, settings: ModelSettings, tokens: int, actions: int, rng: Rng):
        """Creates the networks for encoder outputs of width E and action vectors of width A."""
        super().__init__()
        self._settings = settings
        d, hidden, stochastic = settings.deterministic, settings.hidden, settings.stochastic
        self.initial = tf.Variable(tf.zeros([d]), name="initial")
        self.input = Linear(stochastic + actions, hidden, rng, hidden_init, bias=False)
        self.input_activation = NormSilu(hidden)
        self.gru = GruCell(hidden, d, rng)
        self.prior_hidden = DenseBlock(d, hidden, rng)
        self.prior_output = Linear(hidden, stochastic, rng, output_init)
        self.posterior_hidden = Linear(d + tokens, hidden, rng, hidden_init, bias=False)
        self.posterior_activation = NormSilu(hidden)
        self.posterior_output = Linear(hidden, stochastic, rng, output_init)

    def initial_state(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The learned state before an episode's first record.

        Returns:
            h float32 ``[1, D]`` (tanh of the parameter, carries gradient) and the class indices
            int32 ``[1, S]`` of the prior's mode at that h.
        """
        h = tf.tanh(self.initial)[None]
        return h, tf.argmax(self.prior(h), -1, output_type=tf.int32)

    def prior(self, h: tf.Tensor) -> tf.Tensor:
        """Log of the unimixed prior p(z | h): ``[N, D] -> [N, S, C]``."""
        return unimix(self._by_class(self._prior_logits(h)), self._settings.unimix)

    def imagine(self, state: State, action: tf.Tensor, uniform: tf.Tensor, dense: bool) -> State:
        """One step without an observation.

        Args:
            state: ``[N, ...]``.
            action: float32 ``[N, A]``, taken in ``state``.
            uniform: float32 ``[N, S]`` in [0, 1), decides the sample.
            dense: Whether the result carries z with its straight-through gradient.

        Returns:
            The next state ``[N, ...]``, z sampled from the prior.
        """
        h = self._next_h(state, self._action_product(action))
        return self._sample(h, self._prior_logits(h), uniform, dense)

    def observe_step(
        self,
        state: State,
        action: tf.Tensor,
        is_first: tf.Tensor,
        tokens: tf.Tensor,
        uniform: tf.Tensor,
    ) -> State:
        """One step with an observation, as used for acting. No gradient flows through z.

        Args:
            state: State at the previous record, ``[N, ...]``.
            action: float32 ``[N, A]``, taken at the previous record.
            is_first: bool ``[N]``; where set, state and action are replaced by the initial ones.
            tokens: float32 ``[N, E]``.
            uniform: float32 ``[N, S]`` in [0, 1).

        Returns:
            The state at this record, z sampled from the posterior.
        """
        h0, index0 = self.initial_state()
        first = is_first[:, None]
        state = State(tf.where(first, h0, state.h), tf.where(first, index0, state.index))
        h = self._next_h(state, self._action_product(tf.where(first, 0.0, action)))
        hidden = tf.linalg.matmul(h, self.posterior_hidden.kernel[: self._settings.deterministic])
        hidden = self.posterior_activation(hidden + self._token_product(tokens))
        return self._sample(h, self.posterior_output(hidden), uniform, dense=False)

    def observe(
        self, tokens: tf.Tensor, action: tf.Tensor, is_first: tf.Tensor, uniform: tf.Tensor
    ) -> Posterior:
        """Filters whole rows. A row starts from the initial state (2023 code).

        All that does not depend on the recurrence is computed outside of it, for all records at
        once: the products with actions and tokens here, the prior by the caller.

        Args:
            tokens: float32 ``[T, B, E]``.
            action: float32 ``[T, B, A]``, action of the *previous* record.
            is_first: bool ``[T, B]``; ``is_first[0]`` must be True everywhere.
            uniform: float32 ``[T, B, S]`` in [0, 1).

        Returns:
            Posterior of every record.
        """
        h0, index0 = self.initial_state()
        inputs = FilterInputs(
            self._action_product(tf.where(is_first[..., None], 0.0, action)),
            self._token_product(tokens),
            is_first,
            uniform,
        )
        h, logits, index = filter_rows(
            self._filter_weights(h0[0]), inputs, index0[0], self._settings.unimix
        )
        log_probs = unimix(self._by_class(logits), self._settings.unimix)
        z = straight_through(tf.one_hot(index, self._settings.classes), tf.exp(log_probs))
        return Posterior(State(h, index, tf.reshape(z, tf.shape(logits))), log_probs)

    def _filter_weights(self, initial_h: tf.Tensor) -> FilterWeights:
        d = self._settings.deterministic
        output = self.posterior_output
        assert output.bias is not None
        return FilterWeights(
            initial_h=initial_h,
            input=self.input.kernel[: self._settings.stochastic],
            input_scale=tf.convert_to_tensor(self.input_activation.norm.scale),
            input_offset=tf.convert_to_tensor(self.input_activation.norm.offset),
            gru=tf.convert_to_tensor(self.gru.linear.kernel),
            gru_scale=tf.convert_to_tensor(self.gru.norm.scale),
            gru_offset=tf.convert_to_tensor(self.gru.norm.offset),
            posterior=self.posterior_hidden.kernel[:d],
            posterior_scale=tf.convert_to_tensor(self.posterior_activation.norm.scale),
            posterior_offset=tf.convert_to_tensor(self.posterior_activation.norm.offset),
            output=tf.convert_to_tensor(output.kernel),
            output_bias=tf.convert_to_tensor(output.bias),
        )

    def _next_h(self, state: State, action_product: tf.Tensor) -> tf.Tensor:
        kernel = self.input.kernel[: self._settings.stochastic]
        if state.z is None:
            product = add_one_hot_matmul(action_product, state.index, kernel)
        else:
            product = tf.linalg.matmul(state.z, kernel) + action_product
        return self.gru(state.h, self.input_activation(product))

    def _action_product(self, action: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(scale_action(action), self.input.kernel[self._settings.stochastic :], 1)

    def _token_product(self, tokens: tf.Tensor) -> tf.Tensor:
        kernel = self.posterior_hidden.kernel[self._settings.deterministic :]
        return tf.tensordot(tokens, kernel, 1)

    def _prior_logits(self, h: tf.Tensor) -> tf.Tensor:
        return self.prior_output(self.prior_hidden(h))

    def _by_class(self, logits: tf.Tensor) -> tf.Tensor:
        """``[..., S * C] -> [..., S, C]``."""
        s, c = self._settings.categoricals, self._settings.classes
        return tf.reshape(logits, tf.concat([tf.shape(logits)[:-1], [s, c]], 0))

    def _sample(self, h: tf.Tensor, logits: tf.Tensor, uniform: tf.Tensor, dense: bool) -> State:
        index = sample_classes(tf.stop_gradient(logits), uniform, self._settings.unimix)
        if not dense:
            return State(h, index)
        probs = unimix_probs(self._by_class(logits), self._settings.unimix)
        z = straight_through(tf.one_hot(index, self._settings.classes), probs)
        return State(h, index, tf.reshape(z, tf.shape(logits)))
