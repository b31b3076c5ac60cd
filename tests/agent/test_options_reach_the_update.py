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
    "lr_warmup": 1000,
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
def state_after_update(variant, name=None, value=None, scramble=True):
    """All parameters, and the state of optimizers and normaliser, after the second update."""
    settings = {"v1": trainers.V1, "v2": trainers.V2}[variant]
    sizes = {"v1": trainers.NANO, "v2": trainers.NANO_V2}[variant]
    if name in options_of(NetworkOptions):
        sizes = dataclasses.replace(sizes, **{name: value})
    elif name:
        settings = dataclasses.replace(settings, **{name: value})
    parts = (synthetic.VECTOR, synthetic.MIXED)
    batch = synthetic.batch(*parts, 3, 4) if variant == "v1" else trainers.v2_batch(*parts)
    # With this seed some imagined states of v1 continue (0 or 1), without which gae_lambda has no
    # effect.
    trainer = trainers.make_trainer(*parts, settings, sizes=sizes, seed=1, scramble=scramble)
    # In the first one the learning rate may be 0.
    for optimizer in trainer.optimizers.values():
        optimizer.step.assign(1)
    trainer.update(batch)
    return {**get_weights(trainer.model), **trainer.get_state()}


@pytest.mark.parametrize(("variant", "name", "value"), [*numeric_options()])
def test_numeric_option_changes_the_update(variant, name, value):
    # Initial weights stay as they are for the option that scales them.
    scramble = name not in options_of(NetworkOptions)
    before = state_after_update(variant, scramble=scramble)
    after = state_after_update(variant, name, value, scramble)
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[key], after[key]) for key in before)
