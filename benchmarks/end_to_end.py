"""A complete training run: seconds and env steps until CartPole-v1 reaches a goal.

    python benchmarks/end_to_end.py --goal 150 --env-steps 15000 --json

Against RLlib's own DreamerV3, one after the other, each in its own process; with --at-once both at
the same time, on separate cores. benchmarks/update.py describes its environment:

    python benchmarks/end_to_end.py --vs rllib --peer-python ~/rllib-peer/bin/python

Both get the same model size, batches, training ratio and learning rates, and begin to learn after
about B * T env steps; all other options are the defaults of each, except those of --own-config. The
clock starts when an algorithm has been built and includes compilation, which happens later. Rates
are measured after the first update. The goal is checked every few seconds.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from peers.interleave import (
    Child,
    ChildError,
    Message,
    add_peer_arguments,
    check_options,
    print_table,
)
from peers.workloads import add_training_arguments, as_arguments

PEERS = ("rllib",)
CURVE_STEPS = 200  # env steps between two points of a curve
SETTINGS = (
    "env",
    "model_size",
    "batch",
    "length",
    "training_ratio",
    "world_model_lr",
    "actor_lr",
    "critic_lr",
    "episodes",
    "iteration_seconds",
    "seed",
    "threads",
)


def run(
    python: str | Path,
    module: str,
    arguments: list[str],
    options: argparse.Namespace,
    seconds_at_most: Callable[[], float] = lambda: math.inf,
    cores: Collection[int] = (),
) -> Message:
    """Train until the goal or the limit is reached.

    Args:
        python: Interpreter of the process.
        module: The process.
        arguments: Its command line.
        options: Goal, limit and threads.
        seconds_at_most: Gives another limit, which is asked for again and again.
        cores: What the process runs on; empty for all that this thread may use.

    Returns:
        Name -> number; ``seconds_to_goal`` and ``env_steps_to_goal`` are None if a limit came
        first. ``curve`` is a list of seconds, env steps and mean return.
    """
    if cores:
        os.sched_setaffinity(0, cores)  # of this thread, and of processes that it starts
    seconds, learning_since, mean_return = 0.0, None, None
    curve: list[tuple[float, int, float]] = []
    with Child(python, module, arguments, options.threads) as child:
        while True:
            answer = child.ask()
            seconds += answer["seconds"]
            if learning_since is None and answer["updates"]:
                # Not counted: the iteration in which the first update was compiled.
                learning_since = (seconds, answer["env_steps"], answer["updates"])
            # None: no episode has ended in this iteration.
            if answer["return"] is not None:
                mean_return = answer["return"]
            reached = mean_return is not None and mean_return >= options.goal
            print(f"{module}  {seconds:.0f} s  {answer}", file=sys.stderr, flush=True)
            late = answer["env_steps"] >= options.env_steps or seconds >= seconds_at_most()
            if mean_return is not None and (
                reached or late or not curve or answer["env_steps"] - curve[-1][1] >= CURVE_STEPS
            ):
                curve.append((round(seconds, 1), answer["env_steps"], round(mean_return, 1)))
            if reached or late:
                break
        result: Message = {
            **child.hello,
            "seconds_to_goal": seconds if reached else None,
            "env_steps_to_goal": answer["env_steps"] if reached else None,
            "seconds": seconds,
            "env_steps": answer["env_steps"],
            "updates": answer["updates"],
            "return": mean_return,
            "env_steps_per_s": None,
            "updates_per_s": None,
            "curve": curve,
        }
        if learning_since is not None and seconds > learning_since[0]:
            elapsed = seconds - learning_since[0]
            result["env_steps_per_s"] = (answer["env_steps"] - learning_since[1]) / elapsed
            result["updates_per_s"] = (answer["updates"] - learning_since[2]) / elapsed
        return result | child.finish()


def run_all(options: argparse.Namespace) -> Message:
    """Our run as ``own``, and that of the peer, if there is one, as ``peer``."""
    arguments = as_arguments(options, SETTINGS)
    own_cores: list[int] = []
    peer_cores: list[int] = []
    if options.at_once:
        cores = sorted(os.sched_getaffinity(0))
        own_cores, peer_cores = cores[: options.threads], cores[-options.threads :]

    def limit_of_peer() -> float:
        return options.patience * own.result()["seconds"] if own.done() else math.inf

    with ThreadPoolExecutor(2 if options.at_once else 1) as threads:
        own = threads.submit(
            run,
            sys.executable,
            "peers.own_training",
            [*arguments, f"--own-config={options.own_config}"],
            options,
            cores=own_cores,
        )
        if not options.vs:
            return {"own": own.result()}
        peer = threads.submit(
            run,
            options.peer_python,
            f"peers.{options.vs}_training",
            arguments,
            options,
            limit_of_peer,
            peer_cores,
        )
        return {"own": own.result(), "peer": peer.result()}


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_training_arguments(parser)
    parser.add_argument("--goal", type=float, default=150.0, help="mean return to reach")
    parser.add_argument("--env-steps", type=int, default=15_000, help="where to give up")
    parser.add_argument(
        "--own-config", default="{}", help='JSON, e.g. {"imagined_continues": "probability"}'
    )
    parser.add_argument(
        "--patience", type=float, default=math.inf, help="peer: at most so many times our seconds"
    )
    parser.add_argument(
        "--at-once", action="store_true", help="both at the same time, each on --threads cores"
    )
    add_peer_arguments(parser, PEERS)
    options = parser.parse_args()
    check_options(parser, options)
    if options.at_once and 2 * options.threads > len(os.sched_getaffinity(0)):
        parser.error("--at-once needs twice as many cores as --threads")
    numbers: Message = {name: getattr(options, name) for name in (*SETTINGS, "goal")}
    try:
        numbers |= run_all(options)
    except ChildError as error:
        parser.error(str(error))
    print_table(numbers)
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
