"""The queue of new sequences, which are served before drawn ones."""

from collections import deque
from collections.abc import Iterable

from rllib_dreamerv3.replay.storage import Segment, Window


class OnlineQueue:
    """First-in first-out queue of new, non-overlapping sequences of L records.

    The first sequence of a segment begins at its second record, the next ones follow without
    overlap; a sequence joins the queue with its last record. So record m * L, counted from 0 at the
    segment's origin, completes sequence m = 1, 2, ..., and record 0 is in none. Source: 2025 code.

    Sequences of which records have been evicted are never served.

    Attributes:
        sequence_length: Records of a sequence, L.
    """

    def __init__(self, sequence_length: int):
        self.sequence_length = sequence_length
        self._windows: deque[Window] = deque()

    def extend(self, segment: Segment, num_new: int) -> None:
        """Queue the sequences of a segment that its newest records complete.

        Args:
            segment: The segment with the new records.
            num_new: Number of new records at its end.
        """
        # Limits the queue to stored records, even if `pop` is never called.
        while self._windows and not self._windows[0].is_stored:
            self._windows.popleft()
        newest = segment.end - 1 - segment.origin
        complete_before = max(0, newest - num_new) // self.sequence_length
        for sequence in range(complete_before, newest // self.sequence_length):
            window = Window(segment, segment.origin + 1 + sequence * self.sequence_length)
            if window.is_stored:
                self._windows.append(window)

    def pop(self, most: int) -> list[Window]:
        """Remove and return up to ``most`` sequences that are completely stored, oldest first."""
        taken: list[Window] = []
        while self._windows and len(taken) < most:
            window = self._windows.popleft()
            if window.is_stored:
                taken.append(window)
        return taken

    def stored(self) -> list[Window]:
        """Return the queued sequences that can still be served, oldest first."""
        return [window for window in self._windows if window.is_stored]

    def replace(self, windows: Iterable[Window]) -> None:
        """Replace the content of the queue, oldest first."""
        self._windows = deque(windows)
