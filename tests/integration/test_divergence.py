"""Training that diverges: what is left of it, and how it goes on."""

import csv
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from ray import tune
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.errors import ConfigError, TrainingDivergedError

STEPS_TOO_FAR = {
    "v1": {"world_model_lr": 1e6},
    "v2": {"variant": "v2", "lr": 1e6, "lr_warmup": 0},
}


def trainer_of(algorithm):
    return algorithm.learner_group._learner.trainer


def weights_of(algorithm):
    return get_weights(trainer_of(algorithm).model)


def recordings(algorithm):
    return sorted((Path(algorithm.logdir) / "diverged").iterdir())


def train_until_it_diverges(algorithm, match=None, most=30):
    def train():
        for _ in range(most):
            algorithm.train()

    with pytest.raises(TrainingDivergedError, match=match) as caught:
        train()
    return str(caught.value)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_run_stops_with_finite_networks_a_recording_and_the_last_checkpoint(
    build, tmp_path, variant
):
    algorithm = build(tiny_config(**STEPS_TOO_FAR[variant]))
    while not trainer_of(algorithm).updates:
        algorithm.train()
    good = algorithm.save_to_path(tmp_path / "good")
    message = train_until_it_diverges(algorithm)
    (recording,) = recordings(algorithm)
    assert f"are in {recording}." in message
    assert f"last good checkpoint is {good}" in message
    assert ("world_model_lr" if variant == "v1" else "(lr)") in message

    summary = json.loads((recording / "summary.json").read_text())
    assert summary["last_checkpoint"] == good
    assert summary["not_finite"][0] in message
    with np.load(recording / "batch.npz", allow_pickle=False) as batch:
        context = algorithm.config.resolved("replay_context")
        assert batch["reward"].shape == (2, context + 8)
        assert all(np.isfinite(batch[name]).all() for name in batch)
    with (recording / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["update"]) for row in rows] == list(range(1, summary["update"] + 1))
    for part in ("WORLD_MODEL", "ACTOR", "CRITIC"):
        assert np.isfinite(float(rows[0][f"{part}_gradients_global_norm"]))
    assert not np.isfinite(float(rows[-1][summary["not_finite"][0]]))

    recorded, left = tensors.load(recording / "networks.safetensors"), weights_of(algorithm)
    for name, value in left.items():
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(value, recorded[name])
    saved = algorithm.save_to_path(tmp_path / "after")
    algorithm.restore_from_path(good)
    algorithm.restore_from_path(saved)
    for name, value in weights_of(algorithm).items():
        np.testing.assert_array_equal(value, left[name])


def test_full_disk_does_not_hide_the_divergence(build):
    algorithm = build(tiny_config(**STEPS_TOO_FAR["v1"]))
    (Path(algorithm.logdir) / "diverged").write_text("a file where a directory should be")
    message = train_until_it_diverges(algorithm)
    assert "recording could not be written" in message
    assert "No checkpoint was saved yet" in message


def test_a_resumed_run_would_fail_again_if_replay_is_not_finite(build, tmp_path):
    algorithm = build(tiny_config())
    while not trainer_of(algorithm).updates:
        algorithm.train()
    algorithm.save_to_path(tmp_path / "bad")
    for segment in algorithm.replay_buffer.storage.segments:
        for chunk in segment.chunks:
            chunk.columns["reward"][:] = np.nan
    message = train_until_it_diverges(algorithm)
    assert "Replay holds values of reward that are not finite" in message
    assert "--parts" in message
    assert "lower learning rates" not in message


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_rewards_in_replay_that_are_not_finite_count_as_divergence(build, tmp_path, variant):
    """No environment may return them; files of a checkpoint may hold them."""
    algorithm = build(tiny_config(variant=variant))
    while not trainer_of(algorithm).updates:
        algorithm.train()
    path = Path(algorithm.save_to_path(tmp_path / "checkpoint"))
    column = path / "replay_buffer" / "reward.npy"
    before = weights_of(algorithm)
    for reward in (np.nan, np.inf):
        np.save(column, np.full_like(np.load(column), reward))
        (path / manifest.MANIFEST).unlink()
        manifest.write(path, env_steps=1, updates=1)
        algorithm.restore_from_path(path)
        train_until_it_diverges(algorithm, match="WORLD_MODEL_L_reward", most=1)
        for name, value in weights_of(algorithm).items():
            np.testing.assert_array_equal(value, before[name])


class ExtremeObservations(gym.Wrapper):
    """CartPole that shows numbers at some steps whose square is too great for float32."""

    def __init__(self, config):
        super().__init__(gym.make("CartPole-v1"))
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.steps, self.extreme = 0, config["at"]

    def step(self, action):
        observation, *rest = self.env.step(action)
        self.steps += 1
        if self.steps in self.extreme:
            observation = np.full_like(observation, 1e30)
        return observation, *rest


def extreme(on_divergence, at, **training):
    config = tiny_config(ExtremeObservations, symlog_obs=False, **training)
    config.environment(env_config={"at": at})
    return config.fault_tolerance(on_divergence=on_divergence)


