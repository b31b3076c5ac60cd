"""What Tune tells of results, whatever it then writes to files."""

from typing import Any

from ray.tune import Callback


class Watcher(Callback):
    """Keeps all results, by the trial's number."""

    def __init__(self) -> None:
        self.results: dict[int, list[dict[str, Any]]] = {}

    def on_trial_result(
        self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.results.setdefault(int(trial.trial_id.rpartition("_")[2]), []).append(result)
