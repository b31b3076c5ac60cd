"""Which new sequences wait to be served before any that are drawn."""

from collections import deque
from collections.abc import Iterable

from rllib_dreamerv3.replay.storage import Segment, Window


class OnlineQueue:
    """First-in first-out queue of new rows of L records, each record in at most one of them.

    The first row of a segment begins at its second record, the next ones follow without overlap;
    a row joins the queue with its last record. So record m * L, counted from 0 at the segment's
    origin, completes row m = 1, 2, ..., and record 0 is in none. Source: 2025 code.

    Rows that lost records to eviction while they waited are never served.

    Attributes:
        row_length: Records of a row, L.
    """

    def __init__(self, row_length: int):
        """Creates an empty queue."""
        self.row_length = row_length
        self._windows: deque[Window] = deque()

    def extend(self, segment: Segment, num_new: int) -> None:
        """Queues the rows of a segment that its newest records complete.

        Args:
            segment: Where the records are.
            num_new: How many of its last records are new.
        """
        # Also without a single `pop`, the queue must not outgrow what is stored.
        while self._windows and not self._windows[0].is_stored:
            self._windows.popleft()
        newest = segment.end - 1 - segment.origin
        complete_before = max(0, newest - num_new) // self.row_length
        for row in range(complete_before, newest // self.row_length):
            window = Window(segment, segment.origin + 1 + row * self.row_length)
            if window.is_stored:
                self._windows.append(window)

    def pop(self, most: int) -> list[Window]:
        """Takes rows out, oldest first.

        Args:
            most: How many to take; fewer if the queue has fewer.

        Returns:
            Places of rows that are stored completely.
        """
        taken: list[Window] = []
        while self._windows and len(taken) < most:
            window = self._windows.popleft()
            if window.is_stored:
                taken.append(window)
        return taken

    def stored(self) -> list[Window]:
        """The rows that wait and can still be served, oldest first."""
        return [window for window in self._windows if window.is_stored]

    def replace(self, windows: Iterable[Window]) -> None:
        """Lets other rows wait instead, oldest first."""
        self._windows = deque(windows)
