"""Experiments: what to train, how Tune runs it, and where results go. Needs no TensorFlow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rllib_cli import config_check, stop_criteria
from rllib_cli.errors import InputError, unknown
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.option import Option, option, options_of
from rllib_dreamerv3.options.paths import absolute_paths

DEFAULT_STORAGE_PATH = "~/ray_results"

# Keys of older experiment files and their current places.
_MOVED = {
    "local_dir": "storage_path",
    "checkpoint_freq": "checkpoint_config/checkpoint_frequency",
    "checkpoint_at_end": "checkpoint_config/checkpoint_at_end",
    "keep_checkpoints_num": "checkpoint_config/num_to_keep",
    "checkpoint_score_attr": "checkpoint_config/checkpoint_score_attribute",
}


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Keys of ``checkpoint_config``: Tune's own, and the minutes between checkpoints."""

    checkpoint_every_min: float = option(10.0, "Minutes between checkpoints; 0: none.", least=0)
    checkpoint_frequency: int = option(0, "Iterations between checkpoints; 0: none.", least=0)
    checkpoint_at_end: bool = option(True, "Whether to save a checkpoint when a trial ends.")
    num_to_keep: int | None = option(2, "Checkpoints to keep; None: all.", least=1)
    checkpoint_score_attribute: str | None = option(
        None, "Result that decides which checkpoints to keep; None: the newest."
    )
    checkpoint_score_order: Literal["max", "min"] = option("max", "Which scores are best.")


@dataclass(frozen=True)
class Experiment:
    """One experiment: an algorithm, its config, and how Tune runs it.

    Attributes:
        name: Directory of the results below ``storage_path``.
        algorithm: A name registered with RLlib, or an ``Algorithm`` class.
        config: RLlib's config as a dict; may contain ``{"grid_search": [...]}`` anywhere.
        stop: Stop criteria: result name -> value at which a trial ends.
        checkpoint: The :class:`CheckpointSettings` that were set.
        storage_path: Local directory or URI for results.
        notes: Messages for the user about renamed or unchecked keys.
    """

    name: str
    algorithm: str | type
    config: Mapping[str, Any]
    stop: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    storage_path: str = DEFAULT_STORAGE_PATH
    num_samples: int = option(1, "Trials for each point of the grid.", least=1)
    max_failures: int = option(
        0, "How often to restart a failed trial from its last checkpoint; -1: always.", least=-1
    )
    max_concurrent_trials: int | None = option(
        None, "Trials to run at the same time; None: as many as fit.", least=1
    )
    time_budget_s: float | None = option(
        None, "Seconds after which all trials end; None: no limit.", above=0
    )
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InputError if the name is not that of a directory below the storage path."""
        if not re.fullmatch(r"[^./\\\0][^/\\\0]*", self.name):
            raise InputError(
                f"{self.name!r} cannot be the name of an experiment: results are in a directory of "
                "this name, so it must not be empty, start with a dot or contain a slash."
            )

    @property
    def checkpoint_every_min(self) -> float:
        """Minutes between checkpoints; 0 if time triggers none."""
        row = _CHECKPOINT_ROWS["checkpoint_every_min"]
        return float(self.checkpoint.get(row.name, row.v1))

    def tune_checkpoint_config(self) -> dict[str, Any]:
        """Arguments of Tune's ``CheckpointConfig``, with this command's defaults."""
        defaults = {row.name: row.v1 for row in _CHECKPOINT_ROWS.values()}
        settings = {**defaults, **self.checkpoint}
        del settings["checkpoint_every_min"]
        return settings

    @property
    def algorithm_name(self) -> str:
        """The algorithm's name as text."""
        return self.algorithm if isinstance(self.algorithm, str) else self.algorithm.__name__

    @property
    def env_name(self) -> str:
        """The environment's name as text."""
        env = self.config.get("env")
        return "recorded data" if env is None else str(getattr(env, "__name__", env))

    def directory(self) -> str:
        """Absolute path or URI of the results."""
        if "://" in self.storage_path:
            return f"{self.storage_path.rstrip('/')}/{self.name}"
        return str(Path(self.storage_path).expanduser().resolve() / self.name)

    def changed(self, **changes: Any) -> "Experiment":
        """Apply options of the command line.

        Args:
            **changes: New values; None leaves a value as it is. ``stop``, ``checkpoint`` and
                ``config`` are merged; ``env`` and ``env_config`` go into the config.

        Returns:
            The changed experiment.

        Raises:
            InputError: If a stop criterion, an option or a checkpoint setting is unknown or has a
                wrong value.
        """
        changes = {key: value for key, value in changes.items() if value is not None}
        notes = list(self.notes)
        if "stop" in changes:
            changes["stop"] = {**self.stop, **stop_criteria.criteria(changes["stop"], notes)}
        if "checkpoint" in changes:
            settings = _checkpoint_settings(changes["checkpoint"], notes)
            changes["checkpoint"] = {**self.checkpoint, **settings}
        given = absolute_paths(changes.pop("config", {}))
        if "env_config" in changes:
            given = _merged(given, {"env_config": changes.pop("env_config")})
        if "env" in changes:
            given["env"] = changes.pop("env")
        if given:
            merged = _merged(self.config, config_check.with_ints(given))
            # The config of a Python file is a complete one, which RLlib checks.
            if isinstance(self.algorithm, str):
                merged = _checked_config(self.algorithm, merged)
            changes["config"] = merged
        return replace(self, **{**changes, "notes": tuple(notes)})


_ROWS = options_of(Experiment)
_CHECKPOINT_ROWS = options_of(CheckpointSettings)
_KEYS = {"run", "env", "config", "stop", "storage_path", "checkpoint_config", *_ROWS}


