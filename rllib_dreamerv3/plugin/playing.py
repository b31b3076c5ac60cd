"""Plays episodes with the policy of a checkpoint, without building the algorithm again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.options.table import EvaluationAction
from rllib_dreamerv3.plugin.checkpoint_files import read_policy
from rllib_dreamerv3.plugin.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import EndedEpisode


def play(
    checkpoint: str | Path,
    *,
    env: str | None = None,
    env_config: Mapping[str, Any] | None = None,
    episodes: int | None = None,
    steps: int | None = None,
    render: bool = False,
    action: EvaluationAction | None = None,
) -> Iterator[EndedEpisode]:
    """Plays episodes and yields each as it ends.

    Args:
        checkpoint: Directory of an algorithm's checkpoint.
        env: Environment to play in; None for the one that was trained in.
        env_config: Options of the environment, over those of training.
        episodes: Stop after this many episodes.
        steps: Stop after the episode in which this many env steps are reached.
        render: Show the environment in a window (Gymnasium's render mode "human").
        action: "sample" actions, as in training, or take the most likely one ("mode"); None for
            what the checkpoint's config says.

    Yields:
        Episodes.

    Raises:
        CheckpointError: If the directory is no checkpoint, or its policy does not fit ``env``.
        ConfigError: If ``env`` names a module that cannot be imported.
    """
    runner = _runner(Path(checkpoint), env, env_config or {}, render, action)
    played = stepped = 0
    try:
        while (episodes is None or played < episodes) and (steps is None or stepped < steps):
            runner.sample(num_episodes=1, explore=False)
            for episode in runner.take_done_episodes():
                played, stepped = played + 1, stepped + episode.length
                yield episode
    finally:
        runner.stop()


def _runner(
    checkpoint: Path,
    env: str | None,
    env_config: Mapping[str, Any],
    render: bool,
    action: EvaluationAction | None,
) -> DreamerV3EnvRunner:
    config, weights = read_policy(checkpoint, env)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=1, explore=False)
    config.environment(env_config={**config.env_config, **env_config})
    if action is not None:
        config.evaluation(evaluation_action=action)
    if render:
        config.environment(env_config={**config.env_config, "render_mode": "human"})
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    try:
        runner.module.set_state(weights)
    except ValueError as error:
        raise CheckpointError(
            f"The policy in {checkpoint} does not fit {config.env!r}: {error}"
        ) from error
    return runner
