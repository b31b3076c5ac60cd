"""Milliseconds of one acting step, one environment, one CPU core: in training and after export.

    python benchmarks/acting.py --out benchmarks/results/acting.json

The parameters are random, which does not affect the time. `policy` is the compiled step that env
runners call; the others also encode the observation and decode the action. Each is timed in a
separate process bound to one core, so that no library uses more threads.

With another DreamerV3 in addition, in the environment that benchmarks/update.py describes:

    python benchmarks/acting.py --vs sheeprl --peer-python ~/sheeprl-peer/bin/python

peers/sheeprl_acting.py states what is timed.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from peers.acting_steps import SPACES, bind_to_one_core, time_steps
from peers.interleave import Child, ChildError, add_peer_choice, check_options
from peers.workloads import Spaces

FORMATS = ("savedmodel", "litert", "onnx")
PEERS = ("sheeprl",)


def gym_spaces(spaces: Spaces) -> tuple[gym.Space, gym.Space]:
    """The observation space and the action space."""
    if spaces.is_image:
        observation = gym.spaces.Box(0, 255, spaces.observation, np.uint8)
    else:
        observation = gym.spaces.Box(-3, 3, spaces.observation, np.float32)
    return observation, gym.spaces.Discrete(spaces.actions)


def export(size: str, kind: str, folder: Path) -> None:
    """Export a policy with random parameters in all formats."""
    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights
    from rllib_dreamerv3.agent.networks.saved import read_saved_networks
    from rllib_dreamerv3.checkpoints import manifest, tensors
    from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE
    from rllib_dreamerv3.exporting.folder import export_policy
    from rllib_dreamerv3.plugin.policy_json import write_policy

    checkpoint = folder / "checkpoint"
    (checkpoint / NETWORKS_FILE).parent.mkdir(parents=True)
    config = DreamerV3Config().training(model_size=size)
    write_policy(checkpoint, config, *gym_spaces(SPACES[kind]))
    manifest.write(checkpoint, env_steps=0, updates=0, iteration=0)
    saved = read_saved_networks(checkpoint)
    model = DreamerModel(saved.observations.layout, saved.actions.layout, saved.settings, seed=0)
    tensors.save(checkpoint / NETWORKS_FILE, get_weights(model))
    (checkpoint / manifest.MANIFEST).unlink()
    manifest.write(checkpoint, env_steps=0, updates=0, iteration=0)
    export_policy(checkpoint, folder / "exported", FORMATS)


def stepper(how: str, exported: Path) -> Callable[[Any], Any]:
    """What takes an observation and acts."""
    if how in FORMATS:
        sys.path.insert(0, str(exported))
        from policy_io import load

        return load(exported, format=how)
    from rllib_dreamerv3 import load_policy
    from rllib_dreamerv3.agent.networks.saved import read_saved_networks

    loaded = load_policy(exported)
    if how == "load_policy":
        return loaded
    policy, codec = loaded._networks.policy, read_saved_networks(exported).observations
    rng, begins, state = np.random.default_rng(0), np.zeros(1, bool), policy.initial_state(1)

    def step(observation: np.ndarray) -> None:
        nonlocal state
        columns = codec.encode(observation[None])
        state = policy.act(columns, begins, state, policy.draw_noise(rng, 1), mode=False)

    return step


def measure(how: str, kind: str, exported: Path) -> dict[str, float]:
    """Milliseconds of a step."""
    bind_to_one_core()
    return time_steps(stepper(how, exported), SPACES[kind])


def measure_peer(peer: str, python: str, size: str, kind: str) -> dict[str, Any]:
    """Milliseconds of a peer's step, and what has been measured."""
    arguments = [f"--size={size}", f"--observation={kind}"]
    with Child(python, f"peers.{peer}_acting", arguments, threads=1) as child:
        return {**child.ask(), **child.hello}


def in_a_process(*arguments: str) -> str:
    """The last line that this script prints when called with ``arguments``."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def measure_all(
    size: str, kind: str, peer: str | None, peer_python: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What acts, and its numbers; a peer first, because its environment may lack something."""
    if peer and peer_python:
        yield peer, measure_peer(peer, peer_python, size, kind)
    with tempfile.TemporaryDirectory() as folder:
        in_a_process("--export", size, kind, folder)
        exported = Path(folder, "exported")
        models = json.loads((exported / "policy.json").read_text())["models"]
        for how in ("policy", "load_policy", *models):
            yield how, json.loads(in_a_process("--measure", how, kind, str(exported)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["XS", "12M"], help="model sizes")
    parser.add_argument("--out", type=Path, help="JSON file")
    add_peer_choice(parser, PEERS)
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
    check_options(parser, arguments)
    rows = []
    for size, kind in itertools.product(arguments.sizes, SPACES):
        try:
            for how, numbers in measure_all(size, kind, arguments.vs, arguments.peer_python):
                rows.append({"size": size, "observation": kind, "how": how, **numbers})
                print(json.dumps(rows[-1]), flush=True)
        except ChildError as error:
            parser.error(str(error))
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
