"""Names of environments: which are benchmarks, and errors for those that do not exist."""

import sys
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.envs.atari import warn_of_single_frames
from rllib_dreamerv3.envs.registry import (
    check_environment,
    is_benchmark,
    make_benchmark,
    options_of,
)
from rllib_dreamerv3.errors import ConfigError

# One of each suite: id, a misspelt option and the right one, modules it needs, the extra.
SUITES = {
    "dmc": ("dm_control/finger-spin-v0", "action_repeats", "action_repeat", ["shimmy"]),
    "crafter": ("crafter/CrafterReward-v1", "imagesize", "image_size", ["crafter"]),
    "bsuite": ("bsuite/catch-0-v0", None, None, ["shimmy"]),
    "minigrid": ("MiniGrid-Empty-5x5-v0", "tilesize", "tile_size", ["minigrid"]),
}


@pytest.mark.parametrize(
    "env",
    [
        *(suite[0] for suite in SUITES.values()),
        "ale_py:ALE/Pong-v5",
        "shimmy:dm_control/walker-walk-v0",
        "minigrid:MiniGrid-Empty-5x5-v0",
    ],
)
def test_benchmarks(env: str) -> None:
    assert is_benchmark(env)


@pytest.mark.parametrize("env", ["CartPole-v1", "minigrid:BabyAI-GoToObj-v0", None, gym.Env])
def test_other_environments(env: object) -> None:
    assert not is_benchmark(env)


@pytest.mark.parametrize("extra", SUITES)
def test_options_are_checked_whether_or_not_the_package_is_there(extra: str) -> None:
    env, wrong, right, _ = SUITES[extra]
    options_of(env, {})
    message = f"'{wrong}'. Did you mean '{right}'" if wrong else "'wrong': there are none"
    with pytest.raises(ConfigError, match=message):
        check_environment(env, {wrong or "wrong": 1})


@pytest.mark.parametrize(
    ("env", "env_config", "message"),
    [
        ("dm_control/finger-spin-v0", {"action_repeat": 0}, "at least 1"),
        ("dm_control/finger-spin-v0", {"pixels": 1}, "type bool, not 1"),
        ("dm_control/finger-spin-v0", {"camera": "top"}, "type int | None, not 'top'"),
        ("dm_control/finger-spin-v0", {"render_mode": "human"}, "not shown in a window"),
        ("crafter/CrafterReward-v1", {"image_size": 8}, "at least 9"),
        ("MiniGrid-Empty-5x5-v0", {"image_size": 55}, "at least 56, the width of 7 tiles of 8"),
        ("MiniGrid-Empty-5x5-v0", {"max_steps": 0}, "at least 1"),
    ],
)
def test_values_that_cannot_be_are_named(env: str, env_config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        options_of(env, env_config)


@pytest.mark.parametrize("extra", SUITES)
def test_missing_package_is_reported_by_the_config(extra: str, monkeypatch: Any) -> None:
    """In the user's own process: the config refuses before anything is started."""
    env, _, _, modules = SUITES[extra]
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)  # what Python takes for not installed
    config = DreamerV3Config().environment(env)
    with pytest.raises(ConfigError, match=rf"pip install 'rllib-dreamerv3\[{extra}\]'"):
        config.validate()


@pytest.mark.parametrize(
    ("env_id", "nearest"),
    [
        ("CartPol-v1", "'CartPole-v1'"),
        ("cartpole-v1", "'CartPole-v1'"),
        ("gymnasium:FrozenLake-v3", "'FrozenLake-v1'"),
        ("xyzzyxyzzy", "pprint_registry"),
        ("no_such_module:CartPole-v1", "'CartPole-v1'"),
        # What Gymnasium cannot read at all.
        ("Cart Pole-v1", "'CartPole-v1'"),
        ("CartPole", "'CartPole-v1'"),
        ("xyz/zyx/yzx", "Ids read Name-v1 or namespace/Name-v1"),
        ("", "Ids read Name-v1"),
    ],
)
def test_misspelt_environment_names_the_nearest(env_id: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest) as caught:
        check_environment(env_id, {})
    assert env_id in str(caught.value)


