"""Atari with the papers' preprocessing.

Games run in ale-py's vector environment (C++, several threads), with the preprocessing of
Atari-100k: action repeat 4, maximum of the last two raw frames, 64x64 RGB by area interpolation, up
to 30 no-ops at a reset, no stacked frames, original rewards and lives.
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

# Weights of red, green and blue in the luminance (2025 code).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class AtariOptions(EnvOptions):
    """Options of emulation and preprocessing; the defaults are those of Atari-100k.

    A frame is one picture of the console, 1/60 s of play; a step is one action.

    Attributes:
        frameskip: Frames for which an action is repeated (and whose rewards are summed).
        repeat_action_probability: Probability of repeating the previous action ("sticky actions")
            at each frame; 0.25 for the 200-million-frame benchmark.
        full_action_space: Whether to use all 18 joystick actions instead of those of the game.
        noop_max: Upper limit of the number of frames without action at a reset: uniform in
            0 .. ``noop_max - 1``, as in the 2023 code. 0 for none.
        grayscale: Whether images have one channel, the luminance, instead of three.
        image_size: Height and width of the observation, in pixels.
        resize: Interpolation from the console's 210x160 pixels. ``area``: mean over areas; gray is
            the console's own (2023 code, except for its gray). ``bilinear``: triangle filter, two
            pixels of the result wide; gray is computed from the resized colours (2025 code); takes
            about a millisecond more per game.
        maxpool: Whether to show the elementwise maximum of the last two frames of a step, since
            consoles draw some objects only every other frame. No effect if ``frameskip`` is 1.
        terminal_on_life_loss: Whether the loss of a life ends the episode and restarts the game.
        clip_rewards: Whether to clip the reward of a step to [-1, 1].
        max_num_frames_per_episode: Frames (without the no-ops) after which an episode is
            truncated; the default is 30 minutes of play.
        limit_is_terminal: Whether that limit terminates the episode instead, as in both versions of
            the authors' code.
        num_threads: Threads that step the environments of one env runner. 1, because an env runner
            has one CPU by default; 0 for the number of environments or cores.
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
        """Check types and ranges; the emulator would hang or crash with values out of range."""
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
        """Parse the options, see :meth:`EnvOptions.from_env_config`."""
        for name in ("mode", "difficulty"):
            if name in env_config:
                raise ConfigError(
                    f"env_config[{name!r}] cannot be set: ale-py's vector environment plays every "
                    f"game in its default mode and difficulty. For another one, register a "
                    f"function that returns gymnasium.make(..., {name}=...) and your wrappers."
                )
        return super().from_env_config(env_config)


def is_atari(env: object) -> bool:
    """Whether an id is that of an Atari game, e.g. ``ale_py:ALE/Pong-v5`` or ``ALE/Pong-v5``."""
    return isinstance(env, str) and env.removeprefix(_ATARI_MODULE).startswith(_ATARI_NAMESPACE)


@functools.cache
def warn_of_single_frames() -> None:
    """Warn once per process about ``frameskip`` 1, which RLlib's examples use with a wrapper."""
    logger.warning(
        'env_config {"frameskip": 1}: each action is played for one frame and not repeated. '
        "RLlib's examples set this because their wrapper repeats actions, which is not used here: "
        "leave frameskip out for 4, the action repeat of the papers."
    )


