"""Parts of a checkpoint that are plain files."""

from pathlib import Path

import numpy as np
import pytest

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.plugin.checkpoints.components import ArrayFiles, CounterFiles, FileComponent

COUNTERS = {
    "records": 11,
    "env_steps": 11,
    "pending_updates": 0,
    "generation": 1,
    "time_total_s": 60.5,
    "update_schedule": {"first_record": 3, "settled": 4.5, "updates": 2},
    "episodes": [],
}
COMPONENTS = {
    "arrays.safetensors": lambda: ArrayFiles(lambda: {"x": np.zeros(1)}, lambda _: None),
    "counters.json": lambda: CounterFiles(lambda: COUNTERS, lambda _: None),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_files_of_others_are_kept(tmp_path: Path, name: str):
    """Their names are no sign that all of a folder is a checkpoint's."""
    component: FileComponent = COMPONENTS[name]()
    (tmp_path / name).write_text("of something else")
    (tmp_path / "notes.txt").write_text("mine")
    component.save_to_path(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    component.restore_from_path(tmp_path)


def test_other_folder_is_not_overwritten(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for make in COMPONENTS.values():
        with pytest.raises(CheckpointError, match="not overwritten"):
            make().save_to_path(tmp_path)