@pytest.mark.parametrize(
    ("env_id", "here"),
    [
        (
            "DMC/cartpole/swingup",
            r"'dm_control/cartpole-swingup-v0'.*env_config {\"pixels\": true}",
        ),
        ("DMC/ball_in_cup/catch", "'dm_control/ball_in_cup-catch-v0'"),
        ("DMC/cartpole", "'dm_control/cartpole-swingup-v0'"),
        ("GRB/AdroitHandHammer-v1", "'gymnasium_robotics:AdroitHandHammer-v1'"),
    ],
)
def test_ids_of_rllibs_examples_get_a_message_with_the_id_here(env_id: str, here: str) -> None:
    config = DreamerV3Config().environment(env_id, env_config={"from_pixels": True})
    with pytest.raises(ConfigError, match=here) as caught:
        config.validate()
    assert str(caught.value).startswith(f"'{env_id}' is how RLlib's examples name")


def test_options_of_rllibs_wrapper_get_a_message_with_the_option_here() -> None:
    for name, here in {"from_pixels": "pixels", "frame_skip": "action_repeat"}.items():
        with pytest.raises(ConfigError, match=f"'{name}'.*Here it is '{here}'"):
            options_of("dm_control/cartpole-swingup-v0", {name: 1})


def test_atari_without_action_repeat_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_single_frames.cache_clear()
    game = "ale_py:ALE/Pong-v5"
    for env_config in ({}, {"frameskip": 4}, {"frameskip": 2}):
        DreamerV3Config().environment(game, env_config=env_config).validate()
    assert "frameskip" not in caplog.text
    for _ in range(2):
        DreamerV3Config().environment(game, env_config={"frameskip": 1}).validate()
        make_benchmark(game, 1, {"frameskip": 1}).close()
    messages = [record.getMessage() for record in caplog.records]
    (warning,) = [message for message in messages if "frameskip" in message]
    assert "leave frameskip out for 4" in warning


@pytest.mark.parametrize(
    ("package", "env_id", "nearest"),
    [
        ("dm_control", "dm_control/finger-spinn-v0", "'dm_control/finger-spin-v0'"),
        ("dm_control", "shimmy:dm_control/finger_spin-v0", "'dm_control/finger-spin-v0'"),
        ("crafter", "crafter/Crafter-v1", "'crafter/CrafterReward-v1'"),
        ("bsuite", "bsuite/catch-v0", "'bsuite/catch-[0-9]-v0'"),
        ("minigrid", "MiniGrid-Empty-5x5-v1", "'MiniGrid-Empty-5x5-v0'"),
        ("minigrid", "MiniGrid-qqqqqqqqqqqqq", "There are [0-9]+, from MiniGrid-"),
    ],
)
def test_misspelt_benchmark_names_the_nearest(package: str, env_id: str, nearest: str) -> None:
    pytest.importorskip(package)
    with pytest.raises(ConfigError, match=nearest):
        check_environment(env_id, {})


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(gym.VectorizeMode.SYNC, SyncVectorEnv), (gym.VectorizeMode.ASYNC, AsyncVectorEnv)],
)
def test_vector_environments_of_a_suite(mode: gym.VectorizeMode, kind: type) -> None:
    pytest.importorskip("minigrid")
    env = make_benchmark("MiniGrid-Empty-5x5-v0", 2, {"max_steps": 3}, mode)
    try:
        assert isinstance(env, kind)
        assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
        observation, _ = env.reset(seed=0)
        assert observation["image"].shape == (2, 64, 64, 3)
        truncated = [env.step(env.action_space.sample())[3].tolist() for _ in range(4)]
        assert truncated == [[False, False], [False, False], [True, True], [False, False]]
    finally:
        env.close()


def test_environment_of_a_module_is_found_by_importing_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gym.make finds it; and a module or a name that does not exist is said to be unknown."""
    (tmp_path / "module_with_an_env.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('OfAModule-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    check_environment("module_with_an_env:OfAModule-v0", {})
    for wrong in ("module_with_an_env:OfNoModule-v0", "no_such_module:OfAModule-v0"):
        with pytest.raises(ConfigError, match="Unknown environment"):
            check_environment(wrong, {})
