"""Unsupported methods of RLlib's Algorithm, and what to call instead."""

from collections.abc import Callable
from typing import Any, NoReturn

_ACT = (
    "call algorithm.get_module().forward_inference(batch) in a loop, see docs/migrating.md#acting, "
    "or play a checkpoint with `rllib evaluate`."
)
_ONE_AGENT = "DreamerV3 trains the single module of a single agent."
_SAVED = "algorithm.save_to_path() writes the networks as plain files, see docs/checkpoints.md."

REFUSED_METHODS = {
    "compute_single_action": _ACT,
    "compute_actions": _ACT,
    "get_policy": "algorithm.get_module() is the policy's module.",
    "add_policy": _ONE_AGENT,
    "remove_policy": _ONE_AGENT,
    "add_module": _ONE_AGENT,
    "remove_module": _ONE_AGENT,
    "export_model": _SAVED,
    "export_policy_model": _SAVED,
    "export_policy_checkpoint": _SAVED,
    "evaluate_offline": (
        "evaluation on recorded data is not supported; algorithm.evaluate() plays episodes."
    ),
}


def refuse_methods(algorithm: type) -> type:
    """Replace each of :data:`REFUSED_METHODS` of a class by one that raises TypeError."""
    for name, instead in REFUSED_METHODS.items():
        setattr(algorithm, name, _refused(name, instead))
    return algorithm


def _refused(name: str, instead: str) -> Callable[..., NoReturn]:
    def method(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"DreamerV3.{name}() is not supported: {instead}")

    method.__name__, method.__doc__ = name, f"Not supported: {instead}"
    return method
