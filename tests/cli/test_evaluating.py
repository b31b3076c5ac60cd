import os
from pathlib import Path

import pytest

from rllib_cli.errors import InputError, RunError
from rllib_cli.evaluating import evaluate_checkpoint, find_checkpoint


def mark(directory, age):
    path = Path(directory)
    path.mkdir(parents=True)
    file = path / "rllib_checkpoint.json"
    file.write_text("{}")
    os.utime(file, (1e9 - age, 1e9 - age))
    return path.resolve()


def test_newest_checkpoint_of_trial_and_experiment():
    mark("exp/trial_a/checkpoint_000000", age=30)
    second = mark("exp/trial_a/checkpoint_000001", age=20)
    other = mark("exp/trial_b/checkpoint_000000", age=10)
    assert find_checkpoint("exp/trial_a/checkpoint_000001") == second
    assert find_checkpoint("exp/trial_a") == second
    assert find_checkpoint("exp") == other
    # Parts of a checkpoint carry marks of their own; they are not meant.
    mark("exp/trial_a/checkpoint_000001/learner_group", age=0)
    assert find_checkpoint("exp/trial_a") == second


def test_foreign_directories_are_refused():
    with pytest.raises(RunError, match="no directory missing"):
        find_checkpoint("missing")
    Path("photos").mkdir()
    with pytest.raises(RunError, match="photos is no checkpoint") as info:
        find_checkpoint("photos")
    assert info.value.exit_code == 1


@pytest.mark.parametrize("content", [{}, {"class_and_ctor_args.pkl": b"not a pickle"}])
def test_damaged_checkpoints_are_refused(content):
    path = mark("damaged", age=0)
    for name, data in content.items():
        (path / name).write_bytes(data)
    with pytest.raises(RunError, match="damaged"):
        evaluate("damaged")


def test_a_file_that_cannot_be_written_is_refused_before_playing():
    mark("checkpoint", age=0)
    with pytest.raises(InputError, match="cannot be written: its directory"):
        evaluate("checkpoint", out="missing/x.json")


def evaluate(checkpoint, **options):
    defaults = {"env": None, "episodes": 2, "steps": None, "out": None, "render": False}
    defaults["action"] = None
    evaluate_checkpoint(checkpoint, **{**defaults, "verbosity": 0, **options})
