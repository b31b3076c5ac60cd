"""Experiments as Tune gets them."""

from rllib_cli import tune_run
from rllib_cli.experiments import from_options


def test_each_experiment_of_a_file_has_a_scheduler_of_its_own(monkeypatch):
    # A scheduler keeps the results of its trials, and compares later ones with them.
    given = []
    monkeypatch.setattr("ray.tune.Tuner", lambda *_, tune_config, **__: given.append(tune_config))
    options = tune_run.RunOptions(scheduler="asha")
    for env in ("CartPole-v1", "Acrobot-v1"):
        tune_run._tuner(from_options("DreamerV3", env, {}), {}, options)
    one, other = (each.scheduler for each in given)
    assert type(one) is type(other)
    assert one is not other
