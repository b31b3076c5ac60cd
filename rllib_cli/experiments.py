"""Experiments as files and options describe them, checked as far as that needs no TensorFlow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rllib_cli import config_check, experiment_values, stop_criteria
from rllib_cli.errors import InputError, unknown

DEFAULT_STORAGE_PATH = "~/ray_results"
DEFAULT_CHECKPOINT_EVERY_MIN = 10.0
DEFAULT_CHECKPOINTS_TO_KEEP = 2

_KEYS = {
    "run",
    "env",
    "config",
    "stop",
    "num_samples",
    "storage_path",
    "checkpoint_config",
    "max_failures",
    "max_concurrent_trials",
    "time_budget_s",
}
# Keys of older experiment files, and where the same is said now.
_MOVED = {
    "local_dir": "storage_path",
    "checkpoint_freq": "checkpoint_config/checkpoint_frequency",
    "checkpoint_at_end": "checkpoint_config/checkpoint_at_end",
    "keep_checkpoints_num": "checkpoint_config/num_to_keep",
    "checkpoint_score_attr": "checkpoint_config/checkpoint_score_attribute",
}


@dataclass(frozen=True)
class Experiment:
    """One experiment: an algorithm, its config, and how Tune runs it.

    Attributes:
        name: The directory of its results below ``storage_path``.
        algorithm: A name registered with RLlib, or an ``Algorithm`` class.
        config: RLlib's config as a dict; may hold ``{"grid_search": [...]}`` anywhere.
        stop: Number by result at which a trial ends, with the names results have.
        checkpoint: Fields of Tune's ``CheckpointConfig`` that were set, and
            ``checkpoint_every_min``, see :attr:`checkpoint_every_min`.
        num_samples: How often every point of the grid is run.
        storage_path: Local directory or URI below which results are written.
        max_failures: How often a failed trial is taken up again from its last checkpoint.
        max_concurrent_trials: At most so many trials at the same time; None: as many as fit.
        time_budget_s: Seconds after which all trials end; None: never.
        notes: Lines for the user about what was understood differently from how it was written.
    """

    name: str
    algorithm: str | type
    config: Mapping[str, Any]
    stop: Mapping[str, float] = field(default_factory=dict)
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    num_samples: int = 1
    storage_path: str = DEFAULT_STORAGE_PATH
    max_failures: int = 0
    max_concurrent_trials: int | None = None
    time_budget_s: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises InputError for a name that would be another place than below the storage path."""
        if not re.fullmatch(r"[^./\\\0][^/\\\0]*", self.name):
            raise InputError(
                f"{self.name!r} cannot be the name of an experiment: results are in a directory of "
                "this name, so it may not be empty, begin with a dot or hold a slash."
            )

    @property
    def checkpoint_every_min(self) -> float:
        """Minutes after which a trial is saved; 0: never because of the time."""
        return float(self.checkpoint.get("checkpoint_every_min", DEFAULT_CHECKPOINT_EVERY_MIN))

    def tune_checkpoint_config(self) -> dict[str, Any]:
        """Arguments of Tune's ``CheckpointConfig``, with the command's own defaults."""
        said = {key: x for key, x in self.checkpoint.items() if key != "checkpoint_every_min"}
        return {
            "checkpoint_at_end": True,
            "num_to_keep": DEFAULT_CHECKPOINTS_TO_KEEP,
            **said,
        }

    @property
    def algorithm_name(self) -> str:
        """The algorithm's name as text."""
        return self.algorithm if isinstance(self.algorithm, str) else self.algorithm.__name__

    @property
    def env_name(self) -> str:
        """The environment's name as text."""
        env = self.config.get("env")
        return env.__name__ if isinstance(env, type) else str(env)

    def directory(self) -> str:
        """Where its results are: an absolute path, or a URI."""
        if "://" in self.storage_path:
            return f"{self.storage_path.rstrip('/')}/{self.name}"
        return str(Path(self.storage_path).expanduser().resolve() / self.name)

    def changed(self, **changes: Any) -> "Experiment":
        """Lays the options of the command line over what a file says.

        Args:
            **changes: New values; ``stop``, ``checkpoint`` and ``env_config`` are merged,
                ``env`` goes into the config, and None means "not said".

        Returns:
            The changed experiment.

        Raises:
            InputError: If a stop criterion is unknown or no number.
        """
        said = {key: value for key, value in changes.items() if value is not None}
        notes = list(self.notes)
        if "stop" in said:
            said["stop"] = {**self.stop, **stop_criteria.criteria(said["stop"], notes)}
        if "checkpoint" in said:
            settings = experiment_values.checkpoint_settings(said["checkpoint"], notes)
            said["checkpoint"] = {**self.checkpoint, **settings}
        if "env_config" in said:
            before = self.config.get("env_config") or {}
            # A search over whole configs cannot be merged with one.
            merged = {**({} if "grid_search" in before else before), **said.pop("env_config")}
            said["config"] = {**self.config, "env_config": merged}
        if "env" in said:
            said["config"] = {**said.get("config", self.config), "env": said.pop("env")}
        return replace(self, **{**said, "notes": tuple(notes)})


