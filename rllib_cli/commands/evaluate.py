"""``rllib evaluate``: plays episodes with a checkpoint and reports their returns."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rllib_cli.errors import InputError, RunError, reraise_as
from rllib_cli.inputs import env_config, extend_import_path, find_checkpoint, pythonpath
from rllib_cli.libraries import loading_libraries

if TYPE_CHECKING:
    from rllib_cli.display import Display

CONFIDENCE = 0.95
_QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "max": 1.0}


@click.command()
@click.argument("checkpoint")
@click.option(
    "--algo", "--run", "-a", "-r", "algorithm", help="Not needed: checkpoints name their algorithm."
)
@click.option(
    "--env",
    "-e",
    help="Environment to play in: an id or module:Class (default: that of the training).",
)
@env_config
@pythonpath
@click.option("--episodes", type=click.IntRange(1), help="Episodes to play (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Play at least this many env steps instead.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Seed of resets and sampled actions (default: the seed of the run).",
)
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="Sample actions, or use the mode of the policy (default: as configured).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="Write returns, lengths and statistics to this JSON file.",
)
@click.option(
    "--video",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.mp4",
    help="Write a video: the environment's rendering, else its image observations.",
)
@click.option(
    "--record",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Record the episodes to a directory, as Parquet files of RLlib.",
)
@click.option("--render", is_flag=True, help="Show the environment in a window.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def evaluate(
    checkpoint: str, algorithm: str | None, pythonpath: tuple[str, ...], **options: Any
) -> None:
    """Play episodes with CHECKPOINT and report their returns.

    CHECKPOINT is a checkpoint, or a directory of results: then its newest complete checkpoint is
    used. No code from the checkpoint is executed: name an environment of your own with --env.

    From two episodes on, the mean return has a 95 % confidence interval (Student's t). The same
    --seed gives the same returns.
    """
    extend_import_path(pythonpath, options["env"])
    if algorithm not in (None, "DreamerV3"):
        raise InputError(f"Only checkpoints of DreamerV3 can be evaluated, not of {algorithm}.")
    if options["episodes"] is None and options["steps"] is None:
        options["episodes"] = 10
    evaluate_checkpoint(checkpoint, **options)


def evaluate_checkpoint(
    checkpoint: str,
    *,
    env: str | None,
    env_config: Mapping[str, Any] | None,
    episodes: int | None,
    steps: int | None,
    seed: int | None,
    out: str | None,
    video: str | None,
    record: str | None,
    render: bool,
    action: Literal["sample", "mode"] | None,
    verbosity: int,
) -> None:
    """Play episodes and print each one, then statistics of all.

    Args:
        checkpoint: See :func:`find_checkpoint`.
        env: Environment to play in; None for that of the training.
        env_config: Options of the environment; they override those of the training.
        episodes: Number of episodes; None if ``steps`` is the limit.
        steps: Stop after the episode in which this many env steps are reached.
        seed: Seed of resets and sampled actions; None for that of the training.
        out: JSON file for the results.
        video: File for a video of all episodes; ends in .mp4.
        record: Directory to record the episodes to.
        render: Whether to show the environment in a window.
        action: "sample" or "mode"; None for the checkpoint's ``evaluation_action``.
        verbosity: From 1, print tracebacks of errors.

    Raises:
        InputError: If ``out`` or ``video`` cannot be written, or both ``video`` and ``render`` are
            set.
        RunError: If there is no checkpoint, it cannot be restored, or an episode fails.
    """
    from rllib_cli.display import format_int, format_number, open_display
    from rllib_dreamerv3.checkpoints import policy_file

    path, problems = find_checkpoint(checkpoint)
    _check_files(out, video, render)
    returns: list[float] = []
    lengths: list[int] = []
    with open_display(plain=verbosity > 0) as display, reraise_as(RunError, verbosity):
        for problem in problems:
            display.print(problem)
        display.print(f"Playing {path}")
        display.set_phase("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_cli.rollouts import play

        playing = play(
            path,
            env=env,
            env_config=env_config,
            episodes=episodes,
            steps=steps,
            seed=seed,
            action=action,
            render=render,
            video=Path(video) if video else None,
            record=Path(record) if record else None,
        )
        for episode in playing:
            if not returns:
                display.set_phase("")
                display.print("episode      return   length")
            returns.append(float(episode.ret))
            lengths.append(int(episode.length))
            display.print(
                f"{len(returns):7} {format_number(returns[-1]):>11} {format_int(lengths[-1]):>8}"
            )
        display.set_phase("")
        summary = ReturnStatistics.of(returns)
        _print_statistics(display, summary, lengths)
        if video:
            display.print(f"Video: {video}")
        if record:
            display.print(f"Recorded to {record}")
    if out:
        trained = policy_file.read(path)
        result = {
            "checkpoint": str(path),
            "env": env or trained.env or trained.env_class,
            "seed": trained.options.get("seed") if seed is None else seed,
            "action": action or trained.options.get("evaluation_action"),
            "episodes": [
                {"return": ret, "length": length}
                for ret, length in zip(returns, lengths, strict=True)
            ],
            **summary.as_json(),
            "length_mean": statistics.fmean(lengths),
        }
        Path(out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _check_files(out: str | None, video: str | None, render: bool) -> None:
    if video and render:
        raise InputError(
            "--render and --video exclude each other: an environment renders to a window or a file."
        )
    if video and Path(video).suffix != ".mp4":
        raise InputError(f"{video} must end in .mp4.")
    for file in (out, video):
        if file and not Path(file).resolve().parent.is_dir():
            raise InputError(f"{file} cannot be written: its directory does not exist.")


def _print_statistics(display: "Display", returns: "ReturnStatistics", lengths: list[int]) -> None:
    from rllib_cli.display import format_number

    mean_length = statistics.fmean(lengths)
    display.print(
        f"   mean {format_number(returns.mean):>11} {format_number(mean_length):>8}   "
        f"std of returns {format_number(returns.deviation)}"
    )
    if returns.interval is not None:
        low, high = map(format_number, returns.interval)
        display.print(f"95 % confidence interval of the mean return (Student's t): {low} to {high}")
    parts = [f"{name} {format_number(value)}" for name, value in returns.quantiles.items()]
    display.print(f"quantiles of returns: {', '.join(parts)}")


@dataclass(frozen=True)
class ReturnStatistics:
    """Statistics of the returns of n episodes.

    Attributes:
        mean: Mean return.
        deviation: Sample standard deviation (n - 1); None for a single episode.
        quantiles: Name -> value, from "min" to "max", with linear interpolation.
        interval: 95 % confidence interval of the mean (Student's t); None for a single episode.
    """

    mean: float
    deviation: float | None
    quantiles: dict[str, float]
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, returns: Sequence[float]) -> "ReturnStatistics":
        """Compute the statistics of at least one return."""
        import numpy as np

        mean, n = statistics.fmean(returns), len(returns)
        quantiles = dict(
            zip(_QUANTILES, np.quantile(returns, list(_QUANTILES.values())).tolist(), strict=True)
        )
        if n == 1:
            return cls(mean, None, quantiles, None)
        from scipy.stats import t

        deviation = statistics.stdev(returns)
        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / n**0.5
        return cls(mean, deviation, quantiles, (mean - half, mean + half))

    def as_json(self) -> dict[str, Any]:
        """The entries of the results file."""
        return {
            "return_mean": self.mean,
            "return_std": self.deviation,
            "return_quantiles": self.quantiles,
            "return_mean_interval": self.interval
            and {"confidence": CONFIDENCE, "method": "Student's t", "bounds": self.interval},
        }
