"""``rllib reproduce``."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from written_curves import write_curve
from written_run import result, write_run

from rllib_cli import seed_runs
from rllib_cli.commands.reproduce import prescribed_options
from rllib_cli.experiment_files import from_file
from rllib_cli.main import cli
from rllib_dreamerv3.reports.history import ENV_STEPS
from rllib_dreamerv3.reports.protocols import BENCHMARKS, differences, environments, protocols_of


def call(*arguments):
    return CliRunner().invoke(cli, ["reproduce", *map(str, arguments)])


def rows(output):
    """The lines of the tables, without spaces between cells."""
    return [" ".join(line.split()) for line in output.splitlines()]


def test_runs_are_shown_beside_the_authors_seeds(tmp_path):
    write_curve(tmp_path / "a_seed0.csv", [0, 0, 10, 20, 30, 400, 400], seed=0, model_size="XS")
    write_curve(tmp_path / "a_seed1.csv", [2, 2, 70, 70, 70, 300, 300], seed=1, model_size="XS")
    done = call("dmc_finger_spin", "--runs", tmp_path)
    assert done.exit_code == 0, done.output
    said = rows(done.output)
    assert said[0] == "dmc_finger_spin, v1, size XS, training ratio 512, 2 seeds"
    assert said[1] == "env steps seed 0 seed 1 mean authors z above verdict authors' seeds"
    assert said[2] == "(0, 5,000] 0 2 1 0.4 +- 0.49 +1.2 3 of 5 above 0 0 0 1 1"
    assert said[3] == (
        "(5,000, 10,000] 20.0 70.0 45.0 36.2 +- 32.2 +0.3 3 of 5 inside 0 11.0 21.0 68.0 81.0"
    )
    assert said[4].startswith("(10,000, 15,000] 400 300 350 223 +- 120 +1.1 5 of 5 above 1 206 2")
    assert said[5].startswith("6 of the authors' windows have no episode of these runs: (20,000, ")
    assert said[6] == (
        "Above in (10,000, 15,000], above 5 of the authors' 5 seeds; with model_size XS instead "
        "of S."
    )


def test_the_name_of_the_environment_is_understood(tmp_path):
    path = write_curve(tmp_path / "a.csv", [0] * 5)
    by_env = call("dm_control/finger-spin-v0", "--runs", path)
    assert by_env.exit_code == 0
    assert by_env.output == call("dmc_finger_spin", "--runs", path).output


def test_mixed_settings_have_a_table_each(tmp_path):
    own = write_curve(tmp_path / "a.csv", [0] * 5, seed=0)
    other = {"model_size": "1M", "training_ratio": 256, "lr": 0.001}
    write_curve(tmp_path / "b.csv", [0] * 5, seed=0, **other)
    done = call("dmc_finger_spin", "--runs", own, "--runs", tmp_path / "b.csv")
    said = rows(done.output)
    assert "dmc_finger_spin, v1, size S, training ratio 512, 1 seed" in said
    assert "dmc_finger_spin, v2, size 1M, training ratio 256, 1 seed" in said
    assert "Below in (5,000, 10,000], above 0 of the authors' 5 seeds." in said
    assert (
        "No verdict: variant v2 instead of v1, model_size 1M instead of S, training_ratio 256 "
        "instead of 512." in said
    )
    assert "Other differences: vector_mlp" not in done.output
    assert "Other differences: lr 0.001 instead of 4e-05." in said


def test_a_seed_without_an_episode_in_a_window_is_named(tmp_path):
    write_curve(tmp_path / "a_seed0.csv", [0] * 7, seed=0)
    write_curve(tmp_path / "a_seed1.csv", [0, 0, None, None, None, 0, 0], seed=1)
    said = rows(call("dmc_finger_spin", "--runs", tmp_path).output)
    assert said[3].startswith("(5,000, 10,000] 0 - 0 36.2 +- 32.2 -1.1 0 of 5 none 0 11.0")
    assert "(5,000, 10,000]: no verdict, seed 1 has no episode in (5,000, 10,000]." in said
    assert said[-2].startswith("Below in (10,000, 15,000]")


def test_ten_seeds_of_the_authors_fit_into_a_file(tmp_path):
    vision = {"env_config": {"pixels": True}, "model_size": "12M", "vector_mlp": None}
    write_curve(tmp_path / "a.csv", [0] * 5, num_envs_per_env_runner=16, **vision)
    (line,) = [
        line
        for line in rows(call("dmc_vision_finger_spin", "--runs", tmp_path).output)
        if line.startswith("(0, 5,000]")
    ]
    assert line.endswith("0.75 4.5 5 5 6.5 6.88 6.88 9.62 11.1 11.4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dmc_finger_spinn",), "Unknown task 'dmc_finger_spinn'. Did you mean 'dmc_finger_spin'?"),
        (("dmc_finger_spin", "--runs", "nowhere"), "There is no nowhere."),
        (("dmc_walker_walk", "--runs", "a.csv"), "a.csv has no run of dmc_walker_walk, but of dm"),
        (("dmc_finger_spin", "--runs", "bad.csv"), "bad.csv, line 2: return must be a number"),
        (("dmc_finger_spin", "--runs", "late.csv"), "late.csv: no episode ended in a window"),
        (("dmc_finger_spin", "--variant", "v2"), "dmc_finger_spin has no published returns of v2."),
        ((), "Give a task, or --list."),
        (("dmc_finger_spin", "--list"), "Give a task, or --list."),
        (("dmc_finger_spin", "--runs", "a.csv", "--seeds", "1"), "--runs trains nothing."),
    ],
)
def test_what_is_wrong_is_said(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_curve(tmp_path / "a.csv", [0])
    bad = write_curve(tmp_path / "bad.csv", [0])
    bad.write_text(bad.read_text().replace(",0,500", ",none,500"))
    write_curve(tmp_path / "late.csv", [None] * 8 + [0])
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.output


def test_all_tasks_are_listed():
    lines = [line.split() for line in call("--list").output.splitlines()]
    assert len(lines) == 18 + 2 * 20 + 2 * 26
    assert ["dmc_finger_spin", "dm_control/finger-spin-v0", "v1", "S"] in [x[:4] for x in lines]
    assert ["atari_boxing", "ALE/Boxing-v5", "v2", "200M"] in [x[:4] for x in lines]


@pytest.fixture
def trained(monkeypatch):
    """Writes runs instead of training them."""
    runs = []

    def train(run):
        (experiment,) = from_file(run.example)
        options = {**experiment.config, **run.config, "env": run.env}
        results = [result(steps, 50.0, config=options) for steps in (2000, 4000, 6000)]
        for one in results:
            one["env_runners"]["num_episodes"] = 4
        write_run(run.directory / "trial", results)
        runs.append(run)

    monkeypatch.setattr(seed_runs.SeedRun, "train", train)
    return runs


def test_the_protocol_is_trained_and_judged(trained, tmp_path):
    arguments = ("dmc_finger_spin", "--seeds", 0, "--seeds", 1, "--storage-path", tmp_path)
    done = call(*arguments, "--env-steps", 6000)
    assert done.exit_code == 0, done.output
    assert [run.directory.name for run in trained] == [
        "dmc_finger_spin_v1_seed0",
        "dmc_finger_spin_v1_seed1",
    ]
    assert trained[1].config == {"metrics_num_episodes_for_smoothing": 4, "seed": 1}
    assert (trained[0].env, trained[0].env_steps) == ("dm_control/finger-spin-v0", 6000)
    assert "Above in (0, 5,000], above 5 of the authors' 5 seeds." in rows(done.output)
    # What is complete is not trained again.
    assert call(*arguments, "--env-steps", 6000).output == done.output
    assert len(trained) == 2


def test_other_options_train_another_run(trained, tmp_path):
    config = json.dumps({"model_size": "XS", "num_envs_per_env_runner": 2})
    arguments = ("dmc_finger_spin", "--storage-path", tmp_path, "--env-steps", 6000)
    assert call(*arguments).exit_code == 0
    done = call(*arguments, "--config", config)
    assert len({run.directory for run in trained}) == 2
    assert trained[1].config["metrics_num_episodes_for_smoothing"] == 2
    assert "with model_size XS instead of S, environments 2 instead of 4." in done.output


def test_the_published_number_of_env_steps_is_the_default(trained, tmp_path):
    call("atari_boxing", "--variant", "v2", "--storage-path", tmp_path)
    (run,) = trained
    assert (run.example, run.env, run.env_steps) == ("atari100k_v2", "ALE/Boxing-v5", 100_000)
    assert run.directory.name == "atari_boxing_v2_seed0"


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.file)
def test_tuned_examples_are_their_protocols(benchmark):
    task = "atari_boxing" if benchmark.suite == "atari" else f"{benchmark.prefix}walker_walk"
    (protocol,) = [each for each in protocols_of(task) if each.benchmark == benchmark]
    options = prescribed_options(protocol)
    smoothing = {"metrics_num_episodes_for_smoothing": environments(options)}
    found = differences(protocol, options, {**options, **smoothing})
    assert (found.forbidding, found.others) == ((), ())
    ratios = {"dmc_proprio": 512, "dmc_vision_2023": 512, "dmc_vision_2025": 512}
    ratios |= {"atari100k_2023": 1024, "atari100k_2025": 256}
    assert options["training_ratio"] == ratios[benchmark.file]
    (experiment,) = from_file(benchmark.example)
    assert experiment.stop[ENV_STEPS] >= protocol.scores.windows[-1].end


def test_the_command_starts_without_tensorflow():
    code = (
        "import sys; from rllib_cli.main import main; sys.argv[1:] = ['reproduce', '--list']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'tensorflow', 'ray', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
