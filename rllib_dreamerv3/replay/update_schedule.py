"""The number of due updates, from the training ratio and the number of records."""

import math
from typing import Any

# Updates from recorded data that become due together. With learner processes an iteration lasts
# until all of them are done, since the next batch is drawn ahead.
_TOGETHER = 8


class Pretraining:
    """Counts the updates from recorded data, which come before sampling begins.

    Attributes:
        done: Updates that have been done.
    """

    def __init__(self, updates: float):
        """Start with nothing due.

        Args:
            updates: Number of updates; infinite if sampling never begins.
        """
        self._updates = updates
        self.done = 0

    @property
    def left(self) -> float:
        """Updates that have not been done; sampling begins when there are none."""
        return max(0, self._updates - self.done)

    def due(self) -> int:
        """Return the number of updates to do now."""
        return int(min(_TOGETHER, self.left))

    def count_update(self) -> None:
        """Count an update, unless all have been done."""
        self.done += self.left > 0


class UpdateSchedule:
    """Keeps a fixed ratio of updates to records (2023 code).

    The first call of :meth:`due` returns 1: updates for earlier records are skipped. Fractions of
    an update carry over.
    """

    def __init__(self, updates_per_record: float):
        """Start with nothing due.

        Args:
            updates_per_record: training_ratio / (B * T).
        """
        self._updates_per_record = updates_per_record
        self._first_record: int | None = None
        self._settled = 0.0
        self._updates = 0

    def due(self, records: int) -> int:
        """Return the number of updates to do now.

        Args:
            records: Records collected so far; must not decrease.

        Returns:
            Updates that became due since the last call.
        """
        if self._first_record is None:
            self._first_record, self._settled, self._updates = records, float(records), 1
            return 1
        # The small term keeps ratios such as 1/3 from losing an update to rounding.
        updates = int((records - self._settled) * self._updates_per_record + 1e-9)
        self._settled += updates / self._updates_per_record
        self._updates += updates
        return updates

    @property
    def updates(self) -> int:
        """Updates that have become due, minus cancelled ones."""
        return self._updates

    def cancel(self, updates: int) -> None:
        """Cancel due updates, which will never be done."""
        self._updates -= updates

    def room(self, records: int, pending: int, ahead: float) -> float:
        """Return how many records may still be collected before the next updates are done.

        Args:
            records: Records collected so far.
            pending: Updates that are due and not done.
            ahead: Limit on records beyond those that the next update needs.

        Returns:
            Number of records; negative if the limit is exceeded, infinite before the first update
            and if ``ahead`` is.
        """
        if self._first_record is None:
            return math.inf
        next_due = self._settled + (1 - pending) / self._updates_per_record
        # As in due(): the small term keeps records from being lost to rounding.
        return next_due + ahead - records + 1e-9

    def reached(self, records: int, pending: int = 0) -> float:
        """Return updates per record since the first update.

        Args:
            records: Records collected so far.
            pending: Updates that are due and not done.
        """
        if self._first_record is None:
            return 0.0
        done = self._updates - pending
        return done / (records - self._first_record + 1 / self._updates_per_record)

    def get_state(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "first_record": self._first_record,
            "settled": self._settled,
            "updates": self._updates,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`get_state`."""
        self._first_record = state["first_record"]
        self._settled = state["settled"]
        self._updates = state["updates"]
