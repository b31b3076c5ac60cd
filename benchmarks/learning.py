r"""Learning curves of a tuned example in several environments, with several seeds.

    python benchmarks/learning.py tuned_examples/dmc_cpu.yaml \
        --env dm_control/finger-spin-v0 --env dm_control/ball_in_cup-catch-v0 --seeds 0 1 \
        --env-steps 15000 --storage-path ~/learning --out benchmarks/results/dmc_cpu

Each run is one `rllib train file`. The same command continues runs that were ended before, from
their last checkpoint, and leaves out those that are complete. --only-curves trains nothing.

A run's curve is a CSV file with a row for each result in which training episodes have ended:
env steps (actions, without their repeats), updates, seconds of training, the number of these
episodes, their mean return and length, commit (of the checkout when the file is written), processor
and number type. Results report means of the last episodes, as many as there are environments, so
the mean is that of these episodes if as many have ended. The means of windows are printed.
"""

import argparse
import csv
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import rllib_dreamerv3
from rllib_cli.experiment_files import from_file
from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS, UPDATES, History

COLUMNS = {
    "env_steps": ENV_STEPS,
    "updates": UPDATES,
    "seconds": SECONDS,
    "episodes": "env_runners/num_episodes",
    "return": "env_runners/episode_return_mean",
    "length": "env_runners/episode_len_mean",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("example", type=Path, help="YAML file with one experiment")
    parser.add_argument("--env", action="append", dest="envs", help="instead of the example's own")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--env-steps", type=int, help="instead of the example's own stop")
    parser.add_argument("--config", type=json.loads, default={}, help="more options, as JSON")
    parser.add_argument("--storage-path", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--out", type=Path, required=True, help="directory of the curves")
    parser.add_argument("--only-curves", action="store_true", help="train nothing")
    parser.add_argument(
        "--window", type=int, default=5000, help="env steps over which returns are averaged"
    )
    arguments = parser.parse_args()

    (experiment,) = from_file(str(arguments.example))
    env_steps = arguments.env_steps or int(experiment.stop[ENV_STEPS])
    arguments.out.mkdir(parents=True, exist_ok=True)
    for env in arguments.envs or [experiment.config["env"]]:
        for seed in arguments.seeds:
            name = f"{slug(env)}_seed{seed}"
            directory = arguments.storage_path.expanduser() / name
            if not arguments.only_curves and last_step(directory) < env_steps:
                config = {
                    "metrics_num_episodes_for_smoothing": environments(experiment.config),
                    **arguments.config,
                    "seed": seed,
                }
                run(arguments.example, env, config, env_steps, directory)
            rows = list(curve(directory))
            write(arguments.out / f"{name}.csv", rows)
            print(name, *windows(rows, arguments.window), flush=True)


def slug(env: str) -> str:
    """``dm_control/finger-spin-v0`` -> ``finger_spin``."""
    return env.rpartition("/")[2].rpartition("-v")[0].replace("-", "_").lower()


def environments(config: Mapping[str, Any]) -> int:
    """Number of environments of a run, whose episodes may end at the same time."""
    return max(1, config.get("num_env_runners", 0)) * config.get("num_envs_per_env_runner", 1)


def run(example: Path, env: str, config: dict[str, Any], env_steps: int, directory: Path) -> None:
    """Trains, or continues, one run; ends this program if that fails."""
    command = [sys.executable, "-m", "rllib_cli.main", "train", "file", str(example)]
    command += ["--env", env, "--config", json.dumps(config)]
    command += ["--stop", json.dumps({ENV_STEPS: env_steps})]
    command += ["--experiment-name", directory.name, "--storage-path", str(directory.parent)]
    if directory.exists():
        command.append("--resume")
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)


def history(directory: Path) -> History:
    """Results of the only trial in an experiment's directory; empty if there are none."""
    trials = [path.parent for path in directory.glob("*/result.json")]
    return History.read(trials[0]) if trials else History()


def last_step(directory: Path) -> float:
    return history(directory).latest(ENV_STEPS, default=0.0)


def curve(directory: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a run's curve."""
    found = history(directory)
    origin = {
        "commit": commit(),
        "processor": processor(),
        "compute_dtype": found.config.get("compute_dtype", ""),
    }
    for row in found.rows(*COLUMNS.values()):
        values = dict(zip(COLUMNS, row, strict=True))
        if values["episodes"]:
            yield {name: f"{x:.6g}" for name, x in values.items()} | origin


def windows(rows: Iterable[Mapping[str, str]], size: int) -> Iterator[str]:
    """Yields the mean return of the episodes that ended in each window of env steps."""
    found: dict[int, list[float]] = {}
    for row in rows:
        end = size * math.ceil(float(row["env_steps"]) / size)
        found.setdefault(end, []).append(float(row["return"]))
    for end, values in found.items():
        yield f"({end - size:,}, {end:,}]: {statistics.mean(values):.1f}"


def commit() -> str:
    """Short hash of the checkout that the package is imported from; empty outside of Git."""
    package = Path(rllib_dreamerv3.__file__).parent
    command = ["git", "-C", str(package), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return ""


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "commit", "processor", "compute_dtype"])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
