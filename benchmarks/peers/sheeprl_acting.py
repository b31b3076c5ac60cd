"""Acting steps of SheepRL's DreamerV3 (PyTorch), as a process that times some for each line.

Its environment is that of :mod:`peers.sheeprl_update`. What is timed is what its training loops do
from an observation to an action, with one environment: ``prepare_obs()``, ``get_actions()`` of the
player, which samples, and the action as NumPy's number, in ``torch.inference_mode()``. An image
has its channels put first, as its environments do. All else is its default: float32, without
``torch.compile``. Its latent states, which one of the loops keeps, are not copied.
"""

import argparse
from collections.abc import Callable

import numpy as np

from peers.acting_steps import SPACES, bind_to_one_core, time_steps
from peers.protocol import Answers
from peers.sheeprl_agent import OBSERVATION, make_agent, read_config
from peers.workloads import Spaces


def make_act(spaces: Spaces, size: str) -> Callable[[np.ndarray], np.ndarray]:
    """What takes an observation and acts, with random parameters."""
    import torch
    from lightning.fabric import Fabric
    from sheeprl.algos.dreamer_v3.utils import prepare_obs

    fabric = Fabric(accelerator="cpu", devices=1)
    config = read_config(spaces, size, "env.num_envs=1")
    torch.distributions.Distribution.set_default_validate_args(config.distribution.validate_args)
    player = make_agent(fabric, spaces, config)[-1]
    player.eval()
    player.init_states()
    images = config.algo.cnn_keys.encoder

    @torch.inference_mode()
    def act(observation: np.ndarray) -> np.ndarray:
        if spaces.is_image:
            observation = observation.transpose(2, 0, 1)
        prepared = prepare_obs(fabric, {OBSERVATION: observation[None]}, cnn_keys=images)
        actions = player.get_actions(prepared)
        return torch.stack([x.argmax(dim=-1) for x in actions], dim=-1).cpu().numpy()

    return act


def main() -> None:
    """Build a player, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--size", required=True, help="model size")
    parser.add_argument("--observation", required=True, choices=SPACES, help="what is observed")
    options = parser.parse_args()
    answers = Answers()
    bind_to_one_core()

    import sheeprl
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    spaces = SPACES[options.observation]
    act = make_act(spaces, options.size)
    answers.serve(
        {"program": f"SheepRL {sheeprl.__version__}, PyTorch {torch.__version__}"},
        lambda: time_steps(act, spaces),
    )


if __name__ == "__main__":
    main()
