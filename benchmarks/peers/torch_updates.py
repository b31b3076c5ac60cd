"""What processes that time an update with PyTorch have in common."""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from peers.protocol import Answers

if TYPE_CHECKING:
    from torch.nn import Parameter


def add_compute_dtype(parser: argparse.ArgumentParser) -> None:
    """Add the dtype of large products."""
    parser.add_argument("--compute-dtype", choices=("float32", "bfloat16"), default="float32")


def serve_updates(
    answers: Answers,
    program: str,
    parameters: "Iterable[tuple[str, Parameter]]",
    update: Callable[[], object],
) -> None:
    """Answer each line with the seconds of an update, and say at the end what has not changed.

    Args:
        answers: Where to.
        program: Name and version of what is measured.
        parameters: All that there are, by name; those without gradient are left out.
        update: Trains them once.
    """
    import torch

    trained = {name: p for name, p in parameters if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}

    def timed() -> dict[str, float]:
        began = time.perf_counter()
        update()
        return {"seconds": time.perf_counter() - began}

    def unchanged() -> dict[str, list[str]]:
        return {"unchanged": [name for name, p in trained.items() if torch.equal(before[name], p)]}

    answers.serve(
        {
            "program": f"{program}, PyTorch {torch.__version__}",
            "parameters": sum(p.numel() for p in trained.values()),
        },
        timed,
        unchanged,
    )
