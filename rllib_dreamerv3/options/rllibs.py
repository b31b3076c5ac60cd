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


def users_name(attribute: str) -> str:
    """What a method of the config, or a file, calls an attribute of RLlib's config."""
    return _USERS_NAMES.get(attribute, attribute)


@dataclass(frozen=True, kw_only=True)
class EnvironmentOptions:
    """The environment."""

    env: Any = option(None, "A name, a class or a function that makes one.")
    env_config: dict[str, Any] = option({}, "What the environment is made with.")
    render_env: bool = option(
        False,
        'Whether the first env runner makes its environments with render_mode "human", where '
        "env_config does not say otherwise; evaluation's never do.",
    )
    observation_space: Any = option(
        None, "If it is given, the environment's has to equal it; None for whatever it is."
    )
    action_space: Any = option(
        None, "If it is given, the environment's has to equal it; None for whatever it is."
    )
    clip_rewards: float | None = option(
        None,
        "What is learned from: the sign of rewards (true), or rewards clipped to [-x, x] (a "
        "number x). Returns that are reported are of rewards as they came. None clips nothing, "
        "on Atari neither.",
        above=0,
        also=(True, False),
    )
    normalize_actions: bool = option(
        True,
        "Whether the policy's numbers in [-1, 1] are scaled to the bounds of the environment; "
        "false hands them over as they are.",
    )
    clip_actions: bool = option(
        False,
        "Whether numbers that are not scaled (normalize_actions: false) are clipped to the bounds "
        "of the environment; scaled ones never leave them.",
    )
    action_mask_key: str = option(
        "action_mask", "Key of the action mask in observations that are a Dict."
    )


@dataclass(frozen=True, kw_only=True)
class EnvRunnerOptions:
    """Env runners."""

    env_runner_cls: type = option(None, "A subclass of DreamerV3EnvRunner.")
    num_env_runners: int = option(
        0, "Processes that sample; 0 for sampling in the main process.", least=0
    )
    num_envs_per_env_runner: int = option(1, "Environments of each.", least=1)
    gym_env_vectorize_mode: Literal["sync", "async", "vector_entry_point"] = option(
        "sync", "How several environments are stepped: in turn, or each in a process."
    )
    num_cpus_per_env_runner: float = option(1, "CPUs that each asks Ray for.", least=0)
    num_gpus_per_env_runner: float = option(0, "GPUs that each asks Ray for.", least=0)
    custom_resources_per_env_runner: dict[str, Any] = option({}, "Ray's other resources.")
    rollout_fragment_length: int = option(
        1, "Steps of each environment in one call; auto means 1.", least=1, also=("auto",)
    )
    batch_mode: Literal["truncate_episodes", "complete_episodes"] = option(
        "truncate_episodes",
        "Whether one call samples fragments, or until as many episodes have ended as there are "
        "environments.",
    )
    sample_timeout_s: float | None = option(
        60.0, "After this time without an answer an env runner is replaced.", above=0
    )
    validate_env_runners_after_construction: bool = option(
        True,
        "Whether one that cannot be made ends the run at once; false goes on with the others.",
    )
    create_env_on_local_worker: bool = option(
        False, "Whether the main process has an environment beside remote env runners too."
    )
    max_requests_in_flight_per_env_runner: int = option(
        1,
        "Most calls that one env runner has not answered yet, with sampling: asynchronous; and one "
        "of evaluation's, with the duration auto.",
        least=1,
    )
    explore: bool = option(True, "False for evaluation_action in training as well.")


