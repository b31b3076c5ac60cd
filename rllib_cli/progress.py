"""How far a trial is, read from the results that it reports. Tolerates missing results."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rllib_cli.stop_criteria import COUNTERS

# Rates are means over so many results, about a minute and a half at RLlib's pace.
_WINDOW = 10

_LEARNER = "learners/default_policy"
LOSSES = {
    "world": f"{_LEARNER}/WORLD_MODEL_L_total",
    "actor": f"{_LEARNER}/ACTOR_L_total",
    "critic": f"{_LEARNER}/CRITIC_L_total",
}
"""The losses that are shown, by their short names."""


def look_up(result: Mapping[str, Any], path: str) -> float | None:
    """A number in a nested result, or None if it is missing, NaN or not a number."""
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
    """What is shown of one trial.

    Attributes:
        name: Tune's name of the trial, with what varies between trials.
        phase: What is being waited for; empty while updates are being made.
        detail: How far that is, if it can be counted.
        since: When that phase began, in seconds of ``time.monotonic``.
        state: ``pending``, ``running``, ``finished`` or ``failed``.
        result: The last result.
    """

    name: str
    phase: str = ""
    detail: str = ""
    since: float = field(default_factory=time.monotonic)
    state: str = "pending"
    result: Mapping[str, Any] = field(default_factory=dict)
    _history: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def enter(self, phase: str, detail: str = "") -> bool:
        """Notes what is being waited for from now on; returns whether that is something new."""
        news = (phase, detail) != (self.phase, self.detail)
        if phase != self.phase:
            self.since = time.monotonic()
        self.phase, self.detail = phase, detail
        return news

    @property
    def waits_for(self) -> str:
        """What is being waited for, and how far that is; empty if nothing."""
        return f"{self.phase} {self.detail}".rstrip()

    def update(self, result: Mapping[str, Any]) -> None:
        """Takes in the next result of the trial."""
        had_updates = bool(self.grad_updates)
        self.result = result
        self.state = "running"
        counters = {
            name: value for name in COUNTERS if (value := look_up(result, name)) is not None
        }
        # Filling the buffer and compiling say nothing about the pace of training, and neither
        # does the time before the counters were set back by a restored checkpoint.
        went_back = self._history and any(
            counters.get(name, value) < value for name, value in self._history[-1].items()
        )
        if bool(self.grad_updates) != had_updates or went_back:
            self._history.clear()
        self._history.append(counters)
        self._read_phase()

    def _read_phase(self) -> None:
        target = look_up(self.result, "replay_buffer/prefill_target")
        stored = look_up(self.result, "replay_buffer/num_windows")
        if self.grad_updates or target is None or stored is None:
            self.enter("")
        elif stored < target:
            self.enter("filling replay buffer", f"{stored:,.0f}/{target:,.0f} records")
        else:
            self.enter("compiling the first update")

    @property
    def iteration(self) -> float | None:
        """Results reported so far, over all restarts."""
        return look_up(self.result, "training_iteration")

    @property
    def env_steps(self) -> float | None:
        """Environment steps taken."""
        return look_up(self.result, "num_env_steps_sampled_lifetime")

    @property
    def grad_updates(self) -> float | None:
        """Gradient updates made."""
        return look_up(self.result, "num_grad_updates_lifetime")

    @property
    def training_ratio(self) -> float | None:
        """Replayed steps per environment step, as reached."""
        return look_up(self.result, "actual_training_ratio")

    @property
    def return_mean(self) -> float | None:
        """Mean return of recent episodes."""
        return look_up(self.result, "env_runners/episode_return_mean")

    @property
    def return_last(self) -> float | None:
        """Return of the last episode."""
        return look_up(self.result, "env_runners/episode_return_last")

    @property
    def episode_length(self) -> float | None:
        """Mean length of recent episodes, in steps."""
        return look_up(self.result, "env_runners/episode_len_mean")

    @property
    def seconds(self) -> float | None:
        """Time of all iterations so far."""
        return look_up(self.result, "time_total_s")

    def losses(self) -> dict[str, float | None]:
        """The losses that are shown."""
        return {name: look_up(self.result, path) for name, path in LOSSES.items()}

    def rate(self, counter: str) -> float | None:
        """How fast a counter grows, per second; None while that cannot be told."""
        if len(self._history) < 2:
            return None
        first = self._history[0]
        seconds = self._history[-1].get("time_total_s", 0) - first.get("time_total_s", 0)
        last = self._history[-1]
        if counter not in last or not seconds:
            return None
        return (last[counter] - first.get(counter, 0)) / seconds

    def time_to_go(self, stop: Mapping[str, float]) -> tuple[float, str] | None:
        """The time until the nearest stop criterion that can be told.

        Args:
            stop: Number by result.

        Returns:
            Seconds and the criterion's name; None if nothing can be told.
        """
        estimates: list[tuple[float, str]] = []
        if self.phase:
            return None
        for name, target in stop.items():
            value = look_up(self.result, name)
            rate = 1.0 if name == "time_total_s" else self.rate(name)
            if name in COUNTERS and value is not None and rate:
                estimates.append((max(0.0, (target - value) / rate), name))
        return min(estimates) if estimates else None
