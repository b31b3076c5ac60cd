"""Each kind of fault, a few times: nothing is lost, mixed, or taken for what it is not.

Runs whose driver or trial is killed are in ``tests/cli/test_resume.py``, signals in
``tests/cli/test_whole_command.py``, flipped bytes in ``tests/integration/test_checkpoints.py``, and
env runners that are killed in ``tests/integration/test_lost_env_runners.py``.
"""

import random
import subprocess

import faults
import pytest

pytestmark = pytest.mark.long


def nothing_wrong(found):
    return not any(count for what, count in found.items() if what != faults.WHILE_WRITING)


@pytest.fixture
def rng():
    return random.Random(0)


def may_mount(folder):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        return False
    subprocess.run(["umount", folder], check=True)
    return True


def test_killed_while_it_saves(rng, tmp_path):
    found = faults.saves(4, rng, tmp_path)
    assert nothing_wrong(found)
    assert found[faults.WHILE_WRITING]


def test_cut_files(rng, tmp_path):
    assert nothing_wrong(faults.damages(3, rng, tmp_path, faults.truncate))


def test_full_disks(rng, tmp_path):
    if not may_mount(tmp_path / "try"):
        pytest.skip("Only root may mount a disk that is small enough to be filled.")
    assert nothing_wrong(faults.full_disks(2, rng, tmp_path))
