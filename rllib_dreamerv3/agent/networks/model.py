"""All networks of DreamerV3 together, and their number of parameters."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.networks.encoder import Encoder
from rllib_dreamerv3.agent.networks.ensemble import Curiosity
from rllib_dreamerv3.agent.networks.heads import Actor, make_critics
from rllib_dreamerv3.agent.networks.policy import Policy
from rllib_dreamerv3.agent.networks.rssm import Rssm
from rllib_dreamerv3.agent.networks.world_model import WorldModel
from rllib_dreamerv3.options.model_sizes import ModelSettings, model_settings
from rllib_dreamerv3.options.table import VectorMlp
from rllib_dreamerv3.spaces.codecs import make_codecs
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

Weights = dict[str, np.ndarray]


class PolicyModel(tf.Module):
    """The acting networks, with the same names as in :class:`DreamerModel`.

    Attributes:
        policy: Chooses actions with them.
    """

    def __init__(
        self,
        encoder: Encoder,
        rssm: Rssm,
        actor: Actor,
        actions: ActionLayout,
        settings: ModelSettings,
    ):
        """Take existing networks."""
        super().__init__()
        self.encoder, self.rssm, self.actor = encoder, rssm, actor
        self.policy = Policy(encoder, rssm, actor, actions, settings)
        # Finding them takes TensorFlow 2 ms. Not as a dict, in which it would find them again.
        named = named_parts(encoder=encoder, rssm=rssm, actor=actor)
        self._named_variables = lambda: dict(named)

    @classmethod
    def create(
        cls,
        observations: ObservationLayout,
        actions: ActionLayout,
        settings: ModelSettings,
        seed: int | None = None,
    ) -> "PolicyModel":
        """Create encoder, RSSM and actor."""
        rng = np.random.default_rng(seed)
        encoder = Encoder(observations, settings, rng)
        rssm = Rssm(settings, encoder.width, actions.size, rng)
        return cls(encoder, rssm, Actor(settings, actions, rng), actions, settings)

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every parameter by name, e.g. ``rssm/sequence_model/gates/kernel``."""
        return self._named_variables()


class DreamerModel(tf.Module):
    """World model, actor, critic and slow critic; with exploration also its own networks.

    Attributes:
        world_model: Trained by the world model's optimizer.
        actor: Trained by the actor's optimizer.
        critic: The fast critic, trained by the critic's optimizer.
        slow_critic: Exponential moving average of the fast critic.
        curiosity: Ensemble, critic and slow critic of exploration; None without it.
        acting: The networks that act; the same objects as above.
    """

    def __init__(
        self,
        observations: ObservationLayout,
        actions: ActionLayout,
        settings: ModelSettings,
        seed: int | None = None,
    ):
        """Create all networks; slow critics start as copies of their critics."""
        super().__init__()
        rng = np.random.default_rng(seed)
        self.world_model = WorldModel(observations, actions, settings, rng)
        self.actor = Actor(settings, actions, rng)
        self.critic, self.slow_critic = make_critics(settings, rng)
        # Last: the other networks start the same with and without exploration.
        self.curiosity = Curiosity(settings, actions.size, rng) if settings.ensemble else None
        encoder, rssm = self.world_model.encoder, self.world_model.rssm
        self.acting = PolicyModel(encoder, rssm, self.actor, actions, settings)
        slow = {"slow_critic": self.slow_critic}
        if self.curiosity is not None:
            slow["slow_intrinsic_critic"] = self.curiosity.slow_critic
        named = named_parts(**self._parts(), **slow)
        self._named_variables = lambda: dict(named)

    @property
    def policy(self) -> Policy:
        """The acting part."""
        return self.acting.policy

    def trained_parts(self) -> dict[str, tf.Module]:
        """Return the trained parts by name, in a fixed order."""
        main = {"world_model": self.world_model, "actor": self.actor, "critic": self.critic}
        return main | self._curiosity_parts()

    def _curiosity_parts(self) -> dict[str, tf.Module]:
        if self.curiosity is None:
            return {}
        return {"ensemble": self.curiosity.ensemble, "intrinsic_critic": self.curiosity.critic}

    def _parts(self) -> dict[str, tf.Module]:
        world = self.world_model
        return {
            "encoder": world.encoder,
            "rssm": world.rssm,
            "decoder": world.decoder,
            "reward": world.reward,
            "continue": world.cont,
            **({} if world.mask is None else {"mask": world.mask}),
            "actor": self.actor,
            "critic": self.critic,
            **self._curiosity_parts(),
        }

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every parameter by name, e.g. ``rssm/sequence_model/gates/kernel``, with slow critics."""
        return self._named_variables()

    def count_parameters(self) -> dict[str, int]:
        """Number of trained parameters of each part, and their ``total``.

        Slow critics are copies and are not counted.
        """
        counts = {
            name: sum(int(np.prod(v.shape)) for v in part.variables)
            for name, part in self._parts().items()
        }
        return counts | {"total": sum(counts.values())}


class HasParameters(Protocol):
    """Networks whose parameters have names."""

    def named_variables(self) -> dict[str, tf.Variable]:
        """Every parameter by name."""


def get_weights(model: DreamerModel | PolicyModel) -> Weights:
    """Copy all parameters, by name."""
    return {name: variable.numpy() for name, variable in model.named_variables().items()}


def check_weights(model: HasParameters, weights: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError if a parameter of the model is missing or has another shape or dtype."""
    for name, variable in model.named_variables().items():
        if name not in weights:
            raise ValueError(f"The weights lack {name!r}: they belong to another model.")
        if tuple(weights[name].shape) != tuple(variable.shape):
            raise ValueError(
                f"Weights {name!r} have shape {tuple(weights[name].shape)}, but the model needs "
                f"{tuple(variable.shape)}: they belong to another model_size or environment."
            )
        # Larger numbers may be infinite in the model.
        if not np.can_cast(weights[name].dtype, variable.dtype.as_numpy_dtype):
            raise ValueError(
                f"Weights {name!r} have dtype {weights[name].dtype}, but the model needs "
                f"{variable.dtype.name}: convert them first."
            )


