"""What is fused, reordered or written by hand for speed, against plain formulas in float64.

`Plain` writes networks and losses out once more: dense products with one-hot vectors, one step
after the other, no gradient but TensorFlow's own. It is given the samples, so that both sides go
through the same states.
"""

import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.layout import ActionLayout, DiscreteAction, ObservationLayout
from rllib_dreamerv3.learner.settings import TrainerSettings
from rllib_dreamerv3.learner.trainer import Trainer
from rllib_dreamerv3.losses.imagination import Trajectory, imagine
from rllib_dreamerv3.math.categorical import inverse_cdf_sample, sample_classes, unimix_probs
from rllib_dreamerv3.module.compiled import compiled
from rllib_dreamerv3.module.latent import State, add_one_hot_matmul, flat_one_hot
from rllib_dreamerv3.module.model import DreamerModel
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_TERMINAL, REWARD

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
SETTINGS = TrainerSettings(horizon=3)
SEED = tf.constant([3, 4])
# Float32 against float64, relative to the norm of the whole array.
TOLERANCE = 1e-5

cases = pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (synthetic.VECTOR, synthetic.DISCRETE),
        (synthetic.VECTOR, synthetic.CONTINUOUS),
        (synthetic.IMAGE, synthetic.DISCRETE),
        (synthetic.EVERYTHING, synthetic.MIXED),
    ],
    ids=["vector", "vector-dynamics", "image", "everything"],
)


def dense(index: tf.Tensor) -> tf.Tensor:
    """``[..., S] -> [..., S * C]``, float64."""
    one_hot = tf.one_hot(index, C, dtype=tf.float64)
    return tf.reshape(one_hot, [*index.shape[:-1], S * C])


def symlog(x: tf.Tensor) -> tf.Tensor:
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


def symexp(x: tf.Tensor) -> tf.Tensor:
    return tf.sign(x) * tf.math.expm1(tf.abs(x))


BINS = tf.constant(np.linspace(-20, 20, 255))


def predicted(logits: tf.Tensor) -> tf.Tensor:
    return symexp(tf.linalg.matvec(tf.nn.softmax(logits), BINS))


