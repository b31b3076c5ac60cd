"""Speed of one env runner: environment, policy and records, in env steps per second.

    python benchmarks/sampling.py --json

Against RLlib's own DreamerV3, interleaved in chunks of the same length. benchmarks/update.py
describes its environment:

    python benchmarks/sampling.py --vs rllib --peer-python ~/rllib-peer/bin/python

Every call samples one rollout fragment, one env step of each environment by default, as both
algorithms do in training. The first chunks are not counted.
"""

import argparse
import contextlib
import json
import sys

from peers.interleave import (
    Child,
    ChildError,
    Message,
    add_peer_arguments,
    check_options,
    print_table,
    ratios,
    spread,
    take_turns,
)
from peers.workloads import add_sampling_arguments, as_arguments

PEERS = ("rllib",)
SHARED = ("env", "model_size", "fragment", "steps", "threads")
ENVS = (1, 8)
RATE = "env_steps_per_s"


def measure(options: argparse.Namespace, envs: int) -> Message:
    """Sample from a number of environments, alone or in turns with a peer.

    Args:
        options: Of the command line.
        envs: Environments that step together.

    Returns:
        Name -> number; the unit is part of the name. Of a peer, under ``peer``.
    """
    arguments = [*as_arguments(options, SHARED), f"--envs={envs}"]
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(Child(python, module, arguments, options.threads))
            for python, module in (
                (sys.executable, "peers.own_sampling"),
                *([(options.peer_python, f"peers.{options.vs}_sampling")] if options.vs else []),
            )
        ]
        take_turns(children, 1)
        rates = [[x[RATE] for x in answers] for answers in take_turns(children, options.runs)]
        numbers = [
            {**child.hello, **spread(rate, RATE), **child.finish()}
            for child, rate in zip(children, rates, strict=True)
        ]
    result: Message = {"envs": envs, "runs": options.runs, **numbers[0]}
    if options.vs:
        result["peer"] = numbers[1]
        result |= ratios(rates[0], rates[1], "ratio_own_to_peer")
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_sampling_arguments(parser)
    parser.add_argument("--runs", type=int, default=10, help="chunks, or pairs, that are timed")
    add_peer_arguments(parser, PEERS)
    options = parser.parse_args()
    check_options(parser, options)
    numbers: Message = {name: getattr(options, name) for name in SHARED}
    try:
        numbers |= {f"envs_{envs}": measure(options, envs) for envs in ENVS}
    except ChildError as error:
        parser.error(str(error))
    print_table(numbers)
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
