"""How much of the rewards in a batch the reward head predicts.

The loss does not show it: with rare rewards it is near 0 for a head that predicts none of them.
"""

import tensorflow as tf


def reward_signal(
    predicted: tf.Tensor, reward: tf.Tensor, is_first: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Measure rewards, and predictions of them, by their distance from the usual reward.

    The usual reward is the batch's median. First records are left out: their reward is 0 by
    convention. Metrics of this project, from no paper.

    Args:
        predicted: Means of the reward head at the posteriors, float32 ``[N]``.
        reward: Recorded rewards, float32 ``[N]``.
        is_first: bool ``[N]``.

    Returns:
        Two float32 scalars: the mean distance of rewards, and how much of it is predicted, at most
        all of it in each record. Their sums over many batches have the ratio 1 if predictions are
        right, and 0 if the usual reward is always predicted. Both are 0 if no reward is unusual.
    """
    usual = tf.sort(reward)[tf.shape(reward)[0] // 2]
    counts = tf.cast(~is_first, tf.float32)
    records = tf.maximum(tf.reduce_sum(counts), 1.0)
    away = (reward - usual) * counts
    distance = tf.abs(away)
    # A single prediction of an untrained head can be as large as 1e8.
    found = tf.clip_by_value(tf.sign(away) * (predicted - usual), -distance, distance)
    return tf.reduce_sum(distance) / records, tf.reduce_sum(found) / records
