"""When the command asks a trial for a checkpoint: after so many minutes, and before it ends."""

import time

import pytest
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT

from rllib_cli.display import open_display
from rllib_cli.experiments import Experiment
from rllib_cli.interrupts import Interrupts
from rllib_cli.tune_callback import CommandCallback, command_callbacks


class Nothing(tune.Trainable):
    """What the trial would run."""


@pytest.mark.parametrize(
    ("said", "minutes", "asked"),
    [
        ({}, 9.9, False),
        ({}, 10.1, True),
        ({"checkpoint_every_min": 2}, 1.9, False),
        ({"checkpoint_every_min": 2}, 2.1, True),
        ({"checkpoint_every_min": 0}, 1e6, False),
    ],
)
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_checkpoint_is_asked_for_in_time(said, minutes, asked, interrupted):
    tune.register_trainable("Nothing", Nothing)
    trial = Trial("Nothing", trial_id="run_00000")
    experiment = Experiment("mine", "Nothing", {}, checkpoint=said)
    interrupts, result = Interrupts(), {}
    interrupts.requested = interrupted
    with open_display(plain=True) as display, command_callbacks(display, interrupts, experiment):
        display.begin({}, expected_trials=1)
        callback = CommandCallback()
        callback._saved_at[trial.trial_id] = time.monotonic() - 60 * minutes
        callback.on_trial_result(1, [trial], trial, result)
        assert result.get(SHOULD_CHECKPOINT, False) == (asked or interrupted)
        # Saving restarts the interval.
        callback.on_trial_save(1, [trial], trial)
        result = {}
        callback.on_trial_result(1, [trial], trial, result)
        assert result.get(SHOULD_CHECKPOINT, False) == interrupted
