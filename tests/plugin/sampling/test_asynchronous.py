"""Work in another thread happens while this one is busy, and at no other time."""

import time

import pytest

from rllib_dreamerv3.plugin.sampling.asynchronous import BackgroundWork


@pytest.fixture
def work():
    done = []
    background = BackgroundWork(lambda: done.append(1), lambda: time.sleep(0.001))
    yield background, done
    background.stop()


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert condition()


def test_works_only_while_the_caller_is_busy(work):
    background, done = work
    for _ in range(3):
        before = len(done)
        time.sleep(0.02)
        assert len(done) == before
        with background.busy():
            wait_until(lambda: len(done) > before + 2)  # noqa: B023


def test_the_last_piece_of_work_has_ended_before_the_caller_goes_on():
    state = []

    def slow_work():
        state.append("begun")
        time.sleep(0.05)
        state.append("ended")

    background = BackgroundWork(slow_work, lambda: None)
    with background.busy():
        wait_until(lambda: state)
    assert state[-1] == "ended"
    background.stop()


def test_an_error_is_raised_where_the_caller_was_busy():
    def fail():
        raise ValueError("lost")

    background = BackgroundWork(fail, lambda: None)

    def be_busy():
        with background.busy():
            wait_until(lambda: background._error is not None)

    for _ in range(2):
        with pytest.raises(ValueError, match="lost"):
            be_busy()
    background.stop()
