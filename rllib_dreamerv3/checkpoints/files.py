"""Where in a checkpoint its parts are, for all who read them: RLlib is not needed for that.

The first two are where RLlib puts the states of the parts that they belong to.
"""

ARRAYS_FILE = "arrays.safetensors"
NETWORKS_FILE = f"learner_group/learner/rl_module/default_policy/{ARRAYS_FILE}"
OPTIMIZER_FILE = f"learner_group/learner/optimizer/{ARRAYS_FILE}"
POLICY_FILE = "policy.json"
REPLAY_DIRECTORY = "replay_buffer"
