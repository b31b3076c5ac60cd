"""Methods of Algorithm and its config that RLlib documents for its users."""

import pickle

import numpy as np
import pytest
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.plugin.refused_methods import REFUSED_METHODS

REFUSED = [*REFUSED_METHODS]


@pytest.fixture(scope="module")
def algorithm():
    algorithm = tiny_config().env_runners(num_env_runners=1).build_algo()
    algorithm.train()
    yield algorithm
    algorithm.stop()


def steps(algorithm):
    return algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_exist_says_what_to_call(algorithm, name):
    with pytest.raises(TypeError, match=rf"DreamerV3\.{name}\(\) is not supported: .*\.$"):
        getattr(algorithm, name)("x")
    assert len(REFUSED) == 11


def test_evaluate_without_an_environment_says_how_to_have_one(algorithm):
    with pytest.raises(ValueError, match=r"evaluation_interval=.*create_env_on_local_worker"):
        algorithm.evaluate()


@pytest.mark.long
def test_evaluates_on_the_local_env_runner_too():
    config = tiny_config().env_runners(num_env_runners=1, create_env_on_local_worker=True)
    algorithm = config.evaluation(evaluation_duration=2).build_algo()
    assert algorithm.evaluate()["env_runners"]["num_episodes"] == 2
    algorithm.stop()


@pytest.mark.long
def test_env_runners_can_be_added_and_removed(algorithm):
    group = algorithm.env_runner_group
    before = steps(algorithm)
    group.add_workers(1)
    # Rounds of sampling and updates: each samples one step of each env runner.
    for _ in range(40):
        if (after := steps(algorithm)) > before + 4:
            break
    assert after > before + 4
    weights = [
        x.get("default_policy", x)
        for x in group.foreach_env_runner(
            lambda runner: runner.module.get_state(), local_env_runner=False
        )
    ]
    assert len(weights) == 2
    for name, x in weights[0].items():
        np.testing.assert_array_equal(x, weights[1][name])
    prefixes = group.foreach_env_runner(
        lambda runner: runner._streams.prefix, local_env_runner=False
    )
    assert len(set(prefixes)) == 2
    group._worker_manager.remove_actor(1)
    before = steps(algorithm)
    for _ in range(5):
        after = steps(algorithm)
    assert after > before


def test_module_weights_and_state(algorithm):
    weights = algorithm.get_weights()
    algorithm.set_weights(weights)
    with pytest.raises(ValueError, match=r"one key 'default_policy', not \['foo'\]"):
        algorithm.set_weights({"foo": 1})
    part = algorithm.get_state(components="learner_group")
    assert "replay_buffer" not in part
    algorithm.set_state(part)
    assert algorithm.get_module().get_state().keys() <= weights["default_policy"].keys()
    assert algorithm.iteration == algorithm.training_iteration > 0
    assert type(algorithm.get_default_config()) is DreamerV3Config


def test_configs_survive_copies_dicts_and_pickle():
    config = tiny_config(training_ratio=32).environment(env_config={"a": 1})
    for copy in (
        config.copy(),
        DreamerV3Config.from_dict(config.to_dict()),
        pickle.loads(pickle.dumps(config)),
        DreamerV3Config.from_state(config.get_state()),
    ):
        assert type(copy) is DreamerV3Config
        # RLlib's from_state() leaves it there.
        assert {**copy.to_dict(), "class": 0} == {**config.to_dict(), "class": 0}
        assert copy.training_ratio == 32
        copy.validate()
