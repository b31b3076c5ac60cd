"""Reports: predictions of the networks, in more detail than the metrics of every update.

They are computed separately from the compiled update, from a batch and the networks *after* the
update with that batch. Their losses are therefore slightly lower than those of the update.
"""

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.imagination import flat_mask, imagine
from rllib_dreamerv3.agent.kernels.registered_gradients import free_registered_gradients
from rllib_dreamerv3.agent.losses.actor_critic import imagined_continues, imagined_returns
from rllib_dreamerv3.agent.losses.world_model import world_model_losses
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.networks.world_model import Observed, split_context
from rllib_dreamerv3.agent.noise import draw_imagination_noise
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import IS_FIRST, IS_TERMINAL
from rllib_dreamerv3.reports.dreams import Batch, Dream, Dreamer
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

# Number of sequences of a dream, and of context records of each (2023 code).
DREAM_ROWS = 6
DREAM_OBSERVED = 5


class Reporter:
    """Computes reports, each with a function that is traced at its first call.

    Reports are deterministic: all samples depend only on the seed and the number of updates.
    """

    def __init__(
        self,
        model: DreamerModel,
        observations: ObservationLayout,
        actions: ActionLayout,
        model_settings: ModelSettings,
        options: LearningOptions,
        seed: int = 0,
    ):
        """Take the arguments of :class:`~rllib_dreamerv3.agent.trainer.Trainer`."""
        self._model = model
        self._observations, self._actions = observations, actions
        self._model_settings, self._options = model_settings, options
        self._two_hot = make_two_hot(options.two_hot_bins)
        self._seed = seed
        world = model.world_model
        self._dreamer = Dreamer(world, observations, model_settings, options.two_hot_bins)
        self._imagine = tf.function(self._dream_data, autograph=False)
        self._losses = tf.function(self._record_losses, autograph=False)

    def dream(self, batch: Batch, update: int) -> Dream:
        """Dreams of the first sequences.

        Args:
            batch: Record columns ``[B, T, ...]``. Up to ``DREAM_ROWS`` sequences are used, with
                ``DREAM_OBSERVED`` context records (of shorter ones all but the last).
            update: Number of updates so far, for the seed.

        Returns:
            The dream.
        """
        rows = {key: x[:DREAM_ROWS] for key, x in batch.items()}
        return self._dreamer.dream(rows, DREAM_OBSERVED, self._batch_seed(update))

    def dream_data(self, batch: Batch, update: int) -> dict[str, list[float]]:
        """Average imagination from all records of a batch, for each step of the horizon.

        Args:
            batch: Record columns ``[B, T, ...]``.
            update: Number of updates so far, for the seed.

        Returns:
            Plain means over all B * T trajectories, under names that start with ``DREAM_DATA_``.
            Item i belongs to state s_i, and s_0 is the posterior state of the record: predicted
            rewards, probabilities to continue and values of s_0 .. s_H, lambda-returns of
            s_0 .. s_{H-1}.
        """
        data = self._imagine(dict(batch), self._batch_seed(update))
        return {f"DREAM_DATA_{name}_per_step": x.numpy().tolist() for name, x in data.items()}

    def record_losses(self, batch: Batch, update: int) -> dict[str, np.ndarray]:
        """Compute the world model's losses of each record.

        Args:
            batch: Record columns ``[B, T, ...]``.
            update: Number of updates so far, for the seed.

        Returns:
            float32 ``[B, T]`` each, under RLlib's names ``WORLD_MODEL_L_*_B_T``. Only ``total``
            is weighted with the scales of the losses.
        """
        losses = self._losses(dict(batch), self._batch_seed(update))
        return {f"WORLD_MODEL_L_{name}_B_T": x.numpy() for name, x in losses.items()}

    def _batch_seed(self, update: int) -> tf.Tensor:
        return tf.constant([self._seed, update], tf.int32)

    def _uniform(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        rows, length = batch[IS_FIRST].shape
        return tf.random.stateless_uniform([rows, length, self._model_settings.categoricals], seed)

    def _filter(self, batch: Batch, seed: tf.Tensor) -> tuple[dict[str, tf.Tensor], Observed]:
        """Return a batch without its context records, and the posterior states."""
        records, context = split_context(batch)
        uniform = self._uniform(records, seed)
        return records, self._model.world_model.observe(records, uniform, context)

    @free_registered_gradients()
    def _dream_data(self, batch: Batch, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        model, world, options = self._model, self._model.world_model, self._options
        records, observed = self._filter(batch, seed)
        start = observed.state.stop_gradient()
        noise = draw_imagination_noise(
            self._actions,
            self._model_settings.categoricals,
            options.horizon_H,
            tf.shape(start.h)[0],
            tf.random.fold_in(seed, 1),
        )
        trajectory = imagine(
            world,
            model.actor,
            start,
            noise,
            through_dynamics=False,
            start_mask=flat_mask(records),
        )
        states = trajectory.state.flat()
        shape = [options.horizon_H + 1, -1]
        reward = tf.reshape(self._two_hot.mean(world.reward(states)), shape)
        continue_logits = tf.reshape(world.cont(states), shape)
        values = tf.reshape(self._two_hot.mean(model.critic(states)), shape)
        outcome = imagined_returns(
            reward,
            imagined_continues(
                continue_logits,
                tf.reshape(records[IS_TERMINAL], [-1]),
                options.imagined_continues,
            ),
            values,
            gamma=options.imagination_gamma,
            gae_lambda=options.gae_lambda,
        )
        data = {
            "rewards": reward,
            "continues": tf.sigmoid(continue_logits),
            "values": values,
            "returns": outcome.returns,
        }
        return {name: tf.reduce_mean(x, 1) for name, x in data.items()}

    @free_registered_gradients()
    def _record_losses(self, batch: Batch, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        options = self._options
        records, observed = self._filter(batch, seed)
        losses = world_model_losses(
            self._model.world_model.predict(observed),
            {key: tf.reshape(x, [-1, *x.shape[2:]]) for key, x in records.items()},
            self._observations,
            self._two_hot,
            self._model_settings,
            options,
        )
        by_name = {
            "total": losses.weighted(options),
            "prediction": losses.prediction,
            "decoder": tf.add_n(list(losses.observations.values())),
            "reward": losses.reward,
            "continue": losses.cont,
            "dynamics": losses.dynamics,
            "representation": losses.representation,
        }
        return {name: tf.reshape(x, records[IS_FIRST].shape) for name, x in by_name.items()}
