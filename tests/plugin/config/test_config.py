"""Options: defaults, validation, and errors that say what to do."""

import numpy as np
import pytest
from episodes import NUMBERS, episode
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.data.rllib_episodes import EpisodeWriter
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.table import (
    OPTIONS,
    LearningOptions,
)
from rllib_dreamerv3.plugin.config.validation import _warn_of_layers

CHOICES = {name: x.choices for name, x in OPTIONS.items() if {str} == set(map(type, x.choices))}


VARIANT_DEFAULTS = {
    variant: {name: row.default(variant) for name, row in OPTIONS.items() if row.v1 != row.v2}
    for variant in ("v1", "v2")
}


def test_defaults_are_those_of_the_paper_and_of_rllibs_former_dreamer():
    config = DreamerV3Config()
    assert config.framework_str == "tf2"
    assert config.enable_rl_module_and_learner
    assert config.enable_env_runner_and_connector_v2
    assert (config.model_size, config.training_ratio) == ("XS", 1024)
    assert (config.batch_size_B, config.batch_length_T, config.horizon_H) == (16, 64, 15)
    rates = [config.resolved(f"{part}_lr") for part in ("world_model", "actor", "critic")]
    assert rates == [1e-4, 3e-5, 3e-5]
    assert (config.gae_lambda, config.entropy_scale) == (0.95, 3e-4)
    assert config.gamma == pytest.approx(1 - 1 / 333)
    assert config.replay_buffer_options()["capacity"] == 1_000_000
    config.environment("CartPole-v1").validate()
    # The trainer's defaults for v1.
    assert config.learning_options() == LearningOptions()


def test_size_of_the_2025_revision_brings_its_defaults():
    config = DreamerV3Config().environment("CartPole-v1").training(model_size="12M")
    config.validate()
    assert config.resolved("replay_context") == 1
    assert config.replay_buffer_options()["capacity"] == 5_000_000
    assert (config.resolved("online_queue"), config.resolved("random_prefill")) == (True, False)
    assert (config.model_settings().deterministic, config.model_settings().norm) == (2048, "rms")
    options = config.learning_options()
    assert options == LearningOptions.of_variant("v2")
    assert options.learning_rates == {"all": 4e-5}
    assert (options.lr_warmup, options.adaptive_grad_clip) == (1000, 0.3)
    assert options.continue_label == pytest.approx(1 - 1 / 333)
    assert options.imagination_gamma == 1


@pytest.mark.parametrize(("size", "own"), [("nano", "v1"), ("1M", "v2")])
def test_variant_and_options_override_each_other_in_turn(size, own):
    """An option that is set counts, else the variant, else that of the model size."""
    names = set(VARIANT_DEFAULTS["v1"])
    config = tiny_config(model_size=size)
    assert {name: config.resolved(name) for name in names} == {
        name: VARIANT_DEFAULTS[own][name] for name in names
    }
    for variant in ("v1", "v2"):
        config.training(variant=variant)
        config.validate()
        for name in names:
            assert config.resolved(name) == VARIANT_DEFAULTS[variant][name], name
        other = VARIANT_DEFAULTS["v1" if variant == "v2" else "v2"]
        for name in names:
            config.training(**{name: other[name]})
            assert config.resolved(name) == other[name], name
            assert getattr(config.copy(), name) == other[name]
            config.training(**{name: None})
            assert config.resolved(name) == VARIANT_DEFAULTS[variant][name], name


def test_options_reach_networks_and_trainer():
    config = tiny_config(
        variant="v2",
        norm="layer",
        cnn="strided",
        imagined_continues="mode",
        discount_in_continue=False,
        replay_critic_scale=0.1,
        dynamics_loss_scale=0.25,
        lr=[[0, 1e-3], [100, 1e-4]],
        lr_warmup=7,
        adaptive_grad_clip=0.2,
        gamma=0.9,
    )
    config.validate()
    networks, trainer = config.model_settings(), config.learning_options()
    assert (networks.norm, networks.cnn, networks.sequence_model) == (
        "layer",
        "strided",
        "block_gru",
    )
    assert trainer.imagined_continues == "mode"
    assert (trainer.continue_label, trainer.imagination_gamma) == (1.0, 0.9)
    assert (trainer.replay_critic_scale, trainer.dynamics_loss_scale) == (0.1, 0.25)
    assert trainer.first_rates == {"all": 1e-3}
    assert (trainer.adaptive_grad_clip, trainer.lr_warmup) == (0.2, 7)


