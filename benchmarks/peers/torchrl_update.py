"""One update of TorchRL's DreamerV3 (PyTorch), as a process that answers each line.

    python3 -m venv torchrl-peer
    torchrl-peer/bin/pip install torch==2.13.0 torchrl==0.14.1

TorchRL has the parts, not an algorithm: the networks are put together here from its RSSM, its
DreamerV3 networks and ``DreamerV3Loss``, with the workload's numbers of units and layers. What is
timed is ``DreamerV3OptimizationStepper.step()``: world model, imagination, REINFORCE actor and
critic, one optimizer for all, and the slow critic, eagerly, as it chooses itself on a CPU; in
float32, or in bfloat16 by PyTorch's ``autocast``.

Its layers have RMS norms and biases, its CNN 5x5 convolutions of stride 2, whatever the size. What
it can follow follows the size: its ``"gru"``, a plain one, or its ``"block_gru"`` of 8 blocks;
channel factors 1, 2, 4, 8 or 2, 3, 4, 4; whether the critic is trained on replayed records too.
The number of parameters says how near that comes. Actions are discrete.
"""

import argparse
import json
from typing import TYPE_CHECKING, Any

from peers.protocol import Answers
from peers.torch_updates import add_compute_dtype, serve_updates
from peers.workloads import SPACES, Spaces, add_update_arguments, random_records, split_name

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torchrl.objectives import DreamerV3Loss, DreamerV3ValueLoss

BINS = 255


def build_loss(
    spaces: Spaces, sizes: dict[str, Any], horizon: int
) -> "tuple[DreamerV3Loss, DreamerV3ValueLoss]":
    """Networks and losses.

    Args:
        spaces: Observations and actions.
        sizes: Numbers of units and layers, as the measured project names them.
        horizon: H.

    Returns:
        The ``DreamerV3Loss``, and the critic loss that owns the slow critic.
    """
    import torch
    from tensordict.nn import TensorDictModule, TensorDictSequential
    from torchrl.data import Bounded, Composite, Unbounded
    from torchrl.envs.model_based import DreamerEnv
    from torchrl.modules import (
        DreamerV3DiscreteActor,
        DreamerV3ImageDecoder,
        DreamerV3ImageEncoder,
        DreamerV3MLP,
        RSSMPosteriorV3,
        RSSMPriorV3,
        RSSMRolloutV3,
        SymExpTwoHot,
        WorldModelWrapper,
    )
    from torchrl.objectives import (
        DreamerV3ActorLoss,
        DreamerV3Loss,
        DreamerV3ModelLoss,
        DreamerV3ValueLoss,
        symexp,
        symlog,
    )
    from torchrl.objectives.utils import ValueEstimators

    of_2025 = sizes["sequence_model"] == "block_gru"
    belief, categoricals, classes = (
        sizes["deterministic"],
        sizes["categoricals"],
        sizes["classes"],
    )
    state = categoricals * classes
    feature = belief + state
    observation = ("next", "observation")

    def mlp(inputs: int, outputs: int | None, layers: int, units: int, scale: float = 1.0):
        return DreamerV3MLP(inputs, outputs, depth=layers, num_cells=units, outscale=scale)

    if spaces.is_image:
        height, width, channels = spaces.observation
        factors = (2, 3, 4, 4) if of_2025 else (1, 2, 4, 8)
        image_shape = (channels, height, width)
        cnn = DreamerV3ImageEncoder(channels, sizes["cnn_depth"], factors)
        embedding = cnn.output_features(image_shape)
        encoder = TensorDictModule(cnn, [observation], [("next", "encoded_latents")])
        deconvolution = DreamerV3ImageDecoder(
            feature,
            image_shape,
            sizes["cnn_depth"],
            factors,
            num_blocks=8 if of_2025 else 1,
        )
        decoder: Any = TensorDictModule(
            deconvolution, [("next", "state"), ("next", "belief")], [("next", "reco_pixels")]
        )
    else:
        (width,) = spaces.observation
        units, layers = sizes["vector_units"], sizes["vector_layers"]
        embedding = units
        encoder = TensorDictSequential(
            TensorDictModule(symlog, [observation], [("next", "symlog")]),
            TensorDictModule(
                mlp(width, None, layers, units),
                [("next", "symlog")],
                [("next", "encoded_latents")],
            ),
        )
        decoder = TensorDictSequential(
            TensorDictModule(
                mlp(feature, width, layers, units),
                [("next", "state"), ("next", "belief")],
                [("next", "reco_symlog")],
            ),
            TensorDictModule(symexp, [("next", "reco_symlog")], [("next", "reco_pixels")]),
        )

    prior = RSSMPriorV3(
        action_shape=(spaces.actions,),
        action_dim=spaces.actions,
        hidden_dim=sizes["hidden"],
        rnn_hidden_dim=belief,
        num_categoricals=categoricals,
        num_classes=classes,
        recurrent_model=sizes["sequence_model"],
        prior_num_layers=sizes["prior_layers"],
        unimix=sizes["unimix"],
    )
    posterior = RSSMPosteriorV3(
        hidden_dim=sizes["hidden"],
        num_categoricals=categoricals,
        num_classes=classes,
        rnn_hidden_dim=belief,
        obs_embed_dim=embedding,
        use_rms_norm=True,
        unimix=sizes["unimix"],
    )
    rollout = RSSMRolloutV3(
        TensorDictModule(
            prior,
            ["state", "belief", "action"],
            [("next", "prior_logits"), ("next", "state"), ("next", "belief")],
        ),
        TensorDictModule(
            posterior,
            [("next", "belief"), ("next", "encoded_latents")],
            [("next", "posterior_logits"), ("next", "state")],
        ),
    )
    reward = mlp(feature, BINS, sizes["reward_layers"], sizes["units"], 0.0)
    going_on = mlp(feature, 1, sizes["continue_layers"], sizes["units"])
    critic = mlp(feature, BINS, sizes["critic_layers"], sizes["units"], 0.0)
    two_hot = SymExpTwoHot(BINS)

    world_model = TensorDictSequential(
        encoder,
        rollout,
        decoder,
        TensorDictModule(
            reward, [("next", "belief"), ("next", "state")], [("next", "reward_logits")]
        ),
        TensorDictModule(two_hot, [("next", "reward_logits")], [("next", "reward")]),
        TensorDictModule(
            going_on, [("next", "belief"), ("next", "state")], [("next", "continue_pred")]
        ),
    )
    imagination = DreamerEnv(
        WorldModelWrapper(
            TensorDictModule(prior, ["state", "belief", "action"], ["_", "state", "belief"]),
            TensorDictSequential(
                TensorDictModule(reward, ["belief", "state"], ["reward_logits"]),
                TensorDictModule(two_hot, ["reward_logits"], ["reward"]),
            ),
        ),
        prior_shape=torch.Size([state]),
        belief_shape=torch.Size([belief]),
    )
    imagination.observation_spec = Composite(state=Unbounded(state), belief=Unbounded(belief))
    imagination.state_spec = imagination.observation_spec.clone()
    imagination.action_spec = Bounded(0, 1, (spaces.actions,))
    imagination.reward_spec = Unbounded((1,))
    continuation = TensorDictSequential(
        TensorDictModule(going_on, ["belief", "state"], ["continue_logits"]),
        TensorDictModule(torch.nn.Sigmoid(), ["continue_logits"], ["continuation"]),
    )
    actor = DreamerV3DiscreteActor(
        feature,
        spaces.actions,
        depth=sizes["actor_layers"],
        num_cells=sizes["units"],
        unimix=sizes["actor_unimix"],
    )
    value = TensorDictSequential(
        TensorDictModule(critic, ["belief", "state"], ["state_value_logits"]),
        TensorDictModule(two_hot, ["state_value_logits"], ["state_value"]),
    )

    model_loss = DreamerV3ModelLoss(
        world_model,
        lambda_continue=1.0,
        kl_mode="separate",
        unimix=sizes["unimix"],
        reco_symlog=not spaces.is_image,
        num_reward_bins=BINS,
        detach_output=False,
    )
    model_loss.set_keys(pixels="observation")
    actor_loss = DreamerV3ActorLoss(
        actor,
        value,
        imagination,
        continuation_model=continuation,
        imagination_horizon=horizon,
        use_reinforce=True,
    )
    actor_loss.make_value_estimator(ValueEstimators.TDLambda, gamma=1 - 1 / 333, lmbda=0.95)
    value_loss = DreamerV3ValueLoss(
        value,
        value_loss="two_hot",
        num_value_bins=BINS,
        actor_loss=actor_loss,
        slow_critic_regularization=1.0,
    )
    loss = DreamerV3Loss(
        model_loss,
        actor_loss,
        value_loss,
        replay_value_loss_weight=0.3 if of_2025 else 0.0,
    )
    return loss, value_loss


