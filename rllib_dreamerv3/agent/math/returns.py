"""Lambda-returns of imagined and replayed trajectories, and weights of imagined states.

Nothing here stops gradients: an actor that is trained through the dynamics needs those of the
returns. For all others the loss stops them.
"""

import tensorflow as tf


def lambda_returns(
    reward: tf.Tensor, discount: tf.Tensor, value: tf.Tensor, lam: float
) -> tf.Tensor:
    """Lambda-returns of imagined trajectories (arXiv 2301.04104v1, eq. 7).

    With R_H = value_H and going backwards from i = H - 1::

        R_i = reward_{i+1} + discount_{i+1} * ((1 - lam) * value_{i+1} + lam * R_{i+1})

    Reward and discount belong to the state that is arrived at; those of the first one are not used.

    Args:
        reward: Raw reward at each state, float32 ``[H + 1, N]``, H known statically.
        discount: Discount factor times probability that the episode continues, float32
            ``[H + 1, N]``.
        value: Raw value of each state, float32 ``[H + 1, N]``.
        lam: 0 gives one-step returns, 1 Monte-Carlo returns with the last value as bootstrap.

    Returns:
        float32 ``[H, N]``.
    """
    rewards, discounts, values = tf.unstack(reward), tf.unstack(discount), tf.unstack(value)
    following = values[-1]
    returns = []
    for i in range(len(rewards) - 1, 0, -1):
        mixed = (1.0 - lam) * values[i] + lam * following
        following = rewards[i] + discounts[i] * mixed
        returns.append(following)
    return tf.stack(returns[::-1])


def trajectory_weights(continues: tf.Tensor, gamma: float = 1.0) -> tf.Tensor:
    """Discounted probability that an imagined episode has not ended before each state.

    ``w_i = (gamma * continues_0) * ... * (gamma * continues_i) / gamma`` (2023 code). Where the
    predicted continues already contain the discount factor, as in the 2025 code, gamma is 1.

    Args:
        continues: Probability (or 0 and 1) that the episode continues, float32 ``[H + 1, N]``.
        gamma: Discount factor.

    Returns:
        float32 ``[H + 1, N]``.
    """
    return tf.math.cumprod(gamma * continues) / gamma


def replay_lambda_returns(
    reward: tf.Tensor,
    is_last: tf.Tensor,
    is_terminal: tf.Tensor,
    bootstrap: tf.Tensor,
    discount: float,
    lam: float,
) -> tf.Tensor:
    """Lambda-returns of replayed sequences, which may cross episode boundaries (2025 code).

    With R_{T-1} = b_{T-1} and going backwards from t = T - 2, where b is ``bootstrap``::

        live = discount * (1 - is_terminal_{t+1})
        mix  = lam * (1 - is_last_{t+1})
        R_t  = reward_{t+1} + live * ((1 - mix) * b_{t+1} + mix * R_{t+1})

    A terminated episode thus ends with its last reward, a truncated one with a bootstrap. The
    return at an is_last record looks into the next episode and means nothing: weight it with 0.

    Args:
        reward: float32 ``[B, T]``, T known statically.
        is_last: bool or float32 ``[B, T]``.
        is_terminal: bool or float32 ``[B, T]``.
        bootstrap: Raw value of each record, float32 ``[B, T]``.
        discount: Discount factor.
        lam: As in `lambda_returns`.

    Returns:
        float32 ``[B, T - 1]``.
    """
    live = tf.unstack(discount * (1.0 - tf.cast(is_terminal, tf.float32)), axis=1)
    mix = tf.unstack(lam * (1.0 - tf.cast(is_last, tf.float32)), axis=1)
    rewards, bootstraps = tf.unstack(reward, axis=1), tf.unstack(bootstrap, axis=1)
    following = bootstraps[-1]
    returns = []
    for t in range(len(rewards) - 1, 0, -1):
        mixed = (1.0 - mix[t]) * bootstraps[t] + mix[t] * following
        following = rewards[t] + live[t] * mixed
        returns.append(following)
    return tf.stack(returns[::-1], axis=1)
