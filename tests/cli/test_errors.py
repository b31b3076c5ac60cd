import re

import click
import pytest
from command import run
from ray.exceptions import ActorDiedError, RayTaskError

from rllib_cli.errors import InputError, RunError, describe, reraise_as
from rllib_dreamerv3.errors import ConfigError


def in_another_process(cause, traceback="Traceback (most recent call last): ..."):
    return RayTaskError("f", traceback, cause, proctitle="x", pid=1, ip="127.0.0.1")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConfigError("horizon_H must be above 0."), "horizon_H must be above 0."),
        (ValueError("wrong"), "wrong"),
        (KeyError("obs"), "KeyError: 'obs'"),
        (MemoryError(), "MemoryError"),
    ],
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda error: error,
        in_another_process,
        lambda error: in_another_process(error).as_instanceof_cause(),
        lambda error: in_another_process(in_another_process(error)),
        lambda error: ActorDiedError(in_another_process(error)),
    ],
    ids=["raised here", "task", "task as cause", "task in task", "actor's creation"],
)
def test_the_message_is_that_of_the_first_exception(error, message, wrap):
    assert describe(wrap(error)) == message


def test_a_message_that_was_lost_is_read_from_the_traceback():
    traceback = """Traceback (most recent call last):
  File "/ray/env_runner.py", line 265, in _try_env_step
    return self.env.step(actions)
           ^^^^^^^^^^^^^^^^^^^^^^
  File "/home/me/motor.py", line 10, in step
    raise OSError("the motor: stuck")
OSError: the motor: stuck
at 3 o'clock

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/ray/env_runner.py", line 291, in _try_env_step
    raise RuntimeError from e
RuntimeError
"""
    assert describe(in_another_process(RuntimeError(), traceback)) == (
        "OSError: the motor: stuck\nat 3 o'clock\n(/home/me/motor.py, line 10)"
    )


def test_text_instead_of_an_exception_is_shown_unchanged():
    assert describe("The actor died.\n") == "The actor died."


@pytest.mark.long
def test_trial_killed_for_lack_of_memory_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_memory_usage_threshold", "0")
    given = ("--config", '{"model_size": "nano"}', "--storage-path", str(tmp_path))
    code, output = run("train", "--algo", "DreamerV3", "--env", "CartPole-v1", *given)
    assert code == 1
    assert re.search(r"ran out of memory: [\d.]+GB of [\d.]+GB were used\. Lower ", output), output
    assert "Evict" not in output
    assert "File " not in output


def test_errors_get_the_exit_code_of_the_block():
    for kind, code in ((InputError, 2), (RunError, 1)):
        with pytest.raises(kind, match="KeyError: 'x'") as info, reraise_as(kind, 0):
            raise KeyError("x")
        assert info.value.exit_code == code


def test_expected_errors_are_raised_unchanged():
    for error in (InputError("wrong"), click.Abort(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as info, reraise_as(RunError, 0):
            raise error
        assert info.value is error
