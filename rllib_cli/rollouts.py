"""Plays episodes with the policy of a checkpoint, without building the algorithm."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from rllib_cli.rendering import Camera, make_rendering
from rllib_dreamerv3.agent.networks.saved import SavedNetworks, read_saved_networks
from rllib_dreamerv3.envs.atari import AtariVector
from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.envs.seeds import TRAINING, SeedKey
from rllib_dreamerv3.errors import CheckpointError, EnvironmentDataError, SpaceError
from rllib_dreamerv3.exporting.loaded_policy import LoadedPolicy, Spaces, load_policy
from rllib_dreamerv3.options.table import EvaluationAction
from rllib_dreamerv3.plugin.policy_json import playing_config
from rllib_dreamerv3.records import EndedEpisode
from rllib_dreamerv3.reports.picture_files import open_video
from rllib_dreamerv3.spaces.bounds import ObservationBounds

RecordFrame = Callable[[Any], None]


def play(
    checkpoint: str | Path,
    *,
    env: str | None = None,
    env_config: Mapping[str, Any] | None = None,
    episodes: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    action: EvaluationAction | None = None,
    render: bool = False,
    video: Path | None = None,
) -> Iterator[EndedEpisode]:
    """Play episodes and yield each as it ends.

    Args:
        checkpoint: Directory of an algorithm's checkpoint.
        env: Environment to play in; None for that of the training.
        env_config: Options of the environment; they override those of the training.
        episodes: Stop after this many episodes.
        steps: Stop after the episode in which this many env steps are reached.
        seed: Seed of resets and sampled actions; None for that of the checkpoint's config.
        action: "sample" actions, as in training, or use the policy's "mode"; None for the
            checkpoint's ``evaluation_action``.
        render: Show the environment in a window (Gymnasium's render mode "human").
        video: File for a video of all episodes, one frame per observation; ends in .mp4. It is
            complete after the last episode.

    Yields:
        Episodes.

    Raises:
        CheckpointError: If there is no checkpoint, or its policy does not fit ``env``.
        ConfigError: If ``env`` cannot be imported, or cannot be shown or recorded.
        EnvironmentDataError: If the environment returns an invalid value.
        EnvironmentFailedError: If it raises an exception.
    """
    checkpoint = Path(checkpoint)
    saved = read_saved_networks(checkpoint)
    config = playing_config(checkpoint, saved.policy, env)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=1)
    config.environment(env_config={**config.env_config, **(env_config or {})})
    if seed is not None:
        config.debugging(seed=seed)
    environment = make_rendering(config, "human" if render else "rgb_array" if video else None)
    with contextlib.ExitStack() as stack:
        stack.callback(environment.close)
        player = _player(checkpoint, saved, config, environment, action)
        record_frame = None
        if video is not None:
            camera = Camera(environment, player.saved.observations, name_of_env(config.env))
            append = stack.enter_context(open_video(video, camera.frames_a_second))
            record_frame = lambda observation: append(camera.frame(observation))  # noqa: E731
        played = stepped = 0
        while (episodes is None or played < episodes) and (steps is None or stepped < steps):
            episode = player.play_one(record_frame)
            played, stepped = played + 1, stepped + episode.length
            yield episode


def _player(
    checkpoint: Path,
    saved: SavedNetworks,
    config: Any,
    env: VectorEnv,
    action: EvaluationAction | None,
) -> "_Player":
    spaces = Spaces(env.single_observation_space, env.single_action_space)
    try:
        saved = saved.in_spaces(*spaces)
        policy = load_policy(checkpoint, mode=action, spaces=spaces)
    except SpaceError as error:
        raise CheckpointError(
            f"The policy in {checkpoint} does not fit {config.env!r}: {error}"
        ) from error
    name = name_of_env(config.env)
    bounds = ObservationBounds(spaces.observation, name, clip=config.clip_observations)
    place = SeedKey(TRAINING, 0, generation=0, reset=0)
    return _Player(env, name, saved, policy, bounds, config.seed, place)


@dataclass
class _Player:
    """A vector of one environment and the policy that acts in it.

    Attributes:
        env: The environment.
        name: The environment's name, for messages.
        saved: The networks that the policy was built from.
        policy: The policy.
        bounds: Checks the bounds of observations.
        seed: Seed of all episodes; None for random ones.
        place: Selects the seeds of the next episode.
    """

    env: VectorEnv
    name: str
    saved: SavedNetworks
    policy: LoadedPolicy
    bounds: ObservationBounds
    seed: int | None
    place: SeedKey

    def play_one(self, record_frame: RecordFrame | None) -> EndedEpisode:
        """Play one episode; call ``record_frame`` with each observation."""
        seeds, noise = self.place.seeds(self.seed, 1)
        self.place = self.place._replace(reset=self.place.reset + 1)
        self.policy.reset(noise)
        # Other vector environments may not support one seed per environment.
        several = isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv | AtariVector)
        observation, _ = self.env.reset(seed=seeds if several else seeds[0])
        total, length, ended = 0.0, 0, False
        while not ended:
            if record_frame is not None:
                record_frame(observation)
            actions = self.policy(self.bounds.check(observation))
            observation, rewards, terminated, truncated, _ = self.env.step(actions)
            reward = np.float32(rewards[0])
            if not np.isfinite(reward):
                raise EnvironmentDataError(f"{self.name} returned the reward {reward}.")
            total, length = total + float(reward), length + 1
            ended = bool(terminated[0] or truncated[0])
        if record_frame is not None:
            record_frame(observation)
        return EndedEpisode(total, length)
