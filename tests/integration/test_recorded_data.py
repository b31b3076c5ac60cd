"""Recording a run, and training from what was recorded: alone, and before sampling begins."""

import shutil

import numpy as np
import pytest
from episodes import NUMBERS, episode
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3
from rllib_dreamerv3.data.episode import episodes_of, records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.errors import ConfigError, DataError
from rllib_dreamerv3.records import IS_FIRST
from rllib_dreamerv3.spaces.codecs import make_codecs

UPDATES, ENV_STEPS = "num_grad_updates_lifetime", "num_env_steps_sampled_lifetime"


def stored(algorithm):
    """All records in replay, if they are of one stream."""
    (segment,) = algorithm.replay_buffer.storage.segments
    names = algorithm.replay_buffer.storage.specs
    return {name: np.concatenate([x.read(name) for x in segment.chunks]) for name in names}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The directory of a run's recording, and the records that its replay held."""
    directory = tmp_path_factory.mktemp("recorded")
    config = (
        tiny_config().offline_data(output=str(directory)).env_runners(num_envs_per_env_runner=1)
    )
    algorithm = config.build_algo()
    algorithm.train()
    records = stored(algorithm)
    algorithm.stop()
    return directory, records


def test_a_recording_has_the_complete_episodes_of_the_run(recorded):
    directory, records = recorded
    dataset = open_dataset(directory)
    assert dataset.env == "CartPole-v1"
    codecs = make_codecs(*dataset.spaces)
    expected = [one for one in episodes_of(records, *codecs, source="replay") if one.ended]
    found = list(dataset.episodes())
    assert len(found) == len(expected) > 1
    for one, other in zip(found, expected, strict=True):
        ours, theirs = records_of(one, *codecs), records_of(other, *codecs)
        for name, column in ours.items():
            np.testing.assert_array_equal(column, theirs[name], err_msg=name)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_training_from_data_alone_needs_no_environment(recorded, variant, build):
    directory, records = recorded
    config = tiny_config(None, variant=variant).offline_data(input_=str(directory))
    algorithm = build(config)
    held = stored(algorithm)
    complete = len(held[IS_FIRST])
    for name in held.keys() & records.keys():
        np.testing.assert_array_equal(held[name], records[name][:complete], err_msg=name)
    for update in (1, 2):
        results = algorithm.train()
        assert results[UPDATES] == update
        assert np.isfinite(results["learners"]["default_policy"]["WORLD_MODEL_L_total"])
    assert ENV_STEPS not in results["env_runners"]
    assert len(stored(algorithm)[IS_FIRST]) == complete


def test_sampling_begins_after_pretraining_and_so_after_a_restore(recorded, build, tmp_path):
    def make():
        # Also restores and draws by origin.
        replay = {"capacity": 10_000, "sampling": {"recorded": 0.5, "sampled": 0.5}}
        config = tiny_config(replay_buffer_config=replay)
        return config.offline_data(input_=str(recorded[0]), pretrain_updates=3)

    algorithm = build(make())
    before = algorithm.replay_buffer.num_records
    for _ in range(2):
        algorithm.train()
    assert algorithm.replay_buffer.num_records == before
    algorithm.save_to_path(tmp_path / "checkpoint")

    restored = build(make())
    restored.restore_from_path(tmp_path / "checkpoint")
    assert restored.replay_buffer.num_records == before
    for one in (algorithm, restored):
        one.train()
        assert one.replay_buffer.num_records == before
        results = one.train()
        assert results[UPDATES] == 4
        sampled = results["env_runners"][ENV_STEPS]
        # The prefill is recorded data: one record is enough for the next update.
        assert 1 <= sampled < 5
        assert one.replay_buffer.num_records > before
        assert results["replay_buffer"]["num_records_recorded"] == before


def test_a_run_that_starts_from_a_pretrained_one_pretrains_again(recorded, build, tmp_path):
    data = {"input_": str(recorded[0]), "pretrain_updates": 1}
    first = build(tiny_config().offline_data(**data))
    first.train()
    first.save_to_path(tmp_path / "checkpoint")
    config = tiny_config(num_steps_sampled_before_learning_starts=1_000)
    config.checkpointing(start_checkpoint=str(tmp_path / "checkpoint"))
    again = build(config.offline_data(**data))
    before = again.replay_buffer.num_records
    assert before > first.replay_buffer.num_records
    assert again.train()[UPDATES] == 2
    assert again.replay_buffer.num_records == before
    # A policy that was trained fills the rest of replay.
    assert again._next_request().arguments["random_actions"] is False
    again.config.__dict__["train_actor"] = False  # Then it was not trained.
    assert again._next_request().arguments["random_actions"] is True


def test_what_a_run_started_with_need_not_exist_when_it_continues(recorded, build, tmp_path):
    data, start, saved = (tmp_path / name for name in ("data", "start", "saved"))
    shutil.copytree(recorded[0], data)
    build(tiny_config()).save_to_path(start)
    config = tiny_config().checkpointing(start_checkpoint=str(start))
    algorithm = build(config.offline_data(input_=str(data), pretrain_updates=1))
    algorithm.train()
    algorithm.save_to_path(saved)
    shutil.rmtree(data)
    shutil.rmtree(start)
    restored = DreamerV3.from_checkpoint(saved)
    assert restored.replay_buffer.num_records == algorithm.replay_buffer.num_records
    restored.train()
    restored.stop()


def test_the_end_of_capacity_keeps_the_newest(recorded, build):
    config = tiny_config(
        None,
        replay_buffer_config={"capacity": 20},
        num_steps_sampled_before_learning_starts=1,
    )
    held = stored(build(config.offline_data(input_=str(recorded[0]))))
    whole = recorded[1]
    count = len(held[IS_FIRST])
    assert count <= 20
    (ends,) = np.nonzero(whole["is_last"])
    last = whole["obs/vector"][ends[-1] + 1 - count : ends[-1] + 1]
    np.testing.assert_array_equal(held["obs/vector"], last)


def test_recorded_observations_are_clipped_as_sampled_ones_are(tmp_path, build):
    observations = np.full((31, 3), 5.0, np.float32)
    EpisodeWriter(tmp_path, NUMBERS, None).write([episode(steps=30, observations=observations)])
    config = tiny_config(None, num_steps_sampled_before_learning_starts=1)
    config.environment(clip_observations=True).offline_data(input_=str(tmp_path))
    assert (stored(build(config))["obs/vector"] == 1.0).all()


def refused(config, words, error=ConfigError):
    with pytest.raises(error, match=words):
        config.build_algo()


def test_what_cannot_be_learned_from_is_refused_before_training(tmp_path, recorded):
    writer = EpisodeWriter(tmp_path / "other", NUMBERS, None)
    writer.write([episode()])
    refused(
        tiny_config().offline_data(input_=str(tmp_path / "other")),
        r"The observation is Box.*\(4,\).*in the environment, but Box.*\(3,\)",
        DataError,
    )
    refused(
        tiny_config(None).offline_data(input_=str(tmp_path / "other")),
        "5 env steps without a sequence of",
        DataError,
    )
    refused(tiny_config(None).offline_data(input_="nowhere"), "There is no .*nowhere", DataError)
