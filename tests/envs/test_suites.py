"""The benchmark suites on the real packages; each is skipped where its extra is not installed."""

import os
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from rllib_dreamerv3.envs.bsuite import BSuiteOptions, bsuite_ids, make_bsuite
from rllib_dreamerv3.envs.crafter import CrafterOptions, make_crafter
from rllib_dreamerv3.envs.dm_control import ActionRepeat, DmControlOptions, make_dm_control
from rllib_dreamerv3.envs.minigrid import MiniGridOptions, make_minigrid
from rllib_dreamerv3.envs.mujoco_renderer import prepare_renderer


def play(env: gym.Env, seed: int, steps: int = 30) -> list[np.ndarray]:
    """The flattened observations of random play that is the same in every call."""
    space = env.observation_space
    observations = [env.reset(seed=seed)[0]]
    rng = np.random.default_rng(0)
    for _ in range(steps):
        if isinstance(env.action_space, gym.spaces.Discrete):
            action: Any = int(rng.integers(env.action_space.n))
        else:
            action = rng.uniform(env.action_space.low, env.action_space.high)
        observation, _, terminated, truncated, _ = env.step(action)
        observations.append(env.reset()[0] if terminated or truncated else observation)
    assert all(space.contains(observation) for observation in observations)
    return [gym.spaces.flatten(space, observation) for observation in observations]


def check_seeds(make: Any) -> None:
    """Same seed, same play, also in a second environment; another seed, another one."""
    first, again, other = play(make(), 3), play(make(), 3), play(make(), 4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# ---- Action repeat -------------------------------------------------------------------------------


class Counting(gym.Env):
    """Observes and is rewarded with the number of its step; ends after ``length`` of them."""

    observation_space = gym.spaces.Box(0, 100, (), np.int64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int, terminates: bool) -> None:
        self._length, self._terminates, self._step = length, terminates, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict]:
        self._step = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        self._step += 1
        assert self._step <= self._length
        end = self._step == self._length
        return (
            self._step,
            self._step,
            end and self._terminates,
            end and not self._terminates,
            {"step": self._step},
        )


@pytest.mark.parametrize("terminates", [True, False])
def test_action_repeat_sums_rewards_and_stops_at_the_end(terminates: bool) -> None:
    env = ActionRepeat(Counting(5, terminates), 3)
    env.reset()
    assert env.step(0) == (3, 6.0, False, False, {"step": 3})
    assert env.step(0) == (5, 9.0, terminates, not terminates, {"step": 5})
    env.reset()
    assert env.step(0)[0] == 3


# ---- DeepMind Control Suite ----------------------------------------------------------------------


@pytest.fixture
def dmc() -> None:
    prepare_renderer()  # Before importing dm_control
    pytest.importorskip("dm_control", reason="needs the extra dmc")
    pytest.importorskip("shimmy", reason="needs the extra dmc")


FINGER = "dm_control/finger-spin-v0"


@pytest.mark.usefixtures("dmc")
def test_dm_control_is_the_suite_with_repeated_actions() -> None:
    from dm_control import suite

    env = make_dm_control(FINGER, DmControlOptions())
    env.reset(seed=7)
    task = suite.load("finger", "spin", task_kwargs={"random": 7})
    task.reset()
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.uniform(-1, 1, 2)
        observation, reward, terminated, truncated, _ = env.step(action)
        steps = [task.step(action), task.step(action)]
        for name, value in steps[-1].observation.items():
            np.testing.assert_array_equal(observation[name], value)
        assert reward == sum(step.reward for step in steps)
        assert not terminated
        assert not truncated


@pytest.mark.usefixtures("dmc")
@pytest.mark.parametrize(("repeat", "decisions"), [(1, 1000), (2, 500), (3, 334)])
def test_dm_control_only_truncates_after_1000_control_steps(repeat: int, decisions: int) -> None:
    env = make_dm_control(FINGER, DmControlOptions(action_repeat=repeat))
    env.reset(seed=0)
    ends = [env.step(np.zeros(2))[2:4] for _ in range(decisions)]
    assert ends == [(False, False)] * (decisions - 1) + [(False, True)]


