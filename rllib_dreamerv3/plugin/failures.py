"""When failures of environments are too many."""

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


def name_of(worker_index: int, *, evaluation: bool) -> str:
    """What an env runner is called in messages."""
    kind = "Evaluation env runner" if evaluation else "Env runner"
    return f"{kind} {worker_index}"
