"""Plain networks and losses that only v2 has; see `plain.py`."""

import dataclasses

import numpy as np
import synthetic
import tensorflow as tf
from plain import NUMBERS, Plain, symexp

from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import IS_LAST, IS_TERMINAL, REWARD

SIZES_V2 = dataclasses.replace(
    synthetic.NANO_V2, prior_layers=2, actor_layers=3, critic_layers=3, vector_layers=3
)
OPTIONS_V2 = LearningOptions.of_variant("v2", **NUMBERS, replay_critic_scale=0.45)
BLOCKS = 8
HALF = symexp(tf.constant(np.linspace(-20, 0, 128)))
BINS_V2 = tf.concat([HALF, -HALF[:-1][::-1]], 0)


class PlainV2(Plain):
    """Block GRU, root-mean-square norms, pooled CNN, classes; discounts within probabilities."""

    def __init__(self, model, observations, actions, options=OPTIONS_V2):
        super().__init__(model, observations, actions, options)
        self.discount, self.continue_label = 1.0, options.gamma

    @staticmethod
    def predicted(logits):
        return tf.linalg.matvec(tf.nn.softmax(logits), BINS_V2)

    @staticmethod
    def two_hot(target):
        left = tf.searchsorted(BINS_V2, tf.reshape(target, [-1]), side="right") - 1
        left = tf.reshape(tf.clip_by_value(left, 0, 253), target.shape)
        below, above = tf.gather(BINS_V2, left), tf.gather(BINS_V2, left + 1)
        share = tf.clip_by_value((target - below) / (above - below), 0.0, 1.0)[..., None]
        one_hot = [tf.one_hot(left + i, 255, dtype=tf.float64) for i in (0, 1)]
        return (1.0 - share) * one_hot[0] + share * one_hot[1]

    def norm_silu(self, x, name):
        if f"{name}/bias" in self.weights:
            x += self.weights[f"{name}/bias"]
        square = tf.reduce_mean(x**2, -1, keepdims=True)
        return tf.nn.silu(x / tf.sqrt(square + 1e-4) * self.weights[f"{name}/scale"])

    def block_linear(self, x, name):
        """``[N, g, I] -> [N, g, O]``, without the bias."""
        return tf.einsum("ngi,gio->ngo", x, self.weights[f"{name}/kernel"])

    def next_h(self, h, z, action):
        action = action / tf.stop_gradient(tf.maximum(tf.abs(action), 1.0))
        name, n, d = "rssm/sequence_model", *h.shape
        shared = [
            self.norm_silu(self.linear(x, f"{name}/from_{what}"), f"{name}/from_{what}_activation")
            for what, x in (("h", h), ("z", z), ("action", action))
        ]
        shared = tf.repeat(tf.concat(shared, -1)[:, None], BLOCKS, 1)
        x = tf.concat([tf.reshape(h, [n, BLOCKS, d // BLOCKS]), shared], -1)
        x = tf.reshape(self.block_linear(x, f"{name}/hidden"), [n, d])
        x = self.norm_silu(x, f"{name}/hidden_activation")
        gates = self.block_linear(tf.reshape(x, [n, BLOCKS, d // BLOCKS]), f"{name}/gates")
        gates += tf.reshape(self.weights[f"{name}/gates/bias"], [BLOCKS, 3 * d // BLOCKS])
        reset, candidate, update = (tf.reshape(g, [n, d]) for g in tf.split(gates, 3, -1))
        update = tf.sigmoid(update - 1)
        return update * tf.tanh(tf.sigmoid(reset) * candidate) + (1 - update) * h

    def initial(self):
        h = tf.zeros([1, self.settings.deterministic], tf.float64)
        return h, self.dense(tf.fill([1, self.settings.categoricals], -1))

    @staticmethod
    def halved(x, kernel):
        return tf.nn.max_pool2d(tf.nn.conv2d(x, kernel, 1, "SAME"), 2, 2, "VALID")

    @staticmethod
    def doubled(x, kernel):
        x = tf.repeat(tf.repeat(x, 2, 1), 2, 2)
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    def stem(self, feature):
        d, name = self.settings.deterministic, "decoder/cnn/stem"
        h, z = feature[:, :d], feature[:, d:]
        n, side = len(feature), self.observations.images[0].height // 16
        by_h = self.block_linear(tf.reshape(h, [n, BLOCKS, -1]), f"{name}/from_h")
        by_h += tf.reshape(self.weights[f"{name}/from_h/bias"], [BLOCKS, -1])
        by_h = tf.reshape(by_h, [n, BLOCKS, side, side, -1])
        by_h = tf.reshape(tf.transpose(by_h, [0, 2, 3, 1, 4]), [n, side, side, -1])
        by_z = self.norm_silu(self.linear(z, f"{name}/z_hidden"), f"{name}/z_activation")
        by_z = tf.reshape(self.linear(by_z, f"{name}/from_z"), by_h.shape)
        return self.norm_silu(by_h + by_z, name)

    def output_image(self, x):
        return tf.sigmoid(x)

    def vectors(self, records):
        """Numbers with symlog; classes as one-hot vectors, as they are."""
        result = super().vectors(records)
        for leaf in self.observations.vectors:
            if hasattr(leaf, "classes"):
                parts = [tf.one_hot(records[leaf.key][:, i], n) for i, n in enumerate(leaf.classes)]
                result[leaf.key] = tf.cast(tf.concat(parts, -1), tf.float64)
        return result

    def vector_loss(self, key, predicted, target):
        (leaf,) = [leaf for leaf in self.observations.vectors if leaf.key == key]
        if not hasattr(leaf, "classes"):
            return tf.reduce_sum((predicted - target) ** 2, -1)
        parts = zip(*(tf.split(x, leaf.classes, -1) for x in (predicted, target)), strict=True)
        return tf.add_n(
            [-tf.reduce_sum(code * tf.nn.log_softmax(logits), -1) for logits, code in parts]
        )

    def going_on(self, features, is_terminal):
        """Probabilities that hold the discount, that of the first state too."""
        return [tf.sigmoid(self.head(x, "continue")[:, 0]) for x in features]

    def replay_critic_loss(self, feature, records, start_returns):
        """The critic's loss on replay, from returns R_0 of imagination ``[B * T]``."""
        shape = records[REWARD].shape
        reward, last, terminal = (
            tf.cast(records[x], tf.float64) for x in (REWARD, IS_LAST, IS_TERMINAL)
        )
        start_returns = tf.reshape(start_returns, shape)
        logits = tf.reshape(self.head(feature, "critic"), [*shape, -1])
        slow = tf.reshape(self.predicted(self.head(feature, "slow_critic")), shape)
        target, loss = start_returns[:, -1], 0.0
        for t in reversed(range(shape[1] - 1)):
            goes_on = self.options.gae_lambda * (1.0 - last[:, t + 1])
            target = reward[:, t + 1] + self.options.gamma * (1.0 - terminal[:, t + 1]) * (
                (1.0 - goes_on) * start_returns[:, t + 1] + goes_on * target
            )
            each = self.two_hot_loss(logits[:, t], target)
            each += self.options.slow_critic_scale * self.two_hot_loss(logits[:, t], slow[:, t])
            loss += tf.reduce_mean((1.0 - last[:, t]) * each) / (shape[1] - 1)
        return loss
