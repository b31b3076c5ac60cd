import json
import time
from pathlib import Path

import imageio.v3 as imageio
import pytest
from click.testing import CliRunner

from rllib_cli.commands.evaluate import ReturnStatistics, evaluate_checkpoint
from rllib_cli.errors import InputError, RunError
from rllib_cli.inputs import find_checkpoint
from rllib_cli.main import cli
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.data.formats import open_dataset

# Looks like CartPole to a policy; its frames say which step of which episode they show.
OWN = """
import gymnasium as gym
import numpy as np


class Plain(gym.Env):
    observation_space = gym.spaces.Box(-9, 9, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length=3, render_mode=None):
        self.length, self.render_mode, self.episode = length, render_mode, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.episode = 0, self.episode + 1
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(4, np.float32), 2.0, self.steps == self.length, False, {}


class Drawn(Plain):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}

    def render(self):
        return np.full((33, 47, 3), 30 * self.steps + 100 * (self.episode == 2), np.uint8)


class Shown(Plain):
    metadata = {"render_modes": ["human"]}

    def reset(self, *, seed=None, options=None):
        assert self.render_mode == "human"
        return super().reset(seed=seed)
"""


def played(checkpoint, *arguments):
    done = CliRunner().invoke(cli, ["evaluate", str(checkpoint), *map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


def save(directory):
    """A directory that verifies, newer than those before it."""
    path = Path(directory)
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"1234")
    time.sleep(0.002)
    manifest.write(path, env_steps=1, updates=1)
    return path.resolve()


def test_newest_checkpoint_of_trial_and_experiment():
    save("exp/trial_a/checkpoint_000000")
    second = save("exp/trial_a/checkpoint_000001")
    other = save("exp/trial_b/checkpoint_000000")
    assert find_checkpoint("exp/trial_a/checkpoint_000001") == (second, [])
    assert find_checkpoint("exp/trial_a") == (second, [])
    assert find_checkpoint("exp") == (other, [])


def test_damaged_checkpoints_are_skipped_and_reported():
    first = save("trial/checkpoint_000000")
    second = save("trial/checkpoint_000001")
    (second / "data").write_bytes(b"1235")
    found, problems = find_checkpoint("trial")
    assert found == first
    assert len(problems) == 1
    assert "checkpoint_000001/data is damaged" in problems[0]
    (first / "data").unlink()
    with pytest.raises(RunError, match=r"no complete one.*data is damaged"):
        find_checkpoint("trial")


def test_foreign_directories_are_refused():
    with pytest.raises(RunError, match=r"no directory .*missing"):
        find_checkpoint("missing")
    Path("photos").mkdir()
    with pytest.raises(RunError, match="photos is not a checkpoint") as info:
        find_checkpoint("photos")
    assert info.value.exit_code == 1


def test_a_file_that_cannot_be_written_is_refused_before_playing():
    save("checkpoint")
    with pytest.raises(InputError, match="cannot be written: its directory"):
        evaluate("checkpoint", out="missing/x.json")


def test_a_damaged_checkpoint_is_refused():
    path = save("damaged")
    (path / "data").write_bytes(b"")
    with pytest.raises(RunError, match=r"does not list policy\.json"):
        evaluate("damaged")


def evaluate(checkpoint, **options):
    defaults = {"env": None, "episodes": 2, "steps": None, "out": None, "render": False}
    defaults |= {"env_config": None, "action": None, "seed": None, "video": None}
    defaults |= {"record": None}
    evaluate_checkpoint(checkpoint, **{**defaults, "verbosity": 0, **options})


def test_one_seed_gives_the_same_returns_and_report(cartpole):
    reported = []
    for seed in (3, 3, 4):
        code, output = played(cartpole, "--episodes", 4, "--seed", seed, "--out", "r.json")
        assert code == 0, output
        reported.append(json.loads(Path("r.json").read_text()))
    first, second, other = ([x["return"] for x in one["episodes"]] for one in reported)
    assert first == second != other
    assert reported[2]["seed"] == 4
    assert reported[2]["env"] == "CartPole-v1"
    assert reported[2]["action"] == "sample"
    assert reported[2]["return_mean"] == pytest.approx(sum(other) / 4)
    assert reported[2]["return_quantiles"]["max"] == max(other)
    low, high = reported[2]["return_mean_interval"]["bounds"]
    assert low < reported[2]["return_mean"] < high
    assert "95 % confidence interval of the mean return (Student's t)" in output
    assert f"max {max(other):.1f}" in output


def test_video_of_what_an_environment_draws(cartpole):
    Path("own_env.py").write_text(OWN)
    code, output = played(
        *(cartpole, "--env", "own_env:Drawn", "--env-config", '{"length": 4}'),
        *("--episodes", 2, "--video", "x.mp4"),
    )
    assert code == 0, output
    assert "Video: x.mp4" in output
    frames = imageio.imread("x.mp4")
    # Both with their first observation; 33 and 47 pixels five times, odd sides with one line more.
    assert frames.shape == (2 * (1 + 4), 166, 236, 3)
    shades = frames[:, 80, 120].mean(-1)
    expected = [*range(0, 150, 30), *range(100, 250, 30)]
    assert shades == pytest.approx(expected, abs=8)
    assert imageio.immeta("x.mp4")["fps"] == 5


def test_recorded_episodes_are_those_that_were_played(cartpole):
    Path("own_env.py").write_text(OWN)
    own = (cartpole, "--env", "own_env:Plain", "--episodes", 3, "--record", "episodes")
    code, output = played(*own)
    assert code == 0, output
    assert "Recorded to episodes" in output
    found = list(open_dataset("episodes").episodes())
    assert [one.rewards.tolist() for one in found] == [[2.0] * 3] * 3
    assert all(one.terminated and one.observations.shape == (4, 4) for one in found)
    assert {int(x) for one in found for x in one.actions} <= {0, 1}


def test_environments_that_cannot_be_rendered_are_reported(cartpole):
    Path("own_env.py").write_text(OWN)
    code, output = played(cartpole, "--env", "own_env:Plain", "--video", "x.mp4")
    assert code == 1
    assert "There is no video of own_env:Plain: it has no render mode" in output
    code, output = played(cartpole, "--env", "own_env:Drawn", "--render")
    assert code == 1
    assert "own_env:Drawn cannot be shown in a window: its render modes are rgb_array" in output
    assert "Traceback" not in output
    assert [path.name for path in Path().glob("*.mp4")] == []


def test_a_window_is_asked_for_where_there_can_be_one(cartpole, monkeypatch):
    Path("own_env.py").write_text(OWN)
    code, output = played(cartpole, "--env", "own_env:Shown", "--render", "--episodes", 1)
    assert code == 0, output
    assert "quantiles of returns: min 6" in output
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    code, output = played(cartpole, "--render")
    assert code == 1
    assert "CartPole-v1 cannot be shown in a window: there is no display" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"video": "x.avi"}, "must end in .mp4"),
        ({"video": "missing/x.mp4"}, "its directory does not exist"),
        ({"video": "x.mp4", "render": True}, "exclude each other"),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_playing(options, message):
    save("checkpoint")
    with pytest.raises(InputError, match=message):
        evaluate("checkpoint", **options)


def test_statistics_by_hand():
    found = ReturnStatistics.of([4.0, 1.0, 3.0, 2.0])
    assert found.mean == 2.5
    # Squares of 1.5, 0.5, 0.5, 1.5 are 5 together, by n - 1 = 3.
    assert found.deviation == pytest.approx((5 / 3) ** 0.5)
    # Three degrees of freedom: t = 3.182446 for 95 %.
    half = 3.182446 * (5 / 3) ** 0.5 / 2
    assert found.interval == pytest.approx((2.5 - half, 2.5 + half), rel=1e-6)
    assert found.quantiles == {"min": 1, "25 %": 1.75, "median": 2.5, "75 %": 3.25, "max": 4}


def test_the_same_return_each_time():
    found = ReturnStatistics.of([500.0] * 3)
    assert (found.deviation, found.interval) == (0.0, (500.0, 500.0))


def test_one_episode_has_neither_deviation_nor_interval():
    reported = ReturnStatistics.of([7.0]).as_json()
    assert reported["return_mean"] == reported["return_quantiles"]["median"] == 7.0
    assert reported["return_std"] is reported["return_mean_interval"] is None
