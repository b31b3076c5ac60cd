"""Every numeric option of the table changes an update, in each variant that has it."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import synthetic
import trainers

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.options.option import options_of
from rllib_dreamerv3.options.table import LearningOptions, NetworkOptions

# The learning rate of the first one may be 0.
UPDATES = 2
# Where twice the default would change nothing.
VALUES = {
    "gamma": 0.9,
    "gae_lambda": 0.5,
    "horizon_H": 2,
    "imag_last": 2,
    "return_normalization_decay": 0.5,
    "slow_critic_decay": 0.5,
    "free_nats": 0.0,
    "replay_critic_scale": 0.7,
    "lr_warmup": 1,
    "world_model_grad_clip_by_global_norm": 1e-3,
    "actor_grad_clip_by_global_norm": 1e-5,
    "critic_grad_clip_by_global_norm": 1e-5,
    "adaptive_grad_clip": 1e-5,
}
ROWS = options_of(LearningOptions, NetworkOptions)
OPTIMIZERS = {"v1": "adam", "v2": "laprop"}


def numeric_options():
    for name, row in ROWS.items():
        for variant, optimizer in OPTIMIZERS.items():
            default = row.default(variant)
            is_number = isinstance(default, int | float) and not isinstance(default, bool)
            if is_number and row.only_with in (None, ("optimizer_type", optimizer)):
                yield variant, name, VALUES.get(name, 2 * default)


@cache
def state_after_updates(variant, name=None, value=None):
    """All parameters, and the state of optimizers and normaliser, after a few updates."""
    network = name in options_of(NetworkOptions)
    settings = {"v1": trainers.V1, "v2": trainers.V2}[variant]
    sizes = {"v1": trainers.NANO, "v2": trainers.NANO_V2}[variant]
    if network:
        sizes = dataclasses.replace(sizes, **{name: value})
    elif name:
        settings = dataclasses.replace(settings, **{name: value})
    make_batch = {"v1": synthetic.batch, "v2": synthetic.batch_with_context}[variant]
    parts = (synthetic.VECTOR, synthetic.MIXED)
    batch = (
        make_batch(*parts, 3, 4)
        if variant == "v1"
        else trainers.v2_batch(synthetic.VECTOR, synthetic.MIXED)
    )
    # Initial weights stay as they are for the option that scales them.
    trainer = trainers.make_trainer(*parts, settings, sizes=sizes, scramble=not network)
    for _ in range(UPDATES):
        trainer.update(batch)
    return {**get_weights(trainer.model), **trainer.get_state()}


@pytest.mark.parametrize(("variant", "name", "value"), [*numeric_options()])
def test_numeric_option_changes_the_update(variant, name, value):
    default = ROWS[name].default(variant)
    before = (
        state_after_updates(variant, name, default)
        if name in options_of(NetworkOptions)
        else state_after_updates(variant)
    )
    after = state_after_updates(variant, name, value)
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[key], after[key]) for key in before)
