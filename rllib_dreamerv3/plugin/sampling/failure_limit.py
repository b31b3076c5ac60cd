"""The limit on consecutive failures of an env runner."""

_FORGIVEN_AFTER = 1000


class ConsecutiveFailures:
    """Counts consecutive failures.

    A completed episode or 1,000 env steps without a failure reset the count: an environment that
    fails at step 20 of each episode ends a run, one that fails once an hour does not.
    """

    def __init__(self, tolerated: int):
        """Start at zero.

        Args:
            tolerated: Failures in a row that do not end the run.
        """
        self._tolerated, self._steps = tolerated, 0
        self.count = 0

    def failed(self) -> bool:
        """Count a failure; return whether the limit is exceeded."""
        self.count, self._steps = self.count + 1, 0
        return self.count > self._tolerated

    def succeeded(self, env_steps: int, episodes: int) -> None:
        """Record env steps without a failure, and the number of episodes that ended in them."""
        self._steps += env_steps
        if episodes or self._steps >= _FORGIVEN_AFTER:
            self.count = self._steps = 0

    def __str__(self) -> str:
        return (
            f"{self.count} failures in a row are more than "
            f"num_consecutive_env_runner_failures_tolerance={self._tolerated}"
        )
