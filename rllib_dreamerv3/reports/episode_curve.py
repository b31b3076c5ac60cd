"""Returns of a run's training episodes, kept as a CSV file with the run's options beside it.

A row is a result in which episodes have ended: env steps (actions, without their repeats), updates,
seconds of training, number of these episodes, their mean return and length. Results report means
over the last ``metrics_num_episodes_for_smoothing`` episodes, so a row is about these episodes if
that number is the one of the environments. Columns after these say where the run was.

``NAME.json`` beside ``NAME.csv`` has the options that the run was started with, including ``env``
and ``seed``, as Tune writes them in ``params.json``.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from rllib_dreamerv3.errors import CheckpointError, ConfigError
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import TRAINING
from rllib_dreamerv3.reports.history import ENV_STEPS, SECONDS, UPDATES, History
from rllib_dreamerv3.reports.run_files import read_text

_COLUMNS = {
    "env_steps": ENV_STEPS,
    "updates": UPDATES,
    "seconds": SECONDS,
    "episodes": "env_runners/num_episodes",
    "return": "env_runners/episode_return_mean",
    "length": "env_runners/episode_len_mean",
}
# A row takes some 100 bytes.
_MAX_BYTES = 100_000_000


@dataclass(frozen=True)
class EpisodeCurve:
    """Returns of the training episodes of one run.

    Attributes:
        path: The CSV file, or the folder of the run.
        options: The options that the run was given, or all of them.
        rows: The values of each row by the name of their column, by env steps.
        origin: Columns about where the run was, the same in each row; only written.
    """

    path: Path
    options: Mapping[str, Any]
    rows: tuple[Mapping[str, float], ...]
    origin: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_history(
        cls,
        path: Path,
        options: Mapping[str, Any],
        history: History,
        origin: Mapping[str, str] | None = None,
    ) -> "EpisodeCurve":
        """Extract the curve from the results of a run; the arguments are the attributes."""
        values = (dict(zip(_COLUMNS, row, strict=True)) for row in history.rows(*_COLUMNS.values()))
        return cls(path, options, tuple(row for row in values if row["episodes"]), origin or {})

    @classmethod
    def read(cls, path: Path) -> "EpisodeCurve":
        """Read a CSV file and the options beside it.

        Raises:
            CheckpointError: If a file is missing, or is not as this module describes; names the
                file and the line.
        """
        return cls(path, _read_options(path.with_suffix(".json"), path), tuple(_read_rows(path)))

    def write(self) -> None:
        """Write the CSV file and the options."""
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*_COLUMNS, *self.origin])
            for row in self.rows:
                values = (f"{row[name]:.6g}" for name in _COLUMNS)
                writer.writerow([*values, *self.origin.values()])
        text = json.dumps(dict(self.options), indent=1, sort_keys=True)
        self.path.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")

    @property
    def env(self) -> str:
        """The environment's name."""
        return str(self.options.get("env"))

    @property
    def name(self) -> str:
        """``seed 0``, or the file's name if the seed is unknown."""
        seed = self.options.get("seed")
        return self.path.stem if seed is None else f"seed {seed}"

    @property
    def end(self) -> float:
        """Env steps of the last row; 0 if there is none."""
        return self.rows[-1]["env_steps"] if self.rows else 0.0

    def completes(self, end: float) -> bool:
        """Whether no more episodes would have ended before some env steps.

        That is known if the run has reached them, or would have passed them with another round of
        episodes as long as the last one.
        """
        *_, before, last = (0.0, 0.0, *(row["env_steps"] for row in self.rows))
        return last >= end or last + (last - before) > end

    def mean_return(self, begin: float, end: float) -> float | None:
        """Return the mean return of the episodes that ended in a window.

        Args:
            begin: Env steps, exclusive.
            end: Env steps, inclusive.

        Returns:
            The mean over episodes; None if none has ended.
        """
        found = [row for row in self.rows if begin < row["env_steps"] <= end]
        episodes = math.fsum(row["episodes"] for row in found)
        total = math.fsum(row["episodes"] * row["return"] for row in found)
        return total / episodes if found else None


def _read_options(path: Path, curve: Path) -> Mapping[str, Any]:
    try:
        options = json.loads(read_text(path, path.parent, _MAX_BYTES))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"There is no {path}, which has the options of the run in {curve.name}. Copy "
            'params.json of the run\'s folder, or write at least {"env": ..., "seed": ...} and the '
            "options that were changed."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(options, dict) or not isinstance(options.get("env"), str):
        raise CheckpointError(f'{path} must be a JSON object of options, with "env".')
    try:
        for name, row in TRAINING.items():
            if options.get(name) is not None:
                row.check(options[name])
        variant_of(options.get("model_size") or "XS", options.get("variant"))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return options


def _read_rows(path: Path) -> Iterator[Mapping[str, float]]:
    try:
        lines = read_text(path, path.parent, _MAX_BYTES).splitlines()
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no {path}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    reader = csv.DictReader(lines)
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise CheckpointError(
            f"{path}, line 1: there is no column {', '.join(missing)}. Columns must be "
            f"{', '.join(_COLUMNS)}."
        )
    rows = [_numbers(row, f"{path}, line {reader.line_num}") for row in reader]
    if not rows:
        raise CheckpointError(f"{path} has no row: no episode of this run has ended.")
    for line, (one, after) in enumerate(pairwise(rows), 3):
        if after["env_steps"] <= one["env_steps"]:
            raise CheckpointError(
                f"{path}, line {line}: env_steps must increase, but {after['env_steps']:g} follows "
                f"{one['env_steps']:g}."
            )
    yield from rows


def _numbers(row: Mapping[str, str], where: str) -> Mapping[str, float]:
    values = {}
    for name in _COLUMNS:
        try:
            values[name] = float(row[name] or "")
        except ValueError as error:
            raise CheckpointError(
                f"{where}: {name} must be a number, not {row[name] or 'empty'!r}."
            ) from error
        if not math.isfinite(values[name]):
            raise CheckpointError(f"{where}: {name} must be finite, not {row[name]}.")
    if values["episodes"] < 1:
        raise CheckpointError(f"{where}: episodes must be at least 1, not {row['episodes']}.")
    return values
