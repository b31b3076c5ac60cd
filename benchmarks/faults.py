"""What really happens to runs: killed processes, full disks, flipped bytes, closed terminals.

    python benchmarks/faults.py --saves 60 --drivers 15 --trials 15 --env-runners 10 \
        --full-disks 20 --flips 200 --truncations 50 --signals 20 --out faults.json

Each number says how often a fault is made; 0 leaves it out. After every fault the run has to go on,
or the damage has to be named. The table counts what went wrong: it should hold zeros alone. Full
disks need the right to mount a tmpfs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gymnasium as gym
import numpy as np

from rllib_dreamerv3 import DreamerV3, DreamerV3Config
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.checkpoints.runs import newest_whole
from rllib_dreamerv3.errors import CheckpointError

TINY = {
    "model_size": "nano",
    "batch_size_B": 2,
    "batch_length_T": 8,
    "horizon_H": 3,
    "training_ratio": 16,
    "num_steps_sampled_before_learning_starts": 32,
}
EPISODE_STEPS = 20
START_S = 600


class Counting(gym.Env):
    """Shows the number of the step, pays 1 for each, and ends after 20."""

    observation_space = gym.spaces.Box(0, EPISODE_STEPS, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config: dict | None = None):
        self._step = 0

    def _observation(self) -> np.ndarray:
        return np.array([self._step], np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Begins an episode."""
        super().reset(seed=seed)
        self._step = 0
        return self._observation(), {}

    def step(self, action: int) -> tuple:
        """Goes on by one."""
        self._step += 1
        return self._observation(), 1.0, self._step == EPISODE_STEPS, False, {}


def config(env_runners: int = 0) -> DreamerV3Config:
    """A run that saves and learns within seconds."""
    tiny = DreamerV3Config().environment(Counting).training(**TINY)
    tiny.env_runners(num_env_runners=env_runners, num_cpus_per_env_runner=0.5, sample_timeout_s=20)
    return tiny.reporting(min_time_s_per_iteration=0)


def has_mixture(algorithm: DreamerV3, path: Path) -> bool:
    """Whether what a checkpoint restores is not all of one moment."""
    algorithm.restore_from_path(path)
    found = manifest.read(path)
    counters = algorithm.get_counters()
    return not (
        counters["env_steps"] == found.env_steps
        and counters["update_schedule"]["updates"] - counters["pending_updates"] == found.updates
        and int(algorithm.learner_group._learner.trainer.updates) == found.updates
        and algorithm.replay_buffer.metrics()["num_env_steps_added_lifetime"] == found.env_steps
    )


