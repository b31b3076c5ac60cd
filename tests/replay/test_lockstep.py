"""What batches hold when several environments write in lockstep and updates follow their ratio.

With the published batches: 16 sequences of 64 records, in v2 with a context record before them.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from rllib_dreamerv3.records import IS_FIRST, IS_LAST, RecordChunk
from rllib_dreamerv3.replay import ReplayBuffer
from rllib_dreamerv3.replay.update_schedule import UpdateSchedule

B, T = 16, 64
L = 1 + T
BEFORE_LEARNING = 1024
"""Start positions that replay holds before the first update."""


class Served(NamedTuple):
    """A row of a batch.

    Attributes:
        stream: Of which environment, 0 to N - 1.
        positions: Of its records there.
        newest: Position of the newest record of that stream when the row was served.
        queued: Whether it waited in the online queue.
    """

    stream: int
    positions: list[int]
    newest: int
    queued: bool


def run(environments: int, ratio: int, steps: int, *, v2: bool = True) -> list[list[Served]]:
    """Every batch, while each environment writes ``steps`` records, one at a time."""
    buffer = ReplayBuffer(
        length=T, context=int(v2), online_queue=v2, capacity_records=10**6, seed=0
    )
    schedule = UpdateSchedule(ratio / (B * T))
    mark, batches = np.zeros(1, np.bool_), []
    for step in range(steps):
        for i in range(environments):
            columns = {"stream": np.array([i]), "position": np.array([step])}
            columns |= {IS_FIRST: mark, IS_LAST: mark}
            buffer.add(RecordChunk(str(i), step, columns))
        if buffer.num_windows < BEFORE_LEARNING:
            continue
        for _ in range(schedule.due((step + 1) * environments)):
            waiting = len(buffer.online_queue.stored()) if buffer.online_queue else 0
            columns, windows = buffer.sample(B)
            assert (columns["stream"] == columns["stream"][:, :1]).all()
            batches.append(
                [
                    Served(
                        int(columns["stream"][b, 0]),
                        columns["position"][b].tolist(),
                        step,
                        b < waiting,
                    )
                    for b in range(len(windows))
                ]
            )
    return batches


@pytest.mark.parametrize(("environments", "ratio"), [(4, 512), (16, 512), (16, 32)])
def test_each_record_is_served_once_as_a_new_one(environments: int, ratio: int) -> None:
    """By the online queue: from the second record of a stream on, without overlap or gap."""
    sequences = 10
    batches = run(environments, ratio, L * sequences + 40)
    rows = [row for batch in batches for row in batch if row.queued]
    times = Counter((row.stream, p) for row in rows for p in row.positions)
    expected = {(i, p) for i in range(environments) for p in range(1, 1 + L * sequences)}
    assert times.keys() == expected
    assert set(times.values()) == {1}
    assert all((row.positions[0] - 1) % L == 0 for row in rows)


@pytest.mark.parametrize(("environments", "ratio"), [(4, 512), (16, 512), (16, 32)])
def test_share_of_new_sequences(environments: int, ratio: int) -> None:
    """On average T / (L * ratio); environments in lockstep complete their sequences together."""
    batches = run(environments, ratio, L * 10 + 40)
    # Those that were complete before the first update come all at once.
    first = next(i for i, batch in enumerate(batches) if not all(row.queued for row in batch))
    later = batches[first:]
    queued = np.array([sum(row.queued for row in batch) for batch in later])
    records = environments * (later[-1][0].newest - later[0][0].newest)
    share = queued.sum() / (len(later) * B)
    assert share == pytest.approx(T / (L * ratio), abs=environments / (records / 1024 * ratio * B))
    # Nothing comes in twos and threes: all that were completed by one step, or nothing.
    assert set(queued.tolist()) == {0, min(B, environments)}
    # They are served by the first update after their last record.
    new = [row for batch in later for row in batch if row.queued]
    assert max(row.newest - row.positions[-1] for row in new) <= 1024 / ratio / environments


def test_all_else_is_uniform() -> None:
    """Of v1 all rows, of v2 those that the queue lacks: no place is likelier than another."""
    for v2 in (False, True):
        batches = run(4, 512, 700, v2=v2)
        places = [
            row.positions[0] / (row.newest - (L if v2 else T) + 1)
            for batch in batches
            for row in batch
            if not row.queued
        ]
        counts, _ = np.histogram(places, 10, (0.0, 1.0 + 1e-9))
        assert len(places) > 8000
        np.testing.assert_allclose(counts / len(places), 0.1, atol=0.015)
        assert any(row.queued for batch in batches for row in batch) == v2
