"""Networks and losses of v1 written out once more, in float64 and as plainly as can be.

Dense products with one-hot vectors, one step after the other, no gradient but TensorFlow's own.
`Plain` is given the samples, so that both sides go through the same states. Tests say
``from plain import Plain``; pytest has this folder on its path. Parts only of v2 are in
`plain_v2.py`.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_TERMINAL, REWARD
from rllib_dreamerv3.spaces.layout import ActionLayout, DiscreteAction, ObservationLayout

# Two layers, so that heads have inner layers too.
SIZES = dataclasses.replace(
    synthetic.NANO,
    reward_layers=2,
    continue_layers=2,
    actor_layers=2,
    critic_layers=2,
    vector_layers=2,
)
S, C = SIZES.categoricals, SIZES.classes
# No number is its default, by which one could be used in its place.
NUMBERS = {
    "horizon_H": 3,
    "gamma": 0.9,
    "gae_lambda": 0.7,
    "entropy_scale": 0.003,
    "slow_critic_scale": 0.6,
    "free_nats": 0.4,
    "prediction_loss_scale": 0.8,
    "dynamics_loss_scale": 0.7,
    "representation_loss_scale": 0.3,
}
SETTINGS = LearningOptions(**NUMBERS)
# Float32 against float64, relative to the norm of the whole array.
TOLERANCE = 1e-5


def assert_close(actual, expected, name=""):
    error = np.linalg.norm(np.asarray(actual) - np.asarray(expected))
    norm = np.linalg.norm(expected)
    assert norm > 0, name
    assert error / norm < TOLERANCE, f"{name}: {error / norm:.2g}"


def assert_same_gradients(model, parts, gradients, expected):
    """Gradients of the variables of some parts, in the order the optimizers take them."""
    names = {id(variable): name for name, variable in model.named_variables().items()}
    variables = [v for part in parts for v in part.trainable_variables]
    assert len(variables) == len(gradients)
    for variable, gradient in zip(variables, gradients, strict=True):
        name = names[id(variable)]
        assert_close(gradient, expected[name], name)


def dense(index: tf.Tensor, classes: int = C) -> tf.Tensor:
    """``[..., S] -> [..., S * C]``, float64."""
    one_hot = tf.one_hot(index, classes, dtype=tf.float64)
    return tf.reshape(one_hot, [*index.shape[:-1], index.shape[-1] * classes])


def symlog(x: tf.Tensor) -> tf.Tensor:
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: tf.Tensor) -> tf.Tensor:
    return tf.sign(x) * tf.math.expm1(tf.abs(x))


BINS = tf.constant(np.linspace(-20, 20, 255))


def mixed_log_probs(logits: tf.Tensor) -> tf.Tensor:
    return tf.math.log(0.99 * tf.nn.softmax(logits) + 0.01 / logits.shape[-1])


def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.exp(p) * (p - q), [-2, -1])


class Dream(NamedTuple):
    """What imagination gives, lists over its steps.

    Attributes:
        features: H + 1 of ``[N, D + S * C]``.
        actions: As given, ``[H + 1, N, A]``.
        priors: Log-probabilities of the H states imagined, each ``[N, S, C]``.
        rewards: H + 1 of ``[N]``, as predicted.
        values: H + 1 of ``[N]``.
        returns: H + 1 of ``[N]``; the last is the last value.
        weights: H of ``[N]``.
    """

    features: list[tf.Tensor]
    actions: tf.Tensor
    priors: list[tf.Tensor]
    rewards: list[tf.Tensor]
    values: list[tf.Tensor]
    returns: list[tf.Tensor]
    weights: list[tf.Tensor]


class Plain:
    """The networks of a model, by the names of their parameters, in float64."""

    def __init__(
        self,
        model: DreamerModel,
        observations: ObservationLayout,
        actions: ActionLayout,
        options: LearningOptions = SETTINGS,
    ):
        self.options = options
        self.horizon = options.horizon_H
        self.discount, self.continue_label = options.gamma, 1.0
        self.observations, self.actions = observations, actions
        self.settings = model.world_model._settings
        self.weights = {k: tf.cast(v, tf.float64) for k, v in model.named_variables().items()}

    @staticmethod
    def predicted(logits):
        return symexp(tf.linalg.matvec(tf.nn.softmax(logits), BINS))

    @staticmethod
    def two_hot(target):
        distance = tf.abs(symlog(target)[..., None] - BINS)
        return tf.maximum(1.0 - distance / (BINS[1] - BINS[0]), 0.0)

    def two_hot_loss(self, logits, target):
        code = tf.stop_gradient(self.two_hot(target))
        return -tf.reduce_sum(code * tf.nn.log_softmax(logits), -1)

    def norm_silu(self, x, name):
        scale, offset = self.weights[f"{name}/scale"], self.weights[f"{name}/offset"]
        return tf.nn.silu(self.norm(x, scale, offset))

    @staticmethod
    def norm(x, scale, offset):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3)

    def linear(self, x, name):
        y = tf.tensordot(x, self.weights[f"{name}/kernel"], 1)
        return y + self.weights[f"{name}/bias"] if f"{name}/bias" in self.weights else y

    def mlp(self, x, name):
        """A head's or the decoder's MLP with what it is made of called first and rest."""
        if f"{name}/first/linear/kernel" in self.weights:
            x = self.norm_silu(self.linear(x, f"{name}/first/linear"), f"{name}/first_activation")
            name = f"{name}/rest"
        i = 0
        while f"{name}/blocks/{i}/linear/kernel" in self.weights:
            block = f"{name}/blocks/{i}"
            x = self.norm_silu(self.linear(x, f"{block}/linear"), f"{block}/activation")
            i += 1
        return x

    def head(self, feature, name):
        return self.linear(self.mlp(feature, f"{name}/mlp"), f"{name}/output")

    def images(self, records):
        scaled = []
        for image in self.observations.images:
            pixels = tf.cast(records[image.key], tf.float64)
            scaled.append((pixels - image.low) / (image.high - image.low))
        return tf.concat(scaled, -1)

    def vectors(self, records):
        result = {}
        for leaf in self.observations.vectors:
            column = records[leaf.key]
            if hasattr(leaf, "classes"):
                parts = [tf.one_hot(column[:, i], n) for i, n in enumerate(leaf.classes)]
                column = tf.concat(parts, -1)
            result[leaf.key] = symlog(tf.cast(column, tf.float64))
        return result

    def encode(self, records):
        tokens = []
        if self.observations.images:
            x, i = self.images(records) - 0.5, 0
            while f"encoder/cnn/stages/{i}/kernel" in self.weights:
                name = f"encoder/cnn/stages/{i}"
                x = self.halved(x, self.weights[f"{name}/kernel"])
                x, i = self.norm_silu(x, f"{name}/activation"), i + 1
            tokens.append(tf.reshape(x, [x.shape[0], -1]))
        if self.observations.vectors:
            vectors = tf.concat(list(self.vectors(records).values()), -1)
            tokens.append(self.mlp(vectors, "encoder/mlp"))
        return tf.concat(tokens, -1)

    @staticmethod
    def halved(x, kernel):
        return tf.nn.conv2d(x, kernel, 2, "SAME")

    @staticmethod
    def doubled(x, kernel):
        shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
        return tf.nn.conv2d_transpose(x, kernel, shape, 2)

    def stem(self, feature):
        x = self.linear(feature, "decoder/cnn/stem/linear/linear")
        return tf.reshape(x, [x.shape[0], 4, 4, -1])

    def output_image(self, x):
        return x + 0.5

    def observation_loss(self, feature, records):
        loss = 0.0
        if self.observations.images:
            x, i = self.stem(feature), 0
            while f"decoder/cnn/stages/{i}/kernel" in self.weights:
                name = f"decoder/cnn/stages/{i}"
                x, i = self.doubled(x, self.weights[f"{name}/kernel"]), i + 1
                if f"{name}/bias" in self.weights:
                    x += self.weights[f"{name}/bias"]
                else:
                    x = self.norm_silu(x, f"{name}/activation")
            loss += tf.reduce_sum((self.output_image(x) - self.images(records)) ** 2, [1, 2, 3])
        hidden = self.mlp(feature, "decoder/mlp") if self.observations.vectors else None
        for i, (key, target) in enumerate(self.vectors(records).items()):
            loss += self.vector_loss(key, self.linear(hidden, f"decoder/outputs/{i}"), target)
        return loss

    def vector_loss(self, key, predicted, target):
        error = (predicted - target) ** 2
        return tf.reduce_sum(tf.where(error < 1e-8, tf.zeros_like(error), error), -1)

    def next_h(self, h, z, action):
        action = action / tf.stop_gradient(tf.maximum(tf.abs(action), 1.0))
        x = self.linear(tf.concat([z, action], -1), "rssm/sequence_model/input")
        x = self.norm_silu(x, "rssm/sequence_model/input_activation")
        gates = self.linear(tf.concat([h, x], -1), "rssm/sequence_model/gates")
        scale, offset = (
            self.weights[f"rssm/sequence_model/gates_{x}"] for x in ("scale", "offset")
        )
        gates = self.norm(gates, scale, offset)
        reset, candidate, update = tf.split(gates, 3, -1)
        update = tf.sigmoid(update - 1)
        return update * tf.tanh(tf.sigmoid(reset) * candidate) + (1 - update) * h

    def prior(self, h):
        return self.log_probs(self.mlp(h, "rssm/prior_mlp"), "rssm/prior_output")

    def log_probs(self, hidden, name):
        logits = self.linear(hidden, name)
        shape = [*hidden.shape[:-1], self.settings.categoricals, self.settings.classes]
        return mixed_log_probs(tf.reshape(logits, shape))

    def dense(self, index):
        return dense(index, self.settings.classes)

    def sampled_z(self, index, log_probs):
        probs = tf.reshape(tf.exp(log_probs), [*index.shape[:-1], self.settings.stochastic])
        return self.dense(index) + probs - tf.stop_gradient(probs)

    def initial(self):
        h = tf.tanh(self.weights["rssm/initial"])[None]
        return h, self.dense(tf.argmax(self.prior(h), -1))

    def world_model_loss(self, records, index, context=None):
        """The scalar loss for samples ``index [B, T, S]``, and features ``[B * T, D + S * C]``.

        ``context`` is the state and the action before the first record, if rows go on from one.
        """
        terms, feature, _ = self.world_model_terms(records, index, context)
        return tf.reduce_mean(self.weighted(terms)), feature

    def weighted(self, terms):
        """The sum of the losses of each record, ``[B * T]``."""
        options = self.options
        prediction = terms["decoder"] + terms["reward"] + terms["continue"]
        return (
            options.prediction_loss_scale * prediction
            + options.dynamics_loss_scale * terms["dynamics"]
            + options.representation_loss_scale * terms["representation"]
        )

    def world_model_terms(self, records, index, context=None):
        """Losses ``[B * T]`` by name, features, and log-probabilities of posterior and prior."""
        rows, length = records[IS_FIRST].shape
        flat = synthetic.flat(records)
        tokens = tf.reshape(self.encode(flat), [rows, length, -1])
        actions = tf.cast(records[ACTION], tf.float64)
        h0, z0 = self.initial()
        h, z, before = tf.repeat(h0, rows, 0), tf.repeat(z0, rows, 0), actions[:, 0]
        if context is not None:
            h, z = tf.cast(context.state.h, tf.float64), self.dense(context.state.index)
            before = tf.cast(context.action, tf.float64)
        steps = []
        for t in range(length):
            first = records[IS_FIRST][:, t, None]
            action = before if t == 0 else actions[:, t - 1]
            action = tf.where(first, tf.constant(0.0, tf.float64), action)
            h = self.next_h(tf.where(first, h0, h), tf.where(first, z0, z), action)
            hidden = self.linear(tf.concat([h, tokens[:, t]], -1), "rssm/posterior_hidden")
            hidden = self.norm_silu(hidden, "rssm/posterior_activation")
            posterior = self.log_probs(hidden, "rssm/posterior_output")
            z = self.sampled_z(index[:, t], posterior)
            steps.append((h, z, posterior))
        h, z, posterior = (
            tf.reshape(x, [rows * length, *x.shape[2:]])
            for x in (tf.stack(parts, 1) for parts in zip(*steps, strict=True))
        )
        prior, stop, feature = self.prior(h), tf.stop_gradient, tf.concat([h, z], -1)
        going_on = 1.0 - tf.cast(flat[IS_TERMINAL], tf.float64)
        reward = tf.cast(flat[REWARD], tf.float64)
        terms = {
            "decoder": self.observation_loss(feature, flat),
            "reward": self.two_hot_loss(self.head(feature, "reward"), reward),
            "continue": tf.nn.sigmoid_cross_entropy_with_logits(
                self.continue_label * going_on, self.head(feature, "continue")[:, 0]
            ),
            "kl": kl(stop(posterior), stop(prior)),
            "dynamics": tf.maximum(kl(stop(posterior), prior), self.options.free_nats),
            "representation": tf.maximum(kl(posterior, stop(prior)), self.options.free_nats),
        }
        return terms, feature, (posterior, prior)

    def policy(self, feature):
        hidden, parts = self.mlp(feature, "actor/mlp"), []
        for i, leaf in enumerate(self.actions.leaves):
            raw = [self.linear(hidden, f"actor/outputs/{i}/0")]
            if isinstance(leaf, DiscreteAction):
                parts.append((mixed_log_probs(raw[0]),))
            else:
                raw.append(self.linear(hidden, f"actor/outputs/{i}/1"))
                parts.append((tf.tanh(raw[0]), 0.9 * tf.sigmoid(raw[1] + 2.0) + 0.1))
        return parts

    def chosen(self, feature, action):
        """The action that was sampled, with the gradient of its continuous parts."""
        result, parts = [], self.policy(feature)
        sizes = [leaf.size for leaf in self.actions.leaves]
        for part, given in zip(parts, tf.split(action, sizes, -1), strict=True):
            if len(part) == 2:
                mean, std = part
                given = mean + std * tf.stop_gradient((given - mean) / std)
            result.append(given)
        return tf.concat(result, -1)

    def log_prob_and_entropy(self, feature, action):
        log_prob, entropy = 0.0, 0.0
        sizes = [leaf.size for leaf in self.actions.leaves]
        for part, given in zip(self.policy(feature), tf.split(action, sizes, -1), strict=True):
            if len(part) == 1:
                log_prob += tf.reduce_sum(given * part[0], -1)
                entropy -= tf.reduce_sum(tf.exp(part[0]) * part[0], -1)
            else:
                mean, std = part
                each = -0.5 * ((given - mean) / std) ** 2 - 0.5 * np.log(2 * np.pi)
                log_prob += tf.reduce_sum(each - tf.math.log(std), -1)
                entropy += tf.reduce_sum(tf.math.log(std) + 0.5 * np.log(2 * np.pi * np.e), -1)
        return log_prob, entropy

    def actor_and_critic_loss(self, trajectory, is_terminal, scale, through_dynamics):
        """Both losses on a trajectory whose samples are given, h, and returns ``[H, N]``.

        h is computed again.
        """
        dream = self.dream(trajectory, is_terminal, through_dynamics)
        losses = self.losses_of_dream(dream, scale, through_dynamics)
        h = tf.stack([x[:, : self.settings.deterministic] for x in dream.features])
        return *losses, h, tf.stack(dream.returns[: self.horizon])

    def dream(self, trajectory, is_terminal, through_dynamics):
        """Goes through a trajectory whose samples are given, from its first h on."""
        stop = tf.stop_gradient
        index, actions = trajectory.state.index, tf.cast(trajectory.action, tf.float64)
        h, z = tf.cast(trajectory.state.h[0], tf.float64), self.dense(index[0])
        features, priors = [tf.concat([h, z], -1)], []
        for i in range(self.horizon):
            action = self.chosen(stop(features[-1]), actions[i]) if through_dynamics else actions[i]
            h = self.next_h(h, z, action)
            priors.append(self.prior(h))
            z = self.sampled_z(index[i + 1], priors[-1])
            features.append(tf.concat([h, z], -1))
        if not through_dynamics:
            features = [stop(x) for x in features]
        rewards = [self.predicted(self.head(x, "reward")) for x in features]
        values = [self.predicted(self.head(x, "critic")) for x in features]
        going_on = self.going_on(features, is_terminal)
        returns, weights = [values[-1]], [going_on[0]]
        for i in reversed(range(self.horizon)):
            share = self.options.gae_lambda
            mixed = (1.0 - share) * values[i + 1] + share * returns[0]
            returns.insert(0, rewards[i + 1] + self.discount * going_on[i + 1] * mixed)
        for i in range(1, self.horizon):
            weights.append(weights[-1] * self.discount * going_on[i])
        return Dream(features, actions, priors, rewards, values, returns, weights)

    def losses_of_dream(self, dream, scale, through_dynamics):
        """The losses of actor and critic, scalars."""
        stop, actor_loss, critic_loss = tf.stop_gradient, 0.0, 0.0
        for i in range(self.horizon):
            feature, weight = stop(dream.features[i]), stop(dream.weights[i])
            advantage = (dream.returns[i] - dream.values[i]) / scale
            log_prob, entropy = self.log_prob_and_entropy(feature, stop(dream.actions[i]))
            objective = advantage if through_dynamics else log_prob * stop(advantage)
            objective += self.options.entropy_scale * entropy
            actor_loss -= tf.reduce_mean(weight * objective) / self.horizon
            logits = self.head(feature, "critic")
            slow = self.predicted(self.head(feature, "slow_critic"))
            loss = self.two_hot_loss(logits, dream.returns[i])
            loss += self.options.slow_critic_scale * self.two_hot_loss(logits, slow)
            critic_loss += tf.reduce_mean(weight * loss) / self.horizon
        return actor_loss, critic_loss

    def going_on(self, features, is_terminal):
        """Whether each imagined state is none in which an episode ended; hard decisions."""
        return [1.0 - tf.cast(is_terminal, tf.float64)] + [
            tf.cast(self.head(x, "continue")[:, 0] > 0, tf.float64) for x in features[1:]
        ]
