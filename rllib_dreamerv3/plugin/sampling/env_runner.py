"""The env runner: steps N environments and returns records."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_runner import ENV_STEP_FAILURE
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.agent.networks.policy import PolicyState
from rllib_dreamerv3.envs.atari import AtariVector
from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.envs.seeds import EVALUATION, TRAINING, SeedKey, fresh_incarnation
from rllib_dreamerv3.errors import EnvironmentDataError
from rllib_dreamerv3.plugin.cluster.worker_status import fatal_errors_posted
from rllib_dreamerv3.plugin.sampling.environments import (
    autoreset_mode,
    env_context,
    last_observations,
    make_environments,
)
from rllib_dreamerv3.plugin.sampling.episode_callbacks import EpisodeCallbacks, call_callbacks
from rllib_dreamerv3.plugin.sampling.episodes import INFO, INFO_LAST, INFO_SUM
from rllib_dreamerv3.plugin.sampling.faults import (
    FaultTolerantEnvRunner,
    was_restarted,
)
from rllib_dreamerv3.plugin.sampling.streams import RunningEpisodes, SamplingTotals, Streams
from rllib_dreamerv3.records import (
    ACTION,
    ACTION_MASK,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
    Columns,
    EndedEpisode,
    RecordChunk,
)
from rllib_dreamerv3.spaces.bounds import ObservationBounds

NUM_OBSERVATIONS_OUTSIDE = "num_observations_outside_lifetime"


class DreamerV3EnvRunner(FaultTolerantEnvRunner):
    """Writes one stream of records for each of its environments.

    ``sample()`` returns record chunks instead of episodes. Metrics, seeds, callbacks, restarts
    after failures and the options of ``config.env_runners()`` are as in RLlib. Observations and
    actions are encoded and decoded here instead of in connectors, which would take as long as a
    small policy.
    """

    env: Any  # a vector environment; None on a local env runner if there are remote ones
    _bounds: ObservationBounds | None = None

    def __init__(self, *, config: Any, **kwargs: Any):
        super().__init__(config=config, **kwargs)
        self._seed_key = SeedKey(
            EVALUATION if self.config.in_evaluation else TRAINING,
            self.worker_index or 0,
            generation=0,
            reset=0,
            incarnation=fresh_incarnation() if was_restarted() else (),
        )
        self._episode_callbacks = EpisodeCallbacks.if_wanted(self)
        self._policy_state: PolicyState | None = None
        # The current records [N, ...], without their actions.
        self._now: Columns = {}
        self._totals = SamplingTotals()
        self._done_episodes: list[EndedEpisode] = []
        # Training sequences start from the latents of any record.
        self._stores_latents = self.config.resolved("replay_context") > 0

    @property
    def incarnation(self) -> tuple[int, ...]:
        """Identify a restarted process; empty if this process was not restarted."""
        return self._seed_key.incarnation

    def get_spaces(self) -> dict[str, tuple[gym.Space, gym.Space]]:
        """Return the spaces of the vector environment, of a single one, and of the module."""
        if self.env is None:
            return self.spaces
        single = (self.env.single_observation_space, self.env.single_action_space)
        return {
            INPUT_ENV_SPACES: (self.env.observation_space, self.env.action_space),
            INPUT_ENV_SINGLE_SPACES: single,
            DEFAULT_MODULE_ID: single,
        }

    def make_env(self) -> None:
        """Create the vector environment; raise as :func:`make_environments`.

        Create none if the config has no environment, as for training from recorded data alone.
        """
        if self.config.env is None:
            single = (self.config.observation_space, self.config.action_space)
            self.spaces = {INPUT_ENV_SPACES: single, DEFAULT_MODULE_ID: single}
            return
        if self.env is not None:
            with suppress(Exception):  # It may be broken.
                self.env.close()
        context = env_context(self.config, self.worker_index or 0, self.num_workers)
        env = make_environments(self.config, context)
        self._autoreset = autoreset_mode(env, self.config.env)
        self.env, self.num_envs = env, env.num_envs
        if self._bounds is None:
            self._bounds = ObservationBounds(
                env.single_observation_space,
                name_of_env(self.config.env),
                clip=self.config.clip_observations,
            )
        self._needs_initial_reset = True
        call_callbacks(self, "on_environment_created", env=self.env.unwrapped, env_context=context)

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        num_records: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[RecordChunk]:
        """Step all environments.

        Args:
            num_timesteps: Minimum number of env steps of all environments together. By default one
                rollout fragment of each environment, or as many complete episodes as there are
                environments if ``batch_mode`` is "complete_episodes".
            num_episodes: Minimum number of complete episodes instead, after a reset.
            num_records: Minimum number of records instead, which include the last records of
                episodes.
            explore: False to act as in evaluation; by default as configured.
            random_actions: Whether to act uniformly at random.
            force_reset: Whether to reset all environments first.

        Returns:
            One chunk for each environment; more or fewer if environments were recreated during
            the call.

        Raises:
            CallbackFailedError: If a callback raises an exception.
            EnvironmentDataError: If an environment returns values that its spaces do not declare.
            ValueError: If there is no environment, as on a local env runner if there are remote
                ones, if several numbers are given, or if one of them is negative.
        """
        if self.env is None:
            raise ValueError(
                "The local env runner has no environment, as there are remote env runners. To "
                "evaluate, set .evaluation(evaluation_interval=...) or evaluation_num_env_runners; "
                "or give it one with .env_runners(create_env_on_local_worker=True)."
            )
        numbers = [n for n in (num_timesteps, num_episodes, num_records) if n is not None]
        if len(numbers) > 1:
            raise ValueError("sample() takes num_timesteps, num_episodes or num_records: only one.")
        if numbers and numbers[0] < 0:
            raise ValueError("sample() cannot take a negative number.")
        # As in RLlib, num_episodes resets all environments before and after, which cuts running
        # episodes short. Training continues its episodes, so that no last record is missing.
        from_reset = num_episodes is not None
        self._needs_initial_reset |= force_reset or from_reset
        if not numbers:
            if self.config.batch_mode == "truncate_episodes":
                fragment = self.config.get_rollout_fragment_length(self.worker_index)
                num_records = fragment * self.num_envs
            else:
                num_episodes = self.num_envs
        # DreamerV3 samples its actions in evaluation too, unless configured otherwise (2023 code).
        explore = self.config.explore if explore is None else explore
        self._takes_mode = not explore and self.config.evaluation_action == "mode"

        self._totals.begin_call()
        # In evaluation RLlib would restart this process and go on.
        with fatal_errors_posted():
            chunks, episodes = self._collect(
                num_timesteps, num_episodes, num_records, random_actions
            )
            self._needs_initial_reset = from_reset
            call_callbacks(self, "on_sample_end", samples=chunks)
        self._totals.end_call(sum(chunk.env_steps() for chunk in chunks), episodes)
        return chunks

    def _collect(
        self,
        num_timesteps: int | None,
        num_episodes: int | None,
        num_records: int | None,
        random_actions: bool,
    ) -> tuple[list[RecordChunk], int]:
        """Return chunks, and the number of episodes that ended."""
        if self._needs_initial_reset:
            self._start_streams()
        env_steps = records = episodes = 0
        chunks: list[RecordChunk] = []
        while (
            env_steps < (num_timesteps or 0)
            or episodes < (num_episodes or 0)
            or records < (num_records or 0)
        ):
            action = self._choose(random_actions)
            is_last = self._now[IS_LAST]
            taken = np.where(is_last[:, None], np.float32(0.0), action)
            self._streams.add({**self._now, **self._latents(), ACTION: taken})
            ended = self._step(action)
            if ended is None:
                # The environments were recreated. Actions of the last records have no outcome, so
                # these are dropped. Records that end an episode have no action. (RLlib drops all
                # records of the call.)
                self._streams.drop_last(~is_last)
                chunks += self._streams.take()
                self._start_streams()
                continue
            env_steps += self.num_envs - int(is_last.sum())
            records += self.num_envs
            episodes += ended
            self._failures.succeeded(self.num_envs, ended)
        return chunks + self._streams.take(), episodes

    def _choose(self, random_actions: bool) -> np.ndarray:
        """Return action vectors ``[N, A]`` for the current observations."""
        if random_actions and not self._stores_latents:
            # The policy does not see this observation, so its state is invalid from here on.
            self._policy_state = None
            return self._random_actions()
        is_first, state = self._now[IS_FIRST], self._policy_state
        if state is None:
            state = self.module.policy.initial_state(self.num_envs)
            is_first = np.ones_like(is_first)
        self._policy_state = self.module.policy.act(
            self._observation_columns(),
            is_first,
            state,
            self.module.policy.draw_noise(self._rng, self.num_envs),
            mode=self._takes_mode,
        )
        if random_actions:
            action = self._random_actions()
            self._policy_state = self._policy_state._replace(action=action)
        return self._policy_state.action

    def _random_actions(self) -> np.ndarray:
        mask = self._now.get(ACTION_MASK)
        return self.module.actions.sample(self._rng, self.num_envs, mask)

    def _latents(self) -> Columns:
        if not self._stores_latents:
            return {}
        assert self._policy_state is not None
        return {
            LATENT_H: self._policy_state.h,
            LATENT_INDEX: self._policy_state.index.astype(np.uint8),
        }

    def _step(self, action: np.ndarray) -> int | None:
        """Step all environments; return how many episodes ended, or None after a failure."""
        env_action = self.module.actions.decode(action)
        result = self._try_env_step(env_action)
        if isinstance(result, str) and result == ENV_STEP_FAILURE:
            return None
        observation, reward, terminated, truncated, infos = result
        ended = terminated | truncated
        next_observation, next_infos = observation, infos
        if self._autoreset is AutoresetMode.SAME_STEP and ended.any():
            observation, infos = last_observations(self.env, observation, infos, ended)
        is_first = self._now[IS_LAST]
        self._now = self._records(observation, reward, is_first, terminated, truncated)
        # No action led here, even if the environment returns a reward for the reset.
        self._now[REWARD] = np.where(is_first, np.float32(0.0), self._now[REWARD])
        self._episodes.step(self._now[REWARD], is_first, infos)
        if self._episode_callbacks:
            self._episode_callbacks.step(
                observation, env_action, reward, terminated, truncated, infos
            )
        for i in np.flatnonzero(ended).tolist():
            episode = self._episodes.end(i)
            self._streams.end_episode(i, episode)
            self._done_episodes.append(episode)
        if next_observation is not observation:
            self._begin_next(next_observation, next_infos, ended)
        return int(ended.sum())

    def _begin_next(
        self, observation: Any, infos: Sequence[dict[str, Any]], ended: np.ndarray
    ) -> None:
        """Write the last records of episodes whose environments have reset themselves."""
        state = self._policy_state
        if self._stores_latents:
            # No action is taken here, but a sequence may start from this record's latents.
            self._choose(random_actions=False)
        no_action = np.zeros((self.num_envs, self.module.actions.layout.size), np.float32)
        self._streams.add({**self._now, **self._latents(), ACTION: no_action}, of=ended)
        self._policy_state = state
        no = np.zeros(self.num_envs, bool)
        first = self._records(observation, np.zeros(self.num_envs), ended, no, no)
        # Where the episode continues, both observations are the same.
        continuing = self._now[REWARD]
        self._now = first | {REWARD: np.where(ended, np.float32(0.0), continuing)}
        if self._episode_callbacks:
            self._episode_callbacks.begin_next(observation, infos, np.flatnonzero(ended).tolist())

    def begin_generation(self, generation: int) -> None:
        """End the running streams; the next ones use the seeds of the given generation.

        Args:
            generation: The algorithm's counter, see :class:`SeedKey`.
        """
        self._seed_key = self._seed_key._replace(generation=generation, reset=0)
        self._needs_initial_reset = True

    def _start_streams(self) -> None:
        """Reset all environments and start new streams."""
        self._streams = Streams(self._seed_key.stream_prefix(), self.num_envs)
        self._policy_state = None
        seeds, noise = self._seed_key.seeds(self.config.seed, self.num_envs)
        self._rng = np.random.default_rng(noise)
        self._seed_key = self._seed_key._replace(reset=self._seed_key.reset + 1)
        # Other vector environments may not accept several seeds.
        several = isinstance(self.env.unwrapped, SyncVectorEnv | AsyncVectorEnv | AtariVector)
        observation, infos = self._try_env_reset(seed=seeds if several else seeds[0])
        no = np.zeros(self.num_envs, bool)
        self._now = self._records(observation, np.zeros(self.num_envs), ~no, no, no)
        self._episodes = RunningEpisodes(self.num_envs)
        self._needs_initial_reset = False
        if self._episode_callbacks:
            self._episode_callbacks.reset(observation, infos)

    def _records(
        self,
        observation: Any,
        reward: np.ndarray,
        is_first: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> Columns:
        """Return the columns ``[N, ...]`` of the current records, without the action."""
        assert self._bounds is not None
        reward = np.asarray(reward, np.float32)
        if not np.isfinite(reward).all():
            i = int(np.flatnonzero(~np.isfinite(reward))[0])
            raise EnvironmentDataError(
                f"Environment {i} of {name_of_env(self.config.env)} returned the reward "
                f"{reward[i]}. It would make training diverge. Fix the environment, or "
                "replace such rewards in a gymnasium.RewardWrapper."
            )
        return {
            **self.module.observations.encode(
                self._bounds.check(observation), ended=terminated | truncated
            ),
            REWARD: reward,
            IS_FIRST: is_first,
            IS_LAST: terminated | truncated,
            IS_TERMINAL: terminated,
        }

    def _observation_columns(self) -> Columns:
        wanted = [leaf.key for leaf in self.module.observations.layout.leaves]
        if self.module.actions.layout.masked:
            wanted.append(ACTION_MASK)
        return {key: self._now[key] for key in wanted}

    def take_done_episodes(self) -> list[EndedEpisode]:
        done, self._done_episodes = self._done_episodes, []
        return done

    def get_metrics(self) -> ResultDict:
        done = self.take_done_episodes()
        # Those of training are logged by the algorithm, see EpisodeStatistics.
        if self.config.in_evaluation:
            for episode in done:
                self._log_episode(episode)
        if self._bounds is not None and self._bounds.num_outside:
            self.metrics.log_value(
                NUM_OBSERVATIONS_OUTSIDE, self._bounds.take(), reduce="lifetime_sum"
            )
        totals, self._totals = self._totals, SamplingTotals()
        if totals.calls:
            self._increase_sampled_metrics(totals.env_steps, totals.episodes)
            if totals.env_steps:
                self._log_env_steps(self._metrics_num_env_steps_sampled, totals.env_steps)
            for name, seconds in totals.mean_seconds().items():
                self.metrics.log_value(name, seconds)
            self.metrics.log_value(WEIGHTS_SEQ_NO, self._weights_seq_no, window=1)
        return self.metrics.reduce()

    def _log_episode(self, episode: EndedEpisode) -> None:
        self._log_episode_metrics(episode.length, episode.ret, episode.seconds)
        window = self.config.metrics_num_episodes_for_smoothing
        for name, (last, total) in episode.numbers.items():
            self.metrics.log_value((INFO, name, INFO_LAST), last, window=window)
            self.metrics.log_value((INFO, name, INFO_SUM), total, window=window)
