"""Imagined trajectories: the policy acts in the world model (arXiv 2301.04104v1, section 3)."""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.layout import ActionLayout
from rllib_dreamerv3.module.action_distribution import action_noise, other_stream
from rllib_dreamerv3.module.heads import Actor
from rllib_dreamerv3.module.latent import State
from rllib_dreamerv3.module.rssm import Rssm


class Trajectory(NamedTuple):
    """N trajectories of H + 1 states, time-major.

    Attributes:
        state: ``[H + 1, N, ...]``; the first is where imagination started.
        action: float32 ``[H + 1, N, A]``, the action chosen in each state.
    """

    state: State
    action: tf.Tensor

    def flat_state(self) -> State:
        """All states as ``[(H + 1) * N, ...]``, time-major."""
        return State(
            *(None if x is None else tf.reshape(x, [-1, *x.shape[2:]]) for x in self.state)
        )


def imagine(
    rssm: Rssm,
    actor: Actor,
    actions: ActionLayout,
    start: State,
    horizon: int,
    seed: tf.Tensor,
    *,
    through_dynamics: bool,
) -> Trajectory:
    """Imagines one trajectory from every start state.

    Args:
        rssm: The sequence model and prior.
        actor: The policy.
        actions: The action layout.
        start: ``[N, ...]``, carries no gradient.
        horizon: H, number of steps.
        seed: int32 ``[2]``; one seed always gives the same trajectories.
        through_dynamics: Whether actions carry gradient into the states that follow. If not, the
            states hold class indices only, and no dense z is ever made.

    Returns:
        The trajectories. The policy reads states as data: gradient reaches an action through the
        actor's parameters only, never through the state it was chosen in.
    """
    n, categoricals = tf.shape(start.h)[0], start.index.shape[-1]
    uniform = tf.random.stateless_uniform([horizon, n, categoricals], seed)
    noise = action_noise(actions, [horizon + 1, n], other_stream(seed))

    def choose(state: State, step_noise: tf.Tensor) -> tf.Tensor:
        return actor(state.stop_gradient()).sample(step_noise)

    states, chosen = [start], [choose(start, noise[0])]
    for i in range(horizon):
        states.append(rssm.imagine(states[-1], chosen[-1], uniform[i], dense=through_dynamics))
        chosen.append(choose(states[-1], noise[i + 1]))
    stacked = State(
        h=tf.stack([s.h for s in states]),
        index=tf.stack([s.index for s in states]),
        z=tf.stack([s.z for s in states]) if through_dynamics else None,
    )
    return Trajectory(stacked, tf.stack(chosen))
