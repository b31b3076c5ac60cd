"""Checks before a trial starts: the spaces of its environment, and the size of its replay."""

from contextlib import suppress
from pathlib import Path

import gymnasium as gym

from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.replay_capacity import record_specs, replay_capacities
from rllib_dreamerv3.plugin.sampling.environments import env_context, make_environments
from rllib_dreamerv3.replay.memory import check_space
from rllib_dreamerv3.spaces.codecs import make_codecs


def check_before_trial(config: DreamerV3Config, directory: Path | None) -> None:
    """Check the spaces of the environment, or of recorded data without one, and replay's size.

    The trial makes the same checks, but only after its processes have started. Environment and
    replay must be on this machine.

    Args:
        config: A validated config; it is not changed.
        directory: Directory of the results, which replay's files are written to by default; None if
            it is not on this machine.

    Raises:
        ConfigError: If replay does not fit, or a space differs from that in the config.
        EnvironmentDataError: If the created object is not an environment with spaces.
        EnvironmentFailedError: If the environment cannot be created.
        SpaceError: If a space is not supported.
    """
    spaces = (config.observation_space, config.action_space)
    if config.env is not None:
        spaces = _spaces_of_env(config)
    settings, replay = config.model_settings(), config.replay_buffer_options()
    observations, actions = make_codecs(*spaces, **config.codec_options())
    stores_latents = config.resolved("replay_context") > 0
    specs = record_specs(observations.layout, actions.layout, settings if stores_latents else None)
    files = None
    if replay["storage"] == "disk":
        files = Path(replay["directory"]) if replay["directory"] else directory
        if files is None:
            return
        files = files.expanduser().absolute()
    for capacity in replay_capacities(config, specs, files):
        check_space(*capacity)


def _spaces_of_env(config: DreamerV3Config) -> tuple[gym.Space, gym.Space]:
    """Create one environment, close it, and return its spaces."""
    one = config.copy(copy_frozen=False)
    one.render_env = False
    if gym.VectorizeMode(one.gym_env_vectorize_mode) != gym.VectorizeMode.VECTOR_ENTRY_POINT:
        # Neither several environments nor processes for them.
        one.num_envs_per_env_runner, one.gym_env_vectorize_mode = 1, gym.VectorizeMode.SYNC
    env = make_environments(one, env_context(one, min(1, one.num_env_runners)))
    try:
        return env.single_observation_space, env.single_action_space
    finally:
        with suppress(Exception):
            env.close()
