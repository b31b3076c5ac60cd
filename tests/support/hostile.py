"""Replaces pickles in checkpoints, as an attacker could."""

import pickle

MARKER = "executed"

# What RLlib writes; tests/integration/test_checkpoints.py compares it with a real checkpoint.
_LEARNER = "learner_group/learner"
_MODULE = f"{_LEARNER}/rl_module"
PICKLES = {
    "algorithm_state.pkl",
    "class_and_ctor_args.pkl",
    *(
        f"{part}/{name}"
        for part in (
            "env_runner",
            "env_runner/env_to_module_connector",
            "env_runner/module_to_env_connector",
            "learner_group",
            _LEARNER,
        )
        for name in ("class_and_ctor_args.pkl", "state.pkl")
    ),
    *(
        f"{part}/{name}"
        for part in (_MODULE, f"{_MODULE}/default_policy")
        for name in ("class_and_ctor_args.pkl", "module_state.pkl")
    ),
}


class WritesAFile:
    """Writes a file into the working directory where it is unpickled."""

    def __reduce__(self):
        return open, (MARKER, "w")


def add_pickles(directory):
    """Puts such a pickle wherever a checkpoint has one."""
    for name in PICKLES:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(WritesAFile()))


def pickles_of(directory):
    """Names of all files that are pickles by what is in them, whatever they are called."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix() for path in files if _is_pickle(path)}


def _is_pickle(file):
    return file.suffix in (".pkl", ".pickle") or file.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")
