"""Plays a checkpoint and reports what came of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rllib_cli.display import Display, open_display, short, whole
from rllib_cli.errors import InputError, RunError, told_as
from rllib_cli.quiet import loading_libraries
from rllib_cli.return_statistics import ReturnStatistics
from rllib_dreamerv3.checkpoints import policy_file, runs
from rllib_dreamerv3.errors import CheckpointError


def find_checkpoint(directory: str) -> tuple[Path, list[str]]:
    """What :func:`runs.find_checkpoint` finds, for a path as it was typed.

    Raises:
        RunError: If there is none.
    """
    try:
        return runs.find_checkpoint(Path(directory).expanduser().resolve())
    except CheckpointError as error:
        raise RunError(str(error)) from error


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
        statistics = ReturnStatistics.of(returns)
        _tell(display, statistics, lengths)
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
            **statistics.as_json(),
            "length_mean": fmean(lengths),
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


def _tell(display: Display, returns: ReturnStatistics, lengths: list[int]) -> None:
    display.say(
        f"   mean {short(returns.mean):>11} {short(fmean(lengths)):>8}   "
        f"std of returns {short(returns.deviation)}"
    )
    if returns.interval is not None:
        low, high = map(short, returns.interval)
        display.say(f"95 % confidence interval of the mean return (Student's t): {low} to {high}")
    parts = [f"{name} {short(value)}" for name, value in returns.quantiles.items()]
    display.say(f"quantiles of returns: {', '.join(parts)}")