def two_hot_loss(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    target = tf.stop_gradient(symlog(target))
    code = tf.maximum(0.0, 1.0 - tf.abs(target[..., None] - BINS) / (BINS[1] - BINS[0]))
    return -tf.reduce_sum(code * tf.nn.log_softmax(logits), -1)


def mixed_log_probs(logits: tf.Tensor) -> tf.Tensor:
    return tf.math.log(0.99 * tf.nn.softmax(logits) + 0.01 / logits.shape[-1])


def kl(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.exp(p) * (p - q), [-2, -1])


class Plain:
    """The networks of a model, by the names of their parameters, in float64."""

    def __init__(self, model: DreamerModel, observations: ObservationLayout, actions: ActionLayout):
        self.observations, self.actions = observations, actions
        self.weights = {k: tf.cast(v, tf.float64) for k, v in model.named_variables().items()}

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
                x = tf.nn.conv2d(x, self.weights[f"{name}/kernel"], 2, "SAME")
                x, i = self.norm_silu(x, f"{name}/activation"), i + 1
            tokens.append(tf.reshape(x, [x.shape[0], -1]))
        if self.observations.vectors:
            vectors = tf.concat(list(self.vectors(records).values()), -1)
            tokens.append(self.mlp(vectors, "encoder/mlp"))
        return tf.concat(tokens, -1)

    def observation_loss(self, feature, records):
        loss = 0.0
        if self.observations.images:
            x = self.linear(feature, "decoder/cnn/stem/linear/linear")
            x, i = tf.reshape(x, [x.shape[0], 4, 4, -1]), 0
            while f"decoder/cnn/stages/{i}/kernel" in self.weights:
                name = f"decoder/cnn/stages/{i}"
                kernel = self.weights[f"{name}/kernel"]
                shape = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
                x, i = tf.nn.conv2d_transpose(x, kernel, shape, 2), i + 1
                if f"{name}/bias" in self.weights:
                    x += self.weights[f"{name}/bias"]
                else:
                    x = self.norm_silu(x, f"{name}/activation")
            loss += tf.reduce_sum((x + 0.5 - self.images(records)) ** 2, [1, 2, 3])
        hidden = self.mlp(feature, "decoder/mlp") if self.observations.vectors else None
        for i, target in enumerate(self.vectors(records).values()):
            error = (self.linear(hidden, f"decoder/outputs/{i}") - target) ** 2
            loss += tf.reduce_sum(tf.where(error < 1e-8, 0.0, error), -1)
        return loss

    def next_h(self, h, z, action):
        action = action / tf.stop_gradient(tf.maximum(1.0, tf.abs(action)))
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
        return mixed_log_probs(tf.reshape(logits, [*hidden.shape[:-1], S, C]))

    def sampled_z(self, index, log_probs):
        probs = tf.reshape(tf.exp(log_probs), [*index.shape[:-1], S * C])
        return dense(index) + probs - tf.stop_gradient(probs)

    def world_model_loss(self, records, index):
        """The scalar loss for samples ``index [B, T, S]``, and h ``[B * T, D]``."""
        rows, length = records[IS_FIRST].shape
        flat = synthetic.flat(records)
        tokens = tf.reshape(self.encode(flat), [rows, length, -1])
        actions = tf.cast(records[ACTION], tf.float64)
        h0 = tf.tanh(self.weights["rssm/initial"])[None]
        z0 = dense(tf.argmax(self.prior(h0), -1))
        h, z = tf.repeat(h0, rows, 0), tf.repeat(z0, rows, 0)
        steps = []
        for t in range(length):
            first = records[IS_FIRST][:, t, None]
            action = tf.where(first, tf.constant(0.0, tf.float64), actions[:, max(t - 1, 0)])
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
        loss = (
            self.observation_loss(feature, flat)
            + two_hot_loss(self.head(feature, "reward"), tf.cast(flat[REWARD], tf.float64))
            + tf.nn.sigmoid_cross_entropy_with_logits(
                going_on, self.head(feature, "continue")[:, 0]
            )
            + 0.5 * tf.maximum(1.0, kl(stop(posterior), prior))
            + 0.1 * tf.maximum(1.0, kl(posterior, stop(prior)))
        )
        return tf.reduce_mean(loss), h

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
        """Both losses on a trajectory whose samples are given; h is computed again."""
        horizon, stop = SETTINGS.horizon, tf.stop_gradient
        index, actions = trajectory.state.index, tf.cast(trajectory.action, tf.float64)
        h, z = tf.cast(trajectory.state.h[0], tf.float64), dense(index[0])
        features = [tf.concat([h, z], -1)]
        for i in range(horizon):
            action = self.chosen(stop(features[-1]), actions[i]) if through_dynamics else actions[i]
            h = self.next_h(h, z, action)
            z = self.sampled_z(index[i + 1], self.prior(h))
            features.append(tf.concat([h, z], -1))
        if not through_dynamics:
            features = [stop(x) for x in features]
        rewards = [predicted(self.head(x, "reward")) for x in features]
        values = [predicted(self.head(x, "critic")) for x in features]
        going_on = [1.0 - tf.cast(is_terminal, tf.float64)] + [
            tf.cast(self.head(x, "continue")[:, 0] > 0, tf.float64) for x in features[1:]
        ]
        returns, weights = [values[-1]], [going_on[0]]
        for i in reversed(range(horizon)):
            mixed = 0.05 * values[i + 1] + 0.95 * returns[0]
            returns.insert(0, rewards[i + 1] + SETTINGS.gamma * going_on[i + 1] * mixed)
        for i in range(1, horizon):
            weights.append(weights[-1] * SETTINGS.gamma * going_on[i])
        actor_loss, critic_loss = 0.0, 0.0
        for i in range(horizon):
            feature, weight = stop(features[i]), stop(weights[i])
            advantage = (returns[i] - values[i]) / scale
            log_prob, entropy = self.log_prob_and_entropy(feature, stop(actions[i]))
            objective = advantage if through_dynamics else log_prob * stop(advantage)
            actor_loss -= tf.reduce_mean(weight * (objective + 3e-4 * entropy)) / horizon
            logits = self.head(feature, "critic")
            slow = predicted(self.head(feature, "slow_critic"))
            loss = two_hot_loss(logits, returns[i]) + two_hot_loss(logits, slow)
            critic_loss += tf.reduce_mean(weight * loss) / horizon
        return actor_loss, critic_loss, tf.stack([x[:, : h.shape[1]] for x in features])


def make(observations, actions):
    model = DreamerModel(observations, actions, SIZES, seed=0)
    synthetic.scramble(model)
    return model, Trainer(model, observations, actions, SIZES, SETTINGS)


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


@cases
def test_world_model_update(observations, actions):
    """Losses and the gradients of all parameters, with episodes that end inside of rows."""
    model, trainer = make(observations, actions)
    records = synthetic.batch(observations, actions, rows=3, length=5)
    with tf.GradientTape() as tape:
        output, loss, _ = trainer._observe(records, None, SEED)
    gradients, start = trainer._gradient(tape, loss, "world_model"), output.state
    plain = Plain(model, observations, actions)
    with tf.GradientTape() as tape:
        tape.watch(plain.weights)
        index = tf.reshape(start.index, [3, 5, S])
        plain_loss, h = plain.world_model_loss(records, index)
    assert_close(loss, plain_loss)
    assert_close(start.h, h)
    expected = tape.gradient(plain_loss, plain.weights)
    assert_same_gradients(model, [model.world_model], gradients, expected)


@cases
def test_actor_critic_update(observations, actions):
    """Losses and gradients of actor and critic, with some starts that are terminal."""
    model, trainer = make(observations, actions)
    n = 7
    start, is_terminal = synthetic.states(SIZES, n), tf.constant([False] * 5 + [True] * 2)
    behaviour = trainer._imagine(start, {IS_TERMINAL: is_terminal}, SEED)
    through_dynamics = actions.all_continuous
    begin = start.with_dense_z(C) if through_dynamics else start
    trajectory: Trajectory = imagine(
        model.world_model,
        model.actor,
        actions,
        begin,
        SETTINGS.horizon,
        SEED + tf.constant([1, 0]),
        through_dynamics=through_dynamics,
    )
    scale = tf.cast(trainer.return_normalizer.scale(), tf.float64)
    plain = Plain(model, observations, actions)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(plain.weights)
        actor_loss, critic_loss, h = plain.actor_and_critic_loss(
            trajectory, is_terminal, scale, through_dynamics
        )
    assert_close(trajectory.state.h, h)
    for name, loss in (("actor", actor_loss), ("critic", critic_loss)):
        part = getattr(behaviour, name)
        assert_close(part.metrics[f"{name.upper()}_L_total"], loss)
        expected = tape.gradient(loss, plain.weights)
        assert_same_gradients(model, [getattr(model, name)], part.gradients, expected)


@pytest.mark.parametrize("mix", [0.0, 0.01, 0.5])
def test_classes_are_sampled_as_from_the_mixed_probabilities(mix):
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(0, 3, (500, S * C)), tf.float32)
    uniform = synthetic.uniform(500, S)
    probs = unimix_probs(tf.reshape(logits, [500, S, C]), mix)
    expected = inverse_cdf_sample(probs, uniform)
    sampled = sample_classes(logits, uniform, mix)
    assert sampled.dtype == tf.int32
    # A number that falls on a border to the last bit may fall on either side.
    assert np.mean(sampled.numpy() != expected.numpy()) < 1e-3


