"""Atari as the papers play it.

Games run in ale-py's own vector environment (C++, several threads), set to the preprocessing of
Atari-100k: action repeat 4, maximum of the last two raw frames, 64x64 RGB by area interpolation, up
to 30 no-ops at a reset, no stacked frames, rewards and lives left alone.
Source: arXiv 2301.04104v1, appendix on Atari 100k; 2023 code.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rllib_dreamerv3.envs.env_config import EnvOptions, unknown_environment
from rllib_dreamerv3.errors import ConfigError

_ATARI_MODULE = "ale_py:"
_ATARI_NAMESPACE = "ALE/"

Resize = Literal["area", "bilinear"]

logger = logging.getLogger(__name__)

# Of red, green and blue in the luminance (2025 code).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class AtariOptions(EnvOptions):
    """How a game is played and shown; the defaults are those of Atari-100k.

    A frame is one picture of the console, 1/60 s of play; a step is one action.

    Attributes:
        frameskip: Frames that an action is repeated for (and whose rewards are summed).
        repeat_action_probability: Chance that the console goes on with the previous action
            ("sticky actions"), each frame; 0.25 for the 200-million-frame benchmark.
        full_action_space: All 18 joystick actions instead of those the game uses.
        noop_max: Upper limit of the number of frames without action at a reset: uniform in
            0 .. ``noop_max - 1``, as in the 2023 code. 0 turns them off.
        grayscale: One channel, of the luminance, instead of three.
        image_size: Height and width of the observation, in pixels.
        resize: How the console's 210x160 pixels become that. ``area``: averaged over areas, and
            gray are the console's own shades (2023 code, but for its gray). ``bilinear``: by a
            triangle as wide as two pixels of the result, and gray is made of the resized colours
            (2025 code); takes about a millisecond more for each game.
        maxpool: Show the elementwise maximum of the last two frames of a step, because consoles
            draw some objects only every other frame. Without effect where ``frameskip`` is 1.
        terminal_on_life_loss: End the episode with each life, and begin the game anew.
        clip_rewards: Clip the reward of a step to [-1, 1].
        max_num_frames_per_episode: Frames (without the no-ops) after which an episode is
            truncated; the default is 30 minutes of play.
        limit_is_terminal: Count that limit as an end of the game instead, after which nothing can
            be earned, as both versions of the authors' code do.
        num_threads: Threads that step the environments of one env runner. 1, because Ray reckons
            an env runner as one CPU; 0 takes as many as there are environments or cores.
    """

    frameskip: int = 4
    repeat_action_probability: float = 0.0
    full_action_space: bool = False
    noop_max: int = 30
    grayscale: bool = False
    image_size: int = 64
    resize: str = "area"
    maxpool: bool = True
    terminal_on_life_loss: bool = False
    clip_rewards: bool = False
    max_num_frames_per_episode: int = 108_000
    limit_is_terminal: bool = False
    num_threads: int = 1

    benchmark: ClassVar[str] = "Atari"
    least: ClassVar[Mapping[str, int]] = {
        "frameskip": 1,
        "noop_max": 0,
        "image_size": 1,
        "max_num_frames_per_episode": 1,
        "num_threads": 0,
    }

    def __post_init__(self) -> None:
        """Checks types and ranges: out of range, the emulator's threads would hang or crash."""
        super().__post_init__()
        if not 0.0 <= self.repeat_action_probability <= 1.0:
            raise ConfigError(
                "env_config['repeat_action_probability'] must be in [0, 1], not "
                f"{self.repeat_action_probability}."
            )
        if self.resize not in get_args(Resize):
            raise ConfigError(
                f"env_config['resize'] must be 'area' or 'bilinear', not {self.resize!r}."
            )

    @classmethod
    def from_env_config(cls, env_config: Mapping[str, Any]) -> "AtariOptions":
        """Reads the options, as :meth:`EnvOptions.from_env_config` does."""
        for name in ("mode", "difficulty"):
            if name in env_config:
                raise ConfigError(
                    f"env_config[{name!r}] cannot be set: ale-py's vector environment plays every "
                    f"game in its default mode and difficulty. For another one, register a "
                    f"function that returns gymnasium.make(..., {name}=...) and your wrappers."
                )
        return super().from_env_config(env_config)


