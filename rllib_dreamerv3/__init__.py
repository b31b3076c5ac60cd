"""DreamerV3 for RLlib, on TensorFlow 2.

``plugin`` is the interface to RLlib: config, algorithm, env runner, learner, RLModule. The rest is
a core that imports without Ray: ``agent`` (networks, losses, the update), ``options``, ``spaces``,
``envs``, ``replay``, ``checkpoints``, ``reports``, ``exporting`` and ``dream_env``. ``records``
defines a record, ``agent.networks`` the letters of shapes.

Importing the package imports neither Ray nor TensorFlow; its public names do. It registers
"DreamerV3" as the name of this algorithm in RLlib and Tune.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rllib_dreamerv3.startup.import_hooks import install_import_hooks
from rllib_dreamerv3.startup.import_path import extend_import_path
from rllib_dreamerv3.startup.system import refuse_windows

if TYPE_CHECKING:
    from rllib_dreamerv3.agent.networks.model import count_parameters
    from rllib_dreamerv3.dream_env.env import DreamEnv
    from rllib_dreamerv3.dream_env.vector_env import DreamVectorEnv
    from rllib_dreamerv3.exporting.loaded_policy import load_policy
    from rllib_dreamerv3.plugin.algorithm import DreamerV3
    from rllib_dreamerv3.plugin.config.config import DreamerV3Config
    from rllib_dreamerv3.plugin.tune.csv_logger import CompleteCSVLoggerCallback
    from rllib_dreamerv3.plugin.tune.loggers import EnvStepsTBXLoggerCallback
    from rllib_dreamerv3.plugin.tune.run_folder import RunFolderCallback

__all__ = [
    "CompleteCSVLoggerCallback",
    "DreamEnv",
    "DreamVectorEnv",
    "DreamerV3",
    "DreamerV3Config",
    "EnvStepsTBXLoggerCallback",
    "RunFolderCallback",
    "count_parameters",
    "load_policy",
]
__version__ = "0.2.0"

_MODULES = {
    "CompleteCSVLoggerCallback": "rllib_dreamerv3.plugin.tune.csv_logger",
    "DreamEnv": "rllib_dreamerv3.dream_env.env",
    "DreamVectorEnv": "rllib_dreamerv3.dream_env.vector_env",
    "DreamerV3": "rllib_dreamerv3.plugin.algorithm",
    "DreamerV3Config": "rllib_dreamerv3.plugin.config.config",
    "EnvStepsTBXLoggerCallback": "rllib_dreamerv3.plugin.tune.loggers",
    "RunFolderCallback": "rllib_dreamerv3.plugin.tune.run_folder",
    "count_parameters": "rllib_dreamerv3.agent.networks.model",
    "load_policy": "rllib_dreamerv3.exporting.loaded_policy",
}

refuse_windows()
extend_import_path()
install_import_hooks()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
