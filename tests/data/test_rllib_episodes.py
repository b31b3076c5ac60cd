"""RLlib's episodes in Parquet files: ours are RLlib's, RLlib's are read, and none is unpickled."""

import pickle
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import msgpack
import msgpack_numpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import NESTED, NUMBERS, episode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_dreamerv3.data.episode import records_of
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.spaces.codecs import make_codecs


def assert_same(found, expected, spaces):
    codecs = make_codecs(*spaces)
    found, expected = records_of(found, *codecs), records_of(expected, *codecs)
    for name, column in expected.items():
        np.testing.assert_array_equal(found[name], column, err_msg=name)


def write_states(path, states):
    rows = [msgpack.packb(state, default=msgpack_numpy.encode) for state in states]
    pq.write_table(pa.table({"item": rows}), path)


def rllibs(seed=0, steps=5, lookback=0):
    """An episode of RLlib with the values of ours."""
    ours = episode(NUMBERS, steps, seed)
    theirs = SingleAgentEpisode(
        observations=list(ours.observations),
        actions=list(ours.actions),
        rewards=list(ours.rewards),
        infos=[{}] * (steps + 1),
        terminated=True,
        len_lookback_buffer=lookback,
    )
    return ours, theirs


@pytest.mark.parametrize("spaces", [NUMBERS, NESTED], ids=["numbers", "nested"])
def test_what_is_written_is_read(tmp_path, spaces):
    written = [episode(spaces, 3 + seed, seed) for seed in range(12)]
    writer = EpisodeWriter(tmp_path / "new" / "folder", spaces, "Some-v0")
    writer.write(written[:9])
    writer.write(written[9:])
    dataset = open_dataset(tmp_path)
    assert (dataset.env, dataset.spaces) == ("Some-v0", spaces)
    for found, expected in zip(dataset.episodes(), written, strict=True):
        assert_same(found, expected, spaces)


@pytest.mark.parametrize("spaces", [NUMBERS, NESTED], ids=["numbers", "nested"])
def test_rllib_reads_what_is_written(tmp_path, spaces):
    expected = episode(spaces, terminated=False, truncated=True)
    path = EpisodeWriter(tmp_path, spaces, None).write([expected])
    (row,) = pq.read_table(path)["item"]
    state = msgpack.unpackb(
        row.as_py(), object_hook=msgpack_numpy.decode, strict_map_key=False, use_list=False
    )
    found = SingleAgentEpisode.from_state(state)
    assert (len(found), found.is_terminated, found.is_truncated) == (5, False, True)
    np.testing.assert_array_equal(found.get_rewards(), expected.rewards)
    last = found.get_observations(-1)
    if spaces is NESTED:
        np.testing.assert_array_equal(last["camera"], expected.observations["camera"][-1])
        np.testing.assert_array_equal(last["arm"][1], expected.observations["arm"][1][-1])
    else:
        np.testing.assert_array_equal(last, expected.observations[-1])


def test_pieces_of_an_episode_of_rllib_are_joined(tmp_path):
    ours, whole = rllibs(steps=9)
    other, theirs = rllibs(seed=1, steps=4)
    first = whole[:4]
    rest = whole[4:]
    assert (first.t_started, rest.t_started, first.is_done) == (0, 4, False)
    write_states(tmp_path / "a.parquet", [x.get_state() for x in (first, theirs, rest)])
    found = list(open_dataset(tmp_path).episodes())
    assert [len(one) for one in found] == [4, 9]
    assert_same(found[0], other, NUMBERS)
    assert_same(found[1], ours, NUMBERS)
    assert found[1].from_reset


def test_pieces_in_several_files_are_joined_also_without_the_beginning(tmp_path):
    ours, whole = rllibs(steps=9)
    pieces = [whole[2:4], whole[4:7], whole[7:]]
    for name, piece in zip("abc", pieces, strict=True):
        write_states(tmp_path / f"{name}.parquet", [piece.get_state()])
    (found,) = open_dataset(tmp_path).episodes()
    assert (len(found), found.from_reset, found.terminated) == (7, False, True)
    np.testing.assert_array_equal(found.observations, ours.observations[2:])
    np.testing.assert_array_equal(found.rewards, ours.rewards[2:])


def test_a_gap_divides_an_episode_in_two(tmp_path):
    ours, whole = rllibs(steps=9)
    pieces = [whole[:2], whole[2:4], whole[5:7], whole[7:]]
    write_states(tmp_path / "a.parquet", [piece.get_state() for piece in pieces])
    first, second = open_dataset(tmp_path).episodes()
    assert (first.from_reset, first.ended) == (True, False)
    assert (second.from_reset, second.terminated) == (False, True)
    np.testing.assert_array_equal(first.rewards, ours.rewards[:4])
    np.testing.assert_array_equal(second.rewards, ours.rewards[5:])


def test_pieces_that_do_not_fit_are_damage(tmp_path, caplog):
    _, whole = rllibs(steps=9)
    rest = whole[4:].get_state()
    rest["observations"]["data"] = [np.zeros(7)] * 6
    write_states(tmp_path / "a.parquet", [whole[:4].get_state(), rest, rllibs()[1].get_state()])
    with pytest.raises(DataError, match=r"row 1 of .* does not continue row 0 of"):
        list(open_dataset(tmp_path).episodes())
    (found,) = open_dataset(tmp_path).episodes(skip_damaged=True)
    assert len(found) == 5
    assert "does not continue" in caplog.text


