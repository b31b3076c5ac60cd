"""Tune's table of a trial's config."""

from ray.tune.experiment import Trial
from ray.tune.experimental.output import AirVerbosity, TuneTerminalReporter

from rllib_dreamerv3 import DreamerV3Config


def table(name, config, capsys):
    trial = Trial(name, config=config, stub=True)
    TuneTerminalReporter(AirVerbosity.DEFAULT, num_samples=1)._print_config(trial)
    assert trial.config == config
    return capsys.readouterr().out


def test_it_has_the_changed_options_only(capsys):
    config = DreamerV3Config().environment("CartPole-v1").training(gamma=0.9)
    found = table("DreamerV3", config.to_dict() | {"horizon_H": 15}, capsys)
    assert "CartPole-v1" in found
    assert "gamma" in found
    assert "horizon_H" not in found
    assert len(found.splitlines()) < 10


def test_other_algorithms_keep_theirs(capsys):
    assert "horizon_H" in table("another", {"horizon_H": 15}, capsys)
