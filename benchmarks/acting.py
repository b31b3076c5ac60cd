"""Milliseconds of one acting step, one environment, one CPU core: in training and after export.

    python benchmarks/acting.py --out benchmarks/results/acting.json

The parameters are random, which changes no time. `policy` is the compiled step that env runners
call; the others encode the observation and decode the action too. Each is timed in a process of
its own that is bound to one core, so that no library uses more threads.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

SPACES = {
    "vector": gym.spaces.Box(-3, 3, (8,), np.float32),
    "image": gym.spaces.Box(0, 255, (64, 64, 3), np.uint8),
}
ACTIONS = gym.spaces.Discrete(6)
FORMATS = ("savedmodel", "litert", "litert_int8", "onnx", "numpy")
WARM_UP, STEPS = 20, 200


def export(size: str, kind: str, folder: Path) -> None:
    """Exports a policy with random parameters in all formats that can have it."""
    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.checkpoints import manifest, tensors
    from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE
    from rllib_dreamerv3.exporting.folder import export_policy
    from rllib_dreamerv3.networks.model import DreamerModel, get_weights
    from rllib_dreamerv3.networks.saved import read_saved_networks
    from rllib_dreamerv3.plugin.checkpoint_files import write_policy

    checkpoint = folder / "checkpoint"
    (checkpoint / NETWORKS_FILE).parent.mkdir(parents=True)
    write_policy(checkpoint, DreamerV3Config().training(model_size=size), SPACES[kind], ACTIONS)
    manifest.write(checkpoint, env_steps=0, updates=0, iteration=0)
    saved = read_saved_networks(checkpoint)
    model = DreamerModel(saved.observations.layout, saved.actions.layout, saved.settings, seed=0)
    tensors.save(checkpoint / NETWORKS_FILE, get_weights(model))
    (checkpoint / manifest.MANIFEST).unlink()
    manifest.write(checkpoint, env_steps=0, updates=0, iteration=0)
    formats = [name for name in FORMATS if name != "litert_int8"]
    if kind == "image":
        formats.remove("numpy")
    export_policy(checkpoint, folder / "exported", formats)


def stepper(how: str, exported: Path) -> Callable[[Any], Any]:
    """What takes an observation and acts."""
    if how in FORMATS:
        sys.path.insert(0, str(exported))
        from policy_io import load

        return load(exported, format=how)
    from rllib_dreamerv3 import load_policy

    loaded = load_policy(exported)
    if how == "load_policy":
        return loaded
    policy, codec = loaded._networks.policy, loaded._observations
    rng, begins, state = np.random.default_rng(0), np.zeros(1, bool), policy.initial_state(1)

    def step(observation: np.ndarray) -> None:
        nonlocal state
        columns = codec.encode(observation[None])
        state = policy.act(columns, begins, state, policy.draw_noise(rng, 1), mode=False)

    return step


def measure(how: str, kind: str, exported: Path) -> dict[str, float]:
    """Milliseconds of a step: the median, and the fastest."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    space = SPACES[kind]
    space.seed(0)
    act = stepper(how, exported)
    seconds = []
    for i in range(WARM_UP + STEPS):
        observation = space.sample()
        began = time.perf_counter()
        act(observation)
        if i >= WARM_UP:
            seconds.append(time.perf_counter() - began)
    return {
        "median_ms": round(1e3 * statistics.median(seconds), 3),
        "fastest_ms": round(1e3 * min(seconds), 3),
    }


def in_a_process(*arguments: str) -> str:
    """The last line that this script prints when called with ``arguments``."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["XS", "12M"], help="model sizes")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--export", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export:
        size, kind, folder = arguments.export
        export(size, kind, Path(folder))
        print("exported")
        return
    if arguments.measure:
        how, kind, exported = arguments.measure
        print(json.dumps(measure(how, kind, Path(exported))))
        return
    rows = []
    for size in arguments.sizes:
        for kind in SPACES:
            with tempfile.TemporaryDirectory() as folder:
                in_a_process("--export", size, kind, folder)
                exported = Path(folder, "exported")
                models = json.loads((exported / "policy.json").read_text())["models"]
                for how in ("policy", "load_policy", *models):
                    row = json.loads(in_a_process("--measure", how, kind, str(exported)))
                    rows.append({"size": size, "observation": kind, "how": how, **row})
                    print(json.dumps(rows[-1]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