def test_rllib_accepts_all_pieces_of_an_episode(tmp_path):
    """It reads only rows that have ended, and one of those with the same id."""
    whole = episode(steps=9, terminated=False, truncated=True)
    pieces = [
        replace(
            whole,
            observations=whole.observations[low : high + 1],
            actions=whole.actions[low:high],
            rewards=whole.rewards[low:high],
            truncated=high == 9,
            from_reset=low == 0,
            name="one",
            start=low,
        )
        for low, high in ((0, 4), (4, 9))
    ]
    path = EpisodeWriter(tmp_path, NUMBERS, None).write(pieces)
    states = [
        msgpack.unpackb(row.as_py(), object_hook=msgpack_numpy.decode, strict_map_key=False)
        for row in pq.read_table(path)["item"]
    ]
    theirs = [SingleAgentEpisode.from_state(state) for state in states]
    assert all(one.is_done for one in theirs)
    assert theirs[0].id_ != theirs[1].id_
    assert [(one.t_started, one.t) for one in theirs] == [(0, 4), (4, 9)]
    (found,) = open_dataset(tmp_path).episodes()
    assert (found.terminated, found.truncated, found.from_reset) == (False, True, True)
    assert_same(found, whole, NUMBERS)


def test_an_episode_without_its_end_is_read_as_such(tmp_path):
    EpisodeWriter(tmp_path, NUMBERS, None).write([episode(terminated=False)])
    (found,) = open_dataset(tmp_path).episodes()
    assert not found.ended


def test_episodes_as_arrays_and_with_a_lookback_are_read(tmp_path):
    ours, theirs = rllibs(steps=6, lookback=2)
    write_states(tmp_path / "a.parquet", [theirs.to_numpy().get_state()])
    (found,) = open_dataset(tmp_path).episodes()
    assert len(found) == 4
    np.testing.assert_array_equal(found.rewards, ours.rewards[2:])
    np.testing.assert_array_equal(found.observations, ours.observations[2:])


def test_the_actions_that_the_environment_took_are_preferred(tmp_path):
    _, theirs = rllibs()
    state = theirs.get_state()
    taken = dict(state["actions"], data=[x + 100 for x in state["actions"]["data"]])
    state["extra_model_outputs"] = {"actions_for_env": taken}
    write_states(tmp_path / "a.parquet", [state])
    (found,) = open_dataset(tmp_path).episodes()
    assert found.actions.min() >= 102


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled(tmp_path):
    state = rllibs()[1].get_state()
    state["custom_data"] = {
        b"nd": True, b"kind": b"O", b"type": [], b"shape": [1], b"data": pickle.dumps(Trap())
    }  # fmt: skip
    write_states(tmp_path / "a.parquet", [state])
    assert len(list(open_dataset(tmp_path).episodes())) == 1


def damaged_files(tmp_path):
    EpisodeWriter(tmp_path, NUMBERS, None).write([episode()])
    (whole,) = tmp_path.iterdir()
    data = bytearray(whole.read_bytes())
    (tmp_path / "z0.parquet").write_bytes(data[: len(data) // 2])
    data[40:60] = bytes(20)
    (tmp_path / "z1.parquet").write_bytes(data)
    pq.write_table(pa.table({"item": [b"no msgpack"]}), tmp_path / "z2.parquet")
    pq.write_table(pa.table({"item": [msgpack.packb({"id_": 1})]}), tmp_path / "z3.parquet")
    pq.write_table(pa.table({"obs": [1.0], "rewards": [1.0]}), tmp_path / "z4.parquet")
    state = rllibs()[1].get_state()
    state["observations"]["data"] = {b"nd": True, b"type": "<f4", b"shape": [9], b"data": b"0"}
    write_states(tmp_path / "z5.parquet", [state])
    return [tmp_path / f"z{i}.parquet" for i in range(6)]


def test_damaged_files_are_named(tmp_path):
    for path in damaged_files(tmp_path):
        with pytest.raises(DataError, match=path.name):
            list(open_dataset(path).episodes())


def test_damaged_files_are_skipped_only_if_asked(tmp_path, caplog):
    damaged = damaged_files(tmp_path)
    with pytest.raises(DataError):
        list(open_dataset(tmp_path).episodes())
    assert len(list(open_dataset(tmp_path).episodes(skip_damaged=True))) == 1
    for path in damaged:
        assert path.name in caplog.text
    (tmp_path / "0.parquet").write_bytes(b"PAR1")
    dataset = open_dataset(tmp_path)
    assert dataset.spaces == NUMBERS
    assert len(list(dataset.episodes(skip_damaged=True))) == 1


def test_columns_instead_of_episodes_are_explained(tmp_path):
    pq.write_table(pa.table({"obs": [1.0], "rewards": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="output_write_episodes=True"):
        list(open_dataset(tmp_path).episodes())


def test_a_file_that_cannot_be_written_does_not_appear(tmp_path, monkeypatch):
    writer = EpisodeWriter(tmp_path, NUMBERS, None)

    def fail(table, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="No space"):
        writer.write([episode()])
    assert not list(tmp_path.iterdir())


def test_episodes_that_ppo_recorded_are_read():
    """RLlib's PPO wrote them: Ray 2.60.0, CartPole-v1, batch_mode "complete_episodes"."""
    dataset = open_dataset(Path(__file__).parent / "rllib_ppo")
    assert dataset.spaces is None
    env = gym.make("CartPole-v1")
    codecs = make_codecs(env.observation_space, env.action_space)
    found = list(dataset.episodes())
    assert len(found) == 2
    for one in found:
        columns = records_of(one, *codecs)
        assert (one.terminated, one.from_reset) == (True, True)
        assert columns["reward"].sum() == len(one) == len(columns["is_first"]) - 1
        # Each observation follows from the one before and its action.
        env.reset()
        for step in range(len(one)):
            env.unwrapped.state = one.observations[step].astype(np.float64)
            following, *_ = env.unwrapped.step(int(one.actions[step]))
            np.testing.assert_allclose(following, one.observations[step + 1], atol=1e-5)
