"""The recurrent state-space model (arXiv 2301.04104v1, eq. 3).

::

    sequence model    h_t = f(h_{t-1}, z_{t-1}, a_{t-1})
    posterior         z_t ~ q(z_t | h_t, x_t)
    prior             z_t ~ p(z_t | h_t)

x_t is represented by the encoder's tokens. Training and acting use the posterior, imagination uses
the prior. Both distributions are S categoricals, mixed with 1 % uniform in all uses: sampling, KL,
acting.
"""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.class_sampling import sample_classes
from rllib_dreamerv3.agent.kernels.one_hot_products import flat_one_hot
from rllib_dreamerv3.agent.kernels.parameters import View, multiply
from rllib_dreamerv3.agent.kernels.recurrence import Recurrence
from rllib_dreamerv3.agent.math.categorical import straight_through, unimix, unimix_probs
from rllib_dreamerv3.agent.networks.gru import make_sequence_model
from rllib_dreamerv3.agent.networks.layers import (
    Linear,
    Mlp,
    NormSilu,
    Rng,
    hidden_init,
    output_init,
)
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.model_sizes import ModelSettings


class Posterior(NamedTuple):
    """Result of filtering rows.

    Attributes:
        state: Sampled model states, ``[B, T, ...]``, with the straight-through gradient.
        log_probs: Log of the unimixed posterior, float32 ``[B, T, S, C]``.
    """

    state: State
    log_probs: tf.Tensor