@pytest.mark.parametrize("name", CHOICES)
def test_choice_that_does_not_exist_is_refused_with_those_that_do(name):
    config = tiny_config()
    setattr(config, name, "other")
    with pytest.raises(ConfigError, match=f"{name} must be .*'{CHOICES[name][-1]}'.*'other'"):
        config.validate()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 1e-4}, "lr has no effect.*world_model_lr.*'laprop'"),
        # Its default says so just as well: it was set.
        ({"lr": 4e-5}, "lr has no effect"),
        ({"lr_warmup": 10}, "lr_warmup has no effect"),
        ({"variant": "v2", "optimizer_type": "adam", "lr": 1e-4}, "lr has no effect"),
        (
            {"variant": "v2", "world_model_lr": 1e-3},
            "world_model_lr has no effect.*lr, lr_warmup, adaptive_grad_clip.*'adam'",
        ),
        ({"model_size": "1M", "actor_lr": 1e-3}, "actor_lr has no effect"),
        ({"optimizer_type": "laprop", "critic_grad_clip_by_global_norm": 1.0}, "critic_grad_clip"),
        ({"discount_in_continue": True}, "nothing would be discounted"),
        ({"imag_last": 65}, "imag_last must be at most batch_length_T"),
        ({"variant": "v2", "imag_last": 1}, "imag_last must be 0 or at least 2"),
        ({"variant": "v2", "imagined_continues": "mode"}, "nothing would be discounted"),
        ({"explore_only": True}, "explore_only has no effect with use_curiosity.*use_curiosity: T"),
        ({"curiosity_models": 4}, "curiosity_models has no effect with use_curiosity"),
        ({"use_curiosity": True, "curiosity_models": 1}, "curiosity_models must be .*at least 2"),
        ({"use_curiosity": True, "intrinsic_rewards_scale": 0}, "must be a number above 0"),
        ({"use_curiosity": True, "train_actor": False}, "only what the actor learns"),
    ],
)
def test_contradictions_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        tiny_config(**options).validate()


BESIDE = {"sampling": "asynchronous", "num_env_runners": 2}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampling": "asynchronous"}, "needs remote env runners.*num_env_runners"),
        ({"sampling": "asynchronus"}, "Did you mean 'asynchronous'"),
        ({"broadcast_interval": 2}, "broadcast_interval has no effect with sampling"),
        ({"max_records_ahead": 100}, "max_records_ahead has no effect.*asynchronous"),
        ({"max_records_ahead": None}, "max_records_ahead has no effect.*asynchronous"),
        ({**BESIDE, "batch_mode": "complete_episodes"}, "complete_episodes.*None"),
        (
            {**BESIDE, "rollout_fragment_length": 8, "num_envs_per_env_runner": 3}
            | {"max_records_ahead": 47},
            "at least 48.*not 47",
        ),
        ({**BESIDE, "max_records_ahead": 0}, "max_records_ahead must be a whole number.*'auto'"),
        ({**BESIDE, "broadcast_interval": 0}, "broadcast_interval must be"),
    ],
)
def test_what_contradicts_the_way_of_sampling_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        tiny_config().env_runners(**options).validate()


def test_exact_resume_is_refused_where_the_clock_decides():
    config = tiny_config().env_runners(**BESIDE).checkpointing(exact_resume=True)
    with pytest.raises(ConfigError, match=r"exact_resume.*timing"):
        config.validate()


def test_env_runners_may_be_ahead_by_twice_what_they_are_asked_for():
    config = tiny_config().env_runners(**BESIDE, rollout_fragment_length=5)
    config.env_runners(num_envs_per_env_runner=3, max_requests_in_flight_per_env_runner=4)
    config.validate()
    assert config.most_records_ahead == 2 * 4 * 2 * 3 * 5
    config.env_runners(max_records_ahead=None, batch_mode="complete_episodes").validate()
    assert config.most_records_ahead == float("inf")
    assert config.resolved("broadcast_interval") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer_type": "laprop", "lr": 1e-4},
        {"variant": "v2", "optimizer_type": "adam", "world_model_lr": 1e-3},
        {"discount_in_continue": True, "imagined_continues": "probability"},
        {"imagined_continues": "probability"},
        {"variant": "v2", "imagined_continues": "mode", "discount_in_continue": False},
        {"model_size": "1M", "variant": "v1"},
        {"replay_context": 1, "online_queue": True, "random_prefill": True},
    ],
)
def test_mixtures_of_the_variants_are_allowed(options):
    config = tiny_config(**options)
    config.validate()
    config.learning_options()


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
        ("replay_context", 2),
        ("replay_context", True),
        ("online_queue", 1),
        ("hidden_bias", "yes"),
        ("random_prefill", 0),
        ("replay_critic_scale", -0.1),
        ("actor_output_scale", -1),
        ("adaptive_grad_clip", 0),
        ("lr_warmup", 0.5),
        ("image_size", 0),
        ("free_nats", -1.0),
        ("free_nats", float("inf")),
        ("entropy_scale", float("nan")),
        ("unimix", 1.5),
        ("actor_unimix", -0.1),
        ("horizon_H", 0),
        ("horizon_H", True),
        ("training_ratio", float("inf")),
        ("num_steps_sampled_before_learning_starts", -1),
        ("report_frequency", 0),
        ("report_dream_data", 1),
        ("evaluation_action", "best"),
        ("world_model_grad_clip_by_global_norm", float("inf")),
        ("world_model_lr", float("nan")),
        ("world_model_lr", []),
        ("world_model_lr", [[0, 1e-4]]),
        ("world_model_lr", [[0, 1e-4], [100, -1e-4]]),
        ("model_size", None),
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replay_buffer_config": {"capacity": 10}}, "capacity"),
        # A row of 8 and 32 before updates begin; with a context record a row is one longer.
        ({"replay_buffer_config": {"capacity": 39}}, "at least 40"),
        ({"replay_buffer_config": {"capacity": 40}, "replay_context": 1}, "at least 41"),
        ({"replay_buffer_config": {"capacity": "10000"}}, "replay_buffer_config capacity must"),
        ({"replay_buffer_config": {"capacity_bytes": 0}}, "replay_buffer_config capacity_bytes"),
        ({"replay_buffer_config": {"capacity_bytes": 479}}, "capacity_bytes must be at least 480"),
        ({"replay_buffer_config": {"capcity": 10_000}}, "capacity"),
        ({"replay_buffer_config": {"type": "ReplayBuffer"}}, "EpisodeReplayBuffer"),
    ],
)
def test_replay_settings_that_cannot_work(options, words):
    with pytest.raises(ConfigError, match=words):
        tiny_config(**options).validate()


