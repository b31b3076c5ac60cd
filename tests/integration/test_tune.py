"""What people do with Tune: run, sweep, stop early, look at results."""

import os
import sys
from pathlib import Path

import pandas
import paying
import pytest
from ray import cloudpickle, tune
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from tensorboard_events import scalars_of
from tiny import tiny_config
from watcher import Watcher

from rllib_dreamerv3 import CompleteCSVLoggerCallback, DreamerV3, EnvStepsTBXLoggerCallback

ENV_STEPS = "num_env_steps_sampled_lifetime"
RETURN = "env_runners/episode_return_mean"
LOSS = "learners/default_policy/WORLD_MODEL_L_total"

# Trials' processes cannot import them.
for _module in (paying, sys.modules[__name__]):
    cloudpickle.register_pickle_by_value(_module)


def run_config(directory, **options):
    options = {"stop": {"training_iteration": 2}, "verbose": 0, **options}
    return tune.RunConfig(storage_path=str(directory), **options)


def test_runs_by_name_and_each_trial_has_its_options(tmp_path):
    space = tiny_config(paying.Paying).to_dict() | {"entropy_scale": tune.grid_search([1e-4, 1e-3])}
    tuner = tune.Tuner("DreamerV3", param_space=space, run_config=run_config(tmp_path))
    results = tuner.fit()
    assert len(results) == 2
    assert not results.errors
    for result in results:
        learner = result.metrics["learners"]["default_policy"]
        share = -learner["ACTOR_L_neg_entropy_term"] / learner["ACTOR_action_entropy"]
        assert share == pytest.approx(result.config["entropy_scale"], rel=1e-5)
    assert {result.config["entropy_scale"] for result in results} == {1e-4, 1e-3}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run by class with everything switched on, whose first results precede the first update."""
    directory, watcher = tmp_path_factory.mktemp("tune"), Watcher()
    config = tiny_config(paying.Paying, num_steps_sampled_before_learning_starts=300)
    config.environment(env_config={"says": "made by a trial"})
    config.evaluation(evaluation_interval=4, evaluation_duration=1)
    results = tune.Tuner(
        DreamerV3,
        param_space=config,
        run_config=tune.RunConfig(
            name="everything",
            storage_path=f"file://{directory}",
            callbacks=[watcher, CompleteCSVLoggerCallback(), EnvStepsTBXLoggerCallback()],
            log_to_file=True,
            stop={"training_iteration": 5},
            verbose=0,
        ),
    ).fit()
    assert not results.errors
    return results[0], watcher.results[0], directory


@pytest.mark.long
def test_runs_by_class_into_a_uri(run):
    result, _, directory = run
    path = Path(result.path)
    assert path.parent == directory / "everything"
    assert (path / "result.json").is_file()
    assert result.metrics["training_iteration"] == 5
    assert Path(result.checkpoint.path).parent == path


@pytest.mark.long
def test_a_callback_of_tune_sees_rllibs_keys(run):
    result, results, _ = run
    assert [seen["training_iteration"] for seen in results] == [1, 2, 3, 4, 5]
    last = results[-1]
    assert last["env_runners"]["episode_return_mean"] == paying.STEPS
    assert last["learners"]["default_policy"]["WORLD_MODEL_L_total"] > 0
    assert (
        last["num_env_steps_sampled_lifetime"] == result.metrics["num_env_steps_sampled_lifetime"]
    )


def test_replay_is_reported_under_its_former_names_too(run):
    replay = run[1][-1]["replay_buffer"]
    updates = run[1][-1]["num_grad_updates_lifetime"]
    assert replay["capacity"] == replay["capacity_records"] == 10_000
    assert replay["size_timesteps"] == replay["added_steps"] == replay["num_env_steps_stored"] > 300
    assert replay["size_num_episodes"] == replay["num_episodes_stored"] > 300 / paying.STEPS
    assert replay["replayed_steps"] == 16 * updates > 0


def test_what_a_trial_prints_is_in_its_directory(run):
    path = Path(run[0].path)
    assert "made by a trial" in (path / "stdout").read_text()
    assert (path / "stderr").is_file()


def test_the_table_of_results_has_columns_that_came_later(run):
    result, results, _ = run
    table = pandas.read_csv(Path(result.path, "progress.csv"))
    assert table.columns[0] == ENV_STEPS
    assert list(table[ENV_STEPS]) == [each[ENV_STEPS] for each in results]
    evaluation = f"evaluation/{RETURN}"
    for name in (LOSS, evaluation):
        first = results[0]
        for key in name.split("/"):
            first = first.get(key, {})
        assert not first
    assert list(table["training_iteration"]) == [1, 2, 3, 4, 5]
    assert table[LOSS].isna().tolist()[0]
    assert not table[LOSS].isna().tolist()[-1]
    assert table[evaluation].tolist()[3] == paying.STEPS
    assert table[RETURN].tolist() == [paying.STEPS] * 5


def test_events_are_by_env_steps(run):
    result, results, _ = run
    assert scalars_of(Path(result.path), f"ray/tune/{RETURN}") == [
        (each[ENV_STEPS], paying.STEPS) for each in results
    ]


class SaysItsProcess(RLlibCallback):
    """Puts the process into results."""

    def on_train_result(self, *, algorithm, result, **kwargs):
        result["process"] = os.getpid()


@pytest.mark.long
def test_an_actor_that_is_reused_trains_as_a_new_one_does(tmp_path):
    """With ``tune.run``, whose results are the same."""
    config = tiny_config(paying.Paying).callbacks(SaysItsProcess)
    config.environment(env_config={"says": tune.grid_search(["first", "second"])})
    analysis = tune.run(
        DreamerV3,
        config=config.to_dict(),
        reuse_actors=True,
        max_concurrent_trials=1,
        log_to_file=True,
        stop={"training_iteration": 3},
        storage_path=str(tmp_path),
        verbose=0,
    )
    assert [trial.status for trial in analysis.trials] == ["TERMINATED"] * 2
    one, other = (trial.last_result for trial in analysis.trials)
    assert one["process"] == other["process"]
    assert one["learners"]["default_policy"] == other["learners"]["default_policy"]
    assert one["replay_buffer"] == other["replay_buffer"]
    printed = [Path(trial.path, "stdout").read_text() for trial in analysis.trials]
    assert [("first" in text, "second" in text) for text in printed] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.long
def test_asha_stops_the_worse_trial_early(tmp_path):
    config = tiny_config(paying.Paying)
    config.environment(env_config={"pays": tune.grid_search([1.0, 0.5])})
    results = tune.Tuner(
        "DreamerV3",
        param_space=config,
        tune_config=tune.TuneConfig(
            scheduler=ASHAScheduler(
                metric=RETURN, mode="max", grace_period=2, max_t=5, reduction_factor=2
            ),
            # One after the other: the worse one is measured against the better.
            max_concurrent_trials=1,
            reuse_actors=True,
        ),
        run_config=run_config(tmp_path, stop=None),
    ).fit()
    assert not results.errors
    iterations = {
        result.metrics["env_runners"]["episode_return_mean"]: result.metrics["training_iteration"]
        for result in results
    }
    assert iterations == {paying.STEPS * 1.0: 5, paying.STEPS * 0.5: 2}
    best = results.get_best_result(metric=RETURN, mode="max")
    assert best.config["env_config"]["pays"] == 1.0


@pytest.mark.long
def test_optuna_searches_sizes_and_nested_options(tmp_path):
    config = tiny_config(
        paying.Paying,
        model_size=tune.choice(["nano", "micro"]),
        world_model_lr=tune.loguniform(1e-5, 1e-3),
        replay_buffer_config={"capacity": tune.randint(5_000, 9_000)},
    )
    first = {"model_size": "micro", "world_model_lr": 2e-4, "replay_buffer_config/capacity": 5_001}
    results = tune.Tuner(
        "DreamerV3",
        param_space=config,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(seed=1, points_to_evaluate=[first]),
            metric=RETURN,
            mode="max",
            num_samples=2,
        ),
        run_config=run_config(tmp_path),
    ).fit()
    assert not results.errors
    (given,) = (x for x in results if x.config["replay_buffer_config"]["capacity"] == 5_001)
    assert given.config["model_size"] == "micro"
    assert given.config["world_model_lr"] == 2e-4
    for result in results:
        capacity = result.config["replay_buffer_config"]["capacity"]
        assert result.metrics["replay_buffer"]["capacity"] == capacity