def is_atari(env: object) -> bool:
    """Whether this is the id of an Atari game, e.g. ``ale_py:ALE/Pong-v5`` or ``ALE/Pong-v5``."""
    return isinstance(env, str) and env.removeprefix(_ATARI_MODULE).startswith(_ATARI_NAMESPACE)


@functools.cache
def warn_of_single_frames() -> None:
    """Warns once in a process of ``frameskip`` 1, which RLlib's examples set beside a wrapper."""
    logger.warning(
        'env_config {"frameskip": 1}: each action is played for one frame, and nothing repeats it. '
        "RLlib's examples set this because a wrapper of theirs repeats actions, which is not used "
        "here: leave frameskip out for 4, the action repeat of the papers."
    )


def check_atari_game(env_id: str) -> str:
    """Looks up a game.

    Args:
        env_id: Gymnasium id, with or without ``ale_py:``.

    Returns:
        ale-py's own name of the game.

    Raises:
        ConfigError: If there is no such game (names the nearest), or ale-py is not installed.
    """
    try:
        import ale_py
    except ImportError as error:
        raise ConfigError(
            f"{env_id!r} is an Atari game and needs ale-py: pip install ale-py"
        ) from error
    gym.register_envs(ale_py)
    name = env_id.removeprefix(_ATARI_MODULE)
    if name not in gym.registry:
        raise unknown_environment(
            env_id,
            [_ATARI_MODULE + known for known in gym.registry if is_atari(known)],
            common=_ATARI_NAMESPACE,
            advice="ale_py.roms.get_all_rom_ids() lists all games.",
        )
    return gym.registry[name].kwargs["game"]


def make_atari(
    env_id: str, num_envs: int, options: AtariOptions | None = None, seed: int | None = None
) -> "AtariVector":
    """Makes N environments that play the same Atari game.

    Args:
        env_id: Gymnasium id, with or without ``ale_py:``.
        num_envs: Number of environments N.
        options: Preprocessing; that of Atari-100k if None.
        seed: Seed of the first ``reset`` that names none; None draws one.

    Returns:
        The vector environment; see :class:`AtariVector`.

    Raises:
        ConfigError: If there is no such game (names the nearest), or ale-py is not installed.
    """
    game = check_atari_game(env_id)
    return AtariVector(game, num_envs, options or AtariOptions(), seed)