def make_sample(spaces: Spaces, sizes: dict[str, Any], rows: int, length: int) -> "TensorDict":
    """Random transitions ``[B, T]``: TorchRL keeps what an action leads to beside the action."""
    import torch
    from tensordict import TensorDict

    records = {
        name: torch.from_numpy(values)
        for name, values in random_records(spaces, rows, length).items()
    }
    observation = records["observation"]
    if spaces.is_image:
        observation = observation.movedim(-1, -3).contiguous()
    state = sizes["categoricals"] * sizes["classes"]
    return TensorDict(
        {
            "state": torch.zeros(rows, length, state),
            "belief": torch.zeros(rows, length, sizes["deterministic"]),
            "action": records["action"],
            "is_init": records["is_first"][..., None],
            "next": {
                "observation": observation,
                "reward": records["reward"][..., None],
                "done": records["is_last"][..., None],
                "terminated": records["is_terminal"][..., None],
            },
        },
        [rows, length],
    )


def main() -> None:
    """Build losses and optimizer, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    add_compute_dtype(parser)
    parser.add_argument("--sizes", type=json.loads, required=True, help="JSON: units and layers")
    options = parser.parse_args()
    spaces = SPACES[split_name(options.workload)[0]]
    if spaces.continuous:
        raise SystemExit("The comparison with TorchRL is there for discrete actions only.")
    answers = Answers()

    import torch
    import torchrl
    from torchrl.objectives import SoftUpdate
    from torchrl.trainers.algorithms import DreamerV3OptimizationStepper, DreamerV3Optimizer

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    loss, value_loss = build_loss(spaces, options.sizes, options.horizon)
    sample = make_sample(spaces, options.sizes, options.batch, options.length)
    trained = {name: p for name, p in loss.named_parameters() if p.requires_grad}
    # With a warm-up the first updates would change too little to be seen.
    stepper = DreamerV3OptimizationStepper(
        loss,
        DreamerV3Optimizer(trained.values(), warmup_steps=0),
        SoftUpdate(value_loss, tau=0.02),
    )

    def update() -> None:
        in_bfloat16 = options.compute_dtype == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
            stepper.step(None, sample)

    serve_updates(answers, f"TorchRL {torchrl.__version__}", trained.items(), update)


if __name__ == "__main__":
    main()
