"""The sweep of sweep.yaml from Python, with ASHA stopping the weaker trials early.

Run it with ``python tuned_examples/tune_sweep.py``.

Expected: four trials, two at a time on 2 CPU cores; the best one reaches a mean return >= 0.9.
"""

import argparse

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from rllib_dreamerv3 import DreamerV3Config

RETURN = "env_runners/episode_return_mean"
ENV_STEPS = "num_env_steps_sampled_lifetime"


def sweep_config() -> DreamerV3Config:
    """Returns the search space."""
    return (
        DreamerV3Config()
        .environment("FrozenLake-v1", env_config={"desc": ["SF", "HG"], "is_slippery": False})
        .env_runners(num_cpus_per_env_runner=0.5)
        .training(
            model_size=tune.grid_search(["nano", "micro"]),
            training_ratio=tune.grid_search([64, 256]),
            batch_size_B=16,
            batch_length_T=16,
            world_model_lr=1e-3,
            actor_lr=3e-4,
            critic_lr=3e-4,
            num_steps_sampled_before_learning_starts=256,
        )
    )


def run(env_steps: int = 2000, storage_path: str | None = None) -> tune.ResultGrid:
    """Runs the sweep.

    Args:
        env_steps: Env steps of a trial that is not stopped early.
        storage_path: Directory of the results; None for ``~/ray_results``.

    Returns:
        The results of all trials.
    """
    scheduler = ASHAScheduler(
        time_attr=ENV_STEPS, metric=RETURN, mode="max", max_t=env_steps, grace_period=env_steps // 2
    )
    tuner = tune.Tuner(
        "DreamerV3",
        param_space=sweep_config(),
        tune_config=tune.TuneConfig(scheduler=scheduler),
        run_config=tune.RunConfig(stop={ENV_STEPS: env_steps}, storage_path=storage_path),
    )
    return tuner.fit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env-steps", type=int, default=2000)
    best = run(parser.parse_args().env_steps).get_best_result(metric=RETURN, mode="max")
    print(f"Best return {best.metrics['env_runners']['episode_return_mean']:.2f} with", end=" ")
    print({name: best.config[name] for name in ("model_size", "training_ratio")})
