"""What each option of the config may be: a test, and the words for it in an error."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """A test for a value, and the words for what passes it."""

    test: Callable[[Any], bool]
    words: str


def is_number(x: Any) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(x, int | float) and not isinstance(x, bool)


def is_whole(x: Any) -> bool:
    """Whether a value is a whole number; true and false are not."""
    return isinstance(x, int) and not isinstance(x, bool)


POSITIVE_WHOLE = Limit(lambda x: is_whole(x) and x > 0, "a whole number of at least 1")
_NOT_NEGATIVE_WHOLE = Limit(lambda x: is_whole(x) and x >= 0, "a whole number of at least 0")
_POSITIVE = Limit(lambda x: is_number(x) and x > 0, "a number above 0")
_NOT_NEGATIVE = Limit(lambda x: is_number(x) and x >= 0, "a number of at least 0")
_SHARE = Limit(lambda x: is_number(x) and 0 <= x <= 1, "a number from 0 to 1")
_BOOL = Limit(lambda x: isinstance(x, bool), "true or false")
_RATE = Limit(
    lambda x: _POSITIVE.test(x) or isinstance(x, list | tuple),
    "a number above 0, or a schedule [[env step, rate], ...] that starts at env step 0",
)

LIMITS: dict[str, Limit] = {
    "training_ratio": _POSITIVE,
    "batch_size_B": POSITIVE_WHOLE,
    "batch_length_T": Limit(lambda x: is_whole(x) and x > 1, "a whole number of at least 2"),
    "horizon_H": POSITIVE_WHOLE,
    "gamma": _SHARE,
    "gae_lambda": _SHARE,
    "entropy_scale": _NOT_NEGATIVE,
    "return_normalization_decay": _SHARE,
    "world_model_lr": _RATE,
    "actor_lr": _RATE,
    "critic_lr": _RATE,
    "world_model_grad_clip_by_global_norm": _POSITIVE,
    "actor_grad_clip_by_global_norm": _POSITIVE,
    "critic_grad_clip_by_global_norm": _POSITIVE,
    "symlog_obs": Limit(lambda x: x == "auto" or isinstance(x, bool), '"auto", true or false'),
    "num_steps_sampled_before_learning_starts": _NOT_NEGATIVE_WHOLE,
    "unimix": _SHARE,
    "free_nats": _NOT_NEGATIVE,
    "prediction_loss_scale": _NOT_NEGATIVE,
    "dynamics_loss_scale": _NOT_NEGATIVE,
    "representation_loss_scale": _NOT_NEGATIVE,
    "slow_critic_decay": _SHARE,
    "slow_critic_scale": _NOT_NEGATIVE,
    "replay_critic_scale": _NOT_NEGATIVE,
    "actor_output_scale": _NOT_NEGATIVE,
    "hidden_bias": _BOOL,
    "discount_in_continue": _BOOL,
    "online_queue": _BOOL,
    "random_prefill": _BOOL,
    "replay_context": Limit(lambda x: is_whole(x) and x in (0, 1), "0 or 1"),
    "image_size": POSITIVE_WHOLE,
    "lr": _RATE,
    "lr_warmup": _NOT_NEGATIVE_WHOLE,
    "adaptive_grad_clip": _POSITIVE,
    "report_images_and_videos": _BOOL,
    "report_dream_data": _BOOL,
    "report_individual_batch_item_stats": _BOOL,
    "report_frequency": POSITIVE_WHOLE,
}
