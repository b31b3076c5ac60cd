"""The floor of an update: all its products, counted as dense, at the speed of a large product.

z is counted as a dense vector, so an update may be below its floor: products with one-hot vectors
are avoided.
"""

import math
import time

import tensorflow as tf

from rllib_dreamerv3.agent.networks.cnn import POOLED_DEPTHS, STRIDED_SMALLEST_SIDE
from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout

MATRIX_SIZE = 2048
REPETITIONS = 8


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
    model: DreamerModel,
    observations: ObservationLayout,
    actions: ActionLayout,
    cnn: str,
    options: LearningOptions,
    rows: int,
    length: int,
) -> float:
    """Floating point operations of an update's products, all of them dense, in 1e9.

    A gradient by the weights and one by the inputs cost as much as the forward pass, each. Where
    nothing upstream is trained, only the former is counted.

    Args:
        model: The networks.
        observations: What they observe.
        actions: What they do.
        cnn: Which CNN they have.
        options: What the update consists of.
        rows: B.
        length: T.
    """
    side = observations.images[0].height if observations.images else 0
    counts, horizon = products(model, cnn, side), options.horizon_H

    def total(*prefixes: str) -> float:
        return sum(n for name, n in counts.items() if name.startswith(prefixes))

    first_layers = ("encoder/cnn/stages/0/", "encoder/mlp/blocks/0/")
    world_model = ("encoder/", "rssm/", "decoder/", "reward/", "continue/")
    learned = 3 * total(*world_model) - total(*first_layers)

    # Imagination: H steps of the sequence model; the policy and the heads at H + 1 states.
    step = total("rssm/sequence_model", "rssm/prior")
    multiplications = horizon * step + (horizon + 1) * total("actor/")
    multiplications += (horizon + 1) * total("reward/", "continue/", "critic/")
    multiplications += horizon * total("slow_critic/")
    # Training: the policy once more, then both ways back, down to the model states.
    multiplications += horizon * total("actor/")
    for head in ("actor/", "critic/"):
        multiplications += horizon * (2 * total(head) - total(f"{head}mlp/first/"))
    if options.replay_critic_scale:
        multiplications += 3 * total("critic/") + total("slow_critic/")
    if options.actor_grad == "auto" and actions.all_continuous:
        multiplications += horizon * (step + total("reward/", "critic/", "actor/outputs/"))
    starts = options.imag_last or length
    return 2.0 * rows * (length * learned + starts * multiplications) / 1e9


def gemm_gflop_per_s() -> float:
    """Best speed of a large float32 product in this process, in 1e9 operations per second."""
    n = MATRIX_SIZE
    a, b = tf.random.normal([n, n]), tf.random.normal([n, n])
    product = tf.function(lambda: tf.linalg.matmul(a, b)[0, 0])
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - began)
    return 2.0 * n**3 / 1e9 / min(times)
