"""Status and fatal errors of env runners, passed through Ray's key-value store.

Each message is read once.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_put,
)

from rllib_dreamerv3.errors import (
    CallbackFailedError,
    EnvironmentDataError,
)


def post_status(text: str) -> None:
    """Post the status of this env runner for the driver: what it is doing, or why it ends.

    Args:
        text: Replaces the previous status; empty to clear it.
    """
    actor = this_actor()
    if actor:
        with suppress(Exception):
            _internal_kv_put(_key(actor), text, overwrite=True)


def take_status(env_runner: ray.actor.ActorHandle) -> str | None:
    """Return and clear the status that an env runner posted; None if there is none."""
    with suppress(Exception):
        key = _key(env_runner._actor_id.hex())
        text = _internal_kv_get(key)
        if text:
            _internal_kv_put(key, b"", overwrite=True)
            return str(text.decode())
    return None


_FATAL: dict[str, type[Exception]] = {
    each.__name__: each for each in (CallbackFailedError, EnvironmentDataError)
}
"""Errors that a restart of the env runner would only repeat."""


@contextmanager
def fatal_errors_posted() -> Iterator[None]:
    """Post an error of the user's code, which a restart of this env runner would only repeat."""
    try:
        yield
    except tuple(_FATAL.values()) as error:
        actor = this_actor()
        if actor:
            with suppress(Exception):
                _internal_kv_put(_fatal_key(actor), f"{type(error).__name__}\n{error}")
        raise


def raise_fatal_error(env_runner: ray.actor.ActorHandle, name: str) -> None:
    """Raise the error that an env runner has posted with :func:`fatal_errors_posted`, if any.

    Args:
        env_runner: The env runner.
        name: Its name in messages.

    Raises:
        CallbackFailedError: If a callback has raised an exception.
        EnvironmentDataError: If an environment has returned invalid values.
    """
    key = _fatal_key(env_runner._actor_id.hex())
    if text := _internal_kv_get(key):
        _internal_kv_del(key)
        kind, _, message = text.decode().partition("\n")
        raise _FATAL[kind](f"{name}: {message}")


def this_actor() -> str | None:
    """Return the id of the actor that this process is; None if it is none."""
    # get_runtime_context() would start Ray.
    return ray.get_runtime_context().get_actor_id() if ray.is_initialized() else None


def _key(actor: str) -> str:
    # By actor id, since every trial of a sweep has an env runner 1.
    return f"rllib_dreamerv3/status/{actor}"


def _fatal_key(actor: str) -> str:
    return f"rllib_dreamerv3/fatal/{actor}"
