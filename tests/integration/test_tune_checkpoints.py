"""Checkpoints that Tune makes: going on after an interruption, wherever they are, and PBT."""

import json
import sys

import fsspec
import pandas
import paying
import pyarrow.fs
import pytest
import ray
from fsspec.implementations.dirfs import DirFileSystem
from ray import cloudpickle, tune
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune import Callback
from ray.tune.schedulers import PopulationBasedTraining
from tiny import tiny_config
from watcher import Watcher

from rllib_dreamerv3 import CompleteCSVLoggerCallback, DreamerV3

RETURN = "env_runners/episode_return_mean"

# Trials' processes cannot import them.
for _module in (paying, sys.modules[__name__]):
    cloudpickle.register_pickle_by_value(_module)


class Interrupts(Callback):
    """Kills a trial's process after its third result; no process that goes on from a checkpoint."""

    def on_trial_result(self, iteration, trials, trial, result, **info):
        if result["iterations_since_restore"] == 3:
            ray.kill(trial.temporary_state.ray_actor)


def of_pyarrow(directory):
    return pyarrow.fs.SubTreeFileSystem(str(directory), pyarrow.fs.LocalFileSystem())


def of_fsspec(directory):
    """A file system that is not known to be on this machine."""
    directories = DirFileSystem(path=str(directory), fs=fsspec.filesystem("file"))
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(directories))


@pytest.mark.long
@pytest.mark.parametrize("filesystem_of", [of_pyarrow, of_fsspec])
def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path, filesystem_of):
    filesystem = filesystem_of(tmp_path)
    run_config = tune.RunConfig(
        name="mine",
        storage_path="results",
        storage_filesystem=filesystem,
        callbacks=[Interrupts(), CompleteCSVLoggerCallback()],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2),
        stop={"training_iteration": 4},
        verbose=0,
    )
    config = tiny_config(paying.Paying)
    (cut,) = tune.Tuner(DreamerV3, param_space=config, run_config=run_config).fit()
    assert cut.error
    assert cut.metrics["training_iteration"] == 3
    assert (tmp_path / "results/mine/tuner.pkl").is_file()
    assert list(tmp_path.glob("results/mine/*/checkpoint_000000/manifest.json"))

    again = tune.Tuner.restore(
        "results/mine",
        DreamerV3,
        param_space=config,
        resume_errored=True,
        storage_filesystem=filesystem,
    )
    (result,) = again.fit()
    assert not result.error
    results = [
        json.loads(line)
        for line in next(tmp_path.glob("results/mine/*/result.json")).read_text().splitlines()
    ]
    iterations = [1, 2, 3, 3, 4]
    assert [x["training_iteration"] for x in results] == iterations
    _, saved, lost, restored, last = results
    assert restored["iterations_since_restore"] == 1
    # Replay, updates and env steps go on from where they were, not from 0 and not from the lost.
    for one, other in ((saved, restored), (restored, last)):
        assert other["num_grad_updates_lifetime"] == one["num_grad_updates_lifetime"] + 1
        for counter in ("num_env_steps_added_lifetime", "num_records_sampled_lifetime"):
            assert other["replay_buffer"][counter] > one["replay_buffer"][counter] > 0
    assert restored["replay_buffer"]["num_records"] == lost["replay_buffer"]["num_records"]
    table = pandas.read_csv(next(tmp_path.glob("results/mine/*/progress.csv")))
    assert list(table["training_iteration"]) == iterations
    assert not table["learners/default_policy/WORLD_MODEL_L_total"].isna().any()


class SaysWhatCounts(RLlibCallback):
    """Puts into results what the learner and replay really have."""

    def on_train_result(self, *, algorithm, result, **kwargs):
        optimizers = algorithm.learner_group._learner.trainer.optimizers
        result["rates"] = {name: float(each.learning_rate) for name, each in optimizers.items()}
        result["reward_replayed"] = algorithm.replay_buffer.sample(50).columns["reward"].mean()


@pytest.mark.long
def test_pbt_copies_checkpoints_with_replay_and_perturbed_options_count(tmp_path):
    perturbed = {
        "world_model_lr": 5e-4,
        "actor_lr": 6e-5,
        "training_ratio": 64,
        "entropy_scale": 7e-4,
    }
    config, watcher = tiny_config(paying.Paying).callbacks(SaysWhatCounts), Watcher()
    config.environment(env_config={"pays": tune.grid_search([0.0, 1.0])})
    results = tune.Tuner(
        "DreamerV3",
        param_space=config,
        tune_config=tune.TuneConfig(
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                metric=RETURN,
                mode="max",
                perturbation_interval=2,
                hyperparam_mutations={
                    # A function would be asked again; here it leaves no choice.
                    name: lambda value=value: value
                    for name, value in perturbed.items()
                },
                resample_probability=1.0,
                synch=True,
            ),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            callbacks=[watcher],
            stop={"training_iteration": 4},
            verbose=0,
        ),
    ).fit()
    assert not results.errors
    first, before, after, last = watcher.results[0]
    assert first["env_runners"]["episode_return_mean"] == 0
    assert before["reward_replayed"] == 0
    assert after["reward_replayed"] > 0.5
    # Its own environment pays now too; but these records are the other's and one more.
    added = "num_env_steps_added_lifetime"
    assert after["replay_buffer"][added] == watcher.results[1][1]["replay_buffer"][added] + 1
    assert after["config"]["env_config"] == {"pays": 1.0}
    assert after["rates"]["world_model"] == pytest.approx(5e-4)
    assert after["rates"]["actor"] == pytest.approx(6e-5)
    learner = after["learners"]["default_policy"]
    share = -learner["ACTOR_L_neg_entropy_term"] / learner["ACTOR_action_entropy"]
    assert share == pytest.approx(7e-4, rel=1e-5)
    # At the ratio of before each iteration would be a record and its one update.
    assert last["num_grad_updates_lifetime"] == after["num_grad_updates_lifetime"] + 1
    assert last["replay_buffer"]["num_records"] == after["replay_buffer"]["num_records"]
