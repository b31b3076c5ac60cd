"""Starting Ray on a machine whose last cluster was killed."""

import json
import socket
import tempfile
from pathlib import Path

import pytest
from command import TINY, run

from rllib_cli.libraries import find_lost_cluster


@pytest.fixture
def written_down(monkeypatch):
    """Writes an address where Ray keeps that of the last cluster."""
    # Ray's sockets are in there, whose paths must be short.
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("RAY_TMPDIR", directory)
        monkeypatch.delenv("RAY_ADDRESS")
        file = Path(directory, "ray", "ray_current_cluster")
        file.parent.mkdir()
        yield file.write_text


@pytest.fixture
def unused():
    """An address at which no process listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{free.getsockname()[1]}"


def test_a_cluster_is_lost_if_no_process_listens(written_down, unused, monkeypatch):
    assert find_lost_cluster() is None
    written_down(unused)
    assert find_lost_cluster() == unused
    monkeypatch.setenv("RAY_ADDRESS", unused)
    assert find_lost_cluster() is None


def test_a_cluster_that_answers_is_not_lost(written_down):
    with socket.create_server(("127.0.0.1", 0)) as server:
        written_down(f"127.0.0.1:{server.getsockname()[1]}\n")
        assert find_lost_cluster() is None


@pytest.mark.long
def test_the_command_starts_ray_where_the_last_cluster_is_lost(written_down, unused, tmp_path):
    written_down(unused)
    given = ["train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--config", json.dumps(TINY)]
    given += ["--stop", '{"training_iteration": 1}', "--storage-path", str(tmp_path)]
    code, output = run(*given, "--ray-address", "auto")
    assert code == 1
    assert f"at {unused}, does not respond: start one with `ray start --head`" in output
    code, output = run(*given)
    assert code == 0, output
    assert f"at {unused}, does not respond; starting Ray here." in output
