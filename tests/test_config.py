"""Options: defaults, validation, and errors that say what to do."""

import pytest
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError


def test_defaults_are_those_of_the_paper_and_of_rllibs_former_dreamer():
    config = DreamerV3Config()
    assert config.framework_str == "tf2"
    assert config.enable_rl_module_and_learner
    assert config.enable_env_runner_and_connector_v2
    assert (config.model_size, config.training_ratio) == ("XS", 1024)
    assert (config.batch_size_B, config.batch_length_T, config.horizon_H) == (16, 64, 15)
    assert (config.world_model_lr, config.actor_lr, config.critic_lr) == (1e-4, 3e-5, 3e-5)
    assert (config.gae_lambda, config.entropy_scale) == (0.95, 3e-4)
    assert config.gamma == pytest.approx(1 - 1 / 333)
    assert config.replay_buffer_config["capacity"] == 1_000_000
    config.environment("CartPole-v1").validate()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_size", "xs-large"),
        ("training_ratio", 0),
        ("batch_size_B", 1.5),
        ("batch_length_T", 1),
        ("horizon_H", "15"),
        ("gamma", 1.1),
        ("world_model_lr", -1e-4),
        ("actor_grad", "reparameterise"),
        ("vector_mlp", "wide"),
        ("symlog_obs", "yes"),
        ("train_batch_size", 512),
        ("lr", 1e-3),
    ],
)
def test_value_that_cannot_be_is_refused_by_name(name, value):
    config = tiny_config()
    setattr(config, name, value)
    with pytest.raises(ConfigError, match=name):
        config.validate()


def test_unknown_training_option_names_the_nearest():
    with pytest.raises(ConfigError, match="batch_size_B"):
        DreamerV3Config().training(batch_size_b=4)
    with pytest.raises(ConfigError, match="horizon_H"):
        DreamerV3Config().training(horizon=4)


def test_unknown_key_in_a_dict_names_the_nearest():
    with pytest.raises(ConfigError, match="training_ratio"):
        DreamerV3Config().update_from_dict({"trainin_ratio": 4})


def test_dict_takes_everything_that_a_config_gives():
    config = tiny_config()
    config.validate()
    again = DreamerV3Config().update_from_dict(config.to_dict())
    again.validate()
    assert again.to_dict() == config.to_dict()


def test_dict_takes_rllibs_aliases_and_a_partial_replay_config():
    config = DreamerV3Config().update_from_dict(
        {"framework": "tf2", "num_workers": 2, "replay_buffer_config": {"capacity": 5000}}
    )
    assert config.num_env_runners == 2
    assert config.replay_buffer_config == {
        "type": "EpisodeReplayBuffer",
        "capacity": 5000,
        "capacity_bytes": None,
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replay_buffer_config": {"capacity": 10}}, "capacity"),
        ({"replay_buffer_config": {"capcity": 10_000}}, "capacity"),
        ({"replay_buffer_config": {"type": "ReplayBuffer"}}, "EpisodeReplayBuffer"),
    ],
)
def test_replay_settings_that_cannot_work(options, words):
    with pytest.raises(ConfigError, match=words):
        tiny_config(**options).validate()


def test_remote_learners_are_refused_with_what_to_set():
    with pytest.raises(ConfigError, match="num_learners: 0"):
        tiny_config(batch_size_B=4).learners(num_learners=2).validate()
    with pytest.raises(ConfigError, match="divisible"):
        tiny_config(batch_size_B=3).learners(num_learners=2).validate()


def test_other_frameworks_are_refused():
    with pytest.raises(ConfigError, match="tf2"):
        tiny_config().framework("torch").validate()


@pytest.mark.parametrize(
    ("env", "near"),
    [("CartPoll-v1", "CartPole-v1"), ("ale_py:ALE/Pongg-v5", "ale_py:ALE/Pong-v5")],
)
def test_misspelt_environment_names_the_nearest(env, near):
    with pytest.raises(ConfigError, match=near):
        tiny_config(env).validate()


def test_unknown_atari_option_names_the_nearest():
    config = tiny_config("ale_py:ALE/Pong-v5").environment(env_config={"frame_skip": 2})
    with pytest.raises(ConfigError, match="frameskip"):
        config.validate()


def test_learning_rate_schedule_starts_with_its_first_rate():
    config = tiny_config(actor_lr=[[0, 1e-3], [1000, 1e-4]])
    config.validate()
    assert config.trainer_settings().actor.learning_rate == 1e-3
