"""Where it is tested what each of RLlib's own options changes: a row for each that works here."""

import ast
import functools
from pathlib import Path

import pytest
from tiny import tiny_config

from rllib_dreamerv3.options.rllibs import HONOURED

TESTS = Path(__file__).parents[1]

# Test -> the options whose effect it shows. A choice of one is shown by what refuses all others.
TESTS_OF_EFFECTS = {
    "options/test_rllibs.py": {
        "test_spaces_that_the_environment_does_not_have_are_refused": (
            "observation_space action_space"
        ),
        "test_training_sees_clipped_rewards_and_results_report_those_that_came": "clip_rewards",
        "test_actions_that_are_not_normalized_reach_the_environment_unscaled": "normalize_actions",
        "test_actions_that_are_clipped_only_reach_the_bounds": "clip_actions",
        "test_action_mask_has_the_name_that_the_config_gives_it": "action_mask_key",
        "test_subclasses_of_ours_are_taken": "_rl_module_spec _model_config",
        "test_classes_that_are_not_ours_are_refused": (
            "framework_str enable_rl_module_and_learner"
        ),
        "test_honoured_option_says_what_it_may_be": "enable_env_runner_and_connector_v2",
        "test_configs_that_were_validated_copied_or_made_from_others_pass": "simple_optimizer",
    },
    "options/test_effects_of_rllibs_options.py": {
        "test_a_frozen_config_cannot_be_changed": "_is_frozen",
    },
    "plugin/test_env_runner_options.py": {
        "test_the_environment_is_made_by_what_it_is_named": "env",
        "test_env_config_reaches_each_environment": "env_config",
        "test_the_first_env_runner_of_training_shows_its_environments": "render_env in_evaluation",
        "test_environments_are_stepped_in_turn_or_in_processes": "gym_env_vectorize_mode",
        "test_one_call_samples_a_fragment_of_each_environment": (
            "num_envs_per_env_runner rollout_fragment_length"
        ),
        "test_one_call_samples_until_episodes_have_ended_and_the_next_goes_on": "batch_mode",
        "test_without_exploration_the_action_of_evaluation_is_taken": "explore",
        "test_the_seed_decides_environments_networks_and_noise": "seed",
        "test_callbacks_of_env_runners_are_called_in_time_with_what_rllib_documents": (
            "callbacks_on_environment_created callbacks_on_episode_created "
            "callbacks_on_episode_start callbacks_on_episode_step callbacks_on_episode_end "
            "callbacks_on_sample_end"
        ),
        "test_a_list_of_callback_classes_is_called_one_after_the_other": "callbacks_class",
    },
    "integration/test_environments_of_ones_own.py": {
        "test_one_of_several_env_runners_that_cannot_be_made": (
            "validate_env_runners_after_construction"
        ),
    },
    "integration/test_learners.py": {
        "test_two_learners_are_one_learner_with_all_rows": "num_learners",
    },
    "plugin/test_resource_request.py": {
        "test_each_process_asks_for_what_its_options_say": (
            "num_cpus_for_main_process custom_resources_for_main_process num_cpus_per_learner "
            "custom_resources_per_learner "
            "num_gpus_per_learner num_cpus_per_env_runner num_gpus_per_env_runner "
            "custom_resources_per_env_runner evaluation_num_env_runners"
        ),
        "test_processes_are_placed_as_told": "placement_strategy",
    },
    "integration/test_algorithm.py": {
        "test_ratio_is_kept_with_parallel_environments": "num_env_runners",
        "test_users_episode_callbacks_see_whole_episodes": "metrics_num_episodes_for_smoothing",
    },
    "integration/test_public_methods.py": {
        "test_evaluates_on_the_local_env_runner_too": "create_env_on_local_worker",
    },
    "integration/test_run_options.py": {
        "test_classes_of_ones_own_are_made": (
            "algo_class env_runner_cls _learner_class learner_config_dict"
        ),
        "test_messages_below_the_level_are_not_shown": "log_level",
        "test_results_have_what_callbacks_add_and_kinds_of_metrics_of_ones_own": (
            "callbacks_on_train_result stats_cls_lookup"
        ),
        "test_callbacks_of_the_algorithm_are_called_in_time": (
            "callbacks_on_algorithm_init callbacks_on_checkpoint_loaded"
        ),
        "test_iterations_last_so_long": "min_time_s_per_iteration",
        "test_iterations_train_and_sample_so_much": (
            "min_train_timesteps_per_iteration min_sample_timesteps_per_iteration"
        ),
        "test_rllibs_own_checks_can_be_left_out_but_not_ours": "_validate_config",
    },
    "integration/test_evaluation_options.py": {
        "test_each_second_iteration_evaluates_with_callbacks_around_it": (
            "evaluation_interval callbacks_on_evaluate_start callbacks_on_evaluate_end"
        ),
        "test_evaluation_has_options_of_its_own": "evaluation_config",
        "test_the_duration_is_counted_in_its_unit": (
            "evaluation_duration evaluation_duration_unit"
        ),
        "test_evaluation_begins_with_a_reset_or_goes_on": (
            "evaluation_force_reset_envs_before_iteration"
        ),
        "test_automatic_durations_are_as_long_as_training_in_calls_between_limits": (
            "evaluation_auto_duration_min_env_steps_per_sample "
            "evaluation_auto_duration_max_env_steps_per_sample"
        ),
        "test_training_goes_on_meanwhile_or_waits": "evaluation_parallel_to_training",
        "test_a_slow_evaluation_is_taken_as_it_is_after_a_time": "evaluation_sample_timeout_s",
        "test_a_function_of_ones_own_evaluates": "custom_evaluation_function",
        "test_a_lost_env_runner_is_waited_for_if_told_so": "evaluation_unhealthy_workers_timeout_s",
        "test_evaluations_without_an_env_runner_end_the_run_if_told_so": (
            "evaluation_error_after_n_consecutive_skips"
        ),
        "test_a_lost_env_runner_has_a_time_to_answer_in": "env_runner_health_probe_timeout_s",
        "test_an_env_runner_that_is_back_has_a_time_to_take_weights_in": (
            "env_runner_restore_timeout_s"
        ),
        "test_calls_that_wait_at_an_env_runner_are_limited": (
            "max_requests_in_flight_per_env_runner"
        ),
    },
    "integration/test_fault_options.py": {
        "test_failures_are_ignored_and_the_others_go_on": "ignore_env_runner_failures",
        "test_processes_fail_after_a_delay_and_are_restarted_so_often": (
            "delay_between_env_runner_restarts_s max_num_env_runner_restarts"
        ),
    },
    "integration/test_lost_env_runners.py": {
        "test_a_lost_env_runner_is_replaced_while_the_other_goes_on": "sample_timeout_s",
        "test_an_env_runner_that_died_between_two_calls_is_noticed_and_gets_its_weights": (
            "callbacks_on_env_runners_recreated"
        ),
        "test_a_process_that_fails_each_time_ends_the_run_with_its_words": (
            "num_consecutive_env_runner_failures_tolerance"
        ),
        "test_without_restarts_the_first_failure_ends_the_run_with_its_words": (
            "restart_failed_env_runners"
        ),
        "test_a_failure_in_each_episode_ends_the_run_and_a_rare_one_does_not": (
            "restart_failed_sub_environments"
        ),
    },
}

EFFECTS = [
    (option, file, test)
    for file, tests in TESTS_OF_EFFECTS.items()
    for test, options in tests.items()
    for option in options.split()
]


def test_each_option_that_works_has_a_test_of_its_effect():
    assert sorted(option for option, _, _ in EFFECTS) == sorted(HONOURED)


@functools.cache
def names_of_tests(file):
    """Names of the test functions of a module."""
    module = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {part.name for part in module.body if isinstance(part, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "test"), sorted({effect[1:] for effect in EFFECTS}))
def test_the_test_of_an_effect_is_there(file, test):
    assert test in names_of_tests(file)


def test_a_frozen_config_cannot_be_changed():
    config = tiny_config()
    config.training(horizon_H=3)
    config.freeze()
    with pytest.raises(AttributeError, match="frozen"):
        config.training(horizon_H=4)
    assert config.horizon_H == 3
    config.copy(copy_frozen=False).training(horizon_H=4)
