"""Full runs with learners in separate processes: under Tune, while sampling, diverging."""

import math
import sys

import gymnasium as gym
import numpy as np
import pytest
from changed_options import with_options
from ray import cloudpickle, tune
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.plugin.learners.group import ask_learner

cloudpickle.register_pickle_by_value(sys.modules[__name__])

# No finite parameter is left after the first of these steps.
DIVERGING = [[0, 1e-4], [136, 1e-4], [137, 1e6]]


class NowAndThenExtreme(gym.Env):
    """Every 50th number is one whose square is too great for float32."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config=None):
        self.steps = 0

    def _observe(self):
        return np.full(2, 1e30 if self.steps % 50 == 49 else 0.5, np.float32)

    def reset(self, *, seed=None, options=None):
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        return self._observe(), 1.0, False, self.steps % 10 == 0, {}


def beside_sampling(*args, on_divergence="stop", **training):
    """One learner and one env runner, in separate processes that run at the same time."""
    config = tiny_config(*args, **training)
    config.learners(num_learners=1, num_cpus_per_learner=0.5)
    config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5, sampling="asynchronous")
    return config.fault_tolerance(on_divergence=on_divergence)


def updates_of(algorithm):
    return ask_learner(algorithm.learner_group, lambda learner: int(learner.trainer.updates))


@pytest.mark.long
def test_tune_places_learners_env_runners_and_evaluation(tmp_path):
    config = tiny_config().learners(num_learners=2, num_cpus_per_learner=0.25)
    config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.25, sampling="asynchronous")
    config.evaluation(
        evaluation_num_env_runners=1,
        evaluation_interval=1,
        evaluation_duration="auto",
        evaluation_duration_unit="timesteps",
        evaluation_parallel_to_training=True,
        # A fresh trial's process has to compile first.
        evaluation_sample_timeout_s=300,
    ).reporting(min_time_s_per_iteration=1)
    results = tune.Tuner(
        DreamerV3,
        param_space=config,
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            stop=lambda _, result: (
                result["num_grad_updates_lifetime"] >= 2
                and result["evaluation"]["env_runners"].get("num_env_steps_sampled_lifetime", 0)
            ),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            verbose=0,
        ),
    ).fit()
    assert not results.errors
    metrics = results[0].metrics
    assert metrics["num_learner_rebuilds"] == 0
    learned = metrics["learners"]["default_policy"]
    assert learned["num_module_steps_trained_lifetime"] == 16 * metrics["num_grad_updates_lifetime"]
    assert results[0].checkpoint is not None


@pytest.mark.long
def test_evaluation_continues_with_a_learner_in_another_process(build):
    """Sampling in turn with learning, in this process."""
    config = tiny_config().learners(num_learners=1, num_cpus_per_learner=0.5)
    config.evaluation(
        evaluation_num_env_runners=2,
        evaluation_interval=1,
        evaluation_duration=2,
        evaluation_parallel_to_training=True,
        evaluation_config={"num_cpus_per_env_runner": 0.5},
    )
    config.reporting(min_time_s_per_iteration=1)
    algorithm = build(config)
    for unit, duration in (("episodes", 2), ("timesteps", "auto")):
        options = {"evaluation_duration": duration, "evaluation_duration_unit": unit}
        with with_options(algorithm, **options):
            for _ in range(30):
                result = algorithm.train()
                evaluated = result["evaluation"]["env_runners"]
                # Until it plays networks that have been updated.
                if evaluated.get("num_env_steps_sampled") and evaluated["weights_seq_no"]:
                    break
        assert evaluated["weights_seq_no"] > 0
        assert result["num_grad_updates_lifetime"] == updates_of(algorithm) > 0
        assert evaluated["num_env_steps_sampled"] > 0
        if unit == "episodes":
            assert evaluated["num_episodes"] == duration


@pytest.mark.long
def test_updates_that_are_not_finite_are_left_out_and_the_run_goes_on(build):
    config = beside_sampling(NowAndThenExtreme, symlog_obs=False, on_divergence="ignore")
    algorithm = build(config)
    ignored = good = 0
    for _ in range(300):
        result = algorithm.train()
        ignored = result["num_updates_ignored"]
        good = result["num_grad_updates_lifetime"] - ignored
        if min(ignored, good) >= 3:
            break
    assert min(ignored, good) >= 3
    assert updates_of(algorithm) == result["num_grad_updates_lifetime"]
    weights = ask_learner(
        algorithm.learner_group, lambda learner: get_weights(learner.trainer.model)
    )
    assert all(np.isfinite(x).all() for x in weights.values())


@pytest.mark.long
def test_a_run_is_rewound_to_its_checkpoint(build, tmp_path):
    algorithm = build(beside_sampling(world_model_lr=DIVERGING, on_divergence="rewind"))
    while updates_of(algorithm) < 2:
        algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    records, updates = algorithm.get_counters()["records"], updates_of(algorithm)
    result = algorithm.train()
    while not result["num_rewinds"]:
        assert algorithm.get_counters()["records"] < records + 100
        result = algorithm.train()
    # Beside learning, an iteration may bring no record, or one of each request.
    assert updates <= updates_of(algorithm) <= updates + 2
    assert algorithm.replay_buffer.num_records == algorithm.get_counters()["records"]
    assert math.isfinite(result["actual_training_ratio"])
