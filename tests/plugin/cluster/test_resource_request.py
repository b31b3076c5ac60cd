"""What options change in the resources that Tune is asked for."""

import pytest

from rllib_dreamerv3 import DreamerV3, DreamerV3Config

# One env runner for training, one for evaluation.
ONE_EACH = {"num_env_runners": 1, "evaluation_num_env_runners": 1, "evaluation_interval": 1}


def request(**options):
    config = DreamerV3Config().environment("CartPole-v1").update_from_dict(ONE_EACH | options)
    return DreamerV3.default_resource_request(config.to_dict())


def bundles(**options):
    """Of the main process, the env runner, and evaluation's env runner; without zeros."""
    return [
        {name: count for name, count in bundle.items() if count}
        for bundle in request(**options).bundles
    ]


ONE = {"CPU": 1}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [ONE, ONE, ONE]),
        ({"num_env_runners": 3}, [ONE, ONE, ONE, ONE, ONE]),
        ({"evaluation_num_env_runners": 0}, [ONE, ONE]),
        ({"num_cpus_for_main_process": 3}, [{"CPU": 3}, ONE, ONE]),
        ({"num_cpus_per_learner": 4}, [{"CPU": 4}, ONE, ONE]),
        ({"num_gpus_per_learner": 1}, [{"CPU": 1, "GPU": 1}, ONE, ONE]),
        ({"num_learners": 2}, [ONE, ONE, ONE, ONE, ONE]),
        ({"num_learners": 1, "num_cpus_per_learner": 4}, [ONE, ONE, ONE, {"CPU": 4}]),
        (
            {"num_learners": 1, "custom_resources_per_learner": {"fast": 1}},
            [ONE, ONE, ONE, {"CPU": 1, "fast": 1}],
        ),
        ({"custom_resources_for_main_process": {"disk": 2}}, [{"CPU": 1, "disk": 2}, ONE, ONE]),
        ({"num_cpus_per_env_runner": 2}, [ONE, {"CPU": 2}, {"CPU": 2}]),
        ({"num_gpus_per_env_runner": 0.5}, [ONE, *2 * [{"CPU": 1, "GPU": 0.5}]]),
        (
            {"custom_resources_per_env_runner": {"simulator": 1}},
            [ONE, *2 * [{"CPU": 1, "simulator": 1}]],
        ),
        ({"evaluation_config": {"num_cpus_per_env_runner": 2}}, [ONE, ONE, {"CPU": 2}]),
    ],
    ids=str,
)
def test_each_process_asks_for_what_its_options_say(options, expected):
    assert bundles(**options) == expected


@pytest.mark.parametrize("strategy", ["PACK", "SPREAD", "STRICT_PACK"])
def test_processes_are_placed_by_the_strategy(strategy):
    assert request(placement_strategy=strategy).strategy == strategy