@pytest.mark.usefixtures("dmc")
def test_dm_control_seeds() -> None:
    check_seeds(lambda: make_dm_control(FINGER, DmControlOptions()))


@pytest.mark.usefixtures("dmc")
@pytest.mark.parametrize(
    ("env", "options", "camera"),
    [
        (FINGER, DmControlOptions(pixels=True), 0),
        ("dm_control/quadruped-walk-v0", DmControlOptions(pixels=True, image_size=96), 2),
        ("dm_control/walker-walk-v0", DmControlOptions(pixels=True, camera=1), 1),
    ],
)
def test_dm_control_images(env: str, options: DmControlOptions, camera: int) -> None:
    made = make_dm_control(env, options)
    size = options.image_size
    assert made.observation_space == gym.spaces.Box(0, 255, (size, size, 3), np.uint8)
    made.reset(seed=0)
    for _ in range(2):
        image, *_ = made.step(made.action_space.sample())
        physics = made.unwrapped.physics
        np.testing.assert_array_equal(image, physics.render(size, size, camera_id=camera))
        assert image.std() > 5
    made.close()


@pytest.mark.usefixtures("dmc")
def test_mujoco_draws_beside_tensorflow_and_the_process_ends_well() -> None:
    """Mesa and TensorFlow each bring an LLVM; mixed up, they crash here or at the very end."""
    code = (
        # The command checks the environment's name before it imports TensorFlow.
        "from rllib_dreamerv3.envs.registry import check_environment, make_benchmark\n"
        f"check_environment({FINGER!r}, {{}})\n"
        "import tensorflow as tf\n"
        f"env = make_benchmark({FINGER!r}, 2, {{'pixels': True}})\n"
        "image, _ = env.reset(seed=0)\n"
        "double = tf.function(lambda x: x + x, jit_compile=True)\n"
        "assert float(double(tf.constant(2.0))) == 4.0\n"
        "assert (env.step(env.action_space.sample())[0] != image).any()\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.usefixtures("dmc")
def test_images_are_refused_if_rllib_was_imported_first() -> None:
    code = (
        "import ray.rllib, rllib_dreamerv3\n"
        "from rllib_dreamerv3.envs.registry import check_environment\n"
        f"check_environment({FINGER!r}, {{}})\n"
        "print('state is fine')\n"
        f"check_environment({FINGER!r}, {{'pixels': True}})\n"
    )
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    environ = {name: value for name, value in os.environ.items() if name not in displays}
    finished = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True
    )
    assert finished.returncode != 0
    assert "state is fine" in finished.stdout
    assert "`from rllib_dreamerv3 import DreamerV3` before `import ray.rllib`" in finished.stderr


# ---- Crafter -------------------------------------------------------------------------------------


@pytest.fixture
def crafter() -> None:
    pytest.importorskip("crafter", reason="needs the extra crafter")


REWARDED, UNREWARDED = "crafter/CrafterReward-v1", "crafter/CrafterNoReward-v1"


@pytest.mark.usefixtures("crafter")
def test_crafter_spaces_and_seeds() -> None:
    env = make_crafter(REWARDED, CrafterOptions())
    assert env.observation_space == gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.action_space == gym.spaces.Discrete(17)
    check_seeds(lambda: make_crafter(REWARDED, CrafterOptions(length=20)))


@pytest.mark.usefixtures("crafter")
def test_crafter_truncates_at_the_step_limit() -> None:
    env = make_crafter(REWARDED, CrafterOptions(length=5, image_size=32))
    observation, info = env.reset(seed=0)
    assert observation.shape == (32, 32, 3)
    assert info == {}
    *steps, last = [env.step(0) for _ in range(5)]
    assert all(step[2:] == (False, False, {}) for step in steps)
    assert last[2:4] == (False, True)
    assert len(last[4]["achievements"]) == 22


