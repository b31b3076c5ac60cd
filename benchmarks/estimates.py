"""Compares the time that `rllib doctor` estimates for runs with the measured time.

    python benchmarks/estimates.py --out benchmarks/results/estimates.json

For each tuned example: a run of some minutes, then the doctor's estimate for as many env steps,
each in a separate process. Needs an idle machine.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WORKLOADS = ("first_look", "cartpole", "atari")
EXAMPLES = Path(__file__).parents[1] / "tuned_examples"


def load(name: str) -> Any:
    """The config of a tuned example."""
    from rllib_cli.experiment_files import from_file
    from rllib_dreamerv3 import DreamerV3Config

    (experiment,) = from_file(str(EXAMPLES / f"{name}.yaml"))
    return DreamerV3Config().update_from_dict(dict(experiment.config)).debugging(seed=0)


def run(name: str, seconds: float) -> dict[str, Any]:
    """Train for about so many seconds; what was reached, and what it took."""
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    algorithm = load(name).build_algo()
    began = time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        result = algorithm.train()
    algorithm.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "env_steps": int(result["num_env_steps_sampled_lifetime"]),
        "updates": int(result["num_grad_updates_lifetime"]),
        "seconds": round(taken, 1),
        "memory_mb": round(peak / 1e6),
    }


def estimate(name: str, env_steps: int, updates: int) -> dict[str, Any]:
    """What so many env steps and updates are estimated to take.

    A run of a few minutes has not made all the updates yet that its env steps ask for, on which
    the doctor's time to the stop counts.
    """
    from rllib_cli.dry_run import dry_run

    costs = dry_run(load(name))
    seconds = env_steps * costs.step_s + costs.first_update_s
    seconds += (updates - 1) * costs.update_s
    return {
        "seconds": round(seconds, 1),
        "memory_mb": round(costs.memory_bytes(env_steps) / 1e6),
        "update_s": round(costs.update_s, 3),
    }


def in_a_process(*arguments: str) -> dict[str, Any]:
    """What this script prints last when called with ``arguments``."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=WORKLOADS, help="which (default: all)")
    parser.add_argument("--seconds", type=float, default=150.0, help="of each run")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--estimate", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run or arguments.estimate:
        (name,) = arguments.workloads
        reached = arguments.estimate
        row = estimate(name, *reached) if reached else run(name, arguments.seconds)
        print(json.dumps(row))
        return
    rows = {}
    for name in arguments.workloads:
        was = in_a_process(name, "--run", "--seconds", str(arguments.seconds))
        reached = str(was["env_steps"]), str(was["updates"])
        said = in_a_process(name, "--estimate", *reached)
        ratios = {key: round(said[key] / was[key], 2) for key in ("seconds", "memory_mb")}
        rows[name] = {"measured": was, "estimated": said, "estimated/measured": ratios}
        print(name, json.dumps(rows[name]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
