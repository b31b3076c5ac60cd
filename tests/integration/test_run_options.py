"""What RLlib's options of a run change: its classes, callbacks, iterations and results."""

import logging
import time

import pytest
from changed_options import with_options
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils.metrics.metrics_logger import DEFAULT_STATS_CLS_LOOKUP
from ray.rllib.utils.metrics.stats import MaxStats
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner


class OwnAlgorithm(DreamerV3):
    """An algorithm of a user's own."""


class OwnEnvRunner(DreamerV3EnvRunner):
    """An env runner of a user's own."""


class OwnLearner(DreamerV3Learner):
    """Reads an option that is for it alone."""

    def build(self):
        super().build()
        self.setting = self.config.learner_config_dict["tell"]


class Size(MaxStats):
    """The largest absolute value."""

    stats_cls_identifier = "size"

    def _np_reduce_fn(self, values):
        return max(abs(x) for x in values)


class Logs(RLlibCallback):
    """Logs a custom kind of metric, and counts results."""

    def on_episode_step(self, *, metrics_logger, **_):
        for value in (1.0, -3.0):
            metrics_logger.log_value("size", value, reduce="size")

    def on_train_result(self, *, result, **_):
        result["by_the_class"] = True


events = []


def note(event):
    """Keeps no algorithm: what callbacks refer to is saved with their config."""
    return lambda **arguments: events.append(
        (event, {name: id(value) for name, value in arguments.items()})
    )


def add_to(*, algorithm, metrics_logger, result, **_):
    assert metrics_logger is algorithm.metrics
    result["by_the_function"] = result["training_iteration"]


@pytest.fixture(scope="module")
def algorithm():
    """With all of these options at once."""
    level = logging.getLogger("ray.rllib").level
    config = tiny_config().debugging(log_level="ERROR")
    config.algo_class = OwnAlgorithm
    config.env_runners(env_runner_cls=OwnEnvRunner)
    config.learners(learner_class=OwnLearner)
    config.learner_config_dict = {"tell": 7}
    config.reporting(custom_stats_cls_lookup=DEFAULT_STATS_CLS_LOOKUP | {"size": Size})
    config.callbacks(
        Logs,
        on_algorithm_init=note("init"),
        on_train_result=add_to,
        on_checkpoint_loaded=note("loaded"),
    )
    algorithm = config.build_algo()
    algorithm.train()  # compiles the update
    yield algorithm
    algorithm.stop()
    logging.getLogger("ray.rllib").setLevel(level)


def test_classes_of_ones_own_are_made(algorithm):
    assert type(algorithm) is OwnAlgorithm
    assert type(algorithm.env_runner) is OwnEnvRunner
    learner = algorithm.learner_group._learner
    assert type(learner) is OwnLearner
    assert learner.setting == 7


def test_messages_below_the_level_are_not_shown(algorithm):
    logger = logging.getLogger("ray.rllib")
    assert not logger.isEnabledFor(logging.WARNING)
    assert logger.isEnabledFor(logging.ERROR)


def test_results_have_what_callbacks_add_and_kinds_of_metrics_of_ones_own(algorithm):
    result = algorithm.train()
    assert result["by_the_class"]
    assert result["by_the_function"] == algorithm.iteration
    assert result["env_runners"]["size"] == 3


def test_callbacks_of_the_algorithm_are_called_in_time(algorithm, tmp_path):
    given = {"algorithm": id(algorithm)}
    assert events == [("init", given | {"metrics_logger": id(algorithm.metrics)})]
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    events.clear()
    # As Tune does it.
    algorithm.load_checkpoint(path)
    assert events == [("loaded", given)]


def test_iterations_last_at_least_so_long(algorithm):
    with with_options(algorithm, min_time_s_per_iteration=1.5):
        began = time.monotonic()
        algorithm.train()
    assert time.monotonic() - began >= 1.5


def learned_and_sampled(algorithm):
    updates = algorithm.update_schedule.get_state()["updates"]
    return updates * algorithm.config.records_per_update, algorithm.get_counters()["env_steps"]


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, (16, 1)),
        ({"min_train_timesteps_per_iteration": 20}, (32, 2)),
        ({"min_sample_timesteps_per_iteration": 3}, None),
    ],
    ids=["least", "trained", "sampled"],
)
def test_iterations_train_and_sample_so_much(algorithm, options, most):
    before = learned_and_sampled(algorithm)
    with with_options(algorithm, **options):
        algorithm.train()
    after = learned_and_sampled(algorithm)
    learned, sampled = (y - x for x, y in zip(before, after, strict=True))
    if most:
        assert learned == most[0]
        assert sampled <= most[1]
    else:
        assert 3 <= sampled <= 4


def test_rllibs_own_checks_can_be_left_out_but_not_ours():
    config = tiny_config().evaluation(evaluation_duration="auto")
    with pytest.raises(ValueError, match="evaluation_parallel_to_training"):
        config.validate()
    config.experimental(_validate_config=False).validate()
    with pytest.raises(ConfigError, match="horizon_H"):
        config.training(horizon_H=0).validate()
