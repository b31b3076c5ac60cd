"""``policy.json``: the settings needed to build the networks and to act."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.checkpoints.untrusted import read_json


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """Content of the file, all plain data.

    Attributes:
        env: Name of the training environment; None if it has none.
        env_class: Name of the environment's class, ``module:Class``, if given as a class.
        env_directory: Directory of its module; only shown in messages, never imported from.
        options: DreamerV3's options by name, and those of RLlib that affect acting.
        observation_space: Of a single environment, as described by ``spaces/space_json.py``; None
            in older checkpoints.
        action_space: Of a single environment, likewise.
    """

    env: str | None
    env_class: str | None
    env_directory: str | None
    options: dict[str, Any]
    observation_space: dict[str, Any] | None = None
    action_space: dict[str, Any] | None = None


def write(directory: Path, policy: PolicyFile) -> None:
    """Write the file to a checkpoint."""
    text = json.dumps(asdict(policy), indent=1, allow_nan=False) + "\n"
    (directory / POLICY_FILE).write_text(text, encoding="utf-8")


def read(directory: Path) -> PolicyFile:
    """Read the file of a checkpoint.

    Raises:
        CheckpointError: If it is damaged.
    """
    path = directory / POLICY_FILE
    try:
        content = read_json(path)
        return PolicyFile(
            env=content["env"],
            env_class=content["env_class"],
            env_directory=content.get("env_directory"),
            options=dict(content["options"]),
            observation_space=content.get("observation_space"),
            action_space=content.get("action_space"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"{error or type(error).__name__}") from error
