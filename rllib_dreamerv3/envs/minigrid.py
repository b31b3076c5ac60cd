"""MiniGrid (Chevalier-Boisvert et al., arXiv 2306.13831): small mazes with keys and doors."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import FilterObservation, TransformObservation

from rllib_dreamerv3.envs.env_config import EnvOptions
from rllib_dreamerv3.errors import ConfigError

_VIEW = 7  # tiles that the agent sees each way; MiniGrid's own default


@dataclass(frozen=True)
class MiniGridOptions(EnvOptions):
    """Options of a maze.

    Attributes:
        tile_size: Height and width of a tile, in pixels. The agent sees 7 x 7 tiles.
        image_size: Height and width of the image, in pixels; its margins are black. With the
            defaults tiles begin at multiples of eight pixels, so that all tiles look the same to
            convolutions with a stride of two.
        max_steps: Steps after which an episode is truncated; None for the maze's own limit.
        render_mode: ``human`` shows the maze in a window.
    """

    tile_size: int = 8
    image_size: int = 64
    max_steps: int | None = None
    render_mode: str | None = None

    benchmark: ClassVar[str] = "MiniGrid"
    least = {"tile_size": 2, "max_steps": 1}  # noqa: RUF012

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        if self.image_size < _VIEW * self.tile_size:
            raise ConfigError(
                f"env_config['image_size'] must be at least {_VIEW * self.tile_size}, the width of "
                f"{_VIEW} tiles of {self.tile_size} pixels, not {self.image_size}. Set a smaller "
                "tile_size, or a larger image_size."
            )


def _load_minigrid() -> None:
    # Suppresses a greeting of pygame, MiniGrid's window library.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    import minigrid

    gym.register_envs(minigrid)


def minigrid_ids() -> Collection[str]:
    """Return the ids of all mazes, e.g. ``MiniGrid-Empty-5x5-v0``."""
    _load_minigrid()
    return [known for known in gym.registry if known.startswith("MiniGrid-")]


def make_minigrid(env_id: str, options: MiniGridOptions) -> gym.Env:
    """Create one maze.

    MiniGrid's own observation encodes each tile's object, colour and state as numbers, neither a
    picture nor a vector; here it is rendered as an image. The mission, a sentence, is omitted: in
    most mazes it never changes. Mazes whose mission names a target object (``Fetch``,
    ``GoToDoor``, ``GoToObject``, ``PutNear``) cannot be solved without it.

    Args:
        env_id: One of :func:`minigrid_ids`.
        options: Sizes in pixels, length of an episode, window.

    Returns:
        An environment whose observations are a Dict: ``image`` ``uint8 [image_size, image_size,
        3]``, the agent's view, and ``direction`` (one of 4), in which it looks.
    """
    _load_minigrid()
    from minigrid.wrappers import RGBImgPartialObsWrapper

    settings: dict[str, Any] = {"render_mode": options.render_mode}
    if options.max_steps is not None:
        settings["max_steps"] = options.max_steps
    env = gym.make(env_id, disable_env_checker=True, **settings)
    env = RGBImgPartialObsWrapper(env, tile_size=options.tile_size)
    env = FilterObservation(env, ["direction", "image"])

    empty = options.image_size - _VIEW * options.tile_size
    margin = (empty // 2, empty - empty // 2)

    def pad(observation: dict[str, Any]) -> dict[str, Any]:
        image = np.pad(observation["image"], (margin, margin, (0, 0)))
        return {**observation, "image": image}

    space = gym.spaces.Dict(
        {
            "direction": env.observation_space["direction"],
            "image": gym.spaces.Box(0, 255, (options.image_size, options.image_size, 3), np.uint8),
        }
    )
    return TransformObservation(env, pad, space)
