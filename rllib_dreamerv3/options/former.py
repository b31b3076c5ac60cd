"""Options of RLlib's former DreamerV3 that have no effect here, and the messages for them.

Each is accepted where it asks for what happens anyway, so that configs move over unchanged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from rllib_dreamerv3.errors import ConfigError


class FormerOption(NamedTuple):
    """An option that is no longer one.

    Attributes:
        is_harmless: Whether a value asks for nothing but what happens anyway.
        instead: What to do about any other value.
    """

    is_harmless: Callable[[Any], bool]
    instead: str


FORMER_OPTIONS = {
    "use_float16": FormerOption(
        lambda x: x is False,
        'set compute_dtype: "bfloat16" instead, which needs no scaling of losses.',
    ),
    "use_curiosity": FormerOption(
        lambda x: x is False,
        "exploration by disagreement of models (Plan2Explore) is not part of this package; "
        "entropy_scale is what makes the actor explore.",
    ),
    "intrinsic_rewards_scale": FormerOption(
        # It had a meaning only together with use_curiosity.
        lambda x: isinstance(x, int | float),
        "it has to be a number, which then has no effect.",
    ),
    "gc_frequency_train_steps": FormerOption(
        lambda x: x is None or isinstance(x, int),
        "it has to be a whole number, which then has no effect: memory needs no such care here.",
    ),
}


def check_former_option(name: str, value: Any) -> None:
    """Lets a former option pass where it asks for nothing.

    Raises:
        ConfigError: If it asks for something that does not exist here; says what does.
    """
    if not FORMER_OPTIONS[name].is_harmless(value):
        raise ConfigError(f"{name}: {value!r} is not offered: {FORMER_OPTIONS[name].instead}")
