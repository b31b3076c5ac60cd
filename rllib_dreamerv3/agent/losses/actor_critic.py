"""Actor and critic losses on imagined trajectories (arXiv 2301.04104v1, eq. 7 to 12).

Arrays are time-major. ``[H + 1, N]`` covers the states s_0 .. s_H of a trajectory, ``[H, N]`` the
states s_0 .. s_{H-1} that have a return.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.math.returns import (
    lambda_returns,
    replay_lambda_returns,
    trajectory_weights,
)
from rllib_dreamerv3.agent.math.two_hot import TwoHot
from rllib_dreamerv3.agent.networks.action_distribution import ActionDistribution
from rllib_dreamerv3.options.table import ImaginedContinues


class Returns(NamedTuple):
    """Returns, values and weights of imagined trajectories.

    Attributes:
        returns: lambda-returns R_i, float32 ``[H, N]``, in raw reward space.
        values: The fast critic's v_i, float32 ``[H, N]``.
        weights: w_i, float32 ``[H, N]``, no gradient: the discounted probability that the
            episode has not ended before s_i.
    """

    returns: tf.Tensor
    values: tf.Tensor
    weights: tf.Tensor


def imagined_continues(
    logits: tf.Tensor, start_is_terminal: tf.Tensor, kind: ImaginedContinues
) -> tf.Tensor:
    """Whether an imagined episode continues after each state; carries no gradient.

    Args:
        logits: The continue head's, float32 ``[H + 1, N]``.
        start_is_terminal: bool ``[N]``, of the records from which imagination started.
        kind: ``"mode"``: the more likely of 0 and 1; in s_0 the recorded value (2023 code).
            ``"probability"``: the predicted probability, also in s_0 (2025 code).

    Returns:
        float32 ``[H + 1, N]``.
    """
    if kind == "probability":
        return tf.stop_gradient(tf.sigmoid(logits))
    start = 1.0 - tf.cast(start_is_terminal, tf.float32)
    return tf.concat([start[None], tf.cast(logits[1:] > 0.0, tf.float32)], 0)


def imagined_returns(
    reward: tf.Tensor,
    continues: tf.Tensor,
    values: tf.Tensor,
    *,
    gamma: float,
    gae_lambda: float,
) -> Returns:
    """Compute lambda-returns and weights (eq. 7).

    Reward and continue flag belong to the next state.

    Args:
        reward: Predicted rewards, float32 ``[H + 1, N]``; the first is not used.
        continues: See :func:`imagined_continues`, float32 ``[H + 1, N]``.
        values: The fast critic's values, float32 ``[H + 1, N]``.
        gamma: Discount for one step; 1 if the continues include it.
        gae_lambda: lambda of the lambda-return.

    Returns:
        Returns, values and weights of s_0 .. s_{H-1}. Gradient flows from returns and values to
        ``reward`` and ``values``.
    """
    returns = lambda_returns(reward, gamma * continues, values, gae_lambda)
    weights = tf.stop_gradient(trajectory_weights(continues, gamma))
    return Returns(returns, values[:-1], weights[:-1])


def mixed_returns(
    outcomes: Sequence[Returns], scales: Sequence[tf.Tensor], weights: Sequence[float]
) -> tuple[Returns, tf.Tensor]:
    """Combine the returns of several rewards into those that the actor maximises.

    With returns R_k, values v_k, scales S_k and weights c_k::

        R = sum_k c_k R_k / S_k / sum_k c_k         v = sum_k c_k v_k / S_k / sum_k c_k

    so that the advantage R - v is the weighted mean of the normalised advantages (2023 code).

    Args:
        outcomes: Returns of the same trajectories by each reward.
        scales: float32 scalar for each, by which its returns are divided (eq. 12).
        weights: One for each, at least 0, not all 0.

    Returns:
        The returns, and the scale by which they still have to be divided. A single reward with
        weight is unchanged, with its own scale.
    """
    used = [(*x, weight) for *x, weight in zip(outcomes, scales, weights, strict=True) if weight]
    if len(used) == 1:
        ((outcome, scale, _),) = used
        return outcome, scale
    total = sum(weights)
    returns, values = (
        tf.add_n([weight / total * x[i] / scale for x, scale, weight in used]) for i in range(2)
    )
    return Returns(returns, values, outcomes[0].weights), tf.constant(1.0)


def actor_loss(
    policy: ActionDistribution,
    action: tf.Tensor,
    outcome: Returns,
    scale: tf.Tensor,
    *,
    entropy_scale: float,
    through_dynamics: bool,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The actor's loss (eq. 11): normalised advantage plus entropy bonus.

    Args:
        policy: Distributions at s_0 .. s_{H-1}, flattened to H * N.
        action: Imagined actions, float32 ``[H * N, A]``.
        outcome: Returns of the trajectories.
        scale: float32 scalar S by which returns are divided (eq. 12).
        entropy_scale: Weight of the entropy bonus.
        through_dynamics: False: REINFORCE. True: the advantage itself is differentiated, through
            rewards, values and the world model (2023 code, for continuous actions).

    Returns:
        The scalar loss, and scalars for the results, by name. The two terms of the loss among them
        are plain means, without the weights of the trajectories; without REINFORCE there is only
        the entropy's. ``action_bias`` is there if an action is continuous.
    """
    advantage = (outcome.returns - outcome.values) / scale
    entropy = tf.reshape(policy.entropy(), tf.shape(advantage))
    if through_dynamics:
        objective = advantage
    else:
        log_prob = tf.reshape(policy.log_prob(tf.stop_gradient(action)), tf.shape(advantage))
        objective = log_prob * tf.stop_gradient(advantage)
    loss = -tf.reduce_mean(outcome.weights * (objective + entropy_scale * entropy))
    mean_entropy = tf.reduce_mean(entropy)
    metrics = {
        "L_neg_entropy_term": -entropy_scale * mean_entropy,
        "action_entropy": mean_entropy,
        "advantage_mean": tf.reduce_mean(advantage),
        "advantage_abs_mean": tf.reduce_mean(tf.abs(advantage)),
    }
    bias = policy.bias()
    if bias is not None:
        metrics["action_bias"] = bias
    if not through_dynamics:
        metrics["L_neglogp_reinforce_term"] = -tf.reduce_mean(objective)
    return loss, metrics


