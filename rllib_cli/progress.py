"""Progress of a trial, from its results. Tolerates missing values."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rllib_cli.stop_criteria import COUNTERS
from rllib_dreamerv3.reports.curve import TRAINING_RETURN

# Rates are averaged over the last minute, and over at least this many intervals between results.
_WINDOW_S = 60.0
_MIN_INTERVALS = 3
# The first intervals of a run, or after a restart, compile: their rate is below this share of the
# later ones.
_COMPILING = 0.5
_TIME, _UPDATES = "time_total_s", "num_grad_updates_lifetime"

_LEARNER = "learners/default_policy"
LOSSES = {
    "world": f"{_LEARNER}/WORLD_MODEL_L_total",
    "actor": f"{_LEARNER}/ACTOR_L_total",
    "critic": f"{_LEARNER}/CRITIC_L_total",
}
"""Short name -> result of each loss that is shown."""


def look_up(result: Mapping[str, Any], path: str) -> float | None:
    """Read a number from a nested result; None if it is missing, NaN or not a number."""
    value: Any = result
    for key in path.split("/"):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


@dataclass
class TrialProgress:
    """State and progress of one trial.

    Attributes:
        name: The trial's number and the options that vary between trials.
        phase: What the trial waits for, e.g. compilation; empty once it makes updates.
        detail: Progress within the phase, if it can be counted.
        since: Start of the phase, in seconds of ``time.monotonic``.
        state: ``pending``, ``running``, ``finished`` or ``failed``.
        result: The last result.
    """

    name: str
    phase: str = ""
    detail: str = ""
    since: float = field(default_factory=time.monotonic)
    state: str = "pending"
    result: Mapping[str, Any] = field(default_factory=dict)
    _history: deque[dict[str, float]] = field(default_factory=deque)
    _is_stable: bool = False

    def enter(self, phase: str, detail: str = "") -> None:
        """Set phase and detail."""
        if phase != self.phase:
            self.since = time.monotonic()
        self.phase, self.detail = phase, detail

    @property
    def waits_for(self) -> str:
        """Phase and detail as one text; empty if there is no phase."""
        return f"{self.phase} {self.detail}".rstrip()

    def update(self, result: Mapping[str, Any]) -> None:
        """Add the trial's next result."""
        had_updates = bool(self.grad_updates)
        self.result = result
        self.state = "running"
        counters = {
            name: value for name in COUNTERS if (value := look_up(result, name)) is not None
        }
        # Rates exclude the time before the first update (filling replay, compiling) and before
        # a restored checkpoint, which sets the counters back.
        went_back = self._history and any(
            counters.get(name, value) < value for name, value in self._history[-1].items()
        )
        if bool(self.grad_updates) != had_updates or went_back:
            self._history.clear()
            self._is_stable = False
        self._history.append(counters)
        self._forget_compiling()
        self._forget_old()
        self._read_phase()

    def _forget_compiling(self) -> None:
        """Drop the first interval if updates were far slower in it than in the next ones.

        Later slow intervals, e.g. with an evaluation, belong to the rate.
        """
        if self._is_stable or len(self._history) <= _MIN_INTERVALS:
            return
        first, second, *_, last = self._history
        rate, later = _rate(_UPDATES, first, second), _rate(_UPDATES, second, last)
        if rate is not None and later is not None and rate < _COMPILING * later:
            self._history.popleft()
        else:
            self._is_stable = True

    def _forget_old(self) -> None:
        now = self._history[-1].get(_TIME, math.inf)
        while len(self._history) > 1 + _MIN_INTERVALS:
            if self._history[1].get(_TIME, -math.inf) > now - _WINDOW_S:
                break
            self._history.popleft()

    def _read_phase(self) -> None:
        target = look_up(self.result, "replay_buffer/prefill_target")
        stored = look_up(self.result, "replay_buffer/num_windows")
        if self.grad_updates or target is None or stored is None:
            self.enter("")
        elif stored < target:
            # The update that compiles may come before the next result.
            self.enter(
                "filling replay buffer",
                f"{stored:,.0f}/{target:,.0f} sequence starts, then compiling the first update",
            )
        else:
            self.enter("compiling the first update")

    @property
    def iteration(self) -> float | None:
        """Iterations so far, including those before restarts."""
        return look_up(self.result, "training_iteration")

    @property
    def env_steps(self) -> float | None:
        """Env steps so far."""
        return look_up(self.result, "num_env_steps_sampled_lifetime")

    @property
    def grad_updates(self) -> float | None:
        """Updates so far."""
        return look_up(self.result, "num_grad_updates_lifetime")

    @property
    def training_ratio(self) -> float | None:
        """Records trained on per sampled record, measured."""
        return look_up(self.result, "actual_training_ratio")

    @property
    def return_mean(self) -> float | None:
        """Mean return of recent episodes."""
        return look_up(self.result, TRAINING_RETURN)

    @property
    def return_last(self) -> float | None:
        """Return of the last episode."""
        return look_up(self.result, "env_runners/episode_return_last")

    @property
    def evaluates(self) -> bool:
        """Whether the trial evaluates its policy."""
        interval = look_up(self.result, "config/evaluation_interval")
        return bool(interval) or self.evaluation_return is not None

    @property
    def evaluation_return(self) -> float | None:
        """Mean return of the last evaluation."""
        return look_up(self.result, "evaluation/env_runners/episode_return_mean")

    @property
    def episode_length(self) -> float | None:
        """Mean length of recent episodes, in env steps."""
        return look_up(self.result, "env_runners/episode_len_mean")

    @property
    def seconds(self) -> float | None:
        """Seconds of all iterations so far."""
        return look_up(self.result, "time_total_s")

    def losses(self) -> dict[str, float | None]:
        """Short name -> value of the losses."""
        return {name: look_up(self.result, path) for name, path in LOSSES.items()}

    def rate(self, counter: str) -> float | None:
        """Recent growth of a counter per second; None before two comparable results."""
        if len(self._history) < 2:
            return None
        return _rate(counter, self._history[0], self._history[-1])

    def time_to_go(self, stop: Mapping[str, float]) -> tuple[float, str] | None:
        """Estimate the time until the first stop criterion is reached.

        Args:
            stop: Result name -> value at which the trial ends. Only counters are considered.

        Returns:
            Seconds and the criterion's name; None if there is no estimate, e.g. because there are
            too few results since the first update.
        """
        estimates: list[tuple[float, str]] = []
        if self.phase:
            return None
        for name, target in stop.items():
            value = look_up(self.result, name)
            rate = 1.0 if name == _TIME else self.rate(name) if self._is_stable else None
            if name in COUNTERS and value is not None and rate:
                estimates.append((max(0.0, (target - value) / rate), name))
        return min(estimates) if estimates else None


def _rate(counter: str, first: Mapping[str, float], last: Mapping[str, float]) -> float | None:
    """Growth of a counter per second between two results; None if it is unknown."""
    seconds = last.get(_TIME, 0.0) - first.get(_TIME, 0.0)
    if counter not in last or seconds <= 0:
        return None
    return (last[counter] - first.get(counter, 0.0)) / seconds
