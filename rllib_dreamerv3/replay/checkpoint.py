"""Replay checkpoints: a directory with one plain ``.npy`` file per column, and ``index.json``.

Each column file is an array ``[num_records, ...]`` with the records of all chunks, in the order
in which the chunks began; the index has the segment of each chunk, and the sequences in the online
queue. The state of the selectors is stored as arrays ``[num_records]`` in separate files. There
is no pickle. A buffer with another sequence length can load the records.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rllib_dreamerv3.checkpoints.directory import replacing
from rllib_dreamerv3.checkpoints.manifest import damaged
from rllib_dreamerv3.checkpoints.untrusted import count, number, read_json, require_regular
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import Columns, file_name
from rllib_dreamerv3.replay.buffer import LIFETIME_COUNTERS, ReplayBuffer
from rllib_dreamerv3.replay.column_specs import (
    ColumnSpec,
    Specs,
    check_specs,
    describe_difference,
)
from rllib_dreamerv3.replay.reward_range import RewardRange
from rllib_dreamerv3.replay.storage import Segment, Storage, Window

INDEX = "index.json"
FORMAT = "rllib_dreamerv3.replay"
FORMAT_VERSION = 2


def save(buffer: ReplayBuffer, directory: str | Path) -> None:
    """Write all records of a buffer, its online queue, selectors, counters and random generator.

    Replace an older checkpoint atomically, and use hardly any memory.

    Args:
        buffer: The buffer to save; not changed.
        directory: Target directory; parents are created.

    Raises:
        CheckpointError: If ``directory`` exists and is neither empty nor a replay checkpoint.
        OSError: If the disk is full, or writing is not permitted.
    """
    with replacing(Path(directory), files_of_replay) as written:
        for name, spec in buffer.storage.specs.items():
            _write_column(written / file_name(name), buffer, name, spec)
        for name, column in buffer.selector.state(buffer.storage.all_addresses()).items():
            np.save(written / _selector_file(name), column, allow_pickle=False)
        (written / INDEX).write_text(
            json.dumps(_index_of(buffer), allow_nan=False), encoding="utf-8"
        )


def load(buffer: ReplayBuffer, directory: str | Path) -> None:
    """Replace the content of a buffer by a checkpoint.

    The next `ReplayBuffer.sample` returns what the saved buffer would have returned, if sequences
    have the same length, both or neither have an online queue, both have the same selectors, and
    the capacity suffices (with selectors other than "uniform": is the same); otherwise the newest
    records are kept. A stream continues its segment if its next records start exactly at the saved
    end. A queue of sequences of another length is emptied. The selectors' state for sequences of
    another length is dropped: all count as new.

    Args:
        buffer: The buffer to fill. Its length and capacity are unchanged.
        directory: A directory that `save` wrote.

    Raises:
        CheckpointError: If the directory is not such a checkpoint, is damaged or incomplete, or
            its records do not fit into this buffer or on its disk; the buffer is unchanged then.
            Or if reading failed later; the buffer is empty then.
    """
    source = Path(directory).absolute()
    index, columns = _open(buffer, source)
    state = _open_selector_state(buffer, index, source)
    try:
        segments = buffer.storage.restore(index.specs, index.segments, index.pieces(columns))
    except OSError as error:
        # An incomplete buffer would look like a complete one.
        buffer.storage.clear()
        buffer.selector.restore(buffer.storage.all_addresses(), {})
        raise CheckpointError(
            f"{source} could not be restored. {error.strerror or error}. Replay is empty now."
        ) from error
    if buffer.online_queue is not None:
        fits = index.queue_sequence_length == buffer.sequence_length
        buffer.online_queue.replace(
            Window(segments[segment], start) for segment, start in (index.queue if fits else [])
        )
    buffer.selector.restore(_addresses_of(buffer.storage, segments, index), state)
    buffer.rewards = RewardRange(**index.rewards)
    buffer.lifetime.update(index.lifetime)
    buffer.rng.bit_generator.state = index.rng


def check(buffer: ReplayBuffer, directory: str | Path) -> None:
    """Raise CheckpointError if `load` would reject a checkpoint."""
    source = Path(directory).absolute()
    index, _ = _open(buffer, source)
    _open_selector_state(buffer, index, source)


def _open(buffer: ReplayBuffer, source: Path) -> tuple["Index", Columns]:
    """Open a checkpoint without changing the buffer: the index, and memory-mapped columns."""
    index = read_index(source)
    if index.specs:
        _check_fit(buffer, index, source / INDEX)
    columns = {
        name: open_column(source / file_name(name), spec, index.num_records)
        for name, spec in index.specs.items()
    }
    return index, columns


def _open_selector_state(buffer: ReplayBuffer, index: "Index", source: Path) -> Columns:
    """Read the selector's state; empty if it belongs to sequences of another length."""
    specs = buffer.selector.specs
    if index.selector_sequence_length != buffer.sequence_length:
        return {}
    return {
        name: open_column(source / _selector_file(name), specs[name], index.num_records)
        for name in specs.keys() & index.selector_columns
    }


