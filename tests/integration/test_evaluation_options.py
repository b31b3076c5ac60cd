"""What RLlib's options of evaluation change, all with one algorithm and one env runner for it."""

import contextlib
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import ray
from changed_options import with_options
from ray import cloudpickle
from tiny import tiny_config

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.records import IS_FIRST

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# Of training and of evaluation.
LENGTH, OTHER_LENGTH = 10, 4
PROBE_S, BUSY_S = 0.5, 3.0


class Paced(gym.Env):
    """Episodes of a configured length; slow in evaluation while a file exists."""

    observation_space = gym.spaces.Box(0, 100, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.length, self.slow = config["length"], Path(config["directory"], "slow step")
        self.t = 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if self.length == OTHER_LENGTH and self.slow.exists():
            time.sleep(0.5)
        self.t += 1
        return np.array([self.t], np.float32), 1.0, self.t == self.length, False, {}


class OwnEnvRunner(DreamerV3EnvRunner):
    """Takes its weights slowly while a file says so, and remembers what it is asked for.

    Attributes:
        calls: Of each call of ``sample``, how many time steps it was to take at least and how many
            records came.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.calls = []

    def sample(self, **arguments):
        samples = super().sample(**arguments)
        self.calls.append((arguments.get("num_timesteps"), sum(map(len, samples))))
        return samples

    def set_state(self, state):
        if Path(self.config.env_config["directory"], "slow weights").exists():
            time.sleep(BUSY_S)
        super().set_state(state)


# What happened in this process, in its order.
events = []


def note_sample(env_runner, metrics_logger, samples, **_):
    records = sum(map(len, samples))
    metrics_logger.log_value("most_records", records, reduce="max", window=100)
    began = float(samples[0].columns[IS_FIRST][0])
    metrics_logger.log_value("began_with_reset", began, window=1)
    events.append(("sample", {}))


def note(event):
    return lambda **arguments: events.append((event, arguments))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("paced")
    # Without an update: evaluation is what this is about, and compiling takes long.
    config = tiny_config(
        Paced,
        num_steps_sampled_before_learning_starts=900_000,
        replay_buffer_config={"capacity": 1_000_000},
    )
    training = {"length": LENGTH, "directory": str(directory)}
    config.environment(env_config=training)
    config.env_runners(
        env_runner_cls=OwnEnvRunner,
        num_cpus_per_env_runner=0.5,
        max_requests_in_flight_per_env_runner=2,
    )
    config.evaluation(
        evaluation_interval=2,
        evaluation_num_env_runners=1,
        evaluation_duration=3,
        evaluation_config={"env_config": training | {"length": OTHER_LENGTH}},
    )
    config.fault_tolerance(env_runner_health_probe_timeout_s=PROBE_S)
    config.callbacks(
        on_evaluate_start=note("start"), on_evaluate_end=note("end"), on_sample_end=note_sample
    )
    algorithm = config.build_algo()
    algorithm.evaluate()  # compiles the policy
    yield algorithm, directory
    algorithm.stop()


@pytest.fixture
def algorithm(shared):
    events.clear()
    return shared[0]


@contextlib.contextmanager
def slow(shared, what):
    """Lets env runners be slow for a while, and waits until they are done."""
    algorithm, directory = shared
    (directory / f"slow {what}").touch()
    try:
        yield
    finally:
        (directory / f"slow {what}").unlink()
        ray.get(evaluating_process(algorithm).ping.remote())


def evaluating_process(algorithm):
    return algorithm.eval_env_runner_group._worker_manager.actors()[1]


def calls_of(process):
    return ray.get(process.apply.remote(lambda runner: runner.calls))


def lose_env_runner(algorithm):
    algorithm.eval_env_runner_group._worker_manager.set_actor_state(1, healthy=False)


def evaluate(algorithm, **options):
    algorithm.metrics.reduce()  # as at the end of an iteration
    with with_options(algorithm, **options):
        return algorithm.evaluate().get("env_runners", {})


def seconds_of(function, *arguments):
    began = time.monotonic()
    result = function(*arguments)
    return time.monotonic() - began, result


def names_of_events():
    return [event for event, _ in events]


@pytest.mark.long
def test_each_second_iteration_evaluates_with_callbacks_around_it(algorithm):
    for _ in range(2 - algorithm.iteration % 2):
        algorithm.train()
    events.clear()
    for _ in range(4):
        result = algorithm.train()
    assert names_of_events() == ["sample", "sample", "start", "end"] * 2
    for event, arguments in events:
        if event in ("start", "end"):
            assert arguments["algorithm"] is algorithm
            assert arguments["metrics_logger"] is algorithm.metrics
    assert events[-1][1]["evaluation_metrics"]["env_runners"]["num_episodes"] == 3
    assert result["evaluation"]["env_runners"]["num_episodes"] == 3


def test_evaluation_has_separate_options(algorithm):
    algorithm.env_runner.sample(num_records=3 * LENGTH, random_actions=True)
    trained = [episode.length for episode in algorithm.env_runner.take_done_episodes()]
    assert set(trained) == {LENGTH}
    assert evaluate(algorithm)["episode_len_max"] == OTHER_LENGTH


@pytest.mark.parametrize("unit", ["episodes", "timesteps"])
def test_the_duration_is_counted_in_its_unit(algorithm, unit):
    for duration in (5, 7):
        result = evaluate(algorithm, evaluation_duration=duration, evaluation_duration_unit=unit)
        if unit == "episodes":
            assert result["num_episodes"] == duration
        else:
            assert duration <= result["most_records"] + 2 <= duration + 4


@pytest.mark.parametrize("reset", [True, False])
def test_evaluation_begins_with_a_reset_or_goes_on(algorithm, reset):
    # In the middle of an episode.
    options = {"evaluation_duration_unit": "timesteps", "evaluation_duration": OTHER_LENGTH - 1}
    evaluate(algorithm, **options)
    result = evaluate(algorithm, evaluation_force_reset_envs_before_iteration=reset, **options)
    assert result["began_with_reset"] == reset


@pytest.mark.parametrize(
    ("limits", "records"), [((37, 2000), 37), ((10_000, 23), 23)], ids=["least", "most"]
)
def test_automatic_durations_are_as_long_as_training_in_calls_between_limits(
    algorithm, limits, records
):
    least, most = limits
    with with_options(
        algorithm,
        min_time_s_per_iteration=0.5,
        evaluation_interval=1,
        evaluation_parallel_to_training=True,
        evaluation_duration="auto",
        evaluation_auto_duration_min_env_steps_per_sample=least,
        evaluation_auto_duration_max_env_steps_per_sample=most,
    ):
        process = evaluating_process(algorithm)
        before = len(calls_of(process))
        # Where training ends first there is nothing to be as long as.
        while len(calls_of(process)) < before + 5:
            algorithm.train()
        asked, came = zip(*calls_of(process)[before:], strict=True)
    assert records in asked
    assert min(limits) <= min(asked)
    assert max(asked) <= most
    assert all(n >= least for n, least in zip(came, asked, strict=True))


@pytest.mark.parametrize("parallel", [True, False])
def test_training_goes_on_meanwhile_or_waits(shared, algorithm, parallel):
    with (
        slow(shared, "step"),
        with_options(
            algorithm,
            evaluation_interval=1,
            evaluation_duration=1,
            evaluation_parallel_to_training=parallel,
            # Else training may have ended before evaluation has begun.
            min_time_s_per_iteration=1.0,
        ),
    ):
        algorithm.train()
    order = names_of_events()
    assert ("sample" in order[order.index("start") : order.index("end")]) == parallel


def test_a_slow_evaluation_is_taken_as_it_is_after_a_time(shared, algorithm):
    with slow(shared, "step"):
        seconds, _ = seconds_of(lambda: evaluate(algorithm, evaluation_sample_timeout_s=0.2))
    # An episode takes two seconds.
    assert seconds < 2


def test_a_function_of_ones_own_evaluates(algorithm):
    def evaluate_otherwise(algorithm, eval_env_runner_group):
        assert eval_env_runner_group is algorithm.eval_env_runner_group
        steps_and_metrics = eval_env_runner_group.foreach_env_runner(
            lambda runner: (len(runner.sample(num_episodes=2)[0]), runner.get_metrics()),
            local_env_runner=False,
        )
        ((steps, metrics),) = steps_and_metrics
        algorithm.metrics.aggregate([metrics], key=("evaluation", "env_runners"))
        return {}, steps, steps

    result = evaluate(algorithm, custom_evaluation_function=evaluate_otherwise)
    assert result["num_episodes"] == 2


@pytest.mark.parametrize("returned", [{"episode_return_mean": 1.0}, None, ({}, 1), ({}, 1.5, 1)])
def test_a_function_that_returns_something_else_is_rejected(algorithm, returned):
    with pytest.raises(ConfigError, match=r"must return three values, \(\{\}, env_steps, agent"):
        evaluate(algorithm, custom_evaluation_function=lambda *_: returned)


def test_a_lost_env_runner_is_waited_for_if_configured(algorithm):
    def calls(**options):
        evaluate(algorithm, **options)
        return len(calls_of(evaluating_process(algorithm)))

    lose_env_runner(algorithm)
    before = calls()
    assert calls() == before
    assert calls(evaluation_unhealthy_workers_timeout_s=60) == before + 1


def test_evaluations_without_an_env_runner_end_the_run_if_configured(algorithm):
    lose_env_runner(algorithm)
    try:
        for _ in range(4):
            evaluate(algorithm)
        algorithm._counters.clear()
        evaluate(algorithm, evaluation_error_after_n_consecutive_skips=2)
        with pytest.raises(RuntimeError, match="2 consecutive evaluation iterations"):
            evaluate(algorithm, evaluation_error_after_n_consecutive_skips=2)
    finally:
        assert algorithm.restore_env_runners(algorithm.eval_env_runner_group) == [1]


def test_a_lost_env_runner_has_a_time_to_answer_in(algorithm):
    lose_env_runner(algorithm)
    busy = evaluating_process(algorithm).apply.remote(lambda runner: time.sleep(BUSY_S))
    group = algorithm.eval_env_runner_group
    seconds, restored = seconds_of(algorithm.restore_env_runners, group)
    assert not restored
    assert PROBE_S <= seconds < BUSY_S / 2
    ray.get(busy)
    assert algorithm.restore_env_runners(group) == [1]


def test_an_env_runner_that_is_back_has_a_time_to_take_weights_in(shared, algorithm):
    lose_env_runner(algorithm)
    with slow(shared, "weights"), with_options(algorithm, env_runner_restore_timeout_s=0.5):
        group = algorithm.eval_env_runner_group
        seconds, restored = seconds_of(algorithm.restore_env_runners, group)
    assert restored == [1]
    assert seconds < BUSY_S / 2


def test_calls_that_wait_at_an_env_runner_are_limited(algorithm):
    group = algorithm.eval_env_runner_group
    taken = [
        group.foreach_env_runner_async(lambda runner: time.sleep(0.5), remote_worker_ids=[1])
        for _ in range(3)
    ]
    assert taken == [1, 1, 0]
