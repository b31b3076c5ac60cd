"""Speed of one gradient update: world model, imagination, actor and critic, on random records.

An update is set against the floor of its dense products: their floating point operations, with z
counted as dense vectors, at the speed of a large float32 product measured in the same process. It
may fall below 1, because products with one-hot vectors need not be made.

    python benchmarks/update.py --workload vector-xs --json
    python benchmarks/update.py --workload image-1m --json
"""

import argparse
import json
import math
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.layout import (
    ActionLayout,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLayout,
    Vector,
)
from rllib_dreamerv3.learner.settings import TrainerSettings
from rllib_dreamerv3.learner.trainer import Trainer
from rllib_dreamerv3.model_sizes import MODEL_SIZES, ModelSettings
from rllib_dreamerv3.module.convolutions import POOLED_DEPTHS, STRIDED_SMALLEST_SIDE
from rllib_dreamerv3.module.model import DreamerModel
from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
)

# What is observed and done: CartPole's spaces, Atari's, and a walker's, whose actor is trained
# through the dynamics.
SPACES = {
    "vector": (ObservationLayout((Vector("obs/vector", 4),)), ActionLayout((DiscreteAction(2),))),
    "image": (
        ObservationLayout((Image("obs/image", 64, 64, 3),)),
        ActionLayout((DiscreteAction(6),)),
    ),
    "continuous": (
        ObservationLayout((Vector("obs/vector", 24),)),
        ActionLayout((ContinuousAction(6),)),
    ),
}
WORKLOADS = {
    f"{spaces}-{size.lower()}": (spaces, size) for spaces in SPACES for size in MODEL_SIZES
}
MATRIX_SIZE = 2048


def make_batch(
    spaces: str, settings: ModelSettings, rows: int, length: int, context: int
) -> dict[str, tf.Tensor]:
    """Random records ``[B, T, ...]``; about one in fifty begins an episode.

    With a context record ``[B, 1 + T, ...]``, and latents.
    """
    rng = np.random.default_rng(0)
    observations, actions = SPACES[spaces]
    shape = (rows, context + length)
    is_first = rng.random(shape) < 0.02
    is_first[:, 0] = True
    is_last = np.roll(is_first, -1, 1)
    is_last[:, -1] = False
    if actions.all_discrete:
        action = np.eye(actions.size)[rng.integers(0, actions.size, shape)]
    else:
        action = rng.uniform(-1, 1, (*shape, actions.size))
    batch = {
        REWARD: rng.standard_normal(shape).astype(np.float32),
        IS_FIRST: is_first,
        IS_LAST: is_last,
        IS_TERMINAL: is_last,
        ACTION: action.astype(np.float32),
    }
    if context:
        index = rng.integers(0, settings.classes, (*shape, settings.categoricals))
        batch[LATENT_H] = rng.uniform(-1, 1, (*shape, settings.deterministic)).astype(np.float32)
        batch[LATENT_INDEX] = index.astype(np.uint8)
    for leaf in observations.leaves:
        if isinstance(leaf, Image):
            batch[leaf.key] = rng.integers(0, 256, (*shape, *leaf.shape), np.uint8)
        else:
            batch[leaf.key] = rng.standard_normal((*shape, *leaf.shape)).astype(np.float32)
    return {name: tf.constant(values) for name, values in batch.items()}


def convolved_side(cnn: str, name: str, side: int) -> int:
    """Pixels a side to each of which a kernel of the CNN is applied.

    Args:
        cnn: Which CNN.
        name: Name of the kernel, ``encoder/cnn/stages/0/kernel`` for example.
        side: Pixels a side of the images.
    """
    network, *_, stage, _ = name.split("/")
    if cnn == "strided":
        # Down: the smaller image that comes out. Up, transposed: the smaller one that goes in.
        first = side // 2 if network == "encoder" else STRIDED_SMALLEST_SIDE
    else:
        # Down: before pooling. Up: after upsampling.
        first = side if network == "encoder" else 2 * (side >> len(POOLED_DEPTHS))
    return first >> int(stage) if network == "encoder" else first << int(stage)


def products(model: DreamerModel, cnn: str, side: int) -> dict[str, float]:
    """Multiplications in one forward pass for one state, by name of the kernel.

    Args:
        model: The networks.
        cnn: Which CNN they have.
        side: Height of the images in pixels, 0 if there are none.
    """
    counts = {}
    for name, variable in model.named_variables().items():
        if not name.endswith("kernel"):
            continue
        pixels = 1
        if variable.shape.rank == 4:
            pixels = convolved_side(cnn, name, side)
        counts[name] = float(math.prod(variable.shape)) * pixels**2
    return counts


