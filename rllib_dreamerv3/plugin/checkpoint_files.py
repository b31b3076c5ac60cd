"""What must be in a checkpoint's directory, and what is read from it without RLlib."""

import pickle
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.networks.model import Weights
from rllib_dreamerv3.plugin.replay_component import COMPONENT_REPLAY_BUFFER

_WEIGHTS = Path("learner_group", "learner", "rl_module", DEFAULT_MODULE_ID, "module_state.pkl")


def check_is_checkpoint(path: Path) -> None:
    """Checks that an algorithm can be restored from a directory, as far as its files tell.

    Raises:
        CheckpointError: If files are missing, or if the algorithm's state cannot be read.
    """
    if not path.is_dir():
        raise CheckpointError(f"There is no directory {path}.")
    missing = [
        name
        for name in (
            Algorithm.METADATA_FILE_NAME,
            Algorithm.CLASS_AND_CTOR_ARGS_FILE_NAME,
            f"{Algorithm.STATE_FILE_NAME}.pkl",
            "learner_group",
            COMPONENT_REPLAY_BUFFER,
        )
        if not (path / name).exists()
    ]
    if missing:
        raise CheckpointError(
            f"{path} is not a complete DreamerV3 checkpoint: it lacks {', '.join(missing)}. Give "
            "the directory that save_to_path() returned, or a trial's checkpoint_* directory."
        )
    state_file = path / f"{Algorithm.STATE_FILE_NAME}.pkl"
    try:
        with state_file.open("rb") as file:
            own = pickle.load(file)["dreamerv3"]
    except Exception as error:
        raise CheckpointError(
            f"{state_file} is damaged: {error or type(error).__name__}"
        ) from error
    if not isinstance(own, dict):
        raise CheckpointError(f"{state_file} does not hold the state of a DreamerV3 algorithm.")


def config_and_weights(path: Path) -> tuple[dict[str, Any], Weights]:
    """Reads what is needed to play: all of replay and of the optimizers stays where it is.

    Returns:
        The state of the algorithm's config, and the weights of its networks by name.

    Raises:
        CheckpointError: If the directory is no checkpoint, or its files are damaged.
    """
    constructor = path / Algorithm.CLASS_AND_CTOR_ARGS_FILE_NAME
    for file_path in (constructor, path / _WEIGHTS):
        if not file_path.is_file():
            raise CheckpointError(
                f"{path} is not a DreamerV3 checkpoint: it has no {file_path.relative_to(path)}."
            )
    try:
        with constructor.open("rb") as file:
            (config,), _ = pickle.load(file)["ctor_args_and_kwargs"]
        with (path / _WEIGHTS).open("rb") as file:
            weights = pickle.load(file)
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return config, weights
