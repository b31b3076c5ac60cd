"""RLlib's own options that work here: a row for each, as in the table of DreamerV3's.

Every attribute of RLlib's ``AlgorithmConfig`` (Ray 2.60) that is not an option of DreamerV3 stands
once here or in :mod:`rllib_dreamerv3.options.rllibs_refused`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rllib_dreamerv3.options.option import option, options_of

# What users write where RLlib's attribute has another name.
_USERS_NAMES = {
    "framework_str": "framework",
    "callbacks_class": "callbacks",
    "_env_to_module_connector": "env_to_module_connector",
    "_is_atari": "is_atari",
    "_learner_class": "learner_class",
    "_learner_connector": "learner_connector",
    "_model_config": "model_config",
    "_module_to_env_connector": "module_to_env_connector",
    "_rl_module_spec": "rl_module_spec",
    "_train_batch_size_per_learner": "train_batch_size_per_learner",
}

RLLIBS_FORMER_NAMES = {
    "callbacks": "callbacks_class",
    "create_env_on_driver": "create_env_on_local_worker",
    "custom_eval_function": "custom_evaluation_function",
    "framework": "framework_str",
    "input": "input_",
    "lambda": "lambda_",
    "num_cpus_for_driver": "num_cpus_for_main_process",
    "num_workers": "num_env_runners",
}
"""Names in config dicts that RLlib translates -> the attribute."""


def users_name(attribute: str) -> str:
    """What a method of the config, or a file, calls an attribute of RLlib's config."""
    return _USERS_NAMES.get(attribute, attribute)


@dataclass(frozen=True, kw_only=True)
class RllibEnvironmentOptions:
    """The environment."""

    env: Any = option(None, "A name, a class, or a function that returns an environment.")
    env_config: dict[str, Any] = option({}, "Arguments of the environment.")
    render_env: bool = option(
        False,
        'Whether the first env runner creates its environments with render_mode "human", unless '
        "env_config sets another. Evaluation never does.",
    )
    observation_space: Any = option(
        None, "If set, the environment's space must equal it. None: not checked."
    )
    action_space: Any = option(
        None, "If set, the environment's space must equal it. None: not checked."
    )
    clip_rewards: float | None = option(
        None,
        "Clips the rewards that are learned from: to their sign (true) or to [-x, x] (a number "
        "x). Reported returns are not clipped. None clips nothing, also on Atari.",
        above=0,
        also=(True, False),
    )
    normalize_actions: bool = option(
        True,
        "Whether the policy's actions in [-1, 1] are scaled to the bounds of the action space. "
        "false passes them unchanged.",
    )
    clip_actions: bool = option(
        False,
        "Whether unscaled actions (normalize_actions: false) are clipped to the bounds of the "
        "action space. Scaled actions never leave them.",
    )
    action_mask_key: str = option("action_mask", "Key of the action mask in a Dict observation.")


@dataclass(frozen=True, kw_only=True)
class EnvRunnerOptions:
    """Env runners."""

    env_runner_cls: type = option(None, "A subclass of DreamerV3EnvRunner.")
    num_env_runners: int = option(
        0, "Number of env-runner processes; 0: the main process samples.", least=0
    )
    num_envs_per_env_runner: int = option(1, "Environments per env runner.", least=1)
    gym_env_vectorize_mode: Literal["sync", "async", "vector_entry_point"] = option(
        "sync",
        "How several environments are stepped: one after the other, or each in its own process.",
    )
    num_cpus_per_env_runner: float = option(
        1, "CPUs that each env runner requests from Ray.", least=0
    )
    num_gpus_per_env_runner: float = option(
        0, "GPUs that each env runner requests from Ray.", least=0
    )
    custom_resources_per_env_runner: dict[str, Any] = option({}, "Custom Ray resources.")
    rollout_fragment_length: int = option(
        1, "Steps per environment and call; auto means 1.", least=1, also=("auto",)
    )
    batch_mode: Literal["truncate_episodes", "complete_episodes"] = option(
        "truncate_episodes",
        "Whether a call returns fragments, or samples until as many episodes have ended as there "
        "are environments.",
    )
    sample_timeout_s: float | None = option(
        60.0, "Time without an answer after which an env runner is replaced.", above=0
    )
    validate_env_runners_after_construction: bool = option(
        True,
        "Whether an env runner that cannot be created ends the run at once; false continues with "
        "the others.",
    )
    create_env_on_local_worker: bool = option(
        False, "Whether the main process has an environment in addition to remote env runners."
    )
    max_requests_in_flight_per_env_runner: int = option(
        1,
        "Maximum number of unanswered calls per env runner with sampling: asynchronous, and per "
        "evaluation env runner with the duration auto.",
        least=1,
    )
    explore: bool = option(True, "False uses evaluation_action in training as well.")


