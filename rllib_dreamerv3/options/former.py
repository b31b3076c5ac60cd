"""Options of RLlib's former DreamerV3 that have no effect here, and the messages for them.

Each is accepted if set to its neutral value, so that configs can be reused unchanged.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from rllib_dreamerv3.errors import ConfigError


class FormerOption(NamedTuple):
    """A former option.

    Attributes:
        is_neutral: Whether a value is neutral.
        instead: What to do instead of setting any other value.
    """

    is_neutral: Callable[[Any], bool]
    instead: str


FORMER_OPTIONS = {
    "use_float16": FormerOption(
        lambda x: x is False,
        'set compute_dtype: "auto" instead: bfloat16 where it is faster, without loss scaling.',
    ),
    "gc_frequency_train_steps": FormerOption(
        lambda x: x is None or isinstance(x, int),
        "it must be an integer, which has no effect: garbage collection needs no schedule here.",
    ),
}


def check_former_option(name: str, value: Any) -> None:
    """Accept a former option that is set to its neutral value.

    Raises:
        ConfigError: If it has another value; says what to do instead.
    """
    if not FORMER_OPTIONS[name].is_neutral(value):
        raise ConfigError(f"{name}: {value!r} is not supported: {FORMER_OPTIONS[name].instead}")
