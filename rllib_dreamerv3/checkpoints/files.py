"""Where in a checkpoint its parts are, for all who read them: RLlib is not needed for that.

Those of networks and optimizer are where RLlib puts the states of the parts that they belong to. An
exported policy is a checkpoint too, of the networks that act and the critic alone.
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
    """Where the networks of a checkpoint, or of an exported policy, are below its directory."""
    exported = (directory / EXPORTED_NETWORKS_FILE).is_file()
    return EXPORTED_NETWORKS_FILE if exported else NETWORKS_FILE
