"""The compiled update: what it reports, and what it changes."""

import dataclasses
import math

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import (
    NANO,
    NANO_V2,
    V1,
    V2,
    changed,
    make_trainer,
    make_v2,
    run,
    v2_batch,
    with_laprop,
    with_rates,
)
from vectors import case

from rllib_dreamerv3.agent.losses import world_model
from rllib_dreamerv3.agent.losses.reward_signal import reward_signal
from rllib_dreamerv3.agent.math.two_hot import make_two_hot
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.records import (
    ACTION_MASK,
    IS_FIRST,
    LATENT_H,
    LATENT_INDEX,
    MODEL_LOSS,
    REWARD,
)
from rllib_dreamerv3.spaces.layout import ActionLayout, DiscreteAction

# What it reports


@pytest.mark.parametrize("layout", [synthetic.VECTOR, synthetic.IMAGE], ids=["vector", "image"])
def test_first_losses(layout):
    """Reward head and critic predict 0 with equal logits, whatever the observation."""
    vector = case("uniform_init_losses").expected
    actions = ActionLayout((DiscreteAction(17),))
    trainer = make_trainer(layout, actions, with_rates(0.0, 1e-3, 1e-3), scramble=False)
    metrics = run(trainer, synthetic.batch(layout, actions))
    np.testing.assert_allclose(metrics["WORLD_MODEL_L_reward"], vector["xent"], rtol=1e-6)
    # The critic's losses are weighted means of the same number.
    weight = metrics["DREAM_DATA_weights_mean"]
    assert 0 < weight <= 1
    for part in ("neg_logp_of_value_targets", "slow_critic_regularization"):
        np.testing.assert_allclose(metrics[f"CRITIC_L_{part}"], vector["xent"] * weight, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["CRITIC_L_total"], vector["critic_total_with_slowreg"] * weight, rtol=1e-5
    )
    assert metrics["DREAM_DATA_returns_mean"] == 0
    assert metrics["DREAM_DATA_values_mean"] == 0
    assert metrics["ACTOR_advantage_abs_mean"] == 0
    assert 0.7 * vector["ln17"] < metrics["ACTOR_action_entropy"] <= vector["ln17"]
    for name in ("prior", "posterior"):
        largest = NANO.categoricals * math.log(NANO.classes)
        assert 0.7 * largest < metrics[f"WORLD_MODEL_{name}_entropy"] <= largest


def test_first_losses_of_v2():
    """Also those on replay; and in contrast to v1 the policy is uniform at first."""
    vector = case("uniform_init_losses").expected
    actions = ActionLayout((DiscreteAction(17),))
    # Everything steps at once: however large the first step, imagination does not see it.
    trainer = make_v2(with_laprop(lr=0.1, lr_warmup=0), actions=actions, scramble=False)
    batch = v2_batch(actions=actions)
    metrics = run(trainer, batch)
    np.testing.assert_allclose(metrics["WORLD_MODEL_L_reward"], vector["xent"], rtol=1e-6)
    weight = metrics["DREAM_DATA_weights_mean"]
    assert 0 < weight < 1
    np.testing.assert_allclose(
        metrics["CRITIC_L_total"], vector["critic_total_with_slowreg"] * weight, rtol=1e-5
    )
    counted = 1 - np.mean(batch["is_last"][:, 1:-1])
    assert 0 < counted < 1
    np.testing.assert_allclose(
        metrics["CRITIC_L_replay"], vector["critic_total_with_slowreg"] * counted, rtol=1e-5
    )
    for name in ("DREAM_DATA_returns_mean", "DREAM_DATA_values_mean", "ACTOR_advantage_abs_mean"):
        assert metrics[name] == 0
    np.testing.assert_allclose(metrics["ACTOR_action_entropy"], vector["ln17"], rtol=1e-3)
    assert run(trainer, batch)["DREAM_DATA_returns_mean"] != 0


