"""``Finding``, and helpers shared by the rules."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.reports.history import History

LEARNER = "learners/default_policy"
RETURN = "env_runners/episode_return"
LENGTH = "env_runners/episode_len_mean"

# Fraction of the latest results to evaluate.
LATE = 1 / 3
# A reward head that explains less of the deviation from the median reward has not learned rewards.
FEW_PREDICTED = 0.25


@dataclass(frozen=True)
class Finding:
    """A likely fault of a run.

    Attributes:
        name: Name of the finding.
        evidence: What was observed, with numbers.
        change: What to change.
    """

    name: str
    evidence: str
    change: str

    def __str__(self) -> str:
        """One line for each of the three."""
        return f"{self.name}\n  {self.evidence}\n  {self.change}"


def greatest_return(history: History) -> float:
    """Largest absolute return so far; 0 if there is none."""
    returns = [*history.values(f"{RETURN}_max"), *history.values(f"{RETURN}_min")]
    return max(map(abs, returns), default=0.0)


def has_improved(history: History) -> bool:
    """Whether returns have risen from the start by a tenth of their range."""
    means = history.values(f"{RETURN}_mean")
    if len(means) < 2:
        return True
    every = [*history.values(f"{RETURN}_max"), *history.values(f"{RETURN}_min")]
    late = statistics.median(history.values(f"{RETURN}_mean", LATE))
    return late > means[0] + 0.1 * (max(every) - min(every))


def late_median(history: History, name: str) -> float | None:
    """Median of a learner metric over the latest results; None if it was never reported."""
    values = history.values(f"{LEARNER}/{name}", LATE)
    return statistics.median(values) if values else None


def share_predicted(history: History) -> float | None:
    """Share of reward deviation that is predicted, over the latest results.

    Returns:
        1 for all, 0 for none. None if hardly any reward deviates from the median, or if such
        rewards are too new to be learned.
    """
    name = f"{LEARNER}/WORLD_MODEL_reward_signal"
    rows = history.rows(name, f"{name}_predicted")
    late = len(rows) - math.ceil(len(rows) * LATE)
    found = [(signal, predicted) for signal, predicted in rows[late:] if signal]
    if len(found) < 5 or not any(signal for signal, _ in rows[:late]):
        return None
    return sum(predicted for _, predicted in found) / sum(signal for signal, _ in found)


def learning_rate(history: History, part: str) -> str:
    """Name and value, which may be a schedule, of the option for the learning rate of a part."""
    name = "lr" if option(history, "optimizer_type") == "laprop" else f"{part}_lr"
    value = option(history, name)
    return f"{name} (now {value:g})" if isinstance(value, float) else f"{name} (now {value})"


def option(history: History, name: str) -> Any:
    """Effective value of an option."""
    value = history.config.get(name)
    if value is not None:
        return value
    size, variant = history.config.get("model_size", "XS"), history.config.get("variant")
    return OPTIONS[name].default(variant_of(size, variant))
