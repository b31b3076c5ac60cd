"""Atari on the real emulator."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList

from rllib_dreamerv3.envs.atari import AtariOptions, AtariVector, is_atari, make_atari
from rllib_dreamerv3.errors import ConfigError

pytest.importorskip("ale_py")

PONG = "ale_py:ALE/Pong-v5"
BREAKOUT = "ALE/Breakout-v5"


def make(env_id: str, num_envs: int = 1, **options: Any) -> AtariVector:
    return make_atari(env_id, num_envs, AtariOptions(**options))


def play(env: AtariVector, steps: int, seed: int | None) -> dict[str, np.ndarray]:
    """Random play with actions that are the same in every call; arrays ``[steps, N, ...]``."""
    env.reset(seed=seed)
    rng = np.random.default_rng(0)
    n = env.single_action_space.n
    names = ("obs", "reward", "terminated", "truncated")
    stream: dict[str, list] = {name: [] for name in (*names, "lives")}
    for _ in range(steps):
        *result, infos = env.step(rng.integers(n, size=env.num_envs))
        for name, value in zip(names, result, strict=True):
            stream[name].append(value)
        stream["lives"].append(infos["lives"])
    return {name: np.stack(values) for name, values in stream.items()}


@pytest.mark.parametrize("env", [PONG, BREAKOUT])
def test_atari_ids(env: str) -> None:
    assert is_atari(env)


@pytest.mark.parametrize("env", ["CartPole-v1", "my_package:Atari-v0", None, gym.Env, "ALEPH-v0"])
def test_other_ids(env: object) -> None:
    assert not is_atari(env)


def test_what_rllib_needs_of_a_vector_environment() -> None:
    env = make(PONG, 3)
    assert env.unwrapped is env
    assert env.num_envs == 3
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert env.single_observation_space == gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.single_action_space == gym.spaces.Discrete(6)
    observation, infos = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert infos["lives"].shape == (3,)
    env.action_space.seed(0)
    observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert (reward.shape, reward.dtype) == ((3,), np.float64)
    assert (terminated.shape, terminated.dtype) == ((3,), bool)
    assert (truncated.shape, truncated.dtype) == ((3,), bool)
    listed = DictInfoToList(env)
    assert [sorted(info) for info in listed.reset()[1]] == [sorted(infos)] * 3
    env.close()
    env.close()
    with pytest.raises(gym.error.ClosedEnvironmentError):
        env.step(np.zeros(3, int))


def test_observations_are_not_written_over() -> None:
    env = make(PONG, 2)
    first, _ = env.reset(seed=0)
    copy = first.copy()
    later = play(env, 60, seed=1)["obs"]
    np.testing.assert_array_equal(first, copy)
    assert not (later == copy).all()


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_same_seed_same_game(sticky: float) -> None:
    """Over the ends of episodes, and whatever the number of threads."""
    runs = [
        play(make(BREAKOUT, 2, repeat_action_probability=sticky, num_threads=threads), 400, seed)
        for threads, seed in [(1, 5), (2, 5), (1, 6)]
    ]
    assert runs[0]["terminated"].any()
    for name, values in runs[0].items():
        np.testing.assert_array_equal(values, runs[1][name])
    assert not (runs[0]["obs"] == runs[2]["obs"]).all()


def test_seed_of_make_is_used_by_the_first_reset_and_games_differ() -> None:
    def noops(seed: int) -> list[int]:
        return make_atari(PONG, 4, seed=seed).reset()[1]["episode_frame_number"].tolist()

    first = noops(3)
    assert first == noops(3)
    assert len(set(first)) > 1
    # Env runners get neighbouring seeds; their games must not be the same ones, shifted.
    assert first[1:] != noops(4)[:-1]


def test_resets_without_a_seed_go_on_with_the_random_numbers() -> None:
    env = make_atari(PONG, 1, seed=0)
    frames = [int(env.reset()[1]["frame_number"][0]) for _ in range(6)]
    assert len(set(np.diff(frames))) > 1


def test_sticky_actions_change_the_game() -> None:
    """With and without them the same actions are played from the same state."""
    not_sticky = play(make(PONG, noop_max=0), 80, seed=0)["obs"]
    not_sticky_again = play(make(PONG, noop_max=0), 80, seed=1)["obs"]
    sticky = play(make(PONG, noop_max=0, repeat_action_probability=0.25), 80, seed=0)["obs"]
    np.testing.assert_array_equal(not_sticky, not_sticky_again)
    assert not (not_sticky == sticky).all()


@pytest.mark.parametrize(("env_id", "size"), [(PONG, 64), (BREAKOUT, 96)])
def test_equal_to_single_environment_preprocessed_by_hand(env_id: str, size: int) -> None:
    """Repeat 4, sum of rewards, maximum of the last two frames, area interpolation."""
    env = make(env_id, noop_max=0, image_size=size)
    single = gym.make(env_id, frameskip=1, repeat_action_probability=0.0, full_action_space=False)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    single.reset(seed=0)
    rows, columns = area_weights(210, size), area_weights(160, size)
    ended, total = False, 0.0
    for step in range(250):
        action = int(rng.integers(env.single_action_space.n))
        observation, reward, terminated, truncated, _ = env.step(np.array([action]))
        frames, rewards = [], []
        for _ in range(4):
            frame, r, ended, cut, _ = single.step(action)
            frames.append(frame)
            rewards.append(r)
            if ended:
                break
        assert reward[0] == sum(rewards)
        assert (terminated[0], truncated[0]) == (ended, cut)
        total += abs(reward[0])
        if ended:
            break
        if step % 10:  # Resizing by hand takes long; rewards and ends are compared at every step.
            continue
        pooled = np.maximum(frames[-1], frames[-2]).astype(np.float64)
        expected = rows @ pooled.transpose(2, 0, 1) @ columns.T
        assert np.abs(observation[0].transpose(2, 0, 1) - expected).max() <= 0.51
    assert total > 0
    assert ended == (env_id == BREAKOUT)


def area_weights(source: int, target: int) -> np.ndarray:
    """``[target, source]``: share of each source pixel in each target pixel."""
    edges = np.arange(target + 1) * source / target
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(source)
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    return overlap / overlap.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("options", "shape", "actions"),
    [
        ({}, (64, 64, 3), 6),
        ({"image_size": 96, "full_action_space": True}, (96, 96, 3), 18),
        ({"grayscale": True}, (64, 64, 1), 6),
    ],
)
def test_shapes_and_action_sets(
    options: dict[str, Any], shape: tuple[int, ...], actions: int
) -> None:
    env = make(PONG, 2, **options)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (2, *shape)
    assert observation.max() > 0
    assert env.single_observation_space.shape == shape
    assert env.single_action_space.n == actions
    images = env.render()
    assert [image.shape for image in images] == [(*shape[:2], 3)] * 2
    np.testing.assert_array_equal(images[1][..., :1], observation[1][..., :1])


def test_gray_is_the_luminance_of_the_colours() -> None:
    colours = play(make(BREAKOUT, noop_max=0), 20, seed=0)["obs"].astype(np.float64)
    gray = play(make(BREAKOUT, noop_max=0, grayscale=True), 20, seed=0)["obs"]
    np.testing.assert_allclose(gray[..., 0], colours @ [0.299, 0.587, 0.114], atol=2.0)


@pytest.mark.parametrize("grayscale", [False, True], ids=["colours", "gray"])
def test_bilinear_pictures_are_those_of_a_triangle_filter(grayscale: bool) -> None:
    """2025 code: maximum of two frames in colours, resized by pillow, gray made of the result."""
    size = 96 if grayscale else 64
    env = make(
        BREAKOUT, noop_max=0, image_size=size, grayscale=grayscale, resize="bilinear", frameskip=2
    )
    single = gym.make(BREAKOUT, frameskip=1, repeat_action_probability=0.0)
    env.reset(seed=0)
    single.reset(seed=0)
    rows, columns = triangle_weights(210, size), triangle_weights(160, size)
    for step in range(40):
        action = (1, 2, 3)[step % 3]
        observation = env.step(np.array([action]))[0]
        frames = [single.step(action)[0] for _ in range(2)]
    pooled = np.maximum(*frames).astype(np.float64)
    expected = (rows @ pooled.transpose(2, 0, 1) @ columns.T).transpose(1, 2, 0)
    if grayscale:
        expected = expected @ [[0.299], [0.587], [0.114]] - 0.5
    assert observation.shape == (1, size, size, 1 if grayscale else 3)
    assert np.abs(observation[0] - expected).max() <= (1.01 if grayscale else 0.51)


def triangle_weights(source: int, target: int) -> np.ndarray:
    """``[target, source]``: a triangle around each target pixel, two target pixels wide."""
    scale = source / target
    centres = (np.arange(target)[:, None] + 0.5) * scale
    weights = np.clip(1 - np.abs(np.arange(source) + 0.5 - centres) / scale, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def test_frame_limit_is_an_end_of_the_game_if_chosen() -> None:
    for chosen in (False, True):
        env = make(PONG, 2, max_num_frames_per_episode=40, limit_is_terminal=chosen)
        stream = play(env, 25, seed=0)
        assert stream["terminated"].any() == chosen
        assert stream["truncated"].any() != chosen


def test_frame_limit_truncates_and_the_next_step_is_a_reset() -> None:
    env = make(PONG, noop_max=0, max_num_frames_per_episode=40)
    opening, _ = env.reset(seed=0)
    for step in range(1, 25):
        observation, reward, terminated, truncated, infos = env.step(np.array([2]))
        assert not terminated[0]
        assert truncated[0] == (step in (10, 21))
        if step in (11, 22):
            np.testing.assert_array_equal(observation, opening)
            assert reward[0] == 0.0
            assert infos["episode_frame_number"][0] == 0
        else:
            assert infos["episode_frame_number"][0] == 4 * (step % 11)


def test_lost_lives_do_not_end_an_episode() -> None:
    stream = play(make(BREAKOUT, 2), 500, seed=0)
    lives, terminated = stream["lives"], stream["terminated"]
    lost = np.diff(lives, axis=0) < 0
    assert lost.sum() >= 8
    np.testing.assert_array_equal(terminated, lives == 0)
    assert terminated.any()
    after = np.roll(terminated, 1, axis=0)
    after[0] = False
    assert (lives[after] == 5).all()
    assert (stream["reward"][after] == 0).all()
    assert not stream["truncated"].any()


def test_lost_lives_end_an_episode_if_chosen() -> None:
    stream = play(make(BREAKOUT, terminal_on_life_loss=True), 300, seed=0)
    ends = stream["terminated"][:, 0]
    assert ends.sum() >= 3
    assert (stream["lives"][ends, 0] == 4).all()


def test_rewards_are_clipped_only_if_chosen() -> None:
    game = "ALE/MsPacman-v5"
    plain = play(make(game), 100, seed=0)["reward"]
    clipped = play(make(game, clip_rewards=True), 100, seed=0)["reward"]
    assert plain.max() >= 10
    np.testing.assert_array_equal(clipped, np.clip(plain, -1, 1))


def test_noops_are_sampled_at_each_reset_up_to_the_limit() -> None:
    env = make(PONG, 2, noop_max=5)
    drawn = {int(n) for _ in range(24) for n in env.reset()[1]["episode_frame_number"]}
    assert drawn == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("actions", [[0, 6], [-1, 0], [0], [[0, 0]]])
def test_actions_that_do_not_exist_are_refused(actions: Any) -> None:
    env = make(PONG, 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="2 actions from 0 to 5"):
        env.step(np.array(actions))


# ---- Options and errors --------------------------------------------------------------------------


def test_options_from_env_config() -> None:
    options = AtariOptions.from_env_config({"frameskip": 2, "repeat_action_probability": 1})
    assert options == AtariOptions(frameskip=2, repeat_action_probability=1)
    assert AtariOptions.from_env_config({}) == AtariOptions()


@pytest.mark.parametrize(
    ("env_config", "message"),
    [
        ({"frame_skip": 4}, "Unknown Atari option.*'frame_skip'. Did you mean 'frameskip'"),
        ({"difficulty": 1}, "'difficulty'.*cannot be set"),
        ({"frameskip": 0}, "'frameskip'.*at least 1"),
        ({"image_size": 0}, "'image_size'.*at least 1"),
        ({"image_size": "64"}, "'image_size'.*type int, not '64'"),
        ({"frameskip": True}, "'frameskip'.*type int, not True"),
        ({"grayscale": 1}, "'grayscale'.*type bool, not 1"),
        ({"resize": "cubic"}, "'resize'.*'area' or 'bilinear', not 'cubic'"),
        ({"limit_is_terminal": 1}, "'limit_is_terminal'.*type bool, not 1"),
        ({"render_mode": "human"}, "'render_mode'.*Atari environments are not shown in a window"),
        ({"repeat_action_probability": 1.5}, r"\[0, 1\], not 1.5"),
    ],
)
def test_bad_options_are_named(env_config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AtariOptions.from_env_config(env_config)


@pytest.mark.parametrize(
    ("env_id", "nearest"),
    [
        ("ale_py:ALE/Pongg-v5", "'ale_py:ALE/Pong-v5'"),
        ("ALE/breakout-v5", "'ale_py:ALE/Breakout-v5'"),
        ("ALE/Pong-v4", "'ale_py:ALE/Pong-v5'"),
        ("ALE/Ms_Pacman-v5", "'ale_py:ALE/MsPacman-v5'"),
        ("ALE/xyzzyxyzzy-v5", "get_all_rom_ids"),
    ],
)
def test_misspelt_game_names_the_nearest(env_id: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest):
        make_atari(env_id, 1)