def test_unit_weights_give_the_critic_twice_ln_255():
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.DISCRETE, with_rates(0.0, 0.0, 0.0, gamma=1.0), scramble=False
    )
    for name, variable in trainer.model.named_variables().items():
        if name == "continue/output/bias":
            variable.assign([100.0])
    batch = synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE)
    metrics = run(trainer, {**batch, "is_terminal": tf.zeros_like(batch["is_terminal"])})
    assert metrics["DREAM_DATA_weights_mean"] == 1
    np.testing.assert_allclose(metrics["CRITIC_L_total"], 2 * math.log(255), rtol=1e-6)


def test_imagination_runs_through_the_updated_model():
    """Rewards are 0 before the very first update, and no longer within it."""
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.DISCRETE, with_rates(1e-2, 0.0, 0.0), scramble=False
    )
    metrics = run(trainer, synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE))
    assert metrics["DREAM_DATA_returns_mean"] != 0


def test_losses_add_up():
    layout, actions = synthetic.EVERYTHING, synthetic.MIXED
    metrics = run(make_trainer(layout, actions), synthetic.batch(layout, actions))
    assert all(math.isfinite(value) for value in metrics.values())
    prediction = sum(metrics[f"WORLD_MODEL_L_{part}"] for part in ("decoder", "reward", "continue"))
    np.testing.assert_allclose(metrics["WORLD_MODEL_L_prediction"], prediction, rtol=1e-5)
    total = (
        prediction
        + 0.5 * metrics["WORLD_MODEL_L_dynamics"]
        + 0.1 * metrics["WORLD_MODEL_L_representation"]
    )
    np.testing.assert_allclose(metrics["WORLD_MODEL_L_total"], total, rtol=1e-5)
    np.testing.assert_allclose(
        metrics["CRITIC_L_total"],
        metrics["CRITIC_L_neg_logp_of_value_targets"]
        + metrics["CRITIC_L_slow_critic_regularization"],
        rtol=1e-5,
    )


def test_losses_of_v2_add_up():
    layout, actions = synthetic.EVERYTHING_48, synthetic.MIXED
    metrics = run(
        make_v2(observations=layout, actions=actions), v2_batch(layout, actions, rows=2, length=2)
    )
    assert all(math.isfinite(value) for value in metrics.values())
    total = (
        sum(metrics[f"WORLD_MODEL_L_{part}"] for part in ("decoder", "reward", "continue"))
        + metrics["WORLD_MODEL_L_dynamics"]
        + 0.1 * metrics["WORLD_MODEL_L_representation"]
    )
    np.testing.assert_allclose(metrics["WORLD_MODEL_L_total"], total, rtol=1e-5)


def test_rewards_are_predicted_where_they_were_recorded():
    trainer, batch = make_v2(with_laprop(lr=0.0)), v2_batch()
    update = trainer.update(batch)
    h, index = (tf.convert_to_tensor(update.for_replay[name]) for name in (LATENT_H, LATENT_INDEX))
    state = State(h, tf.cast(index, tf.int32)).flat()
    predicted = make_two_hot("symexp").mean(trainer.model.world_model.reward(state))
    rewards, first = (tf.reshape(batch[name][:, 1:], [-1]) for name in (REWARD, IS_FIRST))
    signal, found = reward_signal(predicted, rewards, first)
    assert signal > 0
    assert abs(found) > 0
    name = "WORLD_MODEL_reward_signal"
    np.testing.assert_allclose(update.metrics[name], signal, rtol=1e-6)
    np.testing.assert_allclose(update.metrics[f"{name}_predicted"], found, rtol=1e-4)


@pytest.mark.parametrize("layout", [synthetic.VECTOR, synthetic.IMAGE], ids=["vector", "slices"])
@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_model_loss_of_each_record_is_returned_on_request(variant, layout, monkeypatch):
    if variant == "v1":
        batch = synthetic.batch(layout, synthetic.DISCRETE)
        trainer = make_trainer(layout, synthetic.DISCRETE, returns_losses=True)
        others = set()
    else:
        layout = synthetic.VECTOR if layout is synthetic.VECTOR else synthetic.EVERYTHING_48
        batch = v2_batch(layout)
        trainer = make_v2(observations=layout, returns_losses=True)
        others = {LATENT_H, LATENT_INDEX}
    if layout.images:
        monkeypatch.setattr(world_model, "CHANNEL_BYTES_AT_A_TIME", 2**15)
    update = trainer.update(batch)
    assert set(update.for_replay) == {MODEL_LOSS, *others}
    losses = update.for_replay[MODEL_LOSS].numpy()
    rows, length = batch[IS_FIRST].shape
    assert losses.shape == (rows, length - (variant == "v2"))
    assert losses.dtype == np.float32
    assert len(np.unique(losses)) == losses.size
    np.testing.assert_allclose(losses.mean(), update.metrics["WORLD_MODEL_L_total"], rtol=1e-5)


