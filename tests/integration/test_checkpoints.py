"""Checkpoints of the algorithm: whole, verified, and readable without pickle."""

import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import hostile
import numpy as np
import pyarrow.fs
import pytest
import tree
from faulty_environments import Base
from ray import cloudpickle
from ray.train._internal.storage import StorageContext
from ray.tune import Checkpoint
from tiny import tiny_config

from rllib_cli.rollouts import play
from rllib_dreamerv3 import DreamerV3
from rllib_dreamerv3.agent.kernels.product_speed import faster_dtype, product_speeds
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.checkpoints import counters_file, manifest, tensors
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, OPTIMIZER_FILE
from rllib_dreamerv3.errors import CheckpointError, LearnerFailedError
from rllib_dreamerv3.exporting.shared_policy import write_shared_policy

ADVICE = "must come from the same environment and the same model options"


def weights_of(algorithm):
    return get_weights(algorithm.learner_group._learner.trainer.model)


def sign(path):
    """Writes a manifest that fits the files as they are."""
    (path / manifest.MANIFEST).unlink()
    manifest.write(path, env_steps=1, updates=1)


def rewrite_with_nan(path):
    """A checkpoint that verifies, but whose networks were destroyed before it was written."""
    weights = tensors.load(path / NETWORKS_FILE)
    weights[min(weights)][...] = np.nan
    with pytest.MonkeyPatch.context() as unchecked:
        unchecked.setattr(tensors, "require_finite", lambda *_: None)
        tensors.save(path / NETWORKS_FILE, weights)
    sign(path)


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_checkpoint_restores_everything_and_the_next_update_is_the_same(build, tmp_path, variant):
    algorithm = build(tiny_config(variant=variant))
    for _ in range(2):
        algorithm.train()
    path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    # The places of the pickles that tests/cli/test_hostile_checkpoints.py puts there.
    assert hostile.pickles_of(Path(path)) == hostile.PICKLES
    restored = DreamerV3.from_checkpoint(path)
    try:
        assert restored.replay_buffer.num_records == algorithm.replay_buffer.num_records
        assert restored.update_schedule.get_state() == algorithm.update_schedule.get_state()
        batches = [a.replay_buffer.sample(2).columns for a in (algorithm, restored)]
        tree.assert_same_structure(*batches)
        for name in batches[0]:
            np.testing.assert_array_equal(batches[0][name], batches[1][name])
        for each in (algorithm, restored):
            each.learner_group._learner.trainer.update(batches[0])
        one, other = weights_of(algorithm), weights_of(restored)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
        state = [a.learner_group._learner.trainer.get_state() for a in (algorithm, restored)]
        for name in state[0]:
            np.testing.assert_array_equal(state[0][name], state[1][name])
        result = restored.train()
        assert result["training_iteration"] == 3
        assert result["num_grad_updates_lifetime"] > 2
    finally:
        restored.stop()


def test_remote_env_runners_act_with_learned_and_with_restored_networks(build, tmp_path):
    """Those of an older checkpoint, too, restored into an algorithm that has gone on."""
    config = tiny_config().env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5)
    algorithm = build(config)

    def assert_acts_with(weights):
        (remote,) = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: runner.module.get_state(), local_env_runner=False
        )
        assert remote
        for name, value in remote.items():
            np.testing.assert_array_equal(value, weights[name])

    for _ in range(2):
        algorithm.train()
    saved = weights_of(algorithm)
    path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    for _ in range(2):
        algorithm.train()
    learned = weights_of(algorithm)
    assert any(np.any(value != saved[name]) for name, value in learned.items())
    assert_acts_with(learned)
    algorithm.restore_from_path(path)
    for name, value in weights_of(algorithm).items():
        np.testing.assert_array_equal(value, saved[name])
    assert_acts_with(saved)
    algorithm.train()


