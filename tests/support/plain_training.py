"""Whole updates written out once more in float64: optimizers, normaliser, slow critic.

`PlainTrainer` does with the networks of `plain.py` and `plain_v2.py` what `Trainer` does with ours,
on the same rows and with the same samples; `RecordingTrainer` is a `Trainer` that keeps its
samples. Everything is as plain as can be, with the published numbers in place of most options.
Tests say ``from plain_training import ...``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from plain import Plain
from plain_v2 import PlainV2
from trainers import PARTS

from rllib_dreamerv3.agent import trainer as trainer_module
from rllib_dreamerv3.agent.imagination import Trajectory
from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.agent.noise import UpdateNoise
from rllib_dreamerv3.agent.trainer import Batch, Trainer
from rllib_dreamerv3.records import IS_TERMINAL

WORLD_MODEL = ("encoder", "rssm", "decoder", "reward", "continue")
MEASURES = ("reward", "decoder", "kl", "values")
"""What is compared of each update: two losses, the KL before free bits, the mean value."""


class Samples(NamedTuple):
    """What an update drew.

    Attributes:
        posterior: Classes of the filtered states ``[B, T, S]``.
        imagined: Classes of the imagined states ``[H + 1, N, S]``, those of the start included.
        action: ``[H + 1, N, A]``.
    """

    posterior: tf.Tensor
    imagined: tf.Tensor
    action: tf.Tensor


class RecordingTrainer(Trainer):
    """A trainer that keeps the samples of its last update.

    Attributes:
        samples: Variables, made for batches of one size.
    """

    def __init__(self, *args: Any, rows: int, length: int, **kwargs: Any):
        """Takes what a trainer takes, and the size of batches without the context record."""
        super().__init__(*args, **kwargs)
        horizon = self._options.horizon_H
        s, actions = self._model_settings.categoricals, self._actions.size
        n = rows * (self._options.imag_last or length)
        self.samples = Samples(
            tf.Variable(tf.zeros([rows, length, s], tf.int32), trainable=False),
            tf.Variable(tf.zeros([horizon + 1, n, s], tf.int32), trainable=False),
            tf.Variable(tf.zeros([horizon + 1, n, actions]), trainable=False),
        )

    def noise_of(self, batch: Batch, update: int) -> UpdateNoise:
        """The random numbers of an update on a batch; ``update`` is the number of those before."""
        return self._draw_noise(split_context(batch)[0], tf.constant([self._seed, update]))

    def _observe(self, *args: Any) -> Any:
        observed, *rest = super()._observe(*args)
        shape = self.samples.posterior.shape
        self.samples.posterior.assign(tf.reshape(observed.state.index, shape))
        return observed, *rest

    def _imagine(self, *args: Any) -> Any:
        def recorded(*given: Any, **options: Any) -> Trajectory:
            trajectory = imagine(*given, **options)
            self.samples.imagined.assign(trajectory.state.index)
            self.samples.action.assign(trajectory.action)
            return trajectory

        imagine, trainer_module.imagine = trainer_module.imagine, recorded
        try:
            return super()._imagine(*args)
        finally:
            trainer_module.imagine = imagine


class PlainTrainer(tf.Module):
    """Parameters, moments and averages of training in float64, and the update.

    Attributes:
        plain: Networks and losses; its weights are variables here.
    """

    def __init__(self, trainer: Trainer, variant: str):
        """Starts where a trainer that did no update yet starts."""
        super().__init__()
        options = trainer._options
        self._variant, self._through_dynamics = variant, trainer._through_dynamics
        self._rates, self._warmup = options.first_rates, options.lr_warmup
        self._last = options.imag_last
        clips = {part: getattr(options, f"{part}_grad_clip_by_global_norm") for part in PARTS}
        self._clips = clips
        kind = Plain if variant == "v1" else PlainV2
        self.plain = kind(trainer.model, trainer._observations, trainer._actions, options)
        names = self.plain.weights
        self.weights = {k: tf.Variable(v, dtype=tf.float64) for k, v in names.items()}
        self.plain.weights = self.weights
        self.m, self.v = (
            {k: tf.Variable(tf.zeros_like(x), trainable=False) for k, x in names.items()}
            for _ in "mv"
        )
        # Updates so far, as a float64 for powers of it.
        self.step = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self.low, self.high = (tf.Variable(0.0, trainable=False, dtype=tf.float64) for _ in "lh")
        self._trainer = trainer
        self.update = tf.function(self._update, autograph=False)

    def copy(self) -> None:
        """Takes over all that the trainer has now."""
        trainer = self._trainer
        named = trainer.model.named_variables()
        for name, variable in named.items():
            self.weights[name].assign(tf.cast(variable, tf.float64))
        names = {v.ref(): name for name, v in named.items()}
        for optimizer in trainer.optimizers.values():
            for variable, m, v in zip(optimizer._variables, optimizer.m, optimizer.v, strict=True):
                self.m[names[variable.ref()]].assign(tf.cast(m, tf.float64))
                self.v[names[variable.ref()]].assign(tf.cast(v, tf.float64))
            self.step.assign(tf.cast(optimizer.step, tf.float64))
        self.low.assign(tf.cast(trainer.return_normalizer.low, tf.float64))
        self.high.assign(tf.cast(trainer.return_normalizer.high, tf.float64))

    def numbers(self) -> dict[str, np.ndarray]:
        """All parameters, by name."""
        return {name: x.numpy() for name, x in self.weights.items()}

    def _update(self, batch: Batch, samples: Samples, noise: UpdateNoise) -> dict[str, tf.Tensor]:
        """One update on a batch, with these samples.

        Args:
            batch: As the trainer takes it.
            samples: What the trainer drew.
            noise: The trainer's random numbers, which decide what these networks would have drawn.

        Returns:
            The measures; and ``z_apart``, the share of classes that would have been others, and
            ``action_apart``, the mean absolute difference of actions from those given.
        """
        step = self._update_in_turn if self._variant == "v1" else self._update_together
        records, context = split_context(batch)
        self.step.assign_add(1.0)
        found = step(records, context, samples, noise)
        self._follow()
        return found

    def _update_in_turn(self, records, context, samples, noise):
        """World model first, then actor and critic with the updated one (2023 code)."""
        with tf.GradientTape() as tape:
            world, terms, feature, posterior = self._world_model(records, context, samples)
        gradients = tape.gradient(world, self._named(*WORLD_MODEL))
        self._adam(gradients, "world_model", 1e-8)
        with tf.GradientTape(persistent=True) as tape:
            dream = self._dream(*self._starts(feature, records), samples)
            actor, critic = self._behaviour(dream)
        found = self._found(terms, posterior, dream, samples, noise)
        for part, loss in (("actor", actor), ("critic", critic)):
            self._adam(tape.gradient(loss, self._named(part)), part, 1e-5)
        return found

    def _update_together(self, records, context, samples, noise):
        """One sum of all losses (2025 code)."""
        with tf.GradientTape() as tape:
            world, terms, feature, posterior = self._world_model(records, context, samples)
            starts = self._starts(feature, records)
            dream = self._dream(*starts, samples)
            actor, critic = self._behaviour(dream)
            start_returns = tf.stop_gradient(dream.returns[0])
            replay = self.plain.replay_critic_loss(*starts, start_returns)
            total = world + actor + critic + self.plain.options.replay_critic_scale * replay
        found = self._found(terms, posterior, dream, samples, noise)
        self._laprop(tape.gradient(total, self._named(*WORLD_MODEL, "actor", "critic")))
        return found

    def _world_model(self, records, context, samples):
        plain = self.plain
        terms, feature, (posterior, _) = plain.world_model_terms(
            records, samples.posterior.read_value(), context
        )
        return tf.reduce_mean(plain.weighted(terms)), terms, feature, posterior

    def _starts(self, feature, records):
        """Features and records of the last steps of each row, or of all."""
        rows, length = records[IS_TERMINAL].shape
        last = self._last or length
        of_rows = tf.reshape(feature, [rows, length, -1])[:, length - last :]
        records = {key: x[:, length - last :] for key, x in records.items()}
        return tf.reshape(of_rows, [rows * last, -1]), records

    def _dream(self, feature, records, samples):
        h = tf.stop_gradient(feature[:, : self.plain.settings.deterministic])
        index = samples.imagined.read_value()
        trajectory = Trajectory(State(h[None], index), samples.action.read_value())
        is_terminal = tf.reshape(records[IS_TERMINAL], [-1])
        return self.plain.dream(trajectory, is_terminal, self._through_dynamics)

    def _behaviour(self, dream):
        returns = tf.reshape(tf.stop_gradient(tf.stack(dream.returns[:-1])), [-1])
        for average, percent in ((self.low, 5.0), (self.high, 95.0)):
            now = tfp.stats.percentile(returns, percent, interpolation="linear")
            decay = self.plain.options.return_normalization_decay
            average.assign(decay * average + (1.0 - decay) * now)
        scale = tf.maximum(tf.constant(1.0, tf.float64), self.high - self.low)
        return self.plain.losses_of_dream(dream, scale, self._through_dynamics)

    def _named(self, *parts):
        return {k: v for k, v in self.weights.items() if k.split("/")[0] in parts}

    def _adam(self, gradients, part, epsilon):
        """Kingma and Ba 2015, algorithm 1, after clipping by the norm of all gradients."""
        rate, clip = self._rates[part], self._clips[part]
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(g**2) for g in gradients.values()]))
        factor = tf.where(norm < clip, tf.constant(1.0, tf.float64), clip / norm)
        for name, gradient in gradients.items():
            g, m, v = factor * gradient, self.m[name], self.v[name]
            m.assign(0.9 * m + 0.1 * g)
            v.assign(0.999 * v + 0.001 * g**2)
            m_hat, v_hat = m / (1.0 - 0.9**self.step), v / (1.0 - 0.999**self.step)
            self.weights[name].assign_sub(rate * m_hat / (tf.sqrt(v_hat) + epsilon))

    def _laprop(self, gradients):
        """Each gradient clipped by its variable's norm, divided by its root mean square, averaged.

        The rate grows from 0, which the first update has, over the warm-up.
        """
        rate = self._rates["all"]
        if self._warmup:
            rate *= tf.minimum(tf.constant(1.0, tf.float64), (self.step - 1.0) / self._warmup)
        for name, gradient in gradients.items():
            weight, m, v = self.weights[name], self.m[name], self.v[name]
            most = 0.3 * tf.maximum(tf.constant(1e-3, tf.float64), tf.norm(weight))
            g = gradient / tf.maximum(tf.constant(1.0, tf.float64), tf.norm(gradient) / most)
            v.assign(0.999 * v + 0.001 * g**2)
            m.assign(0.9 * m + 0.1 * g / (tf.sqrt(v / (1.0 - 0.999**self.step)) + 1e-20))
            weight.assign_sub(rate * m / (1.0 - 0.9**self.step))

    def _follow(self):
        """The slow critic: the critic after the first update, then 2 % of it more each time."""
        share = tf.where(self.step < 1.5, tf.constant(1.0, tf.float64), 0.02)
        for name in self._named("critic"):
            slow = self.weights[f"slow_{name}"]
            slow.assign(share * self.weights[name] + (1.0 - share) * slow)

    def _found(self, terms, posterior, dream, samples, noise):
        """The measures, and what would have been drawn with the same random numbers."""
        posterior = tf.reshape(posterior, [*samples.posterior.shape, -1])
        filtered = drawn_classes(posterior, noise.posterior)
        imagined = drawn_classes(tf.stack(dream.priors), noise.imagination.state)
        others = [filtered != samples.posterior, imagined != samples.imagined[1:]]
        others = tf.concat([tf.reshape(x, [-1]) for x in others], 0)
        action = self._drawn_action(dream, tf.cast(noise.imagination.action, tf.float64))
        return {
            **{name: tf.reduce_mean(terms[name]) for name in ("reward", "decoder", "kl")},
            "values": tf.reduce_mean(tf.stack(dream.values[:-1])),
            "z_apart": tf.reduce_mean(tf.cast(others, tf.float64)),
            "action_apart": tf.reduce_mean(tf.abs(action - dream.actions)),
        }

    def _drawn_action(self, dream, noise):
        """Of a policy with one leaf: ``[H + 1, N, A]``."""
        shape = dream.actions.shape
        features = tf.reshape(tf.stack(dream.features), [shape[0] * shape[1], -1])
        (part,) = self.plain.policy(features)
        if len(part) == 1:
            log_probs = tf.reshape(part[0], shape)
            return tf.one_hot(drawn_classes(log_probs, noise[..., 0]), shape[2], dtype=tf.float64)
        mean, std = (tf.reshape(x, shape) for x in part)
        return mean + std * noise


def drawn_classes(log_probs: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The class in whose share of [0, 1) the number lies: ``[..., C], [...] -> [...]``."""
    ends = tf.cumsum(tf.exp(log_probs), -1)
    passed = tf.cast(uniform, tf.float64)[..., None] >= ends / ends[..., -1:]
    return tf.reduce_sum(tf.cast(passed, tf.int32), -1)


