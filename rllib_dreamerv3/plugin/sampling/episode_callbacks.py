"""Calls RLlib's callbacks in an env runner, with episode objects that keep only the last steps.

Sampling itself needs no episode objects; they are kept only if a callback uses them.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.callbacks.utils import make_callback
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from ray.rllib.utils.spaces.space_utils import unbatch

from rllib_dreamerv3.envs.checked import in_lines
from rllib_dreamerv3.errors import CallbackFailedError

KEPT_OBSERVATIONS = 17
"""Number of last observations that an episode keeps: they may be images."""

KEPT_STEPS = 1024
"""Number of last infos and actions that an episode keeps."""


class RecentBuffer(InfiniteLookbackBuffer):
    """Keeps only the last entries, but has the length of all that were added."""

    def __init__(self, name: str, kept: int, space: gym.Space | None = None):
        """Start empty.

        Args:
            name: Name of an entry in errors.
            kept: Number of entries to keep.
            space: Space of the entries.
        """
        super().__init__(space=space)
        self._name, self._kept, self._dropped = name, kept, 0

    def append(self, item: Any) -> None:
        super().append(item)
        if len(self.data) > self._kept:
            del self.data[0]
            self._dropped += 1

    def __len__(self) -> int:
        return self._dropped + super().__len__()

    def finalize(self) -> None:
        """Turn all entries into one array.

        Raises:
            IndexError: If some have been dropped.
        """
        self._index(0)
        super().finalize()

    def get(self, indices: Any = None, **kwargs: Any) -> Any:
        """Return entries by their index in the complete episode.

        Raises:
            IndexError: If one of them has been dropped.
        """
        if isinstance(indices, int):
            indices = self._index(indices)
        elif isinstance(indices, list):
            indices = [self._index(i) for i in indices]
        elif self._dropped:
            start, stop, step = (indices or slice(None)).indices(len(self))
            wanted = range(start, stop, step)
            for i in (wanted[0], wanted[-1]) if wanted else ():
                self._index(i)
            return [self.data[i - self._dropped] for i in wanted]
        return super().get(indices, **kwargs)

    def _index(self, i: int) -> int:
        """Return the index of an entry among those kept."""
        if (i < 0 and i + len(self) >= self._dropped) or i >= self._dropped:
            return i - self._dropped if i >= 0 else i
        if i < -len(self):
            return i  # Out of range: RLlib raises its own error.
        raise IndexError(
            f"{self._name} {i} of this episode of {len(self)} is no longer available: callbacks "
            f"see only the last {self._kept}, so that memory does not grow with an episode. Take "
            "what you need in on_episode_step, where index -1 is the newest, and keep it in "
            "episode.custom_data or give it to metrics_logger."
        )


class RecentEpisode(SingleAgentEpisode):
    """An episode with all rewards, but only the last observations, infos and actions."""

    def __init__(self, observation_space: gym.Space, action_space: gym.Space):
        super().__init__(observation_space=observation_space, action_space=action_space)
        self.observations = RecentBuffer("Observation", KEPT_OBSERVATIONS, observation_space)
        self.infos = RecentBuffer("Info", KEPT_STEPS)
        self.actions = RecentBuffer("Action", KEPT_STEPS, action_space)


def call_callbacks(runner: SingleAgentEnvRunner, event: str, **arguments: Any) -> None:
    """Call the callbacks of an env runner.

    Args:
        runner: The env runner.
        event: Name of the callback's method.
        **arguments: Arguments of the callback other than ``env_runner`` and ``metrics_logger``.

    Raises:
        CallbackFailedError: If a callback raises; the message has the lines of the traceback.
    """
    try:
        make_callback(
            event,
            callbacks_objects=runner._callbacks,
            callbacks_functions=getattr(runner.config, f"callbacks_{event}"),
            kwargs={"env_runner": runner, "metrics_logger": runner.metrics, **arguments},
        )
    # sys.exit() would only end this process, which Ray restarts.
    except (Exception, SystemExit) as error:
        raise CallbackFailedError(in_lines(f"The callback {event}", error)) from error


_EVENTS = ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end")


class EpisodeCallbacks:
    """Follows the running episodes of an env runner and calls the callbacks."""

    def __init__(self, runner: SingleAgentEnvRunner):
        """Attach to an env runner; callbacks are called from its first reset on."""
        self._runner = runner
        self._episodes: list[RecentEpisode] = []

    @classmethod
    def if_wanted(cls, runner: SingleAgentEnvRunner) -> "EpisodeCallbacks | None":
        """Attach to an env runner if any callback for an episode event is configured."""
        overridden = any(
            getattr(type(callback), event) is not getattr(RLlibCallback, event)
            for callback in runner._callbacks
            for event in _EVENTS
        )
        functions = any(getattr(runner.config, f"callbacks_{event}") for event in _EVENTS)
        return cls(runner) if overridden or functions else None

    def reset(self, observations: Any, infos: Sequence[dict[str, Any]]) -> None:
        self._episodes = [self._new_episode() for _ in range(self._runner.num_envs)]
        self.begin_next(observations, infos, range(self._runner.num_envs))

    def step(
        self,
        observations: Any,
        actions: Any,
        rewards: Any,
        terminateds: Any,
        truncateds: Any,
        infos: Sequence[dict[str, Any]],
    ) -> None:
        """Add one step to every environment's episode, or begin the next one.

        Args:
            observations: Observations of all environments; the last one of an episode that ends.
            actions: The actions before the observations; ignored where an episode begins.
            rewards: The rewards of these actions.
            terminateds: Where an episode ends by termination.
            truncateds: Where an episode ends by truncation.
            infos: The info of each environment.
        """
        observation_list, action_list = unbatch(observations), unbatch(actions)
        for i in range(self._runner.num_envs):
            if self._episodes[i].is_done:
                # With NEXT_STEP the environment resets itself in the step after the end.
                self._begin(i, observation_list[i], infos[i])
                continue
            episode = self._episodes[i]
            episode.add_env_step(
                observation=observation_list[i],
                action=action_list[i],
                reward=rewards[i],
                infos=infos[i],
                terminated=bool(terminateds[i]),
                truncated=bool(truncateds[i]),
            )
            self._call("on_episode_step", i)
            if episode.is_done:
                self._call("on_episode_end", i)

    def begin_next(
        self, observations: Any, infos: Sequence[dict[str, Any]], ended: Sequence[int]
    ) -> None:
        """Begin the next episodes of environments that reset themselves in the same step."""
        observation_list = unbatch(observations)
        for i in ended:
            self._begin(i, observation_list[i], infos[i])

    def _begin(self, i: int, observation: Any, infos: dict[str, Any]) -> None:
        self._episodes[i] = self._new_episode()
        self._call("on_episode_created", i)
        self._episodes[i].add_env_reset(observation=observation, infos=infos)
        self._call("on_episode_start", i)

    def _new_episode(self) -> RecentEpisode:
        env = self._runner.env
        return RecentEpisode(env.single_observation_space, env.single_action_space)

    def _call(self, event: str, env_index: int) -> None:
        runner = self._runner
        arguments: dict[str, Any] = {
            "episode": self._episodes[env_index],
            "env": runner.env.unwrapped,
            "rl_module": runner.module,
            "env_index": env_index,
        }
        if event == "on_episode_end":
            arguments["prev_episode_chunks"] = []
        call_callbacks(runner, event, **arguments)