@pytest.fixture(scope="module")
def different():
    """An algorithm unlike the one that was saved, which no failed restore changes."""
    algorithm = tiny_config().debugging(seed=2).build_algo()
    algorithm.train()
    yield algorithm
    algorithm.stop()


@pytest.mark.parametrize("damage", ["empty", "no replay", "truncated state", "foreign", "NaN"])
def test_bad_checkpoint_gives_one_error_and_changes_nothing(
    build, different, saved, tmp_path, damage
):
    path = tmp_path / "checkpoint"
    if damage == "foreign":
        build(tiny_config(model_size="micro")).save_to_path(path)
    else:
        shutil.copytree(saved, path)
    if damage == "empty":
        path = tmp_path / "nothing"
        path.mkdir()
    elif damage == "no replay":
        (path / "replay_buffer" / "index.json").unlink()
    elif damage == "truncated state":
        (path / "algorithm_state.pkl").write_bytes(b"")
    elif damage == "NaN":
        rewrite_with_nan(path)
    before, counters = weights_of(different), different.get_counters()
    trainer_state = different.learner_group._learner.trainer.get_state()
    replay = different.replay_buffer.metrics()
    with pytest.raises(CheckpointError):
        different.restore_from_path(str(path))
    for name, value in weights_of(different).items():
        np.testing.assert_array_equal(value, before[name])
    for name, value in different.learner_group._learner.trainer.get_state().items():
        np.testing.assert_array_equal(value, trainer_state[name])
    assert different.get_counters() == counters
    assert different.replay_buffer.metrics() == replay


@pytest.fixture(scope="module")
def trained():
    """An algorithm that has learned a little; it is not changed by the tests."""
    algorithm = tiny_config().build_algo()
    for _ in range(3):
        algorithm.train()
    yield algorithm
    algorithm.stop()


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    return Path(trained.save_to_path(tmp_path_factory.mktemp("saved") / "checkpoint"))


def test_manifest_says_how_far_training_was(trained, saved):
    found = manifest.verify(saved)
    assert found.updates == trained.update_schedule.get_state()["updates"] == 3
    counters = trained.get_counters()
    assert found.env_steps == counters["env_steps"] > 100
    listed = {file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file()}
    assert listed == {*found.files, "manifest.json"}
    assert trained.last_checkpoint == str(saved)


def test_every_kind_of_path_saves_and_restores(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    memory = fsspec.filesystem("memory")
    subtree = pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem())
    places = [
        ("relative", None),
        ("~/home", None),
        (tmp_path / "pathlib", None),
        (f"file://{tmp_path}/uri", None),
        (str(tmp_path / "local"), pyarrow.fs.LocalFileSystem()),
        ("subtree", subtree),
        ("/memory", memory),
    ]
    before = weights_of(trained)
    for path, filesystem in places:
        where = trained.save_to_path(path, filesystem=filesystem)
        if filesystem is not memory:
            assert Path(where).parent == tmp_path
        trained.restore_from_path(path, filesystem=filesystem)
    trained.restore_from_path(Checkpoint(str(tmp_path / "relative")))
    restored = DreamerV3.from_checkpoint("/memory", filesystem=memory)
    for algorithm in (trained, restored):
        for name, value in weights_of(algorithm).items():
            np.testing.assert_array_equal(value, before[name])
    restored.stop()


