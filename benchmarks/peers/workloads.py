"""What benchmarks train on: spaces, and random records in them. Needs nothing but NumPy.

A workload is called after its spaces and a model size: ``vector-xs``, ``image-1m``.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spaces:
    """What is observed and done.

    Attributes:
        observation: Shape of an observation: ``(height, width, channels)`` of an image of bytes,
            or ``(n,)`` of a vector.
        actions: Number of choices, or of numbers if ``continuous``.
        continuous: Whether an action is a vector of numbers in [-1, 1].
    """

    observation: tuple[int, ...]
    actions: int
    continuous: bool = False

    @property
    def is_image(self) -> bool:
        """Whether an observation is an image."""
        return len(self.observation) == 3


# CartPole's spaces, Atari's (and images of other sizes), and a walker's, whose actor is trained
# through the dynamics in v1.
SPACES = {
    "vector": Spaces((4,), 2),
    "image": Spaces((64, 64, 3), 6),
    **{f"image{side}": Spaces((side, side, 3), 6) for side in (16, 32, 128)},
    "continuous": Spaces((24,), 6, continuous=True),
}


def split_name(workload: str) -> tuple[str, str]:
    """Name of the spaces and of the model size, the latter in lower case.

    Raises:
        argparse.ArgumentTypeError: If there are no such spaces.
    """
    spaces, _, size = workload.lower().partition("-")
    if spaces not in SPACES or not size:
        raise argparse.ArgumentTypeError(
            f"{workload!r} is not {', '.join(f'{name}-SIZE' for name in SPACES)}; for example "
            "vector-xs"
        )
    return spaces, size


def random_records(spaces: Spaces, rows: int, length: int) -> dict[str, np.ndarray]:
    """Random records ``[B, T, ...]``; every row, and about one record in fifty, begins an episode.

    Args:
        spaces: Of which kind.
        rows: B.
        length: T.

    Returns:
        ``observation`` uint8 for images, else float32, ``reward`` float32, ``is_first``,
        ``is_last``, ``is_terminal`` bool, and ``action`` float32 ``[B, T, A]``, one-hot if
        discrete.
    """
    rng = np.random.default_rng(0)
    shape = (rows, length)
    is_first = rng.random(shape) < 0.02
    is_first[:, 0] = True
    is_last = np.roll(is_first, -1, 1)
    is_last[:, -1] = False
    if spaces.continuous:
        action = rng.uniform(-1, 1, (*shape, spaces.actions))
    else:
        action = np.eye(spaces.actions)[rng.integers(0, spaces.actions, shape)]
    if spaces.is_image:
        observation = rng.integers(0, 256, (*shape, *spaces.observation), np.uint8)
    else:
        observation = rng.standard_normal((*shape, *spaces.observation)).astype(np.float32)
    return {
        "observation": observation,
        "reward": rng.standard_normal(shape).astype(np.float32),
        "is_first": is_first,
        "is_last": is_last,
        "is_terminal": is_last,
        "action": action.astype(np.float32),
    }


def add_update_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what an update is made of; measuring and measured processes share these options."""
    parser.add_argument(
        "--workload",
        default="vector-xs",
        help="vector-, image- or continuous-, and a model size, e.g. vector-xs",
    )
    parser.add_argument("--batch", type=int, default=16, help="rows of a batch")
    parser.add_argument("--length", type=int, default=64, help="records of a row")
    parser.add_argument("--horizon", type=int, default=15, help="imagined steps")
    parser.add_argument("--threads", type=int, default=2, help="threads of each process")


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what sampling is made of; measuring and measured processes share these options."""
    parser.add_argument("--env", default="CartPole-v1", help="Gymnasium's name")
    parser.add_argument("--model-size", default="XS", help="of DreamerV3, of the 2023 ones")
    parser.add_argument("--fragment", type=int, default=1, help="rollout_fragment_length")
    parser.add_argument("--steps", type=int, default=400, help="env steps that are timed at once")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="threads of each process; 1 is what Ray gives an env runner of its own",
    )


def as_arguments(options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Options as a command line, for a process that shares them."""
    return [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a training run; measuring and measured processes share these options.

    The defaults are those of ``tuned_examples/cartpole.yaml``.
    """
    parser.add_argument("--env", default="CartPole-v1", help="Gymnasium's name")
    parser.add_argument("--model-size", default="XXS", help="of DreamerV3, of the 2023 ones")
    parser.add_argument("--batch", type=int, default=8, help="rows of a batch")
    parser.add_argument("--length", type=int, default=32, help="records of a row")
    parser.add_argument("--training-ratio", type=int, default=256, help="trained per env step")
    parser.add_argument("--world-model-lr", type=float, default=4e-4)
    parser.add_argument("--actor-lr", type=float, default=1e-4)
    parser.add_argument("--critic-lr", type=float, default=3e-4)
    parser.add_argument("--episodes", type=int, default=20, help="whose returns are averaged")
    parser.add_argument("--iteration-seconds", type=int, default=2, help="between two looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="threads of each process")


def training_options(options: argparse.Namespace) -> dict[str, Any]:
    """What both algorithms' ``training()`` is given."""
    return {
        "model_size": options.model_size,
        "batch_size_B": options.batch,
        "batch_length_T": options.length,
        "training_ratio": options.training_ratio,
        "world_model_lr": options.world_model_lr,
        "actor_lr": options.actor_lr,
        "critic_lr": options.critic_lr,
    }
