"""``rllib evaluate``: plays a checkpoint and reports what came of it."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rllib_cli.errors import InputError, RunError, told_as
from rllib_cli.inputs import env_config, extend_import_path, find_checkpoint, pythonpath
from rllib_cli.libraries import loading_libraries

if TYPE_CHECKING:
    from rllib_cli.display import Display

CONFIDENCE = 0.95
_QUANTILES = {"min": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "max": 1.0}


@click.command()
@click.argument("checkpoint")
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Not needed: checkpoints say it.")
@click.option(
    "--env",
    "-e",
    help="Environment to play in, an id or module:Class (default: the one that was trained in).",
)
@env_config
@pythonpath
@click.option("--episodes", type=click.IntRange(1), help="Episodes to play (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Play at least so many steps instead.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Decides resets and sampled actions (default: the seed of the run).",
)
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="Sample actions, or take the most likely one (default: as configured).",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="Write returns, lengths and their statistics here, as JSON.",
)
@click.option(
    "--video",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.mp4",
    help="Film the episodes: as the environment draws itself, else its image observations.",
)
@click.option("--render", is_flag=True, help="Show the environment in a window while it is played.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def evaluate(
    checkpoint: str, algorithm: str | None, pythonpath: tuple[str, ...], **said: Any
) -> None:
    """Play episodes with CHECKPOINT and report their returns.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed: an environment of your own is made if --env names it.

    The mean return comes with its 95 % confidence interval (Student's t) from two episodes on.
    The same --seed gives the same returns.
    """
    extend_import_path(pythonpath)
    if algorithm not in (None, "DreamerV3"):
        raise InputError(f"Only checkpoints of DreamerV3 can be played, not of {algorithm}.")
    if said["episodes"] is None and said["steps"] is None:
        said["episodes"] = 10
    evaluate_checkpoint(checkpoint, **said)


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
    render: bool,
    action: Literal["sample", "mode"] | None,
    verbosity: int,
) -> None:
    """Plays episodes, prints them as they end, and what they were like at the end.

    Args:
        checkpoint: As for :func:`find_checkpoint`.
        env: Another environment than the one the checkpoint was trained in.
        env_config: Options of the environment, over those of training.
        episodes: How many episodes to play; None if ``steps`` says how long.
        steps: Play until the episode in which so many environment steps are reached has ended.
        seed: Decides resets and sampled actions; None for that of training.
        out: File for the results as JSON.
        video: File for a video of all episodes; ends in .mp4.
        render: Whether to show the environment in a window.
        action: "sample" or "mode"; None for what the checkpoint's config says.
        verbosity: From 1 on, errors come with their traceback.

    Raises:
        InputError: If ``out`` or ``video`` cannot be written, or both ``video`` and ``render`` are
            asked for.
        RunError: If there is no checkpoint, it cannot be restored, or playing fails.
    """
    from rllib_cli.display import open_display, short, whole
    from rllib_dreamerv3.checkpoints import policy_file

    path, problems = find_checkpoint(checkpoint)
    _check_files(out, video, render)
    returns: list[float] = []
    lengths: list[int] = []
    with open_display(plain=verbosity > 0) as display, told_as(RunError, verbosity):
        for problem in problems:
            display.say(problem)
        display.say(f"Playing {path}")
        display.wait("loading TensorFlow and the checkpoint")
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
        )
        for episode in playing:
            if not returns:
                display.wait("")
                display.say("episode      return   length")
            returns.append(float(episode.ret))
            lengths.append(int(episode.length))
            display.say(f"{len(returns):7} {short(returns[-1]):>11} {whole(lengths[-1]):>8}")
        display.wait("")
        summary = ReturnStatistics.of(returns)
        _tell(display, summary, lengths)
        if video:
            display.say(f"Video: {video}")
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
            "--render and --video cannot both be: an environment draws to a window or for a file."
        )
    if video and Path(video).suffix != ".mp4":
        raise InputError(f"{video} must end in .mp4.")
    for file in (out, video):
        if file and not Path(file).resolve().parent.is_dir():
            raise InputError(f"{file} cannot be written: its directory does not exist.")


def _tell(display: "Display", returns: "ReturnStatistics", lengths: list[int]) -> None:
    from rllib_cli.display import short

    display.say(
        f"   mean {short(returns.mean):>11} {short(statistics.fmean(lengths)):>8}   "
        f"std of returns {short(returns.deviation)}"
    )
    if returns.interval is not None:
        low, high = map(short, returns.interval)
        display.say(f"95 % confidence interval of the mean return (Student's t): {low} to {high}")
    parts = [f"{name} {short(value)}" for name, value in returns.quantiles.items()]
    display.say(f"quantiles of returns: {', '.join(parts)}")


@dataclass(frozen=True)
class ReturnStatistics:
    """Statistics of the returns of n episodes.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation, with n - 1; None for a single episode.
        quantiles: Name -> value, from "min" to "max", linear between two returns.
        interval: Student's t interval in which the mean of all such episodes lies with a
            confidence of 95 %; None for a single episode.
    """

    mean: float
    deviation: float | None
    quantiles: dict[str, float]
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, returns: Sequence[float]) -> "ReturnStatistics":
        """Computes them.

        Args:
            returns: Of at least one episode.
        """
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
        """The same for a file of results."""
        return {
            "return_mean": self.mean,
            "return_std": self.deviation,
            "return_quantiles": self.quantiles,
            "return_mean_interval": self.interval
            and {"confidence": CONFIDENCE, "method": "Student's t", "bounds": self.interval},
        }
