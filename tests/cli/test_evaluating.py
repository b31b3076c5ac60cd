import time
from pathlib import Path

import pytest

from rllib_cli.errors import InputError, RunError
from rllib_cli.evaluating import evaluate_checkpoint, find_checkpoint
from rllib_dreamerv3.checkpoints import manifest


def save(directory):
    """A directory that verifies, newer than those before it."""
    path = Path(directory)
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"1234")
    time.sleep(0.002)
    manifest.write(path, env_steps=1, updates=1)
    return path.resolve()


def test_newest_checkpoint_of_trial_and_experiment():
    save("exp/trial_a/checkpoint_000000")
    second = save("exp/trial_a/checkpoint_000001")
    other = save("exp/trial_b/checkpoint_000000")
    assert find_checkpoint("exp/trial_a/checkpoint_000001") == (second, [])
    assert find_checkpoint("exp/trial_a") == (second, [])
    assert find_checkpoint("exp") == (other, [])


def test_damaged_checkpoints_are_stepped_over_and_told():
    first = save("trial/checkpoint_000000")
    second = save("trial/checkpoint_000001")
    (second / "data").write_bytes(b"1235")
    found, problems = find_checkpoint("trial")
    assert found == first
    assert len(problems) == 1
    assert "checkpoint_000001/data is damaged" in problems[0]
    (first / "data").unlink()
    with pytest.raises(RunError, match=r"none that is whole.*data is damaged"):
        find_checkpoint("trial")


def test_foreign_directories_are_refused():
    with pytest.raises(RunError, match=r"no directory .*missing"):
        find_checkpoint("missing")
    Path("photos").mkdir()
    with pytest.raises(RunError, match="photos is no checkpoint") as info:
        find_checkpoint("photos")
    assert info.value.exit_code == 1


def test_a_file_that_cannot_be_written_is_refused_before_playing():
    save("checkpoint")
    with pytest.raises(InputError, match="cannot be written: its directory"):
        evaluate("checkpoint", out="missing/x.json")


def test_a_damaged_checkpoint_is_refused():
    path = save("damaged")
    (path / "data").write_bytes(b"")
    with pytest.raises(RunError, match=r"does not list policy\.json"):
        evaluate("damaged")


def evaluate(checkpoint, **options):
    defaults = {"env": None, "episodes": 2, "steps": None, "out": None, "render": False}
    defaults |= {"env_config": None, "action": None}
    evaluate_checkpoint(checkpoint, **{**defaults, "verbosity": 0, **options})
