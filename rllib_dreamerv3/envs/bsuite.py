"""The Behaviour Suite for Reinforcement Learning (Osband et al., arXiv 1908.03568), by Shimmy."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import gymnasium as gym
from gymnasium.wrappers import FlattenObservation

from rllib_dreamerv3.envs.env_config import EnvOptions

_NAMESPACE, _VERSION = "bsuite/", "-v0"


@dataclass(frozen=True)
class BSuiteOptions(EnvOptions):
    """No options: the id of an experiment has all settings."""

    benchmark: ClassVar[str] = "BSuite"


def bsuite_ids() -> Collection[str]:
    """Return the ids of all experiments, e.g. ``bsuite/catch-0-v0`` for bsuite's ``catch/0``."""
    from bsuite import sweep

    return [_NAMESPACE + number.replace("/", "-") + _VERSION for number in sweep.SWEEP]


def make_bsuite(env_id: str, options: BSuiteOptions) -> gym.Env:
    """Create the environment of one experiment.

    Args:
        env_id: One of :func:`bsuite_ids`.
        options: Not used.

    Returns:
        An environment with vectors ``[M]`` as observations. An end with a dm_env discount of 0
        terminates, all others truncate.
    """
    import bsuite
    from bsuite import sweep
    from shimmy.bsuite_compatibility import BSuiteCompatibilityV0

    name, _, number = env_id.removeprefix(_NAMESPACE).removesuffix(_VERSION).rpartition("-")
    # bsuite.load_from_id does the same, but prints a line for each environment.
    env = bsuite.load(name, sweep.SETTINGS[f"{name}/{number}"])
    return FlattenObservation(BSuiteCompatibilityV0(env))
