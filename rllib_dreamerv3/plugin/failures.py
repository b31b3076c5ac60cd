"""When failures of environments are too many, and what a process said before it ended."""

from contextlib import suppress

import ray
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

_FORGIVEN_AFTER = 1000


class FailuresInARow:
    """Counts the failures between which nothing went well.

    An episode that ends makes up for all before it, and so do 1,000 env steps without a failure:
    an environment that fails at step 20 of each episode ends a run, one that fails once an hour
    does not.
    """

    def __init__(self, tolerated: int):
        """Starts with none.

        Args:
            tolerated: Failures in a row that end nothing.
        """
        self._tolerated, self._steps = tolerated, 0
        self.count = 0

    def failed(self) -> bool:
        """Counts a failure; returns whether that is one too many."""
        self.count, self._steps = self.count + 1, 0
        return self.count > self._tolerated

    def went_well(self, env_steps: int, episodes: int) -> None:
        """Takes in env steps without a failure, and the number of episodes that ended in them."""
        self._steps += env_steps
        if episodes or self._steps >= _FORGIVEN_AFTER:
            self.count = self._steps = 0

    def __str__(self) -> str:
        """For the end of a message."""
        return (
            f"{self.count} failures in a row are more than "
            f"num_consecutive_env_runner_failures_tolerance={self._tolerated}"
        )


def leave_words(text: str) -> None:
    """Tells the process that waits for this env runner what it is doing, or why it ends.

    Args:
        text: Replaces what was left before; empty for nothing.
    """
    with suppress(Exception):  # There may be no Ray, and nobody who waits.
        actor = ray.get_runtime_context().get_actor_id()
        if actor:
            _internal_kv_put(_key(actor), text, overwrite=True)


def take_words(env_runner: ray.actor.ActorHandle) -> str | None:
    """What an env runner left, and forgets it; None if nothing."""
    with suppress(Exception):
        key = _key(env_runner._actor_id.hex())
        text = _internal_kv_get(key)
        if text:
            _internal_kv_put(key, b"", overwrite=True)
            return str(text.decode())
    return None


def name_of(worker_index: int, *, evaluation: bool) -> str:
    """What an env runner is called in messages."""
    kind = "Evaluation env runner" if evaluation else "Env runner"
    return f"{kind} {worker_index}"


def _key(actor: str) -> str:
    # Its name alone would not do: trials of one sweep all have an env runner 1.
    return f"rllib_dreamerv3/words/{actor}"
