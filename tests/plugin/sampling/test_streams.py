"""Records of several environments, as chunks with positions."""

import numpy as np

from rllib_dreamerv3.plugin.sampling.streams import Streams


def test_the_last_records_of_some_streams_can_be_dropped():
    streams = Streams("s", 2)
    streams.add({"x": np.array([0, 10])})
    streams.drop_last(np.array([True, True]))
    assert streams.take() == []
    streams.add({"x": np.array([1, 11])})
    streams.drop_last(np.array([True, False]))
    (second,) = streams.take()
    assert (second.stream, second.start, second.columns["x"].tolist()) == ("s-1", 0, [11])
    for x in (2, 3):
        streams.add({"x": np.array([x, 10 + x])})
    streams.drop_last(np.array([False, True]))
    assert [(chunk.start, chunk.columns["x"].tolist()) for chunk in streams.take()] == [
        (0, [2, 3]),
        (1, [12]),
    ]


def test_chunks_follow_each_other_and_some_streams_have_more():
    streams = Streams("s", 2)
    assert streams.take() == []
    streams.add({"x": np.array([0, 10])})
    streams.add({"x": np.array([1, -1])}, of=np.array([True, False]))
    streams.add({"x": np.array([2, 11])})
    first, second = streams.take()
    assert (first.stream, first.start, first.columns["x"].tolist()) == ("s-0", 0, [0, 1, 2])
    assert (second.stream, second.start, second.columns["x"].tolist()) == ("s-1", 0, [10, 11])
    streams.add({"x": np.array([3, 12])})
    assert [(chunk.start, chunk.columns["x"].tolist()) for chunk in streams.take()] == [
        (3, [3]),
        (2, [12]),
    ]
