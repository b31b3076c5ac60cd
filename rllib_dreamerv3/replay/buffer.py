"""The replay buffer: serves drawn sequences, optionally preceded by new ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from rllib_dreamerv3.records import (
    IS_FIRST,
    IS_LAST,
    MODEL_LOSS,
    Columns,
    RecordChunk,
    is_recorded,
)
from rllib_dreamerv3.replay.column_specs import ColumnSpec
from rllib_dreamerv3.replay.constant_columns import ConstantColumns
from rllib_dreamerv3.replay.online_queue import OnlineQueue
from rllib_dreamerv3.replay.reward_range import RewardRange
from rllib_dreamerv3.replay.selectors import make_selector
from rllib_dreamerv3.replay.start_positions import StartPositions
from rllib_dreamerv3.replay.storage import Storage, Window

ENV_STEPS_ADDED = "num_env_steps_added_lifetime"
EPISODES_ADDED = "num_episodes_added_lifetime"
RECORDS_SAMPLED = "num_records_sampled_lifetime"
LIFETIME_COUNTERS = (ENV_STEPS_ADDED, EPISODES_ADDED, RECORDS_SAMPLED)

_LOSS_SPEC = ColumnSpec(np.dtype(np.float32), ())


class SampledSequences(NamedTuple):
    """A sampled batch.

    Attributes:
        columns: Column name -> new array ``[B, K+T, ...]`` of the stored dtype: the K context
            records, then the T training records.
        windows: Position of each of the B sequences, for `ReplayBuffer.write_back`.
    """

    columns: Columns
    windows: list[Window]


class ReplayBuffer:
    """Replay of sequences of consecutive records, which may cross episode boundaries.

    A sequence is K context records followed by T training records. It never crosses a gap in its
    stream and never mixes streams. Sequences are drawn with replacement; by default each start
    position, the "item" of the literature, is equally likely. Source: 2023 code and 2025 code (the
    papers only say "uniform replay"). ``selectors.py`` has the other ways of drawing.

    With an online queue, its sequences are served before any are drawn, so that new records are
    trained on soon after they arrive. Source: 2025 code.

    Streams share the capacity, first in, first out. Records are evicted in chunks of at most 1/32
    of the capacity (1024 records, 1 MiB), oldest chunk first; the capacity is never exceeded, and
    once full, less than one chunk of it is unused.

    Not thread-safe.

    Attributes:
        length: Training records of a sequence, T.
        context: Context records before them, K.
        storage: The stored records.
        online_queue: New sequences not served yet; None without an online queue.
        selector: Draws all other sequences.
        rng: Random generator of all draws.
        lifetime: Counters that only grow, by their names in `metrics`.
        rewards: The range of all rewards so far, including evicted records.
    """

    def __init__(
        self,
        *,
        length: int,
        context: int = 0,
        online_queue: bool = False,
        sampling: Mapping[str, float] = MappingProxyType({"uniform": 1.0}),
        capacity_records: int,
        capacity_bytes: int | None = None,
        needed_records: int = 0,
        directory: Path | None = None,
        seed: int | None = None,
    ):
        """Create an empty buffer; memory is allocated as records arrive.

        Args:
            length: Training records of a sequence, T.
            context: Context records before them, K: 1 if sequences start from the latents stored
                with the record before (2025 code), 0 if they start without latents (2023 code).
            online_queue: Whether to serve new sequences before drawn ones.
            sampling: Share of the drawn sequences that each selector chooses, by its name in
                `SELECTORS`; they sum to 1.
            capacity_records: Limit on records over all streams.
            capacity_bytes: Limit on bytes of records; None for no limit.
            needed_records: Records that must fit into ``capacity_bytes``; `add` raises if the first
                records show that they do not.
            directory: Directory for the files of large columns; None to keep all in memory.
            seed: Seed of the draws; None for a different one each time.

        Raises:
            ValueError: If the capacity cannot hold one sequence, or ``length``, ``context`` or
                ``sampling`` is invalid.
        """
        if length < 1:
            raise ValueError(f"A sequence must have at least 1 training record, not {length}.")
        if context not in (0, 1):
            raise ValueError(f"A sequence has 0 or 1 context records, not {context}.")
        self.length = length
        self.context = context
        self.storage = Storage(
            sequence_length=self.sequence_length,
            capacity_records=capacity_records,
            capacity_bytes=capacity_bytes,
            needed_records=needed_records,
            directory=directory,
        )
        self.online_queue = OnlineQueue(self.sequence_length) if online_queue else None
        self._starts = StartPositions(self.storage, self.sequence_length)
        self.selector = make_selector(sampling, self.storage, self._starts, length)
        self.rng = np.random.default_rng(seed)
        self.lifetime = dict.fromkeys(LIFETIME_COUNTERS, 0)
        self.rewards = RewardRange()
        self._constant = ConstantColumns()

    @property
    def sequence_length(self) -> int:
        """Number of records of a sequence, K + T."""
        return self.context + self.length

    @property
    def num_records(self) -> int:
        """Number of stored records."""
        return self.storage.num_records

    @property
    def num_windows(self) -> int:
        """Number of positions at which a sequence can start."""
        return len(self._starts)

    @property
    def num_bytes(self) -> int:
        """Bytes of the stored records."""
        return self.storage.num_records * self.storage.record_bytes

    @property
    def can_sample(self) -> bool:
        """Whether there is at least one sequence."""
        return self.num_windows > 0

    def add(self, chunk: RecordChunk, *, queue: bool = True) -> None:
        """Store a copy of consecutive records of one stream.

        If they do not start at the end of their stream, there is a gap, and no sequence will
        contain records from both sides of it.

        Args:
            chunk: The records. The first ones ever added determine the columns.
            queue: Whether their sequences go to the online queue, if there is one.

        Raises:
            ValueError: If the columns contradict each other, or those of earlier records. The
                buffer is unchanged then.
        """
        segment = self.storage.append(chunk)
        if segment is not None:
            self._constant.add(chunk.columns)
            self.rewards.add(chunk.columns)
            if self.online_queue is not None and queue:
                self.online_queue.extend(segment, len(chunk))
            self.selector.extend(segment, len(chunk))
        self.lifetime[ENV_STEPS_ADDED] += chunk.env_steps()
        self.lifetime[EPISODES_ADDED] += int(np.count_nonzero(chunk.columns[IS_FIRST]))

    def sample(self, batch_size: int) -> SampledSequences:
        """Take sequences from the online queue, and draw the rest.

        Args:
            batch_size: Number of sequences, B.

        Returns:
            The sequences, oldest of the online queue first. ``is_first[:, 0]`` is always True,
            because a sequence has no state from before its first record, whether that is a context
            record or not (2023 and 2025 code).

        Raises:
            ValueError: If no segment has K + T records yet, or ``batch_size`` is not positive.
                Nothing changes then.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, not {batch_size}.")
        self._require_a_sequence()
        queued = self.online_queue.pop(batch_size) if self.online_queue is not None else []
        windows = queued + self.selector.draw(batch_size - len(queued), self.rng)
        columns = self.storage.gather(windows, self.sequence_length)
        columns[IS_FIRST][:, 0] = True
        self.lifetime[RECORDS_SAMPLED] += batch_size * self.length
        return SampledSequences(columns, windows)

    def write_back(self, windows: Sequence[Window], columns: Columns) -> None:
        """Store what an update computed for the training records of sampled sequences.

        Sequences are written in order: where they overlap, the last one wins. Records evicted since
        they were sampled are skipped. Source: 2025 code, which writes one update late.

        Args:
            windows: Positions of the B sequences, see `SampledSequences`.
            columns: Column name -> array ``[B, T, ...]``, without the context records: values of
                the stored dtype and shape that replace the stored ones, such as refreshed latents;
                and `MODEL_LOSS`, float32, which the selector may depend on. Other columns are
                unchanged.

        Raises:
            ValueError: If a column is unknown, has another dtype or shape, marks episodes
                (``is_first``, ``is_last``), or is a loss that is not finite. Nothing changes then.
        """
        for name, column in columns.items():
            self._check_write_back(name, column, len(windows))
        if stored := {name: column for name, column in columns.items() if name != MODEL_LOSS}:
            training = [Window(segment, start + self.context) for segment, start in windows]
            self.storage.scatter(training, self.length, stored)
        if MODEL_LOSS in columns:
            self.selector.update(windows, columns[MODEL_LOSS])

    def metrics(self) -> dict[str, float]:
        """Return counters, under RLlib's names where there are any.

        Returns:
            ``num_env_steps_stored`` (executed actions: records that do not end an episode),
            ``num_episodes_stored`` (episodes whose first record is stored), ``num_records``,
            ``num_windows`` (start positions of sequences), ``num_segments`` (of consecutive
            records), ``num_bytes``, ``capacity_records`` (reduced to the limit in bytes, once the
            size of a record is known), ``num_env_steps_added_lifetime``,
            ``num_env_steps_evicted_lifetime``, ``num_episodes_added_lifetime``,
            ``num_records_sampled_lifetime`` (B * T for each sample), and
            ``constant_observations`` (share of the observation columns with the same value in all
            records added by this process). Once there is a reward, ``reward_min`` and
            ``reward_max`` (of all records so far, stored or not). If there are any,
            ``num_records_recorded`` (records of recorded data). With an online queue also
            ``num_windows_queued`` (sequences in it).
        """
        stored = self.storage.num_records - self.storage.num_last
        counters = {
            "num_env_steps_stored": stored,
            "num_episodes_stored": self.storage.num_first,
            "num_records": self.num_records,
            "num_windows": self.num_windows,
            "num_segments": len(self.storage.segments),
            "num_bytes": self.num_bytes,
            "capacity_records": self.storage.capacity,
            "num_env_steps_evicted_lifetime": self.lifetime[ENV_STEPS_ADDED] - stored,
            **self.lifetime,
            "constant_observations": self._constant.share,
            **self.rewards.metrics(),
        }
        recorded = [len(x) for x in self.storage.segments if is_recorded(x.stream)]
        if recorded:
            counters["num_records_recorded"] = sum(recorded)
        if self.online_queue is not None:
            counters["num_windows_queued"] = len(self.online_queue.stored())
        return {name: float(value) for name, value in counters.items()}

    def _check_write_back(self, name: str, column: np.ndarray, num_sequences: int) -> None:
        spec = _LOSS_SPEC if name == MODEL_LOSS else self.storage.specs.get(name)
        if spec is None:
            problem = f"replay stores only {', '.join(self.storage.specs) or 'nothing yet'}"
        elif name in (IS_FIRST, IS_LAST):
            problem = "it marks where episodes begin and end"
        elif not isinstance(column, np.ndarray):
            problem = f"it must be a NumPy array, not {type(column).__name__}"
        else:
            expected = ColumnSpec(spec.dtype, (num_sequences, self.length, *spec.shape))
            found = ColumnSpec(column.dtype, column.shape)
            if found != expected:
                problem = (
                    f"it is {found}, but [sequences, training records, ...] of it is {expected}"
                )
            elif name == MODEL_LOSS and not np.isfinite(column).all():
                problem = "not all of its values are finite"
            else:
                return
        raise ValueError(f"Column {name!r} cannot be written back: {problem}.")

    def _require_a_sequence(self) -> None:
        if not self.can_sample:
            longest = max(map(len, self.storage.segments), default=0)
            raise ValueError(
                f"Replay does not have {self.sequence_length} consecutive records yet: of its "
                f"{self.num_records} records, at most {longest} are consecutive. Add more before "
                "sampling."
            )
