"""One gradient update of world model, actor and critic, as one compiled step.

Independent of Ray. The API is ``Trainer(model, ...).update(batch)``. Non-finite steps are skipped,
so that a diverging run keeps its last good parameters.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.assignments import (
    all_finite,
    cond_assign,
    only_if,
    update_slow_critic,
)
from rllib_dreamerv3.agent.imagination import flat_mask, imagine
from rllib_dreamerv3.agent.kernels.chunked_loss import mean_by_slices
from rllib_dreamerv3.agent.kernels.compiled import compiled_whole
from rllib_dreamerv3.agent.kernels.registered_gradients import free_registered_gradients
from rllib_dreamerv3.agent.losses.actor_critic import (
    actor_loss,
    imagined_continues,
    mixed_returns,
    replay_critic_loss,
)
from rllib_dreamerv3.agent.losses.reward_signal import reward_signal
from rllib_dreamerv3.agent.losses.world_model import (
    WorldModelLosses,
    records_at_a_time,
    world_model_losses,
)
from rllib_dreamerv3.agent.math.categorical import entropy
from rllib_dreamerv3.agent.math.normalizer import ReturnNormalizer
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.model import DreamerModel, part_of, parts_of
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import Context, Observed, split_context
from rllib_dreamerv3.agent.noise import ImaginationNoise, UpdateNoise, draw_update_noise
from rllib_dreamerv3.agent.objectives import Objective, make_objectives
from rllib_dreamerv3.agent.optimizers import check_state, make_optimizers, optimizer_parts
from rllib_dreamerv3.agent.replicas import ALONE, Replicas
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.option_checks import split_frozen
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import (
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    MODEL_LOSS,
    REWARD,
)
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

Batch = Mapping[str, tf.Tensor]
Metrics = dict[str, tf.Tensor]
Gradients = dict[str, Sequence[tf.Tensor]]
"""Part -> gradients of its variables."""


class Update(NamedTuple):
    """Result of an update.

    Attributes:
        metrics: Metrics to log, under RLlib's names.
        for_replay: Columns ``[B, T, ...]`` for replay: the posteriors, which replace the stored
            latents, if rows have a context record; and `MODEL_LOSS`, if the trainer returns it.
    """

    metrics: Metrics
    for_replay: dict[str, tf.Tensor]


class _Model(NamedTuple):
    """Result of the world model's forward pass.

    Attributes:
        observed: The states.
        loss: The mean loss.
        record_losses: The loss of each record ``[B * T]``.
        metrics: Metrics to log.
    """

    observed: Observed
    loss: tf.Tensor
    record_losses: tf.Tensor
    metrics: Metrics


class _Behaviour(NamedTuple):
    """Result of imagination.

    Attributes:
        gradients: Gradients of the trained parts among actor and critics.
        metrics: Metrics to log.
        start_returns: R_0 of each start ``[N]``.
    """

    gradients: Gradients
    metrics: Metrics
    start_returns: tf.Tensor


class Trainer(tf.Module):
    """Owns the optimizers, the return normaliser and the compiled update.

    Attributes:
        model: The networks that are trained.
        updates: int64 variable, updates so far, including skipped ones; also seeds each update's
            random numbers, so that a restored trainer continues exactly like the saved one.
        optimizers: ``world_model``, ``actor`` and ``critic``; or one for ``all``. With exploration
            also ``ensemble`` and ``intrinsic_critic``; or one for both, ``exploration``.
    """

    def __init__(
        self,
        model: DreamerModel,
        observations: ObservationLayout,
        actions: ActionLayout,
        model_settings: ModelSettings,
        options: LearningOptions,
        seed: int = 0,
        replicas: Replicas = ALONE,
        returns_losses: bool = False,
    ):
        """Create the optimizers; the first update compiles.

        Args:
            model: The networks to train.
            observations: Layout of its observations.
            actions: Layout of its actions.
            model_settings: Settings of the model.
            options: Losses and optimizers.
            seed: Seed of all random numbers.
            replicas: The trainers that take part in each update.
            returns_losses: Whether updates return the model loss of each record.
        """
        super().__init__()
        self.model = model
        self._observations, self._actions = observations, actions
        self._model_settings, self._options = model_settings, options
        self._two_hot = make_two_hot(options.two_hot_bins)
        self._seed, self._replicas = seed, replicas
        self._returns_losses = returns_losses
        self._through_dynamics = options.actor_grad == "dynamics" or (
            options.actor_grad == "auto" and actions.all_continuous
        )
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.return_normalizer = ReturnNormalizer(decay=options.return_normalization_decay)
        self._objectives = make_objectives(
            model, model_settings.classes, self.return_normalizer, self._two_hot, options
        )
        parts = model.trained_parts()
        variables = {name: part.trainable_variables for name, part in parts.items()}
        frozen = self._frozen_variables()
        self._variables = {
            name: [x for x in part if x.ref() not in frozen] for name, part in variables.items()
        }
        self._learning = [name for name, learned in self._variables.items() if learned]
        self.optimizers = make_optimizers(variables, frozen, options)
        self._stepped = optimizer_parts(parts, options)
        self._step = self._do_step if replicas.share.parts > 1 else compiled_whole(self._do_step)
        self.update = tf.function(replicas.running(self._update), autograph=False)

    def _frozen_variables(self) -> set[Any]:
        """Return ``ref()`` of the variables that do not learn."""
        frozen = set(split_frozen(self._options.freeze_parts))
        if absent := frozen - parts_of(self.model):
            raise ConfigError(
                f"freeze_parts: this model has no network {', '.join(sorted(absent))}. "
                "Leave it out."
            )
        frozen |= set() if self._options.train_actor else {"actor"}
        frozen |= set() if self._options.train_critic else {"critic"}
        named = self.model.named_variables().items()
        return {variable.ref() for name, variable in named if part_of(name) in frozen}

    @property
    def in_turn(self) -> bool:
        """Whether the world model steps before imagination, which then uses the updated one.

        As in the 2023 code. One optimizer for all parts, or a critic loss with gradients for the
        world model, require all gradients at the same parameters (2025 code).
        """
        options = self._options
        return options.optimizer_type == "adam" and not options.replay_critic_scale

    @free_registered_gradients()
    def _update(self, batch: Batch) -> Update:
        """Do one update; skip it if it is not finite.

        If a metric is not finite, everything computed after it is unchanged: optimizers, slow
        critics and return normalisers. Only the world model and the ensemble may have stepped, if
        they do so before imagination (see :meth:`_gradients_in_turn`).

        Args:
            batch: Record columns ``[B, T, ...]`` with ``is_first`` set in column 0; with a replay
                context ``[B, 1 + T, ...]`` and stored latents. With several trainers, the rows of
                this one.

        Returns:
            Metrics over the rows of all trainers, and columns of these rows for replay.
        """
        records, context = split_context(batch)
        seed = tf.stack([tf.constant(self._seed, tf.int32), tf.cast(self.updates, tf.int32)])
        return self._step(records, context, self._draw_noise(records, seed))

    def _draw_noise(self, records: Batch, seed: tf.Tensor) -> UpdateNoise:
        length, options = records[IS_FIRST].shape[1], self._options
        return draw_update_noise(
            self._actions,
            self._model_settings.categoricals,
            options.horizon_H,
            tf.shape(records[IS_FIRST])[0],
            length,
            options.imag_last or length,
            seed,
            self._replicas.share,
        )

    def _do_step(self, records: Batch, context: Context | None, noise: UpdateNoise) -> Update:
        """Do the update from given random numbers; see :meth:`_update`."""
        gradients = self._gradients_in_turn if self.in_turn else self._gradients_together
        averages = [each.normalizer.averages() for each in self._objectives]

        def put_back() -> None:
            for each, average in zip(self._objectives, averages, strict=True):
                each.normalizer.assign(average)

        state, record_losses, metrics = gradients(records, context, noise)
        cond_assign(all_finite(metrics.values()), self._update_slow_critics, put_back)
        self.updates.assign_add(1)
        rows, length = tf.shape(records[IS_FIRST])[0], tf.shape(records[IS_FIRST])[1]
        for_replay = {}
        if context is not None:
            for_replay = {
                LATENT_H: tf.reshape(state.h, [rows, length, state.h.shape[-1]]),
                LATENT_INDEX: tf.cast(
                    tf.reshape(state.index, [rows, length, state.index.shape[-1]]), tf.uint8
                ),
            }
        if self._returns_losses:
            for_replay[MODEL_LOSS] = tf.reshape(record_losses, [rows, length])
        return Update(metrics, for_replay)

    def _gradients_in_turn(
        self, records: Batch, context: Context | None, noise: UpdateNoise
    ) -> tuple[State, tf.Tensor, Metrics]:
        """World-model step, then imagination with the updated world model (2023 code)."""
        with tf.GradientTape() as tape:
            observed, loss, record_losses, metrics = self._observe(
                records, context, noise.posterior
            )
        gradients = self._gradients(tape, loss, "world_model")
        state = observed.state.stop_gradient()
        predicted, found = self._learn_rewards(state, records)
        # All losses are means over records, and all trainers have the same number of records.
        metrics = self._apply(*self._replicas.mean((gradients | predicted, metrics | found)))
        behaviour = self._imagine(*self._starts(state, records), noise.imagination)
        gradients, found = self._replicas.mean((behaviour.gradients, behaviour.metrics))
        return state, record_losses, self._apply(gradients, metrics | found)

    def _gradients_together(
        self, records: Batch, context: Context | None, noise: UpdateNoise
    ) -> tuple[State, tf.Tensor, Metrics]:
        """All gradients at the same parameters, and the critic's loss on replay (2025 code)."""
        scale = self._options.replay_critic_scale
        with tf.GradientTape() as tape:
            observed, loss, record_losses, metrics = self._observe(
                records, context, noise.posterior
            )
            state = observed.state.stop_gradient()
            with tape.stop_recording():
                behaviour = self._imagine(*self._starts(state, records), noise.imagination)
            if scale:
                replay = self._replay_critic_loss(
                    *self._starts(observed.state, records), behaviour.start_returns
                )
                metrics["CRITIC_L_replay"] = replay
                loss += scale * replay
        gradients = behaviour.gradients | self._gradients(tape, loss, "world_model", "critic")
        if "critic" in gradients:
            pairs = zip(gradients["critic"], behaviour.gradients["critic"], strict=True)
            gradients["critic"] = [a + b for a, b in pairs]
        predicted, found = self._learn_rewards(state, records)
        gradients |= predicted
        metrics |= behaviour.metrics | found
        return state, record_losses, self._apply(*self._replicas.mean((gradients, metrics)))

    def _observe(self, records: Batch, context: Context | None, uniform: tf.Tensor) -> _Model:
        """Run the world model's forward pass and compute its loss."""
        world, options = self.model.world_model, self._options
        observed = world.observe(records, uniform, context)

        def losses_of(observed: Observed, columns: Batch) -> tuple[tf.Tensor, WorldModelLosses]:
            losses = world_model_losses(
                world.predict(observed),
                columns,
                self._observations,
                self._two_hot,
                self._model_settings,
                options,
            )
            return losses.weighted(options), losses

        flat = {key: tf.reshape(x, [-1, *x.shape[2:]]) for key, x in records.items()}
        size = records_at_a_time(self._observations, self._model_settings)
        total, losses = mean_by_slices(losses_of, observed, flat, size)
        decoder = tf.add_n(list(losses.observations.values()))
        return _Model(
            observed,
            total,
            losses.weighted(options),
            {
                "WORLD_MODEL_L_total": total,
                "WORLD_MODEL_L_prediction": tf.reduce_mean(losses.prediction),
                "WORLD_MODEL_L_decoder": tf.reduce_mean(decoder),
                "WORLD_MODEL_L_reward": tf.reduce_mean(losses.reward),
                "WORLD_MODEL_L_continue": tf.reduce_mean(losses.cont),
                "WORLD_MODEL_L_dynamics": tf.reduce_mean(losses.dynamics),
                "WORLD_MODEL_L_representation": tf.reduce_mean(losses.representation),
                "WORLD_MODEL_KL": tf.reduce_mean(losses.kl),
                "WORLD_MODEL_posterior_entropy": _state_entropy(observed.posterior),
                "WORLD_MODEL_prior_entropy": _state_entropy(observed.prior),
            },
        )

    def _learn_rewards(self, state: State, records: Batch) -> tuple[Gradients, Metrics]:
        """Compute gradients and losses of networks outside the world model that predict rewards.

        Args:
            state: Posterior states of the batch, without gradient.
            records: Its columns.
        """
        gradients: Gradients = {}
        metrics: Metrics = {}
        for objective in self._objectives:
            with tf.GradientTape(persistent=True) as tape:
                losses = objective.losses_on_records(state, records)
            for part, loss in losses.items():
                gradients |= self._gradients(tape, loss, part)
                metrics[f"{part.upper()}_L_total"] = loss
        return gradients, metrics

    def _starts(self, state: State, records: Batch) -> tuple[State, Batch]:
        """States ``[N]`` and records ``[B, K]`` from which imagination starts (2025 code).

        The last K = ``imag_last`` of each row, or all.
        """
        last, length = self._options.imag_last, records[IS_FIRST].shape[1]
        if not last:
            return state, records

        def of_rows(x: tf.Tensor) -> tf.Tensor:
            rows = tf.reshape(x, [-1, length, x.shape[-1]])
            return tf.reshape(rows[:, -last:], [-1, x.shape[-1]])

        starts = State(*(None if x is None else of_rows(x) for x in state))
        return starts, {key: x[:, -last:] for key, x in records.items()}

    def _imagine(self, start: State, records: Batch, noise: ImaginationNoise) -> _Behaviour:
        """Imagine from all N = B * T states ``start [N]``; compute actor and critic gradients."""
        world, options = self.model.world_model, self._options
        if self._through_dynamics:
            start = start.with_dense_z(self._model_settings.classes)
        h, n = options.horizon_H, tf.shape(start.h)[0]
        with tf.GradientTape() as actor_tape, tf.GradientTape() as critic_tape:
            # Gradients that are recorded, but not needed, take long to trace.
            with ExitStack() as unrecorded:
                unrecorded.enter_context(critic_tape.stop_recording())
                if not self._through_dynamics:
                    unrecorded.enter_context(actor_tape.stop_recording())
                trajectory = imagine(
                    world,
                    self.model.actor,
                    start,
                    noise,
                    through_dynamics=self._through_dynamics,
                    start_mask=flat_mask(records),
                )
            states = trajectory.state.flat()
            if not self._through_dynamics:
                # No gradient flows through imagination.
                states = states.stop_gradient()
            acting_states = states.stop_gradient().first(h * n)
            continues = imagined_continues(
                tf.reshape(world.cont(states), [h + 1, n]),
                tf.reshape(records[IS_TERMINAL], [-1]),
                options.imagined_continues,
            )
            evaluations = [
                each.evaluate(states, trajectory.action, continues) for each in self._objectives
            ]
            for each, found in zip(self._objectives, evaluations, strict=True):
                # Percentiles cannot be averaged: they need the returns of all trainers.
                returns = tf.reshape(tf.stop_gradient(found.outcome.returns), [-1])
                each.normalizer.update(self._replicas.of_all(returns))
            outcome, scale = mixed_returns(
                [found.outcome for found in evaluations],
                [each.normalizer.scale() for each in self._objectives],
                [each.weight for each in self._objectives],
            )
            actor_total, actor_metrics = actor_loss(
                self.model.actor(acting_states, trajectory.flat_mask(h)),
                tf.reshape(trajectory.action[:-1], [h * n, self._actions.size]),
                outcome,
                scale,
                entropy_scale=options.entropy_scale,
                through_dynamics=self._through_dynamics,
            )
            critic_totals: Metrics = {}
            critic_metrics: Metrics = {}
            for each, found in zip(self._objectives, evaluations, strict=True):
                losses = each.critic_losses(found, acting_states)
                total = losses.value + options.slow_critic_scale * losses.slow
                critic_totals[each.part] = total
                critic_metrics |= each.metrics(found, losses, total)
            critics = tf.add_n(list(critic_totals.values()))
        task = evaluations[0]
        # Imagination starts from the batch's posteriors, whose true rewards are known.
        signal, predicted = reward_signal(
            task.rewards[0], *(tf.reshape(records[name], [-1]) for name in (REWARD, IS_FIRST))
        )
        return _Behaviour(
            self._gradients(actor_tape, actor_total, "actor")
            | self._gradients(critic_tape, critics, *critic_totals),
            {
                "WORLD_MODEL_reward_signal": signal,
                "WORLD_MODEL_reward_signal_predicted": predicted,
                "ACTOR_L_total": actor_total,
                **{f"ACTOR_{name}": value for name, value in actor_metrics.items()},
                **critic_metrics,
            },
            start_returns=task.outcome.returns[0],
        )

    def _replay_critic_loss(
        self, state: State, records: Batch, start_returns: tf.Tensor
    ) -> tf.Tensor:
        options, shape = self._options, tf.shape(records[REWARD])
        logits = self.model.critic(state)
        slow_values = self._two_hot.mean(self.model.slow_critic(state.stop_gradient()))
        # The recursion over T is unrolled, so T must be static.
        length = records[REWARD].shape[1]
        return replay_critic_loss(
            tf.reshape(logits, [-1, length, logits.shape[-1]]),
            tf.reshape(slow_values, shape),
            tf.reshape(start_returns, [-1, length]),
            tf.convert_to_tensor(records[REWARD]),
            records[IS_LAST],
            records[IS_TERMINAL],
            self._two_hot,
            gamma=options.gamma,
            gae_lambda=options.gae_lambda,
            slow_critic_scale=options.slow_critic_scale,
        )

    def _gradients(self, tape: tf.GradientTape, loss: tf.Tensor, *names: str) -> Gradients:
        """Gradients of the trained parts; none are computed for frozen parts."""
        learning = [name for name in names if name in self._learning]
        if not learning:
            # The tape would run the complete backward pass.
            return {}
        variables = [self._variables[name] for name in learning]
        # Only a loss that several parts share may be independent of some variables.
        missing = tf.UnconnectedGradients.ZERO if len(names) > 1 else tf.UnconnectedGradients.NONE
        found = tape.gradient(loss, variables, unconnected_gradients=missing)
        return dict(zip(learning, found, strict=True))

    def _apply(self, gradients: Gradients, metrics: Metrics) -> Metrics:
        """Apply the gradients if all metrics so far are finite.

        Args:
            gradients: Gradients of each part to update.
            metrics: All metrics so far.

        Returns:
            The metrics, and the global norm of each part's gradients before clipping.
        """
        norms = {name: tf.linalg.global_norm(g) for name, g in gradients.items()}
        metrics = metrics | {
            f"{name.upper()}_gradients_global_norm": x for name, x in norms.items()
        }

        def step() -> None:
            for name, parts in self._stepped.items():
                given = [part for part in parts if part in gradients]
                if given:
                    # In the optimizer's order of variables.
                    own = [gradient for part in given for gradient in gradients[part]]
                    self.optimizers[name].apply(own, norms.get(name))

        only_if(all_finite(metrics.values()), step)
        return metrics

    def _update_slow_critics(self) -> None:
        for objective in self._objectives:
            if objective.part in self._learning:
                self._update_slow_critic(objective)

    def _update_slow_critic(self, objective: Objective) -> None:
        first = None
        if self._options.first_update_copies_critic:
            (optimizer,) = (
                self.optimizers[name]
                for name, parts in self._stepped.items()
                if objective.part in parts
            )
            # The optimizer's step does not count skipped updates.
            first = optimizer.step.read_value() == 1
        slow, fast = objective.slow_critic.variables, objective.critic.variables
        update_slow_critic(slow, fast, self._options.slow_critic_decay, copy=first)

    def get_state(self) -> dict[str, np.ndarray]:
        """Copy all state except the networks: optimizers, return normalisers, update counter."""
        state = {name: variable.numpy() for name, variable in self._own_state().items()}
        for name, optimizer in self.optimizers.items():
            state |= {f"{name}/{key}": value for key, value in optimizer.get_state().items()}
        return state

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the result of :meth:`get_state`.

        Raises:
            CheckpointError: If it belongs to another trainer; optimizers may have changed already.
        """
        own = self._own_state()
        check_state(own, {name: state[name] for name in own if name in state})
        for name, variable in own.items():
            variable.assign(state[name])
        for name, optimizer in self.optimizers.items():
            prefix = f"{name}/"
            optimizer.set_state(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )

    def _own_state(self) -> dict[str, tf.Variable]:
        """Return the update counter and both averages of each normaliser."""
        own = {"updates": self.updates}
        names = {"critic": "returns", "intrinsic_critic": "intrinsic_returns"}
        for objective in self._objectives:
            name = names[objective.part]
            own[f"{name}/low"] = objective.normalizer.low
            own[f"{name}/high"] = objective.normalizer.high
        return own


def _state_entropy(log_probs: tf.Tensor) -> tf.Tensor:
    """Mean joint entropy of the S categoricals, in nats: ``[N, S, C] -> []``."""
    return tf.reduce_mean(tf.reduce_sum(entropy(log_probs), -1))
