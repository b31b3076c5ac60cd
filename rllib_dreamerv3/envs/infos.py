"""Infos of vector environments as one dict for each environment.

Gymnasium's vector environments merge infos into one array for each key, of the type and shape that
the first environment returned: 2.7 becomes 2 where another environment returned an int, and None
beside a number is an error.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers.vector import DictInfoToList

from rllib_dreamerv3.errors import EnvironmentDataError

_KEY = "unmerged"


class _Unmerged:
    """An info that Gymnasium does not merge, since it is not a dict."""

    __slots__ = ("info",)

    def __init__(self, info: dict[str, Any]):
        self.info = info


class UnmergedInfo(gym.Wrapper):
    """Protects the infos of a single environment until :class:`InfoList` lists them."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment."""
        observation, info = self.env.reset(**kwargs)
        return observation, {_KEY: _Unmerged(info)}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {_KEY: _Unmerged(info)}


def make_unmerged(make: Callable[[], gym.Env]) -> gym.Env:
    """Create an environment whose infos are not merged."""
    return UnmergedInfo(make())


class InfoList(DictInfoToList):
    """Returns infos of a vector environment as a list with a dict for each environment."""

    def _convert_info_to_list(self, vector_infos: Any) -> list[dict[str, Any]]:
        unmerged = vector_infos.get(_KEY)
        if isinstance(unmerged, np.ndarray) and isinstance(unmerged[0], _Unmerged):
            return [each.info for each in unmerged]
        try:
            infos: list[dict[str, Any]] = super()._convert_info_to_list(vector_infos)
        except (AssertionError, AttributeError, TypeError) as error:
            raise EnvironmentDataError(
                f"The infos of a vector environment must be a dict of arrays with an entry for "
                f"each of its {self.num_envs} environments, or of such dicts, and were "
                f"{vector_infos!r:.200}. Correct the environment, or leave such infos out."
            ) from error
        return infos