def dense_gflop(
    model: DreamerModel, spaces: str, cnn: str, settings: TrainerSettings, records: int
) -> float:
    """Floating point operations of an update's products, all of them dense, in 1e9.

    A gradient by the weights and one by the inputs cost as much as the forward pass, each. Where
    nothing upstream is trained, only the former is counted.
    """
    observations, actions = SPACES[spaces]
    side = observations.images[0].height if observations.images else 0
    counts, horizon = products(model, cnn, side), settings.horizon

    def total(*prefixes: str) -> float:
        return sum(n for name, n in counts.items() if name.startswith(prefixes))

    first_layers = ("encoder/cnn/stages/0/", "encoder/mlp/blocks/0/")
    world_model = ("encoder/", "rssm/", "decoder/", "reward/", "continue/")
    multiplications = 3 * total(*world_model) - total(*first_layers)

    # Imagination: H steps of the sequence model; the policy and the heads at H + 1 states.
    step = total("rssm/sequence_model", "rssm/prior")
    multiplications += horizon * step + (horizon + 1) * total("actor/")
    multiplications += (horizon + 1) * total("reward/", "continue/", "critic/")
    multiplications += horizon * total("slow_critic/")
    # Training: the policy once more, then both ways back, down to the model states.
    multiplications += horizon * total("actor/")
    for head in ("actor/", "critic/"):
        multiplications += horizon * (2 * total(head) - total(f"{head}mlp/first/"))
    if settings.replay_critic_scale:
        multiplications += 3 * total("critic/") + total("slow_critic/")
    if settings.actor_grad == "auto" and actions.all_continuous:
        multiplications += horizon * (step + total("reward/", "critic/", "actor/outputs/"))
    return 2.0 * records * multiplications / 1e9


def gemm_gflop_per_s() -> float:
    """Best speed of a large float32 product in this process."""
    n = MATRIX_SIZE
    a, b = tf.random.normal([n, n]), tf.random.normal([n, n])
    product = tf.function(lambda: tf.linalg.matmul(a, b)[0, 0])
    return 2.0 * n**3 / 1e9 / min(seconds(product) for _ in range(8))


def seconds(work: Callable[[], tf.Tensor]) -> float:
    """Duration of a call until its result is there."""
    began = time.perf_counter()
    work().numpy()
    return time.perf_counter() - began


def measure(
    workload: str, rows: int, length: int, horizon: int, runs: int
) -> dict[str, float | int | str]:
    """Does one update to compile it, then as many as are asked for.

    Args:
        workload: One of `WORKLOADS`.
        rows: B.
        length: T.
        horizon: H.
        runs: Number of updates that are timed.

    Returns:
        Name -> number; the unit is part of the name.

    Raises:
        RuntimeError: If a parameter has not changed: then something else has been timed.
    """
    spaces, size = WORKLOADS[workload]
    observations, actions = SPACES[spaces]
    # With a warm-up the first updates would change too little to be seen.
    config = DreamerV3Config().training(model_size=size, horizon_H=horizon, lr_warmup=0)
    sizes, settings = config.model_settings(), config.trainer_settings()
    model = DreamerModel(observations, actions, sizes, seed=0)
    trainer = Trainer(model, observations, actions, sizes, settings)
    batch = make_batch(spaces, sizes, rows, length, settings.replay_context)
    before = {name: variable.numpy() for name, variable in model.named_variables().items()}

    def update() -> tf.Tensor:
        metrics = trainer.update(batch).metrics
        return metrics["WORLD_MODEL_L_total"] + metrics["ACTOR_L_total"] + metrics["CRITIC_L_total"]

    first = seconds(update)
    # In the first update nothing gets past the zeros of the outputs; the next one trains all.
    seconds(update)
    times = [seconds(update) for _ in range(runs)]
    unchanged = [
        name
        for name, variable in model.named_variables().items()
        if np.array_equal(before[name], variable.numpy())
    ]
    if unchanged:
        raise RuntimeError(f"{len(unchanged)} parameters have not changed: {unchanged[:3]} ...")
    gflop = dense_gflop(model, spaces, sizes.cnn, settings, rows * length)
    speed = gemm_gflop_per_s()
    median = statistics.median(times)
    return {
        "workload": workload,
        "batch": rows,
        "length": length,
        "horizon": horizon,
        "compute_dtype": "float32",
        "parameters": model.count_parameters()["total"],
        "runs": runs,
        "median_s": median,
        "min_s": min(times),
        "max_s": max(times),
        "dense_gflop": gflop,
        "gemm_gflop_per_s": speed,
        "multiple_of_dense_floor": median / (gflop / speed),
        "compile_s": first - median,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--workload", choices=WORKLOADS, default="vector-xs", metavar="WORKLOAD")
    parser.add_argument("--batch", type=int, default=16, help="rows of a batch")
    parser.add_argument("--length", type=int, default=64, help="records of a row")
    parser.add_argument("--horizon", type=int, default=15, help="imagined steps")
    parser.add_argument("--runs", type=int, default=10, help="updates that are timed")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--json", action="store_true", help="last line: the numbers as JSON")
    options = parser.parse_args()
    if min(options.batch, options.length, options.horizon, options.runs) < 1:
        parser.error("--batch, --length, --horizon and --runs must be at least 1")
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    numbers = measure(
        options.workload, options.batch, options.length, options.horizon, options.runs
    )
    for name, value in numbers.items():
        print(
            f"{name:<24}{value:>14,.3f}" if isinstance(value, float) else f"{name:<24}{value:>14}"
        )
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
