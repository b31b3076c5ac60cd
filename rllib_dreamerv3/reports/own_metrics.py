"""Metrics of users: those of their callbacks, and numbers of ``info``."""

import re

from rllib_dreamerv3.reports.history import History
from rllib_dreamerv3.reports.losses import Measure

_GROUP = re.compile(r"(evaluation/)?env_runners/(.+)")
# First parts of all other keys that RLlib, Tune and this package report. A callback's
# ``on_train_result`` adds others.
_NOT_OWN_GROUPS = {
    *("actual_training_ratio", "env_runner_group", "env_runners", "evaluation", "fault_tolerance"),
    *("learner_compute_dtype", "learner_device", "product_gflop_per_s"),
    *("learners", "machines", "perf", "replay_buffer", "reports", "timers"),
    *("num_env_steps_sampled_lifetime", "num_env_steps_trained_lifetime"),
    *("num_grad_updates_lifetime", "num_learner_rebuilds", "num_rewinds", "num_updates_ignored"),
    *("num_training_step_calls_per_iteration", "num_updates_pending"),
    *("date", "done", "hostname", "iterations_since_restore", "node_ip", "pid"),
    *("should_checkpoint", "time_since_restore", "time_this_iter_s", "time_total_s"),
    *("timestamp", "training_iteration", "trial_id"),
}
_INFO = re.compile(r"info/(.+)/(last|sum)_mean")
_NOT_OWN = re.compile(
    r"episode_(return|len)_(mean|min|max|last)"
    r"|episode_duration_sec_mean"
    r"|(agent|module)_(episode_return_mean|steps)\b.*"
    r"|num_(agent|module|env)_steps_sampled.*|num_episodes.*"
    r"|num_(env_step_failures|env_runners_replaced|observations_outside)_lifetime"
    r"|num_try_env_step.*|num_records_in_flight|weights_(seq_no|age_max)"
    r"|sample|(env_reset|env_step)_timer|time_between_sampling"
)
_CALLBACKS = "Reported by a callback."
_SENTENCES = {
    "last": "From info: the last value of an episode, averaged over episodes.",
    "sum": "From info: the sum over an episode, averaged over episodes.",
}


def own_metrics(history: History) -> list[Measure]:
    """Return the user's own metrics of a run, by name.

    Numbers of ``info`` that never change are left out: environments have many of them.
    """
    found = []
    for key in sorted(history.names()):
        if key.partition("/")[0] not in _NOT_OWN_GROUPS:
            found.append(Measure(key, key, _CALLBACKS))
            continue
        group = _GROUP.fullmatch(key)
        if not group or _NOT_OWN.fullmatch(group[2]):
            continue
        title, sentence = group[2], _CALLBACKS
        if info := _INFO.fullmatch(title):
            if len(set(history.values(key))) == 1:
                continue
            title, sentence = info[1], _SENTENCES[info[2]]
        found.append(Measure(key, f"{title}, evaluation" if group[1] else title, sentence))
    return found
