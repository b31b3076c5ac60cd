"""What the command understands, and what it answers to what it does not."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner
from written_run import result, write_run

from rllib_cli import stop_criteria, tune_run
from rllib_cli.errors import InputError
from rllib_cli.experiments import Experiment
from rllib_cli.main import cli
from rllib_dreamerv3.startup import import_path


@pytest.fixture
def ran(monkeypatch):
    """Takes what would be run instead of running it."""
    taken = []

    def take(experiments, options, display):
        taken.append((experiments, options))
        return 0

    monkeypatch.setattr(tune_run, "run_all", take)
    return taken


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_recorded_data_needs_no_environment_and_its_paths_are_absolute(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call(
        *("train", "--algo", "DreamerV3", "--data", "a", "--data", "minari:b/c-v0"),
        *("--config", '{"model_size": "nano"}'),
    )
    assert done.exit_code == 0, done.output
    ((experiment,), _) = ran.pop()
    data = {"input_": [str(tmp_path / "a"), "minari:b/c-v0"]}
    assert experiment.config == {"model_size": "nano", **data}
    assert "DreamerV3 on recorded data" in done.output
    done = call("train", "file", "cartpole.yaml", "--data", "a", "--record", "d")
    assert done.exit_code == 0, done.output
    ((experiment,), _) = ran.pop()
    assert experiment.config["input_"] == [str(tmp_path / "a")]
    assert experiment.config["output"] == str(tmp_path / "d")
    assert experiment.config["env"] == "CartPole-v1"


def test_parts_of_a_checkpoint(ran):
    train = ("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--parts", "rssm,decoder")
    done = call(*train)
    assert done.exit_code == 2
    assert "--parts requires --from-checkpoint" in done.output
    done = call(*train, "--from-checkpoint", "run")
    assert done.exit_code == 0, done.output
    ((experiment,), options) = ran.pop()
    assert experiment.config["start_parts"] == "rssm,decoder"
    assert options.from_checkpoint == "run"
    # The same command continues a run from its own checkpoints.
    done = call(*train, "--from-checkpoint", "run", "--resume")
    assert done.exit_code == 0, done.output
    (_, options) = ran.pop()
    assert options.resume
    assert options.from_checkpoint is None


def test_a_file_without_an_environment_needs_recorded_data(ran):
    Path("x.yaml").write_text("x: {run: DreamerV3}")
    done = call("train", "file", "x.yaml")
    assert done.exit_code == 2
    assert "names no environment" in done.output
    done = call("train", "file", "x.yaml", "--data", "a")
    assert done.exit_code == 0, done.output


def test_train_by_options(ran):
    done = call(
        *("train", "--run", "DreamerV3", "--env", "CartPole-v1"),
        *("--config", '{"model_size": "nano"}', "--stop", '{"timesteps_total": 1000}'),
        *("--experiment-name", "mine", "--num-samples", 3, "--storage-path", "results"),
        *("--checkpoint-freq", 5, "--no-checkpoint-at-end", "--keep-checkpoints-num", 2),
        *("--checkpoint-score-attr", "episode_reward_mean", "--framework", "tf2"),
        *("--ray-address", "10.0.0.1:6379", "--ray-num-cpus", 4, "--ray-num-gpus", 1),
        *("--ray-object-store-memory", 10**9, "--resume", "--scheduler", "asha"),
        *("--scheduler-config", '{"max_t": 10}', "-vv"),
    )
    assert done.exit_code == 0, done.output
    (((experiment,), options),) = ran
    assert experiment.name == "mine"
    assert experiment.algorithm == "DreamerV3"
    assert experiment.config == {"env": "CartPole-v1", "model_size": "nano"}
    assert experiment.stop == {"num_env_steps_sampled_lifetime": 1000}
    assert experiment.num_samples == 3
    assert experiment.directory() == str(Path.cwd() / "results" / "mine")
    assert experiment.checkpoint == {
        "checkpoint_frequency": 5,
        "checkpoint_at_end": False,
        "num_to_keep": 2,
        "checkpoint_score_attribute": "env_runners/episode_return_mean",
    }
    assert options == tune_run.RunOptions(
        verbosity=2,
        resume=True,
        scheduler="asha",
        scheduler_config={"max_t": 10},
        ray={
            "address": "10.0.0.1:6379",
            "num_cpus": 4,
            "num_gpus": 1,
            "object_store_memory": 10**9,
        },
    )


def test_train_by_file_says_at_once_what_will_run(ran):
    Path("x.yaml").write_text(
        "x:\n  run: DreamerV3\n  env: CartPole-v1\n  stop: {training_iteration: 5}\n"
        "  checkpoint_config: {checkpoint_at_end: false}\n"
    )
    done = call("train", "file", "x.yaml", "--stop", '{"time_total_s": 60}', "--env", "Pendulum-v1")
    assert done.exit_code == 0, done.output
    (((experiment,), options),) = ran
    assert experiment.stop == {"training_iteration": 5, "time_total_s": 60}
    assert experiment.config["env"] == "Pendulum-v1"
    assert experiment.checkpoint == {"checkpoint_at_end": False}
    assert options == tune_run.RunOptions(scheduler="fifo", ray={})
    assert "DreamerV3 on Pendulum-v1, until training_iteration >= 5 or" in done.output


def test_options_of_a_config_may_stand_beside_a_file(ran):
    Path("x.yaml").write_text(
        "x:\n  run: DreamerV3\n  config: {model_size: nano, seed: 1}\n"
        "  checkpoint_config: {checkpoint_at_end: false}\n"
    )
    done = call("train", "file", "x.yaml", "--config", '{"seed": 3, "env": "CartPole-v1"}')
    assert done.exit_code == 0, done.output
    (((experiment,), _),) = ran
    assert experiment.config == {"model_size": "nano", "seed": 3, "env": "CartPole-v1"}
    done = call("train", "file", "x.yaml", "--env", "A", "--config", '{"sed": 3}')
    assert done.exit_code == 2
    assert "Unknown option 'sed'. Did you mean 'seed'?" in done.output


def test_options_of_older_versions_say_why_they_do_nothing(ran):
    arguments = ["train", "--algo", "DreamerV3", "--env", "CartPole-v1"]
    for option in ("--ray-ui", "--local-mode", "--trace", "--eager"):
        arguments.append(option)
    for option in ("--ray-num-nodes", "--resources-per-trial", "--upload-dir"):
        arguments += [option, "2"]
    done = call(*arguments)
    assert done.exit_code == 0, done.output
    assert done.output.count("has no effect: ") == 7
    assert len(ran) == 1


def write_several():
    Path("two.yaml").write_text("a: {run: DreamerV3, env: X}\nb: {run: DreamerV3, env: X}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "Give a file"),
        (["train", "--algo", "DreamerV3"], "--env NAME"),
        (["train", "file"], "Missing argument 'FILE'"),
        (["train", "file", "missing.yaml"], "There is no file missing.yaml"),
        (["train", "--stop", "{}", "file", "two.yaml"], "Options go after the file"),
        (["train", "file", "two.yaml", "--experiment-name", "x"], "contains several"),
        (["train", "file", "two.yaml", "--stop", "{1"], "--stop.*not valid JSON"),
        (["train", "file", "two.yaml", "--stop", '{"a": 1, "a": 2}'], "duplicate key 'a'"),
        (["train", "file", "two.yaml", "--num-samples", "0"], "not in the range"),
        (["train", "file", "two.yaml", "--stop", "[1]"], "must be a JSON object"),
        (["train", "file", "two.yaml", "--stop", '{"episode_len_men": 1}'], "'episode_len_mean'"),
        (["train", "file", "two.yaml", "--num-samples", "x"], "not a valid integer"),
        (["train", "--algo", "DreamerV3", "--env", "X", "--framework", "torch"], "TensorFlow 2"),
        (["train", "--alg", "DreamerV3"], "--algo"),
        (["evaluate"], "Missing argument 'CHECKPOINT'"),
        (["evaluate", ".", "--episodes", "0"], "not in the range"),
        (["evaluate", ".", "--algo", "PPO"], "not of PPO"),
        (["trian"], "No such command 'trian'"),
        (["train", "a.yaml"], "Did you mean: rllib train file a.yaml"),
        # Neither lists --eager and --trace, which are hidden and have no effect.
        (["train", "--eeger"], "No such option '--eeger'. *$"),
        (["train", "file", "two.yaml", "--trase"], "No such option '--trase'. *$"),
        (["train", "--name", "x"], "'. Did you mean '--experiment-name'\\?"),
        (["train", "--experiment_name", "x"], "'. Did you mean '--experiment-name'\\?"),
        (["rollout", "checkpoint"], "now called evaluate: rllib evaluate CHECKPOINT"),
    ],
)
def test_wrong_use_is_reported_with_exit_code_2(ran, arguments, message):
    write_several()
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert message_in(message, done.output), done.output
    assert "Traceback" not in done.output
    assert ran == []


def message_in(message, output):
    return re.search(message, output.replace("\n", " "))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algo", "DreamerV4"], "Unknown algorithm 'DreamerV4'. Did you mean 'DreamerV3'"),
        (["--config", '{"model_sise": "XS"}'], "'model_sise'. Did you mean 'model_size'"),
        (["--config", '{"model_size": "gigantic"}'], "gigantic"),
        (["--config", '{"horizon_H": {"grid_search": [5, -1]}}'], "horizon_H"),
        (["--scheduler", "ash"], "Unknown scheduler 'ash'. Did you mean 'asha'"),
        (
            ["--scheduler", "asha", "--scheduler-config", '{"max_tt": 3}'],
            "'max_tt'. Did you mean 'max_t'",
        ),
        (["--scheduler", "pb2"], "Error: --scheduler pb2 needs .*: pip install scikit-learn"),
        (
            ["--scheduler", "pbt"],
            r"Error: --scheduler pbt needs hyperparam_mutations, .*"
            r"""--scheduler-config '{"hyperparam_mutations": {"entropy_scale": \[.*\]}}'""",
        ),
        (["--resume", "--storage-path", "nowhere"], "no experiment in .*/nowhere/default"),
    ],
)
def test_wrong_experiments_are_refused_before_ray_starts(options, message, monkeypatch):
    import ray

    monkeypatch.setitem(sys.modules, "sklearn", None)
    before = ray.is_initialized()
    done = call("train", "--algo", "DreamerV3", "--env", "CartPole-v1", *options)
    assert done.exit_code == 2, done.output
    assert message_in(message, done.output), done.output
    assert "Traceback" not in done.output
    assert ray.is_initialized() == before


def test_verbose_adds_the_traceback():
    # Only the complete config shows it.
    options = '{"batch_size_B": 16, "num_learners": 3}'
    arguments = ["train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--config", options]
    assert "Traceback" not in call(*arguments).output
    assert "Traceback (most recent call last)" in call(*arguments, "-v").output


def rllib(*arguments):
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rllib_cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["train", "file", "--help"], ["version"], ["--version"]],
)
def test_what_needs_neither_tensorflow_nor_ray_imports_neither(arguments):
    done = rllib(*arguments)
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "rllib_cli.main" in imported or "rllib_cli" in imported
    assert not {"tensorflow", "ray", "numpy"} & imported
    assert done.stdout.startswith(("Usage:", "rllib-dreamerv3"))


def test_console_script_gives_exit_codes():
    assert rllib("train", "file", "missing.yaml").returncode == 2
    assert rllib("evaluate", "missing").returncode == 1


def test_versions_are_those_installed():
    import ray

    output = call("version").output
    assert f"ray                     {ray.__version__}" in output
    assert re.search(r"^rllib-dreamerv3 +\d", output, re.MULTILINE)
    assert re.search(r"^tensorflow +\d", output, re.MULTILINE)
    assert call("--version").output == output


def test_help_shows_each_example_on_separate_lines():
    output = call("train", "--help").output
    assert "\\b" not in output
    lines = [line.strip() for line in output.splitlines()]
    assert "rllib train file tuned_examples/cartpole.yaml" in lines
    assert "rllib train --algo DreamerV3 --env CartPole-v1 \\" in lines


@pytest.mark.parametrize("command", [["train"], ["train", "file"]])
def test_help_says_what_stop_criteria_and_schedulers_there_are(command):
    from ray.tune.schedulers import SCHEDULER_IMPORT

    output = call(*command, "--help").output
    stops = re.findall(r"^ *--stop '(.*)'$", output, re.MULTILINE)
    assert stops
    assert {name for stop in stops for name in json.loads(stop)} <= set(stop_criteria.KNOWN)
    (scheduler,) = re.findall(r"--scheduler-config '(.*?)'", output, re.DOTALL)
    assert json.loads(scheduler).keys() == {"time_attr", "grace_period", "max_t"}
    (others,) = re.findall(r"Others: ([^.]*)\.", output)
    assert {name.strip() for name in others.split(",")} <= set(stop_criteria.KNOWN)
    (listed,) = re.findall(r"Tune scheduler: (.*)\.\n *--scheduler-config", output, re.DOTALL)
    names = set(re.sub(r"\(.*?\)", "", listed, flags=re.DOTALL).replace(" or ", ",").split(","))
    assert {name.strip() for name in names} - {"asha"} <= SCHEDULER_IMPORT.keys()


def test_an_environment_of_ones_own_is_named_with_options_and_directory(ran):
    Path("there").mkdir()
    Path("here.py").touch()
    Path("x.yaml").write_text(
        "x:\n  run: DreamerV3\n  env: CartPole-v1\n  config: {env_config: {a: 1, b: 2}}\n"
    )
    options = ("--env", "here:Reach", "--env-config", '{"b": 3}', "--pythonpath", "there")
    done = call("train", "file", "x.yaml", *options)
    assert done.exit_code == 0, done.output
    (((experiment,), run_options),) = ran
    assert experiment.config == {"env": "here:Reach", "env_config": {"a": 1, "b": 3}}
    assert run_options.pythonpath == ("there",)
    # Here, and in the processes that Ray starts.
    there = str(Path("there").resolve())
    assert sys.path[0] == os.environ["PYTHONPATH"].split(os.pathsep)[0] == there
    # After everything that is installed.
    assert sys.path[-1] == os.environ[import_path.VARIABLE] == str(Path.cwd())
    assert "DreamerV3 on here:Reach" in done.output
    done = call("train", "--algo", "DreamerV3", "--env", "x:Y", "--pythonpath", "nowhere")
    assert done.exit_code == 2
    assert "'nowhere' does not exist" in done.output


@pytest.mark.parametrize(("option", "package"), [("--wandb", "wandb"), ("--mlflow", "mlflow")])
def test_a_service_needs_its_package_and_a_name(option, package):
    train = ("train", "--algo", "DreamerV3", "--env", "CartPole-v1", "--storage-path", "results")
    done = call(*train, option, " ")
    assert done.exit_code == 2
    assert f"{option} needs a name" in done.output
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    done = call(*train, option, "mine")
    assert done.exit_code == 2
    assert f"{option} needs the package {package}" in done.output
    assert f"pip install {package}" in done.output
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("stop", "refused"),
    [
        ({"num_env_steps_sampled_lifetime": 9}, True),
        ({"env_runners/episode_return_mean": 9}, True),
        ({"num_env_steps_sampled_lifetime": 9, "num_grad_updates_lifetime": 9}, False),
        ({"num_grad_updates_lifetime": 9}, False),
        ({}, False),
    ],
)
def test_a_run_that_samples_nothing_needs_a_stop_criterion_that_it_reaches(stop, refused):
    data = {"env": "CartPole-v1", "input_": "data"}
    experiment = Experiment("x", "DreamerV3", data, stop)
    options = tune_run.RunOptions()
    if refused:
        with pytest.raises(InputError, match="is never reached"):
            tune_run._check(experiment, options)
    else:
        assert tune_run._check(experiment, options)
    sampling = Experiment("x", "DreamerV3", {**data, "pretrain_updates": 5}, stop)
    assert tune_run._check(sampling, options)


ENDING = """
import atexit, sys, time
from rllib_cli.main import main
atexit.register(lambda: [time.sleep(0.1) for _ in range(600)])
atexit.register(print, "ending", flush=True)
sys.argv[1:] = COMMAND
main()
"""


# Returns, ends with sys.exit(), and raises an error.
@pytest.mark.parametrize("command", [["version"], ["doctor", "run"], ["doctor", "none"]])
def test_ctrl_c_ends_the_command_while_libraries_shut_down(command):
    write_run(Path("run/trial"), [result(100, 1.0)])
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING.replace("COMMAND", repr(command))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    shown = ""
    while "ending" not in shown:
        line = process.stdout.readline()
        assert line, shown
        shown += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (130, "")
    assert len(shown.splitlines()) > 1