@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """Learner and networks."""

    framework_str: Literal["tf2"] = option(
        "tf2",
        "DreamerV3 runs only on TensorFlow 2: leave .framework() out, and run RLlib's example "
        "scripts with --framework tf2.",
    )
    enable_rl_module_and_learner: Literal[True] = option(
        True, "DreamerV3 runs only on the new API stack: leave .api_stack() out."
    )
    enable_env_runner_and_connector_v2: Literal[True] = option(
        True, "DreamerV3 runs only on the new API stack: leave .api_stack() out."
    )
    num_learners: int = option(
        0,
        "Number of learner processes, each of which trains on its share of every batch; 0: the "
        "main process learns. batch_size_B must be divisible by it.",
        least=0,
    )
    num_gpus_per_learner: float = option(0, "GPUs per learner.", least=0)
    num_cpus_per_learner: float = option("auto", "CPUs per learner.", least=0, also=("auto",))
    custom_resources_per_learner: dict[str, Any] = option(
        {},
        "Custom Ray resources of learner processes. With num_learners: 0 set "
        "custom_resources_for_main_process.",
    )
    _learner_class: type | None = option(None, "A subclass of DreamerV3Learner.")
    learner_config_dict: dict[str, Any] = option({}, "Passed to your own learner class.")
    _rl_module_spec: Any = option(
        None, "An RLModuleSpec whose module_class is a subclass of DreamerV3RLModule."
    )
    _model_config: Any = option(
        {},
        "Passed to a subclass of DreamerV3RLModule. The networks of DreamerV3 are set by "
        ".training(), mainly model_size.",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationRunOptions:
    """Evaluation."""

    evaluation_interval: int | None = option(
        None, "Iterations between two evaluations; None: no evaluation.", least=0
    )
    evaluation_duration: int = option(10, "Length of an evaluation.", least=1, also=("auto",))
    evaluation_duration_unit: Literal["episodes", "timesteps"] = option(
        "episodes", "Unit of the duration."
    )
    evaluation_num_env_runners: int = option(
        0, "Number of evaluation env runners; 0: the main process evaluates.", least=0
    )
    evaluation_parallel_to_training: bool = option(
        False, "Whether training continues during an evaluation."
    )
    evaluation_config: Any = option(
        None, "A mapping or config of options that differ in evaluation."
    )
    evaluation_force_reset_envs_before_iteration: bool = option(
        True, "Whether each evaluation starts with a reset."
    )
    evaluation_sample_timeout_s: float | None = option(
        120.0,
        "Time after which an incomplete evaluation is used as it is. If no env runner has "
        "answered, the previous results are repeated.",
        least=0,
    )
    evaluation_auto_duration_min_env_steps_per_sample: int = option(
        100, "Minimum env steps per call with the duration auto.", least=1
    )
    evaluation_auto_duration_max_env_steps_per_sample: int = option(
        2000, "Maximum env steps per call with the duration auto.", least=1
    )
    evaluation_unhealthy_workers_timeout_s: float = option(
        0.0, "Time to wait while no env runner is healthy.", least=0
    )
    evaluation_error_after_n_consecutive_skips: int | None = option(
        None,
        "Number of consecutive evaluations without an env runner that ends the run. Until then "
        "the previous results are repeated.",
        least=1,
    )
    custom_evaluation_function: Callable | None = option(
        None,
        "Replaces the built-in evaluation. Called with the algorithm and the evaluation env "
        "runners; returns ({}, env_steps, agent_steps), and passes its results to "
        'algorithm.metrics.aggregate(..., key=("evaluation", "env_runners")).',
    )


@dataclass(frozen=True, kw_only=True)
class FaultOptions:
    """Fault tolerance of env runners."""

    restart_failed_env_runners: bool = option(True, "Whether lost env runners are restarted.")
    ignore_env_runner_failures: bool = option(
        False, "Whether to continue without lost env runners."
    )
    max_num_env_runner_restarts: int = option(
        1000, "Maximum restarts per process; -1: no limit.", least=-1
    )
    delay_between_env_runner_restarts_s: float = option(1.0, "Time between two restarts.", least=0)
    restart_failed_sub_environments: bool = option(
        False, "Whether environments that raise are recreated in their process."
    )
    num_consecutive_env_runner_failures_tolerance: int = option(
        10, "Consecutive failures that are tolerated.", least=0
    )
    env_runner_health_probe_timeout_s: float = option(
        30.0, "Timeout of the health probe of a lost evaluation env runner.", least=0
    )
    env_runner_restore_timeout_s: float = option(
        1800.0,
        "Timeout for sending weights to a restarted evaluation env runner.",
        least=0,
    )


@dataclass(frozen=True, kw_only=True)
class RllibRunOptions:
    """Results, seeds and resources of the run."""

    algo_class: Any = option(None, "DreamerV3, or a subclass.")
    seed: int | None = option(None, "Seed of networks, replay, noise and environments.", least=0)
    log_level: Literal["DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL"] = option(
        "WARN", "Minimum level of RLlib's log messages."
    )
    metrics_num_episodes_for_smoothing: int = option(
        20, "Number of recent episodes that mean returns are computed over.", least=1
    )
    min_time_s_per_iteration: float | None = option(
        10.0,
        "Minimum duration of an iteration. None or 0: one round of sampling, or the updates that "
        "are due after it.",
        least=0,
    )
    min_train_timesteps_per_iteration: int = option(
        0, "Minimum number of trained records per iteration.", least=0
    )
    min_sample_timesteps_per_iteration: int = option(
        0, "Minimum number of sampled env steps per iteration.", least=0
    )
    stats_cls_lookup: dict[str, Any] = option({}, "Additional kinds of metrics for callbacks.")
    num_cpus_for_main_process: float = option(1, "CPUs of the main process under Tune.", least=0)
    custom_resources_for_main_process: dict[str, Any] = option({}, "Custom Ray resources.")
    placement_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = option(
        "PACK", "How Tune places the processes on machines."
    )
    _validate_config: bool = option(True, "False skips RLlib's own checks.")


@dataclass(frozen=True, kw_only=True)
class CallbackOptions:
    """Callbacks."""

    callbacks_class: type = option(None, "A subclass of RLlibCallback, or a list of them.")
    callbacks_on_algorithm_init: Callable | None = option(None, "After setup.")
    callbacks_on_train_result: Callable | None = option(None, "On every result.")
    callbacks_on_evaluate_start: Callable | None = option(None, "Before an evaluation.")
    callbacks_on_evaluate_end: Callable | None = option(None, "After an evaluation.")
    callbacks_on_env_runners_recreated: Callable | None = option(
        None, "After lost env runners were recreated."
    )
    callbacks_on_checkpoint_loaded: Callable | None = option(
        None, "After Tune restored a checkpoint."
    )
    callbacks_on_environment_created: Callable | None = option(
        None, "After an env runner created its environments."
    )
    callbacks_on_episode_created: Callable | None = option(None, "Before a reset.")
    callbacks_on_episode_start: Callable | None = option(None, "After a reset.")
    callbacks_on_episode_step: Callable | None = option(None, "After a step.")
    callbacks_on_episode_end: Callable | None = option(None, "After the last step.")
    callbacks_on_sample_end: Callable | None = option(
        None, "After a call of sample(), with record chunks instead of episodes."
    )


@dataclass(frozen=True, kw_only=True)
class RllibDataOptions:
    """Recorded data."""

    input_: Any = option(
        "sampler",
        "Path of recorded episodes, or several: RLlib's Parquet files, a Minari dataset (also "
        '"minari:ID"), a run or checkpoint of DreamerV3, or NPZ files. "sampler": none.',
    )
    output: str | None = option(
        None, "Directory to which the sampled episodes are recorded, as RLlib's Parquet files."
    )
    output_max_rows_per_file: int | None = option(
        None,
        "Episodes after which a file is written. None: after a minute. A file is also written at "
        "64 MiB.",
        least=1,
        unit="episodes",
    )


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Set by RLlib itself."""

    in_evaluation: bool = option(False, "Whether this is the config of an evaluation.")
    simple_optimizer: Any = option(-1, "Whether policies of the old API stack have one optimizer.")
    _is_frozen: bool = option(False, "Whether the config is frozen.")


RLLIB_GROUPS = (
    RllibEnvironmentOptions,
    EnvRunnerOptions,
    LearnerOptions,
    EvaluationRunOptions,
    FaultOptions,
    RllibRunOptions,
    CallbackOptions,
    RllibDataOptions,
    Notes,
)

SUPPORTED = options_of(*RLLIB_GROUPS)
"""Attribute -> row, of those that work."""