def _addresses_of(
    storage: Storage, segments: list[Segment], index: "Index"
) -> npt.NDArray[np.int64]:
    """Return the restored addresses of all saved records; -1 for those that do not fit."""
    addresses = np.full(index.num_records, -1, np.int64)
    ends = [start for _, _, start in index.segments]
    done = 0
    for i, records in index.chunks:
        ends[i] += records
        stored = storage.addresses(segments[i], max(segments[i].start, ends[i] - records), ends[i])
        done += records
        addresses[done - len(stored) : done] = stored
    return addresses


@dataclass(frozen=True)
class Index:
    """The validated content of ``index.json``.

    Attributes:
        specs: Column name -> dtype and shape.
        segments: Stream name, origin and start of each segment.
        chunks: Index of the segment, and number of records, of each chunk; oldest first.
        queue: Index of the segment, and start, of each sequence in the online queue; oldest first.
        queue_sequence_length: Records of each sequence in the queue.
        lifetime: The counters of `ReplayBuffer.lifetime`.
        rewards: The least and the greatest so far, as `RewardRange` takes them.
        rng: State of the bit generator.
        selector_columns: Names of the columns with the selectors' state.
        selector_sequence_length: Records of the sequences that this state belongs to.
    """

    specs: Specs
    segments: list[tuple[str, int, int]]
    chunks: list[tuple[int, int]]
    queue: list[tuple[int, int]]
    queue_sequence_length: int
    lifetime: dict[str, int]
    rewards: dict[str, float]
    rng: dict[str, Any]
    selector_columns: list[str]
    selector_sequence_length: int

    @property
    def num_records(self) -> int:
        """Number of records in all chunks."""
        return sum(records for _, records in self.chunks)

    def pieces(self, columns: Columns) -> Iterator[tuple[int, Columns]]:
        """Divide complete columns into the chunks they were written from."""
        start = 0
        for segment, records in self.chunks:
            yield segment, {name: c[start : start + records] for name, c in columns.items()}
            start += records


def _index_of(buffer: ReplayBuffer) -> dict[str, Any]:
    storage = buffer.storage
    segments = storage.segments
    indices: dict[Segment, int] = {segment: i for i, segment in enumerate(segments)}
    queued = buffer.online_queue.stored() if buffer.online_queue is not None else []
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "num_records": storage.num_records,
        "columns": {
            name: {"dtype": spec.dtype.str, "shape": spec.shape}
            for name, spec in storage.specs.items()
        },
        "segments": [[segment.stream, segment.origin, segment.start] for segment in segments],
        "chunks": [[indices[s], chunk.size] for s, chunk in storage.chunks_oldest_first()],
        "online_queue": {
            "row_length": buffer.sequence_length,
            "rows": [[indices[window.segment], window.start] for window in queued],
        },
        "lifetime": buffer.lifetime,
        "rewards": buffer.rewards.metrics(),
        "rng": buffer.rng.bit_generator.state,
        "selectors": {
            "row_length": buffer.sequence_length,
            "columns": list(buffer.selector.specs),
        },
    }


def read_index(source: Path) -> Index:
    """Read and validate the index of a checkpoint.

    Raises:
        CheckpointError: If there is no such checkpoint, or its index is damaged.
    """
    path = source / INDEX
    if not source.is_dir():
        raise CheckpointError(f"There is no directory {source}. Check the path.")
    if not path.is_file():
        raise CheckpointError(
            f"{source} is not a replay checkpoint: it has no {INDEX}. Check the path."
        )
    try:
        raw = read_json(path)
    except OSError as error:
        raise damaged(path, f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise damaged(path, f"it is not valid JSON ({error})") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise CheckpointError(f"{path} does not describe a replay checkpoint. Check the path.")
    if raw.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {raw.get('format_version')!r}; this version of "
            f"rllib_dreamerv3 reads {FORMAT_VERSION}. Restore it with the version that wrote it."
        )
    try:
        index = _parse(raw)
    except KeyError as error:
        raise damaged(path, f"the entry {error} is missing") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(path, str(error)) from error
    return index


