"""The compiled update: what it reports, what it changes, and that it learns."""

import dataclasses
import math

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from vectors import case

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.layout import ActionLayout, DiscreteAction, Image, ObservationLayout, Vector
from rllib_dreamerv3.learner.settings import AdamSettings, LaPropSettings, TrainerSettings
from rllib_dreamerv3.learner.trainer import Trainer
from rllib_dreamerv3.model_sizes import model_settings
from rllib_dreamerv3.module.model import get_weights, set_weights
from rllib_dreamerv3.module.world_model import split_context
from rllib_dreamerv3.records import LATENT_H, LATENT_INDEX

NANO, NANO_V2 = synthetic.NANO, synthetic.NANO_V2
V1, V2 = synthetic.TRAINER, synthetic.TRAINER_V2


def make_trainer(
    observations, actions, settings=V1, *, sizes=NANO, seed=0, model_seed=0, scramble=True
):
    model = synthetic.model(observations, actions, sizes, seed=model_seed)
    if scramble:
        synthetic.scramble(model)
    return Trainer(model, observations, actions, sizes, settings, seed=seed)


def with_rates(world_model, actor, critic, **kwargs):
    return TrainerSettings(
        world_model=AdamSettings(world_model, 1e-8, 1000.0),
        actor=AdamSettings(actor, 1e-5, 100.0),
        critic=AdamSettings(critic, 1e-5, 100.0),
        **{"horizon": 3, **kwargs},
    )


def with_laprop(**options):
    return dataclasses.replace(V2, laprop=LaPropSettings(**options))


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


