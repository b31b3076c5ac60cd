"""Where Tune tells the command what happens. Imports Ray: import it late."""

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
from rllib_cli.resume import keep_trial
from rllib_dreamerv3.plugin.cluster.worker_status import take_warnings
from rllib_dreamerv3.plugin.tune.loggers import CompleteCSVLoggerCallback, EnvStepsTBXLoggerCallback
from rllib_dreamerv3.plugin.tune.run_folder import RunFolderCallback

_LISTEN_EVERY_S = 2.0

# How Ray's callbacks are told where to put results when Tune makes them, from their names.
_PROJECT, _EXPERIMENT = "WANDB_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"

# Tune makes the callback itself, from its name: one that is passed to it would be written into
# the experiment's files, and a resumed experiment would talk to the display of an earlier run.
_listener: "_Listener | None" = None


class _Listener(NamedTuple):
    display: Display
    interrupts: Interrupts
    experiment: Experiment


@contextmanager
def told_to(
    display: Display,
    interrupts: Interrupts,
    experiment: Experiment,
    trackers: Sequence[type[Callback]] = (),
) -> Iterator[None]:
    """Lets every experiment inside the block tell its progress, and obey interrupts.

    Args:
        display: Shows the progress.
        interrupts: Once these are requested, running trials save a checkpoint, and Tune stops.
        experiment: Says when trials end, resumed ones too, and how often they are saved.
        trackers: Callbacks that hand results over to services for experiments.

    Yields:
        Nothing.
    """
    global _listener
    _listener = _Listener(display, interrupts, experiment)
    # The first results of a trial come before its first episode ends, and hold no return.
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
        _listener = None
        del os.environ["RAY_TUNE_CALLBACKS"]


class CommandCallback(Callback):
    """Passes on what Tune tells, and saves before an interrupted run ends."""

    def __init__(self) -> None:
        assert _listener is not None, "to be made by Tune inside told_to()"
        self._display, self._interrupts, experiment = _listener
        self._criteria = experiment.stop
        self._save_every_s = 60 * experiment.checkpoint_every_min
        self._advice = Advice()
        self._saved_at: dict[str, float] = {}
        self._to_save: set[str] | None = None
        self._listen_again_at = 0.0

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: Any,
    ) -> None:
        """Tells how many trials there will be."""
        self._display.expected_trials = total_num_samples or 1

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tells of trials that wait for their process, and trials when they are to stop."""
        pending = False
        for trial in trials:
            if self._criteria:
                trial.stopping_criterion = dict(self._criteria)
            if trial.status == Trial.PENDING:
                pending = True
                self._display.trial(trial.trial_id, _name(trial))
        busy = any(trial.status == Trial.RUNNING for trial in trials)
        self._display.wait("starting trial: loading TensorFlow" if pending and not busy else "")

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ends the run once everything is saved that was to be saved."""
        self._display.tick()
        if time.monotonic() > self._listen_again_at:
            self._listen_again_at = time.monotonic() + _LISTEN_EVERY_S
            for text in take_warnings():
                self._display.say(text)
        if not self._interrupts.requested:
            return
        if self._to_save is None:
            self._to_save = {
                trial.trial_id
                for trial in trials
                if trial.status == Trial.RUNNING and self._display.trials[trial.trial_id].result
            }
            self._display.say(
                "Stopping: finishing the iteration and saving a checkpoint. "
                "Ctrl-C again stops without saving."
                if self._to_save
                else "Stopping: no trial has anything to save yet."
            )
        if not self._to_save:
            for trial in trials:
                if actor := trial.temporary_state.ray_actor:
                    # It has begun another iteration, and Tune would wait for that.
                    ray.kill(actor)
            # The signal at which Tune writes down the state of the experiment and stops.
            signal.raise_signal(signal.SIGUSR1)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Tells that the trial's process and all that it needs have been built."""
        self._saved_at[trial.trial_id] = time.monotonic()
        keep_trial(trial)
        phase = (
            "restoring checkpoint, then compiling the first update"
            if trial.checkpoint
            else "filling replay buffer, then compiling the first update"
        )
        self._display.trial_waits(trial.trial_id, _name(trial), phase)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Passes the result on, and asks for a checkpoint in time, or if the run is to stop."""
        self._display.trial_reports(trial.trial_id, _name(trial), result)
        progress = self._display.trials[trial.trial_id]
        for text in self._advice.take(trial.trial_id, result, progress, self._criteria or {}):
            self._display.say(text)
        age = time.monotonic() - self._saved_at.setdefault(trial.trial_id, time.monotonic())
        if self._interrupts.requested or 0 < self._save_every_s <= age:
            result[SHOULD_CHECKPOINT] = True

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes that the trial is saved."""
        self._saved(trial)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Tells that the trial has ended."""
        self._display.trial_ends(trial.trial_id, _name(trial), failed=False)
        self._saved(trial)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Tells that the trial has failed and is taken up again."""
        self._display.say(f"{_name(trial)} failed and starts again from its last checkpoint.")
        self._saved(trial)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Tells that the trial has failed."""
        self._display.trial_ends(trial.trial_id, _name(trial), failed=True)
        self._saved(trial)

    def _saved(self, trial: Trial) -> None:
        self._saved_at[trial.trial_id] = time.monotonic()
        if self._to_save:
            self._to_save.discard(trial.trial_id)


def _name(trial: Trial) -> str:
    """``"00002 lr=0.001"``: a trial's number, and what it does not share with the others."""
    number = trial.trial_id.rpartition("_")[2]
    varied = ", ".join(
        f"{key.rpartition('/')[2]}={value}" for key, value in trial.evaluated_params.items()
    )
    return f"{number} {varied}".strip()


def trackers(wandb: str | None, mlflow: str | None) -> list[Any]:
    """Callbacks of Tune for services, and what they read from environment variables.

    Args:
        wandb: Project of Weights & Biases; None for none.
        mlflow: Name of MLflow's experiment; None for none. Where its server is says
            ``MLFLOW_TRACKING_URI``, as for MLflow itself.

    Returns:
        Classes of callbacks.
    """
    found: list[Any] = []
    if wandb:
        from ray.air.integrations.wandb import WandbLoggerCallback

        os.environ[_PROJECT] = wandb
        found.append(WandbLoggerCallback)
    if mlflow:
        from rllib_dreamerv3.plugin.tune.loggers import EnvStepsMLflowLoggerCallback

        os.environ[_EXPERIMENT] = mlflow
        found.append(EnvStepsMLflowLoggerCallback)
    return found
