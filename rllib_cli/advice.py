"""One-time messages about a run: settings for CPUs, its estimated duration, findings."""

from collections.abc import Iterator, Mapping
from typing import Any

from rllib_cli.progress import TrialProgress
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.reports.findings import findings
from rllib_dreamerv3.reports.history import UPDATES, History

# Shorter runs get no estimate; the table's time to go is enough.
_LONG_RUN_S = 3600.0
# Results between two searches for findings.
_FINDINGS_EVERY = 10

# Sizes that learn little for thousands of updates with the default learning rates, which are those
# of large models. In v1 XS learned Finger Spin with them.
_SMALL_SIZES = ("nano", "micro", "mini", "XXS", "1M")
_SMALL_SIZES_OF = {"adam": _SMALL_SIZES, "laprop": (*_SMALL_SIZES, "XS")}
# Optimizer -> its rates, and settings that have learned on CPUs.
_BATCHES = "batch_size_B 8, batch_length_T 32, training_ratio 256"
CPU_SETTINGS = {
    "laprop": (("lr",), f"lr 3e-4, lr_warmup 300, {_BATCHES}", "tuned_examples/dmc_cpu.yaml"),
    "adam": (
        ("world_model_lr", "actor_lr", "critic_lr"),
        f"world_model_lr 4e-4, actor_lr 1e-4, critic_lr 3e-4, {_BATCHES}",
        "tuned_examples/cartpole.yaml",
    ),
}

_FIRST_LOOK = "tuned_examples/first_look.yaml"
_ENV_OF_FIRST_LOOK = "Catch-v0"


class Advice:
    """Collects the results of an experiment's trials and yields each message once."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._shown: set[tuple[str, str]] = set()

    def take(
        self,
        trial_id: str,
        result: Mapping[str, Any],
        trial: TrialProgress,
        stop: Mapping[str, Any],
    ) -> Iterator[str]:
        """Add a result.

        Args:
            trial_id: The trial's id.
            result: The result.
            trial: The trial's progress, including this result.
            stop: Stop criteria.

        Yields:
            New messages.
        """
        history = self._histories.setdefault(trial_id, History())
        history.add(result)
        settings = cpu_settings(result)
        if settings and self._is_new("", "settings"):
            yield settings
        estimate = self._estimate(result, trial, stop)
        if estimate and self._is_new(trial_id, "estimate"):
            yield estimate
        if len(history) % _FINDINGS_EVERY == 0:
            for finding in findings(history):
                if self._is_new(trial_id, finding.name):
                    yield f"{trial.name}: {finding}"

    def _is_new(self, trial_id: str, what: str) -> bool:
        key = (trial_id, what)
        if key in self._shown:
            return False
        self._shown.add(key)
        return True

    @staticmethod
    def _estimate(
        result: Mapping[str, Any], trial: TrialProgress, stop: Mapping[str, Any]
    ) -> str | None:
        rate, to_go = trial.rate(UPDATES), trial.time_to_go(stop)
        if not rate or to_go is None:
            return None
        seconds, criterion = to_go
        if seconds < _LONG_RUN_S:
            return None
        estimate = (
            f"{1 / rate:.2g} s an update: {criterion} {stop[criterion]:,.0f} is reached in about "
            f"{long_duration(seconds)} on this machine."
        )
        if (result.get("config") or {}).get("env") == _ENV_OF_FIRST_LOOK:
            return estimate
        return f"{estimate} For a first result in minutes: rllib train file {_FIRST_LOOK}"


def smaller_size(config: Mapping[str, Any]) -> str | None:
    """Suggest a smaller model to users of CPUs who have not chosen a size.

    Args:
        config: RLlib's config as a dict, with the options that were set.

    Returns:
        One line; None if a size is set, or the learner gets a GPU.
    """
    if config.get("model_size") is not None or config.get("num_gpus_per_learner"):
        return None
    return (
        f"model_size is not set, so it is {OPTIONS['model_size'].v1}. On two CPU cores an update "
        "of the default batch takes 0.6 s with vectors and 2 s with 64x64 images; with 1M, the "
        'smallest size of v2, 0.3 s and 0.8 s: --config \'{"model_size": "1M"}\''
    )


def cpu_settings(result: Mapping[str, Any]) -> str | None:
    """Name settings for CPUs if a small model is trained on one with the default learning rates.

    Args:
        result: A result, with its config.

    Returns:
        One line; None if it does not apply.
    """
    config = result.get("config") or {}
    size = config.get("model_size")
    if result.get("learner_device") != "CPU" or size not in _SMALL_SIZES_OF["laprop"]:
        return None
    variant = variant_of(size, config.get("variant"))
    optimizer = config.get("optimizer_type") or OPTIONS["optimizer_type"].default(variant)
    if size not in _SMALL_SIZES_OF[optimizer]:
        return None
    rates, settings, file = CPU_SETTINGS[optimizer]
    for rate in rates:
        if config.get(rate) not in (None, OPTIONS[rate].default(variant)):
            return None
    return (
        f"The default learning rates are those of large models. On CPUs, small ones have learned "
        f"with {settings}: {file}"
    )


def long_duration(seconds: float) -> str:
    """A duration in its largest suitable unit, e.g. ``4.0 days``."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