@pytest.mark.parametrize("logit", [-200.0, 0.0, 200.0])
def test_classes_stay_in_range_at_the_ends(logit):
    """The least and the greatest uniform number, with all probability on one class or on none."""
    logits = np.zeros((2, S, C), np.float32)
    logits[:, :, 1] = logit
    uniform = np.stack([np.zeros(S), np.full(S, np.nextafter(np.float32(1), np.float32(0)))])
    sampled = sample_classes(logits.reshape(2, S * C), tf.constant(uniform, tf.float32), 0.01)
    np.testing.assert_array_equal(sampled, np.stack([np.zeros(S), np.full(S, C - 1)]))


def test_one_hot_product_and_its_gradients():
    rng = np.random.default_rng(0)
    index = tf.constant(rng.integers(0, C, (50, S)), tf.int32)
    kernel = tf.Variable(rng.normal(size=(S * C, 6)).astype(np.float32))
    total = tf.Variable(rng.normal(size=(50, 6)).astype(np.float32))
    factor = rng.normal(size=(50, 6)).astype(np.float32)
    results = []
    for product in (
        lambda: add_one_hot_matmul(total, index, kernel),
        lambda: total + tf.matmul(flat_one_hot(index, C), kernel),
    ):
        with tf.GradientTape() as tape:
            y = product()
            loss = tf.reduce_sum(factor * y)
        results.append([y, *tape.gradient(loss, [total, kernel])])
    for fast, plain in zip(*results, strict=True):
        assert_close(fast, plain)


def test_first_and_last_states_of_a_stack():
    stack = State(tf.range(6.0)[:, None], tf.range(6)[:, None])
    np.testing.assert_array_equal(stack.first(4).h[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(stack.last(2).index[:, 0], [4, 5])


def test_compiled_functions_differentiate_like_their_originals():
    """With the gradient derived, and with one that is given: it must be the one that is used."""
    x, y = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])

    def product(a, b):
        return a * tf.tanh(b)

    def twice_the_upstream(a, b, upstream):
        return 2.0 * upstream, None

    for function, expected in (
        (compiled(product), (np.tanh(y), x * (1 - np.tanh(y) ** 2))),
        (compiled(product, twice_the_upstream), ([2.0, 2.0], None)),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = function(x, y)
        np.testing.assert_allclose(z, x * tf.tanh(y), rtol=1e-6)
        for gradient, value in zip(tape.gradient(z, [x, y]), expected, strict=True):
            if value is None:
                assert gradient is None
            else:
                np.testing.assert_allclose(gradient, value, atol=1e-6)