def test_model_losses_are_those_of_their_records():
    """The others keep theirs when the last record of a sequence changes."""
    batch = synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE)
    losses = []
    for reward in (0.0, 1000.0):
        changed_batch = {**batch, REWARD: np.array(batch[REWARD])}
        changed_batch[REWARD][1, -1] = reward
        trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, returns_losses=True)
        losses.append(trainer.update(changed_batch).for_replay[MODEL_LOSS].numpy())
    differ = np.argwhere(losses[0] != losses[1])
    assert differ.tolist() == [[1, losses[0].shape[1] - 1]]


# What it changes


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        pytest.param(synthetic.VECTOR, synthetic.DISCRETE, id="reinforce"),
        pytest.param(synthetic.VECTOR, synthetic.CONTINUOUS, id="dynamics"),
        pytest.param(synthetic.EVERYTHING, synthetic.MIXED, id="everything"),
    ],
)
def test_each_optimizer_changes_its_own_part_only(observations, actions):
    trainer = make_trainer(observations, actions)
    model = trainer.model
    batch = synthetic.batch(observations, actions)
    parts = {
        "world_model": {"encoder", "rssm", "decoder", "reward", "continue"},
        "actor": {"actor"},
        "critic": {"critic", "slow_critic"},
    }
    for learning, own in parts.items():
        for name, optimizer in trainer.optimizers.items():
            optimizer.learning_rate.assign(1e-3 if name == learning else 0.0)
        # The slow critic moves whenever it differs from the critic.
        for slow, fast in zip(model.slow_critic.variables, model.critic.variables, strict=True):
            slow.assign(fast)
        before = get_weights(model)
        run(trainer, batch)
        after = changed(before, get_weights(model))
        assert after == {name for name in before if name.split("/")[0] in own}, learning


def test_an_update_of_v2_changes_everything():
    trainer = make_v2()
    before = get_weights(trainer.model)
    run(trainer, v2_batch())
    assert changed(before, get_weights(trainer.model)) == set(before)


def test_warm_up_begins_with_an_update_that_trains_nothing():
    """It fills the moments and the normaliser, and lets the slow critic follow."""
    trainer = make_v2(with_laprop(lr_warmup=1000))
    weights, states = [get_weights(trainer.model)], [trainer.get_state()]
    batch = v2_batch()
    for _ in range(2):
        run(trainer, batch)
        weights.append(get_weights(trainer.model))
        states.append(trainer.get_state())
    slow = {name for name in weights[0] if name.startswith("slow_critic/")}
    assert changed(*weights[:2]) == slow
    # Each variable has two moments.
    assert len(changed(*states[:2])) == 4 + 2 * (len(weights[0]) - len(slow))
    assert {"updates", "returns/low", "returns/high", "all/step"} <= changed(*states[:2])
    # A thousandth of 4e-5 is lost in the rounding of larger numbers.
    assert len(changed(*weights[1:]) - slow) > 0.9 * (len(weights[0]) - len(slow))


def make_v1_nano():
    options = with_rates(1e-2, 1e-2, 1e-2)
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, options)
    return trainer, synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE)


def make_v2_nano():
    return make_v2(with_laprop(lr_warmup=0, lr=1e-2)), v2_batch()


