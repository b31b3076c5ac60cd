"""What people look at in a run's folder: its curve, and its config as YAML."""

import io
import json
import logging
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ray.air.constants import EXPR_RESULT_FILE
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback

from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.reports.curve import Curve
from rllib_dreamerv3.reports.drawing import draw_returns, write_png
from rllib_dreamerv3.reports.runs import CONFIG_FILE, CURVE_FILE

_PACKAGES = ("rllib-dreamerv3", "ray", "tensorflow", "tensorflow-probability", "gymnasium", "numpy")


def described(config: AlgorithmConfig) -> str:
    """Describes a config as YAML.

    Args:
        config: Of any algorithm.

    Returns:
        ``versions``, ``changed`` (what is not as by default) and ``options`` (all of them, those
        that depend on the variant with what they stand for). Classes, functions and spaces are
        there by their names: it is to be read, not to be run.
    """
    options, defaults = _options(config), _defaults(config)
    changed = {
        name: x for name, x in options.items() if name not in defaults or x != defaults[name]
    }
    content = {"versions": _versions(), "changed": changed, "options": options}
    # Without anchors, which stand for what is there twice and are hard to read.
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _options(config: AlgorithmConfig) -> dict[str, Any]:
    """All options by their names: those of the table first, then RLlib's."""
    said = config.to_dict()
    rllibs = {name: x for name, x in sorted(said.items()) if not name.startswith("_")}
    if isinstance(config, DreamerV3Config):
        own = {name: config.resolved(name) for name in OPTIONS}
        own["variant"] = variant_of(config.model_size, config.variant)
        own["replay_buffer_config"] = config.replay_buffer_options()
        said = {"env": rllibs.pop("env", None), **own, **rllibs, **own}
    else:
        said = rllibs
    return {name: _plain(value) for name, value in said.items()}


def _defaults(config: AlgorithmConfig) -> dict[str, Any]:
    """What the options are where nobody sets them, with the same published version."""
    fresh = type(config)()
    if not isinstance(config, DreamerV3Config):
        return _options(fresh)
    size = fresh.model_size
    fresh.model_size = config.model_size
    of_variant = {"variant": variant_of(config.model_size), "model_size": size}
    fresh.variant = variant_of(config.model_size, config.variant)
    return {**_options(fresh), **of_variant}


def _plain(value: Any) -> Any:
    """A value in YAML's own types."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(x) for x in value]
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


_DRAW_EVERY_S = 60.0
# Of the time, that of many trials together: results wait while one of their curves is drawn.
_MOST_TIME_DRAWING = 0.05

logger = logging.getLogger(__name__)


class RunFolderCallback(LoggerCallback):
    """Keeps ``curve.png`` and ``config.yaml`` in each trial's folder, for people to look at.

    The experiment's folder has a ``curve.png`` of all trials together: those that differ by their
    seeds alone are one line with a band. Curves are drawn when a trial ends or is saved, and once a
    minute at most before that. ``config.yaml`` has the versions, what was changed, and every option
    as it counts. What goes wrong here is logged, and never ends a run::

        tune.RunConfig(callbacks=[RunFolderCallback()])
    """

    _SAVED_FILE_TEMPLATES = (CURVE_FILE, CONFIG_FILE)

    def __init__(self) -> None:
        """Begins with no trial."""
        self._curves: dict[Trial, Curve] = {}
        self._drawn_at: dict[Trial, float] = {}
        self._draw_again_at = 0.0

    @property
    def curves(self) -> list[Curve]:
        """Of all trials."""
        return list(self._curves.values())

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Takes in trials, too, that had ended before the run was resumed."""
        for other in trials:
            if other is not trial and other not in self._curves and other.is_finished():
                self._curves[other] = _earlier_curve(other)
        super().on_trial_start(iteration, trials, trial, **info)

    def log_trial_start(self, trial: Trial) -> None:
        """Writes the config; reads the results of a trial that goes on."""
        self._drawn_at[trial] = time.monotonic()
        self._curves[trial] = _earlier_curve(trial) if trial.checkpoint else _new_curve(trial)
        try:
            trial.init_local_path()
            config = _config_of(trial)
            if config is not None:
                text = described(config)
                Path(trial.local_path, CONFIG_FILE).write_text(text, encoding="utf-8")
        except Exception:
            logger.exception("%s of %s could not be written.", CONFIG_FILE, trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Notes the returns, and draws them if they have not been for a minute."""
        if trial not in self._curves:
            self.log_trial_start(trial)
        self._curves[trial].add(result)
        now = time.monotonic()
        if now >= max(self._draw_again_at, self._drawn_at[trial] + _DRAW_EVERY_S):
            self._draw(trial)

    def log_trial_save(self, trial: Trial) -> None:
        """Draws what a run has reached that is interrupted now, as far as anyone knows."""
        if trial in self._curves and time.monotonic() >= self._draw_again_at:
            self._draw(trial)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """Draws what has become of it."""
        if trial in self._curves:
            self._draw(trial)

    def _draw(self, trial: Trial) -> None:
        begun = time.monotonic()
        _draw_into(Path(trial.local_path), [self._curves[trial]])
        if len(self._curves) > 1:
            _draw_into(Path(trial.local_experiment_path), self.curves)
        self._drawn_at[trial] = now = time.monotonic()
        self._draw_again_at = now + (now - begun) / _MOST_TIME_DRAWING


def _new_curve(trial: Trial) -> Curve:
    env = (trial.config or {}).get("env", "")
    return Curve(_group(trial), getattr(env, "__name__", str(env)))


def _earlier_curve(trial: Trial) -> Curve:
    """What a trial had reported before the run was interrupted."""
    curve = _new_curve(trial)
    path = Path(trial.storage.trial_fs_path, EXPR_RESULT_FILE).as_posix()
    try:
        with trial.storage.storage_filesystem.open_input_stream(path) as file:
            for line in io.TextIOWrapper(file, encoding="utf-8", errors="replace"):
                # The last one, of a run that was killed, may end anywhere.
                with suppress(ValueError):
                    curve.add(json.loads(line))
    except FileNotFoundError:
        pass
    except Exception:
        logger.exception("%s could not be read; its curve begins now.", path)
    return curve


def _draw_into(directory: Path, curves: Sequence[Curve]) -> None:
    try:
        write_png(draw_returns(curves), directory / CURVE_FILE)
    except Exception:
        logger.exception("%s could not be drawn in %s.", CURVE_FILE, directory)


def _config_of(trial: Trial) -> AlgorithmConfig | None:
    """The trial's whole config; None of what is no algorithm."""
    trainable = trial.get_trainable_cls()
    if not hasattr(trainable, "get_default_config"):
        return None
    return trainable.get_default_config().update_from_dict(trial.config)


def _group(trial: Trial) -> str:
    """What a trial does not share with the others, but for its seed."""
    varied = {
        name.rpartition("/")[2]: value
        for name, value in (trial.evaluated_params or {}).items()
        if name.rpartition("/")[2] != "seed"
    }
    return ", ".join(f"{name}={value}" for name, value in varied.items())
