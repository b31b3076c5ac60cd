"""One gradient update of world model, actor and critic, as one compiled step.

Knows nothing of Ray: ``Trainer(model, ...).update(batch)`` is all there is to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.layout import ActionLayout, ObservationLayout
from rllib_dreamerv3.learner.optimizers import Adam
from rllib_dreamerv3.losses.actor_critic import actor_loss, critic_loss, imagined_returns
from rllib_dreamerv3.losses.imagination import imagine
from rllib_dreamerv3.losses.world_model import WorldModelScales, world_model_losses
from rllib_dreamerv3.math.categorical import entropy
from rllib_dreamerv3.math.normalizer import ReturnNormalizer
from rllib_dreamerv3.math.two_hot import make_two_hot
from rllib_dreamerv3.model_sizes import ModelSettings
from rllib_dreamerv3.module.latent import State
from rllib_dreamerv3.module.model import DreamerModel
from rllib_dreamerv3.records import IS_FIRST, IS_TERMINAL

Metrics = dict[str, tf.Tensor]
ActorGrad = Literal["auto", "reinforce", "dynamics"]


@dataclass(frozen=True)
class AdamSettings:
    """One of the three optimizers.

    Attributes:
        learning_rate: Step size.
        epsilon: Added to the bias-corrected root of the second moment.
        clip: Largest global norm of the gradients.
    """

    learning_rate: float
    epsilon: float
    clip: float


@dataclass(frozen=True)
class TrainerSettings:
    """Everything that decides an update, besides the networks. Plain numbers, no Ray.

    Attributes:
        horizon: H, imagined steps.
        gamma: Discount for one step.
        gae_lambda: lambda of the lambda-return.
        entropy_scale: Weight of the actor's entropy bonus.
        actor_grad: ``"reinforce"``, ``"dynamics"``, or ``"auto"``: dynamics if all actions are
            continuous (2023 code).
        return_decay: Decay of the return normaliser's percentiles.
        slow_critic_decay: Decay of the slow critic.
        slow_critic_scale: Weight of the slow critic as a regulariser.
        world_model_scales: Weights of the world model's losses.
        world_model: Its optimizer.
        actor: Its optimizer.
        critic: Its optimizer.
    """

    horizon: int = 15
    gamma: float = 1.0 - 1.0 / 333.0
    gae_lambda: float = 0.95
    entropy_scale: float = 3e-4
    actor_grad: ActorGrad = "auto"
    return_decay: float = 0.99
    slow_critic_decay: float = 0.98
    slow_critic_scale: float = 1.0
    world_model_scales: WorldModelScales = field(default_factory=WorldModelScales)
    world_model: AdamSettings = AdamSettings(1e-4, 1e-8, 1000.0)
    actor: AdamSettings = AdamSettings(3e-5, 1e-5, 100.0)
    critic: AdamSettings = AdamSettings(3e-5, 1e-5, 100.0)


class Trainer(tf.Module):
    """Owns the optimizers, the return normaliser and the compiled update.

    Attributes:
        model: The networks that are trained.
        updates: int64 variable, updates done so far; also seeds each update's random numbers, so
            that a restored trainer continues exactly as the saved one would have.
        optimizers: ``world_model``, ``actor`` and ``critic``.
    """

    def __init__(
        self,
        model: DreamerModel,
        observations: ObservationLayout,
        actions: ActionLayout,
        model_settings: ModelSettings,
        settings: TrainerSettings,
        seed: int = 0,
    ):
        """Creates the optimizers; nothing is compiled before the first update."""
        super().__init__()
        self.model = model
        self._observations, self._actions = observations, actions
        self._model_settings, self._settings = model_settings, settings
        self._two_hot = make_two_hot("symlog")
        self._seed = seed
        self._through_dynamics = settings.actor_grad == "dynamics" or (
            settings.actor_grad == "auto" and actions.all_continuous
        )
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.return_normalizer = ReturnNormalizer(decay=settings.return_decay)
        self._trained = {
            "world_model": model.world_model.trainable_variables,
            "actor": model.actor.trainable_variables,
            "critic": model.critic.trainable_variables,
        }
        adams = {
            "world_model": settings.world_model,
            "actor": settings.actor,
            "critic": settings.critic,
        }
        self.optimizers = {
            name: Adam(
                variables,
                learning_rate=adams[name].learning_rate,
                epsilon=adams[name].epsilon,
                clip_global_norm=adams[name].clip,
            )
            for name, variables in self._trained.items()
        }
        self.update = tf.function(self._update, autograph=False)

    def _update(self, batch: Mapping[str, tf.Tensor]) -> Metrics:
        """Does one update.

        The world model learns first; imagination then starts from the posteriors of that forward
        pass and runs through the updated model; then actor, critic, slow critic (2023 code).

        Args:
            batch: Record columns ``[B, T, ...]``; ``is_first`` is True in column 0.

        Returns:
            Scalars worth reporting, under RLlib's names.
        """
        seed = tf.stack([tf.constant(self._seed, tf.int32), tf.cast(self.updates, tf.int32)])
        start, metrics = self._update_world_model(batch, seed)
        terminal = tf.reshape(batch[IS_TERMINAL], [-1])
        metrics |= self._update_actor_critic(start, terminal, seed + tf.constant([1, 0]))
        self._update_slow_critic()
        self.updates.assign_add(1)
        return metrics

    def _update_world_model(
        self, batch: Mapping[str, tf.Tensor], seed: tf.Tensor
    ) -> tuple[State, Metrics]:
        world, settings = self.model.world_model, self._model_settings
        scales = self._settings.world_model_scales
        rows, length = tf.shape(batch[IS_FIRST])[0], tf.shape(batch[IS_FIRST])[1]
        uniform = tf.random.stateless_uniform([length, rows, settings.categoricals], seed)
        flat = {key: tf.reshape(x, [-1, *x.shape[2:]]) for key, x in batch.items()}
        with tf.GradientTape() as tape:
            output = world(batch, uniform)
            losses = world_model_losses(
                output,
                flat,
                self._observations,
                self._two_hot,
                symlog_vectors=settings.symlog_vectors,
                free_nats=scales.free_nats,
            )
            total = losses.total(scales)
        norm = self._apply("world_model", tape, total)
        decoder = tf.add_n(list(losses.observations.values()))
        return output.state.stop_gradient(), {
            "WORLD_MODEL_L_total": total,
            "WORLD_MODEL_L_prediction": tf.reduce_mean(losses.prediction),
            "WORLD_MODEL_L_decoder": tf.reduce_mean(decoder),
            "WORLD_MODEL_L_reward": tf.reduce_mean(losses.reward),
            "WORLD_MODEL_L_continue": tf.reduce_mean(losses.cont),
            "WORLD_MODEL_L_dynamics": tf.reduce_mean(losses.dynamics),
            "WORLD_MODEL_L_representation": tf.reduce_mean(losses.representation),
            "WORLD_MODEL_KL": tf.reduce_mean(losses.kl),
            "WORLD_MODEL_posterior_entropy": _state_entropy(output.posterior),
            "WORLD_MODEL_prior_entropy": _state_entropy(output.prior),
            "WORLD_MODEL_gradients_global_norm": norm,
        }

    def _update_actor_critic(
        self, start: State, start_is_terminal: tf.Tensor, seed: tf.Tensor
    ) -> Metrics:
        world, settings, two_hot = self.model.world_model, self._settings, self._two_hot
        if self._through_dynamics:
            start = start.with_dense_z(self._model_settings.classes)
        h, n = settings.horizon, tf.shape(start.h)[0]
        with tf.GradientTape() as actor_tape, tf.GradientTape() as critic_tape:
            trajectory = imagine(
                world.rssm,
                self.model.actor,
                self._actions,
                start,
                h,
                seed,
                through_dynamics=self._through_dynamics,
            )
            states = trajectory.flat_state()
            if not self._through_dynamics:
                # Nothing is trained through imagination, so no way back is built either.
                states = states.stop_gradient()
            acting_states = states.stop_gradient().first(h * n)
            # The last state only gives the bootstrap: no loss on its value, no weights to train.
            critic_logits = self.model.critic(states.first(h * n))
            values = [two_hot.mean(x) for x in (critic_logits, self.model.critic(states.last(n)))]
            outcome = imagined_returns(
                tf.reshape(two_hot.mean(world.reward(states)), [h + 1, n]),
                tf.reshape(world.cont(states), [h + 1, n]),
                tf.reshape(tf.concat(values, 0), [h + 1, n]),
                start_is_terminal,
                gamma=settings.gamma,
                gae_lambda=settings.gae_lambda,
            )
            self.return_normalizer.update(tf.stop_gradient(outcome.returns))
            actor_total, actor_metrics = actor_loss(
                self.model.actor(acting_states),
                tf.reshape(trajectory.action[:-1], [h * n, self._actions.size]),
                outcome,
                self.return_normalizer.scale(),
                entropy_scale=settings.entropy_scale,
                through_dynamics=self._through_dynamics,
            )
            slow_values = two_hot.mean(self.model.slow_critic(acting_states))
            critic = critic_loss(critic_logits, outcome, slow_values, two_hot)
            critic_total = critic.value + settings.slow_critic_scale * critic.slow
        actor_norm = self._apply("actor", actor_tape, actor_total)
        critic_norm = self._apply("critic", critic_tape, critic_total)
        return {
            "ACTOR_L_total": actor_total,
            "ACTOR_action_entropy": actor_metrics["entropy"],
            "ACTOR_advantage_mean": actor_metrics["advantage_mean"],
            "ACTOR_advantage_abs_mean": actor_metrics["advantage_abs_mean"],
            "ACTOR_value_targets_pct5_ema": self.return_normalizer.low.read_value(),
            "ACTOR_value_targets_pct95_ema": self.return_normalizer.high.read_value(),
            "ACTOR_gradients_global_norm": actor_norm,
            "CRITIC_L_total": critic_total,
            "CRITIC_L_neg_logp_of_value_targets": critic.value,
            "CRITIC_L_slow_critic_regularization": critic.slow,
            "CRITIC_gradients_global_norm": critic_norm,
            "DREAM_DATA_returns_mean": tf.reduce_mean(outcome.returns),
            "DREAM_DATA_values_mean": tf.reduce_mean(outcome.values),
            "DREAM_DATA_weights_mean": tf.reduce_mean(outcome.weights),
        }

    def _apply(self, name: str, tape: tf.GradientTape, loss: tf.Tensor) -> tf.Tensor:
        return self.optimizers[name].apply(tape.gradient(loss, self._trained[name]))

    def _update_slow_critic(self) -> None:
        decay = self._settings.slow_critic_decay
        fast, slow = self.model.critic.variables, self.model.slow_critic.variables
        for s, f in zip(slow, fast, strict=True):
            s.assign_sub((1.0 - decay) * (s - f))

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies everything but the networks: optimizers, return normaliser, update counter."""
        state = {"updates": self.updates.numpy()}
        state["returns/low"] = self.return_normalizer.low.numpy()
        state["returns/high"] = self.return_normalizer.high.numpy()
        for name, optimizer in self.optimizers.items():
            state |= {f"{name}/{key}": value for key, value in optimizer.get_state().items()}
        return state

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores what :meth:`get_state` gave."""
        self.updates.assign(state["updates"])
        self.return_normalizer.low.assign(state["returns/low"])
        self.return_normalizer.high.assign(state["returns/high"])
        for name, optimizer in self.optimizers.items():
            prefix = f"{name}/"
            optimizer.set_state(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )


def _state_entropy(log_probs: tf.Tensor) -> tf.Tensor:
    """Mean entropy of the S categoricals together, in nats: ``[N, S, C] -> []``."""
    return tf.reduce_mean(tf.reduce_sum(entropy(log_probs), -1))