def from_options(algorithm: str, env: str | None, config: Mapping[str, Any]) -> Experiment:
    """The experiment that options alone describe.

    Args:
        algorithm: The algorithm's name.
        env: The environment's name; None if the config names it.
        config: RLlib's config.

    Returns:
        An experiment with RLlib's old default name.

    Raises:
        InputError: If no environment is named.
    """
    config = {**config, **({"env": env} if env else {})}
    if not experiment_values.environment(config.get("env")):
        raise InputError("Say which environment to train in: --env NAME.")
    experiment_values.check_searches(config, "config")
    if algorithm == config_check.NAME:
        config = config_check.checked(config)
    return Experiment("default", algorithm, config)


def from_mapping(name: str, spec: Any, env: str | None) -> Experiment:
    """The experiment that an entry of a YAML file describes.

    Args:
        name: Its name.
        spec: What the file says of it.
        env: The environment's name, in place of the one that the file names.

    Returns:
        The experiment.

    Raises:
        InputError: If a key is unknown or cannot have its value; names the key.
    """
    if not isinstance(spec, dict):
        raise InputError(f"it has to hold keys such as run and config, not {spec!r}.")
    notes: list[str] = []
    spec = {str(key): value for key, value in spec.items()}
    for old, new in _MOVED.items():
        if old in spec:
            notes.append(f"{old} is called {new} now; using that.")
            group, _, key = new.rpartition("/")
            value = spec.pop(old)
            if group:
                spec[group] = {key: value, **experiment_values.mapping(spec.get(group), group)}
            else:
                spec.setdefault(key, value)
    if spec.pop("pass_criteria", None) is not None:
        notes.append("pass_criteria only mean something to RLlib's own tests; left out.")
    for key in spec:
        if key not in _KEYS:
            raise unknown("key", key, [*_KEYS, *_MOVED])
    if "run" not in spec:
        raise InputError("it does not say which algorithm to run: `run: DreamerV3`.")
    algorithm = experiment_values.text(spec["run"], "run", "the name of an algorithm")
    config = experiment_values.mapping(spec.get("config"), "config")
    if env or "env" in spec:
        config["env"] = env or spec["env"]
    if not experiment_values.environment(config.get("env")):
        raise InputError("it names no environment: `env: CartPole-v1`, or --env NAME.")
    experiment_values.check_searches(config, "config")
    if algorithm == config_check.NAME:
        config = config_check.checked(config)
    checkpoint = experiment_values.mapping(spec.get("checkpoint_config"), "checkpoint_config")
    stop = experiment_values.mapping(spec.get("stop"), "stop")
    storage = spec.get("storage_path", DEFAULT_STORAGE_PATH)
    whole_number = experiment_values.whole_number
    return Experiment(
        name=name,
        algorithm=algorithm,
        config=config,
        stop=stop_criteria.criteria(stop, notes),
        checkpoint=experiment_values.checkpoint_settings(checkpoint, notes),
        num_samples=whole_number(spec.get("num_samples", 1), "num_samples", 1),
        storage_path=experiment_values.text(storage, "storage_path", "a directory or a URI"),
        # -1 stands for "always" in Tune.
        max_failures=whole_number(spec.get("max_failures", 0), "max_failures", -1),
        max_concurrent_trials=whole_number(
            spec.get("max_concurrent_trials"), "max_concurrent_trials", 1, "as many as fit"
        ),
        time_budget_s=experiment_values.seconds(spec.get("time_budget_s"), "time_budget_s"),
        notes=tuple(notes),
    )