class Rssm(tf.Module):
    """Sequence model, posterior and prior; parameters are float32."""

    def __init__(self, settings: ModelSettings, tokens: int, actions: int, rng: Rng):
        """Create the networks for encoder outputs of width E and action vectors of width A."""
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
        self.posterior_hidden = Linear(d + tokens, hidden, rng, init, bias=False)
        self.posterior_activation = NormSilu(hidden, style.in_float32())
        self.posterior_output = Linear(hidden, stochastic, rng, output_init(style))
        self._posterior_of_h = View(self.posterior_hidden.kernel, lambda w: w[:d])
        self._posterior_of_tokens = View(self.posterior_hidden.kernel, lambda w: w[d:])
        self._filter = Recurrence(self._observe_one)

    def initial_state(self) -> State:
        """The state ``[1, ...]`` before an episode's first record.

        In the 2023 code h is the tanh of a parameter (with gradient) and z is the prior's mode at
        that h; in the 2025 code both are zero, represented by the index -1.
        """
        if self.initial is None:
            s = self._settings
            return State(tf.zeros([1, s.deterministic]), tf.fill([1, s.categoricals], -1))
        h = tf.tanh(self.initial)[None]
        return State(h, tf.argmax(self.prior(h), -1, output_type=tf.int32))

    def prior(self, h: tf.Tensor) -> tf.Tensor:
        """Log of the unimixed prior p(z | h): ``[N, D] -> [N, S, C]``."""
        return unimix(self._by_class(self._prior_logits(h)), self._settings.unimix)

    def imagine(self, state: State, action: tf.Tensor, uniform: tf.Tensor, dense: bool) -> State:
        """One step without an observation: z is sampled from the prior.

        Args:
            state: ``[N, ...]``.
            action: float32 ``[N, A]``, taken in ``state``.
            uniform: float32 ``[N, S]`` in [0, 1), for the sample.
            dense: Whether the result has a dense z with its straight-through gradient.

        Returns:
            The next state ``[N, ...]``.
        """
        model, dtype = self.sequence_model, self._settings.compute_dtype
        h = model(state.h, state.z_or_index, model.embed_action(action), dtype)
        logits = self._prior_logits(h)
        index = self._sample(logits, uniform)
        return State(h, index, self._straight_through(index, logits) if dense else None)

    def observe_step(
        self,
        state: State,
        action: tf.Tensor,
        is_first: tf.Tensor,
        tokens: tf.Tensor,
        uniform: tf.Tensor,
        initial: State | None = None,
    ) -> State:
        """One step with an observation, for acting: z is sampled from the posterior.

        Args:
            state: State at the previous record, ``[N, ...]``.
            action: float32 ``[N, A]``, taken at the previous record.
            is_first: bool ``[N]``; where set, state and action are replaced by the initial ones.
            tokens: float32 ``[N, E]``.
            uniform: float32 ``[N, S]`` in [0, 1), for the sample.
            initial: :meth:`initial_state`, if it has been computed already.

        Returns:
            The state at this record, without gradient.
        """
        first = is_first[:, None]

        def after_resets() -> tuple[tf.Tensor, tf.Tensor]:
            start = initial or self.initial_state()
            return tf.where(first, start.h, state.h), tf.where(first, start.index, state.index)

        if initial is None:
            # Resets are rare, and computing the initial state of the 2023 code takes a network.
            kept = tf.cond(tf.reduce_any(is_first), after_resets, lambda: (state.h, state.index))
        else:
            kept = after_resets()
        before = State(*kept)
        embedded_action = self.sequence_model.embed_action(tf.where(first, 0.0, action))
        h = self.sequence_model(before.h, before.index, embedded_action)
        logits = self._posterior_logits(h, self._embed_tokens(tokens))
        return State(h, self._sample(logits, uniform)).stop_gradient()

    def observe(
        self,
        tokens: tf.Tensor,
        action: tf.Tensor,
        is_first: tf.Tensor,
        uniform: tf.Tensor,
        start: State,
    ) -> Posterior:
        """Filter complete rows, for training.

        Everything independent of the recurrence is computed outside, for all records at once: the
        contributions of actions and tokens here, the prior by the caller.

        Args:
            tokens: float32 ``[B, T, E]``.
            action: float32 ``[B, T, A]``, action of the *previous* record.
            is_first: bool ``[B, T]``; where set, a row restarts from the initial state.
            uniform: float32 ``[B, T, S]`` in [0, 1), for the samples.
            start: State before the first record of each row, ``[B, ...]``, without gradient; not
                used where ``is_first[:, 0]`` is set.

        Returns:
            Posterior of every record.
        """
        action = tf.where(is_first[..., None], 0.0, action)
        start = start.with_dense_z(self._settings.classes)
        initial = self.initial_state()
        (h, z), (logits, index) = self._filter(
            (start.h, start.z),
            (self.sequence_model.embed_action(action), self._embed_tokens(tokens)),
            (is_first, uniform),
            (initial.h, initial.index),
        )
        log_probs = unimix(self._by_class(logits), self._settings.unimix)
        return Posterior(State(h, index, z), log_probs)

    def _observe_one(
        self,
        before: tuple[tf.Tensor, tf.Tensor],
        inputs: tuple[tf.Tensor, tf.Tensor],
        data: tuple[tf.Tensor, tf.Tensor],
        initial: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
        """The step of :meth:`observe`: (h, z) to the next (h, z), and logits and classes of z."""
        (embedded_action, embedded_tokens), (is_first, uniform) = inputs, data
        h, z = before
        h0, z0 = initial[0], flat_one_hot(initial[1], self._settings.classes)
        first = is_first[:, None]
        h, z = tf.where(first, h0, h), tf.where(first, z0, z)
        h = self.sequence_model(h, z, embedded_action)
        logits = self._posterior_logits(h, embedded_tokens)
        index = self._sample(logits, uniform)
        return (h, self._straight_through(index, logits)), (logits, index)

    def _posterior_logits(self, h: tf.Tensor, embedded_tokens: tf.Tensor) -> tf.Tensor:
        """Logits of q(z | h, x): ``[N, D], [N, U] -> [N, S * C]``."""
        hidden = self.posterior_activation(multiply(h, self._posterior_of_h) + embedded_tokens)
        return self.posterior_output(hidden)

    def _embed_tokens(self, tokens: tf.Tensor) -> tf.Tensor:
        """The tokens' share of the posterior's hidden layer: ``[..., E] -> [..., U]``."""
        return multiply(tokens, self._posterior_of_tokens, self._settings.compute_dtype)

    def _prior_logits(self, h: tf.Tensor) -> tf.Tensor:
        """Logits of p(z | h): ``[N, D] -> [N, S * C]``."""
        return self.prior_output(self.prior_mlp(h))

    def _sample(self, logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Classes ``[N, S]`` sampled from unimixed logits ``[N, S * C]``."""
        return sample_classes(tf.stop_gradient(logits), uniform, self._settings.unimix)

    def _straight_through(self, index: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Z ``[N, S * C]`` of sampled classes, with the gradient of their probabilities."""
        probs = unimix_probs(self._by_class(logits), self._settings.unimix)
        z = straight_through(tf.one_hot(index, self._settings.classes), probs)
        return tf.reshape(z, tf.shape(logits))

    def _by_class(self, logits: tf.Tensor) -> tf.Tensor:
        """``[..., S * C] -> [..., S, C]``."""
        s, c = self._settings.categoricals, self._settings.classes
        return tf.reshape(logits, tf.concat([tf.shape(logits)[:-1], [s, c]], 0))
