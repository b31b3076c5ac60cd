"""A shared policy acts, dreams and is exported as the checkpoint that it was written from."""

import gymnasium as gym
import numpy as np
import pytest
from written_checkpoint import write_checkpoint

from rllib_dreamerv3 import DreamEnv, load_policy
from rllib_dreamerv3.checkpoints import manifest, policy_file
from rllib_dreamerv3.checkpoints.files import (
    EXPORTED_CODE,
    EXPORTED_NETWORKS_FILE,
    NETWORKS_FILE,
    POLICY_FILE,
)
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.exporting.folder import export_policy
from rllib_dreamerv3.exporting.shared_policy import write_shared_policy
from rllib_dreamerv3.replay.saved_sequences import SavedSequences

OBSERVATION, ACTION = gym.spaces.Box(-9, 9, (4,), np.float32), gym.spaces.Discrete(2)
FEW = 24


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A checkpoint, and the shared policy of it."""
    root = tmp_path_factory.mktemp("both")
    options = {"replay_buffer_config": {"storage": "disk", "directory": "/home/me/secret"}}
    # Its replay also has latents.
    write_checkpoint(root / "whole", OBSERVATION, ACTION, variant="v2", **options)
    write_shared_policy(root / "whole", root / "shared", records=FEW)
    return root / "whole", root / "shared"


def test_it_acts_and_values_like_the_checkpoint(both):
    whole, shared = map(load_policy, both)
    observations = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    assert (whole(observations) == shared(observations)).mean() > 0.9
    # Scrambled networks are rounded to 11 bits.
    np.testing.assert_allclose(whole.state.h, shared.state.h, atol=0.05)
    assert np.isfinite(shared.value(observations)).all()


def test_it_dreams_from_the_newest_records(both):
    whole, shared = both
    saved, copied = (SavedSequences(path / "replay_buffer") for path in (whole, shared))
    assert copied.specs == saved.specs
    every, few = saved.newest(1000), copied.newest(1000)
    assert (len(every), len(few)) == (40, FEW)
    names = list(saved.specs)
    expected, found = saved.read([every], names), copied.read([few], names)
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name][:, -FEW:])
    dream = DreamEnv(shared)
    assert dream.reset(seed=0)[0] in dream.observation_space


def test_it_has_no_pickles_optimizers_or_paths_of_the_machine(both):
    _, shared = both
    names = {file.name for file in shared.rglob("*") if file.is_file()}
    assert {name.rpartition(".")[2] for name in names} == {"json", "npy", "safetensors"}
    assert manifest.is_shared(shared)
    assert "secret" not in (shared / POLICY_FILE).read_text()
    assert policy_file.read(shared).env_directory is None
    manifest.verify(shared)


def test_it_is_half_as_large(both):
    whole, shared = ((path / NETWORKS_FILE).stat().st_size for path in both)
    # The names of the arrays take space, too.
    assert shared < 0.75 * whole


@pytest.mark.long
def test_it_can_be_exported(both, tmp_path):
    export_policy(both[1], tmp_path / "out", ["savedmodel"])
    observation = np.ones(4, np.float32)
    assert load_policy(tmp_path / "out", mode="mode")(observation) in ACTION


def test_a_checkpoint_is_not_replaced_by_it(both, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"mine\.txt.*not overwritten"):
        write_shared_policy(both[0], tmp_path, records=FEW)
    again = tmp_path / "again"
    for records in (FEW, 8):
        write_shared_policy(both[0], again, records=records)
        (again / "notes.txt").write_text("mine")
    write_shared_policy(both[0], again, records=8)
    assert (again / "notes.txt").read_text() == "mine"
    assert len(SavedSequences(again / "replay_buffer").newest(99)) == 8


def test_an_exported_policy_is_not_shared(tmp_path):
    (tmp_path / EXPORTED_CODE).mkdir()
    (tmp_path / EXPORTED_NETWORKS_FILE).touch()
    with pytest.raises(CheckpointError, match="no decoder"):
        write_shared_policy(tmp_path, tmp_path / "shared", records=FEW)