@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """Learner and networks."""

    framework_str: Literal["tf2"] = option(
        "tf2",
        "DreamerV3 runs on TensorFlow 2 alone; leave .framework() out, and give scripts with the "
        "options of RLlib's examples --framework tf2.",
    )
    enable_rl_module_and_learner: Literal[True] = option(
        True, "DreamerV3 runs on the new API stack alone; leave .api_stack() out."
    )
    enable_env_runner_and_connector_v2: Literal[True] = option(
        True, "DreamerV3 runs on the new API stack alone; leave .api_stack() out."
    )
    num_learners: int = option(
        0,
        "Processes that learn, each from its part of every batch; 0 for learning in the main "
        "process. They divide batch_size_B.",
        least=0,
    )
    num_gpus_per_learner: float = option(0, "GPUs of each learner.", least=0)
    num_cpus_per_learner: float = option("auto", "CPUs of each learner.", least=0, also=("auto",))
    custom_resources_per_learner: dict[str, Any] = option(
        {},
        "Ray's other resources, for learners in processes of their own. With num_learners: 0 set "
        "custom_resources_for_main_process.",
    )
    _learner_class: type | None = option(None, "A subclass of DreamerV3Learner.")
    learner_config_dict: dict[str, Any] = option({}, "For a learner class of your own.")
    _rl_module_spec: Any = option(
        None, "An RLModuleSpec whose module_class is a subclass of DreamerV3RLModule."
    )
    _model_config: Any = option(
        {},
        "For a subclass of DreamerV3RLModule. The networks of DreamerV3 follow from .training(), "
        "with model_size before all.",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationRunOptions:
    """Evaluation."""

    evaluation_interval: int | None = option(
        None, "Iterations from one evaluation to the next; None for none.", least=0
    )
    evaluation_duration: int = option(10, "How much to evaluate.", least=1, also=("auto",))
    evaluation_duration_unit: Literal["episodes", "timesteps"] = option(
        "episodes", "What the duration counts."
    )
    evaluation_num_env_runners: int = option(
        0, "Processes that evaluate; 0 for the main process.", least=0
    )
    evaluation_parallel_to_training: bool = option(False, "Whether training goes on meanwhile.")
    evaluation_config: Any = option(
        None, "A mapping or a config of options that are others in evaluation."
    )
    evaluation_force_reset_envs_before_iteration: bool = option(
        True, "Whether each evaluation begins with a reset."
    )
    evaluation_sample_timeout_s: float | None = option(
        120.0,
        "Time after which an evaluation is taken as it is; results repeat the last ones where no "
        "env runner has answered.",
        least=0,
    )
    evaluation_auto_duration_min_env_steps_per_sample: int = option(
        100, "Fewest env steps of one call with the duration auto.", least=1
    )
    evaluation_auto_duration_max_env_steps_per_sample: int = option(
        2000, "Most env steps of one call with the duration auto.", least=1
    )
    evaluation_unhealthy_workers_timeout_s: float = option(
        0.0, "Time to wait for env runners while none is well.", least=0
    )
    evaluation_error_after_n_consecutive_skips: int | None = option(
        None,
        "Evaluations without an env runner, in a row, that end the run; until then results repeat "
        "the last ones.",
        least=1,
    )
    custom_evaluation_function: Callable | None = option(
        None,
        "Called with the algorithm and evaluation's env runners in place of all this; results are "
        'what it gives to algorithm.metrics.aggregate(..., key=("evaluation", "env_runners")).',
    )


@dataclass(frozen=True, kw_only=True)
class FaultOptions:
    """What happens when an env runner fails."""

    restart_failed_env_runners: bool = option(True, "Whether lost processes are started again.")
    ignore_env_runner_failures: bool = option(
        False, "Whether to go on without those that are lost."
    )
    max_num_env_runner_restarts: int = option(
        1000, "Restarts of each process; -1 for no limit.", least=-1
    )
    delay_between_env_runner_restarts_s: float = option(
        1.0, "Time from one attempt to the next.", least=0
    )
    restart_failed_sub_environments: bool = option(
        False, "Whether environments that raise are made anew in their process."
    )
    num_consecutive_env_runner_failures_tolerance: int = option(
        10, "Failures in a row that do not end the run.", least=0
    )
    env_runner_health_probe_timeout_s: float = option(
        30.0, "Time in which a lost env runner of evaluation has to answer.", least=0
    )
    env_runner_restore_timeout_s: float = option(
        1800.0,
        "Time in which an env runner of evaluation that is back has to take weights.",
        least=0,
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Results, seeds and resources of the run."""

    algo_class: Any = option(None, "DreamerV3, or a subclass.")
    seed: int | None = option(None, "Of networks, replay, noise and environments.", least=0)
    log_level: Literal["DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL"] = option(
        "WARN", "Least level of RLlib's messages that are shown."
    )
    metrics_num_episodes_for_smoothing: int = option(
        20, "Episodes that mean returns are of.", least=1
    )
    min_time_s_per_iteration: float | None = option(
        10.0,
        "Shortest iteration; None or 0 for one round of sampling, or of the updates it asks for.",
        least=0,
    )
    min_train_timesteps_per_iteration: int = option(
        0, "Fewest trained records of an iteration.", least=0
    )
    min_sample_timesteps_per_iteration: int = option(
        0, "Fewest sampled env steps of an iteration.", least=0
    )
    stats_cls_lookup: dict[str, Any] = option({}, "Kinds of metrics that callbacks may log.")
    num_cpus_for_main_process: float = option(1, "CPUs of the main process in Tune.", least=0)
    custom_resources_for_main_process: dict[str, Any] = option({}, "Ray's other resources.")
    placement_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = option(
        "PACK", "How Tune spreads the processes over machines."
    )
    _validate_config: bool = option(True, "False leaves out RLlib's own checks.")


@dataclass(frozen=True, kw_only=True)
class CallbackOptions:
    """Callbacks."""

    callbacks_class: type = option(None, "A subclass of RLlibCallback, or a list of such.")
    callbacks_on_algorithm_init: Callable | None = option(None, "After setup.")
    callbacks_on_train_result: Callable | None = option(None, "With every result.")
    callbacks_on_evaluate_start: Callable | None = option(None, "Before an evaluation.")
    callbacks_on_evaluate_end: Callable | None = option(None, "After an evaluation.")
    callbacks_on_env_runners_recreated: Callable | None = option(
        None, "When lost env runners are back."
    )
    callbacks_on_checkpoint_loaded: Callable | None = option(
        None, "When Tune has restored a checkpoint."
    )
    callbacks_on_environment_created: Callable | None = option(
        None, "When an env runner has made its environments."
    )
    callbacks_on_episode_created: Callable | None = option(None, "Before a reset.")
    callbacks_on_episode_start: Callable | None = option(None, "After a reset.")
    callbacks_on_episode_step: Callable | None = option(None, "After a step.")
    callbacks_on_episode_end: Callable | None = option(None, "After the last step.")
    callbacks_on_sample_end: Callable | None = option(
        None, "After a call of sample(), with record chunks in place of episodes."
    )


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What RLlib itself notes in a config."""

    in_evaluation: bool = option(False, "Whether it is the config of an evaluation.")
    simple_optimizer: Any = option(-1, "Whether an old kind of policy has one optimizer.")
    _is_frozen: bool = option(False, "Whether it can no longer be changed.")


RLLIB_GROUPS = (
    EnvironmentOptions,
    EnvRunnerOptions,
    LearnerOptions,
    EvaluationRunOptions,
    FaultOptions,
    RunOptions,
    CallbackOptions,
    Notes,
)

HONOURED = options_of(*RLLIB_GROUPS)
"""Attribute -> row, of those that work."""
