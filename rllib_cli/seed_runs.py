"""Runs of one experiment with several seeds, each a ``rllib train file`` that can be continued."""

import hashlib
import json
import re
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllib_cli.errors import RunError
from rllib_dreamerv3.reports.history import ENV_STEPS, History


@dataclass(frozen=True)
class SeedRun:
    """One run in a directory of its own.

    Attributes:
        example: File or name of the experiment.
        env: The environment, instead of the experiment's own.
        config: Options over those of the experiment, with the seed.
        env_steps: Env steps at which it ends.
        directory: Where its results go.
    """

    example: str
    env: str
    config: Mapping[str, Any]
    env_steps: int
    directory: Path

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to train."""
        return history_in(self.directory).latest(ENV_STEPS, default=0.0) >= self.env_steps

    def train(self) -> None:
        """Train, or continue from the last checkpoint, in a process of its own.

        Raises:
            RunError: If the process fails, which has then said why; names the directory.
        """
        # Not `python -m`, which puts the working directory in the import path.
        command = [str(Path(sysconfig.get_path("scripts"), "rllib")), "train", "file", self.example]
        command += ["--env", self.env, "--config", json.dumps(dict(self.config))]
        command += ["--stop", json.dumps({ENV_STEPS: self.env_steps})]
        command += ["--experiment-name", self.directory.name]
        command += ["--storage-path", str(self.directory.parent)]
        if self.directory.exists():
            command.append("--resume")
        if code := subprocess.run(command, check=False).returncode:
            raise RunError(
                f"Training in {self.directory} ended with exit code {code}, see above. The same "
                "command continues it."
            )


def run_name(experiment: str, config: Mapping[str, Any], seed: int) -> str:
    """Return the name of a run's directory.

    It depends on the options, so that a run with others is not taken for this one, or continued.

    Args:
        experiment: Name of the experiment.
        config: Options over those of the experiment.
        seed: The seed.
    """
    if config:
        text = json.dumps(dict(config), sort_keys=True)
        experiment += f"_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return f"{experiment}_seed{seed}"


def trial_in(directory: Path) -> Path | None:
    """Return the folder of the only trial in an experiment's directory; None without results."""
    return next((path.parent for path in directory.glob("*/result.json")), None)


def history_in(directory: Path) -> History:
    """Return the results of the only trial in an experiment's directory; empty without any."""
    trial = trial_in(directory)
    return History.read(trial) if trial else History()


def slug(env: str) -> str:
    """``dm_control/finger-spin-v0`` -> ``finger_spin``, ``my_env:Reach`` -> ``reach``."""
    name = re.split("[/:]", env)[-1]
    return re.sub(r"-v\d+$", "", name).replace("-", "_").lower()
