"""Private names of Ray that this package relies on, and that could disappear unnoticed."""

import importlib
import inspect
import pkgutil

import pytest
from ray._private import services
from ray.job_config import JobConfig
from ray.tune.experimental.output import ProgressReporter

import rllib_cli
import rllib_dreamerv3
import rllib_dreamerv3.plugin

# Without the base's method, ours would never be called, and nothing would say so.
OVERRIDDEN = {
    "DreamerV3": {
        "_create_local_replay_buffer_if_necessary",
        "_evaluate_with_custom_eval_function",
        "_get_env_id_and_creator",
        "_open_logfiles",
    },
    "DreamerV3Config": {
        "_model_config_auto_includes",
        "_validate_offline_settings",
        "_validate_to_be_deprecated_settings",
    },
    "DreamerV3Learner": {
        "_convert_batch_type",
        "_get_clip_function",
        "_get_global_norm_function",
        "_get_optimizer_lr",
        "_get_optimizer_state",
        "_get_tensor_variable",
        "_log_steps_trained_metrics",
        "_set_optimizer_lr",
        "_set_optimizer_state",
        "_update",
    },
    "DreamerV3RLModule": {
        "_forward",
        "_forward_exploration",
        "_forward_inference",
        "_forward_train",
    },
    "FaultTolerantEnvRunner": {"_try_env_reset", "_try_env_step"},
    "RunFolderCallback": {"_SAVED_FILE_TEMPLATES"},
    "Wandb": {"_start_logging_actor"},
}


def overridden():
    """Private names of Ray's classes that subclasses in this package define, by class."""
    found = {}
    for package in (rllib_dreamerv3, rllib_cli):
        for each in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(each.name)
            for name, its in inspect.getmembers(module, inspect.isclass):
                if its.__module__ != each.name:
                    continue
                bases = [base for base in its.__mro__ if base.__module__.startswith("ray.")]
                names = {
                    key
                    for key in vars(its)
                    if key.startswith("_")
                    and not key.startswith(("__", "_abc_"))
                    and any(key in vars(base) for base in bases)
                }
                if names:
                    found[name] = names
    return found


def test_every_private_method_that_is_overridden_exists_in_ray():
    assert overridden() == OVERRIDDEN


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (services, "ConsolePopen"),
        (JobConfig(_client_job=True), "_client_job"),
        (ProgressReporter, "_print_config"),
    ],
)
def test_private_names_that_are_replaced_or_read_exist(owner, name):
    assert hasattr(owner, name)
