"""Single sequences of a replay checkpoint."""

import numpy as np
import pytest

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import IS_FIRST, IS_LAST, RecordChunk, file_name
from rllib_dreamerv3.replay import checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.replay.saved_sequences import SavedSequences

POSITION, STREAM = "position", "stream"


def saved(directory, streams, episode, gap_at=None):
    """Streams of so many records, written in turns; each record says where it is from."""
    buffer = ReplayBuffer(length=4, capacity_records=1000)
    for begin in range(0, max(streams), 7):
        for number, length in enumerate(streams):
            positions = np.arange(begin, min(begin + 7, length))
            if not len(positions):
                continue
            columns = {
                POSITION: positions,
                STREAM: np.full(len(positions), number),
                IS_FIRST: positions % episode == 0,
                IS_LAST: positions % episode == episode - 1,
            }
            shift = 1000 if gap_at is not None and begin >= gap_at else 0
            buffer.add(RecordChunk(str(number), begin + shift, columns))
    checkpoint.save(buffer, directory)
    return SavedSequences(directory)


def drawn(sequences, rows, length, context=0, seed=0):
    where = sequences.draw(rows, length, context, seed)
    columns = sequences.read(where, [POSITION, STREAM, IS_FIRST])
    assert (columns[STREAM] == columns[STREAM][:, :1]).all()
    assert (np.diff(columns[POSITION], axis=1) == 1).all()
    return columns


def test_records_of_a_sequence_follow_each_other_in_their_stream(tmp_path):
    sequences = saved(tmp_path / "replay", [40, 25], episode=1000)
    columns = drawn(sequences, rows=4, length=10)
    assert columns[POSITION].shape == (4, 10)
    assert set(columns[STREAM][:, 0]) == {0, 1}
    assert len(drawn(sequences, rows=1, length=40)[POSITION]) == 1


def test_sequences_do_not_cross_a_gap(tmp_path):
    sequences = saved(tmp_path / "replay", [28], episode=1000, gap_at=14)
    for seed in range(5):
        columns = drawn(sequences, rows=2, length=14, seed=seed)
        assert sorted(columns[POSITION][:, 0]) == [0, 14]
    with pytest.raises(
        CheckpointError, match=r"not have 15 .* at most 14 are .* at most 14 records\.$"
    ):
        sequences.draw(1, 15, 0, 0)
    with pytest.raises(CheckpointError, match=r"not have 15 consecutive records.*at most 13"):
        sequences.draw(1, 14, 1, 0)


@pytest.mark.parametrize("context", [0, 1])
def test_sequences_within_an_episode_come_first(tmp_path, context):
    sequences = saved(tmp_path / "replay", [60], episode=12)
    for seed in range(5):
        columns = drawn(sequences, rows=2, length=12, context=context, seed=seed)
        assert columns[IS_FIRST].shape == (2, 12 + context)
        assert not columns[IS_FIRST][:, context + 1 :].any()


def test_where_none_is_within_an_episode_few_begin(tmp_path):
    columns = drawn(saved(tmp_path / "replay", [60], episode=10), rows=3, length=20)
    assert columns[IS_FIRST][:, 1:].sum(1).tolist() == [1, 1, 1]


def test_sequences_overlap_only_where_there_is_no_room(tmp_path):
    sequences = saved(tmp_path / "replay", [40], episode=1000)
    for seed in range(5):
        starts = np.sort(drawn(sequences, rows=2, length=10, seed=seed)[POSITION][:, 0])
        assert starts[1] - starts[0] >= 10
    starts = drawn(sequences, rows=8, length=10)[POSITION][:, 0]
    assert len(set(starts)) == 8
    assert len(drawn(sequences, rows=8, length=38)[POSITION]) == 3


def test_the_seed_decides(tmp_path):
    sequences = saved(tmp_path / "replay", [500], episode=1000)
    one, same, other = (drawn(sequences, 3, 10, seed=n)[POSITION] for n in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_columns_that_are_not_there_are_reported(tmp_path):
    sequences = saved(tmp_path / "replay", [20], episode=5)
    where = sequences.draw(1, 5, 0, 0)
    with pytest.raises(CheckpointError, match="has no column 'nothing'"):
        sequences.read(where, ["nothing"])
    (tmp_path / "replay" / file_name(POSITION)).unlink()
    with pytest.raises(CheckpointError, match="incomplete"):
        sequences.read(where, [POSITION])
    with pytest.raises(CheckpointError, match="no directory"):
        SavedSequences(tmp_path / "missing")


def test_an_empty_replay_is_reported(tmp_path):
    checkpoint.save(ReplayBuffer(length=4, capacity_records=10), tmp_path / "replay")
    with pytest.raises(CheckpointError, match=r"at most 0 are consecutive"):
        SavedSequences(tmp_path / "replay").draw(1, 5, 0, 0)


def test_first_records_are_those_of_all_episodes(tmp_path):
    sequences = saved(tmp_path / "replay", [40, 25], episode=10)
    where = sequences.first_records(100, seed=0)
    columns = sequences.read([where], [POSITION, STREAM])
    found = zip(columns[STREAM][0].tolist(), columns[POSITION][0].tolist(), strict=True)
    assert sorted(found) == [(0, n) for n in (0, 10, 20, 30)] + [(1, n) for n in (0, 10, 20)]
    few = sequences.first_records(3, seed=0)
    assert len(set(few.tolist())) == 3
    assert set(few) <= set(where)
