"""What each loss trains: the parts that its gradient reaches in the trainer's own passes."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import PARTS

from rllib_dreamerv3.agent.networks.world_model import split_context
from rllib_dreamerv3.agent.trainer import Trainer

VARIANTS = {
    "v1": (synthetic.NANO, synthetic.TRAINER),
    "v2": (synthetic.NANO_V2, synthetic.TRAINER_V2),
}
LAYOUT = synthetic.VECTOR
SEED = tf.constant([0, 0])

both_variants = pytest.mark.parametrize("variant", ["v1", "v2"])


def make_trainer(variant, actions=synthetic.DISCRETE, **changes):
    """A trainer without free bits, below which the KL losses train nothing."""
    sizes, settings = VARIANTS[variant]
    settings = dataclasses.replace(settings, **{"free_nats": 0.0, **changes})
    model = synthetic.model(LAYOUT, actions, sizes)
    synthetic.scramble(model)
    return Trainer(model, LAYOUT, actions, sizes, settings)


def make_batch(variant, actions=synthetic.DISCRETE, length=4):
    """Records ``[B, T, ...]`` and what comes before them, as the variant replays them."""
    if variant == "v1":
        return split_context(synthetic.batch(LAYOUT, actions, length=length))
    return split_context(synthetic.batch_with_context(LAYOUT, actions, length=length))


def part_of(name):
    """The part that a parameter belongs to; the RSSM has four."""
    part, *path = name.split("/")
    return path[0].split("_")[0] if part == "rssm" else part


def reach(tape, loss, trainer):
    """Names of the parts that the loss sends gradient to; the tape is persistent."""
    variables = trainer.model.named_variables()
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return {part_of(name) for name, g in gradients.items() if np.any(tf.convert_to_tensor(g))}


@cache
def passes(variant, actions=synthetic.DISCRETE, length=4, **changes):
    """All losses of the trainer's passes by name, under one tape."""
    trainer = make_trainer(variant, actions, **changes)
    records, context = make_batch(variant, actions, length)
    with tf.GradientTape(persistent=True) as tape:
        noise = trainer._draw_noise(records, SEED)
        output, _, _, losses = trainer._observe(records, context, noise.posterior)
        behaviour = trainer._imagine(output.state.stop_gradient(), records, noise.imagination)
        losses |= behaviour.metrics
        losses["replay critic"] = trainer._replay_critic_loss(
            output.state, records, behaviour.start_returns
        )
    return trainer, tape, losses


# What every loss on records trains besides its own head.
STATE = {"encoder", "sequence", "posterior"}


@both_variants
@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("WORLD_MODEL_L_decoder", STATE | {"decoder"}),
        ("WORLD_MODEL_L_reward", STATE | {"reward"}),
        ("WORLD_MODEL_L_continue", STATE | {"continue"}),
        # The posterior is reached through the z of earlier records.
        ("WORLD_MODEL_L_dynamics", STATE | {"prior"}),
        ("WORLD_MODEL_L_representation", STATE),
        ("WORLD_MODEL_L_total", STATE | {"prior", "decoder", "reward", "continue"}),
        ("WORLD_MODEL_KL", set()),
        ("replay critic", STATE | {"critic"}),
        ("ACTOR_L_total", {"actor"}),
        ("CRITIC_L_neg_logp_of_value_targets", {"critic"}),
        ("CRITIC_L_slow_critic_regularization", {"critic"}),
    ],
)
def test_reach_of_a_loss(variant, loss, parts):
    trainer, tape, losses = passes(variant)
    if variant == "v1" and "sequence" in parts:
        parts = parts | {"initial"}
    assert reach(tape, losses[loss], trainer) == parts


@both_variants
def test_kl_losses_stop_their_targets(variant):
    """With one record a row there are no earlier ones through which gradient could come."""
    trainer = make_trainer(variant)
    records, context = make_batch(variant, length=1)
    with tf.GradientTape(persistent=True) as tape:
        noise = trainer._draw_noise(records, SEED)
        losses = trainer._observe(records, context, noise.posterior).metrics
    initial = {"initial"} if variant == "v1" else set()
    dynamics = {"sequence", "prior"} | initial
    assert reach(tape, losses["WORLD_MODEL_L_dynamics"], trainer) == dynamics
    assert reach(tape, losses["WORLD_MODEL_L_representation"], trainer) == STATE | initial