@pytest.mark.parametrize(
    ("rows", "learners", "nearest"), [(16, 3, "15 and 18"), (2, 4, "valid: 4"), (9, 2, "8 and 10")]
)
def test_a_batch_that_learners_cannot_divide_is_refused(rows, learners, nearest):
    config = tiny_config(batch_size_B=rows).learners(num_learners=learners)
    with pytest.raises(ConfigError, match=f"num_learners: {learners}.*{nearest}"):
        config.validate()


@pytest.mark.parametrize(
    ("data", "runners", "words"),
    [
        ({"pretrain_updates": 5}, {}, "pretrain_updates needs recorded data"),
        ({"input_": "x"}, {"num_env_runners": 2}, "num_env_runners: 2 has no effect"),
        ({"input_": "x", "output": "y"}, {}, "output records what is sampled"),
    ],
    ids=["no data", "env runners", "nothing to record"],
)
def test_contradictory_options_of_recorded_data_are_refused(data, runners, words):
    config = tiny_config().offline_data(**data).env_runners(**runners)
    with pytest.raises(ConfigError, match=words):
        config.validate()


@pytest.mark.parametrize("place", ["s3://bucket/episodes", "file:///episodes"])
def test_uris_of_recorded_data_are_refused(place):
    for data in ({"output": place}, {"input_": ["x", place]}):
        with pytest.raises(ConfigError, match=f"{next(iter(data))}: '{place}' is a URI"):
            tiny_config().offline_data(**data).validate()


def test_a_share_of_recorded_data_needs_some():
    replay = {"capacity": 1000, "sampling": {"recorded": 0.5, "sampled": 0.5}}
    config = tiny_config(replay_buffer_config=replay)
    with pytest.raises(ConfigError, match=r"sampling: 'recorded' in .* needs recorded data"):
        config.validate()
    config.offline_data(input_="x", pretrain_updates=5).validate()


def test_without_an_environment_nothing_can_be_sampled_or_evaluated():
    data = tiny_config(None).offline_data(input_="x", pretrain_updates=5)
    with pytest.raises(ConfigError, match="pretrain_updates needs an environment"):
        data.validate()
    evaluated = tiny_config(None).offline_data(input_="x").evaluation(evaluation_interval=1)
    with pytest.raises(ConfigError, match="evaluation_interval needs an environment"):
        evaluated.validate()


def test_frozen_networks_are_checked():
    tiny_config(freeze_parts="encoder, rssm").validate()
    for wrong, words in {
        "encoder,rsm": "Did you mean 'rssm'",
        "actor": "Set train_actor: false",
    }.items():
        with pytest.raises(ConfigError, match=words):
            tiny_config(freeze_parts=wrong).validate()


def test_parts_to_start_with_are_checked():
    config = tiny_config().checkpointing(start_checkpoint="x", start_parts="rssm,decoder")
    config.validate()
    assert config.parts_to_start_with == ["rssm", "decoder"]
    with pytest.raises(ConfigError, match="Did you mean 'decoder'"):
        tiny_config().checkpointing(start_checkpoint="x", start_parts="decodr").validate()
    with pytest.raises(ConfigError, match="start_parts needs start_checkpoint"):
        tiny_config().checkpointing(start_parts="rssm").validate()


