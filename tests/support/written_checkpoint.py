"""Untrained checkpoints: scrambled networks, and a replay of random records."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import synthetic
from gymnasium.vector.utils import batch_space
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.model import DreamerModel, get_weights
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.options.model_sizes import settings_of
from rllib_dreamerv3.plugin.policy_json import write_policy
from rllib_dreamerv3.records import (
    ACTION,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    LATENT_H,
    LATENT_INDEX,
    REWARD,
    RecordChunk,
)
from rllib_dreamerv3.replay import checkpoint as replay_checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.spaces.codecs import make_codecs

RECORDS, EPISODE = 40, 8


def write_checkpoint(
    path: Path,
    observation_space: gym.Space,
    action_space: gym.Space,
    *,
    records: int = RECORDS,
    **training: Any,
) -> DreamerModel:
    """Writes what playing and dreaming read, episodes of 8 records of which each second is cut.

    Args:
        path: A directory that is not there yet.
        observation_space: Of one environment.
        action_space: Of one environment.
        records: How many replay has.
        **training: Options beside those of the tiny config.

    Returns:
        The networks.
    """
    config = tiny_config("CartPole-v1", **training)
    path.mkdir(parents=True)
    write_policy(path, config, observation_space, action_space)
    settings = settings_of(config.to_dict())
    observations, actions = make_codecs(observation_space, action_space, cnn=settings.cnn)
    model = synthetic.model(observations.layout, actions.layout, settings)
    synthetic.scramble(model)
    tensors.save(path / NETWORKS_FILE, get_weights(model))

    rng, at = np.random.default_rng(0), np.arange(records) % EPISODE
    batched = batch_space(observation_space, records)
    batched.seed(0)
    is_last = at == EPISODE - 1
    columns = observations.encode(batched.sample(), ended=np.ones(records, bool)) | {
        ACTION: synthetic.action_vectors(actions.layout, records) * ~is_last[:, None],
        REWARD: rng.normal(size=records).astype(np.float32),
        IS_FIRST: at == 0,
        IS_LAST: is_last,
        IS_TERMINAL: is_last & (np.arange(records) // EPISODE % 2 == 0),
    }
    context = config.resolved("replay_context")
    if context:
        columns[LATENT_H] = rng.uniform(-1, 1, (records, settings.deterministic)).astype("f4")
        shape = (records, settings.categoricals)
        columns[LATENT_INDEX] = rng.integers(0, settings.classes, shape).astype(np.uint8)
    buffer = ReplayBuffer(length=8, context=context, capacity_records=records, seed=0)
    buffer.add(RecordChunk("t0", 0, columns))
    replay_checkpoint.save(buffer, path / REPLAY_DIRECTORY)
    manifest.write(path, env_steps=records, updates=0)
    return model
