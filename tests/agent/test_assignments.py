"""An update that is not finite changes nothing that the number which is not finite comes before."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import make_trainer, make_v2, run, v2_batch, with_laprop, with_rates

from rllib_dreamerv3.agent.assignments import all_finite, only_if
from rllib_dreamerv3.agent.networks.model import get_weights


def make(variant, **options):
    if variant == "v2":
        return make_v2(with_laprop(lr_warmup=0, **options)), v2_batch()
    settings = with_rates(1e-3, 1e-3, 1e-3, **options)
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, settings)
    return trainer, synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE)


def everything(trainer):
    """All networks, moments, counters and averages to the last bit, but for the update's number."""
    state = trainer.get_state() | get_weights(trainer.model)
    del state["updates"]
    return {name: np.asarray(x).tobytes() for name, x in state.items()}


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def poisoned(batch):
    observation = batch["obs/x"].numpy()
    observation[0, -1, 0] = np.nan
    return {**batch, "obs/x": tf.constant(observation)}


@pytest.mark.parametrize("variant", [pytest.param("v1", marks=pytest.mark.compiled), "v2"])
def test_poisoned_batch_changes_nothing_and_training_goes_on(variant):
    trainer, batch = make(variant)
    run(trainer, batch)
    before = everything(trainer)
    metrics = run(trainer, poisoned(batch))
    assert not np.isfinite(metrics["WORLD_MODEL_L_total"])
    assert not changed(before, everything(trainer))
    assert trainer.updates == 2, "random numbers of the next update must be others"
    assert all(map(np.isfinite, run(trainer, batch).values()))
    after = changed(before, everything(trainer))
    assert {name.split("/")[0] for name in after} >= {"rssm", "actor", "critic", "slow_critic"}


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_critic_that_is_not_finite_stops_all_that_comes_with_it(variant):
    """In v1 the world model has stepped by then; in v2 everything steps at once, or nothing."""
    trainer, batch = make(variant, slow_critic_scale=np.inf)
    before = everything(trainer)
    metrics = run(trainer, batch)
    assert np.isfinite(metrics["WORLD_MODEL_L_total"])
    assert np.isfinite(metrics["ACTOR_gradients_global_norm"])
    assert not np.isfinite(metrics["CRITIC_L_total"])
    names = changed(before, everything(trainer))
    world_model = {"world_model", "encoder", "rssm", "decoder", "reward", "continue"}
    assert {name.split("/")[0] for name in names} == (world_model if variant == "v1" else set())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_is_enough(value):
    good = [tf.constant(3e38), tf.constant(-1.0)]
    assert all_finite(good)
    assert not all_finite([*good, tf.constant(value, tf.float32)])


@pytest.mark.compiled
def test_steps_depend_on_the_condition_when_they_are_compiled():
    variable = tf.Variable(1.0)

    @tf.function
    def run(condition):
        only_if(condition, lambda: variable.assign_add(1.0))

    run(tf.constant(False))
    assert variable == 1
    run(tf.constant(True))
    assert variable == 2
