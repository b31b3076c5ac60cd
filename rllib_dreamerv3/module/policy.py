"""The part of the networks that acts: encoder, RSSM and actor.

This is all that env runners hold and all that a served policy needs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.layout import ActionLayout
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.action_distribution import draw_action_noise
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


class PolicyNoise(NamedTuple):
    """The random numbers of one step of N environments, drawn by :meth:`Policy.draw_noise`.

    Attributes:
        latent: float32 ``[N, S]`` in [0, 1), decides the sample of z.
        action: float32 ``[N, K]``, decides the action.
    """

    latent: np.ndarray
    action: np.ndarray


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
        # By number of environments and of training rows. TensorFlow takes as long to find out which
        # of a function's traces fits its arguments as a small policy takes to act.
        self._compiled: dict[tuple[int, int], Callable[..., Sequence[tf.Tensor]]] = {}

    def initial_state(self, environments: int) -> PolicyState:
        """State of N environments before their first reset; all zeros, replaced at ``is_first``."""
        return PolicyState(
            h=tf.zeros([environments, self._settings.deterministic]),
            index=tf.zeros([environments, self._settings.categoricals], tf.int32),
            action=tf.zeros([environments, self._actions.size]),
        )

    def draw_noise(self, rng: np.random.Generator, environments: int) -> PolicyNoise:
        """Draws what one step of N environments needs; each step needs its own."""
        return PolicyNoise(
            rng.random((environments, self._settings.categoricals), np.float32),
            draw_action_noise(self._actions, environments, rng),
        )

    def act(
        self,
        columns: Mapping[str, np.ndarray],
        is_first: np.ndarray,
        state: PolicyState,
        noise: PolicyNoise,
        *,
        mode: bool,
        training_rows: int = 0,
    ) -> PolicyState:
        """Chooses one action for each of N environments.

        Compiles when it first sees a number of environments.

        Args:
            columns: Observation columns ``[N, ...]``, and the ``action_mask`` if there is one.
            is_first: bool ``[N]``, whether the observation comes from a reset.
            state: What the last call returned, or :meth:`initial_state`.
            noise: What :meth:`draw_noise` gave, new for each call.
            mode: Whether to take the most likely actions instead of sampled ones.
            training_rows: B, to reach the very states that training on B rows would, bit for bit,
                with up to B environments: the step is executed as training does, on as many rows.
                0 for the fastest way; h may then differ by up to 5e-7.

        Returns:
            The next state; its ``action [N, A]`` is the one to take. Continuous components may
            lie outside [-1, 1].
        """
        names = sorted(columns)
        arguments = [*(columns[name] for name in names), is_first, *state, *noise, mode]
        tensors = [tf.convert_to_tensor(x) for x in arguments]
        environments = tensors[0].shape[0]
        kind = environments, training_rows
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(names, tensors, training_rows)
        return PolicyState(*self._compiled[kind](*tensors))

    def _compile(
        self, names: Sequence[str], tensors: Sequence[tf.Tensor], training_rows: int
    ) -> Callable[..., Sequence[tf.Tensor]]:
        n = tensors[0].shape[0]

        def act(*flat: tf.Tensor) -> list[tf.Tensor]:
            *rows, mode = flat
            if training_rows > n:
                # How XLA multiplies, and so how it rounds, depends on the number of rows.
                places = [i % n for i in range(training_rows)]
                rows = [tf.gather(x, places) for x in rows]
            columns = dict(zip(names, rows, strict=False))
            is_first, h, index, action, latent_noise, action_noise = rows[len(names) :]
            noise = PolicyNoise(latent_noise, action_noise)
            result = self._act(columns, is_first, PolicyState(h, index, action), noise, mode)
            return [x[:n] for x in result]

        # One executable, run by the calling thread: handing over to another thread and back takes
        # longer than a small policy. But fused with what stands around it, the filter's step is
        # rounded in another order than in training.
        function = tf.function(act, autograph=False, jit_compile=not training_rows)
        return function.get_concrete_function(*tensors)

    def _act(
        self,
        columns: Mapping[str, tf.Tensor],
        is_first: tf.Tensor,
        state: PolicyState,
        noise: PolicyNoise,
        mode: tf.Tensor,
    ) -> PolicyState:
        latent = self.rssm.observe_step(
            State(state.h, state.index),
            state.action,
            is_first,
            self.encoder(columns),
            noise.latent,
        )
        mask = tf.cast(columns[ACTION_MASK], tf.bool) if self._actions.masked else None
        distribution = self.actor(latent, mask)
        action = tf.where(mode, distribution.mode(), distribution.sample(noise.action))
        return PolicyState(latent.h, latent.index, action)
