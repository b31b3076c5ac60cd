"""Trains this package's update and a plain float64 one side by side, on the same rows and samples.

The plain one is that of the tests (tests/support/plain_training.py): dense products, no fused
kernel, explicit optimizers. Replay is recorded once, with random actions in a pendulum that is
rewarded only near its upright position. Three trainers do every update: ours in float32; a plain
one with our initial weights; and a plain one that gets our complete state every 50 updates.
Rounding errors grow in the second, as between any two machines; in the third they cannot, so a
difference there is a fault.

    python benchmarks/long_comparison.py --variant v2 --updates 2000 --out long_comparison_v2.jsonl

Each line has the number of the update; the reward loss, decoder loss, KL and mean imagined value of
all three; the shares of sampled classes that the others would have sampled differently from the
same random numbers; and the relative difference of all parameters. After each 50 updates it also
has the differences of the parameter changes, by part of the model. The summary is printed, and is
the last line.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

PARTED = 0.01
"""A measure has parted where it differs by more than this share of the plain one's."""
LEAST = {"reward": 0.01, "decoder": 0.01, "kl": 0.01, "values": 0.1}
"""Measures smaller than this are taken to be this large: 1 % of nothing means nothing."""
ENVIRONMENTS = 4


class SparsePendulum(gym.Wrapper):
    """Pendulum with reward 1 within 0.3 rad of upright and 0 elsewhere; terminates at 8 rad/s."""

    def __init__(self) -> None:
        """Make the environment, of at most 100 steps."""
        super().__init__(gym.make("Pendulum-v1", max_episode_steps=100))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        observation, _, _, truncated, info = self.env.step(action)
        reward = float(observation[0] > np.cos(0.3))
        return observation, reward, bool(abs(observation[2]) >= 8.0), truncated, info


def record(variant: str, model: Mapping[str, Any], records: int, seed: int):
    """Record random play.

    Args:
        variant: "v1" or "v2".
        model: Options of the model.
        records: How many, of all environments together.
        seed: Of environments and actions.

    Returns:
        The env runner, whose spaces' layouts the models need, and its chunks.
    """
    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

    gym.register("SparsePendulum-v0", lambda: SparsePendulum())
    config = DreamerV3Config().environment("SparsePendulum-v0").debugging(seed=seed)
    config.training(variant=variant, **model)
    config.env_runners(num_envs_per_env_runner=ENVIRONMENTS)
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    return runner, runner.sample(num_records=records, random_actions=True)


def apart(ours: Mapping[str, float], plain: Mapping[str, float]) -> dict[str, float]:
    """Difference of each measure, as a share of the plain one's."""
    return {k: abs(ours[k] - plain[k]) / max(abs(plain[k]), least) for k, least in LEAST.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=["v1", "v2"], required=True)
    parser.add_argument("--model-size", default="nano")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--every", type=int, default=50, help="updates between two copies")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--horizon", type=int, default=10)
    parser.add_argument("--records", type=int, default=6000, help="in replay")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, help="of v2, instead of the published 4e-5")
    parser.add_argument("--lines-every", type=int, default=10, help="updates between two lines")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="JSON-lines file")
    arguments = parser.parse_args()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    from plain_training import (
        MEASURES,
        PlainTrainer,
        RecordingTrainer,
        by_part,
        measures_of,
        relative_difference,
        weights_of,
    )

    from rllib_dreamerv3.agent.networks.model import DreamerModel
    from rllib_dreamerv3.options.table import LearningOptions
    from rllib_dreamerv3.replay import ReplayBuffer

    v2 = arguments.variant == "v2"
    size = {"model_size": arguments.model_size}
    runner, chunks = record(arguments.variant, size, arguments.records, arguments.seed)
    replay = ReplayBuffer(
        length=arguments.length,
        context=int(v2),
        online_queue=v2,
        capacity_records=2 * arguments.records,
        seed=arguments.seed,
    )
    for chunk in chunks:
        replay.add(chunk)
    module = runner.module
    layouts = module.observations.layout, module.actions.layout
    rate = {"lr": arguments.lr} if arguments.lr else {}
    trainer = RecordingTrainer(
        DreamerModel(*layouts, module.settings, seed=arguments.seed),
        *layouts,
        module.settings,
        LearningOptions.of_variant(arguments.variant, **rate, horizon_H=arguments.horizon),
        seed=arguments.seed,
        rows=arguments.rows,
        length=arguments.length,
    )
    plain, copied = (PlainTrainer(trainer, arguments.variant) for _ in range(2))
    begun = weights_of(trainer.model)
    first_parted = {name: dict.fromkeys(MEASURES, None) for name in ("plain", "copied")}
    windows: list[dict[str, float]] = []
    largest: dict[str, float] = dict.fromkeys(MEASURES, 0.0)
    start = time.monotonic()
    with arguments.out.open("w") as file:

        def write(line: dict[str, Any]) -> None:
            print(json.dumps(line, default=float), file=file)

        for update in range(arguments.updates):
            batch, places = replay.sample(arguments.rows)
            batch = {name: tf.constant(x) for name, x in batch.items()}
            noise = trainer.noise_of(batch, update)
            metrics, latents = trainer.update(batch)
            replay.write_back(places, {name: x.numpy() for name, x in latents.items()})
            ours = measures_of(metrics)
            line: dict[str, Any] = {"update": update + 1, "ours": ours}
            for name, each in (("plain", plain), ("copied", copied)):
                measured = each.update(batch, trainer.samples, noise)
                found = {k: float(x) for k, x in measured.items()}
                line[name] = found
                for measure, share in apart(ours, found).items():
                    if share > PARTED and first_parted[name][measure] is None:
                        first_parted[name][measure] = update + 1
                    if name == "copied":
                        largest[measure] = max(largest[measure], share)
            now = weights_of(trainer.model)
            line["parameters_apart"] = relative_difference(now, plain.numbers())
            if update < 20 or (update + 1) % arguments.lines_every == 0:
                write(rounded(line))
            if (update + 1) % arguments.every == 0:
                changed = {k: now[k] - begun[k] for k in now}
                wanted = {k: x - begun[k] for k, x in copied.numbers().items()}
                windows.append(by_part(changed, wanted))
                write({"to_update": update + 1, "changes_apart": rounded(windows[-1])})
                copied.copy()
                begun = now
                seconds = time.monotonic() - start
                print(f"{update + 1} updates, {seconds:.0f} s, {rounded(windows[-1])}", flush=True)
        summary = {
            "summary": vars(arguments) | {"out": arguments.out.name},
            "share_of_rewarded_records": share_rewarded(chunks),
            "first_update_apart_by_1_percent": first_parted,
            "largest_share_apart_while_copied": largest,
            "median_changes_apart": {k: np.median([w[k] for w in windows]) for k in windows[0]},
            "largest_changes_apart": {k: np.max([w[k] for w in windows]) for k in windows[0]},
            "parameters_apart_at_the_end": line["parameters_apart"],
        }
        write(rounded(summary))
    runner.stop()
    print(json.dumps(rounded(summary), indent=2))


def share_rewarded(chunks: list[Any]) -> float:
    """Share of records with a reward."""
    return float(np.mean(np.concatenate([chunk.columns["reward"] for chunk in chunks]) != 0))


def rounded(x: Any) -> Any:
    """Numbers with five digits, wherever they are."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    return float(f"{x:.5g}") if isinstance(x, float) else x


if __name__ == "__main__":
    main()
