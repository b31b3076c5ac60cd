"""Learners in separate processes: equal to a single learner, and they may die."""

import dataclasses
import logging
import os
import signal
import sys
import time
from typing import Any, NamedTuple

import compiling
import numpy as np
import pytest
import ray
import synthetic
import tensorflow as tf
import trainers
from ray import cloudpickle
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.agent.replicas import ALONE
from rllib_dreamerv3.errors import CheckpointError, LearnerFailedError
from rllib_dreamerv3.options.table import ExplorationOptions
from rllib_dreamerv3.plugin.learners import process as learner_process
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.plugin.recovery import continue_or_end
from rllib_dreamerv3.plugin.results import Iteration
from rllib_dreamerv3.records import LATENT_H, LATENT_INDEX, MODEL_LOSS

# The length of the comparison can be chosen; long ones are compiled.
UPDATES = int(os.environ.get("LEARNER_UPDATES", "3"))
COMPILED_FROM = 10
ROWS = 4

logger = logging.getLogger(__name__)

for module in (compiling, synthetic, trainers, sys.modules[__name__]):
    cloudpickle.register_pickle_by_value(module)


class Case(NamedTuple):
    observations: Any
    actions: Any
    options: Any
    sizes: Any


CASES = {
    "v1-image": Case(synthetic.IMAGE, synthetic.CONTINUOUS, trainers.V1, trainers.NANO),
    "v2-vector": Case(synthetic.VECTOR, synthetic.MIXED, trainers.V2, trainers.NANO_V2),
    "v2-curious": Case(
        synthetic.VECTOR,
        synthetic.MIXED,
        dataclasses.replace(
            trainers.V2, exploration=ExplorationOptions(use_curiosity=True, curiosity_models=2)
        ),
        dataclasses.replace(trainers.NANO_V2, ensemble=2),
    ),
    "v2-image": Case(synthetic.EVERYTHING_48, synthetic.DISCRETE, trainers.V2, trainers.NANO_V2),
}


def batch_of(case, update):
    make = synthetic.batch if case.sizes is trainers.NANO else synthetic.batch_with_context
    arguments = () if make is synthetic.batch else (case.sizes,)
    records = make(case.observations, case.actions, *arguments, rows=ROWS, seed=update)
    return {name: np.asarray(x) for name, x in records.items()}


def train(name, replicas):
    """Networks, trainer's state, and what the last update returns for replay, and its metrics."""
    case, share = CASES[name], replicas.share
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(UPDATES < COMPILED_FROM)
    try:
        trainer = trainers.make_trainer(
            case.observations,
            case.actions,
            case.options,
            sizes=case.sizes,
            replicas=replicas,
            returns_losses=True,
        )
        rows = ROWS // share.parts
        for i in range(UPDATES):
            batch = batch_of(case, i)
            own = {k: x[share.part * rows : (share.part + 1) * rows] for k, x in batch.items()}
            update = trainer.update(own)
    finally:
        tf.config.run_functions_eagerly(eager)
    for_replay, metrics = ({k: x.numpy() for k, x in part.items()} for part in update[::-1])
    return get_weights(trainer.model), trainer.get_state(), for_replay, metrics


def two_learners(**training):
    config = tiny_config(variant="v2", replay_context=1, **training)
    return config.learners(num_learners=2, num_cpus_per_learner=0.5)


@pytest.fixture(scope="module")
def algorithm():
    """Two learners, and what they have learned in a few updates."""
    algorithm = two_learners().build_algo()
    while updates_of(algorithm) < 3:
        algorithm.train()
    yield algorithm
    algorithm.stop()


def updates_of(algorithm):
    return ask_learner(algorithm.learner_group, lambda learner: int(learner.trainer.updates))


def everything(learner):
    return {**get_weights(learner.trainer.model), **learner.trainer.get_state()}


def states_of(algorithm):
    return [answer.get() for answer in algorithm.learner_group.foreach_learner(everything)]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, x in one.items():
        np.testing.assert_array_equal(x, other[name], err_msg=name)


def assert_close(one, other, tolerance=1e-5):
    """Relative to the norm of each array."""
    assert one.keys() == other.keys()
    worst = 0.0
    for name, x in one.items():
        error = np.linalg.norm(np.float64(x) - other[name]) / max(np.linalg.norm(x), 1e-3)
        assert error < tolerance, (name, error)
        worst = max(worst, error)
    return worst


def train_on(algorithm, iterations=100):
    for _ in range(iterations):
        algorithm.train()


def process_of(algorithm, index):
    actor = algorithm.learner_group._actors[index]
    return ray.get(actor.apply.remote(lambda learner: os.getpid()))


def kill(algorithm, index):
    os.kill(process_of(algorithm, index), signal.SIGKILL)


