"""Returns of one run, by env steps and by time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS, History, flat

TRAINING_RETURN = "env_runners/episode_return_mean"
EVALUATION_RETURN = "evaluation/env_runners/episode_return_mean"
# Results repeat the last evaluation; the duration of its episodes identifies it.
_EVALUATION_TIME = "evaluation/env_runners/episode_duration_sec_mean"


@dataclass
class Points:
    """Reported values, oldest first.

    Attributes:
        steps: Env steps so far.
        seconds: Time since the run began, without interruptions.
        values: The reported values.
    """

    steps: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, history: History, name: str) -> "Points":
        """Return all values that a run has reported under a name."""
        rows = history.rows(ENV_STEPS, SECONDS, name)
        return cls(*map(list, zip(*rows, strict=True))) if rows else cls()

    def forget_after(self, steps: float) -> None:
        """Drop values at more env steps, which are lost if the run was resumed from there."""
        while self.steps and self.steps[-1] > steps:
            for column in (self.steps, self.seconds, self.values):
                column.pop()

    def add(self, steps: float, seconds: float, value: float) -> None:
        """Add the newest value."""
        self.steps.append(steps)
        self.seconds.append(seconds)
        self.values.append(value)

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class Curve:
    """A run's returns.

    Attributes:
        group: Common name of runs that differ only in their seeds.
        env: The environment's name.
        training: Mean return of the last training episodes.
        evaluation: Mean return of evaluation episodes.
    """

    group: str
    env: str
    training: Points = field(default_factory=Points)
    evaluation: Points = field(default_factory=Points)
    _evaluation_time: float | None = None

    @classmethod
    def of(cls, history: History, group: str, env: str) -> "Curve":
        """Extract the returns from a run's results."""
        curve = cls(group, env, Points.of(history, TRAINING_RETURN))
        for row in history.rows(ENV_STEPS, SECONDS, EVALUATION_RETURN, _EVALUATION_TIME):
            curve._add_evaluation(*row)
        return curve

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a result of ``train()``, after dropping results at more env steps."""
        row = dict(flat({name: x for name, x in result.items() if name != "config"}))
        steps, seconds = _number(row.get(ENV_STEPS)), _number(row.get(SECONDS))
        self.training.forget_after(steps)
        self.evaluation.forget_after(steps)
        training = _number(row.get(TRAINING_RETURN))
        if math.isfinite(steps + seconds + training):
            self.training.add(steps, seconds, training)
        evaluation = [_number(row.get(name)) for name in (EVALUATION_RETURN, _EVALUATION_TIME)]
        if math.isfinite(steps + seconds + sum(evaluation)):
            self._add_evaluation(steps, seconds, *evaluation)

    def _add_evaluation(self, steps: float, seconds: float, value: float, time: float) -> None:
        """Add an evaluation, unless the result repeats an earlier one."""
        if time != self._evaluation_time:
            self._evaluation_time = time
            self.evaluation.add(steps, seconds, value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