class AtariVector(VectorEnv):
    """N Atari games in one C++ vector environment.

    Observations are ``uint8 [N, size, size, 3]`` (1 channel if gray), fresh arrays at every step;
    rewards are ``float64 [N]``. The step after an end ignores the action and returns the
    observation of a reset with reward 0 (``AutoresetMode.NEXT_STEP``). The frame limit truncates,
    only the game itself (or the limit or the loss of a life, if so chosen) terminates.

    Deviation from papers and authors' code, which show the very last frames: where the game or the
    frame limit ends in the middle of an action repeat, ale-py 0.12 does not draw the frames that
    are left, and the final observation repeats the picture of the step before (with the last but
    one frame drawn over it if only the last is missing). Rewards and ends are exact.

    Attributes:
        metadata: Gymnasium's; names the autoreset mode.
        render_mode: ``rgb_array``: :meth:`render` returns what the agent sees.
        num_envs: N.
    """

    metadata = {  # noqa: RUF012 (Gymnasium's own declaration)
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 15,
    }
    render_mode = "rgb_array"

    def __init__(
        self, game: str, num_envs: int, options: AtariOptions, seed: int | None = None
    ) -> None:
        """Loads the game N times.

        Args:
            game: Name of the game's cartridge, e.g. ``ms_pacman``.
            num_envs: Number of environments N.
            options: Preprocessing.
            seed: Seed of the first ``reset`` that names none.
        """
        from ale_py.vector_env import AtariVectorEnv

        self.num_envs = num_envs
        self._seeds: np.random.SeedSequence | None = np.random.SeedSequence(seed)
        self._limit_is_terminal = options.limit_is_terminal
        bilinear = options.resize == "bilinear"
        self._make_gray = bilinear and options.grayscale
        # At its own size the console's picture comes as it is.
        shown = _screen_size(game) if bilinear else (options.image_size, options.image_size)
        self._games: AtariVectorEnv | None = AtariVectorEnv(
            game,
            num_envs,
            num_threads=options.num_threads,
            max_num_frames_per_episode=options.max_num_frames_per_episode,
            repeat_action_probability=options.repeat_action_probability,
            full_action_space=options.full_action_space,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            img_height=shown[0],
            img_width=shown[1],
            grayscale=options.grayscale and not bilinear,
            stack_num=1,
            frameskip=options.frameskip,
            maxpool=options.maxpool and options.frameskip > 1,
            noop_max=options.noop_max,
            episodic_life=options.terminal_on_life_loss,
            reward_clipping=options.clip_rewards,
            use_fire_reset=False,
        )
        shape = (options.image_size, options.image_size, 1 if options.grayscale else 3)
        self.single_observation_space = gym.spaces.Box(0, 255, shape, np.uint8)
        self.single_action_space = self._games.single_action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._observation = np.zeros((num_envs, *shape), np.uint8)
        self._bilinear = bilinear

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts all games anew.

        Args:
            seed: One seed for all (each game gets its own, drawn from it, so that env runners
                with neighbouring seeds share no game), or one for each game. None goes on with
                the random numbers of the last reset.
            options: Not used.

        Returns:
            Observations ``uint8 [N, size, size, channels]`` and infos.
        """
        seeds: np.ndarray | None = None
        if seed is not None and not isinstance(seed, int | np.integer):
            seeds = np.asarray(seed, np.int32)
        else:
            source = self._seeds if seed is None else np.random.SeedSequence(int(seed))
            if source is not None:
                seeds = (source.generate_state(self.num_envs) >> 1).astype(np.int32)
        self._seeds = None
        observation, infos = self._open_games().reset(seed=seeds)
        return self._observe(observation), infos

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Plays one action in each game.

        Args:
            actions: ``int [N]``.

        Returns:
            Observations ``uint8 [N, size, size, channels]``, rewards ``float64 [N]``, terminated
            ``bool [N]``, truncated ``bool [N]``, and infos (``lives``, ``frame_number``, ...).

        Raises:
            ValueError: If an action does not exist, or their number is not N.
        """
        actions = np.asarray(actions, np.int64)
        n = self.single_action_space.n
        # The emulator's threads would never answer to an action that does not exist.
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= n:
            raise ValueError(
                f"Expected {self.num_envs} actions from 0 to {n - 1}, but got {actions.tolist()}."
            )
        observation, reward, terminated, truncated, infos = self._open_games().step(actions)
        if self._limit_is_terminal:
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
        return self._observe(observation), reward.astype(np.float64), terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """What the agent sees in each game: N images ``uint8 [size, size, 3]``."""
        shape = (*self._observation.shape[:-1], 3)
        return tuple(np.broadcast_to(self._observation, shape).copy())

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the emulator's threads."""
        self._games = None

    def _open_games(self) -> Any:
        if self._games is None:
            raise gym.error.ClosedEnvironmentError("This Atari environment has been closed.")
        return self._games

    def _observe(self, stacked: np.ndarray) -> np.ndarray:
        """``[N, 1, height, width]`` or ``[..., 3]`` -> ``[N, size, size, channels]``."""
        if self._bilinear:
            pictures = _resize_bilinearly(stacked[:, 0], self._observation.shape[1])
            if self._make_gray:
                # Rounded down, as there.
                pictures = (pictures @ _LUMINANCE).astype(np.uint8)
            stacked = pictures
        self._observation = stacked.reshape(self._observation.shape)
        return self._observation


def _screen_size(game: str) -> tuple[int, int]:
    """Height and width of a game's picture: 210x160 for most, 250x160 for some."""
    from ale_py import ALEInterface, LoggerMode, roms

    # It would print a greeting.
    ALEInterface.setLoggerMode(LoggerMode.Error)
    console = ALEInterface()
    console.loadROM(roms.get_rom_path(game))
    height, width = console.getScreenDims()
    return height, width


def _resize_bilinearly(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures ``uint8 [N, height, width, 3]`` at ``size`` x ``size``, as pillow resizes them.

    Within one shade: pillow rounds after each of the two axes.
    """
    # Here, so that the environments can be listed and checked without TensorFlow.
    import tensorflow as tf

    resized = tf.image.resize(pictures, (size, size), "bilinear", antialias=True)
    return np.rint(resized.numpy()).astype(np.uint8)
