"""Callbacks of Ray Tune: progress, checkpoints by time, interrupts. Imports Ray."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT

from rllib_cli.advice import Advice
from rllib_cli.display import Display
from rllib_cli.experiments import Experiment
from rllib_cli.interrupts import Interrupts
from rllib_cli.resume import save_trial_description
from rllib_dreamerv3.plugin.cluster.forwarded_warnings import take_warnings
from rllib_dreamerv3.plugin.tune.csv_logger import CompleteCSVLoggerCallback
from rllib_dreamerv3.plugin.tune.loggers import EnvStepsTBXLoggerCallback
from rllib_dreamerv3.plugin.tune.run_folder import RunFolderCallback

_WARNINGS_EVERY_S = 2.0

# Tune creates the callback from its class name: an instance would be pickled into the experiment's
# files, and a resumed experiment would use the display of an earlier run.
_context: "_Context | None" = None


class _Context(NamedTuple):
    display: Display
    interrupts: Interrupts
    experiment: Experiment


@contextmanager
def command_callbacks(
    display: Display,
    interrupts: Interrupts,
    experiment: Experiment,
    trackers: Sequence[type[Callback]] = (),
) -> Iterator[None]:
    """Register the command's callbacks for every Tune run inside the block.

    Args:
        display: Shows the progress.
        interrupts: After a request, running trials save a checkpoint and Tune stops.
        experiment: Defines when trials end, also resumed ones, and how often they are saved.
        trackers: Callbacks of experiment trackers.

    Yields:
        Nothing.
    """
    global _context
    _context = _Context(display, interrupts, experiment)
    # The first results of a trial precede the end of its first episode and have no return.
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    callbacks: tuple[type[Callback], ...] = (
        CommandCallback,
        CompleteCSVLoggerCallback,
        EnvStepsTBXLoggerCallback,
        RunFolderCallback,
        *trackers,
    )
    names = [f"{each.__module__}.{each.__name__}" for each in callbacks]
    os.environ["RAY_TUNE_CALLBACKS"] = ",".join(names)
    try:
        yield
    finally:
        _context = None
        del os.environ["RAY_TUNE_CALLBACKS"]


class CommandCallback(Callback):
    """Shows the progress of trials and saves them by time and before an interrupted run ends."""

    def __init__(self) -> None:
        assert _context is not None, "created by Tune inside command_callbacks()"
        self._display, self._interrupts, experiment = _context
        self._criteria = experiment.stop
        self._save_every_s = 60 * experiment.checkpoint_every_min
        self._advice = Advice()
        self._saved_at: dict[str, float] = {}
        self._to_save: set[str] | None = None
        self._next_warnings_at = 0.0

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: Any,
    ) -> None:
        self._display.expected_trials = total_num_samples or 1

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        pending = False
        for trial in trials:
            if self._criteria:
                trial.stopping_criterion = dict(self._criteria)
            if trial.status == Trial.PENDING:
                pending = True
                self._display.trial(trial.trial_id, _name(trial))
        busy = any(trial.status == Trial.RUNNING for trial in trials)
        self._display.set_phase(
            "starting trial: loading TensorFlow" if pending and not busy else ""
        )

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._display.tick()
        if time.monotonic() > self._next_warnings_at:
            self._next_warnings_at = time.monotonic() + _WARNINGS_EVERY_S
            for text in take_warnings():
                self._display.print(text)
        if not self._interrupts.requested:
            return
        if self._to_save is None:
            self._to_save = {
                trial.trial_id
                for trial in trials
                if trial.status == Trial.RUNNING and self._display.trials[trial.trial_id].result
            }
            self._display.print(
                "Stopping: finishing the iteration and saving a checkpoint. "
                "Ctrl-C again stops without saving."
                if self._to_save
                else "Stopping: no trial has a result to save yet."
            )
        if not self._to_save:
            for trial in trials:
                if actor := trial.temporary_state.ray_actor:
                    # Tune would wait for the iteration that it has started.
                    ray.kill(actor)
            # At this signal Tune saves the experiment's state and stops.
            signal.raise_signal(signal.SIGUSR1)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._saved_at[trial.trial_id] = time.monotonic()
        save_trial_description(trial)
        phase = (
            "restoring checkpoint, then compiling the first update"
            if trial.checkpoint
            else "filling replay buffer, then compiling the first update"
        )
        self._display.trial_waits(trial.trial_id, _name(trial), phase)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._display.trial_reports(trial.trial_id, _name(trial), result)
        progress = self._display.trials[trial.trial_id]
        for text in self._advice.take(trial.trial_id, result, progress, self._criteria or {}):
            self._display.print(text)
        age = time.monotonic() - self._saved_at.setdefault(trial.trial_id, time.monotonic())
        if self._interrupts.requested or 0 < self._save_every_s <= age:
            result[SHOULD_CHECKPOINT] = True

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._saved(trial)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._display.trial_ends(trial.trial_id, _name(trial), failed=False)
        self._saved(trial)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._display.print(f"{_name(trial)} failed; restarting from its last checkpoint.")
        self._saved(trial)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._display.trial_ends(trial.trial_id, _name(trial), failed=True)
        self._saved(trial)

    def _saved(self, trial: Trial) -> None:
        self._saved_at[trial.trial_id] = time.monotonic()
        if self._to_save:
            self._to_save.discard(trial.trial_id)


def _name(trial: Trial) -> str:
    """``"00002 lr=0.001"``: a trial's number and the options that vary between trials."""
    number = trial.trial_id.rpartition("_")[2]
    varied = ", ".join(
        f"{key.rpartition('/')[2]}={value}" for key, value in trial.evaluated_params.items()
    )
    return f"{number} {varied}".strip()