def set_weights(model: HasParameters, weights: Mapping[str, np.ndarray]) -> None:
    """Assign parameters by name; ignore names that the model lacks.

    Raises:
        ValueError: If a parameter of the model is missing or has another shape or dtype. Nothing
            is assigned then.
    """
    check_weights(model, weights)
    for name, variable in model.named_variables().items():
        variable.assign(weights[name], read_value=False)


def take_weights(
    model: HasParameters, weights: Mapping[str, np.ndarray], parts: Collection[str]
) -> list[str]:
    """Assign the parameters of some parts, as far as they fit.

    Args:
        model: The networks.
        weights: Parameters by name.
        parts: First components of names, such as ``"rssm"``; ``"critic"`` includes the slow critic.

    Returns:
        Names of the parameters of these parts that are unchanged, because ``weights`` lacks them or
        has another shape.
    """
    unchanged = []
    for name, variable in model.named_variables().items():
        if part_of(name) not in parts:
            continue
        given = weights.get(name)
        if given is None or given.shape != tuple(variable.shape):
            unchanged.append(name)
        else:
            variable.assign(given, read_value=False)
    return unchanged


def parts_of(model: HasParameters) -> set[str]:
    """Return the names of a model's parts, as :func:`take_weights` takes them."""
    return set(map(part_of, model.named_variables()))


def part_of(parameter: str) -> str:
    """Return the part that a parameter belongs to, by its name; a slow critic is its critic's."""
    return parameter.partition("/")[0].removeprefix("slow_")


def named_parts(**parts: tf.Module) -> dict[str, tf.Variable]:
    """Every parameter of some networks, by the network's name and its path there."""
    named = {}
    for part_name, part in parts.items():
        for path, variable in part._flatten(
            predicate=lambda x: isinstance(x, tf.Variable), with_path=True
        ):
            named["/".join([part_name, *(str(p) for p in path)])] = variable
    return named


def count_parameters(
    model_size: str,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    vector_mlp: VectorMlp = "scaled",
    **options: Any,
) -> dict[str, int]:
    """Count the trained parameters of a model, by building it.

    Args:
        model_size: One of ``model_sizes.MODEL_SIZES``, e.g. ``"XS"`` or ``"12M"``.
        observation_space: Of one environment.
        action_space: Of one environment.
        vector_mlp: See ``model_sizes.model_settings``.
        **options: See there, e.g. ``variant="v2"``.

    Returns:
        Number of parameters of ``encoder``, ``rssm``, ``decoder``, ``reward``, ``continue``,
        ``actor`` and ``critic``, and their ``total``. The slow critic, a copy, is not counted.

    Raises:
        ConfigError: If there is no such size or ``vector_mlp``.
        SpaceError: If DreamerV3 cannot learn from a space.
    """
    settings = model_settings(model_size, vector_mlp=vector_mlp, **options)
    observations, actions = make_codecs(observation_space, action_space, cnn=settings.cnn)
    return DreamerModel(observations.layout, actions.layout, settings).count_parameters()
