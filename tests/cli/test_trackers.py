"""Experiment trackers are closed after the run has ended, also where trials were interrupted."""

import os
import sys
import time
import types
from unittest.mock import create_autospec

import pytest
from ray import tune
from ray.air._internal.mlflow import _MLflowLoggerUtil
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial

from rllib_cli.trackers import MLflow, Wandb, close_trackers, trackers


class Nothing(tune.Trainable):
    """What the trials would run."""


@pytest.fixture
def trials(monkeypatch):
    # The packages are not installed for tests; they are not called.
    # Restored afterwards.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setitem(sys.modules, "mlflow", types.ModuleType("mlflow"))
    monkeypatch.setattr("ray.air.integrations.wandb.wandb", types.ModuleType("wandb"))
    tune.register_trainable("Nothing", Nothing)
    return [Trial("Nothing", trial_id=f"run_0000{n}") for n in range(2)]


def test_services_are_rays_own_callbacks(monkeypatch):
    for name in ("WANDB_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "of another run")
    wandb, mlflow = trackers("project", "experiment")
    assert issubclass(wandb, WandbLoggerCallback)
    assert issubclass(mlflow, MLflowLoggerCallback)
    # Where those two look when Tune makes them without arguments.
    assert os.environ["WANDB_PROJECT_NAME"] == "project"
    assert os.environ["MLFLOW_EXPERIMENT_NAME"] == "experiment"
    assert trackers(None, None) == []


def mlflow(runs):
    """The callback, with trials' runs in progress, and what it ends them with."""
    callback = MLflow()
    callback.mlflow_util = create_autospec(_MLflowLoggerUtil, instance=True)
    callback._trial_runs = runs
    callback._running.update(runs)
    return callback, callback.mlflow_util.end_run


def test_runs_of_interrupted_trials_are_ended(trials):
    callback, end_run = mlflow({trials[0]: "a", trials[1]: "b"})
    callback.on_trial_complete(1, trials, trials[0])
    callback.on_experiment_end(trials)
    end_run.assert_called_once_with(run_id="a", status="FINISHED")
    close_trackers(interrupted=True)
    end_run.assert_called_with(run_id="b", status="KILLED")
    # Else a server that is gone is tried for minutes.
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    # Once.
    close_trackers(interrupted=True)
    assert end_run.call_count == 2


@pytest.mark.parametrize("interrupted", [False, True])
def test_uploads_of_interrupted_trials_are_awaited_for_seconds(trials, monkeypatch, interrupted):
    callback, calls = Wandb(), []
    monkeypatch.setattr(callback, "_signal_logging_actor_stop", calls.append)
    monkeypatch.setattr(callback, "_cleanup_logging_actors", lambda **how: calls.append(how))
    callback._running.update(trials[:1])
    before = time.monotonic()
    callback.on_experiment_end(trials)
    assert not calls
    close_trackers(interrupted)
    assert time.monotonic() - before < 1
    stopped, waited = calls
    assert stopped is trials[0]
    assert waited["kill_on_timeout"]
    assert (waited["timeout"] <= 10) == interrupted


def test_what_a_tracker_raises_does_not_keep_others_open(trials):
    (_, end), (_, failing) = mlflow({trials[0]: "a"}), mlflow({trials[0]: "b"})
    failing.side_effect = RuntimeError
    close_trackers(interrupted=True)
    assert end.call_count == failing.call_count == 1
