import json
from pathlib import Path

import pytest
from ray.rllib.core import (
    COMPONENT_LEARNER,
    COMPONENT_LEARNER_GROUP,
    COMPONENT_OPTIMIZER,
    COMPONENT_RL_MODULE,
    DEFAULT_MODULE_ID,
)

from rllib_dreamerv3.checkpoints import files, policy_file
from rllib_dreamerv3.checkpoints.files import POLICY_FILE
from rllib_dreamerv3.checkpoints.policy_file import PolicyFile
from rllib_dreamerv3.errors import CheckpointError

POLICY = PolicyFile(
    env="CartPole-v1",
    env_class=None,
    env_directory=None,
    options={"model_size": "nano", "seed": None},
    observation_space={"type": "MultiBinary", "n": 2},
    action_space={"type": "Discrete", "n": 2, "start": 0, "dtype": "int64"},
)


def test_what_is_written_is_read(tmp_path):
    policy_file.write(tmp_path, POLICY)
    assert policy_file.read(tmp_path) == POLICY


def test_older_files_have_no_spaces_and_no_directory(tmp_path):
    content = {"env": "CartPole-v1", "env_class": None, "options": {}}
    (tmp_path / POLICY_FILE).write_text(json.dumps(content))
    policy = policy_file.read(tmp_path)
    assert policy.env == "CartPole-v1"
    assert policy.observation_space is policy.action_space is policy.env_directory is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"env": 1, "env_class": 2, "options": 3}'])
def test_damage_is_reported(tmp_path, text):
    (tmp_path / POLICY_FILE).write_text(text)
    with pytest.raises(CheckpointError, match=r"policy\.json is damaged"):
        policy_file.read(tmp_path)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(CheckpointError, match=r"policy\.json is damaged"):
        policy_file.read(tmp_path)


def test_networks_and_optimizers_are_where_rllib_puts_them():
    learner = Path(COMPONENT_LEARNER_GROUP, COMPONENT_LEARNER)
    networks = learner / COMPONENT_RL_MODULE / DEFAULT_MODULE_ID / files.ARRAYS_FILE
    assert Path(files.NETWORKS_FILE) == networks
    assert Path(files.OPTIMIZER_FILE) == learner / COMPONENT_OPTIMIZER / files.ARRAYS_FILE
