"""Returns, lengths and numbers of episodes that are going on in several environments."""

import numpy as np

from rllib_dreamerv3.plugin.sampling.streams import RunningEpisodes

NO = np.zeros(2, bool)


def test_environments_are_followed_separately_and_restart():
    episodes = RunningEpisodes(2)
    episodes.step(np.array([1.0, 2.0]), NO, [{}, {}])
    episodes.step(np.array([1.0, 4.0]), NO, [{}, {}])
    assert episodes.end(0)[:2] == (2.0, 2)
    # A reset is no step.
    episodes.step(np.array([0.0, 8.0]), np.array([True, False]), [{}, {}])
    episodes.step(np.array([5.0, 1.0]), NO, [{}, {}])
    assert episodes.end(0)[:2] == (5.0, 1)
    assert episodes.end(1)[:2] == (15.0, 4)


def test_numbers_are_kept_and_nothing_else():
    episodes = RunningEpisodes(1)
    one, first = np.ones(1), np.zeros(1, bool)
    episodes.step(one, ~first, [{"x": 100.0}])
    for i in range(3):
        info = {
            "x": i,
            "won": np.bool_(i == 2),
            "speed": np.float32(0.5),
            "name": "a",
            "position": np.zeros(3),
            "nothing": None,
            "unknown": float("nan"),
            "huge": 10**400,
            "complex": np.complex64(1),
            "array": np.array(2.5),
        }
        episodes.step(one, first, [info])
    numbers = {"x": (2, 3), "won": (1, 1), "speed": (0.5, 1.5), "array": (2.5, 7.5)}
    assert episodes.end(0).numbers == numbers
    episodes.step(one, first, [{}])
    assert episodes.end(0).numbers == {}


def test_sums_that_are_not_finite_are_left_out():
    episodes, largest = RunningEpisodes(1), np.finfo(float).max
    for _ in range(3):
        episodes.step(np.ones(1), np.zeros(1, bool), [{"best": largest, "least": -1.0}])
    assert episodes.end(0).numbers == {"least": (-1.0, -3.0)}
    episodes.step(np.ones(1), np.zeros(1, bool), [{"best": largest}])
    assert episodes.end(0).numbers == {"best": (largest, largest)}


def test_keys_that_are_no_names_are_left_out():
    episodes = RunningEpisodes(1)
    info = {("a", "b"): 1, np.int64(3): 2, 4: 3, None: 4, "name": 5}
    episodes.step(np.ones(1), np.zeros(1, bool), [info])
    assert episodes.end(0).numbers == {"name": (5, 5)}


def test_tables_do_not_fill_the_results():
    episodes = RunningEpisodes(1)
    for _ in range(2):
        episodes.step(np.ones(1), np.zeros(1, bool), [{str(i): i for i in range(1000)}])
    numbers = episodes.end(0).numbers
    assert len(numbers) == 64
    assert numbers["63"] == (63, 126)
