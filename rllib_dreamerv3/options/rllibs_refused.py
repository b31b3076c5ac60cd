"""RLlib's own options that do not work here, in groups with a common message.

``REFUSED``: unsupported options; values other than RLlib's default, or ours, raise an error that
says what to do instead. ``IDLE``: options without effect; logged once. All others are in
:mod:`rllib_dreamerv3.options.rllibs`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Attributes with a common message.

    Attributes:
        sentence: What to do instead, or why they have no effect.
        attributes: Names in RLlib's config.
    """

    sentence: str
    attributes: tuple[str, ...]


def _names(sentence: str, attributes: str) -> Names:
    return Names(sentence, tuple(attributes.split()))


REFUSED_GROUPS = (
    _names(
        "set batch_size_B and batch_length_T instead.",
        "train_batch_size _train_batch_size_per_learner replay_batch_size replay_sequence_length",
    ),
    _names(
        "each batch is sampled from replay for one update; training_ratio sets the number of "
        "updates.",
        "num_epochs minibatch_size shuffle_batch_per_epoch",
    ),
    _names(
        "set world_model_grad_clip_by_global_norm, actor_grad_clip_by_global_norm and "
        "critic_grad_clip_by_global_norm with Adam, or adaptive_grad_clip with LaProp.",
        "grad_clip grad_clip_by",
    ),
    _names("set optimizer_type and the learning rates of .training() instead.", "optimizer"),
    _names("every result reports the norms of all gradients.", "log_gradients"),
    _names("set model_size and the other options of .training() instead.", "model"),
    _names(
        "batches come from replay ready for the update, which needs no aggregators. Leave it out.",
        "num_aggregator_actors_per_learner",
    ),
    _names("set num_gpus_per_learner and num_gpus_per_env_runner instead.", "num_gpus _fake_gpus"),
    _names("choose a GPU with the environment variable CUDA_VISIBLE_DEVICES.", "local_gpu_idx"),
    _names(
        "DreamerV3 uses no connectors. Wrap the environment with gymnasium.wrappers instead.",
        "_env_to_module_connector _module_to_env_connector _learner_connector",
    ),
    _names(
        "vectors pass through symlog (symlog_obs); images are scaled and resized (image_size). "
        "For anything else wrap the environment with gymnasium.wrappers.",
        "observation_filter preprocessor_pref",
    ),
    _names(
        "replay stores images uncompressed; to store them on disk set replay_buffer_config: "
        '{"storage": "disk"}, and capacity_bytes for a limit.',
        "compress_observations",
    ),
    _names(
        "environments with ale_py ids get the papers' preprocessing, with options in env_config; "
        "environments registered with tune.register_env() are not preprocessed.",
        "_is_atari",
    ),
    _names(
        'set gym_env_vectorize_mode: "async" to run each environment in its own process.',
        "remote_worker_envs remote_env_batch_wait_ms",
    ),
    _names(
        "env runners have no state except their weights, which come from the learner; the main "
        "process always has a local env runner.",
        "create_local_env_runner use_env_runner_state_server",
    ),
    _names(
        "the actor's distribution, entropy_scale and use_curiosity determine exploration.",
        "exploration_config _prior_exploration_config",
    ),
    _names(
        "DreamerV3 trains a single agent; remove the multi_agent settings.",
        "policies policy_mapping_fn policies_to_train policy_map_capacity "
        "policy_states_are_swappable observation_fn count_steps_by "
        "algorithm_config_overrides_per_module _per_module_overrides",
    ),
    _names(
        "recorded data is read once, into replay: input_ names it, and its format follows from "
        "the files.",
        "offline_data_class input_read_method input_read_method_kwargs input_read_schema "
        "input_read_episodes input_read_sample_batches input_read_batch_size input_filesystem "
        "input_filesystem_kwargs input_compress_columns input_spaces_jsonable materialize_data "
        "materialize_mapped_data map_batches_kwargs iter_batches_kwargs ignore_final_observation "
        "prelearner_class prelearner_buffer_class prelearner_buffer_kwargs "
        "prelearner_module_synch_period prelearner_use_recorded_module_states "
        "dataset_num_iters_per_learner input_config actions_in_input_normalized "
        "postprocess_inputs shuffle_buffer_size offline_sampling _is_online fake_sampler",
    ),
    _names(
        "output records complete episodes, uncompressed, in Parquet files of a directory.",
        "output_config output_compress_columns output_max_file_size output_write_remaining_data "
        "output_write_method output_write_method_kwargs output_filesystem "
        "output_filesystem_kwargs output_write_episodes",
    ),
    _names(
        "evaluation on recorded data is not supported; evaluate in an environment with "
        "evaluation_interval.",
        "off_policy_estimation_methods ope_split_batch_by_episode offline_evaluation_interval "
        "num_offline_eval_runners offline_evaluation_type offline_eval_runner_class "
        "offline_loss_for_module_fn offline_evaluation_duration "
        "offline_evaluation_parallel_to_training offline_evaluation_timeout_s "
        "num_cpus_per_offline_eval_runner num_gpus_per_offline_eval_runner "
        "custom_resources_per_offline_eval_runner restart_failed_offline_eval_runners "
        "ignore_offline_eval_runner_failures max_num_offline_eval_runner_restarts "
        "offline_eval_runner_restore_timeout_s max_requests_in_flight_per_offline_eval_runner "
        "validate_offline_eval_runners_after_construction "
        "offline_eval_runner_health_probe_timeout_s offline_eval_rl_module_inference_only "
        "broadcast_offline_eval_runner_states offline_eval_batch_size_per_runner "
        "dataset_num_iters_per_eval_runner callbacks_on_offline_eval_runners_recreated "
        "callbacks_on_evaluate_offline_start callbacks_on_evaluate_offline_end",
    ),
    _names(
        "log them with metrics_logger.log_value() in a callback.", "keep_per_episode_custom_metrics"
    ),
    _names(
        "networks are saved as plain files (safetensors) in every checkpoint.",
        "export_native_model_files checkpoint_trainable_policies_only _use_msgpack_checkpoints",
    ),
    _names(
        'pass variables to Ray\'s processes with ray.init(runtime_env={"env_vars": {...}}).',
        "extra_python_environs_for_driver extra_python_environs_for_worker",
    ),
    _names(
        "the update is always compiled, and TensorFlow 2 has no sessions. Call "
        "tf.config.set_visible_devices() and the like before the algorithm is built.",
        "eager_tracing eager_max_retraces tf_session_args local_tf_session_args "
        "enable_tf1_exec_eagerly",
    ),
    _names(
        "DreamerV3 runs only on TensorFlow 2; compute_dtype sets its precision.",
        "torch_compile_learner torch_compile_learner_what_to_compile "
        "torch_compile_learner_dynamo_backend torch_compile_learner_dynamo_mode "
        "torch_compile_worker torch_compile_worker_dynamo_backend "
        "torch_compile_worker_dynamo_mode torch_ddp_kwargs torch_skip_nan_gradients "
        "_torch_grad_scaler_class _torch_lr_scheduler_classes",
    ),
    _names(
        "it belongs to RLlib's old API stack. Leave it out.",
        "sample_collector update_worker_filter_stats use_worker_filter_stats "
        "sampler_perf_stats_ema_coef sync_filters_on_rollout_workers_timeout_s "
        "_tf_policy_handles_more_than_one_loss _disable_preprocessor_api "
        "_disable_action_flattening _disable_initialize_loss_from_dummy_batch",
    ),
    _names(
        "set capacity, capacity_bytes, storage and sampling in replay_buffer_config instead.",
        "buffer_size prioritized_replay replay_mode prioritized_replay_alpha "
        "prioritized_replay_beta prioritized_replay_eps",
    ),
    _names("set num_steps_sampled_before_learning_starts instead.", "learning_starts"),
    _names(
        "RLlib has removed it. RLlib's documentation names the replacement; leave it out.",
        "env_task_fn enable_connectors monitor evaluation_num_episodes "
        "metrics_smoothing_episodes timesteps_per_iteration min_iter_time_s "
        "collect_metrics_timeout min_time_s_per_reporting min_train_timesteps_per_reporting "
        "min_sample_timesteps_per_reporting input_evaluation policy_map_cache worker_cls "
        "synchronize_filters enable_async_evaluation custom_async_evaluation_function "
        "_enable_rl_module_api auto_wrap_old_gym_envs always_attach_evaluation_results "
        "_disable_execution_plan_api",
    ),
)

IDLE_GROUPS = (
    _names(
        "DreamerV3 has no connector pipelines.",
        "add_default_connectors_to_env_to_module_pipeline "
        "add_default_connectors_to_module_to_env_pipeline "
        "add_default_connectors_to_learner_pipeline",
    ),
    _names(
        "env runners return records, not episodes.",
        "episodes_to_numpy episode_lookback_horizon metrics_episode_collection_timeout_s",
    ),
    _names(
        "env runners have no state except their weights.",
        "merge_env_runner_states broadcast_env_runner_states "
        "env_runner_state_server_max_concurrency _dont_auto_sync_env_runner_states",
    ),
    _names(
        "learners process one update at a time.",
        "max_requests_in_flight_per_learner max_requests_in_flight_per_aggregator_actor",
    ),
    _names(
        "RLlib does not use it for a single agent.",
        "disable_env_checking log_sys_usage",
    ),
)


def _by_attribute(groups: tuple[Names, ...]) -> dict[str, str]:
    return {name: group.sentence for group in groups for name in group.attributes}


REFUSED = _by_attribute(REFUSED_GROUPS)
"""Attribute -> what to do instead."""

IDLE = _by_attribute(IDLE_GROUPS)
"""Attribute -> why it has no effect."""