def relative_difference(ours: Mapping[str, np.ndarray], plain: Mapping[str, np.ndarray]) -> float:
    """Norm of all differences together, as a share of the norm of the plain ones."""
    of = [np.linalg.norm([np.linalg.norm(np.float64(ours[k]) - x) for k, x in plain.items()])]
    of.append(np.linalg.norm([np.linalg.norm(x) for x in plain.values()]))
    return float(of[0] / of[1])


def measures_of(metrics: Mapping[str, tf.Tensor]) -> dict[str, float]:
    """The measures among the metrics of our own update."""
    names = ("WORLD_MODEL_L_reward", "WORLD_MODEL_L_decoder", "WORLD_MODEL_KL")
    found = [float(metrics[name]) for name in (*names, "DREAM_DATA_values_mean")]
    return dict(zip(MEASURES, found, strict=True))


def weights_of(model: DreamerModel) -> dict[str, np.ndarray]:
    """All parameters as float64, by name."""
    return {name: np.float64(x) for name, x in get_weights(model).items()}


def by_part(ours: Mapping[str, np.ndarray], plain: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The relative difference of each part of the model."""
    parts = dict.fromkeys(name.split("/")[0] for name in plain)
    return {part: relative_difference(*(below(part, x) for x in (ours, plain))) for part in parts}


def below(part: str, named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of one part of the model."""
    return {name: x for name, x in named.items() if name.split("/")[0] == part}
