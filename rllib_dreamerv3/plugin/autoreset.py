"""When vector environments reset themselves: in the step after an episode's end, or in the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate

from rllib_dreamerv3.errors import ConfigError, EnvironmentDataError


def autoreset_mode(env: VectorEnv, name: object) -> AutoresetMode:
    """NEXT_STEP or SAME_STEP, as an environment says.

    Args:
        env: The environment; NEXT_STEP if it says nothing.
        name: What it is called.

    Raises:
        ConfigError: It wants to be reset from outside.
    """
    mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
    if mode is AutoresetMode.DISABLED:
        raise ConfigError(
            f"The vector environment {name!r} has AutoresetMode.DISABLED: nobody would reset it. "
            "Make it with AutoresetMode.NEXT_STEP or SAME_STEP, or give a single environment."
        )
    return mode


def last_observations(
    env: VectorEnv, observation: Any, infos: Sequence[dict[str, Any]], ended: np.ndarray
) -> tuple[Any, Sequence[dict[str, Any]]]:
    """What an environment with SAME_STEP has put aside where an episode ended.

    Args:
        env: The environment.
        observation: Of N environments; where an episode ended, the first of the next one.
        infos: Of each of them, where ``final_obs`` and ``final_info`` are to be found.
        ended: Where an episode ended, ``[N]`` bool.

    Returns:
        Observations and infos of the episodes that were going on, new or as they were given.

    Raises:
        EnvironmentDataError: An observation is missing.
    """
    observations = list(iterate(env.observation_space, observation))
    infos = list(infos)
    for i in np.flatnonzero(ended):
        if infos[i].get("final_obs") is None:
            raise EnvironmentDataError(
                f"Environment {i} has ended an episode and reset itself in the same step "
                "(AutoresetMode.SAME_STEP), but its info has no 'final_obs', the episode's last "
                "observation."
            )
        observations[i] = infos[i]["final_obs"]
        infos[i] = infos[i].get("final_info", {})
    out = create_empty_array(env.single_observation_space, len(observations))
    return concatenate(env.single_observation_space, observations, out), infos
