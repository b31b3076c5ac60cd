"""``rllib data``."""

import numpy as np
import pytest
from click.testing import CliRunner
from episodes import episode, values

from rllib_cli.main import cli
from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.spaces.codecs import Spaces

CARTPOLE = "CartPole-v1"


def call(*arguments):
    done = CliRunner().invoke(cli, ["data", *map(str, arguments)])
    return done.exit_code, f"{done.output} {done.exception}"


@pytest.fixture
def spaces():
    import gymnasium as gym

    env = gym.make(CARTPOLE)
    return Spaces(env.observation_space, env.action_space)


@pytest.fixture
def recorded(tmp_path, spaces):
    written = [
        episode(spaces, 4, rewards=np.ones(4)),
        episode(spaces, 6, rewards=np.ones(6), terminated=False, truncated=True),
        episode(spaces, 3, terminated=False),
    ]
    for one in written:
        one.observations[...] = 0.5
    EpisodeWriter(tmp_path / "episodes", spaces, CARTPOLE).write(written)
    return tmp_path / "episodes"


def test_it_shows_what_is_there(recorded):
    code, output = call(recorded)
    assert code == 0, output
    for line in (
        f"{recorded}: RLlib episodes",
        f"environment    {CARTPOLE}",
        "actions        Discrete(2)",
        "env steps      13",
        "episodes       2: 1 terminated, 1 truncated",
        "incomplete     1, without beginning or end",
        "returns        mean 5, from 4 to 6",
        "lengths        mean 5, from 4 to 6",
    ):
        assert line in output


def test_it_compares_with_an_environment(recorded):
    assert call(recorded, "--env", CARTPOLE)[0] == 0
    code, output = call(recorded, "--env", "Pendulum-v1")
    assert code == 1
    assert "the observation has the shape [5, 4]" in output


def test_it_finds_what_training_would_refuse(recorded, spaces):
    observations = values(spaces.observation, 6, 0)
    observations[2] = np.nan
    EpisodeWriter(recorded / "z", spaces, CARTPOLE).write(
        [episode(spaces, observations=observations)]
    )
    code, output = call(recorded)
    assert code == 1
    assert "the observation has NaN in step 2" in output
    assert "Traceback" not in output
    code, output = call(recorded, "--skip-damaged")
    assert (code, "env steps      13" in output) == (0, True)
    assert "Skipped: " in output


def test_damaged_files_are_skipped_if_asked(recorded):
    (recorded / "z.parquet").write_bytes(b"PAR1")
    code, output = call(recorded)
    assert (code, "z.parquet is damaged" in output) == (1, True)
    code, output = call(recorded, "--skip-damaged")
    assert (code, "env steps      13" in output) == (0, True)


def test_it_writes_a_minari_dataset(recorded, tmp_path, monkeypatch):
    pytest.importorskip("minari", reason="needs the extra offline")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    code, output = call(recorded, "--minari", "cartpole/mine-v0")
    assert code == 0, output
    assert "Wrote minari:cartpole/mine-v0, 2 episodes, 10 steps." in output
    assert len(list(open_dataset("minari:cartpole/mine-v0").episodes())) == 2
    code, output = call("minari:cartpole/mine-v0")
    assert (code, "Minari dataset" in output) == (0, True)


def test_nothing_there(tmp_path):
    code, output = call(tmp_path / "missing")
    assert code == 1
    assert "There is no" in output
