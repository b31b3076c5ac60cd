"""Tune's table of a trial's config."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.tune.config_yaml import plain
from rllib_dreamerv3.startup.import_hooks import NAME


def print_changed_options(
    print_config: Callable[..., None], reporter: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Print the changed options of a DreamerV3 trial; all would be 300 lines.

    Args:
        print_config: Tune's own method.
        reporter: Tune's progress reporter.
        args: The trial.
        kwargs: Empty.
    """
    (trial,) = args
    whole = trial.config
    if trial.trainable_name == NAME:
        defaults = plain(DreamerV3Config().to_dict())
        trial.config = {n: x for n, x in plain(whole).items() if x != defaults.get(n)}
    try:
        print_config(trial)
    finally:
        trial.config = whole
