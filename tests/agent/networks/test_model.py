import numpy as np
import pytest
import synthetic

from rllib_dreamerv3.agent.networks.model import PolicyModel, get_weights, set_weights

NANO = synthetic.NANO


def test_weights_depend_on_the_seed_alone():
    first, again, other = (
        get_weights(synthetic.model(synthetic.EVERYTHING, synthetic.MIXED, seed=seed))
        for seed in (0, 0, 1)
    )
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    kernels = [name for name in first if name.endswith("kernel") and np.any(first[name])]
    assert kernels
    assert not any(np.array_equal(first[name], other[name]) for name in kernels)


def test_slow_critic_starts_as_a_copy():
    weights = get_weights(synthetic.model(synthetic.VECTOR, synthetic.DISCRETE))
    slow = {name: x for name, x in weights.items() if name.startswith("slow_critic/")}
    assert slow
    for name, value in slow.items():
        np.testing.assert_array_equal(value, weights[name.removeprefix("slow_")])


def test_weights_carry_over():
    source, target = (
        synthetic.model(synthetic.EVERYTHING, synthetic.MIXED, seed=seed) for seed in (0, 1)
    )
    synthetic.scramble(source)
    set_weights(target, get_weights(source))
    for name, value in get_weights(source).items():
        np.testing.assert_array_equal(value, get_weights(target)[name])


def test_policy_needs_a_part_of_the_model_only():
    model = synthetic.model(synthetic.EVERYTHING, synthetic.MIXED)
    policy = PolicyModel.create(synthetic.EVERYTHING, synthetic.MIXED, NANO)
    names = policy.named_variables().keys()
    assert names < model.named_variables().keys()
    assert {name.split("/")[0] for name in names} == {"encoder", "rssm", "actor"}


def test_weights_of_another_model_are_refused_and_nothing_changes():
    policy = PolicyModel.create(synthetic.VECTOR, synthetic.DISCRETE, NANO, seed=0)
    before = get_weights(policy)
    other = get_weights(PolicyModel.create(synthetic.VECTOR, synthetic.MIXED, NANO, seed=1))
    with pytest.raises(ValueError, match=r"have shape .* but the model needs"):
        set_weights(policy, other)
    double = {name: value.astype(np.float64) for name, value in before.items()}
    with pytest.raises(ValueError, match="have dtype float64, but the model needs float32"):
        set_weights(policy, double)
    lacking = get_weights(PolicyModel.create(synthetic.VECTOR, synthetic.DISCRETE, NANO, seed=1))
    missing = lacking.popitem()[0]
    with pytest.raises(ValueError, match=f"lack '{missing}'"):
        set_weights(policy, lacking)
    for name, value in get_weights(policy).items():
        np.testing.assert_array_equal(value, before[name])
