"""One update of SheepRL's DreamerV3 (PyTorch), as a process that answers each line.

    python3 -m venv sheeprl-peer
    sheeprl-peer/bin/pip install torch==2.13.0 sheeprl==0.8.4

It has both: ``dreamer_v3`` with the sizes XS to XL, and ``dreamer_v3_5``, the 2025 revision, with
1M to 400M. What is timed is its ``train()`` and the step of the slow critic, as its training loops
call them: world model, imagination, actor, critic and their optimizers, without metrics; in
float32, or in bfloat16 by its ``fabric.precision=bf16-mixed``. The batch consists of tensors
already. All else is its default, without ``torch.compile``, but learning rates are not warmed up:
the first updates would change too little to be seen.
"""

import argparse
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from peers.protocol import Answers
from peers.sheeprl_agent import OBSERVATION, is_of_2025, make_agent, read_config
from peers.torch_updates import add_compute_dtype, serve_updates
from peers.workloads import SPACES, Spaces, add_update_arguments, random_records, split_name

if TYPE_CHECKING:
    from torch import Tensor, nn


def make_batch(
    spaces: Spaces, config: Any, options: argparse.Namespace, context: int
) -> "dict[str, Tensor]":
    """Random records ``[T, B, ...]``, after as many of context, which bring their latent states."""
    import torch

    records = {
        name: torch.from_numpy(values).transpose(0, 1).contiguous()
        for name, values in random_records(spaces, options.batch, options.length + context).items()
    }
    observation = records["observation"]
    if spaces.is_image:
        observation = observation.movedim(-1, -3).contiguous()
        # The loop of its 2023 variant makes floats of the bytes before it trains.
        if not context:
            observation = observation.float()
    numbers = {"rewards": "reward", "terminated": "is_terminal", "is_first": "is_first"}
    batch = {name: records[ours][..., None].float() for name, ours in numbers.items()}
    batch |= {OBSERVATION: observation, "actions": records["action"]}
    if context:
        sizes = config.algo.world_model
        steps = batch["rewards"].shape[:2]
        batch["deter"] = torch.zeros(*steps, sizes.recurrent_model.recurrent_state_size).half()
        batch["stoch"] = torch.zeros(*steps, sizes.stochastic_size, dtype=torch.uint8)
    return batch | {"truncated": torch.zeros_like(batch["terminated"])}


def build(
    spaces: Spaces, config: Any, options: argparse.Namespace
) -> "tuple[dict[str, nn.Module], Callable[[], None]]":
    """The networks that are trained, by name, and their update on a batch of random records."""
    from hydra.utils import instantiate
    from lightning.fabric import Fabric
    from sheeprl.algos.dreamer_v3 import dreamer_v3 as of_2023
    from sheeprl.algos.dreamer_v3_5 import dreamer_v3_5 as of_2025

    precision = "bf16-mixed" if options.compute_dtype == "bfloat16" else "32-true"
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    algo, is_2025 = config.algo, is_of_2025(config)
    *built, slow_critic, _ = make_agent(fabric, spaces, config)
    networks = dict(zip(("world_model", "actor", "critic"), built, strict=True))
    scale = algo.actor.moments
    moments = (of_2025 if is_2025 else of_2023).Moments(
        scale.decay, scale.max, scale.percentile.low, scale.percentile.high
    )
    common = {
        "aggregator": None,
        "cfg": config,
        "moments": moments,
        "actions_dim": (spaces.actions,),
    }
    if is_2025:
        parameters = [p for network in networks.values() for p in network.parameters()]
        optimizer = fabric.setup_optimizers(
            instantiate(algo.optimizer, params=parameters, _convert_="all")
        )
        train = functools.partial(
            of_2025.train,
            fabric,
            target_critic=slow_critic,
            optimizer=optimizer,
            **networks,
            **common,
        )
    else:
        optimizers = {
            f"{name.removesuffix('_model')}_optimizer": fabric.setup_optimizers(
                instantiate(owner.optimizer, params=networks[name].parameters(), _convert_="all")
            )
            for name, owner in (
                ("world_model", algo.world_model),
                ("actor", algo.actor),
                ("critic", algo.critic),
            )
        }
        train = functools.partial(
            of_2023.train,
            fabric,
            target_critic=slow_critic,
            is_continuous=spaces.continuous,
            **networks,
            **optimizers,
            **common,
        )
    batch = make_batch(spaces, config, options, algo.replay_context if is_2025 else 0)

    def update() -> None:
        train(data=dict(batch))
        of_2025.update_target_critic(networks["critic"], slow_critic, algo.critic.tau)

    return networks, update


def main() -> None:
    """Build an agent, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    add_compute_dtype(parser)
    options = parser.parse_args()
    spaces_name, size = split_name(options.workload)
    answers = Answers()

    import sheeprl
    import torch
    from sheeprl.utils.metric import MetricAggregator

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    MetricAggregator.disabled = True
    config = read_config(SPACES[spaces_name], size, f"algo.horizon={options.horizon}")
    torch.distributions.Distribution.set_default_validate_args(config.distribution.validate_args)
    networks, update = build(SPACES[spaces_name], config, options)
    parameters = [
        (f"{network}.{name}", p)
        for network, module in networks.items()
        for name, p in module.named_parameters()
    ]
    serve_updates(answers, f"SheepRL {sheeprl.__version__}", parameters, update)


if __name__ == "__main__":
    main()
