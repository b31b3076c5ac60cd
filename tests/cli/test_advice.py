"""What is said of a run once."""

from pathlib import Path

import pytest

from rllib_cli.advice import CPU_SETTINGS, Advice, long_duration, smaller_size
from rllib_cli.experiment_files import from_file
from rllib_cli.progress import TrialProgress

STOP = {"num_env_steps_sampled_lifetime": 100_000}


def results(count, seconds_an_update, **values):
    for i in range(1, count + 1):
        yield {
            "num_env_steps_sampled_lifetime": 1000 + i,
            "num_grad_updates_lifetime": i,
            "time_total_s": i * seconds_an_update,
            **values,
        }


def said(rows, stop=STOP):
    advice, trial = Advice(), TrialProgress("00000")
    texts = []
    for row in rows:
        trial.update(row)
        texts += advice.take("00000", row, trial, stop)
    return texts


def test_the_duration_of_long_runs_is_reported_once():
    (text,) = said(results(30, seconds_an_update=4.0))
    assert text.startswith("4 s an update: num_env_steps_sampled_lifetime 100,000 is reached in ")
    assert "about 4.6 days on this machine" in text
    assert text.endswith("rllib train file tuned_examples/first_look.yaml")


def test_a_few_slow_updates_say_nothing_yet():
    assert said(results(2, seconds_an_update=4.0)) == []


def test_the_first_look_is_not_recommended_to_itself():
    (text,) = said(results(30, seconds_an_update=4.0, config={"env": "Catch-v0"}))
    assert text.endswith("on this machine.")


def test_short_runs_are_not():
    assert said(results(30, seconds_an_update=0.001)) == []
    assert said(results(30, seconds_an_update=4.0), stop={}) == []


def test_a_smaller_size_is_suggested_where_none_is_set_and_no_gpu_is_used():
    assert smaller_size({}).startswith("model_size is not set, so it is XS. On two CPU cores")
    assert """--config '{"model_size": "1M"}'""" in smaller_size({"gamma": 0.9})
    assert smaller_size({"model_size": "XS"}) is None
    assert smaller_size({"num_gpus_per_learner": 1}) is None


SMALL = {"model_size": "1M", "lr": None}


def lines_of(config, device="CPU"):
    return said(results(3, seconds_an_update=0.001, learner_device=device, config=config))


def test_settings_for_cpus_are_named_once_where_a_small_model_has_default_rates():
    (text,) = lines_of(SMALL)
    for words in ("lr 3e-4", "lr_warmup 300", "batch_size_B 8", "tuned_examples/dmc_cpu.yaml"):
        assert words in text
    assert "\n" not in text
    v1 = {"model_size": "XXS", "world_model_lr": 1e-4, "actor_lr": 3e-5, "critic_lr": 3e-5}
    (text,) = lines_of(v1)
    assert "world_model_lr 4e-4" in text
    assert "tuned_examples/cartpole.yaml" in text
    for size in ("XXS", "XS"):
        (text,) = lines_of({"model_size": size, "variant": "v2"})
        assert "lr 3e-4" in text
    assert lines_of(v1 | {"actor_lr": 1e-4}) == []
    assert lines_of(v1 | {"model_size": "XS"}) == []
    assert lines_of(SMALL | {"lr": 3e-4}) == []
    assert lines_of(SMALL | {"model_size": "12M"}) == []
    assert lines_of(SMALL, device="GPU") == []


@pytest.mark.parametrize("optimizer", CPU_SETTINGS)
def test_settings_for_cpus_are_those_of_the_file(optimizer):
    _, settings, file = CPU_SETTINGS[optimizer]
    (experiment,) = from_file(str(Path(__file__).parents[2] / file))
    for setting in settings.split(", "):
        name, value = setting.split()
        assert experiment.config[name] == float(value), name


def test_findings_are_reported_once():
    rewards = {"episode_return_min": 1e-6, "episode_return_max": 1e-5, "episode_len_mean": 20.0}
    texts = said(results(40, seconds_an_update=0.001, env_runners=rewards))
    assert len(texts) == 1
    assert texts[0].startswith("00000: Rewards too small\n")


def test_long_duration_units():
    assert [long_duration(x) for x in (0.0123, 3, 180, 10_000, 400_000)] == [
        "12.3 ms",
        "3.0 s",
        "3.0 minutes",
        "2.8 hours",
        "4.6 days",
    ]