def saves(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Kills a process that saves over the same checkpoint again and again."""
    path = folder / "checkpoint"
    wrong = {"lost": 0, "mixtures": 0, "damaged": 0}
    reader = config().build_algo()
    for _ in range(times):
        code = (
            "import sys; sys.path.insert(0, sys.argv[2])\nfrom faults import config\n"
            "algorithm = config().build_algo()\n"
            "while True:\n"
            "    algorithm.train(); algorithm.save_to_path(sys.argv[1]); print('saved', flush=True)"
        )
        with process([sys.executable, "-c", code, str(path), str(Path(__file__).parent)]) as saver:
            assert saver.stdout is not None
            for _ in range(rng.randrange(2, 6)):
                while "saved" not in saver.stdout.readline():
                    assert saver.poll() is None, "the process that saves has failed"
            time.sleep(rng.uniform(0, 0.5))
            kill_all(saver.pid)
        if not path.exists():
            wrong["lost"] += 1
            continue
        try:
            wrong["mixtures"] += has_mixture(reader, path)
        except CheckpointError:
            wrong["damaged"] += 1
    reader.stop()
    return wrong


def damages(
    times: int, rng: random.Random, folder: Path, damage: Callable[[Path, random.Random], None]
) -> dict[str, int]:
    """Damages one file of a checkpoint and loads it."""
    algorithm = config().build_algo()
    for _ in range(3):
        algorithm.train()
    path = Path(algorithm.save_to_path(folder / "damaged"))
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    wrong = {"accepted": 0, "not named": 0, "changed": 0}
    weights, counters = weights_of(algorithm), algorithm.get_counters()
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
        wrong["changed"] += weights_of(algorithm) != weights or algorithm.get_counters() != counters
    algorithm.stop()
    return wrong


def flip(file: Path, rng: random.Random) -> None:
    """Flips one bit."""
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, rng: random.Random) -> None:
    """Cuts the file anywhere."""
    os.truncate(file, rng.randrange(file.stat().st_size))


def weights_of(algorithm: DreamerV3) -> dict[str, bytes]:
    """The bytes of all parameters."""
    weights = algorithm.get_weights()["default_policy"]
    return {name: value.tobytes() for name, value in weights.items()}


def full_disks(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Saves to a disk on which there is less and less room."""
    disk = folder / "disk"
    disk.mkdir()
    algorithm = config().build_algo()
    algorithm.train()
    size = sum(file.stat().st_size for file in Path(algorithm.save_to_path()).rglob("*"))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={4 * size + (1 << 20)}", "tmpfs", disk], check=True
    )
    wrong = {"lost": 0, "mixtures": 0, "unclear": 0}
    try:
        path = Path(algorithm.save_to_path(disk / "checkpoint"))
        for _ in range(times):
            algorithm.train()
            filler = disk / "filler"
            free = shutil.disk_usage(disk).free
            filler.write_bytes(b"x" * max(0, free - rng.randrange(size)))
            before = manifest.verify(path)
            try:
                algorithm.save_to_path(path)
                wrong["unclear"] += manifest.verify(path) == before
            except OSError as error:
                wrong["unclear"] += "space" not in str(error)
                wrong["lost"] += manifest.verify(path) != before
            filler.unlink()
        reader = config().build_algo()
        wrong["mixtures"] += has_mixture(reader, path)
        reader.stop()
    finally:
        subprocess.run(["umount", disk], check=True)
    algorithm.stop()
    return wrong


