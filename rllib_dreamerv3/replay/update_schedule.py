"""How many updates are due: the training ratio, kept while records arrive."""

import math
from typing import Any


class UpdateSchedule:
    """Keeps updates in a fixed ratio to records (2023 code).

    The first call that may train answers 1; updates that were not possible before it are not made
    up for. Fractions of an update carry over.
    """

    def __init__(self, updates_per_record: float):
        """Starts with nothing due.

        Args:
            updates_per_record: training_ratio / (B * T).
        """
        self._updates_per_record = updates_per_record
        self._first_record: int | None = None
        self._settled = 0.0
        self._updates = 0

    def due(self, records: int) -> int:
        """Number of updates to do now.

        Args:
            records: Records collected so far; must not decrease.

        Returns:
            Updates that became due since the last call.
        """
        if self._first_record is None:
            self._first_record, self._settled, self._updates = records, float(records), 1
            return 1
        # Without the small term ratios such as 1/3 would lose an update to rounding.
        updates = int((records - self._settled) * self._updates_per_record + 1e-9)
        self._settled += updates / self._updates_per_record
        self._updates += updates
        return updates

    @property
    def updates(self) -> int:
        """Updates that have become due, less those that were cancelled."""
        return self._updates

    def cancel(self, updates: int) -> None:
        """Takes back updates that were due: they are not done, and not made up for."""
        self._updates -= updates

    def room(self, records: int, pending: int, ahead: float) -> float:
        """Records that may still be collected so that updates do not fall behind too far.

        Args:
            records: Records collected so far.
            pending: Updates that are due and not done.
            ahead: Records that may be collected beyond those for which the next update is due.

        Returns:
            Negative if there are more than that; infinite before the first update, and if ``ahead``
            is.
        """
        if self._first_record is None:
            return math.inf
        next_due = self._settled + (1 - pending) / self._updates_per_record
        # As in due(): without the small term some records would be lost to rounding.
        return next_due + ahead - records + 1e-9

    def reached(self, records: int, pending: int = 0) -> float:
        """Updates per record since the first update, the quantity that is being controlled.

        Args:
            records: Records collected so far.
            pending: Updates that are due and not done.
        """
        if self._first_record is None:
            return 0.0
        done = self._updates - pending
        return done / (records - self._first_record + 1 / self._updates_per_record)

    def get_state(self) -> dict[str, Any]:
        """What has been scheduled so far."""
        return {
            "first_record": self._first_record,
            "settled": self._settled,
            "updates": self._updates,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`get_state` gave."""
        self._first_record = state["first_record"]
        self._settled = state["settled"]
        self._updates = state["updates"]
