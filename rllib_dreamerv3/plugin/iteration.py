"""What one call of ``train()`` keeps until its result is complete."""

import time
from dataclasses import dataclass, field
from typing import Any

from rllib_dreamerv3.records import Columns


@dataclass
class Iteration:
    """Begins and ends with one call of ``train()``.

    RLlib calls ``training_step()`` without arguments, maybe several times, and takes from it only
    what can be averaged; this is what else the steps know and leave behind.

    Attributes:
        seconds: Time after which no further sample or update begins.
        began: When the iteration began, by ``time.monotonic()``, in seconds.
        last_batch: Record columns ``[B, K+T, ...]`` of the last update; None before the first.
        reports: Reports for the learner's results, by name.
        evaluated: Whether there was an evaluation.
        pictures: Files of the last dream, by their names in the results.
    """

    seconds: float
    began: float = field(default_factory=time.monotonic)
    last_batch: Columns | None = None
    reports: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    evaluated: bool = False

    @property
    def time_is_up(self) -> bool:
        """Whether it has lasted long enough."""
        return time.monotonic() - self.began > self.seconds
