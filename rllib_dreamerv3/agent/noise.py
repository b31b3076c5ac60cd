"""The random numbers of an update, all drawn before it.

XLA's generators return other numbers than TensorFlow's. Since they are drawn outside of what XLA
compiles, an update has the same random numbers on every device. Parts of an update get seeds of
their own by hashing, so that runs with neighbouring seeds share no random numbers.
"""

from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.math.batch_shard import WHOLE, RowShare
from rllib_dreamerv3.agent.networks.action_distribution import action_noise
from rllib_dreamerv3.spaces.layout import ActionLayout


class ImaginationNoise(NamedTuple):
    """Random numbers of N imagined trajectories of H steps.

    Attributes:
        state: Uniform numbers in [0, 1) for the classes of each state after the first,
            ``[H, N, S]``.
        action: Numbers for ``ActionDistribution.sample`` in each state, ``[H + 1, N, K]``.
    """

    state: tf.Tensor
    action: tf.Tensor


class UpdateNoise(NamedTuple):
    """Random numbers of an update.

    Attributes:
        posterior: Uniform numbers in [0, 1) for the classes of each record's state, ``[B, T, S]``.
        imagination: Those of the trajectories that start from the records.
    """

    posterior: tf.Tensor
    imagination: ImaginationNoise


def draw_imagination_noise(
    actions: ActionLayout,
    categoricals: int,
    horizon: int,
    n: int | tf.Tensor,
    seed: tf.Tensor,
    share: RowShare = WHOLE,
) -> ImaginationNoise:
    """Draw the random numbers of imagination.

    Args:
        actions: The action layout.
        categoricals: S, number of categoricals of a state.
        horizon: H, number of steps.
        n: N, number of trajectories in this process.
        seed: int32 ``[2]``.
        share: Share of this process of all trajectories.
    """
    state_seed, action_seed = (tf.random.fold_in(seed, i) for i in range(2))
    return ImaginationNoise(
        share.draw(
            lambda n: tf.random.stateless_uniform([horizon, n, categoricals], state_seed), n, axis=1
        ),
        share.draw(lambda n: action_noise(actions, [horizon + 1, n], action_seed), n, axis=1),
    )


def draw_update_noise(
    actions: ActionLayout,
    categoricals: int,
    horizon: int,
    rows: int | tf.Tensor,
    length: int | tf.Tensor,
    starts: int | tf.Tensor,
    seed: tf.Tensor,
    share: RowShare = WHOLE,
) -> UpdateNoise:
    """Draw the random numbers of an update.

    Args:
        actions: The action layout.
        categoricals: S, number of categoricals of a state.
        horizon: H, number of steps of imagination.
        rows: B, number of rows in this process.
        length: T, number of records of a row.
        starts: Number of records of a row from which imagination starts.
        seed: int32 ``[2]``.
        share: Share of this process of all rows.
    """
    record_seed, imagination_seed = (tf.random.fold_in(seed, i) for i in range(2))
    posterior = share.draw(
        lambda rows: tf.random.stateless_uniform([rows, length, categoricals], record_seed),
        rows,
        axis=0,
    )
    imagination = draw_imagination_noise(
        actions, categoricals, horizon, rows * starts, imagination_seed, share
    )
    return UpdateNoise(posterior, imagination)
