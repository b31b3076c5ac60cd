"""Episodes for callbacks: as RLlib documents them, without the observations of long ago."""

from typing import Any

import gymnasium as gym
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer

KEPT_STEPS = 16
"""Last steps whose observations, infos and actions an episode still has."""


class RecentBuffer(InfiniteLookbackBuffer):
    """As long as all that was ever added, but with the last entries alone."""

    def __init__(self, name: str, kept: int, space: gym.Space | None = None):
        """Starts empty.

        Args:
            name: What its entries are called in an error.
            kept: Number of entries to keep.
            space: That the entries are from.
        """
        super().__init__(space=space)
        self._name, self._kept, self._dropped = name, kept, 0

    def append(self, item: Any) -> None:
        """Adds an entry, and drops the oldest one too many."""
        super().append(item)
        if len(self.data) > self._kept:
            del self.data[0]
            self._dropped += 1

    def __len__(self) -> int:
        """Number of all entries that were added."""
        return self._dropped + super().__len__()

    def finalize(self) -> None:
        """Turns all entries into one array.

        Raises:
            IndexError: If some of them are gone.
        """
        self._index(0)
        super().finalize()

    def get(self, indices: Any = None, **kwargs: Any) -> Any:
        """Entries by their index in the whole episode.

        Raises:
            IndexError: If one of them is gone.
        """
        if isinstance(indices, int):
            indices = self._index(indices)
        elif isinstance(indices, list):
            indices = [self._index(i) for i in indices]
        elif self._dropped:
            start, stop, step = (indices or slice(None)).indices(len(self))
            wanted = range(start, stop, step)
            for i in (wanted[0], wanted[-1]) if wanted else ():
                self._index(i)
            return [self.data[i - self._dropped] for i in wanted]
        return super().get(indices, **kwargs)

    def _index(self, i: int) -> int:
        """Where an entry now is."""
        if (i < 0 and i + len(self) >= self._dropped) or i >= self._dropped:
            return i - self._dropped if i >= 0 else i
        if i < -len(self):
            return i  # RLlib's own answer to what never was.
        raise IndexError(
            f"{self._name} {i} of this episode of {len(self)} is not kept any more: callbacks see "
            f"the last {self._kept} alone, so that memory does not grow with an episode. Take what "
            "you need in on_episode_step and keep it in episode.custom_data."
        )


class RecentEpisode(SingleAgentEpisode):
    """Knows all rewards and its length, but only the last observations, infos and actions."""

    def __init__(self, observation_space: gym.Space, action_space: gym.Space):
        """Starts before the reset."""
        super().__init__(observation_space=observation_space, action_space=action_space)
        self.observations = RecentBuffer("Observation", KEPT_STEPS + 1, observation_space)
        self.infos = RecentBuffer("Info", KEPT_STEPS + 1)
        self.actions = RecentBuffer("Action", KEPT_STEPS, action_space)
