"""What makes a config wrong: RLlib's options, DreamerV3's own, and the environment."""

from typing import Any

from rllib_dreamerv3.envs.registry import check_environment
from rllib_dreamerv3.options.checks import check_options
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.registered_environments import (
    is_registered_with_tune,
    register_class,
)
from rllib_dreamerv3.plugin.rllib_options import check_rllib_options


def check(config: Any) -> None:
    """Checks all options.

    Raises:
        ConfigError: For the first option that is wrong; says what it may be.
    """
    check_rllib_options(config)
    check_options({name: getattr(config, name) for name in OPTIONS}, config.num_environments)
    # Fails here, in the user's own process, and not later in an env runner's.
    if (
        isinstance(config.env, str)
        and not is_registered_with_tune(config.env)
        and not register_class(config.env)
    ):
        check_environment(config.env, config.env_config)
