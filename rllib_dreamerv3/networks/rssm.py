"""The recurrent state-space model (arXiv 2301.04104v1, eq. 3; layer details from the code)."""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.kernels.recurrence import Filter, FilterInputs, FilterWeights
from rllib_dreamerv3.math.categorical import (
    sample_classes,
    straight_through,
    unimix,
    unimix_probs,
)
from rllib_dreamerv3.networks.gru import PlainArithmetic, Tensors, make_sequence_model
from rllib_dreamerv3.networks.layers import (
    Linear,
    Mlp,
    NormSilu,
    Rng,
    hidden_init,
    multiply,
    output_init,
)
from rllib_dreamerv3.networks.state import State
from rllib_dreamerv3.options.model_sizes import ModelSettings


class Posterior(NamedTuple):
    """What observing a batch gives, time-major.

    Attributes:
        state: Sampled model states, ``[T, B, ...]``, with the straight-through gradient.
        log_probs: Log of the unimixed posterior, float32 ``[T, B, S, C]``.
    """

    state: State
    log_probs: tf.Tensor


class Rssm(tf.Module):
    """Sequence model, prior and posterior.

    Parameters are float32. The prior and the posterior are mixed with 1 % uniform wherever they
    are used: sampling, KL and acting.
    """

    def __init__(self, settings: ModelSettings, tokens: int, actions: int, rng: Rng):
        """Creates the networks for encoder outputs of width E and action vectors of width A."""
        super().__init__()
        self._settings = settings
        style, d, hidden = settings.style, settings.deterministic, settings.hidden
        stochastic, dtype = settings.stochastic, style.compute_dtype
        self.initial = (
            tf.Variable(tf.zeros([d]), name="initial")
            if settings.initial_state == "learned"
            else None
        )
        self.sequence_model = make_sequence_model(settings, actions, rng)
        self.prior_mlp = Mlp(d, hidden, settings.prior_layers, style, rng)
        self.prior_output = Linear(hidden, stochastic, rng, output_init(style), dtype=dtype)
        init = hidden_init(style)
        self.posterior_hidden = Linear(d + tokens, hidden, rng, init, bias=False, dtype=dtype)
        self.posterior_activation = NormSilu(hidden, style)
        self.posterior_output = Linear(hidden, stochastic, rng, output_init(style), dtype=dtype)
        self._filter = Filter(
            self.sequence_model.step, settings.categoricals, settings.classes, settings.unimix
        )

    def initial_state(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The state before an episode's first record.

        Returns:
            h float32 ``[1, D]`` and class indices int32 ``[1, S]``. In the 2023 code h is the tanh
            of a parameter (and carries gradient) and the classes are the prior's mode at that h;
            in the 2025 code both h and z are zero, which the index -1 stands for.
        """
        if self.initial is None:
            s = self._settings
            return tf.zeros([1, s.deterministic]), tf.fill([1, s.categoricals], -1)
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
        h = self._next_h(state, action)
        return self._sample(h, self._prior_logits(h), uniform, dense)

    def observe_step(
        self,
        state: State,
        action: tf.Tensor,
        is_first: tf.Tensor,
        tokens: tf.Tensor,
        uniform: tf.Tensor,
    ) -> State:
        """One step with an observation, the fastest way; for acting.

        Args:
            state: State at the previous record, ``[N, ...]``.
            action: float32 ``[N, A]``, taken at the previous record.
            is_first: bool ``[N]``; where set, state and action are replaced by the initial ones.
            tokens: float32 ``[N, E]``.
            uniform: float32 ``[N, S]`` in [0, 1).

        Returns:
            The state at this record, z sampled from the posterior; as data.
        """
        first = is_first[:, None]

        def after_resets() -> tuple[tf.Tensor, tf.Tensor]:
            h0, index0 = self.initial_state()
            return tf.where(first, h0, state.h), tf.where(first, index0, state.index)

        # Resets are rare, and the initial state of the 2023 code takes a network of its own.
        h, index = tf.cond(tf.reduce_any(is_first), after_resets, lambda: (state.h, state.index))
        h, logits = self._filter.step(
            PlainArithmetic(self._kernels(), self._small(), "float32"),
            State(h, index),
            self.sequence_model.action_product(tf.where(first, 0.0, action)),
            self._token_product(tokens),
        )
        return self._sample(h, logits, uniform, dense=False).stop_gradient()

    def observe_step_as_training(
        self,
        state: State,
        action: tf.Tensor,
        is_first: tf.Tensor,
        tokens: tf.Tensor,
        uniform: tf.Tensor,
    ) -> State:
        """The same as :meth:`observe` for rows of one record.

        Acting and training then reach the very same states, which replay stores for training to
        start from.

        Args:
            state: See :meth:`observe_step`, as all arguments.
            action: float32 ``[N, A]``.
            is_first: bool ``[N]``.
            tokens: float32 ``[N, E]``.
            uniform: float32 ``[N, S]``.

        Returns:
            The state at this record, as data.
        """
        tokens, action, is_first, uniform = (x[None] for x in (tokens, action, is_first, uniform))
        observed = self.observe(tokens, action, is_first, uniform, state).state
        return State(observed.h[0], observed.index[0]).stop_gradient()

    def observe(
        self,
        tokens: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        uniform: tf.Tensor,
        start: State,
    ) -> Posterior:
        """Filters whole rows.

        All that does not depend on the recurrence is computed outside of it, for all records at
        once: the products with actions and tokens here, the prior by the caller.

        Args:
            tokens: float32 ``[T, B, E]``.
            action: float32 ``[T, B, A]``, action of the *previous* record.
            is_first: bool ``[T, B]``; where set, a row goes on from the initial state.
            uniform: float32 ``[T, B, S]`` in [0, 1).
            start: State before the first record of each row, ``[B, ...]``, taken as data; not used
                where ``is_first[0]`` is set.

        Returns:
            Posterior of every record.
        """
        h0, index0 = self.initial_state()
        inputs = FilterInputs(
            self.sequence_model.action_product(tf.where(is_first[..., None], 0.0, action)),
            self._token_product(tokens),
            is_first,
            uniform,
        )
        weights = FilterWeights(self._kernels(), self._small(), h0[0])
        h, logits, index = self._filter(weights, inputs, start, index0[0])
        log_probs = unimix(self._by_class(logits), self._settings.unimix)
        z = straight_through(tf.one_hot(index, self._settings.classes), tf.exp(log_probs))
        return Posterior(State(h, index, tf.reshape(z, tf.shape(logits))), log_probs)

    def _kernels(self) -> Tensors:
        """What a step of the filter multiplies with."""
        return {
            **self.sequence_model.kernels(),
            "posterior": self.posterior_hidden.kernel[: self._settings.deterministic],
            "output": tf.convert_to_tensor(self.posterior_output.kernel),
        }

    def _small(self) -> dict[str, Tensors]:
        """Norms and biases of a step of the filter."""
        bias = self.posterior_output.bias
        assert bias is not None
        return {
            **self.sequence_model.small(),
            "posterior": self.posterior_activation.parameters(),
            "output": {"bias": tf.convert_to_tensor(bias)},
        }

    def _next_h(self, state: State, action: tf.Tensor) -> tf.Tensor:
        model = self.sequence_model
        arithmetic = PlainArithmetic(model.kernels(), model.small(), self._settings.compute_dtype)
        return model.step(arithmetic, state, model.action_product(action))

    def _token_product(self, tokens: tf.Tensor) -> tf.Tensor:
        kernel = self.posterior_hidden.kernel[self._settings.deterministic :]
        return multiply(tokens, kernel, self._settings.compute_dtype)

    def _prior_logits(self, h: tf.Tensor) -> tf.Tensor:
        return self.prior_output(self.prior_mlp(h))

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
