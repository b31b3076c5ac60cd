"""Whether many updates learn what is there to be learned."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf
from trainers import (
    make_trainer,
    run,
    with_rates,
)

from rllib_dreamerv3.options.model_sizes import model_settings
from rllib_dreamerv3.spaces.layout import Image, ObservationLayout, Vector


@pytest.mark.compiled
@pytest.mark.long
def test_overfits_one_batch_of_images():
    """160 updates on eight images: the image loss falls to less than a tenth of the first.

    Micro model, seed 0, learning rate 1e-2.
    """
    layout = ObservationLayout((Image("obs/camera", 16, 16, 3),))
    actions = synthetic.DISCRETE
    settings = with_rates(1e-2, 3e-5, 3e-5, horizon_H=1)
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


@pytest.mark.long
@pytest.mark.compiled
@pytest.mark.parametrize(
    ("actions", "actor_grad"),
    [
        pytest.param(synthetic.DISCRETE, "reinforce", id="discrete-reinforce"),
        pytest.param(synthetic.CONTINUOUS, "dynamics", id="continuous-dynamics"),
        pytest.param(synthetic.CONTINUOUS, "reinforce", id="continuous-reinforce"),
    ],
)
def test_learns_which_action_is_rewarded(actions, actor_grad):
    """450 updates on random actions: the mode becomes the rewarded one. Nano model, seed 0.

    Most seeds need less than 300, but not this one with continuous actions and REINFORCE.
    """
    layout = ObservationLayout((Vector("obs/x", 1),))
    trainer = make_trainer(
        layout, actions, with_rates(1e-2, 3e-3, 3e-3, actor_grad=actor_grad), scramble=False
    )
    for seed in range(450):
        run(trainer, bandit(actions, seed))
    policy = trainer.model.policy
    acted = policy.act(
        {"obs/x": tf.zeros([4, 1])},
        tf.fill([4], True),
        policy.initial_state(4),
        policy.draw_noise(np.random.default_rng(0), 4),
        mode=True,
    )
    assert np.all(acted.action[:, 0] > 0.9)
