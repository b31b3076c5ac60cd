"""CPU time of an update with and without exploration, in turns.

    python benchmarks/exploration.py nano --runs 12
    python benchmarks/exploration.py 1M --runs 6

Updates of 16 x 64 random records of 5 numbers and one action of 4, horizon 15, on one thread.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from pathlib import Path

import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.options.model_sizes import model_settings, variant_of
from rllib_dreamerv3.options.table import ExplorationOptions, LearningOptions

# Random records as in the tests.
sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
import synthetic

ROWS, LENGTH = 16, 64
MODELS = ExplorationOptions().curiosity_models


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", help="model size, e.g. nano or 1M")
    parser.add_argument("--runs", type=int, default=6, help="pairs of updates that are timed")
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    plain, exploring = (trainer_of(arguments.size, models) for models in (0, MODELS))
    batch = batch_of(arguments.size)
    for trainer in (plain, exploring):  # They compile.
        seconds_of(trainer, batch)
    timed: dict[Trainer, list[float]] = {plain: [], exploring: []}
    for _ in range(arguments.runs):
        for trainer, seconds in timed.items():
            seconds.append(seconds_of(trainer, batch))
    without, with_it = map(statistics.median, timed.values())
    print(
        f"{arguments.size}: {without:.3f} s without, {with_it:.3f} s with {MODELS} models, "
        f"{with_it / without:.2f} times"
    )


def trainer_of(size: str, models: int) -> Trainer:
    settings = dataclasses.replace(model_settings(size), ensemble=models)
    exploration = ExplorationOptions(use_curiosity=models > 0)
    options = LearningOptions.of_variant(variant_of(size), exploration=exploration)
    layouts = (synthetic.VECTOR, synthetic.DISCRETE)
    return Trainer(DreamerModel(*layouts, settings, seed=0), *layouts, settings, options)


def batch_of(size: str) -> dict[str, tf.Tensor]:
    layouts = (synthetic.VECTOR, synthetic.DISCRETE)
    if variant_of(size) == "v1":
        return synthetic.batch(*layouts, ROWS, LENGTH)
    return synthetic.batch_with_context(*layouts, model_settings(size), ROWS, LENGTH)


def seconds_of(trainer: Trainer, batch: dict[str, tf.Tensor]) -> float:
    began = time.process_time()
    trainer.update(batch).metrics["ACTOR_L_total"].numpy()
    return time.process_time() - began


if __name__ == "__main__":
    main()