MIXTURES = {
    "networks of v1, losses of v2": (NANO, V2),
    "networks of v2, three Adams": (
        NANO_V2,
        dataclasses.replace(V2, optimizer_type="adam", replay_critic_scale=0.0),
    ),
    "v2 through the dynamics": (NANO_V2, dataclasses.replace(V2, actor_grad="dynamics")),
    "v1 with LaProp": (
        NANO,
        dataclasses.replace(V1, optimizer_type="laprop", lr_warmup=0),
    ),
    "v1": (NANO, V1),
    "v1 with a critic loss on replay": (NANO, dataclasses.replace(V1, replay_critic_scale=0.3)),
    "v1, with normed blocks": (
        dataclasses.replace(NANO, sequence_model="block_gru", hidden_bias=True),
        V1,
    ),
    "v1, with root-mean-square norms and zeros": (
        dataclasses.replace(NANO, norm="rms", initial_state="zeros", weight_init="fan_in"),
        dataclasses.replace(V1, two_hot_bins="symexp"),
    ),
}


@pytest.mark.parametrize("context", [0, 1], ids=["", "replay context"])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_mixtures_of_the_variants_train_everything(mixture, context):
    sizes, settings = MIXTURES[mixture]
    actions = synthetic.CONTINUOUS if settings.actor_grad == "dynamics" else synthetic.DISCRETE
    trainer = make_trainer(synthetic.VECTOR, actions, settings, sizes=sizes)
    if context:
        batch = v2_batch(actions=actions, sizes=sizes)
    else:
        batch = synthetic.batch(synthetic.VECTOR, actions)
    before = get_weights(trainer.model)
    update = trainer.update(batch)
    assert all(np.isfinite(value) for value in update.metrics.values())
    assert set(update.for_replay) == ({LATENT_H, LATENT_INDEX} if context else set())
    assert ("CRITIC_L_replay" in update.metrics) is (settings.replay_critic_scale > 0)
    assert changed(before, get_weights(trainer.model)) == set(before)


@pytest.mark.parametrize(
    ("actions", "chosen"),
    [
        pytest.param(synthetic.DISCRETE, "reinforce", id="discrete"),
        pytest.param(synthetic.CONTINUOUS, "dynamics", id="continuous"),
        pytest.param(synthetic.MIXED, "reinforce", id="mixed"),
    ],
)
def test_auto_chooses_by_action_type(actions, chosen):
    batch = synthetic.batch(synthetic.VECTOR, actions, rows=2, length=2)
    norms = {
        how: run(
            make_trainer(
                synthetic.VECTOR, actions, dataclasses.replace(V1, actor_grad=how, horizon_H=2)
            ),
            batch,
        )["ACTOR_gradients_global_norm"]
        for how in ("auto", "reinforce", "dynamics")
    }
    other = {"reinforce": "dynamics", "dynamics": "reinforce"}[chosen]
    np.testing.assert_allclose(norms["auto"], norms[chosen], rtol=1e-5)
    assert abs(norms["auto"] - norms[other]) > 0.01 * norms["auto"]


def test_slow_critic_vector():
    inputs, expected, rtol, atol = case("slow_critic_ema")
    options = with_rates(0.0, 0.0, 0.0, first_update_copies_critic=False)
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, options)
    critics = trainer.model.critic, trainer.model.slow_critic
    # The two numbers of the vector, again and again, in every parameter.
    for critic, numbers in zip(critics, (inputs["fast"], inputs["slow"]), strict=True):
        for variable in critic.variables:
            variable.assign(np.resize(numbers, variable.shape).astype(np.float32))
    batch = synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE, rows=1, length=2)
    run(trainer, batch, int(inputs["updates"]))
    for variable in trainer.model.slow_critic.variables:
        np.testing.assert_allclose(
            variable, np.resize(expected["slow_after"], variable.shape), rtol, atol
        )
    for variable in trainer.model.critic.variables:
        np.testing.assert_array_equal(variable, np.resize(inputs["fast"], variable.shape))


@pytest.mark.parametrize("make", [make_v1_nano, make_v2_nano], ids=["v1", "v2"])
def test_first_update_copies_the_critic_in_v1_and_mixes_in_v2(make):
    """2023 code: the updater's counter starts at 0, where it copies; 2025 code: never after."""
    trainer, batch = make()
    slow, fast = trainer.model.slow_critic.variables, trainer.model.critic.variables
    shares = []
    for _ in range(2):
        before = np.concatenate([np.ravel(x) for x in slow])
        run(trainer, batch)
        after, critic = (np.concatenate([np.ravel(x) for x in xs]) for xs in (slow, fast))
        shares.append(np.linalg.norm(after - before) / np.linalg.norm(critic - before))
        equal = np.array_equal(after, critic)
        assert equal == (make is make_v1_nano and len(shares) == 1)
    np.testing.assert_allclose(shares[1], 0.02, rtol=1e-3)


