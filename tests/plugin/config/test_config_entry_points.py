"""Options by method and by dict, and under the names of RLlib's former DreamerV3."""

import inspect
import sys

import pytest
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.table import (
    CHECKPOINTING,
    DATA,
    ENVIRONMENT,
    EVALUATION,
    FAULT_TOLERANCE,
    OPTIONS,
    REPORTING,
    SAMPLING,
    TRAINING,
)

FORMER = {
    "use_float16": (False, True),
    "gc_frequency_train_steps": (100, "often"),
}


@pytest.mark.parametrize("separator", ["/", "."])
def test_flattened_keys_are_rejected_with_their_nested_form(separator):
    key = f"replay_buffer_config{separator}capacity"
    nested = r"\{'replay_buffer_config': \{'capacity': \.\.\.\}\}"
    with pytest.raises(ConfigError, match=nested) as error:
        DreamerV3Config().update_from_dict({key: 5000})
    assert key in str(error.value)


def test_unknown_key_in_a_dict_names_the_nearest():
    with pytest.raises(ConfigError, match="training_ratio"):
        DreamerV3Config().update_from_dict({"trainin_ratio": 4})
    # Known to RLlib, of other algorithms.
    with pytest.raises(ConfigError, match=r"'lambda'\. Did you mean 'gae_lambda'"):
        DreamerV3Config().update_from_dict({"lambda": 0.9})


@pytest.mark.parametrize(
    "options",
    [{}, {"variant": "v2"}, {"model_size": "1M", "norm": "layer", "lr": 1e-4}],
    ids=["v1", "v2", "v2 by size"],
)
def test_dict_takes_everything_that_a_config_gives(options):
    config = tiny_config(**options)
    config.validate()
    again = DreamerV3Config().update_from_dict(config.to_dict())
    again.validate()
    assert again.to_dict() == config.to_dict()
    assert again.learning_options() == config.learning_options()
    assert again.model_settings() == config.model_settings()


def test_dict_takes_rllibs_aliases_and_a_partial_replay_config():
    config = DreamerV3Config().update_from_dict(
        {"framework": "tf2", "num_workers": 2, "replay_buffer_config": {"capacity": 5000}}
    )
    assert config.num_env_runners == 2
    assert config.replay_buffer_config == {
        "type": "EpisodeReplayBuffer",
        "capacity": 5000,
        "capacity_bytes": None,
        "storage": "memory",
        "directory": None,
        "sampling": "uniform",
    }


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        ("training", TRAINING),
        ("evaluation", EVALUATION),
        ("reporting", REPORTING),
        ("checkpointing", CHECKPOINTING),
        ("fault_tolerance", FAULT_TOLERANCE),
        ("environment", ENVIRONMENT),
        ("offline_data", DATA),
    ],
)
def test_methods_have_the_options_of_the_table_in_signature_and_documentation(method, rows):
    method = getattr(DreamerV3Config, method)
    assert set(rows) < set(inspect.signature(method).parameters)
    for name, row in rows.items():
        assert f"\n            {name}: {row.sentence.split()[0]}" in method.__doc__


def test_every_option_is_taken_by_its_method_and_from_a_dict():
    values = dict.fromkeys(OPTIONS, "/given") | {"replay_buffer_config": {"capacity": 7}}
    config = DreamerV3Config()
    for method, rows in (
        (config.training, TRAINING),
        (config.evaluation, EVALUATION),
        (config.reporting, REPORTING),
        (config.checkpointing, CHECKPOINTING),
        (config.fault_tolerance, FAULT_TOLERANCE),
        (config.environment, ENVIRONMENT),
        (config.env_runners, SAMPLING),
        (config.offline_data, DATA),
    ):
        method(**{name: values[name] for name in rows})
    from_dict = DreamerV3Config().update_from_dict(values)
    expected = values | {
        "replay_buffer_config": {
            "type": "EpisodeReplayBuffer",
            "capacity": 7,
            "capacity_bytes": None,
            "storage": "memory",
            "directory": None,
            "sampling": "uniform",
        }
    }
    groups = (
        *(TRAINING, EVALUATION, REPORTING, CHECKPOINTING, FAULT_TOLERANCE),
        *(ENVIRONMENT, SAMPLING, DATA),
    )
    assert len(expected) == sum(map(len, groups))
    for config_object in (config, from_dict):
        assert {name: getattr(config_object, name) for name in OPTIONS} == expected


