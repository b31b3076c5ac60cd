"""Networks that do not learn: ``train_actor=False``, ``train_critic=False``, ``freeze_parts``."""

import dataclasses

import numpy as np
import pytest
import synthetic
from trainers import V1, V2, changed, make_trainer, make_v2, v2_batch

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.errors import ConfigError

PARTS = {"world_model", "actor", "critic", "slow_critic"}
FROZEN = {
    "actor": {"train_actor": False},
    "critic": {"train_critic": False},
    "both": {"train_actor": False, "train_critic": False},
}
STAY = {"actor": {"actor"}, "critic": {"critic", "slow_critic"}}
STAY["both"] = STAY["actor"] | STAY["critic"]


def v1_discrete(**options):
    """Actor by REINFORCE, parts in turn, three Adams."""
    trainer = make_trainer(synthetic.VECTOR, synthetic.DISCRETE, dataclasses.replace(V1, **options))
    return trainer, synthetic.batch(synthetic.VECTOR, synthetic.DISCRETE)


def v1_continuous(**options):
    """Actor through the dynamics."""
    trainer = make_trainer(
        synthetic.VECTOR, synthetic.CONTINUOUS, dataclasses.replace(V1, **options)
    )
    return trainer, synthetic.batch(synthetic.VECTOR, synthetic.CONTINUOUS)


def v1_with_replay_critic(**options):
    """Three Adams, but all gradients together."""
    return v1_discrete(replay_critic_scale=0.3, **options)


def v2(**options):
    """One LaProp for all."""
    return make_v2(dataclasses.replace(V2, **options)), v2_batch()


def v2_without_replay_critic(**options):
    """One LaProp for all, and no loss that reaches both world model and critic."""
    return v2(replay_critic_scale=0.0, **options)


CASES = [v1_discrete, v1_continuous, v1_with_replay_critic, v2, v2_without_replay_critic]


def moments(trainer):
    """Both moments of every variable."""
    return {key: x for key, x in trainer.get_state().items() if "/m/" in key or "/v/" in key}


def part_of(name):
    part = name.split("/")[0]
    return part if part in PARTS else "world_model"


def parts_of(names):
    return {part_of(name) for name in names}


@pytest.mark.parametrize(
    ("make", "frozen"),
    [(make, "both") for make in CASES]
    + [(make, part) for make in (v1_continuous, v2) for part in ("actor", "critic")],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_frozen_parts_stay_bit_for_bit_and_the_others_learn(make, frozen):
    trainer, batch = make(**FROZEN[frozen])
    before = get_weights(trainer.model)
    for _ in range(3):
        metrics = trainer.update(batch).metrics
    after = get_weights(trainer.model)
    learned = {name for name in before if part_of(name) not in STAY[frozen]}
    assert changed(before, after) == learned
    assert parts_of(learned) == PARTS - STAY[frozen]
    # Of what does not learn no gradient is computed, whose norm would be reported.
    norms = {name for name in metrics if name.endswith("_gradients_global_norm")}
    learning = PARTS - STAY[frozen] - {"slow_critic"}
    assert norms == {f"{part.upper()}_gradients_global_norm" for part in learning}
    # All losses are reported as ever.
    assert {"ACTOR_L_total", "CRITIC_L_total", "WORLD_MODEL_L_total"} <= metrics.keys()


@pytest.mark.parametrize("make", [v1_continuous, v2], ids=lambda make: make.__name__)
def test_freezing_one_part_changes_no_step_of_the_others(make):
    weights = {}
    for name, options in {"none": {}, **FROZEN}.items():
        trainer, batch = make(**options)
        trainer.update(batch)
        weights[name] = get_weights(trainer.model)
    for frozen in FROZEN:
        different = changed(weights["none"], weights[frozen])
        assert parts_of(different) == STAY[frozen], frozen


@pytest.mark.parametrize("make", [v1_discrete, v2], ids=lambda make: make.__name__)
def test_networks_of_the_world_model_stay_bit_for_bit(make):
    trainer, batch = make(freeze_parts="encoder, rssm")
    before, unmoved = get_weights(trainer.model), moments(trainer)
    for _ in range(2):
        trainer.update(batch)
    different = changed(before, get_weights(trainer.model))
    first_parts = {name.partition("/")[0].removeprefix("slow_") for name in before}
    assert {name.partition("/")[0].removeprefix("slow_") for name in different} == first_parts - {
        "encoder",
        "rssm",
    }
    stayed = len(unmoved) - len(changed(unmoved, moments(trainer)))
    assert stayed == 2 * sum(name.startswith(("encoder/", "rssm/")) for name in before)
    everything = "encoder,rssm,decoder,reward,continue"
    trainer, batch = make(freeze_parts=everything)
    before = get_weights(trainer.model)
    metrics = trainer.update(batch).metrics
    assert parts_of(changed(before, get_weights(trainer.model))) == PARTS - {"world_model"}
    assert "WORLD_MODEL_gradients_global_norm" not in metrics
    with pytest.raises(ConfigError, match="this model has no network mask"):
        make(freeze_parts="mask")


@pytest.mark.compiled
def test_a_frozen_part_costs_no_backward_pass():
    def operations(**options):
        trainer, batch = v1_continuous(**options)
        return len(trainer.update.get_concrete_function(batch).graph.get_operations())

    everything = operations()
    # Back through all of imagination; back through one network.
    assert operations(train_actor=False) < 0.9 * everything
    assert operations(train_critic=False) < 0.98 * everything


@pytest.mark.parametrize("make", [v1_discrete, v2], ids=lambda make: make.__name__)
def test_a_run_may_freeze_what_another_has_trained_and_the_other_way_round(make):
    """Optimizers of frozen parts are saved as they are, their moments untouched."""
    trained, batch = make()
    trained.update(batch)
    frozen, _ = make(**FROZEN["both"])
    frozen.set_state(trained.get_state())
    before = moments(frozen)
    frozen.update(batch)
    after = moments(frozen)
    different = changed(before, after)
    assert 0 < len(different) < len(before)
    trained.set_state(frozen.get_state())
    for name, x in moments(trained).items():
        np.testing.assert_array_equal(x, after[name])
    weights = get_weights(trained.model)
    trained.update(batch)
    assert parts_of(changed(weights, get_weights(trained.model))) == PARTS
