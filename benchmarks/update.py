"""Speed of one gradient update: world model, imagination, actor and critic, on random records.

An update is compared with the floor of its dense products: their floating-point operations, with z
counted as dense vectors, at the speed of a large float32 product measured in the same process. The
ratio may be below 1, because products with one-hot vectors are avoided.

    python benchmarks/update.py --workload vector-xs --json
    python benchmarks/update.py --workload image-1m --compute-dtype bfloat16 --json
    python benchmarks/update.py --workload image-12m --device gpu --json

On GPUs, where nothing has been measured yet, kernels use their plain formulas, and XLA compiles the
update as one program. ``--form whole`` measures this form on the CPU.

Against other DreamerV3s, interleaved on the same records. Each has a separate environment:

    python3 -m venv ~/rllib-peer
    ~/rllib-peer/bin/pip install "ray[rllib]==2.60.*" torch==2.13.0 pillow
    python benchmarks/update.py --vs rllib --peer-python ~/rllib-peer/bin/python

    python3 -m venv ~/torchrl-peer
    ~/torchrl-peer/bin/pip install torch==2.13.0 torchrl==0.14.1
    python benchmarks/update.py --vs torchrl --peer-python ~/torchrl-peer/bin/python

    python3 -m venv ~/sheeprl-peer
    ~/sheeprl-peer/bin/pip install torch==2.13.0 sheeprl==0.8.4
    python benchmarks/update.py --vs sheeprl --peer-python ~/sheeprl-peer/bin/python

    python benchmarks/update.py --vs sheeprl --peer-python ~/sheeprl-peer/bin/python \
        --vs torchrl --peer-python ~/torchrl-peer/bin/python

They compute in float32 too, or with ``--peer-compute-dtype bfloat16`` as they offer it.

What exactly is timed on either side is said in peers/own_update.py and in peers/rllib_update.py,
peers/sheeprl_update.py and peers/torchrl_update.py. Every side must have changed all its
parameters at the end.
"""

import argparse
import contextlib
import json
import sys
from typing import Any

from peers.interleave import (
    Child,
    ChildError,
    Message,
    check_options,
    disturbance,
    print_table,
    ratios,
    spread,
    take_turns,
)
from peers.workloads import add_update_arguments, split_name

PEERS = ("rllib", "sheeprl", "torchrl")
WITH_BFLOAT16 = ("sheeprl", "torchrl")
# One compiles; and nothing gets past the zeros of the output layers before they have changed.
WARM_UP = 2


def numbers_of(child: Child, seconds: list[float]) -> Message:
    """What is known of one side after its updates.

    Raises:
        RuntimeError: If a parameter has not changed: then something else has been timed.
    """
    goodbye = child.finish()
    unchanged = goodbye.pop("unchanged")
    if unchanged:
        raise RuntimeError(
            f"{child.hello['program']}: {len(unchanged)} parameters have not changed, "
            f"{unchanged[:3]} ..."
        )
    return {
        **child.hello,
        "all_parameters_changed": True,
        "runs": len(seconds),
        **spread(seconds, "s"),
        **goodbye,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Do updates in a separate process, or interleaved with peers.

    Args:
        options: Of the command line.

    Returns:
        Name -> number; the unit is part of the name. Those of a peer, and the ratio of its seconds
        to ours, under its name.
    """
    spaces, size = split_name(options.workload)
    workload = {
        "workload": f"{spaces}-{size}",
        "batch": options.batch,
        "length": options.length,
        "horizon": options.horizon,
        "threads": options.threads,
    }
    arguments = [f"--{name}={value}" for name, value in workload.items()]
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(
            Child(
                sys.executable,
                "peers.own_update",
                [
                    *arguments,
                    f"--compute-dtype={options.compute_dtype}",
                    f"--device={options.device}",
                    f"--form={options.form}",
                    *([f"--imag-last={options.imag_last}"] if options.imag_last else []),
                ],
                options.threads,
            )
        )
        sizes = own.hello.pop("sizes")
        children = [own]
        for peer, python in zip(options.vs, options.peer_python, strict=True):
            given = list(arguments)
            if peer == "torchrl":
                given.append(f"--sizes={json.dumps(sizes)}")
            if peer in WITH_BFLOAT16:
                given.append(f"--compute-dtype={options.peer_compute_dtype}")
            module = f"peers.{peer}_update"
            children.append(stack.enter_context(Child(python, module, given, options.threads)))
        warm_up = take_turns(children, WARM_UP)
        answers = take_turns(children, options.runs)
        first = warm_up[0][0]["seconds"]
        seconds = [[x["seconds"] for x in answer] for answer in answers]
        numbers, *peers = map(numbers_of, children, seconds)
    floor = numbers["dense_gflop"] / numbers["gemm_gflop_per_s"]
    result = workload | numbers
    result["compile_s"] = first - numbers["median_s"]
    result["multiple_of_dense_floor"] = numbers["median_s"] / floor
    if options.vs:
        result["peer_compute_dtype"] = options.peer_compute_dtype
    for peer, of_peer, its_seconds in zip(options.vs, peers, seconds[1:], strict=True):
        result[peer] = of_peer | ratios(its_seconds, seconds[0], "ratio_to_own")
    return result | disturbance(answers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    parser.add_argument("--compute-dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="of our update")
    parser.add_argument(
        "--form",
        choices=("kernels", "whole"),
        default="kernels",
        help="whole: on the CPU, the form of updates on GPUs",
    )
    parser.add_argument(
        "--imag-last", type=int, help="the option of our update (default: all records)"
    )
    parser.add_argument("--runs", type=int, default=10, help="updates, or pairs, that are timed")
    parser.add_argument(
        "--vs",
        choices=PEERS,
        action="append",
        default=[],
        help="another DreamerV3 to compare with; may be repeated",
    )
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        help="Python interpreter of its environment; once for each --vs, in the same order",
    )
    parser.add_argument(
        "--peer-compute-dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the other implementations; RLlib's own has only float32",
    )
    parser.add_argument("--json", action="store_true", help="last line: the numbers as JSON")
    options = parser.parse_args()
    if len(options.vs) != len(options.peer_python):
        parser.error("each --vs needs one --peer-python")
    if len(set(options.vs)) < len(options.vs):
        parser.error("each --vs may be given once: its numbers are listed under its name")
    if options.peer_compute_dtype == "bfloat16" and not set(options.vs) <= set(WITH_BFLOAT16):
        parser.error(f"only {' and '.join(WITH_BFLOAT16)} compute in bfloat16, too")
    check_options(parser, options)
    try:
        split_name(options.workload)
        numbers = measure(options)
    except (argparse.ArgumentTypeError, ChildError) as error:
        parser.error(str(error))
    print_table(numbers)
    if numbers["disturbed"]:
        print(
            f"Disturbed: other processes used up to {numbers['max_others_cpu_share']:.0%} of the "
            "CPUs during an update. Repeat it on an idle machine."
        )
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
