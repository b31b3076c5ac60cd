"""The rewards that the actor maximises in imagination, each with critic and normaliser.

The environment's reward is always the first. With exploration (``use_curiosity``) the disagreement
of the ensemble is the second, with a critic, slow critic and return normaliser of its own, as in
the authors' 2023 code. A further reward would be another subclass of :class:`Objective`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.one_hot_products import flat_one_hot
from rllib_dreamerv3.agent.losses.actor_critic import (
    CriticLosses,
    Returns,
    critic_loss,
    imagined_returns,
)
from rllib_dreamerv3.agent.losses.exploration import disagreement, ensemble_loss
from rllib_dreamerv3.agent.math.normalizer import ReturnNormalizer
from rllib_dreamerv3.agent.math.two_hot import TwoHot
from rllib_dreamerv3.agent.networks.ensemble import Curiosity
from rllib_dreamerv3.agent.networks.heads import TwoHotHead
from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import ACTION, IS_FIRST

# Intrinsic rewards have no natural unit: in MountainCar their returns range over 0.02 to 0.2. With
# the task's least scale of 1 (as in the 2023 code) such advantages do not change the policy.
_LEAST_INTRINSIC_SCALE = 0.01


class Evaluation(NamedTuple):
    """Trajectories evaluated by one reward.

    Attributes:
        rewards: float32 ``[H + 1, N]``; the first is not used.
        outcome: Returns, values and weights.
        logits: Its critic's at s_0 .. s_{H-1}, float32 ``[H * N, 255]``.
    """

    rewards: tf.Tensor
    outcome: Returns
    logits: tf.Tensor


class Objective(ABC):
    """A reward, its critic and slow critic, and the normaliser of its returns.

    Attributes:
        part: Name of the critic among the parts of the model.
        weight: Weight of its advantage in the actor's loss, beside those of other objectives.
        critic: Predicts its returns.
        slow_critic: Exponential moving average of the critic.
        normalizer: Scale of its returns.
    """

    def __init__(
        self,
        part: str,
        critic: TwoHotHead,
        slow_critic: TwoHotHead,
        normalizer: ReturnNormalizer,
        two_hot: TwoHot,
        options: LearningOptions,
    ):
        """Take the networks and the normaliser."""
        self.part, self.weight = part, options.exploration.weights[part]
        self.critic, self.slow_critic, self.normalizer = critic, slow_critic, normalizer
        self._two_hot, self._options = two_hot, options

    @abstractmethod
    def _rewards(self, states: State, actions: tf.Tensor) -> tf.Tensor:
        """Return the rewards, float32 ``[H + 1, N]``; for arguments see :meth:`evaluate`."""

    def losses_on_records(
        self, state: State, records: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Compute the losses of networks outside the world model that predict the reward.

        Args:
            state: Posterior states of the batch, ``[B * T, ...]``, without gradient.
            records: Its columns ``[B, T, ...]``.

        Returns:
            Part of the model -> float32 scalar.
        """
        del state, records
        return {}

    def evaluate(self, states: State, actions: tf.Tensor, continues: tf.Tensor) -> Evaluation:
        """Evaluate imagined trajectories.

        Args:
            states: ``[(H + 1) * N, ...]``, time-major.
            actions: float32 ``[H + 1, N, A]``, chosen in these states.
            continues: See :func:`imagined_continues`, float32 ``[H + 1, N]``.
        """
        h, n = actions.shape[0] - 1, tf.shape(actions)[1]
        logits, values = self._logits_and_values(states, h * n)
        rewards = self._rewards(states, actions)
        outcome = imagined_returns(
            rewards,
            continues,
            tf.reshape(values, [h + 1, n]),
            gamma=self._options.imagination_gamma,
            gae_lambda=self._options.gae_lambda,
        )
        return Evaluation(rewards, outcome, logits)

    def _logits_and_values(self, states: State, acting: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the critic's logits at the first ``acting`` states, and its values at all.

        The last states are only the bootstrap: there is no loss on their values.
        """
        if states.z is None:
            parts = [states.first(acting), states.last(tf.shape(states.h)[0] - acting)]
            logits, last = (self.critic(part) for part in parts)
            return logits, tf.concat([self._two_hot.mean(x) for x in (logits, last)], 0)
        # The gradient of a part of z would be copied into an array of all states.
        logits = self.critic(states)
        return logits[:acting], self._two_hot.mean(logits)

    def critic_losses(self, evaluation: Evaluation, acting_states: State) -> CriticLosses:
        """Compute the critic's losses; ``acting_states`` are s_0 .. s_{H-1} without gradient."""
        slow_values = self._two_hot.mean(self.slow_critic(acting_states))
        return critic_loss(evaluation.logits, evaluation.outcome, slow_values, self._two_hot)

    @abstractmethod
    def metrics(
        self, evaluation: Evaluation, losses: CriticLosses, total: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return metrics to log, after the normaliser's update; ``total`` is the critic's loss."""


class TaskObjective(Objective):
    """The environment's reward, as the world model predicts it."""

    def __init__(
        self,
        model: DreamerModel,
        normalizer: ReturnNormalizer,
        two_hot: TwoHot,
        options: LearningOptions,
    ):
        """Take the reward head, ``critic`` and ``slow_critic`` of a model."""
        super().__init__("critic", model.critic, model.slow_critic, normalizer, two_hot, options)
        self._reward = model.world_model.reward

    def _rewards(self, states: State, actions: tf.Tensor) -> tf.Tensor:
        rewards = self._two_hot.mean(self._reward(states))
        return tf.reshape(rewards, [actions.shape[0], tf.shape(actions)[1]])

    def metrics(
        self, evaluation: Evaluation, losses: CriticLosses, total: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return metrics under RLlib's names, see :meth:`Objective.metrics`."""
        outcome = evaluation.outcome
        return {
            "ACTOR_value_targets_pct5_ema": self.normalizer.low.read_value(),
            "ACTOR_value_targets_pct95_ema": self.normalizer.high.read_value(),
            "DREAM_DATA_returns_mean": tf.reduce_mean(outcome.returns),
            "DREAM_DATA_values_mean": tf.reduce_mean(outcome.values),
            "DREAM_DATA_weights_mean": tf.reduce_mean(outcome.weights),
            "CRITIC_L_total": total,
            "CRITIC_L_neg_logp_of_value_targets": losses.value,
            "CRITIC_L_slow_critic_regularization": losses.slow,
        }


class CuriosityObjective(Objective):
    """The disagreement of an ensemble about the next state (``losses/exploration.py``).

    Its reward belongs to the action: r_{i+1} is the disagreement at (s_i, a_i), as in the paper. In
    the 2023 code it is that at (s_{i+1}, a_{i+1}), for which a_i is only indirectly responsible.
    """

    def __init__(
        self, curiosity: Curiosity, classes: int, two_hot: TwoHot, options: LearningOptions
    ):
        """Create the normaliser; ``classes`` is the number of classes of each categorical."""
        decay = options.return_normalization_decay
        normalizer = ReturnNormalizer(decay, floor=_LEAST_INTRINSIC_SCALE)
        networks = (curiosity.critic, curiosity.slow_critic)
        super().__init__("intrinsic_critic", *networks, normalizer, two_hot, options)
        self._ensemble, self._classes = curiosity.ensemble, classes

    def losses_on_records(
        self, state: State, records: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Compute the ensemble's loss, see :meth:`Objective.losses_on_records`."""
        length = records[IS_FIRST].shape[1]

        def records_of(x: tf.Tensor, first: int, last: int) -> tf.Tensor:
            by_row = tf.reshape(x, [-1, length, x.shape[-1]])
            return tf.reshape(by_row[:, first:last], [-1, x.shape[-1]])

        before = State(*(records_of(x, 0, length - 1) for x in (state.h, state.index)))
        action = records_of(tf.convert_to_tensor(records[ACTION]), 0, length - 1)
        after = flat_one_hot(records_of(state.index, 1, length), self._classes)
        same_episode = tf.reshape(~tf.convert_to_tensor(records[IS_FIRST])[:, 1:], [-1])
        return {"ensemble": ensemble_loss(self._ensemble(before, action), after, same_episode)}

    def _rewards(self, states: State, actions: tf.Tensor) -> tf.Tensor:
        h, n = actions.shape[0] - 1, tf.shape(actions)[1]
        action = tf.reshape(actions[:-1], [h * n, actions.shape[-1]])
        rewards = disagreement(self._ensemble(states.first(h * n), action))
        # No imagined action leads to the first state.
        return tf.concat([tf.zeros([1, n]), tf.reshape(rewards, [h, n])], 0)

    def metrics(
        self, evaluation: Evaluation, losses: CriticLosses, total: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return metrics, see :meth:`Objective.metrics`."""
        values = {
            "rewards_mean": tf.reduce_mean(evaluation.rewards[1:]),
            "values_mean": tf.reduce_mean(evaluation.outcome.values),
            "returns_mean": tf.reduce_mean(evaluation.outcome.returns),
            "value_targets_pct5_ema": self.normalizer.low.read_value(),
            "value_targets_pct95_ema": self.normalizer.high.read_value(),
            "L_total": total,
            "L_neg_logp_of_value_targets": losses.value,
            "L_slow_critic_regularization": losses.slow,
        }
        return {f"INTRINSIC_CRITIC_{name}": value for name, value in values.items()}


def make_objectives(
    model: DreamerModel,
    classes: int,
    normalizer: ReturnNormalizer,
    two_hot: TwoHot,
    options: LearningOptions,
) -> list[Objective]:
    """Create the objectives of a model: the task's, and curiosity's if it has the networks.

    Args:
        model: The networks.
        classes: Classes of each categorical of z.
        normalizer: Of the task's returns.
        two_hot: Encoding of values.
        options: Losses and weights.
    """
    objectives: list[Objective] = [TaskObjective(model, normalizer, two_hot, options)]
    if model.curiosity is not None:
        objectives.append(CuriosityObjective(model.curiosity, classes, two_hot, options))
    return objectives