def has_recorded_data(config: Mapping[str, Any]) -> bool:
    """Whether a config names recorded data, under either of RLlib's names."""
    return any(config.get(name) not in (None, "", [], "sampler") for name in ("input_", "input"))


def from_options(algorithm: str, env: str | None, config: Mapping[str, Any]) -> Experiment:
    """Build an experiment from options of the command line alone.

    Args:
        algorithm: The algorithm's name.
        env: The environment's name; None if the config has it.
        config: RLlib's config.

    Returns:
        An experiment named "default", as RLlib's own command named it.

    Raises:
        InputError: If there is no environment, or an option of the config is wrong.
    """
    config = {**config, **({"env": env} if env else {})}
    if not (config.get("env") or has_recorded_data(config)):
        raise InputError("Name the environment to train in: --env NAME.")
    return Experiment("default", algorithm, _checked_config(algorithm, config))


def from_mapping(name: str, spec: Any, env: str | None, *, has_data: bool = False) -> Experiment:
    """Build an experiment from an entry of a YAML file.

    Args:
        name: The experiment's name.
        spec: The entry.
        env: Replaces the environment of the entry.
        has_data: Whether recorded data is given, which makes an environment optional.

    Returns:
        The experiment.

    Raises:
        InputError: If a key is unknown or has a wrong value; names the key.
    """
    if not isinstance(spec, dict):
        raise InputError(f"it must contain keys such as run and config, not {spec!r}.")
    notes: list[str] = []
    spec = {str(key): value for key, value in spec.items()}
    for old, new in _MOVED.items():
        if old in spec:
            notes.append(f"{old} is now called {new}; using that.")
            group, _, key = new.rpartition("/")
            value = spec.pop(old)
            if group:
                spec[group] = {key: value, **_mapping(spec.get(group), group)}
            else:
                spec.setdefault(key, value)
    if spec.pop("pass_criteria", None) is not None:
        notes.append("pass_criteria is for RLlib's own tests; ignored.")
    for key in spec:
        if key not in _KEYS:
            raise unknown("key", key, [*_KEYS, *_MOVED])
    if "run" not in spec:
        raise InputError("it does not name the algorithm to run: `run: DreamerV3`.")
    algorithm = _text(spec["run"], "run", "the name of an algorithm")
    config = _mapping(spec.get("config"), "config")
    if env or "env" in spec:
        config["env"] = env or spec["env"]
    if not (config.get("env") or has_data or has_recorded_data(config)):
        raise InputError("it names no environment: `env: CartPole-v1`, or --env NAME.")
    checkpoint = _mapping(spec.get("checkpoint_config"), "checkpoint_config")
    storage_path = spec.get("storage_path", DEFAULT_STORAGE_PATH)
    return Experiment(
        name=name,
        algorithm=algorithm,
        config=_checked_config(algorithm, config),
        stop=stop_criteria.criteria(_mapping(spec.get("stop"), "stop"), notes),
        checkpoint=_checkpoint_settings(checkpoint, notes),
        storage_path=_text(storage_path, "storage_path", "a directory or a URI"),
        notes=tuple(notes),
        **_checked_values(spec, _ROWS),
    )


def _merged(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A config with given options, which are merged with mappings such as ``env_config``.

    A grid search over complete mappings cannot be merged with one, and is replaced.
    """
    merged = {**config, **given}
    for name in config.keys() & given.keys():
        both = config[name], given[name]
        if all(isinstance(one, Mapping) and "grid_search" not in one for one in both):
            merged[name] = {**config[name], **given[name]}
    return merged


def _checked_config(algorithm: str, config: dict[str, Any]) -> dict[str, Any]:
    # Recorded data needs no environment.
    if config.get("env") is not None and not isinstance(config["env"], dict):
        _text(config["env"], "env", "the name of an environment")
    config = absolute_paths(config)
    _check_searches(config, "config")
    return config_check.checked(config) if algorithm == config_check.NAME else config


def _checkpoint_settings(settings: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    for key in settings:
        if key not in _CHECKPOINT_ROWS:
            raise unknown("key in checkpoint_config:", key, _CHECKPOINT_ROWS)
    checked = _checked_values(settings, _CHECKPOINT_ROWS)
    score = checked.get("checkpoint_score_attribute")
    if score is not None:
        # RLlib's old notation for "smaller is better".
        if score.startswith("min-"):
            checked["checkpoint_score_order"] = "min"
        checked["checkpoint_score_attribute"] = stop_criteria.current_name(
            score.removeprefix("min-"), notes
        )
    return checked


def _checked_values(given: Mapping[str, Any], rows: Mapping[str, Option]) -> dict[str, Any]:
    """Check the given values that have a row; a float such as 1e5 becomes an int where needed."""
    own = {name: value for name, value in given.items() if name in rows}
    own = config_check.with_whole_numbers(own, rows)
    try:
        for name, value in own.items():
            rows[name].check(value)
    except ConfigError as error:
        raise InputError(str(error)) from None
    return own


def _mapping(value: Any, key: str) -> dict[str, Any]:
    """A mapping; empty if the file leaves the value out."""
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{key} must be a mapping, not {value!r}.")
    return {str(name): x for name, x in (value or {}).items()}


def _text(value: Any, key: str, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} must be {what}, not {value!r}.")
    return value


def _check_searches(value: Any, path: str) -> None:
    """Raise InputError if a ``{grid_search: [...]}`` below ``path`` is empty or not a list.

    Tune would create no trial from it.
    """
    if isinstance(value, Mapping):
        if "grid_search" in value:
            points = value["grid_search"]
            if not isinstance(points, list) or not points:
                raise InputError(
                    f"{path}: grid_search must be a list of at least one value, not {points!r}."
                )
        for key, inner in value.items():
            _check_searches(inner, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _check_searches(inner, f"{path}/{number}")
