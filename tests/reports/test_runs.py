"""Runs on disk: found, distinguished, and combined."""

import pytest
from written_run import result, write_run

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.reports.runs import find_runs


def trial(experiment, number, **said):
    name = f"DreamerV3_CartPole-v1_abcde_{number:05}_{number}_2026-01-01_00-00-00"
    return write_run(experiment / name, [result(100, 5.0)], {"env": "CartPole-v1", **said})


def test_runs_that_differ_by_their_seeds_alone_are_one_group(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for number, (rate, seed) in enumerate([(1, 1), (1, 2), (3, 1)]):
        trial(one, number, replay_buffer_config={"rate": rate}, seed=seed)
    trial(two, 0, seed=7)
    runs = find_runs([tmp_path])
    assert [run.group for run in runs] == ["one, rate=1", "one, rate=1", "one, rate=3", "two"]
    titles = ["one, rate=1, 00000, seed=1", "one, rate=1, 00001, seed=2", "one, rate=3", "two"]
    assert [run.title for run in runs] == titles


def test_a_run_is_found_once_however_it_is_named(tmp_path):
    folder = trial(tmp_path / "one", 0)
    (folder / "checkpoint_000000").mkdir()
    runs = find_runs([tmp_path, folder, folder / "checkpoint_000000"])
    assert [run.directory for run in runs] == [folder.resolve()]


def test_a_folder_without_results_is_named(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CheckpointError, match=r"no result\.json in .*nothing"):
        find_runs([tmp_path / "nothing"])


def test_options_are_those_of_the_config_file(tmp_path):
    folder = trial(tmp_path / "one", 0, model_size="nano")
    (run,) = find_runs([folder])
    # Without one: what was said, and what stands for None by the results.
    assert run.changed == {"env": "CartPole-v1", "model_size": "nano"}
    assert run.options["lr"] == 4e-5
    assert run.versions == {}
    (folder / "config.yaml").write_text(
        "versions: {ray: 2.60.0}\nchanged: {seed: 1}\noptions: {seed: 1, lr: 0.5}\n"
    )
    (run,) = find_runs([folder])
    assert (run.changed, run.options["lr"]) == ({"seed": 1}, 0.5)
    assert run.versions == {"ray": "2.60.0"}


@pytest.mark.parametrize("damaged", ["{", "[1]", ""])
def test_a_damaged_config_file_is_as_good_as_none(tmp_path, damaged):
    folder = trial(tmp_path / "one", 0, model_size="nano")
    (folder / "config.yaml").write_text(damaged)
    (run,) = find_runs([folder])
    assert run.changed["model_size"] == "nano"


def test_an_environment_that_is_a_class_has_its_name(tmp_path):
    config = {"env": "<class '__main__.f.<locals>.Corridor'>"}
    folder = write_run(tmp_path / "a", [result(100, 5.0, config=config)])
    (run,) = find_runs([folder])
    assert run.env == "Corridor"
