"""The example of exploration is valid, and its world model receives numbers of similar scale."""

from pathlib import Path

import numpy as np

from rllib_cli.experiment_files import from_file
from rllib_dreamerv3 import DreamerV3Config

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_file_is_valid(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    (experiment,) = from_file(str(EXAMPLES / "mountain_car.yaml"))
    config = DreamerV3Config().update_from_dict(experiment.config)
    config.validate()
    assert config.use_curiosity


def test_both_numbers_vary_alike(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from mountain_car import scaled

    env = scaled()
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    seen, ended = [observation], False
    while not ended:
        observation, reward, terminated, ended, _ = env.step(env.action_space.sample())
        assert reward == -1.0
        assert not terminated
        seen.append(observation)
    ranges = np.ptp(seen, axis=0)
    assert ranges.min() > 0.5
    assert ranges.max() < 4 * ranges.min()
