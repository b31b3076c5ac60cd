"""Signals save first and end at the second; those that were ignored stay so."""

import os
import signal
import sys

import pytest
from ray._private import services

from rllib_cli.interrupts import Interrupts, in_own_groups

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def heard():
    """The process that runs the tests may ignore signals, as ``nohup`` and shell scripts do."""
    before = [signal.signal(each, signal.default_int_handler) for each in SIGNALS]
    yield
    for each, handler in zip(SIGNALS, before, strict=True):
        signal.signal(each, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_a_wish_and_the_second_ends(number):
    before = [signal.getsignal(each) for each in SIGNALS]
    with Interrupts() as interrupts:
        assert not interrupts.requested
        os.kill(os.getpid(), number)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.fixture
def nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nohup")
def test_a_signal_that_is_ignored_stays_ignored():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupts.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested


def test_rays_processes_do_not_receive_what_is_sent_to_the_group(tmp_path):
    program = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0))"
    before = services.ConsolePopen
    with in_own_groups(), open(tmp_path / "said", "w") as said:
        started = services.start_ray_process(
            [sys.executable, "-c", program], "test", fate_share=False, stdout_file=said
        )
    started.process.wait()
    assert services.ConsolePopen is before
    assert (tmp_path / "said").read_text().split() == ["True", str(os.getsid(0))]
