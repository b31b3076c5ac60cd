"""Trainers of tiny models, and their updates, for the tests of the trainer.

Tests say ``from trainers import ...``; pytest has this folder on its path.
"""

import numpy as np
import synthetic

from rllib_dreamerv3.agent.replicas import ALONE
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.options.table import LearningOptions

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2
V1, V2 = synthetic.TRAINER, synthetic.TRAINER_V2
PARTS = ("world_model", "actor", "critic")
"""The parts that every agent trains; exploration adds others."""


def make_trainer(
    observations,
    actions,
    settings=V1,
    *,
    sizes=NANO,
    seed=0,
    model_seed=0,
    scramble=True,
    replicas=ALONE,
    **options,
):
    model = synthetic.model(observations, actions, sizes, seed=model_seed)
    if scramble:
        synthetic.scramble(model)
    return Trainer(
        model, observations, actions, sizes, settings, seed=seed, replicas=replicas, **options
    )


def with_rates(world_model, actor, critic, **kwargs):
    rates = {"world_model_lr": world_model, "actor_lr": actor, "critic_lr": critic}
    return LearningOptions(**{"horizon_H": 3, **rates, **kwargs})


def with_laprop(**options):
    return LearningOptions.of_variant("v2", horizon_H=3, **options)


def make_v2(settings=V2, observations=synthetic.VECTOR, actions=synthetic.DISCRETE, **options):
    return make_trainer(observations, actions, settings, sizes=NANO_V2, **options)


def v2_batch(observations=synthetic.VECTOR, actions=synthetic.DISCRETE, sizes=NANO_V2, **options):
    return synthetic.batch_with_context(observations, actions, sizes, **options)


def changed(before, after):
    return {name for name in before if not np.array_equal(before[name], after[name])}


def run(trainer, batch, updates=1):
    for _ in range(updates):
        metrics = trainer.update(batch).metrics
    return {name: float(x) for name, x in metrics.items()}


def everything(variant):
    """Observations and actions of all kinds: arguments of make_trainer(), and 12 records."""
    layout, actions = synthetic.EVERYTHING, synthetic.MIXED
    if variant == "v1":
        batch = synthetic.batch(layout, actions, 3, 4)
        return (layout, actions, V1), {"sizes": NANO}, batch
    layout = synthetic.EVERYTHING_48
    return (layout, actions, V2), {"sizes": NANO_V2}, v2_batch(layout, actions)
