"""The part of the networks that acts: encoder, RSSM and actor.

This is all that env runners hold and all that a served policy needs.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.layout import ActionLayout
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.action_distribution import action_noise, other_stream
from rllib_dreamerv3.module.encoder import Encoder
from rllib_dreamerv3.module.heads import Actor
from rllib_dreamerv3.module.latent import State
from rllib_dreamerv3.module.rssm import Rssm
from rllib_dreamerv3.records import ACTION_MASK


class PolicyState(NamedTuple):
    """What the policy remembers of N environments.

    Attributes:
        h: float32 ``[N, D]``.
        index: int32 ``[N, S]``.
        action: float32 ``[N, A]``, the action chosen last.
    """

    h: tf.Tensor
    index: tf.Tensor
    action: tf.Tensor


class Policy(tf.Module):
    """Filters observations and chooses actions."""

    def __init__(
        self,
        encoder: Encoder,
        rssm: Rssm,
        actor: Actor,
        actions: ActionLayout,
        settings: ModelSettings,
    ):
        """Wraps networks that exist already; the policy has no parameters of its own."""
        super().__init__()
        self.encoder, self.rssm, self.actor = encoder, rssm, actor
        self._actions, self._settings = actions, settings
        # The networks are already tf.Modules; compiling a bound method of this one is safe
        # because Ray never wraps it (it would, were it a method of an actor class).
        self.act = tf.function(self._act, reduce_retracing=True)

    def initial_state(self, environments: int) -> PolicyState:
        """State of N environments before their first reset; all zeros, replaced at ``is_first``."""
        return PolicyState(
            h=tf.zeros([environments, self._settings.deterministic]),
            index=tf.zeros([environments, self._settings.categoricals], tf.int32),
            action=tf.zeros([environments, self._actions.size]),
        )

    def _act(
        self,
        columns: Mapping[str, tf.Tensor],
        is_first: tf.Tensor,
        state: PolicyState,
        seed: tf.Tensor,
        mode: tf.Tensor,
    ) -> PolicyState:
        """Chooses one action for each of N environments.

        Args:
            columns: Observation columns ``[N, ...]``, and the ``action_mask`` if there is one.
            is_first: bool ``[N]``, whether the observation comes from a reset.
            state: What the last call returned, or :meth:`initial_state`.
            seed: int32 ``[2]``, a new one for each call.
            mode: bool scalar; take the most likely action instead of sampling one.

        Returns:
            The next state; its ``action [N, A]`` is the one to take. Continuous components may
            lie outside [-1, 1].
        """
        tokens = self.encoder(columns)
        n = tf.shape(tokens)[0]
        uniform = tf.random.stateless_uniform([n, self._settings.categoricals], seed)
        latent = self.rssm.observe_step(
            State(state.h, state.index), state.action, is_first, tokens, uniform
        )
        mask = tf.cast(columns[ACTION_MASK], tf.bool) if self._actions.masked else None
        distribution = self.actor(latent, mask)
        noise = action_noise(self._actions, [n], other_stream(seed))
        sampled = distribution.sample(noise)
        return PolicyState(latent.h, latent.index, tf.where(mode, distribution.mode(), sampled))
