"""Sequences are drawn with the probabilities that their selectors promise."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rllib_dreamerv3.options import replay_sampling
from rllib_dreamerv3.records import (
    IS_FIRST,
    IS_LAST,
    MODEL_LOSS,
    REWARD,
    RecordChunk,
    recorded_stream,
)
from rllib_dreamerv3.replay import ReplayBuffer
from rllib_dreamerv3.replay.selectors import NEW_PRIORITY, SELECTORS, priorities
from rllib_dreamerv3.replay.storage import Window

T = 4
Place = tuple[str, int]
"""Stream and position of the first record of a sequence."""


def add(buffer: ReplayBuffer, stream: str, start: int, num_records: int) -> None:
    marks = np.zeros(num_records, np.bool_)
    columns = {
        REWARD: np.arange(start, start + num_records, dtype=np.float32),
        IS_FIRST: marks,
        IS_LAST: marks,
    }
    buffer.add(RecordChunk(stream, start, columns))


def make_buffer(*ways: str, capacity: int = 640, **options: Any) -> ReplayBuffer:
    """By default of sequences of 4 records, in chunks of 20."""
    sampling = {way: 1 / len(ways) for way in ways}
    given = {"length": T, "seed": 0, **options}
    return ReplayBuffer(sampling=sampling, capacity_records=capacity, **given)


def shares(buffer: ReplayBuffer, draws: int = 20_000) -> dict[Place, float]:
    """How often each sequence was drawn."""
    windows = buffer.selector.draw(draws, buffer.rng)
    assert all(w.is_stored and w.start + buffer.sequence_length <= w.segment.end for w in windows)
    found: dict[Place, float] = {}
    for segment, start in windows:
        found[segment.stream, start] = found.get((segment.stream, start), 0) + 1 / draws
    return found


def assert_probabilities(buffer: ReplayBuffer, weights: Mapping[Place, float]) -> None:
    """Chi-square test at 1e-4, with a fixed generator; sequences of weight 0 are never drawn."""
    draws, total = 20_000, sum(weights.values())
    found = shares(buffer, draws)
    assert found.keys() <= {place for place, weight in weights.items() if weight}
    # Rare ones together, as the test needs about five of each.
    expected = {place: draws * weight / total for place, weight in weights.items()}
    common = [place for place, count in expected.items() if count >= 5]
    counts = [(draws * found.get(place, 0), expected[place]) for place in common]
    rest = draws - sum(count for _, count in counts)
    if rest >= 5:
        counts.append((draws - sum(count for count, _ in counts), rest))
    chi_square = sum((found - wanted) ** 2 / wanted for found, wanted in counts)
    degrees = len(counts) - 1
    # The Wilson-Hilferty approximation of the quantile; 3.72 is that of a normal distribution.
    assert chi_square <= degrees * (1 - 2 / (9 * degrees) + 3.72 * (2 / (9 * degrees)) ** 0.5) ** 3


def windows_of(buffer: ReplayBuffer, *places: Place) -> list[Window]:
    segments = {segment.stream: segment for segment in buffer.storage.segments}
    return [Window(segments[stream], start) for stream, start in places]


def train_on(buffer: ReplayBuffer, places: list[Place], losses: Any) -> None:
    windows = windows_of(buffer, *places)
    buffer.write_back(windows, {MODEL_LOSS: np.array(losses, np.float32)})


def test_selectors_are_those_of_the_option():
    assert tuple(SELECTORS) == replay_sampling.WAYS
    with pytest.raises(ValueError, match="'newest' is not among uniform, curious, recent"):
        make_buffer("newest")


def test_default_draws_as_before_there_were_selectors():
    """Numbers of a generator with the same seed, applied to the start positions in order."""
    buffer = ReplayBuffer(length=T, capacity_records=640, seed=3)
    for stream in "ab":
        add(buffer, stream, 0, 30)
    drawn = [(w.segment.stream, w.start) for w in buffer.sample(50).windows]
    numbers = np.random.default_rng(3).integers(54, size=50)
    assert drawn == [("a", n) if n < 27 else ("b", n - 27) for n in numbers]


# Curious


def test_priorities_are_those_of_the_paper():
    """Computed by hand, with the published constants."""
    found = priorities(np.array([0, 1, 2, 200]), np.array([0.99, 0.0, -7.99, 1.0]))
    assert found[0] == 10_000 + 1
    assert found[1] == pytest.approx(7_000 + 0.01**0.7)
    assert found[2] == pytest.approx(4_900 + 8**0.7)
    assert found[3] == pytest.approx(1.01**0.7)
    assert NEW_PRIORITY == 1e5


def test_new_sequences_are_equally_likely_until_they_are_trained_on():
    buffer = make_buffer("curious")
    for start in (0, 15):
        for stream in "ab":
            add(buffer, stream, start, 15)
    assert_probabilities(buffer, {(s, i): 1 for s in "ab" for i in range(27)})


class PlainCurious:
    """Visits and priorities by their definition, one record at a time."""

    def __init__(self) -> None:
        self.visits: Counter[Place] = Counter()
        self.priority: dict[Place, float] = {}

    def train_on(self, places: list[Place], losses: np.ndarray, context: int) -> None:
        records = [[(stream, start + context + t) for t in range(T)] for stream, start in places]
        self.visits.update({record for sequence in records for record in sequence})
        for sequence, of_sequence in zip(records, losses, strict=True):
            for (stream, last), loss in zip(sequence, of_sequence, strict=True):
                visits = self.visits[stream, last]
                priority = 1e4 * 0.7**visits + (abs(float(loss)) + 0.01) ** 0.7
                self.priority[stream, last - context - T + 1] = min(priority, 1e5)


def kept_weights(buffer: ReplayBuffer) -> dict[Place, int]:
    """The weight of each stored record as the first one of a sequence."""
    addresses = buffer.storage.all_addresses()
    weights = buffer.selector.state(addresses)["weight"].tolist()
    windows = buffer.storage.windows(addresses)
    return {(w.segment.stream, w.start): x for w, x in zip(windows, weights, strict=True)}


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("capacity", [60, 320], ids=["chunks of 1", "chunks of 10"])
def test_curious_equals_a_plain_version(context: int, capacity: int):
    """Through additions, gaps, evictions, overlapping sequences, and updates that come late."""
    buffer, plain = make_buffer("curious", capacity=capacity, context=context), PlainCurious()
    rng = np.random.default_rng(0)
    ends, name = dict.fromkeys("ab", 0), 0
    for step in range(60):
        for stream in list(ends):
            added = int(rng.integers(1, 16))
            add(buffer, stream, ends[stream], added)
            ends[stream] += added
        if step % 20 == 19:  # A lost env runner: its stream ends, another one begins.
            del ends[min(ends)]
            name += 1
            ends[f"new {name}"] = 0
        windows = buffer.sample(6).windows
        losses = rng.random((6, T), np.float32) * 100 - 20
        if step % 3 == 0:
            add(buffer, max(ends), ends[max(ends)], 25)
            ends[max(ends)] += 25
        buffer.write_back(windows, {MODEL_LOSS: losses})
        plain.train_on([(w.segment.stream, w.start) for w in windows], losses, context)
        found = kept_weights(buffer)
        expected = dict.fromkeys(found, 0)
        for segment in buffer.storage.segments:
            for start in range(segment.start, segment.end - buffer.sequence_length + 1):
                priority = plain.priority.get((segment.stream, start), 1e5)
                expected[segment.stream, start] = round(priority * 2**16)
        assert found == pytest.approx(expected, rel=1e-6, abs=1)
        assert all((found[place] > 0) == (weight > 0) for place, weight in expected.items())
    assert buffer.metrics()["num_env_steps_evicted_lifetime"] > 3 * capacity


def test_curious_draws_in_proportion_to_priorities():
    buffer = make_buffer("curious")
    for stream in "ab":
        add(buffer, stream, 0, 30)
    rng, places = np.random.default_rng(1), [(s, i) for s in "ab" for i in range(27)]
    for _ in range(30):  # With fewer visits nearly all draws would be of the least visited.
        train_on(buffer, places, rng.random((54, T)) * 1000)
    assert_probabilities(buffer, kept_weights(buffer))


def test_what_was_not_trained_on_is_drawn_first():
    buffer = make_buffer("curious")
    add(buffer, "a", 0, 400)
    train_on(buffer, [("a", start) for start in range(397)], np.ones((397, T)))
    add(buffer, "a", 400, 10)
    found = shares(buffer)
    # Ten of priority 100,000, and 397 of 7,000.
    new = sum(found["a", start] for start in range(397, 407))
    assert new == pytest.approx(10e5 / (10e5 + 397 * 7001), abs=0.02)


def test_visits_beyond_the_limit_change_nothing_more():
    buffer = make_buffer("curious")
    add(buffer, "a", 0, T)
    for _ in range(300):
        train_on(buffer, [("a", 0)], np.ones((1, T)))
    assert kept_weights(buffer)["a", 0] == round(1.01**0.7 * 2**16)
    assert buffer.selector.state(buffer.storage.all_addresses())["visits"][0] == 255


def test_sequences_from_before_the_buffer_was_cleared_are_skipped():
    buffer = make_buffer("curious")
    add(buffer, "a", 0, 30)
    windows = buffer.sample(3).windows
    buffer.storage.clear()
    buffer.write_back(windows, {MODEL_LOSS: np.ones((3, T), np.float32)})
    add(buffer, "a", 0, 30)
    assert set(kept_weights(buffer).values()) == {0, round(1e5 * 2**16)}
    assert {w.start for w in buffer.sample(100).windows} <= set(range(27))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (np.full((2, T), np.nan, np.float32), "'model_loss' .*not all of its values are finite"),
        (np.ones((2, T)), r"it is float64\[2, 4\], .*is float32\[2, 4\]"),
        (np.ones((2, T + 1), np.float32), r"it is float32\[2, 5\]"),
    ],
)
def test_refused_losses_change_nothing(losses: np.ndarray, message: str):
    buffer = make_buffer("curious", context=1)
    add(buffer, "a", 0, 30)
    windows, before = buffer.sample(2).windows, kept_weights(buffer)
    with pytest.raises(ValueError, match=message):
        buffer.write_back(windows, {MODEL_LOSS: losses})
    assert kept_weights(buffer) == before


# Recent


def test_recent_draws_by_age_over_all_streams():
    """Weights 1, 1/2, 1/3, ... from the sequence that arrived last."""
    buffer = make_buffer("recent")
    arrivals: list[Place] = []
    for start in range(0, 30, 3):
        for stream in "ab":
            add(buffer, stream, start, 3)
            arrivals += [(stream, i) for i in range(max(0, start - 3), start)]
    assert len(arrivals) == buffer.num_windows == 54
    assert_probabilities(buffer, {x: 1 / (54 - i) for i, x in enumerate(arrivals)})


def test_recent_counts_the_age_among_stored_sequences():
    buffer = make_buffer("recent", capacity=64)  # Chunks of 2.
    for start in range(0, 300, 5):
        for stream in "ab":
            add(buffer, stream, start, 5)
    arrivals = [
        (stream, i)
        for start in range(0, 300, 5)
        for stream in "ab"
        for i in range(max(0, start - 3), start + 2)
    ]
    stored = {(x.stream, i) for x in buffer.storage.segments for i in range(x.start, x.end - T + 1)}
    kept = [place for place in arrivals if place in stored]
    assert len(kept) == buffer.num_windows < len(arrivals)
    assert_probabilities(buffer, {x: 1 / (len(kept) - i) for i, x in enumerate(kept)})


# By origin


def add_recorded_and_sampled(buffer: ReplayBuffer) -> tuple[list[Place], list[Place]]:
    recorded = recorded_stream(0), recorded_stream(1)
    for stream in (recorded[0], "a", recorded[1], "b"):
        add(buffer, stream, 0, 13)
    places = [(x.stream, i) for x in buffer.storage.segments for i in range(10)]
    return [x for x in places if x[0] in recorded], [x for x in places if x[0] in ("a", "b")]


def test_shares_of_recorded_data_and_of_what_was_sampled():
    sampling = {"recorded": 0.2, "sampled": 0.8}
    buffer = ReplayBuffer(length=T, capacity_records=640, seed=0, sampling=sampling)
    recorded, sampled = add_recorded_and_sampled(buffer)
    assert_probabilities(buffer, dict.fromkeys(recorded, 0.2) | dict.fromkeys(sampled, 0.8))
    assert buffer.metrics()["num_records_recorded"] == 26


def test_without_data_of_the_origin_all_sequences_are_drawn():
    for way, stream in (("sampled", recorded_stream(0)), ("recorded", "a")):
        buffer = make_buffer(way)
        add(buffer, stream, 0, 13)
        assert_probabilities(buffer, {(stream, i): 1 for i in range(10)})


def test_recorded_data_leaves_as_new_records_arrive():
    buffer = make_buffer("recorded", capacity=64)  # Chunks of 2.
    add_recorded_and_sampled(buffer)
    add(buffer, "a", 13, 60)
    assert "num_records_recorded" not in buffer.metrics()
    assert {stream for stream, _ in shares(buffer)} == {"a", "b"}


# Mixtures


def test_mixture_adds_up_the_probabilities_of_its_parts():
    buffer = ReplayBuffer(
        length=T, capacity_records=640, seed=0, sampling={"uniform": 0.25, "recent": 0.75}
    )
    add(buffer, "a", 0, 43)
    harmonic = sum(1 / n for n in range(1, 41))
    weights = {("a", 39 - i): 0.25 / 40 + 0.75 / (1 + i) / harmonic for i in range(40)}
    assert_probabilities(buffer, weights)


def test_order_of_the_fractions_has_no_effect():
    names = ("uniform", "curious", "recent")
    one, other = make_buffer(*names), make_buffer(*reversed(names))
    for buffer in (one, other):
        add(buffer, "a", 0, 100)
    places = [[(w.segment.stream, w.start) for w in b.sample(64).windows] for b in (one, other)]
    assert places[0] == places[1]


def test_online_queue_is_served_first_and_its_sequences_count_as_visited():
    buffer = make_buffer("curious", context=1, online_queue=True)
    add(buffer, "a", 0, 21)
    drawn = buffer.sample(4).windows
    assert [w.start for w in drawn] == [1, 6, 11, 16]
    buffer.write_back(drawn, {MODEL_LOSS: np.ones((4, T), np.float32)})
    weights = kept_weights(buffer)
    assert weights["a", 16] == round((7000 + 1.01**0.7) * 2**16)
    # That from 2 ends with record 6, the context of the second.
    assert weights["a", 2] == round(1e5 * 2**16)
