"""Where the time of an update goes: TensorFlow's operations by type, and XLA's functions by name.

    python benchmarks/profile_update.py --workload vector-1m

Times are sums over all threads; parallel operations count twice. An XLA function has the name of
the Python function it was compiled from, followed by its most expensive kernels.
"""

import argparse
import collections
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers.own_update import layouts, make_batch
from peers.workloads import SPACES, add_update_arguments, split_name

PICOSECONDS = 1e9  # in a millisecond
WARM_UP = 3


def trace(options: argparse.Namespace, folder: Path) -> None:
    """Do some updates while TensorFlow's profiler writes into a folder."""
    import tensorflow as tf

    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.agent.networks.model import DreamerModel
    from rllib_dreamerv3.agent.trainer import Trainer
    from rllib_dreamerv3.options.model_sizes import MODEL_SIZES

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    spaces_name, size = split_name(options.workload)
    spaces = SPACES[spaces_name]
    config = DreamerV3Config().training(
        model_size={name.lower(): name for name in MODEL_SIZES}[size],
        horizon_H=options.horizon,
        compute_dtype=options.compute_dtype,
    )
    sizes, settings = config.model_settings(), config.learning_options()
    observations, actions = layouts(spaces)
    model = DreamerModel(observations, actions, sizes, seed=0)
    trainer = Trainer(model, observations, actions, sizes, settings)
    batch = make_batch(
        spaces, options.batch, options.length, config.resolved("replay_context"), sizes
    )

    def update() -> None:
        trainer.update(batch).metrics["CRITIC_L_total"].numpy()

    for _ in range(WARM_UP):
        update()
    with tf.profiler.experimental.Profile(str(folder)):
        for _ in range(options.runs):
            update()


def events(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Name of the XLA function (empty outside of XLA), name, and picoseconds of every event."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (file,) = folder.rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(file.read_bytes())
    for plane in space.planes:
        names = {key: x.name for key, x in plane.event_metadata.items()}
        stats = {key: x.name for key, x in plane.stat_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            known: dict[str, Any] = {
                stats[s.metadata_id]: s.str_value or stats.get(s.ref_value) for s in event.stats
            }
            function = known.get("hlo_module", "") if "hlo_op" in known else ""
            yield str(function), names[event.metadata_id], event.duration_ps


def tables(folder: Path, runs: int) -> tuple[collections.Counter, dict[str, collections.Counter]]:
    """Milliseconds an update: of TensorFlow's operations by type, of XLA's kernels by function."""
    operations: collections.Counter = collections.Counter()
    functions: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for function, name, picoseconds in events(folder):
        milliseconds = picoseconds / PICOSECONDS / runs
        if function:
            # Loops count their bodies, which are events of their own.
            if not name.startswith("while"):
                functions[function][name] += milliseconds
        elif re.fullmatch(r"[^:]+:[A-Za-z_]\w+", name):
            operations[name.split(":")[1]] += milliseconds
    return operations, functions


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    parser.add_argument("--compute-dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--runs", type=int, default=5, help="updates that are profiled")
    parser.add_argument("--top", type=int, default=15, help="rows of each table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace(options, Path(folder))
        operations, functions = tables(Path(folder), options.runs)
    print("ms an update  TensorFlow operation")
    for name, milliseconds in operations.most_common(options.top):
        print(f"{milliseconds:12.1f}  {name}")
    print("\nms an update  XLA function (kernels)")
    by_cost = sorted(functions.items(), key=lambda item: -item[1].total())
    for name, kernels in by_cost[: options.top]:
        short = re.sub(r"^a_inference_|_\d+__?\.\d+$", "", name)
        costliest = ", ".join(f"{k} {ms:.1f}" for k, ms in kernels.most_common(3))
        print(f"{kernels.total():12.1f}  {short} ({costliest})")


if __name__ == "__main__":
    main()
