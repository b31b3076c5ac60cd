"""What really happens to runs: killed processes, full disks, flipped bytes, closed terminals.

    python benchmarks/faults.py --saves 60 --drivers 15 --trials 15 --env-runners 10 \
        --full-disks 20 --flips 200 --truncations 50 --signals 20 --out faults.json

Each number says how often a fault is made; without it, the fault is left out. After every fault
the run has to continue, or the damage has to be named. The table counts failures: it should
hold zeros alone. Parts may be run one after the other: each adds its row to the file. Full disks
need the right to mount a tmpfs.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
import ray
from fault_runs import kill_driver, kill_trial, run_on_full_disks, runs, send_signal, small_disk
from processes import kill
from tiny_run import TINY

from rllib_dreamerv3 import DreamerV3, DreamerV3Config
from rllib_dreamerv3.errors import CheckpointError

EPISODE_STEPS = 20
REPLACED_WITHIN_S = 600
# Counted too, but nothing that went wrong.
WHILE_WRITING = "while files were written"


class Counting(gym.Env):
    """Shows the number of the step, pays 1 for each, and ends after 20."""

    observation_space = gym.spaces.Box(0, EPISODE_STEPS, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config: dict | None = None):
        self._step = 0

    def _observation(self) -> np.ndarray:
        return np.array([self._step], np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Begin an episode."""
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action: int) -> tuple:
        """Go on by one."""
        self._step += 1
        return self._observation(), 1.0, self._step == EPISODE_STEPS, False, {}


@contextmanager
def algorithm_of(env_runners: int = 0) -> Iterator[DreamerV3]:
    """A run that saves and learns within seconds."""
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tiny = DreamerV3Config().environment(Counting).training(**TINY)
    tiny.env_runners(num_env_runners=env_runners, num_cpus_per_env_runner=0.5, sample_timeout_s=20)
    algorithm = tiny.reporting(min_time_s_per_iteration=0).build_algo()
    try:
        yield algorithm
    finally:
        algorithm.stop()


def fingerprint(algorithm: DreamerV3) -> str:
    """A checksum of networks, optimizers, normalisers, replay and the number of steps."""
    trainer, storage = algorithm.learner_group._learner.trainer, algorithm.replay_buffer.storage
    checksum = hashlib.sha256(str(algorithm.get_counters()["env_steps"]).encode())
    for arrays in (algorithm.get_weights()["default_policy"], trainer.get_state()):
        for name in sorted(arrays):
            checksum.update(np.ascontiguousarray(arrays[name]))
    for name in sorted(storage.specs):
        for _, chunk in storage.chunks_oldest_first():
            checksum.update(np.ascontiguousarray(chunk.read(name)))
    return checksum.hexdigest()


