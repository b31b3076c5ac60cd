"""Results of replay under the names that RLlib's former DreamerV3 gave them."""

from collections.abc import Mapping

from rllib_dreamerv3.replay.buffer import ENV_STEPS_ADDED, RECORDS_SAMPLED

# Former name -> that in `ReplayBuffer.metrics`.
_FORMER_NAMES = {
    "capacity": "capacity_records",
    "size_num_episodes": "num_episodes_stored",
    "size_timesteps": "num_env_steps_stored",
    "replayed_steps": RECORDS_SAMPLED,
    "added_steps": ENV_STEPS_ADDED,
}


def under_former_names(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of replay that had another name, under that name.

    Args:
        metrics: What `ReplayBuffer.metrics` gives.

    Returns:
        ``capacity``, ``size_timesteps``, ``replayed_steps`` and ``added_steps`` in steps,
        ``size_num_episodes`` in episodes.
    """
    return {former: metrics[name] for former, name in _FORMER_NAMES.items()}
