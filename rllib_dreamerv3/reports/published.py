"""Published scores to compare a run with; their files in ``reference/`` name the sources."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rllib_dreamerv3.options.model_sizes import variant_of

_FOLDER = files("rllib_dreamerv3.reports") / "reference"
_YEARS = {"v1": "2023", "v2": "2025"}


@dataclass(frozen=True)
class Published:
    """Published returns of one task.

    Attributes:
        label: Label in the legend.
        source: Source of the numbers.
        steps: Env steps as counted by RLlib: decisions.
        mean: Mean over seeds.
        deviation: Standard deviation over seeds.
        seeds: Number of seeds.
    """

    label: str
    source: str
    steps: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    seeds: int


def published(env: str, config: Mapping[str, Any]) -> Published | None:
    """Finds the published scores of an environment.

    Args:
        env: Its name; a module before a colon is ignored.
        config: The options of the run.

    Returns:
        The scores of the run's published version. None if there are none, or if the environment is
        configured differently: with another action repeat, or with sticky actions in Atari.
    """
    name = env.rpartition(":")[2]
    options = config.get("env_config") or {}
    if match := re.fullmatch(r"ALE/(\w+)-v5", name):
        # E.g. UpNDown -> up_n_down.
        task = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", match[1]).lower()
        alike = options.get("frameskip", 4) == 4
        alike = alike and not options.get("repeat_action_probability")
        file = f"atari100k_{_year(config)}.csv"
    elif match := re.fullmatch(r"dm_control/([\w-]+)-v0", name):
        task = match[1].replace("-", "_")
        alike = options.get("action_repeat", 2) == 2
        file = f"dmc_vision_{_year(config)}.csv" if options.get("pixels") else "dmc_proprio.csv"
    else:
        return None
    return _read(file, task) if alike else None


def _year(config: Mapping[str, Any]) -> str:
    return _YEARS[variant_of(config.get("model_size") or "XS", config.get("variant"))]


def _read(file: str, task: str) -> Published | None:
    lines = (_FOLDER / file).read_text(encoding="utf-8").splitlines()
    source = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    rows = [
        row
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
        if row["task"] == task
    ]
    if not rows:
        return None
    columns = {
        key: tuple(float(row[key]) for row in rows) for key in ("env_steps", "mean", "deviation")
    }
    return Published(
        label=f"published, {file.removesuffix('.csv').replace('_', ' ')}",
        source=source,
        steps=columns["env_steps"],
        mean=columns["mean"],
        deviation=columns["deviation"],
        seeds=int(rows[-1]["seeds"]),
    )