def test_an_update_that_is_not_finite_does_not_count_as_the_first():
    trainer, batch = make_v1_nano()
    slow, fast = trainer.model.slow_critic.variables, trainer.model.critic.variables
    poisoned = {**batch, "obs/x": tf.fill(batch["obs/x"].shape, np.nan)}
    assert not math.isfinite(run(trainer, poisoned)["WORLD_MODEL_L_total"])
    assert not all(np.array_equal(s, f) for s, f in zip(slow, fast, strict=True))
    run(trainer, batch)
    for s, f in zip(slow, fast, strict=True):
        np.testing.assert_array_equal(s, f)


def test_huge_numbers_do_no_harm():
    layout, actions = synthetic.VECTOR, synthetic.DISCRETE
    trainer = make_trainer(layout, actions, with_rates(1e-3, 1e-3, 1e-3))
    batch = synthetic.batch(layout, actions)
    huge = {name: x * 1e20 if name in ("obs/x", "reward") else x for name, x in batch.items()}
    for _ in range(5):
        metrics = run(trainer, huge)
        assert all(math.isfinite(value) for value in metrics.values()), metrics
    assert all(np.isfinite(x).all() for x in get_weights(trainer.model).values())


def test_update_takes_batches_of_any_size_and_repeats_itself():
    """Two trainers with one seed stay equal to the last bit; another seed goes another way."""
    layout, actions = synthetic.VECTOR, synthetic.MIXED
    first, again, other = (make_trainer(layout, actions, seed=seed) for seed in (0, 0, 1))
    for rows, length in ((3, 4), (1, 2)):
        batch = synthetic.batch(layout, actions, rows, length)
        metrics = [run(trainer, batch) for trainer in (first, again, other)]
        assert metrics[0] == metrics[1]
        assert metrics[0] != metrics[2]
    weights = [get_weights(trainer.model) for trainer in (first, again, other)]
    assert not changed(weights[0], weights[1])
    assert changed(weights[0], weights[2])
    assert int(first.updates) == 2


def test_bins_that_are_no_targets_stay_mirror_images():
    """As both of a pair have equal gradients; what they weigh then cancels to the last bit."""
    trainer = make_v2(with_laprop(lr=1e-3, lr_warmup=0), scramble=False)
    for seed in range(3):
        trainer.update(v2_batch(rows=16, length=8, seed=seed))
    optimizer = trainer.optimizers["all"]
    for head in (trainer.model.world_model.reward, trainer.model.critic):
        for variable in head.output.trainable_variables:
            place = [v is variable for v in optimizer._variables].index(True)
            for array in (variable, optimizer.m[place], optimizer.v[place]):
                # Rewards are less than symexp(3.9), which is 25 bins from the middle.
                low, high = array.numpy()[..., :102], array.numpy()[..., :-103:-1]
                assert low.all()
                np.testing.assert_array_equal(low, high, err_msg=array.name)


def test_loss_of_a_choice_has_the_mask_of_its_own_state():
    """The recorded mask leaves one choice in the first state; in the next there are more."""
    actions = dataclasses.replace(synthetic.DISCRETE, masked=True)
    trainer = make_trainer(synthetic.VECTOR, actions, dataclasses.replace(V1, horizon_H=1))
    batch = synthetic.batch(synthetic.VECTOR, actions)
    shape = batch[IS_FIRST].shape
    for choices in (1, 2):
        mask = np.arange(actions.size) < choices
        batch[ACTION_MASK] = tf.constant(np.broadcast_to(mask, [*shape, actions.size]))
        entropy = run(trainer, batch)["ACTOR_action_entropy"]
        if choices == 1:
            assert entropy == pytest.approx(0.0, abs=1e-5)
        else:
            assert 0.01 < entropy <= np.log(2) + 1e-5
