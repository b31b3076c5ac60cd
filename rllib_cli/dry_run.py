"""Dry run of a config: a few real steps and updates, from which a run's cost is estimated."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_dreamerv3.agent.kernels.product_speed import faster_dtype, product_speeds
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.replay_capacity import replay_capacities, specs_of_module
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.replay.memory import ReplayNeed
from rllib_dreamerv3.startup.system import machine_memory, peak_memory

TIMED_UPDATES = 3
# Sampling stops after this many env steps per environment, or seconds with slow environments.
_MAX_STEPS = 256
_MAX_SAMPLING_S = 10.0


@dataclass(frozen=True)
class RunCosts:
    """Costs of a run with a config, measured on this machine.

    Attributes:
        parameters: Trained parameters by part, and their total.
        step_s: Seconds per env step of one env runner, including the policy.
        update_s: Seconds per update, without compilation.
        first_update_s: Seconds of the first update, with compilation.
        replay: Size of a full replay buffer; its share is that in memory.
        process_bytes: Memory of the learning process without replay.
        machine_bytes: Memory of this machine.
        updates_per_step: Updates per env step.
        steps_to_start: Env steps before the first update.
        layout: Observations and actions as the model sees them.
        episode_lengths: Lengths of the episodes that ended.
        env_runners: Processes that sample.
    """

    parameters: dict[str, int]
    step_s: float
    update_s: float
    first_update_s: float
    replay: ReplayNeed
    process_bytes: int
    machine_bytes: int
    updates_per_step: float
    steps_to_start: int
    layout: Any = field(repr=False)
    episode_lengths: tuple[int, ...] = ()
    env_runners: int = 1

    def run_s(self, env_steps: float) -> float:
        """Seconds of a run of ``env_steps`` that samples and learns alternately.

        Asynchronous sampling takes less: it does both at the same time.
        """
        learned = max(0.0, env_steps - self.steps_to_start)
        updates = learned * self.updates_per_step
        sampling_s = env_steps * self.step_s / self.env_runners
        return sampling_s + self.first_update_s + updates * self.update_s

    @property
    def waiting(self) -> float:
        """Time of env steps, relative to that of their updates."""
        return self.step_s / self.env_runners / (self.updates_per_step * self.update_s)

    def checkpoint_bytes(self, env_steps: float) -> int:
        """Bytes of replay after ``env_steps``, in memory and files, and in each checkpoint."""
        return int(min(self.replay.records, env_steps)) * self.replay.record_bytes

    def memory_bytes(self, env_steps: float) -> int:
        """Bytes of memory after ``env_steps``."""
        records = int(min(self.replay.records, env_steps))
        return self.process_bytes + records * self.replay.share_bytes


def dry_run(config: DreamerV3Config) -> RunCosts:
    """Step an environment, build the networks and update them a few times. Need no Ray.

    Args:
        config: A config; it is not changed. No files are written.

    Returns:
        The measured costs.

    Raises:
        ConfigError: If the config is wrong.
        EnvironmentDataError: If the environment returns values outside its spaces.
        EnvironmentFailedError: If the environment cannot be created or stepped.
    """
    config.validate()
    alone = config.copy(copy_frozen=False).env_runners(num_env_runners=0)
    if alone.compute_dtype == "auto":
        alone.compute_dtype = faster_dtype(product_speeds())
    runner = DreamerV3EnvRunner(config=alone, worker_index=0)
    try:
        replay = ReplayBuffer(
            length=config.batch_length_T,
            context=config.resolved("replay_context"),
            online_queue=False,
            capacity_records=10**6,
            seed=0,
        )
        step_s, lengths = _sample(runner, replay, config)
        learner = config.get_default_learner_class()(
            config=alone, module_spec=alone.get_rl_module_spec(spaces=runner.get_spaces())
        )
        learner.build()
    finally:
        runner.stop()
    seconds = []
    for _ in range(1 + TIMED_UPDATES):
        batch, _ = replay.sample(config.batch_size_B)
        began = time.perf_counter()
        update = learner.trainer.update(batch)
        float(next(iter(update.metrics.values())))
        seconds.append(time.perf_counter() - began)
    module: DreamerV3RLModule = learner.module[DEFAULT_MODULE_ID]
    specs = specs_of_module(module, config.resolved("replay_context"))
    files = Path.cwd() if config.replay_buffer_options()["storage"] == "disk" else None
    in_memory, *_ = replay_capacities(config, specs, files)
    return RunCosts(
        parameters=module.model.count_parameters(),
        step_s=step_s,
        update_s=float(np.median(seconds[1:])),
        first_update_s=seconds[0],
        replay=in_memory.need,
        process_bytes=peak_memory(),
        machine_bytes=machine_memory(),
        updates_per_step=config.training_ratio / config.records_per_update,
        steps_to_start=config.num_steps_sampled_before_learning_starts,
        layout=(module.observations.layout, module.actions.layout),
        episode_lengths=tuple(lengths),
        env_runners=max(1, config.num_env_runners),
    )


def _sample(
    runner: DreamerV3EnvRunner, replay: ReplayBuffer, config: DreamerV3Config
) -> tuple[float, list[int]]:
    """Fill replay for a batch; return seconds per env step, and episode lengths."""
    runner.sample(num_timesteps=runner.num_envs)  # Compiles the policy.
    began, steps = time.perf_counter(), 0
    lengths: list[int] = []
    needed = (config.batch_length_T + 2) * runner.num_envs
    while steps < needed or (
        steps < _MAX_STEPS * runner.num_envs and time.perf_counter() - began < _MAX_SAMPLING_S
    ):
        for chunk in runner.sample(num_timesteps=runner.num_envs * config.batch_length_T):
            replay.add(chunk)
            steps += chunk.env_steps()
            lengths += [episode.length for episode in chunk.ended]
    return (time.perf_counter() - began) / steps, lengths