def saves(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Kill processes that save over the same checkpoint, each another moment of a run."""
    wrong = {"lost": 0, "mixtures": 0, "damaged": 0}
    path, during = folder / "checkpoint", 0
    with algorithm_of() as saver, algorithm_of() as reader:
        saver.train()
        began = time.monotonic()
        saver.save_to_path(path)
        longest = time.monotonic() - began
        before = fingerprint(saver)
        for _ in range(times):
            saver.train()
            now = fingerprint(saver)
            # A copy of this process, which needs no minute to start.
            if (child := os.fork()) == 0:
                try:
                    saver.save_to_path(path)
                    os._exit(0)
                finally:
                    os._exit(1)
            time.sleep(rng.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert code in (0, -signal.SIGKILL), "saving has failed by itself"
            interrupted = any(folder.glob(".checkpoint.*"))
            during += interrupted
            # However fast the machine is just now, some come too late: all moments have their turn.
            longest *= 1.1 if interrupted else 0.8
            try:
                reader.restore_from_path(path)
            except CheckpointError:
                wrong["damaged" if path.exists() else "lost"] += 1
                saver.save_to_path(path)
                before = now
                continue
            found = fingerprint(reader)
            wrong["mixtures"] += found not in (before, now)
            before = found
    return {**wrong, WHILE_WRITING: during}


def damages(
    times: int, rng: random.Random, folder: Path, damage: Callable[[Path, random.Random], None]
) -> dict[str, int]:
    """Damage one file of a checkpoint and load it."""
    wrong = {"accepted": 0, "not named": 0, "changed": 0}
    with algorithm_of() as algorithm:
        for _ in range(3):
            algorithm.train()
        path = Path(algorithm.save_to_path(folder / "damaged"))
        # What is there differs from what would be restored.
        algorithm.train()
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
        before = fingerprint(algorithm)
        for number in range(times):
            file = files[number % len(files)]
            original = file.read_bytes()
            damage(file, rng)
            try:
                algorithm.restore_from_path(path)
                wrong["accepted"] += 1
            except CheckpointError as error:
                wrong["not named"] += file.name not in str(error)
            file.write_bytes(original)
            wrong["changed"] += fingerprint(algorithm) != before
    return wrong


def flip(file: Path, rng: random.Random) -> None:
    """Flip one bit."""
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, rng: random.Random) -> None:
    """Cut the file anywhere."""
    os.truncate(file, rng.randrange(file.stat().st_size))


def full_disks(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Save over a checkpoint on a disk that has room for a part of the new one."""
    wrong = {"lost": 0, "mixtures": 0, "unclear": 0, "left behind": 0}
    with algorithm_of() as algorithm:
        algorithm.train()
        size = sum(
            file.stat().st_size for file in Path(algorithm.save_to_path(folder / "x")).rglob("*")
        )
        with small_disk(folder / "disk", 4 * size + (1 << 20)) as disk, algorithm_of() as reader:
            path, filler = Path(algorithm.save_to_path(disk / "checkpoint")), disk / "filler"
            for _ in range(times):
                before = fingerprint(algorithm)
                algorithm.train()
                filler.write_bytes(bytes(shutil.disk_usage(disk).free - rng.randrange(size)))
                try:
                    algorithm.save_to_path(path)
                    wrong["unclear"] += 1
                except OSError as error:
                    wrong["unclear"] += "space" not in str(error)
                filler.unlink()
                wrong["left behind"] += list(disk.iterdir()) != [path]
                try:
                    reader.restore_from_path(path)
                    wrong["mixtures"] += fingerprint(reader) != before
                except CheckpointError:
                    wrong["lost"] += 1
                algorithm.save_to_path(path)
    return wrong


def env_runners(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Kill one of two env runners while they sample."""
    wrong = {"glued sequences": 0, "wrong returns": 0, "not replaced": 0}

    def trained_well() -> int:
        result = algorithm.train()["env_runners"]
        for what in ("return", "len"):
            found = {result.get(f"episode_{what}_{x}", EPISODE_STEPS) for x in ("min", "max")}
            wrong["wrong returns"] += found != {EPISODE_STEPS}
        return result["num_env_runners_replaced_lifetime"]

    with algorithm_of(env_runners=2) as algorithm:
        for number in range(times):
            runners = algorithm.env_runner_group.foreach_env_runner(
                lambda runner: os.getpid(), local_env_runner=False
            )
            threading.Timer(rng.uniform(0, 3), kill, [[rng.choice(runners)]]).start()
            deadline = time.monotonic() + REPLACED_WITHIN_S
            while trained_well() == number and time.monotonic() < deadline:
                pass
            wrong["not replaced"] += time.monotonic() >= deadline
            for _ in range(100):
                trained_well()
            batch = algorithm.replay_buffer.sample(500).columns
            (name,) = (column for column in batch if column.startswith("obs/"))
            step, is_first = batch[name][..., 0].round(), batch["is_first"]
            follows = np.where(is_first[:, 1:], 0, step[:, :-1] + 1) == step[:, 1:]
            wrong["glued sequences"] += not follows.all()
    return wrong


FAULTS: dict[str, Callable[[int, random.Random, Path], dict[str, int]]] = {
    "saves": saves,
    "drivers": lambda *given: runs(*given, kill_driver),
    "trials": lambda *given: runs(*given, kill_trial),
    "env-runners": env_runners,
    "full-disks": full_disks,
    "full-disks-of-runs": run_on_full_disks,
    "flips": lambda *given: damages(*given, flip),
    "truncations": lambda *given: damages(*given, truncate),
    "signals": lambda *given: runs(*given, send_signal, saves_in_time=False),
}


def main(arguments: list[str] | None = None) -> bool:
    """Make the faults; print how often each went wrong, and in which way.

    Returns:
        Whether nothing went wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in FAULTS:
        parser.add_argument(f"--{name}", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Add the table to this file, as JSON.")
    said = vars(parser.parse_args(arguments))
    whole = True
    for name, make in FAULTS.items():
        times, seed, out = said[name.replace("-", "_")], said["seed"], said["out"]
        if not times:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            wrong = make(times, random.Random(seed), Path(folder))
        row = {
            "command": f"python benchmarks/faults.py --{name} {times} --seed {seed}",
            "faults": times,
            "seconds": round(time.monotonic() - began),
            **wrong,
        }
        print(f"{name}: {row}", flush=True)
        if out:
            table = json.loads(out.read_text()) if out.exists() else {}
            out.write_text(json.dumps({**table, name: row}, indent=1) + "\n")
        whole = whole and not any(wrong[what] for what in wrong if what != WHILE_WRITING)
    return whole


if __name__ == "__main__":
    sys.exit(not main())