@both_variants
@pytest.mark.parametrize("actions", [synthetic.CONTINUOUS, synthetic.MIXED], ids=["c", "m"])
def test_reinforce_reaches_only_the_actor(variant, actions):
    trainer, tape, losses = passes(variant, actions, actor_grad="reinforce")
    assert reach(tape, losses["ACTOR_L_total"], trainer) == {"actor"}


@both_variants
def test_dynamics_reaches_the_actor_through_the_model(variant):
    """What the chain rule reaches besides is left alone: see the joint update below."""
    trainer, tape, losses = passes(variant, synthetic.CONTINUOUS, actor_grad="dynamics")
    through = {"sequence", "prior", "reward", "critic"}
    assert reach(tape, losses["ACTOR_L_total"], trainer) == {"actor"} | through


def by_part(trainer):
    """Trained variables of each part."""
    return {name: getattr(trainer.model, name).trainable_variables for name in PARTS}


def separate_gradients(trainer, records, context):
    """Gradients by part, of each loss for itself."""
    own, scale = by_part(trainer), trainer._options.replay_critic_scale
    noise = trainer._draw_noise(records, SEED)
    with tf.GradientTape() as tape:
        output, loss, *_ = trainer._observe(records, context, noise.posterior)
    gradients = {"world_model": tape.gradient(loss, own["world_model"])}
    behaviour = trainer._imagine(output.state.stop_gradient(), records, noise.imagination)
    gradients |= behaviour.gradients
    with tf.GradientTape(persistent=True) as tape:
        output, *_ = trainer._observe(records, context, noise.posterior)
        loss = scale * trainer._replay_critic_loss(output.state, records, behaviour.start_returns)
    for part in ("world_model", "critic"):
        replay = tape.gradient(loss, own[part], unconnected_gradients="zero")
        assert any(np.any(g) for g in replay), part
        gradients[part] = [a + b for a, b in zip(gradients[part], replay, strict=True)]
    return {part: [np.asarray(g) for g in its] for part, its in gradients.items()}


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * np.abs(other).max() + 1e-9)


@pytest.mark.parametrize(
    ("actions", "actor_grad"),
    [(synthetic.DISCRETE, "reinforce"), (synthetic.CONTINUOUS, "dynamics")],
    ids=["reinforce", "dynamics"],
)
def test_joint_update_is_the_sum_of_its_parts_for_adam(actions, actor_grad):
    """A first moment is a tenth of the first gradient, if nothing is clipped."""
    changes = {"optimizer_type": "adam", "actor_grad": actor_grad}
    changes |= {f"{part}_grad_clip_by_global_norm": 1e9 for part in PARTS}
    joint, separate = (make_trainer("v2", actions, **changes) for _ in range(2))
    joint.update(synthetic.batch_with_context(LAYOUT, actions))
    expected = separate_gradients(separate, *make_batch("v2", actions))
    for part in PARTS:
        assert_same([10.0 * m.numpy() for m in joint.optimizers[part].m], expected[part])


def test_joint_update_is_the_sum_of_its_parts_for_laprop():
    """The second moment tells the size of the first gradient, clipped; the first one its sign."""
    joint, separate = (make_trainer("v2") for _ in range(2))
    joint.update(synthetic.batch_with_context(LAYOUT, synthetic.DISCRETE))
    gradients = separate_gradients(separate, *make_batch("v2"))
    expected = []
    for part, variables in by_part(separate).items():
        for gradient, variable in zip(gradients[part], variables, strict=True):
            limit = 0.3 * max(1e-3, np.linalg.norm(variable.numpy()))
            expected.append(gradient / max(1.0, np.linalg.norm(gradient) / limit))
    optimizer = joint.optimizers["all"]
    found = [
        np.sign(m) * np.sqrt(v.numpy() / 1e-3)
        for m, v in zip(optimizer.m, optimizer.v, strict=True)
    ]
    assert_same(found, expected)
