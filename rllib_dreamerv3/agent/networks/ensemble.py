"""One-step models whose disagreement rewards exploration (Plan2Explore, arXiv 2005.05960).

Each predicts the next z from h, z and the action. All are trained on the same records, from
different initial weights: they agree where there were enough records, and disagree elsewhere.
"""

import tensorflow as tf

from rllib_dreamerv3.agent.networks.gru import scale_action
from rllib_dreamerv3.agent.networks.heads import make_critics
from rllib_dreamerv3.agent.networks.layers import Linear, Rng, output_init
from rllib_dreamerv3.agent.networks.state import State, StateMlp
from rllib_dreamerv3.options.model_sizes import ModelSettings


class OneStepModel(tf.Module):
    """An MLP as large as the critic: ``State [N], action [N, A] -> [N, S * C]``."""

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng):
        """Create the MLP on concat[h, z, a], and a linear output."""
        super().__init__()
        self.mlp = StateMlp(settings, settings.units, settings.critic_layers, rng, more=actions)
        self.output = Linear(
            settings.units,
            settings.stochastic,
            rng,
            output_init(settings.style),
            dtype=settings.compute_dtype,
        )

    def __call__(self, state: State, action: tf.Tensor) -> tf.Tensor:
        """Predict the mean of the next flat z, float32 ``[N, S * C]``, not restricted to [0, 1]."""
        # As for the sequence model, which does not distinguish larger actions.
        return self.output(self.mlp(state, scale_action(action)))


class Ensemble(tf.Module):
    """``settings.ensemble`` one-step models that differ in their initial weights."""

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng):
        """Create the models for action vectors of width A."""
        super().__init__()
        self.members = [OneStepModel(settings, actions, rng) for _ in range(settings.ensemble)]

    def __call__(self, state: State, action: tf.Tensor) -> list[tf.Tensor]:
        """Return each model's prediction ``[N, S * C]`` for N states and actions ``[N, A]``."""
        return [member(state, action) for member in self.members]


class Curiosity(tf.Module):
    """The networks that exploration adds.

    Attributes:
        ensemble: The one-step models.
        critic: Predicts the returns of their disagreement.
        slow_critic: Exponential moving average of this critic.
    """

    def __init__(self, settings: ModelSettings, actions: int, rng: Rng):
        """Create the networks for action vectors of width A."""
        super().__init__()
        self.ensemble = Ensemble(settings, actions, rng)
        self.critic, self.slow_critic = make_critics(settings, rng)
