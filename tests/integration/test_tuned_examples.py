"""Every tuned example is what it claims to be: valid as it stands, and able to train."""

import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from ray.tune.search.variant_generator import generate_variants
from tiny import TINY

from rllib_cli.experiment_files import from_file
from rllib_cli.progress import look_up
from rllib_dreamerv3 import DreamerV3, DreamerV3Config
from rllib_dreamerv3.agent.networks.model import get_weights
from rllib_dreamerv3.envs.registry import check_environment, is_benchmark, options_of
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.plugin.replay_capacity import record_specs
from rllib_dreamerv3.replay.column_specs import Specs, bytes_of
from rllib_dreamerv3.replay.column_storage import in_files
from rllib_dreamerv3.replay.memory import ReplayNeed, check_space
from rllib_dreamerv3.spaces.layout import (
    ActionLayout,
    ActionLeaf,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLayout,
    ObservationLeaf,
    Vector,
)


class Learned(NamedTuple):
    """What an example's text says that it learns, and from what."""

    variant: str
    observations: tuple[ObservationLeaf, ...]
    actions: tuple[ActionLeaf, ...]


def images(variant: str, action: ActionLeaf, size: int = 64, channels: int = 3) -> Learned:
    return Learned(variant, (Image("obs/image", size, size, channels),), (action,))


def vectors(variant: str, size: int, action: ActionLeaf) -> Learned:
    return Learned(variant, (Vector("obs/vector", size),), (action,))


def frozen_lake(squares: int) -> Learned:
    return Learned("v1", (Categorical("obs/state", (squares,)),), (DiscreteAction(4),))


def finger_spin(variant: str) -> Learned:
    sizes = {"position": 4, "touch": 2, "velocity": 3}
    observations = tuple(Vector(f"obs/{name}", size) for name, size in sizes.items())
    return Learned(variant, observations, (ContinuousAction(2),))


LEARNED = {
    "atari": images("v1", DiscreteAction(6)),
    "atari_debug": images("v1", DiscreteAction(6)),
    "atari100k_v2": images("v2", DiscreteAction(6)),
    "atari200m": images("v2", DiscreteAction(18), 96, 1),
    "atari200m_v1": images("v1", DiscreteAction(18)),
    "boxing": images("v2", DiscreteAction(18)),
    "bsuite": vectors("v2", 10 * 5, DiscreteAction(3)),
    "bsuite_v1": vectors("v1", 10 * 5, DiscreteAction(3)),
    "cartpole": vectors("v1", 4, DiscreteAction(2)),
    "cartpole_paper": vectors("v1", 4, DiscreteAction(2)),
    "cartpole_v2": vectors("v2", 4, DiscreteAction(2)),
    "cluster": images("v1", DiscreteAction(6)),
    "crafter": images("v2", DiscreteAction(17)),
    "crafter_v1": images("v1", DiscreteAction(17)),
    "dmc_cpu": finger_spin("v2"),
    "dmc_proprio": finger_spin("v2"),
    "dmc_proprio_2025": finger_spin("v2"),
    "dmc_proprio_v1": finger_spin("v1"),
    "dmc_vision": images("v2", ContinuousAction(6)),
    "dmc_vision_2025": images("v2", ContinuousAction(6)),
    "dmc_vision_v1": images("v1", ContinuousAction(6)),
    "first_look": images("v1", DiscreteAction(3), 32),
    "frozenlake_2x2": frozen_lake(4),
    "frozenlake_4x4": frozen_lake(16),
    "minigrid": Learned(
        "v2",
        (Categorical("obs/direction", (4,)), Image("obs/image", 64, 64, 3)),
        (DiscreteAction(7),),
    ),
    "pendulum": vectors("v1", 3, ContinuousAction(1)),
    "pendulum_v2": vectors("v2", 3, ContinuousAction(1)),
    "sweep": frozen_lake(4),
}
LOSSES = {
    *(f"WORLD_MODEL_L_{name}" for name in ("total", "prediction", "decoder", "reward")),
    *(f"WORLD_MODEL_L_{name}" for name in ("continue", "dynamics", "representation")),
    *("ACTOR_L_total", "ACTOR_L_neg_entropy_term", "CRITIC_L_total"),
    *("CRITIC_L_neg_logp_of_value_targets", "CRITIC_L_slow_critic_regularization"),
}
LOSSES_OF_V2 = {"CRITIC_L_replay"}
LOSSES_OF_REINFORCE = {"ACTOR_L_neglogp_reinforce_term"}

