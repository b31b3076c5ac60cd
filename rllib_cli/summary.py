"""The summary that is printed when a run has ended."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

from rllib_cli.display import Display, format_int, format_number
from rllib_cli.errors import describe
from rllib_cli.experiments import Experiment
from rllib_cli.full_disk import full_disk, is_full
from rllib_cli.progress import look_up
from rllib_dreamerv3.checkpoints.runs import PATTERN, newest_complete
from rllib_dreamerv3.reports.curve import TRAINING_RETURN

_RESUME = "Resume:     the same command with --resume"


def conclude(results: Any, display: Display, logs: str, *, interrupted: bool) -> int:
    """Print failures, results, the best checkpoint and commands to use them.

    Args:
        results: Tune's ``ResultGrid``.
        display: Prints the summary.
        logs: Directory of the processes' logs.
        interrupted: Whether the run was interrupted.

    Returns:
        1 if a trial failed, else 0.
    """
    display.close()
    if is_full(results.experiment_path):
        display.print(full_disk(results.experiment_path))
    failures: dict[str, list[str]] = {}
    for result in results:
        if result.error:
            failures.setdefault(describe(result.error), []).append(result.path)
    for message, paths in failures.items():
        display.print(f"\n{len(paths)} trials failed:" if len(paths) > 1 else "\nThe trial failed:")
        display.print(indent(message, "  "))
        display.print(f"Traceback: {paths[0]}/error.txt\nFull log:  {logs}")

    if len(results) > 1:
        display.print("\n    return   env steps  trial")
        for result in sorted(results, key=_return_of, reverse=True):
            steps = look_up(result.metrics or {}, "num_env_steps_sampled_lifetime")
            mean = look_up(result.metrics or {}, TRAINING_RETURN)
            display.print(
                f"{format_number(mean):>10} {format_int(steps):>11}  {Path(result.path).name}"
            )
        display.print(f"\nResults:    {results.experiment_path}")
    else:
        display.print(f"\nResults:    {results[0].path}")
    for result in sorted(results, key=_return_of, reverse=True):
        saved, _ = newest_complete(Path(result.path))
        if saved:
            display.print(f"Checkpoint: {saved.path}")
            options = _env_options(result.config or {})
            display.print(f"Play it:    rllib evaluate {shlex.quote(str(saved.path))}{options}")
            break
    if any(result.metrics for result in results):
        place = results.experiment_path if len(results) > 1 else results[0].path
        display.print(f"Look at it: rllib report {shlex.quote(place)}")
    if interrupted and "://" not in results.experiment_path:
        display.print(_RESUME)
    return 1 if failures else 0


def stopped_at_once(experiment: Experiment, display: Display) -> None:
    """Print what is left of a run that was not saved at its end.

    Args:
        experiment: The experiment whose run was stopped.
        display: Prints the summary.
    """
    display.close()
    directory = experiment.directory()
    display.print(f"\nResults:    {directory}")
    if "://" not in directory:
        folders = {path.parent for path in Path(directory).glob(f"*/{PATTERN}")}
        complete = [saved.path for saved, _ in map(newest_complete, folders) if saved]
        newest = max(complete, key=lambda path: path.stat().st_mtime, default="none was saved")
        display.print(f"Checkpoint: {newest}")
        if complete:
            display.print(_RESUME)


def _env_options(config: Mapping[str, Any]) -> str:
    """Options of ``rllib evaluate`` for an environment that must be imported."""
    from rllib_dreamerv3.envs.named_class import directory_of, find_maker
    from rllib_dreamerv3.envs.registry import is_benchmark
    from rllib_dreamerv3.plugin.sampling.environments import is_registered_with_tune

    env = config.get("env")
    if isinstance(env, str) and is_registered_with_tune(env) and not find_maker(env):
        # Only the file that registered the name knows its environment.
        return f" --env MODULE:CLASS --pythonpath DIR (of the environment named {env!r})"
    if not isinstance(env, str) or ":" not in env or is_benchmark(env):
        return ""
    directory = directory_of(env)
    where = f" --pythonpath {shlex.quote(directory)}" if directory else ""
    return f" --env {shlex.quote(env)}{where}"


def _return_of(result: Any) -> float:
    mean = look_up(result.metrics or {}, TRAINING_RETURN)
    return -math.inf if mean is None else mean
