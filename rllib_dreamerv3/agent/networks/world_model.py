"""The world model: encoder, RSSM, decoder, reward head and continue head."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.networks.decoder import Decoder
from rllib_dreamerv3.agent.networks.encoder import Encoder
from rllib_dreamerv3.agent.networks.heads import ContinueHead, MaskHead, TwoHotHead
from rllib_dreamerv3.agent.networks.layers import Rng
from rllib_dreamerv3.agent.networks.rssm import Rssm
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.records import ACTION, IS_FIRST, LATENT_H, LATENT_INDEX
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout


class Observed(NamedTuple):
    """Result of filtering, with all B * T records of a batch flattened to N.

    Attributes:
        state: Posterior samples, ``[N, ...]``.
        posterior: Log-probabilities, float32 ``[N, S, C]``.
        prior: Log-probabilities, float32 ``[N, S, C]``.
        smallest_image: Input of the decoder's CNN, ``[N, s, s, depth]``; None without images.
    """

    state: State
    posterior: tf.Tensor
    prior: tf.Tensor
    smallest_image: tf.Tensor | None


class WorldModelOutput(NamedTuple):
    """Outputs of the world model for N records.

    Attributes:
        state: As in :class:`Observed`.
        posterior: As in :class:`Observed`.
        prior: As in :class:`Observed`.
        observations: Key -> predicted column, float32 ``[N, ...]``.
        reward_logits: float32 ``[N, 255]``.
        continue_logits: float32 ``[N]``.
        mask_logits: float32 ``[N, M]``; None without action masks.
    """

    state: State
    posterior: tf.Tensor
    prior: tf.Tensor
    observations: dict[str, tf.Tensor]
    reward_logits: tf.Tensor
    continue_logits: tf.Tensor
    mask_logits: tf.Tensor | None = None


class Context(NamedTuple):
    """State and action before each row, from which the row continues (2025 code).

    Attributes:
        state: Its stored latents, ``[B, ...]``, without gradient.
        action: The action chosen at it, float32 ``[B, A]``.
    """

    state: State
    action: tf.Tensor


def split_context(
    batch: Mapping[str, tf.Tensor],
) -> tuple[dict[str, tf.Tensor], Context | None]:
    """Remove the context record, if there is one, from a batch.

    Args:
        batch: Record columns ``[B, T, ...]``; or ``[B, 1 + T, ...]`` with stored latents, whose
            first record is the context.

    Returns:
        The columns ``[B, T, ...]`` without latents, and the context.
    """
    if LATENT_H not in batch:
        return dict(batch), None
    index = tf.cast(batch[LATENT_INDEX][:, 0], tf.int32)
    context = Context(
        State(tf.convert_to_tensor(batch[LATENT_H][:, 0]), index),
        tf.convert_to_tensor(batch[ACTION][:, 0]),
    )
    rest = {key: x[:, 1:] for key, x in batch.items() if key not in (LATENT_H, LATENT_INDEX)}
    return rest, context


class WorldModel(tf.Module):
    """The networks that are trained on records (arXiv 2301.04104v1, eq. 3)."""

    def __init__(
        self,
        observations: ObservationLayout,
        actions: ActionLayout,
        settings: ModelSettings,
        rng: Rng,
    ):
        """Create all networks."""
        super().__init__()
        self._observations, self._actions, self._settings = observations, actions, settings
        self.encoder = Encoder(observations, settings, rng)
        self.rssm = Rssm(settings, self.encoder.width, actions.size, rng)
        self.decoder = Decoder(observations, settings, rng)
        self.reward = TwoHotHead(settings, settings.reward_layers, rng)
        self.cont = ContinueHead(settings, rng)
        self.mask = MaskHead(settings, actions, rng) if actions.masked else None

    def observe(
        self, batch: Mapping[str, tf.Tensor], uniform: tf.Tensor, context: Context | None = None
    ) -> Observed:
        """Filter a batch.

        Args:
            batch: Record columns ``[B, T, ...]``.
            uniform: float32 ``[B, T, S]`` in [0, 1), for the posterior samples.
            context: State and action before the rows. None: every row starts from the initial
                state, and ``is_first`` is set in column 0.

        Returns:
            States and distributions, flattened batch-major: record (b, t) is row b * T + t.
        """
        columns = {
            leaf.key: tf.reshape(batch[leaf.key], [-1, *leaf.shape])
            for leaf in self._observations.leaves
        }
        rows, length = tf.shape(batch[IS_FIRST])[0], batch[IS_FIRST].shape[1]
        tokens = tf.reshape(self.encoder(columns), [rows, length, self.encoder.width])
        if context is None:
            context = self._no_context(rows)
        previous_action = tf.concat([context.action[:, None], batch[ACTION][:, :-1]], 1)
        posterior = self.rssm.observe(
            tokens,
            previous_action,
            tf.convert_to_tensor(batch[IS_FIRST]),
            uniform,
            context.state,
        )
        state = posterior.state.flat()
        return Observed(
            state=state,
            posterior=tf.reshape(posterior.log_probs, [-1, *posterior.log_probs.shape[2:]]),
            prior=self.rssm.prior(state.h),
            smallest_image=self.decoder.smallest_image(state),
        )

    def predict(self, observed: Observed) -> WorldModelOutput:
        """Predict every column of records from their posterior states, ``[N]``."""
        state = observed.state
        return WorldModelOutput(
            state=state,
            posterior=observed.posterior,
            prior=observed.prior,
            observations=self.decoder(state, observed.smallest_image),
            reward_logits=self.reward(state),
            continue_logits=self.cont(state),
            mask_logits=None if self.mask is None else self.mask(state),
        )

    def _no_context(self, rows: tf.Tensor) -> Context:
        h = tf.zeros([rows, self._settings.deterministic])
        index = tf.zeros([rows, self._settings.categoricals], tf.int32)
        return Context(State(h, index), tf.zeros([rows, self._actions.size]))
