"""What a trial would refuse because of its environment is refused before it starts."""

from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from tiny import tiny_config

from rllib_dreamerv3.errors import (
    ConfigError,
    EnvironmentDataError,
    EnvironmentFailedError,
    SpaceError,
)
from rllib_dreamerv3.plugin import replay_capacity
from rllib_dreamerv3.plugin.before_trial import check_before_trial


class Images(gym.Env):
    observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    action_space = spaces.Discrete(2)
    made: ClassVar[list["Images"]] = []

    def __init__(self, config=None, render_mode=None):
        self.render_mode, self.closed = render_mode, False
        self.made.append(self)

    def close(self):
        self.closed = True


class Words(Images):
    observation_space = spaces.Text(3)


class Shared(Images):
    """Needs the number of env runners, as those that share files among them do."""

    def __init__(self, config):
        super().__init__()
        assert config.num_workers == 3


class NoSpaces(gym.Env):
    pass


class Broken(Images):
    def __init__(self, config=None):
        raise FileNotFoundError("level.txt")


# A little more than the 12,303 bytes of a record without latents.
RECORD = 12_310


@pytest.fixture
def memory_of_1000_records(monkeypatch):
    monkeypatch.setattr(replay_capacity, "machine_memory", lambda: 1000 * RECORD)
    monkeypatch.setattr(replay_capacity, "free_bytes", lambda directory: 1000 * RECORD)


@pytest.mark.usefixtures("memory_of_1000_records")
@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"capacity": 1000}, True),
        ({"capacity": 1100}, False),
        ({"capacity_bytes": 900 * RECORD}, True),
        ({"capacity_bytes": 1100 * RECORD}, False),
        # By default the capacity is reduced to what fits.
        ({}, True),
        ({"capacity": 1000, "storage": "disk"}, True),
        ({"capacity": 1100, "storage": "disk"}, False),
    ],
)
def test_replay_that_does_not_fit_is_refused(tmp_path, options, fits):
    config = tiny_config(Images, replay_buffer_config=options)
    if fits:
        check_before_trial(config, tmp_path)
        return
    with pytest.raises(ConfigError, match="Replay needs up to"):
        check_before_trial(config, tmp_path)
    # The disk of a remote directory is not known.
    if "storage" in options:
        check_before_trial(config, None)


@pytest.mark.usefixtures("memory_of_1000_records")
def test_without_an_environment_the_spaces_of_the_data_count(tmp_path):
    for capacity, fits in ((1000, True), (1100, False)):
        config = tiny_config(None, replay_buffer_config={"capacity": capacity})
        config.environment(
            observation_space=Images.observation_space, action_space=Images.action_space
        )
        if fits:
            check_before_trial(config, tmp_path)
        else:
            with pytest.raises(ConfigError, match="Replay needs up to"):
                check_before_trial(config, tmp_path)


def test_environments_get_the_number_of_env_runners(tmp_path):
    check_before_trial(tiny_config(Shared).env_runners(num_env_runners=3), tmp_path)


def test_one_environment_is_made_without_a_window_and_closed(tmp_path):
    Images.made.clear()
    config = tiny_config(Images).env_runners(num_envs_per_env_runner=4)
    check_before_trial(config.environment(render_env=True), tmp_path)
    (env,) = Images.made
    assert env.closed
    assert env.render_mode is None
    assert config.num_envs_per_env_runner == 4


@pytest.mark.parametrize(
    ("env", "mask_key", "error", "said"),
    [
        (Words, None, SpaceError, "Text"),
        (NoSpaces, None, EnvironmentDataError, "observation_space of .*NoSpaces must be a space"),
        (Broken, None, EnvironmentFailedError, "Making .*Broken failed: FileNotFoundError: level"),
        ("CartPole-v1", "m", ConfigError, "action_mask_key is 'm'"),
    ],
)
def test_environments_that_cannot_be_used_are_refused(tmp_path, env, mask_key, error, said):
    config = tiny_config(env)
    if mask_key:
        config.environment(action_mask_key=mask_key)
    with pytest.raises(error, match=said):
        check_before_trial(config, tmp_path)
