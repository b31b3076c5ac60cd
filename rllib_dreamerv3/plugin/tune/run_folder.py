"""Human-readable files in a run's folder: its learning curve, and its config as YAML."""

import io
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.air.constants import EXPR_RESULT_FILE
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback

from rllib_dreamerv3.plugin.tune.config_yaml import described
from rllib_dreamerv3.reports.curve import Curve
from rllib_dreamerv3.reports.drawing import draw_returns, write_png
from rllib_dreamerv3.reports.runs import CONFIG_FILE, CURVE_FILE

_DRAW_EVERY_S = 60.0
# Share of time spent drawing, over all trials: results wait while a curve is drawn.
_MAX_DRAWING_SHARE = 0.05

logger = logging.getLogger(__name__)


class RunFolderCallback(LoggerCallback):
    """Writes ``curve.png`` and ``config.yaml`` to each trial's folder.

    The experiment's folder gets a ``curve.png`` of all trials; trials that differ only in their
    seeds form one line with a band. Curves are drawn when a trial ends or is saved, and otherwise
    at most once a minute. ``config.yaml`` has the versions, the changed options, and all options.
    Failures here are logged; training continues::

        tune.RunConfig(callbacks=[RunFolderCallback()])
    """

    _SAVED_FILE_TEMPLATES = (CURVE_FILE, CONFIG_FILE)

    def __init__(self) -> None:
        self._curves: dict[Trial, Curve] = {}
        self._drawn_at: dict[Trial, float] = {}
        self._draw_again_at = 0.0

    @property
    def curves(self) -> list[Curve]:
        return list(self._curves.values())

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Also reads the curves of trials that had ended before the run was resumed."""
        for other in trials:
            if other is not trial and other not in self._curves and other.is_finished():
                self._curves[other] = _earlier_curve(other)
        super().on_trial_start(iteration, trials, trial, **info)

    def log_trial_start(self, trial: Trial) -> None:
        """Write the config; read the earlier results of a resumed trial."""
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
        """Add the result to the curve, and draw it at most once a minute."""
        if trial not in self._curves:
            self.log_trial_start(trial)
        self._curves[trial].add(result)
        now = time.monotonic()
        if now >= max(self._draw_again_at, self._drawn_at[trial] + _DRAW_EVERY_S):
            self._draw(trial)

    def log_trial_save(self, trial: Trial) -> None:
        """Draw the curve: the trial may be about to be interrupted."""
        if trial in self._curves and time.monotonic() >= self._draw_again_at:
            self._draw(trial)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        if trial in self._curves:
            self._draw(trial)

    def _draw(self, trial: Trial) -> None:
        begun = time.monotonic()
        _draw_into(Path(trial.local_path), [self._curves[trial]])
        if len(self._curves) > 1:
            _draw_into(Path(trial.local_experiment_path), self.curves)
        self._drawn_at[trial] = now = time.monotonic()
        self._draw_again_at = now + (now - begun) / _MAX_DRAWING_SHARE


def _new_curve(trial: Trial) -> Curve:
    env = (trial.config or {}).get("env", "")
    return Curve(_group(trial), getattr(env, "__name__", str(env)))


def _earlier_curve(trial: Trial) -> Curve:
    """Read the results that a trial reported before it was interrupted."""
    curve = _new_curve(trial)
    path = Path(trial.storage.trial_fs_path, EXPR_RESULT_FILE).as_posix()
    try:
        with trial.storage.storage_filesystem.open_input_stream(path) as file:
            for line in io.TextIOWrapper(file, encoding="utf-8", errors="replace"):
                # The last line of a killed run may be incomplete.
                with suppress(ValueError):
                    curve.add(json.loads(line))
    except FileNotFoundError:
        pass
    except Exception:
        logger.exception("%s could not be read; the curve starts with the next result.", path)
    return curve


def _draw_into(directory: Path, curves: Sequence[Curve]) -> None:
    try:
        write_png(draw_returns(curves), directory / CURVE_FILE)
    except Exception:
        logger.exception("%s could not be drawn in %s.", CURVE_FILE, directory)


def _config_of(trial: Trial) -> AlgorithmConfig | None:
    """Return the trial's complete config; None if the trainable is not an algorithm."""
    trainable = trial.get_trainable_cls()
    if not hasattr(trainable, "get_default_config"):
        return None
    return trainable.get_default_config().update_from_dict(trial.config)


def _group(trial: Trial) -> str:
    """Describe the options, except the seed, by which a trial differs from the others."""
    varied = {
        name.rpartition("/")[2]: value
        for name, value in (trial.evaluated_params or {}).items()
        if name.rpartition("/")[2] != "seed"
    }
    return ", ".join(f"{name}={value}" for name, value in varied.items())