class CriticLosses(NamedTuple):
    """Parts of the critic's loss, weighted means, float32 scalars.

    Attributes:
        value: Cross-entropy with the lambda-returns (eq. 10).
        slow: Cross-entropy with the slow critic's values, the regulariser.
    """

    value: tf.Tensor
    slow: tf.Tensor


def critic_loss(
    logits: tf.Tensor, outcome: Returns, slow_values: tf.Tensor, two_hot: TwoHot
) -> CriticLosses:
    """The critic's loss (eq. 10): targets are returns that are *not* normalised.

    Args:
        logits: The fast critic's, float32 ``[H * N, 255]``, at s_0 .. s_{H-1}.
        outcome: Returns of the trajectories.
        slow_values: The slow critic's values at the same states, float32 ``[H * N]``.
        two_hot: Encoding of values.

    Returns:
        Both parts; their sum is what the critic minimises.
    """
    weights = tf.reshape(outcome.weights, [-1])
    targets = (tf.reshape(tf.stop_gradient(x), [-1]) for x in (outcome.returns, slow_values))
    value, slow = two_hot.losses(logits, *targets)
    return CriticLosses(tf.reduce_mean(weights * value), tf.reduce_mean(weights * slow))


def replay_critic_loss(
    logits: tf.Tensor,
    slow_values: tf.Tensor,
    bootstrap: tf.Tensor,
    reward: tf.Tensor,
    is_last: tf.Tensor,
    is_terminal: tf.Tensor,
    two_hot: TwoHot,
    *,
    gamma: float,
    gae_lambda: float,
    slow_critic_scale: float,
) -> tf.Tensor:
    """The critic's loss on replayed records (2025 code).

    Targets are lambda-returns of the recorded rewards that bootstrap from imagined returns instead
    of values. Gradients flow through the logits into encoder and RSSM unless the caller stops them.

    Args:
        logits: The fast critic's at the posterior states, float32 ``[B, T, 255]``.
        slow_values: The slow critic's values there, float32 ``[B, T]``.
        bootstrap: Return R_0 of the imagination from each record, float32 ``[B, T]``.
        reward: float32 ``[B, T]``.
        is_last: bool ``[B, T]``.
        is_terminal: bool ``[B, T]``.
        two_hot: Encoding of values.
        gamma: Discount for one step.
        gae_lambda: lambda of the lambda-return.
        slow_critic_scale: Weight of the slow critic as a regulariser.

    Returns:
        The loss, float32 scalar: mean over the first T - 1 records of each row, where the last
        records of episodes count 0.
    """
    returns = replay_lambda_returns(reward, is_last, is_terminal, bootstrap, gamma, gae_lambda)
    logits, weights = logits[:, :-1], 1.0 - tf.cast(is_last[:, :-1], tf.float32)
    value, slow = two_hot.losses(logits, returns, slow_values[:, :-1])
    return tf.reduce_mean(weights * (value + slow_critic_scale * slow))
