"""Writes and reads the part of a checkpoint that is needed to act.

Playing reads only ``policy.json`` and the networks' arrays. Both are plain data: acting with an
untrusted checkpoint executes no code from it.
"""

import contextlib
import json
import shlex
from pathlib import Path
from typing import Any

import gymnasium as gym

from rllib_dreamerv3.checkpoints import policy_file
from rllib_dreamerv3.checkpoints.policy_file import PolicyFile
from rllib_dreamerv3.envs.named_class import directory_of, is_found
from rllib_dreamerv3.envs.registry import is_benchmark
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.sampling.environments import (
    is_registered_with_tune,
    register_class,
)
from rllib_dreamerv3.spaces.space_json import space_to_json

# RLlib's options that affect how a policy acts in its environment; all of DreamerV3's are kept.
_RLLIB_OPTIONS = (
    "env_config",
    "action_mask_key",
    "normalize_actions",
    "clip_actions",
    "gym_env_vectorize_mode",
    "disable_env_checking",
    "explore",
    "seed",
)
_ACTING_OPTIONS = {*OPTIONS, *_RLLIB_OPTIONS}


def write_policy(
    directory: Path,
    config: DreamerV3Config,
    observation_space: gym.Space,
    action_space: gym.Space,
) -> None:
    """Write ``policy.json``: spaces, options and the environment's name.

    Omit an environment that is not a name, which the user then has to give when playing, and
    options that are not plain data.

    Args:
        directory: A checkpoint that is being written.
        config: Has the options.
        observation_space: Of a single environment.
        action_space: Of a single environment.
    """
    options = {}
    for name in sorted(_ACTING_OPTIONS):
        with contextlib.suppress(TypeError, ValueError):
            options[name] = json.loads(json.dumps(getattr(config, name), allow_nan=False))
    env = config.env
    name = f"{env.__module__}:{env.__qualname__}" if isinstance(env, type) else str(env)
    policy = PolicyFile(
        env=env if isinstance(env, str) else None,
        env_class=name if isinstance(env, type) else None,
        env_directory=directory_of(name) if ":" in name and not is_benchmark(env) else None,
        options=options,
        observation_space=space_to_json(observation_space),
        action_space=space_to_json(action_space),
    )
    policy_file.write(directory, policy)


def playing_config(directory: Path, policy: PolicyFile, env: Any = None) -> DreamerV3Config:
    """Return the config to play with a policy.

    Args:
        directory: The checkpoint, for messages.
        policy: Content of its ``policy.json``.
        env: The environment to play in; None for that of training.

    Returns:
        A config with the checkpoint's options that affect acting.

    Raises:
        CheckpointError: If the environment requires importing a module named in the checkpoint.
        ConfigError: If ``env`` names a module that cannot be imported.
    """
    known = _ACTING_OPTIONS & policy.options.keys()
    options = {name: policy.options[name] for name in known}
    if env is None:
        env = _trusted(directory, policy.env, policy.env_class, policy.env_directory)
    elif isinstance(env, str) and not is_registered_with_tune(env):
        register_class(env)
    return DreamerV3Config().update_from_dict(options).environment(env)


def _trusted(
    directory: Path, name: str | None, class_name: str | None, import_from: str | None
) -> str:
    """Return a checkpoint's environment if it can be created without importing its module."""
    if name and (is_benchmark(name) or name in gym.registry or is_registered_with_tune(name)):
        return name
    trained_in = name or class_name
    if not trained_in:
        raise CheckpointError(
            f"{directory} was trained in an environment without a name: give the one to play in "
            "(env=..., --env on the command line)."
        )
    if not _can_be_named(trained_in):
        raise CheckpointError(
            f"{directory} was trained in {trained_in!r}, which only the training script defines. "
            "Give the environment as the class or function that makes it: --env MODULE:CLASS on "
            "the command line, with --pythonpath DIR for the directory of its module; env=... in "
            "Python."
        )
    command = f"rllib evaluate {shlex.quote(str(directory))} --env {shlex.quote(trained_in)}"
    unknown_place = ""
    if not is_found(trained_in):
        if import_from and import_from.isprintable() and Path(import_from).is_dir():
            command += f" --pythonpath {shlex.quote(import_from)}"
        else:
            command += " --pythonpath DIR"
            module = trained_in.partition(":")[0]
            unknown_place = f"DIR is the directory that holds {module}, which is not found here. "
    raise CheckpointError(
        f"{directory} was trained in {trained_in!r}, which requires importing a module that the "
        "checkpoint names. If you trust it, give the environment yourself:\n"
        f"  {command}\n{unknown_place}In Python: env={trained_in!r}."
    )


def _can_be_named(env: str) -> bool:
    module, _, name = env.partition(":")
    return bool(module and name and env.isprintable()) and (
        module != "__main__" and "<locals>" not in name
    )
