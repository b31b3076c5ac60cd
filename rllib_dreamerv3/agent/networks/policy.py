"""The acting networks: encoder, RSSM and actor.

Env runners and served policies need only these.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.kernels.registered_gradients import free_registered_gradients
from rllib_dreamerv3.agent.networks.action_distribution import ActionDistribution, draw_action_noise
from rllib_dreamerv3.agent.networks.encoder import Encoder
from rllib_dreamerv3.agent.networks.heads import Actor
from rllib_dreamerv3.agent.networks.rssm import Rssm
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.portable.leaves import latent_noise
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.layout import ActionLayout


class PolicyState(NamedTuple):
    """Recurrent state in N environments.

    Attributes:
        h: float32 ``[N, D]``.
        index: int32 ``[N, S]``.
        action: float32 ``[N, A]``, the last action vector.
    """

    h: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # also a method of tuples
    action: np.ndarray


class PolicyNoise(NamedTuple):
    """The random numbers of one step of N environments, drawn by :meth:`Policy.draw_noise`.

    Attributes:
        latent: float32 ``[N, S]`` in [0, 1), for the sample of z.
        action: float32 ``[N, K]``, for the action.
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
        """Wrap existing networks; the policy has no other parameters."""
        super().__init__()
        self.encoder, self.rssm, self.actor = encoder, rssm, actor
        self._actions, self._settings = actions, settings
        # By number of environments, and mode. For TensorFlow, selecting one of a function's traces
        # takes as long as acting with a small policy.
        self._compiled: dict[tuple[int, bool], Callable[..., tf.Tensor]] = {}

    def initial_state(self, environments: int) -> PolicyState:
        """State in N environments before their first reset; zeros, replaced at ``is_first``."""
        return PolicyState(
            h=np.zeros([environments, self._settings.deterministic], np.float32),
            index=np.zeros([environments, self._settings.categoricals], np.int32),
            action=np.zeros([environments, self._actions.size], np.float32),
        )

    def draw_noise(self, rng: np.random.Generator, environments: int) -> PolicyNoise:
        """Draw the random numbers of one step of N environments."""
        return PolicyNoise(
            latent_noise(rng, environments, self._settings.categoricals),
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
    ) -> PolicyState:
        """Choose one action for each of N environments.

        Compile at the first call for each number of environments.

        Args:
            columns: Observation columns ``[N, ...]``, and the ``action_mask`` if there is one.
            is_first: bool ``[N]``, whether the observation comes from a reset.
            state: Result of the previous call, or :meth:`initial_state`.
            noise: Result of :meth:`draw_noise`, new for each call.
            mode: Whether to take the most likely actions instead of sampled ones.

        Returns:
            The next state; its ``action [N, A]`` is the one to take. Continuous components may
            lie outside [-1, 1].
        """
        names = sorted(columns)
        # One array for all except the observation, and one for all results: passing an argument or
        # result to or from TensorFlow takes 50 us, a tenth of the time of a small policy.
        packed = np.concatenate([is_first[:, None], *noise, *state], -1, dtype=np.float32)
        tensors = [*(tf.constant(columns[name]) for name in names), tf.constant(packed)]
        kind = len(packed), mode
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(names, tensors, mode)
        h, index, action = self._split_state(self._compiled[kind](*tensors).numpy())
        return PolicyState(h, index.astype(np.int32), action)

    def step(
        self,
        columns: Mapping[str, tf.Tensor],
        is_first: tf.Tensor,
        state: State,
        action: tf.Tensor,
        noise: tf.Tensor,
        initial: State | None = None,
    ) -> tuple[State, ActionDistribution]:
        """Compute one step, as a pure function of tensors.

        Args:
            columns: Observation columns ``[N, ...]``, and the ``action_mask`` if there is one.
            is_first: bool ``[N]``, whether the observation comes from a reset.
            state: The state before it, ``[N, ...]``.
            action: float32 ``[N, A]``, the action taken there.
            noise: float32 ``[N, S]`` in [0, 1), for the sample of z.
            initial: See :meth:`Rssm.observe_step`.

        Returns:
            The state at the observation, and the distribution of the action to take there.
        """
        tokens = self.encoder(columns)
        state = self.rssm.observe_step(state, action, is_first, tokens, noise, initial)
        mask = tf.cast(columns[ACTION_MASK], tf.bool) if self._actions.masked else None
        return state, self.actor(state, mask)

    def _split_state(self, packed: np.ndarray) -> list[np.ndarray]:
        """``[N, D + S + A]`` into h, classes and action."""
        d, s = self._settings.deterministic, self._settings.categoricals
        return np.split(packed, [d, d + s], -1)

    def _compile(
        self, names: Sequence[str], tensors: Sequence[tf.Tensor], mode: bool
    ) -> Callable[..., tf.Tensor]:
        n, width = tensors[-1].shape
        d, s, a = self._settings.deterministic, self._settings.categoricals, self._actions.size
        sizes = [1, s, width - 1 - s - d - s - a, d, s, a]

        def act(*tensors: tf.Tensor) -> tf.Tensor:
            if n == 1:
                # XLA multiplies two rows with a part of a kernel several times as fast as one.
                tensors = tuple(tf.repeat(x, 2, 0) for x in tensors)
            columns = dict(zip(names, tensors, strict=False))
            is_first, for_latent, for_action, h, index, action = tf.split(tensors[-1], sizes, -1)
            state, distribution = self.step(
                columns,
                is_first[:, 0] > 0.0,
                State(h, tf.cast(index, tf.int32)),
                action,
                for_latent,
            )
            action = distribution.mode() if mode else distribution.sample(for_action)
            return tf.concat([state.h, tf.cast(state.index, tf.float32), action], -1)[:n]

        # One executable, run by the calling thread: switching threads takes longer than a small
        # policy.
        function = tf.function(free_registered_gradients()(act), autograph=False, jit_compile=True)
        return function.get_concrete_function(*tensors)
