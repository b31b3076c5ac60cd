"""Exploration written out once more in float64, for any variant of `Plain`.

Tests say ``from plain_exploration import PlainCurious``; pytest has this folder on its path.
"""

import tensorflow as tf
from plain import Plain

from rllib_dreamerv3.records import ACTION, IS_FIRST


class PlainCurious(Plain):
    """The ensemble, its disagreement, and the losses of an actor with two rewards."""

    def predictions(self, feature, action):
        """What each model predicts, ``[K, N, S * C]``."""
        action = action / tf.stop_gradient(tf.maximum(tf.abs(action), 1.0))
        inputs, found = tf.concat([feature, action], -1), []
        while f"ensemble/members/{len(found)}/output/kernel" in self.weights:
            found.append(self.head(inputs, f"ensemble/members/{len(found)}"))
        return tf.stack(found)

    def ensemble_loss(self, state, records):
        """Of posteriors ``[B * T]``, one record after the other."""
        rows, length = records[IS_FIRST].shape
        h = tf.reshape(tf.cast(state.h, tf.float64), [rows, length, -1])
        z = tf.reshape(self.dense(state.index), [rows, length, -1])
        loss = 0.0
        for b in range(rows):
            for t in range(length - 1):
                if records[IS_FIRST][b, t + 1]:
                    continue
                feature = tf.concat([h[b, t], z[b, t]], -1)[None]
                action = tf.cast(records[ACTION][b, t], tf.float64)[None]
                loss += tf.reduce_sum((self.predictions(feature, action) - z[b, t + 1]) ** 2)
        return loss / (rows * (length - 1))

    def curious(self, dream, is_terminal, through_dynamics):
        """The same dream with the disagreement as reward, and the intrinsic critic's values."""
        rewards = [tf.zeros_like(dream.rewards[0])]
        for feature, action in zip(dream.features[:-1], dream.actions[:-1], strict=True):
            if through_dynamics:
                action = self.chosen(tf.stop_gradient(feature), action)
            deviation = tf.math.reduce_std(self.predictions(feature, action), 0)
            rewards.append(tf.reduce_mean(deviation, -1))
        values = [self.predicted(self.head(x, "intrinsic_critic")) for x in dream.features]
        going_on, share = self.going_on(dream.features, is_terminal), self.options.gae_lambda
        returns = [values[-1]]
        for i in reversed(range(self.horizon)):
            mixed = (1.0 - share) * values[i + 1] + share * returns[0]
            returns.insert(0, rewards[i + 1] + self.discount * going_on[i + 1] * mixed)
        return dream._replace(rewards=rewards, values=values, returns=returns)

    def mixed_actor_loss(self, dreams, scales, weights, through_dynamics):
        """The actor's loss on one dream with several rewards."""
        stop, loss, total = tf.stop_gradient, 0.0, sum(weights)
        for i in range(self.horizon):
            first = dreams[0]
            feature, weight = stop(first.features[i]), stop(first.weights[i])
            advantage = 0.0
            for dream, scale, share in zip(dreams, scales, weights, strict=True):
                advantage += share / total * (dream.returns[i] - dream.values[i]) / scale
            log_prob, entropy = self.log_prob_and_entropy(feature, stop(first.actions[i]))
            objective = advantage if through_dynamics else log_prob * stop(advantage)
            objective += self.options.entropy_scale * entropy
            loss -= tf.reduce_mean(weight * objective) / self.horizon
        return loss

    def intrinsic_critic_loss(self, dream):
        """As the critic's, with the networks of the intrinsic reward."""
        stop, total = tf.stop_gradient, 0.0
        for i in range(self.horizon):
            feature, weight = stop(dream.features[i]), stop(dream.weights[i])
            logits = self.head(feature, "intrinsic_critic")
            slow = self.predicted(self.head(feature, "slow_intrinsic_critic"))
            loss = self.two_hot_loss(logits, dream.returns[i])
            loss += self.options.slow_critic_scale * self.two_hot_loss(logits, slow)
            total += tf.reduce_mean(weight * loss) / self.horizon
        return total
