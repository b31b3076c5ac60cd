"""Imagined trajectories: the policy acts in the world model (arXiv 2301.04104v1, section 3)."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.networks.heads import Actor
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import WorldModel
from rllib_dreamerv3.agent.noise import ImaginationNoise
from rllib_dreamerv3.records import ACTION_MASK


class Trajectory(NamedTuple):
    """N trajectories of H + 1 states, time-major.

    Attributes:
        state: ``[H + 1, N, ...]``; the first is the start state.
        action: float32 ``[H + 1, N, A]``, the action chosen in each state.
        mask: Allowed choices, bool ``[H + 1, N, M]``; None without action masks.
    """

    state: State
    action: tf.Tensor
    mask: tf.Tensor | None = None

    def flat_mask(self, steps: int) -> tf.Tensor | None:
        """Masks of the first states as ``[steps * N, M]``, time-major; None without masks."""
        if self.mask is None:
            return None
        return tf.reshape(self.mask[:steps], [-1, self.mask.shape[-1]])


def flat_mask(records: Mapping[str, tf.Tensor]) -> tf.Tensor | None:
    """The action masks of a batch ``[B, T, M]`` as ``[B * T, M]``; None if it has none."""
    if ACTION_MASK not in records:
        return None
    return tf.reshape(records[ACTION_MASK], [-1, records[ACTION_MASK].shape[-1]])


def imagine(
    world: WorldModel,
    actor: Actor,
    start: State,
    noise: ImaginationNoise,
    *,
    through_dynamics: bool,
    start_mask: tf.Tensor | None = None,
) -> Trajectory:
    """Imagine one trajectory from every start state.

    Args:
        world: Its sequence model and prior; with action masks also its mask head.
        actor: The policy.
        start: ``[N, ...]``, without gradient.
        noise: Random numbers of H steps.
        through_dynamics: Whether gradients flow from later states to actions. If not, states hold
            only class indices, without a dense z.
        start_mask: Recorded action mask of the start states, ``[N, M]``; required if the
            environment has masks. Masks of imagined states are predicted.

    Returns:
        The trajectories. The policy reads states without gradient: the gradient by an action
        reaches the actor's parameters, but not the state in which it was chosen.
    """

    def choose(state: State, mask: tf.Tensor | None, own_noise: tf.Tensor) -> tf.Tensor:
        return actor(state.stop_gradient(), mask).sample(own_noise)

    def step(
        state: State, action: tf.Tensor, state_noise: tf.Tensor, action_noise: tf.Tensor
    ) -> tuple[State, tf.Tensor | None, tf.Tensor]:
        after = world.rssm.imagine(state, action, state_noise, dense=through_dynamics)
        mask = None if world.mask is None else world.mask.allowed(after.stop_gradient())
        return after, mask, choose(after, mask, action_noise)

    if not through_dynamics:
        # Traced and optimised once instead of H times. Its gradient would cost more than that.
        step = tf.function(step, autograph=False, experimental_attributes={"_noinline": True})
    mask = None if start_mask is None else tf.cast(start_mask, tf.bool)
    states, masks, actions = [start], [mask], [choose(start, mask, noise.action[0])]
    for i in range(noise.state.shape[0]):
        state, mask, action = step(states[-1], actions[-1], noise.state[i], noise.action[i + 1])
        states.append(state)
        masks.append(mask)
        actions.append(action)
    stacked = State(
        h=tf.stack([s.h for s in states]),
        index=tf.stack([s.index for s in states]),
        z=tf.stack([s.z for s in states]) if through_dynamics else None,
    )
    return Trajectory(stacked, tf.stack(actions), None if start_mask is None else tf.stack(masks))