def env_runners(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Kills one of two env runners while they sample."""
    algorithm = config(env_runners=2).build_algo()
    wrong = {"glued sequences": 0, "wrong returns": 0, "stopped": 0}
    for _ in range(times):
        for _ in range(rng.randrange(5, 15)):
            algorithm.train()
        runners = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: os.getpid(), local_env_runner=False
        )
        os.kill(rng.choice(runners), signal.SIGKILL)
        before = algorithm.get_counters()["env_steps"]
        for _ in range(10):
            result = algorithm.train()
        wrong["stopped"] += algorithm.get_counters()["env_steps"] == before
        returns = {result["env_runners"].get(f"episode_return_{x}") for x in ("min", "max")}
        wrong["wrong returns"] += not returns <= {None, float(EPISODE_STEPS)}
        batch = algorithm.replay_buffer.sample(64).columns
        (name,) = [column for column in batch if column.startswith("obs/")]
        step, is_first = batch[name][..., 0], batch["is_first"]
        follows = np.where(is_first[:, 1:], 0, np.round(step[:, :-1] + 1)) == np.round(step[:, 1:])
        wrong["glued sequences"] += not follows.all()
    algorithm.stop()
    return wrong


def command(folder: Path, *more: str) -> list[str]:
    """The command that trains in ``folder``."""
    tiny = json.dumps({**TINY, "min_time_s_per_iteration": 0.5})
    options = ["--algo", "DreamerV3", "--env", "CartPole-v1", "--config", tiny]
    options += ["--storage-path", str(folder), "--experiment-name", "run"]
    options += ["--checkpoint-every", "0.02"]
    return [sys.executable, "-m", "rllib_cli.main", "train", *options, *more]


@contextmanager
def process(arguments: list[str]) -> Iterator[subprocess.Popen]:
    """A process in a session of its own, of which nothing is left at the end."""
    started = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        kill_all(started.pid)
        started.wait()


def processes_of(session: int, prefix: str = "") -> list[int]:
    """Processes of a session whose command line begins with ``prefix``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, state = (entry / "cmdline").read_text(), (entry / "stat").read_text()
            ours = os.getsid(int(entry.name)) == session and ") Z " not in state
        except OSError:
            continue
        if ours and line.startswith(prefix):
            found.append(int(entry.name))
    return found


def kill_all(session: int) -> None:
    """Everything at once, as a power failure does."""
    for number in processes_of(session):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def commands(
    times: int,
    rng: random.Random,
    folder: Path,
    fault: Callable[[subprocess.Popen, random.Random], bool],
) -> dict[str, int]:
    """Trains with the command, makes a fault, and resumes."""
    wrong = {"lost": 0, "not from the newest": 0, "left behind": 0, "exit code": 0}
    iteration = 0
    for number in range(times):
        here = folder / f"run{number}"
        with process(command(here, "--stop", '{"training_iteration": 100000}')) as running:
            ended, deadline = False, time.monotonic() + START_S
            while newest(here) is None:
                assert running.poll() is None, "the run has ended by itself"
                assert time.monotonic() < deadline, "the run does not begin"
                time.sleep(0.2)
            time.sleep(rng.uniform(0, 3))
            ended = fault(running, rng)
            if ended:
                wrong["left behind"] += bool(processes_of(running.pid))
        saved = newest(here)
        if saved is None or saved.manifest is None:
            wrong["lost"] += 1
            continue
        iteration = saved.manifest.iteration
        goal = json.dumps({"training_iteration": iteration + 1})
        with process(command(here, "--resume", "--stop", goal)) as resumed:
            output, _ = resumed.communicate()
            wrong["exit code"] += resumed.returncode != 0
        wrong["not from the newest"] += f"goes on from {saved.path.name}" not in output
        after = newest(here)
        reached = after.manifest.iteration if after and after.manifest else 0
        wrong["not from the newest"] += reached != iteration + 1
        shutil.rmtree(here)
    return wrong


def newest(folder: Path):
    """The newest whole checkpoint of the only trial."""
    for trial in folder.glob("run/*/params.json"):
        return newest_whole(trial.parent)[0]
    return None


def kill_driver(running: subprocess.Popen, rng: random.Random) -> bool:
    """Everything at once."""
    kill_all(running.pid)
    running.wait()
    return False


def kill_trial(running: subprocess.Popen, rng: random.Random) -> bool:
    """The process that learns."""
    for number in processes_of(running.pid, "ray::DreamerV3"):
        os.kill(number, signal.SIGKILL)
    running.communicate()
    return False


def tell(running: subprocess.Popen, rng: random.Random) -> bool:
    """A signal to the command alone, which saves and ends."""
    running.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    running.communicate()
    time.sleep(3)
    return True


FAULTS: dict[str, Callable[[int, random.Random, Path], dict[str, int]]] = {
    "saves": saves,
    "drivers": lambda *a: commands(*a, kill_driver),
    "trials": lambda *a: commands(*a, kill_trial),
    "env-runners": env_runners,
    "full-disks": full_disks,
    "flips": lambda *a: damages(*a, flip),
    "truncations": lambda *a: damages(*a, truncate),
    "signals": lambda *a: commands(*a, tell),
}


def main(arguments: list[str] | None = None) -> dict[str, dict[str, int]]:
    """Makes the faults; prints and returns how often each went wrong, and in which way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in FAULTS:
        parser.add_argument(f"--{name}", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="Write the table here, as JSON.")
    said = vars(parser.parse_args(arguments))
    table: dict[str, dict[str, int]] = {}
    for name, make in FAULTS.items():
        times = said[name.replace("-", "_")]
        if not times:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            table[name] = {"times": times, **make(times, random.Random(said["seed"]), Path(folder))}
        print(f"{name}: {table[name]} ({time.monotonic() - began:.0f} s)", flush=True)
        if said["out"]:
            Path(said["out"]).write_text(json.dumps(table, indent=1) + "\n")
    return table


if __name__ == "__main__":
    wrong = main()
    sys.exit(any(count for row in wrong.values() for key, count in row.items() if key != "times"))
