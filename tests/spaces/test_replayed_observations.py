"""Observations that went through replay come back as the environment returned them."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_spaces import assert_equal, batch, boxes, classes, mask_spaces, nested, num_choices

from rllib_dreamerv3.records import ACTION, ACTION_MASK, IS_FIRST, IS_LAST, Columns, RecordChunk
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.spaces.codecs import make_codecs
from rllib_dreamerv3.spaces.nesting import flatten


def replayed(columns: Columns, T: int) -> Columns:
    """Puts columns ``[T, ...]`` into a replay buffer that holds nothing else, and takes them out.

    They are in order: there is only one place where a row of T records can start.
    """
    buffer = ReplayBuffer(length=T, capacity_records=100)
    no = np.zeros(T, bool)
    buffer.add(RecordChunk("stream", 0, {**columns, IS_FIRST: no, IS_LAST: no}))
    rows = buffer.sample(1).columns
    for name, column in columns.items():
        assert rows[name].dtype == column.dtype
    return {name: rows[name][0] for name in columns}


@settings(deadline=None, max_examples=80)
@given(nested(boxes(3) | classes()), st.integers(1, 4), st.integers(0, 1000))
def test_observations_survive_replay(space: gym.Space, T: int, seed: int) -> None:
    observations, _ = make_codecs(space, spaces.Discrete(2))
    _, batched = batch(space, T, seed)
    row = replayed(observations.encode(batched), T)
    assert_equal(observations.decode(row), batched, rtol=2e-7)


@settings(deadline=None, max_examples=80)
@given(nested(boxes(2) | classes()), boxes(3), st.data(), st.integers(1, 4), st.integers(0, 1000))
def test_masks_and_masked_actions_survive_replay(
    action_space: gym.Space, seen: gym.Space, data: st.DataObject, T: int, seed: int
) -> None:
    assume(num_choices(action_space))
    mask_space = data.draw(mask_spaces(action_space))
    space = spaces.Dict([("z", seen), ("action_mask", mask_space), ("a", spaces.Discrete(3))])
    observations, actions = make_codecs(space, action_space)
    _, sampled = batch(space, T, seed)
    # Samples are any masks: some of their parts allow nothing, which an end turns into everything.
    batched = observations.decode(observations.encode(sampled, ended=np.ones(T, bool)))
    columns = observations.encode(batched)
    columns[ACTION] = actions.sample(np.random.default_rng(seed), T, columns[ACTION_MASK])

    row = replayed(columns, T)
    assert_equal(observations.decode(row), batched, rtol=2e-7)
    chosen = row[ACTION][:, actions.layout.mask_positions]
    assert (chosen <= row[ACTION_MASK]).all()
    masks = (flatten(mask_space, x["action_mask"]) for x in (batched, sampled))
    for one, other in zip(*masks, strict=True):
        assert one.dtype == other.dtype
        assert (one >= other).all()