@pytest.fixture
def eager():
    """For trainers of which only an update or two are needed: compiling takes longer."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


# What it reports


@pytest.mark.usefixtures("eager")
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


@pytest.mark.usefixtures("eager")
def test_first_losses_of_v2():
    """Also those on replay; and in contrast to v1 the policy is uniform at first."""
    vector = case("uniform_init_losses").expected
    actions = ActionLayout((DiscreteAction(17),))
    # Everything steps at once: however large the first step, imagination does not see it.
    trainer = make_v2(with_laprop(learning_rate=0.1, warmup=0), actions=actions, scramble=False)
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


@pytest.mark.usefixtures("eager")
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


@pytest.mark.usefixtures("eager")
def test_imagination_runs_through_the_updated_model():
    """Rewards are 0 before the very first update, and no longer within it."""
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.DISCRETE, with_rates(1e-2, 0.0, 0.0), scramble=False
    )
    metrics = run(trainer, synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE))
    assert metrics["DREAM_DATA_returns_mean"] != 0


@pytest.mark.usefixtures("eager")
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


@pytest.mark.usefixtures("eager")
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


@pytest.mark.usefixtures("eager")
def test_an_update_of_v2_changes_everything():
    trainer = make_v2()
    before = get_weights(trainer.model)
    run(trainer, v2_batch())
    assert changed(before, get_weights(trainer.model)) == set(before)


@pytest.mark.usefixtures("eager")
def test_warm_up_begins_with_an_update_that_trains_nothing():
    """It fills the moments and the normaliser, and lets the slow critic follow."""
    trainer = make_v2(with_laprop(warmup=1000))
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


MIXTURES = {
    "networks of v1, losses of v2": (NANO, dataclasses.replace(V2, replay_context=0)),
    "networks of v2, three Adams": (
        NANO_V2,
        dataclasses.replace(V2, optimizer_type="adam", replay_critic_scale=0.0),
    ),
    "v2 through the dynamics": (NANO_V2, dataclasses.replace(V2, actor_grad="dynamics")),
    "v1 with LaProp": (
        NANO,
        dataclasses.replace(V1, optimizer_type="laprop", laprop=LaPropSettings(warmup=0)),
    ),
    "v1 with a replay context": (NANO, dataclasses.replace(V1, replay_context=1)),
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


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("mixture", MIXTURES)
def test_mixtures_of_the_variants_train_everything(mixture):
    sizes, settings = MIXTURES[mixture]
    actions = synthetic.CONTINUOUS if settings.actor_grad == "dynamics" else synthetic.DISCRETE
    trainer = make_trainer(synthetic.VECTOR, actions, settings, sizes=sizes)
    if settings.replay_context:
        batch = v2_batch(actions=actions, sizes=sizes)
    else:
        batch = synthetic.batch(synthetic.VECTOR, actions)
    before = get_weights(trainer.model)
    update = trainer.update(batch)
    assert all(np.isfinite(value) for value in update.metrics.values())
    assert bool(update.latents) is bool(settings.replay_context)
    assert ("CRITIC_L_replay" in update.metrics) is (settings.replay_critic_scale > 0)
    assert changed(before, get_weights(trainer.model)) == set(before)


@pytest.mark.usefixtures("eager")
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
                synthetic.VECTOR, actions, dataclasses.replace(V1, actor_grad=how, horizon=2)
            ),
            batch,
        )["ACTOR_gradients_global_norm"]
        for how in ("auto", "reinforce", "dynamics")
    }
    other = {"reinforce": "dynamics", "dynamics": "reinforce"}[chosen]
    np.testing.assert_allclose(norms["auto"], norms[chosen], rtol=1e-5)
    assert abs(norms["auto"] - norms[other]) > 0.01 * norms["auto"]


@pytest.mark.usefixtures("eager")
def test_slow_critic_vector():
    inputs, expected, rtol, atol = case("slow_critic_ema")
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, with_rates(0.0, 0.0, 0.0))
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


def test_huge_numbers_do_no_harm():
    layout, actions = synthetic.VECTOR, synthetic.DISCRETE
    trainer = make_trainer(layout, actions, with_rates(1e-3, 1e-3, 1e-3))
    batch = synthetic.batch(layout, actions)
    huge = {name: x * 1e20 if name in ("obs/x", "reward") else x for name, x in batch.items()}
    for _ in range(5):
        metrics = run(trainer, huge)
        assert all(math.isfinite(value) for value in metrics.values()), metrics
    assert all(np.isfinite(x).all() for x in get_weights(trainer.model).values())


@pytest.mark.usefixtures("eager")
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


# What it starts from


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("sizes", [NANO, NANO_V2], ids=["v1", "v2"])
def test_latents_are_the_posterior_of_the_batch(sizes):
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.DISCRETE, with_laprop(warmup=1000), sizes=sizes
    )
    batch = v2_batch(sizes=sizes)
    records, context = split_context(batch)
    uniform = tf.random.stateless_uniform([4, 3, sizes.categoricals], [0, 0])
    state = trainer.model.world_model(records, uniform, context).state
    latents = trainer.update(batch).latents
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
    *_, losses = trainer._observe(*split_context(batch), tf.constant([0, 0]))
    return {name: float(x) for name, x in losses.items()}


def altered(values):
    """Other flags, other actions, other numbers."""
    if values.dtype == bool:
        return ~values
    return np.roll(values, 1, -1) if values.shape[-1] == synthetic.DISCRETE.size else values + 1


@pytest.mark.usefixtures("eager")
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


@pytest.mark.usefixtures("eager")
def test_nothing_else_of_the_context_record_matters():
    trainer, batch = make_v2(), v2_batch()
    expected = observe(trainer, batch)
    for name in ("obs/x", "reward", "is_first", "is_last", "is_terminal"):
        other = batch[name].numpy()
        other[:, 0] = altered(other[:, 0])
        assert observe(trainer, {**batch, name: tf.constant(other)}) == expected, name


# Saving


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        pytest.param(synthetic.VECTOR, synthetic.DISCRETE, id="reinforce"),
        pytest.param(synthetic.IMAGE, synthetic.CONTINUOUS, id="dynamics"),
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
    run(restored, batches[3])  # It has a life of its own before.
    restored.set_state(state)
    set_weights(restored.model, weights)
    assert not changed(state, restored.get_state())
    assert [run(restored, batch) for batch in batches[2:]] == expected
    assert not changed(get_weights(trainer.model), get_weights(restored.model))
    assert not changed(trainer.get_state(), restored.get_state())
    assert int(restored.updates) == 4


def test_restored_trainer_of_v2_continues_to_the_last_bit():
    batches = [v2_batch(seed=seed) for seed in range(4)]
    settings = with_laprop(learning_rate=1e-3, warmup=10)
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


# Whether it learns


def test_overfits_one_batch_of_images():
    """160 updates on eight images: the image loss falls to less than a tenth of the first.

    Micro model, seed 0, learning rate 1e-2.
    """
    layout = ObservationLayout((Image("obs/camera", 16, 16, 3),))
    actions = synthetic.DISCRETE
    settings = with_rates(1e-2, 3e-5, 3e-5, horizon=1)
    trainer = make_trainer(layout, actions, settings, sizes=model_settings("micro"), scramble=False)
    batch = synthetic.batch(layout, actions, rows=2, length=4)
    # Coarse patterns: their average predicts none of them, and finer ones need longer.
    patterns = np.random.default_rng(0).integers(0, 2, (2, 4, 4, 4, 3)) * 255
    batch["obs/camera"] = tf.constant(patterns.repeat(4, axis=2).repeat(4, axis=3), tf.uint8)
    losses = []
    for _ in range(160):
        metrics = run(trainer, batch)
        losses.append(metrics["WORLD_MODEL_L_decoder"])
        assert metrics["WORLD_MODEL_L_dynamics"] >= 1
        assert metrics["WORLD_MODEL_L_representation"] >= 1
    assert losses[-1] < losses[0] / 10
    # The images differ, and it is z that tells them apart: the KL itself exceeds the free bits.
    assert metrics["WORLD_MODEL_KL"] > 1


def bandit(actions, seed):
    """Rows in which each reward is the first component of the action before it."""
    layout, rows, length = ObservationLayout((Vector("obs/x", 1),)), 4, 6
    action = synthetic.action_vectors(actions, rows, length, seed=seed)
    is_first = np.zeros((rows, length), bool)
    is_first[:, 0] = True
    reward = np.pad(action[:, :-1, 0], [(0, 0), (1, 0)])
    no = np.zeros((rows, length), bool)
    batch = synthetic.columns(layout, rows, length) | {
        "obs/x": np.zeros((rows, length, 1), np.float32),
        "reward": reward,
        "action": action,
        "is_first": is_first,
        "is_last": no,
        "is_terminal": no,
    }
    return {name: tf.constant(x) for name, x in batch.items()}


@pytest.mark.parametrize(
    ("actions", "actor_grad"),
    [
        pytest.param(synthetic.DISCRETE, "reinforce", id="discrete-reinforce"),
        pytest.param(synthetic.CONTINUOUS, "dynamics", id="continuous-dynamics"),
        pytest.param(synthetic.CONTINUOUS, "reinforce", id="continuous-reinforce"),
    ],
)
def test_learns_which_action_is_rewarded(actions, actor_grad):
    """300 updates on random actions: the mode becomes the rewarded one. Nano model, seed 0."""
    layout = ObservationLayout((Vector("obs/x", 1),))
    trainer = make_trainer(
        layout, actions, with_rates(1e-2, 3e-3, 3e-3, actor_grad=actor_grad), scramble=False
    )
    for seed in range(300):
        run(trainer, bandit(actions, seed))
    policy = trainer.model.policy
    acted = policy.act(
        {"obs/x": tf.zeros([4, 1])},
        tf.fill([4], True),
        policy.initial_state(4),
        tf.constant([0, 0]),
        tf.constant(True),
    )
    assert np.all(acted.action[:, 0] > 0.9)
