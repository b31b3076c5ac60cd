"""What an update starts from, and how a trainer is saved and restored."""

import dataclasses

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import (
    NANO,
    NANO_V2,
    V2,
    changed,
    make_trainer,
    make_v2,
    run,
    v2_batch,
    with_laprop,
    with_rates,
)

from rllib_dreamerv3.agent.networks.model import get_weights, set_weights
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.records import LATENT_H, LATENT_INDEX

# What it starts from


@pytest.mark.parametrize("sizes", [NANO, NANO_V2], ids=["v1", "v2"])
def test_latents_are_the_posterior_of_the_batch(sizes):
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.DISCRETE, with_laprop(lr_warmup=1000), sizes=sizes
    )
    batch = v2_batch(sizes=sizes)
    records, context = split_context(batch)
    uniform = trainer._draw_noise(records, tf.constant([0, 0])).posterior
    state = trainer.model.world_model.observe(records, uniform, context).state
    latents = trainer.update(batch).for_replay
    assert set(latents) == {LATENT_H, LATENT_INDEX}
    assert latents[LATENT_H].dtype == tf.float32
    assert latents[LATENT_INDEX].dtype == tf.uint8
    np.testing.assert_allclose(
        latents[LATENT_H], tf.reshape(state.h, [3, 4, sizes.deterministic]), atol=1e-5
    )
    np.testing.assert_array_equal(
        latents[LATENT_INDEX], tf.reshape(state.index, [3, 4, sizes.categoricals])
    )


def observe(trainer, batch):
    """The world model's losses on a batch; the trainer stays as it is."""
    records, context = split_context(batch)
    noise = trainer._draw_noise(records, tf.constant([0, 0]))
    *_, losses = trainer._observe(records, context, noise.posterior)
    return {name: float(x) for name, x in losses.items()}


def altered(values):
    """Other flags, other actions, other numbers."""
    if values.dtype == bool:
        return ~values
    return np.roll(values, 1, -1) if values.shape[-1] == synthetic.DISCRETE.size else values + 1


@pytest.mark.parametrize(("row", "matters"), [(2, True), (1, False)], ids=["middle", "start"])
def test_rows_start_from_stored_latents_unless_an_episode_begins(row, matters):
    trainer = make_v2()
    batch = {name: x[row : row + 1] for name, x in v2_batch().items()}
    assert bool(batch["is_first"][0, 1]) is not matters
    expected = observe(trainer, batch)
    for name in (LATENT_H, LATENT_INDEX, "action"):
        other = batch[name].numpy()
        other[:, 0] = (
            altered(other[:, 0]) if name != LATENT_INDEX else (other[:, 0] + 1) % NANO_V2.classes
        )
        found = observe(trainer, {**batch, name: tf.constant(other)})
        assert (found != expected) is matters, name
    for name in (LATENT_H, LATENT_INDEX):
        # Latents of the records themselves are only what replay had stored; they are replaced.
        other = batch[name].numpy()
        other[:, 1:] = 0
        assert observe(trainer, {**batch, name: tf.constant(other)}) == expected, name


def test_nothing_else_of_the_context_record_matters():
    trainer, batch = make_v2(), v2_batch()
    expected = observe(trainer, batch)
    for name in ("obs/x", "reward", "is_first", "is_last", "is_terminal"):
        other = batch[name].numpy()
        other[:, 0] = altered(other[:, 0])
        assert observe(trainer, {**batch, name: tf.constant(other)}) == expected, name


# Saving


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        pytest.param(synthetic.VECTOR, synthetic.DISCRETE, id="reinforce"),
        pytest.param(synthetic.IMAGE, synthetic.CONTINUOUS, id="dynamics", marks=pytest.mark.long),
    ],
)
def test_restored_trainer_continues_to_the_last_bit(observations, actions):
    batches = [synthetic.batch(observations, actions, seed=seed) for seed in range(4)]
    settings = with_rates(1e-3, 1e-3, 1e-3)
    trainer = make_trainer(observations, actions, settings)
    for batch in batches[:2]:
        run(trainer, batch)
    state, weights = trainer.get_state(), get_weights(trainer.model)
    kept = {name: np.copy(x) for name, x in state.items()}
    expected = [run(trainer, batch) for batch in batches[2:]]
    assert not changed(kept, state), "a saved state must not change with its trainer"

    restored = make_trainer(observations, actions, settings, model_seed=7)
    run(restored, batches[3])  # It has another state before.
    restored.set_state(state)
    set_weights(restored.model, weights)
    assert not changed(state, restored.get_state())
    assert [run(restored, batch) for batch in batches[2:]] == expected
    assert not changed(get_weights(trainer.model), get_weights(restored.model))
    assert not changed(trainer.get_state(), restored.get_state())
    assert int(restored.updates) == 4


@pytest.mark.long
@pytest.mark.compiled
def test_restored_trainer_of_v2_continues_to_the_last_bit():
    batches = [v2_batch(seed=seed) for seed in range(4)]
    settings = with_laprop(lr=1e-3, lr_warmup=10)
    trainer = make_v2(settings)
    for batch in batches[:2]:
        run(trainer, batch)
    state, weights = trainer.get_state(), get_weights(trainer.model)
    expected = [trainer.update(batch) for batch in batches[2:]]

    restored = make_v2(settings, model_seed=7)
    restored.set_state(state)
    set_weights(restored.model, weights)
    for batch, update in zip(batches[2:], expected, strict=True):
        found = restored.update(batch)
        for one, other in zip(found, update, strict=True):
            assert not changed(tf.nest.map_structure(np.asarray, one), other)
    assert not changed(get_weights(trainer.model), get_weights(restored.model))
    assert not changed(trainer.get_state(), restored.get_state())


def test_state_of_another_optimizer_is_refused():
    trainer, other = make_v2(), make_v2(dataclasses.replace(V2, optimizer_type="adam"))
    before = trainer.get_state()
    with pytest.raises(CheckpointError):
        trainer.set_state(other.get_state())
    assert not changed(before, trainer.get_state())


def test_state_of_another_network_is_refused():
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE)
    other = make_trainer(synthetic.IMAGE, synthetic.DISCRETE)
    with pytest.raises(CheckpointError, match="another network"):
        trainer.set_state(other.get_state())


@pytest.mark.parametrize("updates", [np.float32(3.7), np.int64(-3), np.int64([1, 2])])
def test_number_of_updates_that_is_none_is_refused(updates):
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE)
    before = trainer.get_state()
    with pytest.raises(CheckpointError, match="'updates'"):
        trainer.set_state(before | {"updates": updates})
    assert not changed(before, trainer.get_state())