EXAMPLES = Path(__file__).parents[2] / "tuned_examples"
YAML_FILES = sorted(EXAMPLES.glob("*.yaml"))
PROTOCOLS = [
    file
    for file in YAML_FILES
    if file.stem.startswith(("atari", "bsuite", "crafter", "dmc")) and file.stem != "atari_debug"
]


def first_config(file: Path) -> DreamerV3Config:
    """The config of a file's experiment; of a grid the first point."""
    (experiment,) = from_file(str(file))
    assert experiment.algorithm_name == "DreamerV3"
    _, first = next(generate_variants(dict(experiment.config)))
    return DreamerV3Config().update_from_dict(first)


def missing_package(config: DreamerV3Config) -> str | None:
    """The message about missing parts of the environment on this machine; None if complete."""
    try:
        check_environment(config.env, config.env_config)
    except ConfigError as error:
        return str(error)
    return None


def test_there_are_examples():
    assert {file.stem for file in YAML_FILES} == set(LEARNED)


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_says_what_to_expect_and_when_to_stop(file):
    heading = file.read_text().split("\n\n")[0]
    assert "# Expected: " in file.read_text(), heading
    (experiment,) = from_file(str(file))
    assert experiment.stop


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_example_is_valid_whether_or_not_its_package_is_installed(file):
    config = first_config(file)
    if is_benchmark(config.env):
        options_of(config.env, config.env_config)
    missing = missing_package(config)
    if missing:
        extra = re.search(r"pip install 'rllib-dreamerv3\[(\w+)\]'", missing)
        assert extra, missing
        assert f"pip install 'rllib-dreamerv3[{extra[1]}]'" in file.read_text()
        with pytest.raises(ConfigError, match=re.escape(missing)):
            config.validate()
        config.environment("CartPole-v1", env_config={})
    config.validate()


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_replay_of_example_fits_a_machine_of_12_gb_and_a_disk_of_400(file):
    config, specs = first_config(file), specs_of(file)
    size = bytes_of(specs)
    on_disk = (
        bytes_of(in_files(specs)) if config.replay_buffer_options()["storage"] == "disk" else 0
    )
    for share, room in ((size - on_disk, 12 * 10**9), (on_disk, 400 * 10**9)):
        need = need_of(file)._replace(share_bytes=share)
        assert not check_space(need, room), need.describe(room)


@pytest.mark.parametrize("file", PROTOCOLS, ids=lambda file: file.stem)
def test_replay_of_a_benchmark_holds_what_the_authors_does(file):
    """All records of the run, or as many as theirs where the run has more."""
    (experiment,) = from_file(str(file))
    need = need_of(file)
    theirs = {"v1": 1_000_000, "v2": 5_000_000}[LEARNED[file.stem].variant]
    # Catch, whose episodes are counted, has 10 records in each.
    records = experiment.stop.get("num_env_steps_sampled_lifetime", 10_000 * 10)
    assert need.records >= min(theirs, records)


def need_of(file: Path) -> ReplayNeed:
    """As on a machine of any size: no example relies on the limit that fits."""
    options = first_config(file).replay_buffer_options()
    limit = None if options["capacity_bytes"] == "auto" else options["capacity_bytes"]
    return ReplayNeed(options["capacity"], bytes_of(specs_of(file)), limit, 0)


