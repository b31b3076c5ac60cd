"""Plays episodes with the policy of a checkpoint, without building the algorithm."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

from rllib_cli.rendering import Camera, make_rendering
from rllib_dreamerv3.agent.networks.saved import SavedNetworks, read_saved_networks
from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.envs.atari import AtariVector
from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.envs.seeds import TRAINING, SeedKey
from rllib_dreamerv3.errors import CheckpointError, EnvironmentDataError, SpaceError
from rllib_dreamerv3.exporting.loaded_policy import LoadedPolicy, load_policy
from rllib_dreamerv3.options.table import EvaluationAction
from rllib_dreamerv3.plugin.policy_json import playing_config
from rllib_dreamerv3.records import EndedEpisode
from rllib_dreamerv3.reports.picture_files import open_video
from rllib_dreamerv3.spaces.bounds import ObservationBounds
from rllib_dreamerv3.spaces.codecs import Spaces
from rllib_dreamerv3.spaces.nesting import Batch, flatten, unflatten

RecordFrame = Callable[[Any], None]

_EPISODES_PER_FILE = 100


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
    record: Path | None = None,
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
        record: Directory to record the episodes to.

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
        recorded: list[Episode] = []
        if record is not None:
            writer = EpisodeWriter(record, player.policy.spaces, name_of_env(config.env))
            # Also called if the caller stops iterating early.
            stack.callback(lambda: recorded and writer.write(recorded))
        played = stepped = 0
        while (episodes is None or played < episodes) and (steps is None or stepped < steps):
            episode, steps_taken = player.play_one(record_frame, keep=record is not None)
            recorded += steps_taken
            if len(recorded) == _EPISODES_PER_FILE:
                writer.write(recorded)
                recorded.clear()
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

    def play_one(
        self, record_frame: RecordFrame | None, keep: bool
    ) -> tuple[EndedEpisode, list[Episode]]:
        """Play one episode.

        Args:
            record_frame: Called with each observation.
            keep: Whether to return its steps.

        Returns:
            The episode's return and length, and its steps if they are kept.
        """
        seeds, noise = self.place.seeds(self.seed, 1)
        self.place = self.place._replace(reset=self.place.reset + 1)
        self.policy.reset(noise)
        # Other vector environments may not support one seed per environment.
        several = isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv | AtariVector)
        observation, _ = self.env.reset(seed=seeds if several else seeds[0])
        total, length, ended = 0.0, 0, False
        steps = _Steps(self.policy.spaces) if keep else None
        while not ended:
            if record_frame is not None:
                record_frame(observation)
            actions = self.policy(self.bounds.check(observation))
            before = observation
            observation, rewards, terminated, truncated, _ = self.env.step(actions)
            reward = np.float32(rewards[0])
            if not np.isfinite(reward):
                raise EnvironmentDataError(f"{self.name} returned the reward {reward}.")
            total, length = total + float(reward), length + 1
            if steps is not None:
                steps.add(before, actions, float(reward))
            ended = bool(terminated[0] or truncated[0])
        if record_frame is not None:
            record_frame(observation)
        kept = [] if steps is None else [steps.episode(observation, bool(terminated[0]))]
        return EndedEpisode(total, length), kept


class _Steps:
    """Collects the steps of an episode in a vector of one environment."""

    def __init__(self, spaces: Spaces):
        self._spaces = spaces
        self._observations: list[list[np.ndarray]] = []
        self._actions: list[list[np.ndarray]] = []
        self._rewards: list[float] = []

    def add(self, observation: Any, action: Any, reward: float) -> None:
        """Add a step, with the observation at which the action was chosen."""
        # Environments may reuse their arrays.
        self._observations.append(
            [x.copy() for x in flatten(self._spaces.observation, observation)]
        )
        self._actions.append([x.copy() for x in flatten(self._spaces.action, action)])
        self._rewards.append(reward)

    def episode(self, last_observation: Any, terminated: bool) -> Episode:
        """Return the episode, given its last observation."""
        last = flatten(self._spaces.observation, last_observation)
        return Episode(
            _joined(self._spaces.observation, [*self._observations, last]),
            _joined(self._spaces.action, self._actions),
            np.array(self._rewards),
            terminated=terminated,
            truncated=not terminated,
        )


def _joined(space: gym.Space, values: list[list[np.ndarray]]) -> Batch:
    """Concatenate the leaves of batches of one."""
    return unflatten(space, map(np.concatenate, zip(*values, strict=True)))
