"""What the maintainers need to know of a problem, as Markdown, without personal paths."""

import math
import platform
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import yaml

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS, UPDATES
from rllib_dreamerv3.reports.run_files import read_text
from rllib_dreamerv3.reports.runs import Run, find_runs
from rllib_dreamerv3.reports.trial_findings import ERROR_FILE, MAX_ERROR_BYTES, trial_findings
from rllib_dreamerv3.startup.devices import has_nvidia_driver
from rllib_dreamerv3.startup.system import machine_memory, processor, usable_cores
from rllib_dreamerv3.startup.versions import versions

_ERROR_LINES = 40
# More runs than these would not be read.
_MAX_RUNS = 3
_RESULTS = (
    ENV_STEPS,
    UPDATES,
    SECONDS,
    "env_runners/episode_return_mean",
    "env_runners/episode_len_mean",
    "env_runners/num_env_runners_replaced_lifetime",
    "num_updates_ignored",
    "num_rewinds",
)


def problem_report(directory: Path | None) -> str:
    """Describe installation, machine, and runs.

    Args:
        directory: Of a run, or of several; the newest ones are described. None for no run.

    Returns:
        Markdown. Of absolute paths only the last part is left, or that in ``site-packages``.

    Raises:
        CheckpointError: If the directory has no results.
    """
    runs = find_runs([directory]) if directory else []
    runs.sort(key=lambda run: run.directory.stat().st_mtime, reverse=True)
    lines = chain(_installation(), *map(_run, runs[:_MAX_RUNS]))
    return without_paths("\n".join(lines)) + "\n"


def _installation() -> Iterator[str]:
    yield "### Versions"
    yield ""
    yield from (f"- {name} {number}" for name, number in versions().items())
    yield ""
    yield "### Machine"
    yield ""
    yield f"- {platform.system()} {platform.release()}, {platform.machine()}"
    yield f"- {usable_cores()} cores, {processor()}"
    yield f"- {machine_memory() / 1e9:.1f} GB of memory"
    yield f"- NVIDIA driver: {'yes' if has_nvidia_driver() else 'no'}"


def _run(run: Run) -> Iterator[str]:
    yield ""
    yield f"### Run of {run.env}"
    yield ""
    now = versions()
    then = [f"{name} {x}" for name, x in run.versions.items() if name in now and x != now[name]]
    if then:
        yield f"It ran with {', '.join(then)}."
        yield ""
    yield from _fenced(yaml.safe_dump(dict(run.changed), default_flow_style=None), "yaml")
    values = {name: run.history.latest(name) for name in _RESULTS}
    yield from (f"- {name}: {x:,.5g}" for name, x in values.items() if not math.isnan(x))
    yield from (f"- {finding}" for finding in _findings(run))
    try:
        error = read_text(run.directory / ERROR_FILE, run.directory, MAX_ERROR_BYTES)
    except (OSError, ValueError, CheckpointError):
        return
    yield ""
    yield from _fenced("\n".join(error.splitlines()[-_ERROR_LINES:]), "")


def _findings(run: Run) -> list[str]:
    try:
        found = trial_findings(run.directory, run.history)
    except CheckpointError as error:
        return [str(error)]
    return [" ".join(str(finding).split()) for finding in found]


def _fenced(text: str, language: str) -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip()
    yield "```"
    yield ""


def without_paths(text: str) -> str:
    """Shorten absolute paths, which contain the names of people and projects."""

    def last_part(match: re.Match[str]) -> str:
        _, package, inside = match[0].rpartition("site-packages/")
        return package + inside if package else f".../{match[0].rpartition('/')[2]}"

    # First, since they may contain spaces, or end with the name.
    text = re.sub(rf"{re.escape(str(Path.home()))}(?![\w.-])|/(?:home|Users)/[\w.-]+", "~", text)
    return re.sub(r"(?<![\w.:/~-])~?(?:/[^/\s'\"`:,;()<>]+){2,}|(?<!\w)~/\S+", last_part, text)
