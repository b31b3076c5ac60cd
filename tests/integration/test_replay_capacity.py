"""The size of a full replay buffer is limited, or refused, before there is a record."""

import logging

import gymnasium as gym
import numpy as np
import pytest
import ray
from gymnasium import spaces
from tiny import tiny_config

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.plugin import replay_capacity
from rllib_dreamerv3.plugin.replay_capacity import record_specs
from rllib_dreamerv3.replay.column_specs import bytes_of
from rllib_dreamerv3.replay.column_storage import in_files
from rllib_dreamerv3.startup.system import machine_memory


class Pictures(gym.Env):
    """Images, numbers, classes, and choices of which some are not allowed."""

    observation_space = spaces.Dict(
        {
            "picture": spaces.Box(0, 255, (64, 64, 3), np.uint8),
            "numbers": spaces.Box(-1.0, 1.0, (5,), np.float32),
            "class": spaces.Discrete(3),
            "action_mask": spaces.Box(0, 1, (4,), np.int8),
        }
    )
    action_space = spaces.Discrete(4)

    def __init__(self, config=None):
        self._steps = 0

    def _observation(self):
        return {
            "picture": np.zeros((64, 64, 3), np.uint8),
            "numbers": np.zeros(5, np.float32),
            "class": np.int64(1),
            "action_mask": np.ones(4, np.int8),
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._observation(), {}

    def step(self, action):
        self._steps += 1
        return self._observation(), 0.0, self._steps == 10, False, {}


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_record_columns_are_as_predicted(variant, storage):
    algorithm = tiny_config(
        Pictures, variant=variant, replay_buffer_config={"capacity": 2000, "storage": storage}
    ).build_algo()
    try:
        module = algorithm.learner_group._learner.module["default_policy"]
        predicted = record_specs(
            module.observations.layout,
            module.actions.layout,
            module.settings if variant == "v2" else None,
        )
        # Sampled without an update, which would have to be compiled.
        algorithm._store(algorithm._sample())
        stored = algorithm.replay_buffer.storage
        metrics = algorithm.replay_capacity.metrics()
    finally:
        algorithm.stop()
    assert predicted == stored.specs
    assert {name for name in predicted if name.startswith("latent/")} == (
        {"latent/h", "latent/index"} if variant == "v2" else set()
    )
    if storage == "memory":
        assert metrics["num_bytes_at_capacity"] == 2000 * stored.record_bytes
        assert metrics["num_bytes_of_machine"] == machine_memory()
    else:
        # The recurrent state of so small a model is not worth a file.
        assert set(in_files(predicted)) == {"obs/picture"}
        assert metrics["num_bytes_at_capacity"] == 2000 * 64 * 64 * 3
        assert metrics["num_bytes_of_disk"] > 0


@pytest.fixture(scope="module")
def module():
    algorithm = tiny_config(Pictures).build_algo()
    yield algorithm.learner_group._learner.module["default_policy"]
    algorithm.stop()


@pytest.mark.parametrize("beside", [True, False])
def test_checkpoints_are_counted_where_they_are_on_the_same_disk(
    module, tmp_path, caplog, monkeypatch, beside
):
    options = {"capacity": 10_000, "storage": "disk"}
    if not beside:
        options["directory"] = str(tmp_path)
    config = tiny_config(Pictures, replay_buffer_config=options)
    # 123 MB of pictures, and 3 checkpoints with the other columns, too.
    monkeypatch.setattr(replay_capacity, "free_bytes", lambda _: int(6e8))
    with caplog.at_level(logging.INFO, logger=replay_capacity.__name__):
        room = replay_capacity.check_replay_capacity(
            config, replay_capacity.specs_of_module(module, 0), tmp_path
        )
    log = "\n".join(record.getMessage() for record in caplog.records)
    warned = any(record.levelno == logging.WARNING for record in caplog.records)
    assert warned == beside
    assert ("With 3 checkpoints on the same disk it is 0.49 GB." in log) == beside
    assert "Each checkpoint needs up to 0.12 GB of disk for replay" in log
    assert room.metrics()["num_bytes_of_checkpoint"] > room.metrics()["num_bytes_at_capacity"]


@pytest.mark.parametrize(
    ("options", "records"),
    [
        ({}, 2000),
        ({"capacity_bytes": "auto"}, 2000),
        ({"capacity": 5_000, "capacity_bytes": "auto"}, 2000),
        ({"capacity": 1_000, "capacity_bytes": "auto"}, 1000),
        ({"capacity": 3_000}, 3000),
    ],
)
def test_replay_takes_half_of_the_memory_unless_a_capacity_is_set(
    module, caplog, monkeypatch, options, records
):
    specs = replay_capacity.specs_of_module(module, 0)
    config = tiny_config(Pictures, replay_buffer_config=options)
    memory = 4001 * bytes_of(specs)
    monkeypatch.setattr(replay_capacity, "machine_memory", lambda: memory)
    with caplog.at_level(logging.WARNING, logger=replay_capacity.__name__):
        capacity = replay_capacity.check_replay_capacity(config, specs, None)
    assert capacity.need.records == records
    limited = "Replay is limited to 2,000 records" in caplog.text
    assert limited == (records == 2000)


def test_images_on_disk_take_none_of_the_memory(module, tmp_path, monkeypatch):
    specs = replay_capacity.specs_of_module(module, 0)
    config = tiny_config(Pictures, replay_buffer_config={"storage": "disk"})
    in_memory = bytes_of(specs) - bytes_of(in_files(specs))
    monkeypatch.setattr(replay_capacity, "machine_memory", lambda: 2 * 5000 * in_memory)
    capacity = replay_capacity.check_replay_capacity(config, specs, tmp_path)
    assert capacity.need.records == 5000
    assert capacity.need.bytes == 5000 * bytes_of(in_files(specs))


def test_a_memory_too_small_to_begin_learning_is_refused(module, monkeypatch):
    specs = replay_capacity.specs_of_module(module, 0)
    monkeypatch.setattr(replay_capacity, "machine_memory", lambda: bytes_of(specs))
    with pytest.raises(ConfigError, match="Replay needs up to"):
        replay_capacity.check_replay_capacity(
            tiny_config(Pictures, replay_buffer_config={}), specs, None
        )


def test_the_limit_of_the_memory_reaches_replay(monkeypatch, build):
    monkeypatch.setattr(replay_capacity, "machine_memory", lambda: 10**6)
    algorithm = build(tiny_config(Pictures, replay_buffer_config={}))
    algorithm._store(algorithm._sample())
    stored = algorithm.replay_buffer.storage
    assert stored.capacity == 5 * 10**5 // stored.record_bytes
    # What the run's folder repeats means the same.
    written = algorithm.config.replay_buffer_options()
    assert tiny_config(replay_buffer_config=written).replay_buffer_options() == written


def too_large(storage):
    # More than any machine has, in memory or on disk.
    return tiny_config(replay_buffer_config={"capacity": 10**16, "storage": storage})


@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_what_no_machine_has_is_refused_before_any_record(storage):
    # CartPole has no column that is worth a file: with files, too, all of it is in memory.
    with pytest.raises(ConfigError, match=r"Replay needs up to .* this machine has .* GB\. .*Set"):
        too_large(storage).build_algo()


def test_a_disk_that_is_too_small_is_refused(tmp_path):
    # 39 TB of images; the other columns take a few GB of memory.
    options = {"capacity": 5 * 10**7, "storage": "disk", "directory": str(tmp_path / "files")}
    config = tiny_config(Pictures, image_size=512, replay_buffer_config=options)
    with pytest.raises(ConfigError, match=r"Replay needs up to 39,.*/files has room for .*Set"):
        config.build_algo()
    assert not (tmp_path / "files").exists()


def test_tune_refuses_it_with_the_same_message(tmp_path):
    run_config = ray.tune.RunConfig(storage_path=str(tmp_path), verbose=0)
    results = ray.tune.Tuner(
        "DreamerV3", param_space=too_large("memory"), run_config=run_config
    ).fit()
    (error,) = results.errors
    assert "Replay needs up to" in str(error)
    assert "this machine has" in str(error)
