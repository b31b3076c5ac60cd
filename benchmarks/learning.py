r"""Learning curves of a tuned example in several environments, with several seeds.

    python benchmarks/learning.py tuned_examples/dmc_cpu.yaml \
        --env dm_control/finger-spin-v0 --env dm_control/ball_in_cup-catch-v0 --seeds 0 1 \
        --env-steps 15000 --storage-path ~/learning --out benchmarks/results/dmc_cpu

Each run is one `rllib train file`. The same command continues runs that were ended before, from
their last checkpoint, and leaves out those that are complete. --only-curves trains nothing.

A run's curve is a CSV file with its options beside it, as rllib_dreamerv3/reports/episode_curve.py
describes them, for `rllib reproduce TASK --runs`. The commit is that of the checkout when the file
is written. Results report means of the last episodes, as many as there are environments, so the
mean is that of these episodes if as many have ended. The means of windows are printed.
"""

import argparse
import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rllib_dreamerv3
from rllib_cli.experiment_files import from_file
from rllib_cli.seed_runs import SeedRun, history_in, run_name, slug, trial_in
from rllib_dreamerv3.reports.episode_curve import EpisodeCurve
from rllib_dreamerv3.reports.history import ENV_STEPS
from rllib_dreamerv3.reports.protocols import environments
from rllib_dreamerv3.reports.runs import given_options
from rllib_dreamerv3.startup.system import processor


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
    episodes = environments({**experiment.config, **arguments.config})
    for env in arguments.envs or [experiment.config["env"]]:
        for seed in arguments.seeds:
            name = f"{slug(env)}_seed{seed}"
            config = {
                "metrics_num_episodes_for_smoothing": episodes,
                **arguments.config,
                "seed": seed,
            }
            experiment_name = f"{arguments.example.stem}_{slug(env)}"
            directory = arguments.storage_path.expanduser() / run_name(
                experiment_name, arguments.config, seed
            )
            run = SeedRun(str(arguments.example), env, config, env_steps, directory)
            if not arguments.only_curves and not run.is_complete:
                run.train()
            found = curve(directory, arguments.out / f"{name}.csv")
            found.write()
            print(name, *windows(found, arguments.window), flush=True)


def curve(directory: Path, path: Path) -> EpisodeCurve:
    """Extract the curve of the only trial in an experiment's directory.

    Args:
        directory: The experiment's directory.
        path: Where the curve will be kept.
    """
    found, trial = history_in(directory), trial_in(directory)
    options = given_options(trial) if trial else {}
    if dtype := found.config.get("compute_dtype"):
        # The default depends on the machine.
        options |= {"compute_dtype": dtype}
    origin = {"commit": commit(), "processor": processor(), "compute_dtype": dtype or ""}
    return EpisodeCurve.of_history(path, options, found, origin)


def windows(curve: EpisodeCurve, size: int) -> Iterator[str]:
    """Yield the mean return of the episodes that ended in each window of env steps."""
    for begin in range(0, math.ceil(curve.end / size) * size, size):
        mean: Any = curve.mean_return(begin, begin + size)
        if mean is not None:
            yield f"({begin:,}, {begin + size:,}]: {mean:.1f}"


def commit() -> str:
    """Short hash of the checkout that the package is imported from; empty outside of Git."""
    package = Path(rllib_dreamerv3.__file__).parent
    command = ["git", "-C", str(package), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