def test_spaces_come_from_the_data_or_must_be_given(tmp_path):
    writer = EpisodeWriter(tmp_path / "with", NUMBERS, None)
    writer.write([episode()])
    config = tiny_config(None).offline_data(input_=[str(tmp_path / "with")])
    config.validate()
    assert (config.observation_space, config.action_space) == NUMBERS
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "a.npz").write_bytes(b"")
    config = tiny_config(None).offline_data(input_=str(tmp_path / "without"))
    with pytest.raises(ConfigError, match="does not have the spaces"):
        config.validate()


def test_paths_of_data_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny_config().offline_data(input_=["a", "minari:b/c-v0"], output="d")
    assert config.input_ == [str(tmp_path / "a"), "minari:b/c-v0"]
    assert config.output == str(tmp_path / "d")
    assert tiny_config().offline_data(input_="sampler").recorded_data == []


def test_relative_paths_are_those_where_the_run_was_started(tmp_path, monkeypatch):
    """Tune's trials have other working directories, and pass options as a dict."""
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", "/started/here")
    monkeypatch.chdir(tmp_path)
    config = tiny_config().update_from_dict(
        {
            "input_": "a",
            "output": "../b",
            "start_checkpoint": "c",
            "replay_buffer_config": {"storage": "disk", "directory": "d", "capacity": 100},
        }
    )
    assert config.input_ == "/started/here/a"
    assert config.output == "/started/b"
    assert config.start_checkpoint == "/started/here/c"
    assert config.replay_buffer_config["directory"] == "/started/here/d"
    for name in ("pretrained:catch", "hf://me/mine", "s3://bucket/run"):
        assert config.checkpointing(start_checkpoint=name).start_checkpoint == name


def test_custom_resources_of_the_learner_in_the_main_process_are_refused():
    config = tiny_config().learners(custom_resources_per_learner={"fast": 1})
    with pytest.raises(ConfigError, match="custom_resources_for_main_process instead"):
        config.validate()
    config.learners(num_learners=1).validate()


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
    assert config.learning_options().first_rates["actor"] == 1e-3


def test_each_environment_needs_room_for_a_sequence_before_learning_starts():
    config = tiny_config(replay_buffer_config={"capacity": 40})
    config.validate()
    config.env_runners(num_env_runners=2, num_envs_per_env_runner=2)
    with pytest.raises(ConfigError, match="at least 64 records"):
        config.validate()


def test_capacity_in_bytes_is_checked_again_with_the_size_of_a_real_record():
    """One of CartPole has 31 bytes; 40 of them are needed."""
    config = tiny_config(replay_buffer_config={"capacity_bytes": 40 * 31 - 1})
    algorithm = config.build_algo()
    with pytest.raises(ValueError, match=r"capacity_bytes of 1239 .*at least 1240 bytes"):
        algorithm.train()
    algorithm.stop()


def test_numbers_of_numpy_are_numbers():
    """Tune draws some of them."""
    config = tiny_config(horizon_H=np.int64(4), entropy_scale=np.float32(1e-3))
    config.validate()


def test_resolving_an_unknown_option_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'free_nat'.*'free_nats'"):
        DreamerV3Config().resolved("free_nat")


def test_rates_of_adam_are_numbers_to_reckon_with():
    """As RLlib's examples do; and they stand for nothing where LaProp is the optimizer."""
    config = DreamerV3Config()
    assert (config.world_model_lr, config.actor_lr, config.critic_lr) == (1e-4, 3e-5, 3e-5)
    tiny_config(model_size="1M", world_model_lr=config.world_model_lr).validate()
    # Configs of before hold None.
    config = tiny_config(world_model_lr=None)
    config.validate()
    assert config.learning_options().first_rates["world_model"] == 1e-4


def test_float16_is_rejected_in_favour_of_auto():
    with pytest.raises(ConfigError, match='compute_dtype: "auto"'):
        DreamerV3Config().training(use_float16=True)


def test_v2_with_a_size_of_v1_is_said_once_to_be_no_published_network(caplog):
    _warn_of_layers.cache_clear()
    config = tiny_config(variant="v2", model_size="XXS")
    config.validate()
    config.validate()
    (warning,) = [x.getMessage() for x in caplog.records if "published" in x.getMessage()]
    assert "'XXS'" in warning
    for words in ("prior_layers 1 instead of 2", "actor_layers 1 instead of 3"):
        assert words in warning
    assert "reward_layers" not in warning


@pytest.mark.parametrize("options", [{"model_size": "1M"}, {"model_size": "XXS"}])
def test_published_networks_need_no_warning(options, caplog):
    _warn_of_layers.cache_clear()
    tiny_config(**options).validate()
    assert "published" not in caplog.text