def specs_of(file: Path) -> Specs:
    """What the records of an example look like."""
    learned = LEARNED[file.stem]
    latents_of = first_config(file).model_settings() if learned.variant == "v2" else None
    layouts = ObservationLayout(learned.observations), ActionLayout(learned.actions)
    return record_specs(*layouts, latents_of)


def one_of_each_kind() -> list:
    """All files; those without a new kind of observation are trained in long tests only."""
    known, files = set(), []
    for file in (file for file in YAML_FILES if file.stem in LEARNED):
        kind = {type(x) for x in LEARNED[file.stem].observations}
        files.append(
            pytest.param(file, id=file.stem, marks=[pytest.mark.long] if kind <= known else [])
        )
        known |= kind
    return files


@pytest.mark.parametrize("file", one_of_each_kind())
def test_example_learns_what_it_says(file):
    """By its variant, from its spaces, with all networks; and what it stops by is reported."""
    config = first_config(file)
    missing = missing_package(config)
    if missing:
        # The packages of some benchmarks bring pillow, without which all else is tested here; the
        # message says what to install. What can be checked without them, the test above does.
        pytest.skip(missing)
    learned = LEARNED[file.stem]
    # The smallest of the same variant.
    smallest = "1M" if re.fullmatch(r"\d+M", config.model_size) else "nano"
    config.training(**TINY).training(model_size=smallest)
    config.reporting(min_time_s_per_iteration=0)
    config.env_runners(num_envs_per_env_runner=min(2, config.num_envs_per_env_runner))
    if config.num_env_runners:
        config.env_runners(num_env_runners=2, num_cpus_per_env_runner=0.5)
    config.learners(num_cpus_per_learner="auto")
    algorithm = config.build_algo()
    try:
        before = weights_of(algorithm)
        # Each environment has to fill a row before the first update, and v2's learning rate is 0
        # in that one.
        while algorithm.metrics.peek("num_grad_updates_lifetime", default=0) < 2:
            assert algorithm.iteration < 12
            result = algorithm.train()
        module = algorithm.env_runner.module
        layouts = module.observations.layout.leaves, module.actions.layout.leaves
        assert layouts == (learned.observations, learned.actions)
        after = weights_of(algorithm)
    finally:
        algorithm.stop()
    losses = {
        name: value for name, value in result["learners"]["default_policy"].items() if "_L_" in name
    }
    expected = LOSSES | (LOSSES_OF_V2 if learned.variant == "v2" else set())
    if learned.variant == "v2" or any(isinstance(x, DiscreteAction) for x in learned.actions):
        expected |= LOSSES_OF_REINFORCE
    assert set(losses) == expected
    assert np.isfinite(list(losses.values())).all()
    assert losses["WORLD_MODEL_L_decoder"] > 0
    changed = {name.split("/")[0] for name in before if np.any(before[name] != after[name])}
    assert changed == {name.split("/")[0] for name in before}
    (experiment,) = from_file(str(file))
    for criterion in experiment.stop:
        assert look_up(result, criterion) is not None


def weights_of(algorithm: DreamerV3) -> dict[str, np.ndarray]:
    return ask_learner(algorithm.learner_group, lambda learner: get_weights(learner.trainer.model))


@pytest.mark.long
def test_sweep_from_python_runs(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("tune_sweep", EXAMPLES / "tune_sweep.py")
    sweep = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sweep)
    config = sweep.sweep_config().training(
        model_size="nano",
        batch_size_B=2,
        batch_length_T=8,
        horizon_H=3,
        num_steps_sampled_before_learning_starts=32,
    )
    monkeypatch.setattr(sweep, "sweep_config", lambda: config.reporting(min_time_s_per_iteration=0))
    results = sweep.run(env_steps=40, storage_path=str(tmp_path))
    assert not results.errors
    assert sorted(result.config["training_ratio"] for result in results) == [64, 256]
    for result in results:
        # An update trains on 2 x 8 records.
        records = result.config["training_ratio"] * result.metrics["num_env_steps_sampled_lifetime"]
        assert 0 < result.metrics["num_grad_updates_lifetime"] <= records / 16