@pytest.mark.parametrize(
    "name", ["v1-image", "v2-vector", pytest.param("v2-image", marks=pytest.mark.long)]
)
def test_two_learners_are_one_learner_with_all_rows(algorithm, name):
    answers = algorithm.learner_group.foreach_learner(lambda learner: train(name, learner.replicas))
    first, second = (answer.get() for answer in answers)
    for one, other in zip((*first[:2], first[3]), (*second[:2], second[3]), strict=True):
        assert_equal(one, other)
    networks, state, for_replay, metrics = train(name, ALONE)
    worst = assert_close(networks, first[0])
    assert_close(state, first[1], tolerance=1e-3)
    for bound in ("returns/low", "returns/high"):
        assert first[1][bound] == pytest.approx(state[bound], rel=1e-5)
    logger.info("%s: %d updates, networks within %.1e", name, UPDATES, worst)
    for key, x in metrics.items():
        # The median reward and the greatest bias are those of each learner's own rows.
        if "reward_signal" in key or "action_bias" in key:
            continue
        assert first[3][key] == pytest.approx(x, rel=1e-3, abs=1e-5), key
    both = {key: np.concatenate([first[2][key], second[2][key]]) for key in for_replay}
    np.testing.assert_allclose(both[MODEL_LOSS], for_replay[MODEL_LOSS], rtol=1e-3)
    if LATENT_H in for_replay:
        np.testing.assert_array_equal(both[LATENT_INDEX], for_replay[LATENT_INDEX])
        np.testing.assert_allclose(both[LATENT_H], for_replay[LATENT_H], atol=1e-5)


def update_with_one_spoiled_row(name, replicas):
    """Networks and state before and after, and whether all metrics are finite."""
    case, share = CASES[name], replicas.share
    trainer = trainers.make_trainer(
        case.observations, case.actions, case.options, sizes=case.sizes, replicas=replicas
    )
    batch, rows = batch_of(case, 0), ROWS // share.parts
    (numbers,) = (key for key, x in batch.items() if key.startswith("obs/") and x.ndim == 3)
    batch[numbers] = batch[numbers].copy()  # What Ray hands over cannot be written to.
    batch[numbers][-1, -1] = np.nan
    before = {**get_weights(trainer.model), **trainer.get_state()}
    own = {k: x[share.part * rows : (share.part + 1) * rows] for k, x in batch.items()}
    metrics = trainer.update(own).metrics
    finite = all(np.isfinite(x.numpy()) for x in metrics.values())
    return before, {**get_weights(trainer.model), **trainer.get_state()}, finite


def test_all_learners_leave_out_an_update_that_is_not_finite_for_one(algorithm):
    answers = algorithm.learner_group.foreach_learner(
        lambda learner: update_with_one_spoiled_row("v2-vector", learner.replicas)
    )
    for before, after, finite in (answer.get() for answer in answers):
        assert not finite
        assert after.pop("updates") == before.pop("updates") + 1
        assert_equal(before, after)


def test_results_are_those_of_the_whole_batch(algorithm):
    result = algorithm.train()
    updates = result["num_grad_updates_lifetime"]
    assert updates == updates_of(algorithm)
    learned = result["learners"]["default_policy"]
    assert learned["num_module_steps_trained_lifetime"] == 16 * updates
    assert_equal(*states_of(algorithm))
    # The env runner of this process acts with the newest networks.
    acting = algorithm.get_module().get_state()
    assert_equal(acting, {name: states_of(algorithm)[0][name] for name in acting})


@pytest.mark.parametrize("seconds", [600, 0], ids=["time enough", "time is up"])
def test_next_batch_is_drawn_while_an_update_runs(algorithm, monkeypatch, seconds):
    """Whatever the clock says, and none is left drawn, which a checkpoint would not hold."""
    found, replay = [], algorithm.replay_buffer
    windows = {"draw": [], "store": []}
    sample, write_back = replay.sample, replay.write_back

    def noting_sample(rows):
        drawn = sample(rows)
        found.append("draw")
        windows["draw"].append(drawn.windows)
        return drawn

    def noting_write_back(rows, latents):
        found.append("store")
        windows["store"].append(rows)
        write_back(rows, latents)

    monkeypatch.setattr(replay, "sample", noting_sample)
    monkeypatch.setattr(replay, "write_back", noting_write_back)
    monkeypatch.setattr(algorithm, "_pending_updates", 3)
    monkeypatch.setattr(algorithm, "_this_iteration", Iteration(seconds))
    algorithm._update_from_replay()
    assert " ".join(found) == "draw draw store draw store store"
    # The latents go to the rows that they are of, not to those that have been drawn since.
    assert windows["store"] == windows["draw"]
    assert len({tuple(window.start for window in rows) for rows in windows["draw"]}) == 3
    assert algorithm._drawn_ahead is None
    assert algorithm._pending_updates == 3 - found.count("store")


def test_learners_are_saved_again_to_the_same_directory(algorithm, tmp_path):
    path = tmp_path / "group"
    algorithm.learner_group.save_to_path(path)
    (path / "learner" / "notes.txt").write_text("mine")
    written = path / "learner" / "rl_module" / "default_policy" / "arrays.safetensors"
    content = written.read_bytes()
    written.write_bytes(b"old")
    algorithm.learner_group.save_to_path(path)
    assert written.read_bytes() == content
    assert (path / "learner" / "notes.txt").read_text() == "mine"
    (path / "learner" / "metadata.json").unlink()
    with pytest.raises(CheckpointError, match="not overwritten"):
        algorithm.learner_group.save_to_path(path)


