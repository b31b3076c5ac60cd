"""Overfits the world model to one batch of Atari frames.

Trains repeatedly on the same few rows of a random game, with the update of real training. If
networks, losses and optimizer are correct, the image loss keeps falling.

The ratio to the first loss has little meaning: most of it is the background, which the decoder's
biases alone can predict. The reference is the loss of the mean frame, the best prediction without
motion: only a model that predicts the positions of moving objects falls well below it. The exit
code is 1 if the loss fell by a factor of less than 10, or not to half of the mean frame's.

    python benchmarks/overfit.py --updates 4000 --out overfit.png --json overfit.json
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.envs.atari import make_atari
from rllib_dreamerv3.options.model_sizes import MODEL_SIZES, ModelSettings, model_settings
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST, IS_TERMINAL, REWARD, Columns
from rllib_dreamerv3.reports.dreams import Dreamer
from rllib_dreamerv3.reports.labelled_strips import labelled_strips
from rllib_dreamerv3.reports.picture_files import write_png
from rllib_dreamerv3.reports.reporter import DREAM_OBSERVED
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec

NEEDED_FACTOR = 10.0
NEEDED_FACTOR_BELOW_MEAN_FRAME = 2.0
LINES = 20


def collect(env_id: str, rows: int, length: int, skip: int, seed: int):
    """Play randomly in ``rows`` games at once.

    Args:
        env_id: Gymnasium id of an Atari game.
        rows: B, number of games.
        length: T, records to keep of each.
        skip: Steps before the first of them.
        seed: Seed of games and actions.

    Returns:
        Record columns ``[B, T, ...]``, and the codecs of observations and actions.
    """
    env = make_atari(env_id, rows, seed=seed)
    observations = ObservationCodec(env.single_observation_space)
    actions = ActionCodec(env.single_action_space)
    rng = np.random.default_rng(seed)
    pictures, _ = env.reset()
    no = np.zeros(rows, bool)
    now: Columns = {REWARD: np.zeros(rows, np.float32), IS_FIRST: ~no, IS_LAST: no}
    now |= {IS_TERMINAL: no, **observations.encode(pictures)}
    steps = []
    for _ in range(skip + length):
        action = actions.sample(rng, rows)
        steps.append(now | {ACTION: np.where(now[IS_LAST][:, None], np.float32(0), action)})
        pictures, reward, terminated, truncated, _ = env.step(actions.decode(action))
        now = {
            REWARD: reward.astype(np.float32),
            IS_FIRST: now[IS_LAST],
            IS_LAST: terminated | truncated,
            IS_TERMINAL: terminated,
            **observations.encode(pictures),
        }
    env.close()
    batch = {key: np.stack([step[key] for step in steps[skip:]], 1) for key in steps[0]}
    batch[IS_FIRST][:, 0] = True
    return batch, observations, actions


def still_picture_loss(pictures: np.ndarray) -> float:
    """Image loss of a model that always shows the mean of all frames ``[B, T, h, w, c]``."""
    flat = pictures.reshape(-1, *pictures.shape[2:]) / 255.0
    return float(np.square(flat - flat.mean(0)).sum((1, 2, 3)).mean())


def draw(
    model: DreamerModel,
    observations: ObservationCodec,
    sizes: ModelSettings,
    settings: LearningOptions,
    batch: Columns,
) -> np.ndarray:
    """Draw a batch twice: fully observed (green), and imagined after five records (red)."""
    dreamer = Dreamer(model.world_model, observations.layout, sizes, settings.two_hot_bins)
    imagined = dreamer.dream(batch, DREAM_OBSERVED, tf.constant([0, 0]))
    observed = dataclasses.replace(
        imagined, observed=batch[REWARD].shape[1], imagination=imagined.reconstruction
    )
    return np.concatenate([labelled_strips(observed), labelled_strips(imagined)])


def main() -> int:
    """Train, print, draw; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--env", default="ale_py:ALE/Pong-v5", help="an Atari game")
    parser.add_argument("--model-size", default="XXS", choices=MODEL_SIZES)
    parser.add_argument("--rows", type=int, default=2, help="rows of the batch, B")
    parser.add_argument("--length", type=int, default=16, help="records of a row, T")
    parser.add_argument("--skip", type=int, default=40, help="steps played before the batch")
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--lr", type=float, default=1e-3, help="the world model's learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows-shown", type=int, default=1, help="rows in the picture")
    parser.add_argument("--out", type=Path, help="where to write the picture (.png)")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    if options.length <= DREAM_OBSERVED or options.updates < 2:
        parser.error(f"--length must exceed {DREAM_OBSERVED} and --updates must be at least 2")

    batch, observations, actions = collect(
        options.env, options.rows, options.length, options.skip, options.seed
    )
    sizes = model_settings(options.model_size)
    layouts = observations.layout, actions.layout
    model = DreamerModel(*layouts, sizes, seed=options.seed)
    # Behaviour is not looked at: one imagined step keeps its share of the time small.
    settings = LearningOptions(horizon_H=1, world_model_lr=options.lr)
    trainer = Trainer(model, *layouts, sizes, settings, seed=options.seed)

    still = still_picture_loss(batch[observations.layout.images[0].key])
    print(f"image loss of the mean frame: {still:.2f}")
    curve, began = {}, time.perf_counter()
    for update in range(options.updates):
        metrics = trainer.update(batch).metrics
        last = update == options.updates - 1
        if update == 0 or last or (update + 1) % max(1, options.updates // LINES) == 0:
            # The loss that this update found, before it changed anything.
            curve[update] = float(metrics["WORLD_MODEL_L_decoder"])
            seconds = time.perf_counter() - began
            kl = float(metrics["WORLD_MODEL_KL"])
            print(
                f"update {update:>6}  image loss {curve[update]:>9.3f}  "
                f"KL {kl:>7.2f} nats  {seconds:>6.0f} s",
                flush=True,
            )
    first, final = curve[0], curve[options.updates - 1]
    factor, below_still = first / final, still / final
    print(f"fell by a factor of {factor:.1f}; {below_still:.2f} times below that of the mean frame")
    if options.out:
        shown = {key: x[: options.rows_shown] for key, x in batch.items()}
        write_png(options.out, draw(model, observations, sizes, settings, shown))
    if options.json:
        numbers = {
            "command": " ".join(["python", *sys.argv]),
            "model_size": options.model_size,
            "batch": [options.rows, options.length],
            "world_model_lr": options.lr,
            "updates": options.updates,
            "image_loss_by_update": {str(u): round(x, 4) for u, x in curve.items()},
            "image_loss_of_mean_frame": round(still, 4),
            "factor": round(factor, 2),
            "factor_below_mean_frame": round(below_still, 2),
            "seconds": round(time.perf_counter() - began, 1),
        }
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")
    if factor < NEEDED_FACTOR or below_still < NEEDED_FACTOR_BELOW_MEAN_FRAME:
        print(
            f"Failed: the image loss must fall by a factor of {NEEDED_FACTOR:.0f}, and to "
            f"{NEEDED_FACTOR_BELOW_MEAN_FRAME:.0f} times below that of the mean frame.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
