"""Folders as runs leave them, without the run."""

import json

from rllib_dreamerv3.reports.losses import LOSSES, MEMORY


def result(steps, value, *, seconds=None, evaluation=None, evaluated_at=None, config=None):
    """A result with everything that is looked at."""
    nested = {
        "num_env_steps_sampled_lifetime": steps,
        "num_grad_updates_lifetime": steps / 2,
        "time_total_s": steps / 10 if seconds is None else seconds,
        "env_runners": {
            "episode_return_mean": value,
            "episode_return_max": value + 1,
            "episode_return_min": value - 1,
            "episode_len_mean": 10.0,
        },
        "replay_buffer": {"num_records": steps, "num_episodes_stored": steps / 10},
        "config": {"env": "CartPole-v1", "model_size": "nano", "lr": None, **(config or {})},
    }
    for measure in (*LOSSES, *MEMORY):
        *path, name = measure.key.split("/")
        place = nested
        for key in path:
            place = place.setdefault(key, {})
        place[name] = 1.0
    if evaluation is not None:
        statistics = {
            "episode_return_mean": evaluation,
            "episode_duration_sec_mean": evaluated_at or steps,
        }
        nested["evaluation"] = {"env_runners": statistics}
    return nested


def write_run(directory, results, said=None):
    """Writes a trial's folder; ``said`` are its options."""
    directory.mkdir(parents=True)
    lines = "".join(json.dumps(each) + "\n" for each in results)
    (directory / "result.json").write_text(lines)
    (directory / "params.json").write_text(json.dumps(said or {}))
    return directory