@pytest.mark.long
@pytest.mark.parametrize("learners", [0, 1])
def test_checkpoint_of_two_goes_on_with_one_and_back(algorithm, build, tmp_path, learners):
    saved = algorithm.save_to_path(tmp_path / "two")
    alone = build(two_learners().learners(num_learners=learners))
    alone.restore_from_path(saved)
    (restored,) = states_of(alone)
    assert_equal(restored, states_of(algorithm)[0])
    # The same rows of replay: the latents of both learners' rows come back in their order.
    (batch, latents), (its_batch, its_latents) = algorithm._update(), alone._update()
    assert_equal(batch, its_batch)
    np.testing.assert_array_equal(latents[LATENT_INDEX], its_latents[LATENT_INDEX])
    np.testing.assert_allclose(latents[LATENT_H], its_latents[LATENT_H], atol=1e-5)
    back = alone.save_to_path(tmp_path / "one")
    algorithm.restore_from_path(back)
    for state in states_of(algorithm):
        assert_equal(state, states_of(alone)[0])


@pytest.mark.long
def test_learners_compile_and_stay_equal(algorithm):
    """As they do without the switch of these tests: policy, update and their products by XLA."""
    algorithm.learner_group.foreach_learner(compiling.compile_from_now_on)
    before = states_of(algorithm)[0]
    result = algorithm.train()
    assert_equal(*states_of(algorithm))
    assert result["num_grad_updates_lifetime"] == updates_of(algorithm) > before["updates"]
    counts = algorithm.learner_group.foreach_learner(
        lambda learner: learner.trainer.update.experimental_get_tracing_count()
    )
    assert [count.get() for count in counts] == [1, 1]
    algorithm.learner_group.foreach_learner(lambda _: tf.config.run_functions_eagerly(True))


@pytest.mark.long
def test_learners_that_ray_has_no_room_for_say_what_they_wait_for(monkeypatch, caplog):
    monkeypatch.setattr(learner_process, "_PLACING_S", 0.1)
    free = ray.available_resources()["CPU"]
    busy = ray.remote(num_cpus=free)(lambda: time.sleep(3)).remote()
    late = ray.remote(learner_process.LearnerProcess).options(num_cpus=0.5).remote()
    (address,) = learner_process._when_placed([late.address.remote()], 0.5, two_learners())
    assert "1 of 1 learners wait for Ray to place them. Each requests 0.5 CPUs" in caplog.text
    assert address.rpartition(":")[2].isdigit()
    ray.get(busy)


@pytest.mark.long
def test_run_goes_on_when_a_learner_is_killed(algorithm, monkeypatch, caplog):
    before = updates_of(algorithm)
    # What these give is counted; the learner that is left must not bring it once more.
    while updates_of(algorithm) < before + 2:
        algorithm.train()
    victims = [process_of(algorithm, 0)]

    def kill_meanwhile():
        while victims:
            os.kill(victims.pop(), signal.SIGKILL)

    monkeypatch.setattr(algorithm, "_draw_ahead", kill_meanwhile)
    while updates_of(algorithm) < before + 4:
        result = algorithm.train()
    assert result["num_learner_rebuilds"] == 1
    assert "1 of 2 learners died" in caplog.text
    assert "All learners are running again" in caplog.text
    assert result["num_grad_updates_lifetime"] == updates_of(algorithm)
    learned = result["learners"]["default_policy"]
    assert learned["num_module_steps_trained_lifetime"] == 16 * updates_of(algorithm)
    assert_equal(*states_of(algorithm))


def test_learners_that_die_too_often_end_the_run(algorithm, tmp_path, monkeypatch):
    saved = algorithm.save_to_path(tmp_path / "last")
    monkeypatch.setattr(algorithm.learner_group, "rebuilt", 3)
    kill(algorithm, 1)
    with pytest.raises(LearnerFailedError, match=f"restarted 3 times.*{saved}"):
        train_on(algorithm)


@pytest.mark.long
def test_one_learner_that_is_lost_takes_the_run_back_to_its_checkpoint(
    build, tmp_path, caplog, monkeypatch
):
    config = tiny_config().learners(num_learners=1, num_cpus_per_learner=0.5)
    algorithm = build(config)
    saved = algorithm.save_to_path(tmp_path / "begin")
    state = states_of(algorithm)
    for _ in range(2):
        algorithm._store(algorithm._sample())
    kill(algorithm, 0)
    with pytest.raises(LearnerFailedError, match="none is alive") as caught:
        states_of(algorithm)
    continue_or_end(algorithm, caught.value)
    assert f"Restoring the run's last checkpoint, {saved}" in caplog.text
    assert_equal(states_of(algorithm)[0], state[0])
    assert algorithm.get_counters()["records"] == 0
    # Without a checkpoint nothing is left.
    monkeypatch.setattr(type(algorithm), "last_checkpoint", None)
    kill(algorithm, 0)
    with pytest.raises(LearnerFailedError, match="No checkpoint was saved yet"):
        train_on(algorithm)
