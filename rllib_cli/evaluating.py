"""Plays a checkpoint and reports what came of it."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rllib_cli.display import open_display, short, whole
from rllib_cli.errors import InputError, RunError, told_as
from rllib_cli.quiet import loading_libraries
from rllib_dreamerv3.checkpoints import runs
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
    out: str | None,
    render: bool,
    action: Literal["sample", "mode"] | None,
    verbosity: int,
) -> None:
    """Plays episodes, prints them as they end, and their mean at the end.

    Args:
        checkpoint: As for :func:`find_checkpoint`.
        env: Another environment than the one the checkpoint was trained in.
        env_config: Options of the environment, over those of training.
        episodes: How many episodes to play; None if ``steps`` says how long.
        steps: Play until the episode in which so many environment steps are reached has ended.
        out: File for the results as JSON.
        render: Whether to show the environment.
        action: "sample" or "mode"; None for what the checkpoint's config says.
        verbosity: From 1 on, errors come with their traceback.

    Raises:
        InputError: If the directory of ``out`` does not exist.
        RunError: If there is no checkpoint, it cannot be restored, or playing fails.
    """
    path, problems = find_checkpoint(checkpoint)
    if out and not Path(out).resolve().parent.is_dir():
        raise InputError(f"{out} cannot be written: its directory does not exist.")
    returns: list[float] = []
    lengths: list[int] = []
    with open_display(plain=verbosity > 0) as display, told_as(RunError, verbosity):
        for problem in problems:
            display.say(problem)
        display.say(f"Playing {path}")
        display.wait("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.plugin.playing import play

        playing = play(
            str(path),
            env=env,
            env_config=env_config,
            episodes=episodes,
            steps=steps,
            render=render,
            action=action,
        )
        for episode in playing:
            if not returns:
                display.wait("")
                display.say("episode      return   length")
            returns.append(float(episode.ret))
            lengths.append(int(episode.length))
            display.say(f"{len(returns):7} {short(returns[-1]):>11} {whole(lengths[-1]):>8}")
        display.wait("")
        spread = statistics.stdev(returns) if len(returns) > 1 else 0.0
        mean, length = statistics.fmean(returns), statistics.fmean(lengths)
        display.say(
            f"   mean {short(mean):>11} {short(length):>8}   std of returns {short(spread)}"
        )
    if out:
        result = {
            "checkpoint": str(path),
            "env": env,
            "episodes": [
                {"return": ret, "length": length}
                for ret, length in zip(returns, lengths, strict=True)
            ],
            "return_mean": mean,
            "return_std": spread,
            "length_mean": length,
        }
        Path(out).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
