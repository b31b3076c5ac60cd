"""Runs of the command that are ended in every way, and resumed."""

import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from processes import kill, kill_all, left_behind, process, processes_of, wait_until
from tiny_run import TINY

from rllib_dreamerv3.checkpoints.runs import SavedCheckpoint, newest_complete

FAR = 1_000_000
DISK_BYTES = 1 << 26


class Run:
    """A run of the command with a single trial, in a separate directory.

    Attributes:
        storage: Directory of its results.
        log: File of its output.
    """

    def __init__(self, folder: Path, *, saves_in_time: bool):
        """Set the paths; nothing is started.

        Args:
            folder: Directory of all its files.
            saves_in_time: Whether it saves every second, instead of only at its end.
        """
        self.storage, self.log = folder / "disk", folder / "log"
        self._saves_in_time = saves_in_time

    def command(self, iterations: int, *more: str) -> list[str]:
        """Return the command that trains for a number of iterations."""
        tiny = json.dumps({**TINY, "min_time_s_per_iteration": 0.5})
        options = ["--algo", "DreamerV3", "--env", "CartPole-v1", "--config", tiny]
        options += ["--storage-path", str(self.storage), "--experiment-name", "run"]
        options += ["--stop", json.dumps({"training_iteration": iterations})]
        options += ["--checkpoint-every", "0.02" if self._saves_in_time else "0"]
        return ["-u", "-m", "rllib_cli.main", "train", *options, *more]

    def newest(self) -> SavedCheckpoint | None:
        """Return the newest complete checkpoint."""
        for description in self.storage.glob("run/*/params.json"):
            return newest_complete(description.parent)[0]
        return None

    def iterations(self) -> list[int]:
        """Return the iterations whose results were reported."""
        found = []
        for results in self.storage.glob("run/*/result.json"):
            for line in results.read_text().splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line)["training_iteration"])
        return found

    def wait_until_it_goes_on(self, running: subprocess.Popen) -> None:
        """Wait for the next result and the next checkpoint."""
        results, saved = len(self.iterations()), self.newest()

        def goes_on() -> bool:
            now = self.newest() if self._saves_in_time else None
            is_saved = now is not None and (saved is None or now.path.name > saved.path.name)
            return len(self.iterations()) > results and (is_saved or not self._saves_in_time)

        wait_until(goes_on, running, self.log)


def runs(
    times: int,
    rng: random.Random,
    folder: Path,
    fault: Callable[[subprocess.Popen, random.Random], bool],
    *,
    saves_in_time: bool = True,
) -> dict[str, int]:
    """Train with the command, repeatedly injects a fault and resumes, and train to the end.

    Args:
        times: Number of faults.
        rng: Source of their times.
        folder: Directory of the output, and of the run in its subdirectory "disk".
        fault: Ends the command; returns whether it has ended correctly.
        saves_in_time: Whether the run saves every second. If not, it must save when it is ended.

    Returns:
        Number of failures by kind.
    """
    run = Run(folder, saves_in_time=saves_in_time)
    wrong = {"lost": 0, "not from the newest": 0, "ended wrongly": 0}
    for number in range(times + 1):
        so_far, done, saved = dict(wrong), len(run.iterations()), run.newest()
        wrong["lost"] += number > 0 and saved is None
        iteration, resume = reached(saved), ["--resume"] if number else []
        goal = FAR if number < times else iteration + 1
        with process(run.command(goal, *resume), run.log) as running:
            if number < times:
                run.wait_until_it_goes_on(running)
                time.sleep(rng.uniform(0, 3))
                wrong["ended wrongly"] += not fault(running, rng)
            else:
                wrong["ended wrongly"] += running.wait() != 0
        if saved is not None:
            reported = f"continues from {saved.path.name}." in run.log.read_text()
            continued = run.iterations()[done:][:1] == [iteration + 1]
            wrong["not from the newest"] += not (reported and continued)
        if not saves_in_time:
            wrong["lost"] += reached(run.newest()) < run.iterations()[-1]
        if wrong != so_far:
            print(f"After {number} faults: {wrong}\n{run.log.read_text()}", flush=True)
    return wrong


def reached(saved: SavedCheckpoint | None) -> int:
    """Return the iteration after which a checkpoint was saved."""
    return saved.manifest.iteration if saved is not None and saved.manifest else 0


def kill_driver(running: subprocess.Popen, rng: random.Random) -> bool:
    """Kill all processes at once."""
    kill_all(running)
    return True


def kill_trial(running: subprocess.Popen, rng: random.Random) -> bool:
    """Kill the learning process; the command must end with an error."""
    kill(processes_of(running.pid, "ray::DreamerV3"))
    return running.wait() == 1


def send_signal(running: subprocess.Popen, rng: random.Random) -> bool:
    """Send a signal to the command only, which must end with all processes that it started."""
    running.send_signal(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    return running.wait() == 130 and not left_behind(running.pid)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of ``size`` bytes."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def run_on_full_disks(times: int, rng: random.Random, folder: Path) -> dict[str, int]:
    """Fill the disk of a run, which must end with a clear message, and free it again."""

    def fill(running: subprocess.Popen, rng: random.Random) -> bool:
        filler = disk / "filler"
        with open(filler, "ab", buffering=0) as file:
            while running.poll() is None:
                # Includes space that the run frees meanwhile.
                with suppress(OSError):
                    file.write(bytes(shutil.disk_usage(disk).free))
                time.sleep(0.01)
        filler.unlink()
        return running.returncode == 1 and "is full." in (folder / "log").read_text()

    with small_disk(folder / "disk", DISK_BYTES) as disk:
        return runs(times, rng, folder, fill)
