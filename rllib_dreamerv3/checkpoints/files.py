"""Paths of the files in a checkpoint, to read them without RLlib.

Networks and optimizer are where RLlib puts the states of their components. An exported policy is
also a checkpoint, with only the acting networks and the critic.
"""

from pathlib import Path

ARRAYS_FILE = "arrays.safetensors"
NETWORKS_FILE = f"learner_group/learner/rl_module/default_policy/{ARRAYS_FILE}"
OPTIMIZER_FILE = f"learner_group/learner/optimizer/{ARRAYS_FILE}"
POLICY_FILE = "policy.json"
EXPORTED_NETWORKS_FILE = "networks.safetensors"
EXPORTED_CODE = "policy_io"
REPLAY_DIRECTORY = "replay_buffer"


def networks_file(directory: Path) -> str:
    """Return the path of the networks within a checkpoint or exported policy."""
    exported = (directory / EXPORTED_NETWORKS_FILE).exists()
    return EXPORTED_NETWORKS_FILE if exported else NETWORKS_FILE