def check_atari_game(env_id: str) -> str:
    """Return ale-py's name of a game.

    Args:
        env_id: Gymnasium id, with or without ``ale_py:``.

    Raises:
        ConfigError: If the game does not exist (names the most similar), or ale-py is not
            installed.
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
    """Create N environments of the same Atari game.

    Args:
        env_id: Gymnasium id, with or without ``ale_py:``.
        num_envs: Number of environments N.
        options: Preprocessing; that of Atari-100k if None.
        seed: Seed of the first ``reset`` without a seed; None draws one.

    Returns:
        The vector environment, see :class:`AtariVector`.

    Raises:
        ConfigError: As :func:`check_atari_game`.
    """
    game = check_atari_game(env_id)
    return AtariVector(game, num_envs, options or AtariOptions(), seed)


class AtariVector(VectorEnv):
    """N Atari games in one C++ vector environment.

    Observations are ``uint8 [N, size, size, 3]`` (1 channel if gray), fresh arrays at every step;
    rewards are ``float64 [N]``. The step after an end ignores the action and returns the
    observation of a reset with reward 0 (``AutoresetMode.NEXT_STEP``). The frame limit truncates;
    only the end of the game (or the limit or the loss of a life, if configured) terminates.

    Deviation from papers and authors' code, which show the very last frames: if the episode ends
    in the middle of an action repeat, ale-py 0.12 does not draw the remaining frames, and the final
    observation repeats the picture of the previous step (with the last but one frame drawn over it
    if only the last is missing). Rewards and ends are exact.

    Attributes:
        metadata: Gymnasium's; has the autoreset mode.
        render_mode: ``rgb_array``: :meth:`render` returns the observations.
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
        """Load the game N times.

        Args:
            game: Name of the game's cartridge, e.g. ``ms_pacman``.
            num_envs: Number of environments N.
            options: Preprocessing.
            seed: Seed of the first ``reset`` without a seed.
        """
        from ale_py.vector_env import AtariVectorEnv

        self.num_envs = num_envs
        self._seeds: np.random.SeedSequence | None = np.random.SeedSequence(seed)
        self._limit_is_terminal = options.limit_is_terminal
        bilinear = options.resize == "bilinear"
        self._make_gray = bilinear and options.grayscale
        # At the console's own size the picture is not resized.
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
        """Restart all games.

        Args:
            seed: One seed for all (each game gets its own, drawn from it, so that env runners
                with consecutive seeds do not share games), or one for each game. None continues
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
        """Play one action in each game.

        Args:
            actions: ``int [N]``.

        Returns:
            Observations ``uint8 [N, size, size, channels]``, rewards ``float64 [N]``, terminated
            ``bool [N]``, truncated ``bool [N]``, and infos (``lives``, ``frame_number``, ...).

        Raises:
            ValueError: If an action is out of range, or there are not N.
        """
        actions = np.asarray(actions, np.int64)
        n = self.single_action_space.n
        # The emulator's threads would hang with an action out of range.
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= n:
            raise ValueError(
                f"Expected {self.num_envs} actions from 0 to {n - 1}, but got {actions.tolist()}."
            )
        observation, reward, terminated, truncated, infos = self._open_games().step(actions)
        if self._limit_is_terminal:
            terminated, truncated = terminated | truncated, np.zeros_like(truncated)
        return self._observe(observation), reward.astype(np.float64), terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...]:
        """Return the observation of each game: N images ``uint8 [size, size, 3]``."""
        shape = (*self._observation.shape[:-1], 3)
        return tuple(np.broadcast_to(self._observation, shape).copy())

    def close_extras(self, **kwargs: Any) -> None:
        """End the emulator's threads."""
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
                # Rounded down, as in the 2025 code.
                pictures = (pictures @ _LUMINANCE).astype(np.uint8)
            stacked = pictures
        self._observation = stacked.reshape(self._observation.shape)
        return self._observation


def _screen_size(game: str) -> tuple[int, int]:
    """Return height and width of a game's picture: 210x160 for most, 250x160 for some."""
    from ale_py import ALEInterface, LoggerMode, roms

    # Suppresses a greeting.
    ALEInterface.setLoggerMode(LoggerMode.Error)
    console = ALEInterface()
    console.loadROM(roms.get_rom_path(game))
    height, width = console.getScreenDims()
    return height, width


def _resize_bilinearly(pictures: np.ndarray, size: int) -> np.ndarray:
    """Resize pictures ``uint8 [N, height, width, 3]`` to ``size`` x ``size``, as pillow does.

    Values differ by at most one: pillow rounds after each of the two axes.
    """
    # Imported here, so that environments can be listed and checked without TensorFlow.
    import tensorflow as tf

    resized = tf.image.resize(pictures, (size, size), "bilinear", antialias=True)
    return np.rint(resized.numpy()).astype(np.uint8)
