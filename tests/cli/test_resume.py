"""Runs that are killed, damaged or left without a terminal go on from what is on disk."""

import contextlib
import csv
import json
import os
import pickle
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import TINY, iterations, run, start
from processes import heed_signals, left_behind, processes_of

from rllib_cli import resume
from rllib_cli.errors import InputError
from rllib_cli.experiments import Experiment, from_options
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.checkpoints.runs import newest_complete

TRAIN = (
    *("train", "--algo", "DreamerV3", "--env", "CartPole-v1"),
    *("--config", json.dumps(TINY), "--storage-path", "results", "--experiment-name", "mine"),
)
LONG = ("--stop", '{"training_iteration": 1000}')
OFTEN = ("--checkpoint-every", "0.02", "--keep-checkpoints-num", "4")


def trial_directory(experiment: str = "results/mine") -> Path:
    (directory,) = (path.parent for path in Path(experiment).glob("*/params.json"))
    return directory


def checkpoints(experiment: str = "results/mine") -> list[Path]:
    return sorted(Path(experiment).glob("*/checkpoint_*"))


def wait_for_checkpoints(process, number: int) -> None:
    deadline = time.monotonic() + 300
    # The driver writes the trial's options; a quick trial saves before that.
    while len(
        [path for path in checkpoints() if (path / manifest.MANIFEST).exists()]
    ) < number or not [*Path("results/mine").glob("*/params.json")]:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kill(process) -> None:
    """As a power failure does: everything at once, without a word."""
    for number in processes_of(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.communicate()


@pytest.mark.long
def test_killed_damaged_and_resumed():
    process = start(*TRAIN, *LONG, *OFTEN)
    wait_for_checkpoints(process, 3)
    kill(process)
    # The newest is half there, and of Tune's own state nothing can be read.
    newest, whole = checkpoints()[-1], checkpoints()[-2]
    file = next(newest.glob("replay_buffer/*.npy"))
    file.write_bytes(file.read_bytes()[:-5])
    before, _ = newest_complete(trial_directory())
    assert before is not None
    assert before.path == whole
    kept = {path: manifest.read(path) for path in checkpoints() if path != newest}
    for state in Path("results/mine").glob("experiment_state-*.json"):
        state.write_text(state.read_text()[:100])
    # Tune takes the last by name.
    Path("results/mine/search_gen_state-later.json").write_bytes(pickle.dumps({"state": 1})[:-5])
    Path("results/mine/callback_states-later.pkl").touch()
    iteration = manifest.read(whole).iteration
    goal = ("--stop", json.dumps({"training_iteration": iteration + 2}))
    code, output = run(*TRAIN, *goal, "--resume", "--keep-checkpoints-num", "9")
    assert code == 0, output
    assert iterations(output) == [iteration + 1, iteration + 2]
    assert "search_gen_state-later.json is damaged" in output
    assert "callback_states-later.pkl is damaged" in output
    assert f"{newest.name}/replay_buffer" in output
    assert f"continues from {whole.name}" in output
    # What was good is as it was, and the new one has a number that was never used.
    for path, found in kept.items():
        assert manifest.verify(path) == found
    last, damaged = newest_complete(trial_directory())
    assert last is not None
    assert not damaged
    assert last.path.name > newest.name
    assert manifest.verify(last.path).iteration == iteration + 2
    assert f"Checkpoint: {last.path.resolve()}" in output
    with open(trial_directory() / "progress.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [int(row["training_iteration"]) for row in rows[-2:]] == [iteration + 1, iteration + 2]
    assert all(row["learners/default_policy/ACTOR_L_total"] for row in rows[-2:])

    other = (*TRAIN[:-1], "other", "--from-checkpoint", "results/mine", "--stop")
    code, output = run(*other, json.dumps({"training_iteration": iteration + 3}))
    assert code == 0, output
    assert iterations(output) == [iteration + 3]

    changed = (*TRAIN[:5], "--config", json.dumps({**TINY, "horizon_H": 4}), *TRAIN[7:])
    code, output = run(*changed, *goal, "--resume")
    assert code == 2, output
    assert "config/horizon_H 3, not 4" in output


@pytest.mark.long
@pytest.mark.parametrize("how", ["trial killed", "terminal closed"])
def test_a_trial_or_a_terminal_that_goes_away_loses_nothing(how):
    if how == "trial killed":
        process = start(*TRAIN, *LONG, *OFTEN)
        wait_for_checkpoints(process, 2)
        # The process that learns; Tune is left with the decisions it has made about it.
        for number in processes_of(process.pid, "ray::DreamerV3"):
            os.kill(number, signal.SIGKILL)
        output, _ = process.communicate()
        assert process.returncode == 1, output
    else:
        pid, terminal = pty.fork()
        if pid == 0:
            heed_signals()
            os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
            os.execv(sys.executable, [sys.executable, "-m", "rllib_cli.main", *TRAIN, *LONG])
        shown = b""
        while b"\x1b[" not in shown or not list(Path("results/mine").glob("*/result.json")):
            shown += os.read(terminal, 1000)
        while not (trial_directory() / "result.json").read_text().count("\n") >= 1:
            shown += os.read(terminal, 1000)
        os.close(terminal)
        os.waitpid(pid, 0)
        assert not left_behind(pid)
    saved, damaged = newest_complete(trial_directory())
    assert saved is not None
    assert saved.manifest is not None
    assert not damaged
    iteration = saved.manifest.iteration
    goal = ("--stop", json.dumps({"training_iteration": iteration + 2}))
    code, output = run(*TRAIN, *goal, "--resume")
    assert code == 0, output
    assert iterations(output) == [iteration + 1, iteration + 2]


@pytest.fixture
def small_disk():
    """A disk of 20 MB at results/, which this process sees elsewhere; and how to run within."""
    Path("results").mkdir()
    mount = "mount -t tmpfs -o size=20m tmpfs results && echo ready && exec sleep 10000"
    # Root of a separate namespace may mount; the disk vanishes with the last process in it.
    holder = subprocess.Popen(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", mount],
        stdout=subprocess.PIPE,
        text=True,
    )
    if holder.stdout.readline() != "ready\n":
        pytest.skip("This machine lets no test mount a disk.")
    enter = ("nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials")
    yield Path(f"/proc/{holder.pid}/root{Path.cwd()}/results"), (*enter, f"--wd={Path.cwd()}")
    holder.kill()
    holder.communicate()


@pytest.mark.long
def test_a_full_disk_is_reported_and_no_checkpoint_is_lost(small_disk):
    disk, within = small_disk
    process = start(*TRAIN, *LONG, *OFTEN, within=within)
    while len(list(disk.glob(f"mine/*/checkpoint_*/{manifest.MANIFEST}"))) < 2:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert re.search(r"The disk of .*/mine is full\. .*free some space, .*--resume", output), output
    assert "EOFError" not in output
    saved, _ = newest_complete(trial_directory(str(disk / "mine")))
    assert saved is not None
    filler.unlink()
    goal = ("--stop", json.dumps({"training_iteration": saved.manifest.iteration + 1}))
    code, output = run(*TRAIN, *goal, "--resume", within=within)
    assert code == 0, output
    assert f"continues from {saved.path.name}" in output
    assert iterations(output) == [saved.manifest.iteration + 1]


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "a/b", "/outside", ".hidden"])
def test_results_stay_below_the_storage_path(name):
    with pytest.raises(InputError, match="cannot be the name of an experiment"):
        Experiment(name, "DreamerV3", {"env": "CartPole-v1"})