def _parse(raw: dict[str, Any]) -> Index:
    """Convert JSON to an index; any error means that the file is damaged."""
    # Older checkpoints lack it: their selector, "uniform", has no state.
    selectors = raw.get("selectors", {"row_length": 0, "columns": []})
    index = Index(
        specs={
            name: ColumnSpec(np.dtype(_text(column["dtype"])), tuple(map(_count, column["shape"])))
            for name, column in raw["columns"].items()
        },
        segments=[
            (_text(stream), _count(origin), _count(start))
            for stream, origin, start in raw["segments"]
        ],
        chunks=[(_count(segment), _count(records)) for segment, records in raw["chunks"]],
        queue=[(_count(segment), _count(start)) for segment, start in raw["online_queue"]["rows"]],
        queue_sequence_length=_count(raw["online_queue"]["row_length"]),
        lifetime={name: _count(value) for name, value in raw["lifetime"].items()},
        # Older checkpoints lack it: the range starts empty.
        rewards={name: number(value, name) for name, value in raw.get("rewards", {}).items()},
        rng=raw["rng"],
        selector_columns=[_text(name) for name in selectors["columns"]],
        selector_sequence_length=_count(selectors["row_length"]),
    )
    if index.num_records != raw["num_records"]:
        raise ValueError(f"its chunks have {index.num_records} records, not {raw['num_records']}")
    if {segment for segment, _ in index.chunks} != set(range(len(index.segments))):
        raise ValueError("its chunks do not belong to its segments")
    if not all(records for _, records in index.chunks):
        raise ValueError("it has a chunk without records")
    if any(origin > start for _, origin, start in index.segments):
        raise ValueError("it has a segment that starts before its own origin")
    _check_queue(index)
    if index.chunks and not index.specs:
        raise ValueError("it has records but no columns")
    if index.lifetime.keys() != set(LIFETIME_COUNTERS):
        raise ValueError(f"its lifetime counters are not {', '.join(LIFETIME_COUNTERS)}")
    for name in index.specs:
        file_name(name).encode()  # Some names cannot be those of files.
    if index.rewards and index.rewards.keys() != {"reward_min", "reward_max"}:
        raise ValueError("its range of rewards is not reward_min and reward_max")
    # Let the generator itself validate the state.
    np.random.default_rng().bit_generator.state = index.rng
    return index


def _check_queue(index: Index) -> None:
    """Raise ValueError if a sequence in the online queue is not among the records."""
    ends = [start for _, _, start in index.segments]
    for segment, records in index.chunks:
        ends[segment] += records
    for segment, start in index.queue:
        if segment >= len(ends):
            raise ValueError("a sequence in its online queue does not belong to its segments")
        if not index.segments[segment][2] <= start <= ends[segment] - index.queue_sequence_length:
            raise ValueError("a sequence in its online queue has missing records")


def _count(value: object) -> int:
    return count(value, "a number of records or bytes")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a name")
    return value


def _check_fit(buffer: ReplayBuffer, index: Index, path: Path) -> None:
    """Raise CheckpointError if columns cannot be stored, or differ from the buffer's."""
    specs = index.specs
    difference = describe_difference(specs, buffer.storage.specs) if buffer.storage.specs else None
    if difference:
        raise CheckpointError(
            f"{path} does not fit this buffer: {difference}. Restore it with the environment and "
            "observation settings that it was saved with."
        )
    try:
        check_specs(specs)
        buffer.storage.check_capacity(specs)
        buffer.storage.check_space(specs, index.num_records)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be restored into this buffer. {error}") from error


def _write_column(path: Path, buffer: ReplayBuffer, name: str, spec: ColumnSpec) -> None:
    shape = (buffer.storage.num_records, *spec.shape)
    header = {"descr": spec.dtype.str, "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for _, chunk in buffer.storage.chunks_oldest_first():
            chunk.read(name).tofile(file)


def _selector_file(name: str) -> str:
    # No column of records has this prefix.
    return file_name(f"selector/{name}")


def open_column(path: Path, spec: ColumnSpec, num_records: int) -> np.ndarray:
    """Map a column file into memory, so that it is read piece by piece.

    Raises:
        CheckpointError: If it is missing, or contradicts the index.
    """
    try:
        require_regular(path)
        column = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The file {path} is missing: the checkpoint is incomplete. Restore another one."
        ) from error
    except Exception as error:  # Whatever NumPy's parser of headers raises.
        raise damaged(path, f"NumPy cannot read it ({error})") from error
    if not isinstance(column, np.memmap):
        raise damaged(path, "it is not an array file")
    expected = ColumnSpec(spec.dtype, (num_records, *spec.shape))
    found = ColumnSpec(column.dtype, column.shape)
    if found != expected:
        raise damaged(path, f"it holds {found} where {INDEX} says {expected}")
    return column


def files_of_replay(directory: Path) -> Collection[str] | None:
    """Names of the files of a replay checkpoint; None for another directory, or a damaged one."""
    try:
        index = read_index(directory)
        files = {INDEX, *map(file_name, index.specs)}
        return files | set(map(_selector_file, index.selector_columns))
    except CheckpointError:
        return None
