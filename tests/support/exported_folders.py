"""Policies in many formats, which several test files read: each is exported once."""

import fcntl
import functools
import os
from pathlib import Path

import exported
from compiling import compiling

from rllib_dreamerv3.exporting import FORMATS
from rllib_dreamerv3.exporting.folder import export_policy
from rllib_dreamerv3.exporting.loaded_policy import load_policy

# With more steps than usual, all formats are tried with all spaces.
THOROUGH = "EXPORTED_STEPS" in os.environ


def formats_of(name):
    """The formats that a policy is exported in.

    Converting takes longest. Layers of vectors in v1, and single choices, are in other policies
    too that are converted.
    """
    return ["savedmodel"] if name == "v1 vector, choice" and not THOROUGH else [*FORMATS]


def exported_folder(tmp_path_factory, name):
    """The policy of one of ``exported.SPACES`` in its formats; not to be changed.

    It is made once in a session, even if several processes run its tests.
    """
    base = Path(tmp_path_factory.getbasetemp())
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = shared / f"policy-{list(exported.SPACES).index(name)}"
    root.mkdir(exist_ok=True)
    with open(root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "exported").exists():
            checkpoint = exported.write_checkpoint(root / "checkpoint", *exported.SPACES[name])
            with compiling():
                export_policy(checkpoint, root / "exported", formats_of(name))
    return root / "exported"


@functools.cache
def loaded_policy(folder, mode):
    """What load_policy() makes of a folder, compiled once in a process; to be reset with a seed."""
    return load_policy(folder, mode=mode)
