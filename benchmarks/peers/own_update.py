"""One update of this project, as a process that answers each line.

What is timed is ``Trainer.update()`` on a batch of tensors, until its metrics are there.
"""

import argparse
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from peers.protocol import Answers
from peers.workloads import SPACES, Spaces, add_update_arguments, random_records, split_name

if TYPE_CHECKING:
    import tensorflow as tf

    from rllib_dreamerv3.options.model_sizes import ModelSettings
    from rllib_dreamerv3.spaces.layout import ActionLayout, ObservationLayout


def main() -> None:
    """Build model and trainer, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add_update_arguments(parser)
    parser.add_argument("--compute-dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--form", default="kernels")
    parser.add_argument("--imag-last", type=int, default=0)
    options = parser.parse_args()
    spaces_name, size_name = split_name(options.workload)
    spaces = SPACES[spaces_name]
    answers = Answers()

    import tensorflow as tf
    from dense_floor import dense_gflop, gemm_gflop_per_s

    from rllib_dreamerv3 import DreamerV3Config, __version__
    from rllib_dreamerv3.agent.kernels import compiled
    from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights
    from rllib_dreamerv3.agent.trainer import Trainer
    from rllib_dreamerv3.errors import ResourceError
    from rllib_dreamerv3.options.model_sizes import MODEL_SIZES
    from rllib_dreamerv3.startup.devices import device_in_use, use_devices_of_a_learner

    try:
        use_devices_of_a_learner(1 if options.device == "gpu" else 0)
    except ResourceError as error:
        sys.exit(str(error))
    if options.form == "whole":
        compiled.MEASURED_DEVICES = frozenset()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    names = {name.lower(): name for name in MODEL_SIZES}
    # With a warm-up the first updates would change too little to be seen.
    config = DreamerV3Config().training(
        model_size=names.get(size_name, size_name),
        horizon_H=options.horizon,
        imag_last=options.imag_last,
        compute_dtype=options.compute_dtype,
        lr_warmup=0,
    )
    sizes, settings = config.model_settings(), config.learning_options()
    observations, actions = layouts(spaces)
    model = DreamerModel(observations, actions, sizes, seed=0)
    trainer = Trainer(model, observations, actions, sizes, settings)
    batch = make_batch(
        spaces, options.batch, options.length, config.resolved("replay_context"), sizes
    )
    before = get_weights(model)

    def update() -> dict[str, float]:
        began = time.perf_counter()
        metrics = trainer.update(batch).metrics
        for part in ("WORLD_MODEL", "ACTOR", "CRITIC"):
            metrics[f"{part}_L_total"].numpy()
        return {"seconds": time.perf_counter() - began}

    def closing() -> dict[str, Any]:
        after = get_weights(model)
        return {
            "unchanged": [name for name, x in before.items() if (after[name] == x).all()],
            # Not earlier: its matrices would count as memory of the update.
            "gemm_gflop_per_s": gemm_gflop_per_s(),
        }

    answers.serve(
        {
            "program": f"rllib_dreamerv3 {__version__}, TensorFlow {tf.__version__}",
            "parameters": model.count_parameters()["total"],
            "compute_dtype": options.compute_dtype,
            "device": device_in_use(),
            "dense_gflop": dense_gflop(
                model,
                observations,
                actions,
                sizes.cnn,
                settings,
                options.batch,
                options.length,
            ),
            "sizes": asdict(sizes),
        },
        update,
        closing,
    )


def layouts(spaces: Spaces) -> "tuple[ObservationLayout, ActionLayout]":
    """Return the layouts of observations and actions for the networks."""
    from rllib_dreamerv3.spaces.layout import (
        ActionLayout,
        ContinuousAction,
        DiscreteAction,
        Image,
        ObservationLayout,
        Vector,
    )

    leaf: Image | Vector
    if spaces.is_image:
        height, width, channels = spaces.observation
        leaf = Image("obs/observation", height, width, channels)
    else:
        (numbers,) = spaces.observation
        leaf = Vector("obs/observation", numbers)
    kind = ContinuousAction if spaces.continuous else DiscreteAction
    return ObservationLayout((leaf,)), ActionLayout((kind(spaces.actions),))


def make_batch(
    spaces: Spaces, rows: int, length: int, context: int, sizes: "ModelSettings"
) -> "dict[str, tf.Tensor]":
    """Random records ``[B, T, ...]``; with a context record ``[B, 1 + T, ...]``, and latents."""
    import numpy as np
    import tensorflow as tf

    from rllib_dreamerv3.records import (
        ACTION,
        IS_FIRST,
        IS_LAST,
        IS_TERMINAL,
        LATENT_H,
        LATENT_INDEX,
        REWARD,
    )

    records = random_records(spaces, rows, context + length)
    batch = {
        "obs/observation": records["observation"],
        REWARD: records["reward"],
        IS_FIRST: records["is_first"],
        IS_LAST: records["is_last"],
        IS_TERMINAL: records["is_terminal"],
        ACTION: records["action"],
    }
    if context:
        rng = np.random.default_rng(1)
        shape = (rows, context + length)
        h = rng.uniform(-1, 1, (*shape, sizes.deterministic))
        index = rng.integers(0, sizes.classes, (*shape, sizes.categoricals))
        batch |= {LATENT_H: h.astype(np.float32), LATENT_INDEX: index.astype(np.uint8)}
    return {name: tf.constant(values) for name, values in batch.items()}


if __name__ == "__main__":
    main()
