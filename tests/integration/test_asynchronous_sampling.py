"""Sampling beside learning: one algorithm, and three env runners whose environments take time."""

import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import ray
from changed_options import with_options
from ray import cloudpickle
from tiny import tiny_config

from rllib_dreamerv3.plugin import algorithm as algorithm_module
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

# Env runners' processes cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# Hundreds of updates: compiling one takes less time.
pytestmark = pytest.mark.compiled

# So slow that updates keep up on two busy cores.
RUNNERS, STEP_S, LENGTH = 3, 0.04, 25
RECORDS_AN_UPDATE = 4
AHEAD = 2 * 2 * RUNNERS  # what "auto" is with two requests at each env runner
BROADCAST_INTERVAL = 3
PATIENCE_S = 300


class Counting(gym.Env):
    """Shows its process and how many observations it has given, which a file's size says too."""

    observation_space = gym.spaces.Box(0, np.inf, (2,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config):
        self.directory, self.kind = Path(config["directory"]), config["kind"]
        self.index = getattr(config, "worker_index", 0)
        self.given = self.left = 0

    def observe(self):
        self.given += 1
        with (self.directory / f"{self.kind} {os.getpid()}").open("a") as file:
            file.write(".")
        return np.array([os.getpid(), self.given], np.float64)

    def reset(self, *, seed=None, options=None):
        self.left = LENGTH
        return self.observe(), {}

    def step(self, action):
        hang = self.directory / f"hang {self.index}"
        if self.kind == "training" and hang.exists():
            hang.unlink()
            time.sleep(600)
        time.sleep(STEP_S)
        self.left -= 1
        return self.observe(), 1.0, self.left == 0, False, {}


class NotesWeights(DreamerV3EnvRunner):
    """Remembers a fingerprint of the weights that it sampled with, for each call."""

    def sample(self, **arguments):
        if not hasattr(self, "prints"):
            self.prints = []
        self.prints.append(fingerprint(self.module.get_state()))
        return super().sample(**arguments)


def fingerprint(weights):
    return sum(float(np.abs(value).sum(dtype=np.float64)) for value in weights.values())


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("counting")
    config = tiny_config(
        Counting,
        training_ratio=16 / RECORDS_AN_UPDATE,
        replay_buffer_config={"capacity": 1_000_000},
    )
    training = {"directory": str(directory), "kind": "training"}
    config.environment(env_config=training)
    config.env_runners(
        env_runner_cls=NotesWeights,
        num_env_runners=RUNNERS,
        num_cpus_per_env_runner=0.25,
        sampling="asynchronous",
        max_requests_in_flight_per_env_runner=2,
        broadcast_interval=BROADCAST_INTERVAL,
        sample_timeout_s=20,
    )
    config.evaluation(
        evaluation_num_env_runners=1,
        evaluation_interval=1_000_000,
        evaluation_config={"env_config": training | {"kind": "evaluation"}},
    )
    algorithm = config.build_algo()
    # The others do not wait for the one that compiles its policy last.
    train_until(algorithm, lambda: segments_of(algorithm) == RUNNERS)
    yield algorithm, directory
    algorithm.stop()


@pytest.fixture
def algorithm(shared):
    """After its first updates, with none that are due."""
    algorithm, _ = shared
    train_until(algorithm, lambda: updates_of(algorithm) and not algorithm._pending_updates)
    return algorithm


def train_until(algorithm, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        result = algorithm.train()
        assert time.monotonic() < deadline, result
    return algorithm.train()


def updates_of(algorithm):
    return int(algorithm.learner_group._learner.trainer.updates)


def records_of(algorithm):
    return algorithm.get_counters()["records"]


def records_given(directory):
    """Records of all environments: the observations, except those without an action yet."""
    files = list(directory.glob("training *"))
    return sum(file.stat().st_size for file in files) - len(files)


@contextmanager
def long_update(algorithm, monkeypatch, until):
    """The next updates take until a condition holds, or too long; yields whether it has held."""
    held = []
    update = algorithm._update

    def slow_update():
        deadline = time.monotonic() + 20
        while not until() and time.monotonic() < deadline:
            time.sleep(0.01)
        held.append(until())
        return update()

    with monkeypatch.context() as patch:
        patch.setattr(algorithm, "_update", slow_update)
        yield held


def check_records(algorithm):
    """No sequence holds records of two processes, or from both sides of a gap."""
    process, given = np.moveaxis(algorithm.replay_buffer.sample(500).columns["obs/vector"], -1, 0)
    np.testing.assert_array_equal(np.diff(process, axis=1), 0)
    np.testing.assert_array_equal(np.diff(given, axis=1), 1)


def segments_of(algorithm):
    return algorithm.replay_buffer.metrics()["num_segments"]


def test_records_of_a_stream_come_in_their_order_and_none_is_lost(algorithm):
    for _ in range(25):
        algorithm.train()
    check_records(algorithm)
    assert segments_of(algorithm) == RUNNERS


def test_env_runners_go_on_while_an_update_runs(shared, algorithm, monkeypatch):
    _, directory = shared
    # Four times as much as what may be asked for before the update begins.
    enough = records_given(directory) + 8 * RUNNERS
    with (
        with_options(algorithm, max_records_ahead=1000),
        long_update(algorithm, monkeypatch, lambda: records_given(directory) >= enough) as held,
    ):
        train_until(algorithm, lambda: held)
    assert all(held)


def test_env_runners_wait_for_updates_at_the_cap(shared, algorithm, monkeypatch):
    _, directory = shared
    schedule = algorithm.update_schedule.get_state()

    def most():
        """When one more update is due that is not done, and the cap has been reached."""
        done = updates_of(algorithm)
        return schedule["first_record"] + done * RECORDS_AN_UPDATE + AHEAD

    begun, beyond = [], []

    def has_waited():
        """Whether nothing has come for a while, at the cap."""
        beyond.append(records_given(directory) - most())
        if beyond[-1] < 0:
            return False
        begun.append(time.monotonic())
        return time.monotonic() > begun[0] + 0.5

    with long_update(algorithm, monkeypatch, has_waited) as held:
        train_until(algorithm, lambda: held)
    assert held[0]
    assert max(beyond) == 0
    for _ in range(30):
        algorithm.train()
        assert records_given(directory) <= most()


@pytest.mark.long
def test_the_ratio_is_reached_within_one_percent(algorithm):
    records, updates = records_of(algorithm), updates_of(algorithm)
    # 1 % of as many are more than what asks for one update.
    enough = records + 200 * RECORDS_AN_UPDATE
    result = train_until(
        algorithm, lambda: records_of(algorithm) >= enough and not algorithm._pending_updates
    )
    done = updates_of(algorithm) - updates
    assert done * RECORDS_AN_UPDATE == pytest.approx(records_of(algorithm) - records, rel=0.01)
    assert result["actual_training_ratio"] == pytest.approx(16 / RECORDS_AN_UPDATE, rel=0.015)
    assert result["num_updates_pending"] <= AHEAD / RECORDS_AN_UPDATE + 1


def test_requests_carry_weights_of_the_last_updates(algorithm, monkeypatch):
    sampling = algorithm.sampler
    actors = algorithm.env_runner_group._worker_manager.actors()
    prints_of = lambda actor: ray.get(actor.apply.remote(lambda runner: runner.prints))
    before = {index: len(prints_of(actor)) for index, actor in actors.items()}
    # What has been asked, and what the learner's weights were after how many updates.
    asked = {index: [] for index in actors}
    learners = {}

    def note_update():
        learners[updates_of(algorithm)] = fingerprint(algorithm._policy_weights()["default_policy"])

    ask, update = sampling._send, algorithm._update

    def note_ask(index, request, *arguments):
        asked[index].append(updates_of(algorithm))
        ask(index, request, *arguments)

    def noted_update():
        result = update()
        note_update()
        return result

    note_update()
    sampling.call_remote(
        "get_metrics", {}
    )  # drops what is in flight, so that the next weights are new
    before = {index: len(prints_of(actor)) for index, actor in actors.items()}
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "_send", note_ask)
        patch.setattr(algorithm, "_update", noted_update)
        while len(learners) <= 15:
            result = algorithm.train()
    updates_by_print = {value: updates for updates, value in learners.items()}
    assert len(updates_by_print) > 10
    ages = [
        sent - updates_by_print[found]
        for index, actor in actors.items()
        for sent, found in zip(asked[index], prints_of(actor)[before[index] :], strict=False)
    ]
    assert len(ages) > 40
    # The update that runs is counted when it is half done.
    assert set(ages) <= set(range(BROADCAST_INTERVAL + 1))
    assert set(ages) >= set(range(BROADCAST_INTERVAL))
    assert result["env_runners"]["weights_age_max"] < 40


def test_a_checkpoint_in_mid_flight_loses_no_count_and_glues_nothing(algorithm, tmp_path):
    sampling = algorithm.sampler
    train_until(algorithm, lambda: sampling.records_in_flight >= RUNNERS)
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    counters, segments = algorithm.get_counters(), segments_of(algorithm)
    assert algorithm.replay_buffer.num_records == counters["records"]
    algorithm.train()
    # The run that was saved goes on without a gap.
    assert segments_of(algorithm) == segments
    train_until(algorithm, lambda: sampling.records_in_flight >= RUNNERS)
    algorithm.restore_from_path(path)
    assert sampling.records_in_flight == 0
    # A restore begins new streams, and takes time.
    changed = {"generation": 0, "time_total_s": 0}
    assert algorithm.get_counters() | changed == counters | changed
    target = counters["records"] + 100
    # Each env runner begins one stream, the slowest one on a busy machine late.
    train_until(
        algorithm,
        lambda: records_of(algorithm) >= target and segments_of(algorithm) >= segments + RUNNERS,
    )
    check_records(algorithm)
    assert segments_of(algorithm) == segments + RUNNERS
    assert updates_of(algorithm) == algorithm.update_schedule.updates - algorithm._pending_updates


def test_a_restore_drops_answers_that_were_not_returned(algorithm, tmp_path):
    sampling = algorithm.sampler
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    with sampling.while_busy(algorithm._next_request()):
        deadline = time.monotonic() + PATIENCE_S
        while not sampling._taken and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sampling._taken
    algorithm.restore_from_path(path)
    assert not sampling._taken


@pytest.mark.long
def test_env_runners_that_die_or_hang_are_replaced_and_the_others_go_on(shared, algorithm):
    _, directory = shared
    sampling, manager = algorithm.sampler, algorithm.env_runner_group._worker_manager
    # Every env runner has begun its stream after what the tests before have restored.
    for _ in range(50):
        algorithm.train()
    replaced, segments = sampling.replaced, segments_of(algorithm)
    process = ray.get(manager.actors()[2].apply.remote(lambda runner: os.getpid()))
    os.kill(process, signal.SIGKILL)
    (directory / "hang 3").touch()
    train_until(algorithm, lambda: manager.num_healthy_actors() < RUNNERS)
    before = records_of(algorithm)
    train_until(algorithm, lambda: records_of(algorithm) > before + 10 * AHEAD)
    train_until(algorithm, lambda: sampling.replaced == replaced + 2)
    # Each restarted env runner has a separate stream for its records; the others do not.
    train_until(algorithm, lambda: segments_of(algorithm) >= segments + 2)
    for _ in range(20):
        algorithm.train()
    train_until(
        algorithm, lambda: segments_of(algorithm) - segments == sampling.replaced - replaced
    )
    check_records(algorithm)
    assert algorithm.replay_buffer.num_records == records_of(algorithm)


@pytest.mark.parametrize(
    ("duration", "unit"), [(3, "episodes"), (40, "timesteps"), ("auto", "timesteps")]
)
def test_evaluation_goes_on_beside_it(algorithm, duration, unit):
    before = records_of(algorithm)
    with with_options(
        algorithm,
        evaluation_interval=1,
        evaluation_parallel_to_training=True,
        evaluation_duration=duration,
        evaluation_duration_unit=unit,
        min_time_s_per_iteration=1.0,
    ):
        result = algorithm.train()
        evaluated = result["evaluation"]["env_runners"]
        while not evaluated.get("num_env_steps_sampled"):
            evaluated = algorithm.train()["evaluation"]["env_runners"]
    if unit == "episodes":
        assert evaluated["num_episodes"] == duration
        assert evaluated["episode_len_max"] == LENGTH
    elif duration != "auto":
        assert evaluated["num_env_steps_sampled"] >= duration - 2
    assert records_of(algorithm) > before
    check_records(algorithm)


def test_without_a_cap_env_runners_never_wait_and_the_reached_ratio_is_reported(
    shared, algorithm, monkeypatch
):
    _, directory = shared
    monkeypatch.setattr(algorithm_module, "MAX_PENDING_UPDATES", 20)
    wanted = 16 / RECORDS_AN_UPDATE
    records, updates = records_of(algorithm), updates_of(algorithm)
    # As many as ask for twice the updates that are left for later.
    enough = records_given(directory) + 2 * 20 * RECORDS_AN_UPDATE
    with (
        with_options(algorithm, max_records_ahead=None),
        long_update(algorithm, monkeypatch, lambda: records_given(directory) >= enough) as held,
    ):
        result = train_until(algorithm, lambda: held)
    assert all(held)
    assert result["num_updates_pending"] <= 20
    lag = (records_of(algorithm) - records) / RECORDS_AN_UPDATE
    assert updates_of(algorithm) - updates < lag - 20
    reached = result["actual_training_ratio"]
    assert reached < wanted
    first = algorithm.update_schedule.get_state()["first_record"]
    done = algorithm.update_schedule.updates - algorithm._pending_updates
    in_sum = 16 * done / (records_of(algorithm) - first + RECORDS_AN_UPDATE)
    assert reached == pytest.approx(in_sum)
    # Nothing is made up for but what was left for later.
    train_until(algorithm, lambda: not algorithm._pending_updates)
    assert algorithm.train()["actual_training_ratio"] < wanted
