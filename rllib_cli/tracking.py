"""Services for experiments that results are handed over to, by Ray's own callbacks."""

import os
from importlib.util import find_spec
from typing import Any

from rllib_cli.errors import InputError

# How Ray's callbacks are told where to put results when Tune makes them, from their names.
_PROJECT, _EXPERIMENT = "WANDB_PROJECT_NAME", "MLFLOW_EXPERIMENT_NAME"


def check(wandb: str | None, mlflow: str | None) -> None:
    """Checks that what is asked for is installed, before anything is loaded.

    Args:
        wandb: Project of Weights & Biases; None for none.
        mlflow: Name of MLflow's experiment; None for none.

    Raises:
        InputError: If a package is missing.
    """
    for option, name, package in (("--wandb", wandb, "wandb"), ("--mlflow", mlflow, "mlflow")):
        if name is not None and not name.strip():
            raise InputError(f"{option} needs a name, under which results are kept.")
        if name and find_spec(package) is None:
            raise InputError(
                f"{option} needs the package {package}, which is not installed: "
                f"pip install {package}"
            )


def trackers(wandb: str | None, mlflow: str | None) -> list[Any]:
    """Callbacks of Tune for services, and what they read from environment variables.

    Args:
        wandb: Project of Weights & Biases; None for none.
        mlflow: Name of MLflow's experiment; None for none. Where its server is says
            ``MLFLOW_TRACKING_URI``, as for MLflow itself.

    Returns:
        Classes of callbacks.
    """
    found: list[Any] = []
    if wandb:
        from ray.air.integrations.wandb import WandbLoggerCallback

        os.environ[_PROJECT] = wandb
        found.append(WandbLoggerCallback)
    if mlflow:
        from rllib_dreamerv3.plugin.tune.loggers import EnvStepsMLflowLoggerCallback

        os.environ[_EXPERIMENT] = mlflow
        found.append(EnvStepsMLflowLoggerCallback)
    return found
