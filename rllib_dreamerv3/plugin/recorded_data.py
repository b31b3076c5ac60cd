"""Fills replay with the recorded data of a config, and records what is sampled."""

import logging

from rllib_dreamerv3.data.formats import open_dataset
from rllib_dreamerv3.data.loading import chunks_of
from rllib_dreamerv3.data.recorder import Recorder
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.envs.checked import name_of_env
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.sampling.episodes import clip_rewards
from rllib_dreamerv3.records import LATENT_H, LATENT_INDEX
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.replay.column_specs import Specs
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec, Spaces

logger = logging.getLogger(__name__)


def fill_replay(
    config: DreamerV3Config,
    replay: ReplayBuffer,
    observations: ObservationCodec,
    actions: ActionCodec,
    specs: Specs,
) -> None:
    """Add the episodes of ``input_`` to replay, which keeps the last ones that fit.

    Args:
        config: A validated config; ``input_`` names the data.
        replay: The buffer to fill.
        observations: Codec of the observations.
        actions: Codec of the actions.
        specs: Columns of records.

    Raises:
        DataError: If the data cannot be read, does not fit, or has no complete sequence.
    """
    chunks = chunks_of(
        map(open_dataset, config.recorded_data),
        observations,
        actions,
        latents={name: specs[name] for name in (LATENT_H, LATENT_INDEX) if name in specs},
        clip_observations=config.clip_observations,
        skip_damaged=config.skip_damaged_data,
    )
    env_steps, returns = 0, list[float]()
    for chunk in chunks:
        # Skip the online queue, which would replay every recorded sequence once.
        replay.add(clip_rewards(chunk, config.clip_rewards), queue=False)
        env_steps += chunk.env_steps()
        returns += [episode.ret for episode in chunk.ended]
    where = ", ".join(config.recorded_data)
    if not replay.can_sample:
        raise DataError(
            f"{where} has {env_steps} env steps without a sequence of {replay.sequence_length} "
            "consecutive records. Record more, or reduce batch_length_T."
        )
    mean = f", with a mean return of {sum(returns) / len(returns):.4g}" if returns else ""
    # `rllib train` shows the warnings of trials.
    logger.warning(
        "Read %s env steps in %s complete episodes%s from %s.",
        f"{env_steps:,}",
        f"{len(returns):,}",
        mean,
        where,
    )


def make_recorder(
    config: DreamerV3Config, observations: ObservationCodec, actions: ActionCodec
) -> Recorder:
    """Return a recorder that writes to ``output``.

    Raises:
        OSError: If the directory cannot be created.
    """
    spaces = Spaces(observations.space, actions.space)
    return Recorder(
        EpisodeWriter(config.output, spaces, name_of_env(config.env)),
        observations,
        actions,
        episodes_per_file=config.output_max_rows_per_file,
    )
