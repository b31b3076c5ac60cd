"""The streams that an env runner's environments write, as chunks of records."""

import numpy as np

from rllib_dreamerv3.records import Columns, EndedEpisode, RecordChunk


class Streams:
    """Collects the records of N environments and knows their positions.

    Attributes:
        prefix: What the names of all N streams begin with.
    """

    def __init__(self, prefix: str, num_envs: int):
        """Begins new streams.

        Args:
            prefix: A name that no stream had before.
            num_envs: N.
        """
        self.prefix = prefix
        self._end = np.zeros(num_envs, int)
        self._ended: list[list[EndedEpisode]] = [[] for _ in range(num_envs)]
        self._begin()

    def add(self, columns: Columns, of: np.ndarray | None = None) -> None:
        """Adds a record to every stream, or to some.

        Args:
            columns: The records ``[N, ...]``.
            of: Environments that have one, ``[N]`` bool; by default all.
        """
        self._steps.append(columns)
        present = np.ones(len(self._end), bool) if of is None else of
        self._present.append(present)
        self._end += present

    def end_episode(self, i: int, episode: EndedEpisode) -> None:
        """Notes that an episode of an environment has ended, for its next chunk."""
        self._ended[i].append(episode)

    def take(self, *, but_last: bool = False) -> list[RecordChunk]:
        """Returns, and forgets, the records that were added: one chunk a stream, if any.

        Args:
            but_last: Leaves out what was added last. The streams must have ended then.
        """
        steps = self._steps[:-1] if but_last else self._steps
        present, start = np.array(self._present[: len(steps)]), self._start
        self._begin()
        if not steps:
            return []
        stacked = {name: np.array([step[name] for step in steps]) for name in steps[0]}
        whole = present.all()
        ended, self._ended = self._ended, [[] for _ in self._ended]
        return [
            RecordChunk(
                f"{self.prefix}-{i}",
                int(start[i]),
                {name: x[:, i] if whole else x[present[:, i], i] for name, x in stacked.items()},
                tuple(ended[i]),
            )
            for i in range(len(start))
        ]

    def _begin(self) -> None:
        self._start = self._end.copy()
        self._steps: list[Columns] = []
        self._present: list[np.ndarray] = []