@pytest.mark.usefixtures("crafter")
def test_crafter_terminates_with_death() -> None:
    """Doing nothing, the player starves, or is eaten before."""
    env = make_crafter(REWARDED, CrafterOptions())
    env.reset(seed=0)
    total = 0.0
    for _ in range(2000):
        _, reward, terminated, truncated, info = env.step(0)
        total += reward
        assert not truncated
        if terminated:
            break
    assert terminated
    # All of the health is lost, a tenth of a point each, and some may have come back by sleep.
    achieved = sum(count > 0 for count in info["achievements"].values())
    assert total == pytest.approx(achieved - 0.9, abs=1e-6)


@pytest.mark.usefixtures("crafter")
def test_crafter_without_rewards() -> None:
    rewards = []
    for env_id in (REWARDED, UNREWARDED):
        env = make_crafter(env_id, CrafterOptions())
        env.reset(seed=1)
        rewards.append([env.step(i % 6)[1] for i in range(200)])
    assert any(rewards[0])
    assert not any(rewards[1])


# ---- BSuite --------------------------------------------------------------------------------------


@pytest.fixture
def bsuite() -> None:
    pytest.importorskip("bsuite", reason="needs the extra bsuite")
    pytest.importorskip("shimmy", reason="needs the extra bsuite")


@pytest.mark.usefixtures("bsuite")
def test_bsuite_numbers_are_its_own() -> None:
    from bsuite import sweep

    ids = bsuite_ids()
    assert len(ids) == len(sweep.SWEEP) == len(set(ids))
    deep_sea = make_bsuite("bsuite/deep_sea-3-v0", BSuiteOptions())
    assert deep_sea.observation_space.shape == (sweep.SETTINGS["deep_sea/3"]["size"] ** 2,)


@pytest.mark.usefixtures("bsuite")
def test_bsuite_catch(capsys: Any) -> None:
    env = make_bsuite("bsuite/catch-0-v0", BSuiteOptions())
    assert env.observation_space.shape == (50,)
    env.reset(seed=0)
    steps = [env.step(1) for _ in range(9)]
    assert [step[2:4] for step in steps] == [(False, False)] * 8 + [(True, False)]
    assert [step[1] for step in steps[:-1]] == [0] * 8
    assert steps[-1][1] in (-1, 1)
    assert capsys.readouterr().out == ""
    check_seeds(lambda: make_bsuite("bsuite/catch-0-v0", BSuiteOptions()))


# ---- MiniGrid ------------------------------------------------------------------------------------


@pytest.fixture
def minigrid() -> None:
    pytest.importorskip("minigrid", reason="needs the extra minigrid")


EMPTY = "MiniGrid-Empty-5x5-v0"


@pytest.mark.usefixtures("minigrid")
def test_minigrid_observes_its_view_and_direction() -> None:
    env = make_minigrid(EMPTY, MiniGridOptions())
    assert env.observation_space == gym.spaces.Dict(
        {
            "direction": gym.spaces.Discrete(4),
            "image": gym.spaces.Box(0, 255, (64, 64, 3), np.uint8),
        }
    )
    observation, _ = env.reset(seed=0)
    assert observation["direction"] == 0
    view = env.unwrapped.get_frame(tile_size=8, agent_pov=True)
    np.testing.assert_array_equal(observation["image"][4:60, 4:60], view)
    frame = observation["image"].copy()
    frame[4:60, 4:60] = 0
    assert not frame.any()
    assert env.step(1)[0]["direction"] == 1
    check_seeds(lambda: make_minigrid("MiniGrid-Empty-Random-6x6-v0", MiniGridOptions()))


@pytest.mark.usefixtures("minigrid")
def test_minigrid_terminates_at_the_goal_and_truncates_at_its_limit() -> None:
    forward, right = 2, 1
    env = make_minigrid(EMPTY, MiniGridOptions())
    env.reset(seed=0)
    steps = [env.step(action) for action in (forward, forward, right, forward, forward)]
    assert [step[2:4] for step in steps] == [(False, False)] * 4 + [(True, False)]
    assert steps[-1][1] == pytest.approx(0.955)

    env = make_minigrid(EMPTY, MiniGridOptions(max_steps=3, tile_size=4, image_size=32))
    assert env.reset(seed=0)[0]["image"].shape == (32, 32, 3)
    assert [env.step(right)[2:4] for _ in range(3)] == [(False, False)] * 2 + [(False, True)]
