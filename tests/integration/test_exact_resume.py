"""A resumed run goes on bit for bit as the one that was not stopped, and never repeats a start."""

import hashlib
import json
import os
import subprocess
import sys
from typing import ClassVar

import compiling
import numpy as np
import pytest
from ray import cloudpickle
from ray.rllib.callbacks.callbacks import RLlibCallback
from tiny import tiny_config

from rllib_dreamerv3.agent.networks.model import get_weights

# Env runners' processes cannot import it.
cloudpickle.register_pickle_by_value(compiling)

ITERATIONS = 25


def everything(algorithm):
    """All state by name: networks, optimizers, counters with returns, replay and its next batch."""
    trainer = algorithm.learner_group._learner.trainer
    state = {f"networks/{name}": x for name, x in get_weights(trainer.model).items()}
    state |= {f"trainer/{name}": x for name, x in trainer.get_state().items()}
    replay = algorithm.replay_buffer
    for i, segment in enumerate(replay.storage.segments):
        state[f"segment/{i}"] = np.array([segment.origin, segment.start, segment.end])
    state |= {f"replay/{name}": x for name, x in replay.sample(64).columns.items()}
    state["metrics"] = np.array(json.dumps(replay.metrics()))
    counters = algorithm.get_counters()
    del counters["time_total_s"]
    state["counters"] = np.array(json.dumps(counters))
    return state


RESUMED = f"""
import sys
import numpy as np
from rllib_dreamerv3 import DreamerV3
from test_exact_resume import everything
algorithm = DreamerV3.from_checkpoint(sys.argv[1])
for _ in range({ITERATIONS}):
    algorithm.train()
np.savez(sys.argv[2], **everything(algorithm))
algorithm.stop()
"""


@pytest.mark.long
@pytest.mark.compiled
@pytest.mark.parametrize(
    ("variant", "runners", "sampling"),
    [
        ("v1", 0, "curious"),
        ("v2", 2, {"uniform": 0.25, "curious": 0.5, "recent": 0.25}),
    ],
)
def test_stopped_and_resumed_is_the_same_bit_for_bit(build, tmp_path, variant, runners, sampling):
    replay = {"capacity": 10_000, "sampling": sampling}
    config = tiny_config(variant=variant, replay_buffer_config=replay)
    config.checkpointing(exact_resume=True)
    config.env_runners(
        num_env_runners=runners, num_envs_per_env_runner=2, num_cpus_per_env_runner=0.5
    )
    algorithm = build(config)
    # As the process that goes on does.
    algorithm.env_runner_group.foreach_env_runner(compiling.compile_from_now_on)
    for _ in range(10):
        algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    for _ in range(ITERATIONS):
        algorithm.train()
    expected = everything(algorithm)
    path = [*sys.path, os.path.dirname(__file__)]
    resumed = subprocess.run(
        [sys.executable, "-c", RESUMED, str(tmp_path / "checkpoint"), str(tmp_path / "b.npz")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    with np.load(tmp_path / "b.npz") as found:
        assert set(found.files) == set(expected)
        for name, value in expected.items():
            assert found[name].dtype == value.dtype, name
            assert found[name].tobytes() == value.tobytes(), name
    assert int(expected["trainer/updates"]) > ITERATIONS


def batches_until(algorithm, updates):
    """A digest of each batch that is drawn, with the latents that earlier updates have written."""
    found, replay = [], algorithm.replay_buffer
    sample = replay.sample

    def noted(rows):
        drawn = sample(rows)
        content = b"".join(drawn.columns[name].tobytes() for name in sorted(drawn.columns))
        found.append(hashlib.sha256(content).hexdigest())
        return drawn

    replay.sample = noted
    while len(found) < updates:
        algorithm.train()
    return found[:updates]


@pytest.mark.long
def test_learner_in_a_process_of_its_own_does_not_depend_on_the_clock(build, tmp_path):
    """An iteration has one record with its updates, or several."""

    def config(seconds):
        config = tiny_config(variant="v2", replay_context=1, training_ratio=64)
        config.learners(num_learners=1, num_cpus_per_learner=0.5)
        config.reporting(min_time_s_per_iteration=seconds)
        return config.checkpointing(exact_resume=True)

    algorithm = build(config(0))
    batches_until(algorithm, 3)
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    expected = batches_until(algorithm, 20)
    resumed = build(config(4))
    resumed.restore_from_path(path)
    assert batches_until(resumed, 20) == expected


class Starts(RLlibCallback):
    """Remembers the first observation of every episode."""

    seen: ClassVar[list[tuple[float, ...]]] = []

    def on_episode_start(self, *, episode, **kwargs):
        """Takes it from the episode."""
        self.seen.append(tuple(episode.get_observations(-1).tolist()))


@pytest.mark.parametrize("exact", [False, True])
def test_no_start_is_ever_repeated(build, tmp_path, exact):
    Starts.seen.clear()
    config = tiny_config().callbacks(Starts).checkpointing(exact_resume=exact)
    config.env_runners(num_envs_per_env_runner=2)
    algorithm = build(config)
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.train()
    before = set(Starts.seen)
    assert len(before) == len(Starts.seen) > 4
    if not exact:
        # An exact resume repeats what came after the checkpoint, and nothing else.
        for _ in range(2):
            Starts.seen.clear()
            algorithm.restore_from_path(path)
            algorithm.train()
            assert len(Starts.seen) >= 2
            assert not before & set(Starts.seen)
            before |= set(Starts.seen)