def test_ignored_updates_are_counted_and_the_others_go_on(build):
    algorithm = build(extreme("ignore", at=[20, 50, 80, 110]))
    seen = {False: 0, True: 0}
    while min(seen.values()) < 2 and sum(seen.values()) < 300:
        before, ignored = weights_of(algorithm), algorithm.divergence.ignored
        result = algorithm.train()
        was_ignored = result["num_updates_ignored"] - ignored
        assert was_ignored in (0, 1)
        after = weights_of(algorithm)
        if was_ignored:
            for name, value in before.items():
                np.testing.assert_array_equal(value, after[name])
        # Before the first of them, some are good.
        seen[bool(was_ignored)] += bool(was_ignored) or result["num_updates_ignored"] > 0
    assert min(seen.values()) >= 2
    assert result["num_updates_ignored"] == seen[True]
    assert result["num_grad_updates_lifetime"] == int(trainer_of(algorithm).updates)
    assert all(np.isfinite(x).all() for x in weights_of(algorithm).values())
    assert len(recordings(algorithm)) == seen[True]


def test_rewound_run_goes_on_from_the_checkpoint(build, tmp_path):
    # Of so few records the extreme one is soon in a row.
    algorithm = build(extreme("rewind", at=[130], replay_buffer_config={"capacity": 60}))
    for _ in range(4):
        result = algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    counters = algorithm.get_counters()
    iteration, updates = algorithm.iteration, int(trainer_of(algorithm).updates)
    weights = weights_of(algorithm)
    while not result["num_rewinds"]:
        assert algorithm.iteration < 300
        result = algorithm.train()
    # One iteration, which is one record and one update, after the checkpoint.
    assert result["training_iteration"] == iteration + 1
    assert algorithm.get_counters()["records"] == counters["records"] + 1
    assert result["num_grad_updates_lifetime"] == updates + 1
    assert int(trainer_of(algorithm).updates) == updates + 1
    learner = result["learners"]["default_policy"]
    assert learner["num_module_steps_trained_lifetime"] == 16 * (updates + 1)
    steps = result["env_runners"]["num_env_steps_sampled_lifetime"]
    assert 0 <= steps - counters["env_steps"] <= 1
    assert all(
        np.abs(value - weights[name]).max() < 0.1 for name, value in weights_of(algorithm).items()
    )
    for _ in range(3):
        result = algorithm.train()
    assert result["num_rewinds"] == 1
    assert result["training_iteration"] == iteration + 4
    assert str(path) in json.loads((recordings(algorithm)[0] / "summary.json").read_text()).values()


def test_each_rewind_draws_other_rows_and_a_fourth_is_refused(build, tmp_path):
    algorithm = build(tiny_config().fault_tolerance(on_divergence="rewind"))
    for _ in range(4):
        algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    drawn = [algorithm.replay_buffer.sample(50)]
    for _ in range(3):
        algorithm.divergence.rewind(TrainingDivergedError("again"))
        drawn.append(algorithm.replay_buffer.sample(50))
    with pytest.raises(TrainingDivergedError, match="again The run was rewound 3 times"):
        algorithm.divergence.rewind(TrainingDivergedError("again"))
    algorithm.restore_from_path(path)
    again = algorithm.replay_buffer.sample(50)
    starts = [[window.start for window in each.windows] for each in (*drawn, again)]
    assert starts[0] == starts[-1]
    assert len(set(map(tuple, starts))) == 4


@pytest.mark.long
def test_run_is_rewound_three_times_at_most(build, tmp_path):
    rates = [[0, 1e-4], [126, 1e-4], [127, 1e6]]
    config = tiny_config(world_model_lr=rates).fault_tolerance(on_divergence="rewind")
    config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5)
    algorithm = build(config)
    for _ in range(4):
        algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    message = train_until_it_diverges(algorithm, match="rewound 3 times", most=200)
    assert str(path) in message
    assert len(recordings(algorithm)) == 4


def test_run_without_a_checkpoint_is_not_rewound(build):
    config = tiny_config(**STEPS_TOO_FAR["v1"]).fault_tolerance(on_divergence="rewind")
    train_until_it_diverges(build(config), match="no checkpoint to rewind to")


@pytest.mark.long
def test_tune_finds_the_recording_and_the_checkpoint_in_the_trials_directory(tmp_path):
    config = tiny_config(world_model_lr=[[0, 1e-4], [126, 1e-4], [127, 1e6]])
    (result,) = tune.Tuner(
        "DreamerV3",
        param_space=config.to_dict(),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2),
            verbose=0,
        ),
    ).fit()
    (recording,) = Path(result.path, "diverged").iterdir()
    assert str(recording) in str(result.error)
    assert result.checkpoint.path in str(result.error)
    assert (recording / "networks.safetensors").is_file()


def test_other_ways_to_go_on_are_refused():
    with pytest.raises(ConfigError, match="on_divergence"):
        tiny_config().fault_tolerance(on_divergence="rewnd").validate()
