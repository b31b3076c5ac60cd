"""Checkpoints that were trained, for every test that needs no more than one of them.

Each is made once in a test session, even with several processes. Tests must not change it.
"""

import fcntl
import os
from pathlib import Path

import pytest
import ray
from tiny import tiny_config

CONFIGS = {
    # Numbers, one action of two.
    "v1": lambda: tiny_config("CartPole-v1"),
    # Images, and latents in replay.
    "v2": lambda: tiny_config("ale_py:ALE/Pong-v5", variant="v2"),
}


def trained_checkpoint(tmp_path_factory: pytest.TempPathFactory, variant: str) -> Path:
    """``checkpoint_000000`` of a trial's folder, after two updates."""
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"trained-{variant}"
    root.mkdir(exist_ok=True)
    checkpoint = root / "trial" / "checkpoint_000000"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not checkpoint.exists():
            started_here = not ray.is_initialized()
            algorithm = CONFIGS[variant]().build_algo()
            for _ in range(2):
                algorithm.train()
            algorithm.save_to_path(checkpoint)
            algorithm.stop()
            if started_here:
                ray.shutdown()
    return checkpoint
