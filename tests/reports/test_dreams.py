"""Dreams: reconstruction and imagination of recorded sequences."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from rllib_dreamerv3.agent.math.scalars import symexp
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_TERMINAL, REWARD
from rllib_dreamerv3.reports.dreams import CONTINUE, Dreamer

NANO = synthetic.NANO
B, T, OBSERVED = 3, 8, 4
CAMERA = synthetic.IMAGE.images[0].key
UNIFORM = synthetic.uniform(B, T, NANO.categoricals, seed=5)
SEED = tf.constant([0, 1])


def scrambled(observations=synthetic.IMAGE, actions=synthetic.DISCRETE, settings=NANO):
    model = synthetic.model(observations, actions, settings)
    synthetic.scramble(model)
    return model


def dreamer_of(model, observations=synthetic.IMAGE, settings=NANO):
    return Dreamer(model.world_model, observations, settings, "symlog")


def records(observations=synthetic.IMAGE, actions=synthetic.DISCRETE):
    batch = synthetic.batch(observations, actions, rows=B, length=T)
    return {key: x.numpy() for key, x in batch.items()}


def predict(model, batch):
    """Imagined images [B, T, h, w, c]."""
    return dreamer_of(model).predict(batch, UNIFORM, OBSERVED).imagination[CAMERA].numpy()


def changed_times(one, other):
    """Times at which predictions [B, T, ...] differ."""
    differs = np.abs(one - other).max(axis=(0, 2, 3, 4)) > 0
    return set(np.flatnonzero(differs).tolist())


def test_observed_records_are_decoded_from_the_posterior():
    model, batch = scrambled(), records()
    whole = synthetic.predicted(model, batch, UNIFORM).observations[CAMERA].numpy()
    prediction = predict(model, batch)
    assert prediction.shape == (B, T, 8, 8, 3)
    whole = whole.reshape(prediction.shape)
    np.testing.assert_allclose(prediction[:, :OBSERVED], whole[:, :OBSERVED], atol=1e-5)
    assert np.abs(prediction[:, OBSERVED:] - whole[:, OBSERVED:]).max() > 1e-3


def test_later_records_are_imagined_from_the_recorded_actions():
    model, batch = scrambled(), records()
    prediction = predict(model, batch)
    world = model.world_model
    posterior = world.observe(batch, UNIFORM).state
    for row in range(B):
        last = row * T + OBSERVED - 1
        state = State(posterior.h[last : last + 1], posterior.index[last : last + 1])
        for t in range(OBSERVED, T):
            action = batch[ACTION][row : row + 1, t - 1]
            # The same random numbers, one row at a time.
            state = world.rssm.imagine(state, action, UNIFORM[row : row + 1, t], dense=False)
            expected = world.decoder(state)[CAMERA][0]
            np.testing.assert_allclose(prediction[row, t], expected, atol=1e-4)


@pytest.mark.parametrize("time", range(T))
def test_observations_matter_while_they_are_observed_and_never_again(time):
    model, batch = scrambled(), records()
    other = batch | {CAMERA: batch[CAMERA].copy()}
    other[CAMERA][:, time] = 255 - other[CAMERA][:, time]
    changed = changed_times(predict(model, batch), predict(model, other))
    if time < OBSERVED:
        assert time in changed
        assert min(changed) == time
    else:
        assert not changed


@pytest.mark.parametrize("time", [OBSERVED - 1, OBSERVED, T - 2, T - 1])
def test_recorded_actions_decide_what_is_imagined_after_them(time):
    model, batch = scrambled(), records()
    other = batch | {ACTION: batch[ACTION].copy()}
    other[ACTION][:, time] = np.roll(other[ACTION][:, time], 1, -1)
    changed = changed_times(predict(model, batch), predict(model, other))
    assert changed == set(range(time + 1, T))


def test_start_of_an_episode_is_seen_among_observed_records_only():
    model, batch = scrambled(), records()
    for time, matters in ((OBSERVED - 1, True), (OBSERVED, False), (T - 1, False)):
        other = batch | {IS_FIRST: batch[IS_FIRST].copy()}
        other[IS_FIRST][:, time] ^= True
        changed = changed_times(predict(model, batch), predict(model, other))
        assert bool(changed) == matters


def test_reconstruction_sees_whole_rows():
    model, batch = scrambled(), records()
    whole = synthetic.predicted(model, batch, UNIFORM).observations[CAMERA]
    for observed in (OBSERVED, T):
        prediction = dreamer_of(model).predict(batch, UNIFORM, observed)
        seen = prediction.reconstruction[CAMERA]
        np.testing.assert_allclose(tf.reshape(whole, seen.shape), seen, atol=1e-5)
    np.testing.assert_array_equal(seen, prediction.imagination[CAMERA])


def test_imagination_goes_on_from_the_context():
    settings = synthetic.NANO_V2
    model = scrambled(synthetic.VECTOR, settings=settings)
    batch = synthetic.batch_with_context(synthetic.VECTOR, synthetic.DISCRETE, rows=B, length=T)
    rows, context = split_context(batch)
    whole = synthetic.predicted(model, rows, UNIFORM, context).observations["obs/x"]
    dreamer = dreamer_of(model, synthetic.VECTOR, settings)
    prediction = dreamer.predict(rows, UNIFORM, OBSERVED, context).imagination["obs/x"]
    whole = symexp(tf.reshape(whole, prediction.shape))
    np.testing.assert_allclose(prediction[:, :OBSERVED], whole[:, :OBSERVED], atol=1e-4)
    assert np.abs(prediction[:, OBSERVED:] - whole[:, OBSERVED:]).max() > 1e-3


# Columns


def test_all_columns_are_as_recorded():
    layout = synthetic.EVERYTHING
    batch = records(layout, synthetic.MIXED)
    dream = dreamer_of(scrambled(layout, synthetic.MIXED), layout).dream(batch, OBSERVED, SEED)
    keys = {*(leaf.key for leaf in layout.leaves), REWARD, CONTINUE}
    for columns in (dream.truth, dream.reconstruction, dream.imagination):
        assert columns.keys() == keys
        for key, x in columns.items():
            assert x.shape == dream.truth[key].shape
            assert np.isfinite(x).all()
        assert columns["obs/c"].max(axis=(0, 1)).tolist() == [2, 1]
    np.testing.assert_array_equal(dream.truth["obs/a"], batch["obs/a"])
    np.testing.assert_allclose(dream.truth["obs/b"], batch["obs/b"] / 255.0, rtol=1e-5)
    np.testing.assert_allclose(dream.truth["obs/d"], (batch["obs/d"] + 1) / 2, atol=1e-6)
    np.testing.assert_array_equal(dream.truth[CONTINUE], 1.0 - batch[IS_TERMINAL])
    np.testing.assert_array_equal(dream.is_first, batch[IS_FIRST])


def test_rewards_and_continues_are_those_of_the_heads():
    model, batch = scrambled(), records()
    output = synthetic.predicted(model, batch, UNIFORM)
    columns = dreamer_of(model).predict(batch, UNIFORM, OBSERVED).reconstruction
    reward = make_two_hot("symlog").mean(output.reward_logits)
    np.testing.assert_allclose(columns[REWARD], tf.reshape(reward, [B, T]), rtol=1e-4)
    cont = tf.sigmoid(output.continue_logits)
    np.testing.assert_allclose(columns[CONTINUE], tf.reshape(cont, [B, T]), rtol=1e-4)


@pytest.mark.parametrize(("asked", "observed"), [(0, 1), (3, 3), (T, T - 1), (99, T - 1)])
def test_something_is_seen_and_something_is_imagined(asked, observed):
    layout = synthetic.VECTOR
    dream = dreamer_of(scrambled(layout), layout).dream(records(layout), asked, SEED)
    assert dream.observed == observed
    same = dream.reconstruction["obs/x"] == dream.imagination["obs/x"]
    assert same[:, :observed].all()
    assert not same[:, observed:].all()


def test_the_seed_decides_the_samples():
    layout = synthetic.VECTOR
    dreamer, batch = dreamer_of(scrambled(layout), layout), records(layout)
    one, same, other = (
        dreamer.dream(batch, OBSERVED, tf.constant([0, n])).imagination["obs/x"] for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