def test_files_of_users_are_kept_when_it_is_saved_again(trained, tmp_path):
    path = Path(trained.save_to_path(tmp_path / "checkpoint"))
    for name in ("notes.txt", "replay_buffer/notes.npy", "mine/data.json"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("mine")
    written = manifest.read(path)
    trained.save_to_path(path)
    assert (path / "notes.txt").read_text() == "mine"
    assert (path / "replay_buffer/notes.npy").read_text() == "mine"
    assert (path / "mine/data.json").read_text() == "mine"
    assert manifest.verify(path).files.keys() == written.files.keys()
    trained.restore_from_path(path)


def test_total_time_goes_on_after_a_restore(build, tmp_path):
    algorithm = build(tiny_config())
    first = algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    resumed = build(tiny_config())
    resumed.restore_from_path(path)
    second = resumed.train()
    expected = first["time_total_s"] + second["time_this_iter_s"]
    assert second["time_total_s"] == pytest.approx(expected)
    # Going back in the same process takes no time back.
    resumed.restore_from_path(path)
    third = resumed.train()
    expected = second["time_total_s"] + third["time_this_iter_s"]
    assert third["time_total_s"] == pytest.approx(expected)


def test_a_resumed_trial_computes_in_the_dtype_that_was_chosen_before(build, tmp_path, monkeypatch):
    # Tune sets it in a trial's process, and enters another directory.
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    # The one that this machine would not choose.
    slower = {"float32": "bfloat16", "bfloat16": "float32"}[faster_dtype(product_speeds())]
    first = build(tiny_config(compute_dtype=slower))
    first.train()
    storage = StorageContext(str(tmp_path), experiment_dir_name="run", trial_dir_name="trial")
    first.save_to_path(Path(storage.trial_fs_path) / "checkpoint_000000")
    resumed = DreamerV3(tiny_config(compute_dtype="auto"), storage=storage)
    assert resumed.config.compute_dtype == slower
    assert resumed.learner_group._learner.module["default_policy"].settings.compute_dtype == slower
    assert not resumed.product_speeds
    resumed.stop()


def test_any_flipped_byte_is_named_and_changes_nothing(trained, saved):
    rng = random.Random(0)
    files = sorted(file for file in saved.rglob("*") if file.is_file() and file.stat().st_size)
    before, counters = weights_of(trained), trained.get_counters()
    for path in files:
        original = path.read_bytes()
        changed = bytearray(original)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        for load in (trained.restore_from_path, DreamerV3.from_checkpoint):
            with pytest.raises(CheckpointError) as error:
                load(saved)
            assert path.name in str(error.value)
        path.write_bytes(original)
    for name, value in weights_of(trained).items():
        np.testing.assert_array_equal(value, before[name])
    assert trained.get_counters() == counters


def test_large_numbers_in_infos_do_not_prevent_saving(build, tmp_path):
    info = {"best": np.finfo(float).max, "x": 0.5}
    algorithm = build(tiny_config(lambda context: Base(info=info)))
    algorithm.train()
    assert algorithm.get_counters()["episodes"][0].numbers == {"x": (0.5, 10.0)}
    algorithm.restore_from_path(algorithm.save_to_path(tmp_path / "checkpoint"))
    assert algorithm.get_counters()["episodes"][0].numbers == {"x": [0.5, 10.0]}


def test_networks_that_are_not_finite_are_not_saved(build, tmp_path):
    algorithm = build(tiny_config())
    algorithm.train()
    path = tmp_path / "checkpoint"
    algorithm.save_to_path(path)
    good = manifest.read(path)
    variable = algorithm.learner_group._learner.trainer.model.trainable_variables[0]
    variable.assign(np.full(variable.shape, np.nan))
    with pytest.raises(CheckpointError, match="not finite"):
        algorithm.save_to_path(path)
    assert manifest.verify(path) == good
    assert os.listdir(tmp_path) == ["checkpoint"]


def test_networks_that_are_not_finite_are_not_loaded(trained, saved, tmp_path):
    path, before = tmp_path / "checkpoint", weights_of(trained)
    shutil.copytree(saved, path)
    rewrite_with_nan(path)
    for load in (trained.restore_from_path, DreamerV3.from_checkpoint, lambda x: next(play(x))):
        with pytest.raises(CheckpointError, match="not finite"):
            load(path)
    for name, value in weights_of(trained).items():
        np.testing.assert_array_equal(value, before[name])


def test_partial_states_are_accepted(build):
    algorithm, other = build(tiny_config()), build(tiny_config().debugging(seed=2))
    algorithm.train()
    algorithm.set_weights(algorithm.get_weights())
    other.set_weights(algorithm.get_weights())
    for name, value in weights_of(other).items():
        np.testing.assert_array_equal(value, weights_of(algorithm)[name])
    other.set_state(algorithm.get_state(components="dreamerv3"))
    assert other.get_counters() == algorithm.get_counters()
    other.train()


def test_a_part_is_verified_and_restored_alone(build, saved):
    algorithm = build(tiny_config().debugging(seed=2))
    component = "learner_group/learner/rl_module/default_policy"
    algorithm.restore_from_path(saved / component, component=component)
    for name, value in tensors.load(saved / NETWORKS_FILE).items():
        np.testing.assert_array_equal(weights_of(algorithm)[name], value)
    assert algorithm.replay_buffer.num_records == 0
    path = saved / NETWORKS_FILE
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    try:
        with pytest.raises(CheckpointError, match=r"arrays\.safetensors"):
            algorithm.restore_from_path(saved / component, component=component)
    finally:
        path.write_bytes(original)


def test_a_run_starts_with_those_networks_of_another_environment_that_fit(build, saved, caplog):
    config = tiny_config("Pendulum-v1").checkpointing(
        start_checkpoint=str(saved), start_parts="rssm, decoder, critic, ensemble"
    )
    algorithm, plain = build(config), build(tiny_config("Pendulum-v1"))
    given, new, found = (
        tensors.load(saved / NETWORKS_FILE),
        weights_of(plain),
        weights_of(algorithm),
    )
    taken = {name for name, value in found.items() if not np.array_equal(value, new[name])}
    assert {name.partition("/")[0] for name in taken} >= {"rssm", "critic"}
    for name in found:
        part = name.partition("/")[0].removeprefix("slow_")
        fits = part in ("rssm", "decoder", "critic") and given[name].shape == found[name].shape
        np.testing.assert_array_equal(found[name], given[name] if fits else new[name])
    # Pendulum has 3 numbers and 1 action, CartPole 4 and 2.
    assert "Took rssm, decoder, critic from" in caplog.text
    assert "This run has no network ensemble." in caplog.text
    assert "These did not fit" in caplog.text
    assert algorithm.replay_buffer.num_records == 0
    # An actor of which arrays are new acts no better than random actions.
    assert not algorithm.started_trained
    algorithm.start_from(saved, ["actor"])
    assert not algorithm.started_trained
    with pytest.raises(CheckpointError, match="ensemble: this run has no such network"):
        algorithm.start_from(saved, ["ensemble"])
    algorithm.train()


@pytest.mark.parametrize("parts", [None, "rssm"])
def test_a_run_starts_with_the_newest_checkpoint_of_another_run(
    build, saved, tmp_path, caplog, parts
):
    trial = tmp_path / "experiment" / "trial"
    for number in range(2):
        shutil.copytree(saved, trial / f"checkpoint_00000{number}")
    (trial / "checkpoint_000001" / NETWORKS_FILE).write_bytes(b"damaged")
    config = tiny_config().debugging(seed=2)
    config.checkpointing(start_checkpoint=str(tmp_path / "experiment"), start_parts=parts)
    found = weights_of(build(config))
    for name, value in tensors.load(saved / NETWORKS_FILE).items():
        if name.startswith("rssm/"):
            np.testing.assert_array_equal(found[name], value)
    assert f"{trial}/checkpoint_000001" in caplog.text
    config.checkpointing(start_checkpoint=str(tmp_path), start_parts=parts)
    with pytest.raises(CheckpointError, match="contains no complete one"):
        config.build_algo()


@pytest.fixture(scope="module")
def shared(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "policy"
    write_shared_policy(saved, path, records=16)
    return path


def test_a_run_starts_with_the_networks_of_a_shared_policy(build, saved, shared):
    config = tiny_config()
    config.checkpointing(start_checkpoint=str(shared)).debugging(seed=5)
    algorithm = build(config)
    expected = tensors.load(saved / NETWORKS_FILE)
    for name, array in weights_of(algorithm).items():
        np.testing.assert_array_equal(array, expected[name].astype(np.float16))
    assert algorithm.replay_buffer.num_records == 0
    assert algorithm.get_counters()["env_steps"] == 0
    # Replay is filled by the policy, whose actions are not those of random_prefill.
    assert not algorithm._next_request().arguments["random_actions"]
    assert algorithm.train()["num_grad_updates_lifetime"] == 1


def test_a_run_of_other_networks_does_not_start_with_a_shared_policy(shared):
    config = tiny_config(model_size="micro").checkpointing(start_checkpoint=str(shared))
    with pytest.raises(CheckpointError, match="same environment and the same model options"):
        config.build_algo()


def test_a_shared_policy_is_not_restored(trained, shared):
    for load in (trained.restore_from_path, DreamerV3.from_checkpoint):
        with pytest.raises(CheckpointError, match=r"shared policy.*start_checkpoint"):
            load(shared)


class Evil:
    """What a stranger may put into a pickle: leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def evil(saved, tmp_path):
    """A checkpoint that verifies, whose pickles all leave a file; and that file."""
    path, trace = tmp_path / "evil", tmp_path / "executed"
    shutil.copytree(saved, path)
    for pickled in path.rglob("*.pkl"):
        pickled.write_bytes(pickle.dumps(Evil(trace)))
    sign(path)
    return path, trace


def test_acting_unpickles_nothing(evil):
    path, trace = evil
    assert next(play(path, episodes=1)).length > 0
    assert not trace.exists()


def test_nothing_is_unpickled_before_it_is_verified(trained, evil):
    path, trace = evil
    pickled = sorted(path.rglob("*.pkl"))
    assert len(pickled) > 5
    # Not as it was written: the last one has one more byte.
    pickled[-1].write_bytes(pickled[-1].read_bytes() + b".")
    for load in (trained.restore_from_path, DreamerV3.from_checkpoint):
        with pytest.raises(CheckpointError, match=pickled[-1].name):
            load(path)
    assert not trace.exists()


def test_what_is_learned_and_counted_lies_in_plain_files(trained, tmp_path):
    def numbers(value):
        return [x for x in tree.flatten(value) if isinstance(x, np.ndarray) and x.size > 1]

    saved = Path(trained.save_to_path(tmp_path / "checkpoint"))
    trainer = trained.learner_group._learner.trainer
    held = {NETWORKS_FILE: weights_of(trained), OPTIMIZER_FILE: trainer.get_state()}
    for file, arrays in held.items():
        stored = tensors.load(saved / file)
        assert stored.keys() == arrays.keys()
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value)
    counters = json.loads((saved / "dreamerv3" / "counters.json").read_text())
    assert counters == json.loads(json.dumps(trained.get_counters()))
    for path in saved.rglob("*.pkl"):
        with path.open("rb") as file:
            assert not numbers(cloudpickle.load(file)), path
        assert path.stat().st_size < 1e5, path


def test_what_cannot_be_unpickled_here_changes_nothing(different, saved, tmp_path):
    """As states of another version of RLlib, or callbacks of a module that is not here."""
    path = tmp_path / "checkpoint"
    shutil.copytree(saved, path)
    (path / "algorithm_state.pkl").write_bytes(b"cnot_here\nWhatever\n.")
    sign(path)
    before, counters = weights_of(different), different.get_counters()
    replay, iteration = different.replay_buffer.metrics(), different.iteration
    assert any(np.any(x != before[name]) for name, x in tensors.load(path / NETWORKS_FILE).items())
    with pytest.raises(CheckpointError, match=r"cannot be unpickled here.*not_here") as caught:
        different.restore_from_path(path)
    assert ADVICE not in str(caught.value)
    for name, value in weights_of(different).items():
        np.testing.assert_array_equal(value, before[name])
    assert different.get_counters() == counters
    assert different.replay_buffer.metrics() == replay
    assert different.iteration == iteration == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(5, "Input/output error"), r"cannot be restored here\. OSError: .*Input/output"),
        (LearnerFailedError("The learner died."), r"^The learner died\.$"),
        (CheckpointError("'x' is not finite."), r"^'x' is not finite\.$"),
        (KeyError("x"), rf"cannot be restored here\. KeyError: 'x'\. It {ADVICE}"),
        (ValueError("Another shape."), rf"cannot be restored here\. Another shape\. It {ADVICE}"),
    ],
    ids=["disk", "learner", "not finite", "missing", "shape"],
)
def test_a_failed_restore_advises_only_what_helps(different, saved, monkeypatch, error, message):
    def fail(_):
        raise error

    before, counters = weights_of(different), different.get_counters()
    # After the networks, before replay.
    monkeypatch.setattr(counters_file, "read", fail)
    with pytest.raises((CheckpointError, LearnerFailedError), match=message) as caught:
        different.restore_from_path(saved)
    assert (ADVICE in str(caught.value)) == (ADVICE in message)
    for name, value in weights_of(different).items():
        np.testing.assert_array_equal(value, before[name])
    assert different.get_counters() == counters


def test_building_from_another_versions_checkpoint_says_what_is_missing(saved, tmp_path):
    path = tmp_path / "checkpoint"
    shutil.copytree(saved, path)
    (path / "class_and_ctor_args.pkl").write_bytes(b"cnot_here\nWhatever\n.")
    sign(path)
    with pytest.raises(CheckpointError, match=r"class_and_ctor_args.pkl cannot.*not_here.*version"):
        DreamerV3.from_checkpoint(path)


def test_acting_imports_nothing_that_a_checkpoint_names(saved, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemError('was executed')")
    monkeypatch.syspath_prepend(tmp_path)
    path = saved / "policy.json"
    original = path.read_text()
    for env in ("evil:CartPole-v1", "evil.Environment"):
        path.write_text(original.replace('"CartPole-v1"', f'"{env}"'))
        sign(saved)
        with pytest.raises(CheckpointError, match=r"[Gg]ive the environment"):
            next(play(saved, episodes=1))
        assert next(play(saved, env="CartPole-v1", episodes=1)).length > 0
    path.write_text(original)
    sign(saved)


@pytest.mark.parametrize(
    ("directory", "command"),
    [
        ("here", r"--env evil:Reach --pythonpath \S*/here\n"),
        ("gone", r"--env evil:Reach --pythonpath DIR\nDIR is the directory that holds evil"),
    ],
)
def test_the_command_that_names_an_environment_is_reported(saved, tmp_path, directory, command):
    (tmp_path / "here").mkdir()
    path = saved / "policy.json"
    original = path.read_text()
    content = json.loads(original)
    content |= {"env": "evil:Reach", "env_directory": str(tmp_path / directory)}
    path.write_text(json.dumps(content))
    sign(saved)
    try:
        with pytest.raises(CheckpointError, match=rf"  rllib evaluate {saved} {command}"):
            next(play(saved, episodes=1))
    finally:
        path.write_text(original)
        sign(saved)


SAVER = """
import sys
from tiny import tiny_config
algorithm = tiny_config().build_algo()
for n in range(10_000):
    algorithm.train()
    algorithm.save_to_path(sys.argv[1])
    print("saved", flush=True)
"""


@pytest.mark.long
def test_killed_while_saving_over_it_the_old_or_the_new_is_there(tmp_path):
    rng = random.Random(0)
    path = tmp_path / "checkpoint"
    steps = 0
    for _ in range(2):
        saver = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        assert saver.stdout is not None
        for _ in range(rng.randrange(1, 4)):
            saver.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(saver.pid, signal.SIGKILL)
        saver.wait()
        steps = manifest.verify(path).env_steps
    algorithm = DreamerV3.from_checkpoint(path)
    assert algorithm.get_counters()["env_steps"] == steps
    algorithm.train()
    algorithm.stop()
