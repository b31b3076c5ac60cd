"""Curves of training episodes as kept on disk, and their options, without the run."""

import csv
import json

# The protocol of Finger Spin from states, but for the size and its MLPs.
OPTIONS = {
    "env": "dm_control/finger-spin-v0",
    "env_config": {"action_repeat": 2},
    "metrics_num_episodes_for_smoothing": 4,
    "model_size": "S",
    "num_envs_per_env_runner": 4,
    "training_ratio": 512,
    "vector_mlp": "authors",
}
COLUMNS = ("env_steps", "updates", "seconds", "episodes", "return", "length")


def write_curve(path, returns, *, every=2000, **options):
    """Writes a curve with a row of four episodes after each ``every`` env steps.

    None instead of a return leaves the row out. Options that are None are not written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, value in enumerate(returns, 1):
            if value is not None:
                steps = number * every
                writer.writerow([steps, steps // 2, steps / 10, 4, value, 500])
    said = {name: value for name, value in {**OPTIONS, **options}.items() if value is not None}
    path.with_suffix(".json").write_text(json.dumps(said))
    return path