def test_options_of_other_methods_are_refused_by_a_method():
    with pytest.raises(ConfigError, match=r"set it with \.evaluation\(evaluation_action="):
        DreamerV3Config().training(evaluation_action="mode")
    with pytest.raises(
        ConfigError, match=r"Unknown reporting option 'report_frequenzy'.*'report_f"
    ):
        DreamerV3Config().reporting(report_frequenzy=3)


@pytest.mark.parametrize("name", FORMER)
def test_former_options_pass_where_they_ask_for_nothing(name):
    harmless, other = FORMER[name]
    for config in (
        DreamerV3Config().training(**{name: harmless}),
        DreamerV3Config().update_from_dict({name: harmless}),
    ):
        assert not hasattr(config, name)
    for take in (
        lambda options: DreamerV3Config().training(**options),
        DreamerV3Config().update_from_dict,
    ):
        with pytest.raises(ConfigError, match=name) as info:
            take({name: other})
        # A separate message, without a list of all options.
        assert len(str(info.value)) < 250
        assert "Valid" not in str(info.value)


def test_curiosity_of_rllibs_former_dreamer_is_an_option():
    """RLlib's config always has the scale, also without curiosity."""
    config = tiny_config(use_curiosity=False, intrinsic_rewards_scale=0.1)
    config.validate()
    assert config.model_settings().ensemble == 0
    assert config.learning_options().exploration.weights == {"critic": 1.0}
    config = tiny_config(use_curiosity=True, intrinsic_rewards_scale=0.2)
    config.validate()
    assert config.model_settings().ensemble == 8
    weights = config.learning_options().exploration.weights
    assert weights == {"critic": 1.0, "intrinsic_critic": 0.2}
    config.training(explore_only=True, curiosity_models=3).validate()
    assert config.model_settings().ensemble == 3
    assert config.learning_options().exploration.weights["critic"] == 0.0


CALLBACKS = """
from ray.rllib.callbacks.callbacks import RLlibCallback

class Reach(RLlibCallback):
    class Inner(RLlibCallback):
        pass

def on_result(**arguments):
    pass
"""


@pytest.fixture
def callbacks(tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(CALLBACKS)
    monkeypatch.syspath_prepend(tmp_path)
    # Of another test.
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)


@pytest.mark.usefixtures("callbacks")
@pytest.mark.parametrize(
    ("option", "named", "names"),
    [
        ("callbacks", "my_callbacks:Reach", "Reach"),
        ("callbacks_class", ["my_callbacks:Reach.Inner"], "Inner"),
        ("callbacks", "my_callbacks.Reach", "Reach"),
        ("callbacks_on_train_result", "my_callbacks:on_result", "on_result"),
        ("callbacks_on_episode_end", ["my_callbacks:on_result"], "on_result"),
        ("custom_evaluation_function", "my_callbacks:on_result", "on_result"),
        (
            "env_runner_cls",
            "rllib_dreamerv3.plugin.sampling.env_runner:DreamerV3EnvRunner",
            "DreamerV3EnvRunner",
        ),
    ],
)
def test_classes_and_functions_are_named_as_environments_are(option, named, names):
    config = tiny_config().update_from_dict({option: named})
    config.validate()
    found = getattr(config, "callbacks_class" if option == "callbacks" else option)
    assert (found[0] if isinstance(found, list) else found).__name__ == names


@pytest.mark.usefixtures("callbacks")
def test_evaluation_may_have_callbacks_of_its_own():
    config = tiny_config().evaluation(evaluation_config={"callbacks": "my_callbacks:Reach"})
    assert config.get_evaluation_config_object().callbacks_class.__name__ == "Reach"


@pytest.mark.usefixtures("callbacks")
@pytest.mark.parametrize(
    ("option", "named", "says"),
    [
        ("callbacks", "my_callbacks:Reech", "Did you mean 'Reach'"),
        ("callbacks", "my_calbacks:Reach", "'my_calbacks' of 'my_calbacks:Reach' is neither"),
        ("callbacks", "my_callbacks:on_result", "callbacks must be a class"),
        ("env_runner_cls", "my_callbacks.Reach", r"must be a class \(in files module:Class\)"),
    ],
)
def test_names_of_no_class_are_reported(option, named, says):
    with pytest.raises(ConfigError, match=says):
        tiny_config().update_from_dict({option: named}).validate()
