"""Finds what an environment's ``info`` and the user's callbacks have reported."""

from collections.abc import Iterable, Iterator

from rllib_dreamerv3.reports.losses import Measure


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Groups of results, and results without a group, that RLlib, Tune and this package report.
_GROUPS = _names(
    "learners replay_buffer timers fault_tolerance env_runner_group perf reports machines "
    "config connector_pipeline_timers"
)
_RESULTS = _names(
    "num_env_steps_sampled_lifetime num_grad_updates_lifetime actual_training_ratio "
    "num_training_step_calls_per_iteration num_updates_ignored num_rewinds num_learner_rebuilds "
    "learner_device done training_iteration timestamp time_this_iter_s time_total_s pid "
    "time_since_restore iterations_since_restore should_checkpoint trial_id date hostname "
    "node_ip experiment_tag"
)
# Of env runners, in training and in evaluation.
_ENV_RUNNERS = _names(
    "sample weights_seq_no env_reset_timer env_step_timer time_between_sampling num_episodes "
    "num_episodes_lifetime num_env_steps_sampled num_env_steps_sampled_lifetime "
    "num_env_steps_sampled_lifetime_throughput num_agent_steps_sampled num_module_steps_sampled "
    "num_agent_steps_sampled_lifetime num_module_steps_sampled_lifetime episode_return_mean "
    "episode_return_min episode_return_max episode_return_last episode_len_mean episode_len_min "
    "episode_len_max episode_duration_sec_mean agent_episode_return_mean "
    "module_episode_return_mean num_env_runners_replaced_lifetime num_records_in_flight "
    "weights_age_max num_observations_outside_lifetime rlmodule_inference_timer "
    "env_to_module_connector module_to_env_connector agent_steps"
)
_INFO = {
    "last_mean": "Of info: mean over recent episodes of the last value in the episode.",
    "sum_mean": "Of info: mean over recent episodes of the sum over the episode.",
}
_TRAINING, _EVALUATION = "env_runners/", "evaluation/env_runners/"


def own_metrics(names: Iterable[str]) -> Iterator[Measure]:
    """Yields the user's metrics among the names of results, in alphabetical order."""
    for key in sorted(names):
        name = key.removeprefix(_EVALUATION if key.startswith(_EVALUATION) else _TRAINING)
        group, _, rest = name.partition("/")
        if name == key:
            standard = group in _GROUPS if rest else name in _RESULTS
            # Evaluation has results beside those of its env runners.
            standard = standard or group == "evaluation"
        else:
            standard = group in _ENV_RUNNERS
        if standard:
            continue
        where = ", evaluation" if key.startswith(_EVALUATION) else ""
        inner, _, how = rest.rpartition("/")
        if group == "info" and how in _INFO:
            what = "last" if how == "last_mean" else "sum"
            yield Measure(key, f"{inner}, {what}{where}", _INFO[how], "value")
        else:
            yield Measure(key, f"{name}{where}", "Logged by a callback.", "value")