def experiment(**changes) -> Experiment:
    return from_options("DreamerV3", "CartPole-v1", {"gamma": 0.9}).changed(
        name="mine", storage_path="results", **changes
    )


def test_what_cannot_be_changed_in_a_run_is_refused_by_name():
    before = experiment()
    directory = Path(before.directory())
    resume.save_launch(directory, resume.launch_settings(before, "fifo", None))
    (directory / "tuner.pkl").write_bytes(b"")
    resume.check(
        experiment(stop={"training_iteration": 9}), resume.launch_settings(before, "fifo", {})
    )
    for changed, scheduler, message in [
        (experiment(num_samples=2), "fifo", "num_samples 1, not 2"),
        (
            experiment(env="Acrobot-v1"),
            "fifo",
            "config/env 'CartPole-v1', not 'Acrobot-v1'",
        ),
        (experiment(), "asha", "--scheduler 'fifo', not 'asha'"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            resume.check(changed, resume.launch_settings(changed, scheduler, None))


def test_functions_of_a_config_are_the_same_in_another_process():
    before = experiment(config={"callbacks_on_train_result": lambda **_: None})
    directory = Path(before.directory())
    launch = resume.launch_settings(before, "fifo", None)
    resume.save_launch(directory, launch)
    (directory / "tuner.pkl").write_bytes(b"")
    assert "0x" not in json.dumps(launch)
    # Written by a version that kept addresses.
    file = directory / resume.LAUNCH_FILE
    file.write_text(file.read_text().replace("<lambda>", "<lambda> at 0x7f67f8fba2a0"))
    resume.check(before, launch)


def test_an_option_that_is_none_differs_from_one_that_is_not_set():
    before = experiment()
    directory = Path(before.directory())
    resume.save_launch(directory, resume.launch_settings(before, "fifo", None))
    changed = resume.launch_settings(experiment(config={"image_size": None}), "fifo", None)
    with pytest.raises(InputError, match="config/image_size 'not set', not None"):
        resume.check(before, changed)


def test_results_at_a_uri_are_not_resumed():
    remote = experiment().changed(storage_path="file:///mnt/store")
    with pytest.raises(InputError, match=r"file:///mnt/store/mine cannot be resumed.*--storage"):
        resume.check(remote, {})


def test_state_that_was_cut_short_is_removed_wherever_it_ends_and_other_state_is_kept(tmp_path):
    whole = pickle.dumps({"trials": [1, 2.5, "name"], "generator": Experiment})
    kept, damaged = tmp_path / "searcher-state-1.pkl", tmp_path / "searcher-state-2.pkl"
    kept.write_bytes(whole)
    for length in range(len(whole)):
        damaged.write_bytes(whole[:length])
        notes = []
        resume._remove_damaged_state(tmp_path, notes)
        assert not damaged.exists(), length
        assert [note.partition(" is damaged")[0] for note in notes] == [damaged.name]
    assert kept.read_bytes() == whole


def test_what_a_run_started_with_has_no_effect_later():
    before = experiment(config={"start_checkpoint": "/x", "start_parts": "rssm"})
    directory = Path(before.directory())
    resume.save_launch(directory, resume.launch_settings(before, "fifo", None))
    (directory / "tuner.pkl").write_bytes(b"")
    for config in ({}, {"start_checkpoint": "/y"}):
        resume.check(before, resume.launch_settings(experiment(config=config), "fifo", None))


def test_runs_that_cannot_be_resumed_are_reported():
    with pytest.raises(InputError, match="no experiment in"):
        resume.check(experiment(), {})
    Path("results/mine").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no tuner\.pkl.*--from-checkpoint"):
        resume.check(experiment(), {})


def test_checkpoints_by_default():
    before = experiment()
    assert before.checkpoint_every_min == 10
    default = before.tune_checkpoint_config()
    assert (default["checkpoint_at_end"], default["num_to_keep"]) == (True, 2)
    assert "checkpoint_every_min" not in default
    changed = experiment(checkpoint={"checkpoint_every_min": 0, "num_to_keep": 5})
    assert changed.checkpoint_every_min == 0
    assert changed.tune_checkpoint_config()["num_to_keep"] == 5
    with pytest.raises(InputError, match="checkpoint_every_min must be a number of at least 0"):
        experiment(checkpoint={"checkpoint_every_min": -1})
