import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from rllib_cli.errors import InputError
from rllib_cli.experiment_files import from_file
from rllib_cli.experiments import Experiment


def write(text, name="experiment.yaml"):
    Path(name).write_text(dedent(text))
    return name


def test_yaml_file_with_every_key():
    (experiment,) = from_file(
        write("""
            pong:
              run: DreamerV3
              env: ale_py:ALE/Pong-v5
              stop: {num_env_steps_sampled_lifetime: 1000, env_runners: {episode_return_mean: 18}}
              config: {model_size: XS, env_config: {frameskip: 4}}
              checkpoint_config: {checkpoint_frequency: 10, num_to_keep: 3}
              num_samples: 2
              storage_path: results
              max_failures: 1
              max_concurrent_trials: 4
              time_budget_s: 3600
        """)
    )
    assert experiment == Experiment(
        name="pong",
        algorithm="DreamerV3",
        config={
            "env": "ale_py:ALE/Pong-v5",
            "model_size": "XS",
            "env_config": {"frameskip": 4},
        },
        stop={"num_env_steps_sampled_lifetime": 1000, "env_runners/episode_return_mean": 18},
        checkpoint={"checkpoint_frequency": 10, "num_to_keep": 3},
        num_samples=2,
        storage_path="results",
        max_failures=1,
        max_concurrent_trials=4,
        time_budget_s=3600,
    )
    assert experiment.directory() == str(Path.cwd() / "results" / "pong")


def test_several_experiments_and_grid_search_keep_their_order():
    experiments = from_file(
        write("""
            second: {run: DreamerV3, env: {grid_search: [A-v1, B-v1]}}
            first:
              run: DreamerV3
              env: A-v1
              config: {training_ratio: {grid_search: [64, 512]}}
        """)
    )
    assert [experiment.name for experiment in experiments] == ["second", "first"]
    assert experiments[0].config["env"] == {"grid_search": ["A-v1", "B-v1"]}
    assert experiments[1].config["training_ratio"] == {"grid_search": [64, 512]}


@pytest.mark.parametrize("number", ["3e-4", "3E-4", "3.e-4", "0.0003", "+3e-04"])
def test_numbers_that_look_like_numbers_are_numbers(number):
    (experiment,) = from_file(
        write(f"x: {{run: DreamerV3, env: A-v1, config: {{critic_lr: {number}}}}}")
    )
    assert experiment.config["critic_lr"] == pytest.approx(3e-4)


def test_yaml_strings_stay_strings():
    (experiment,) = from_file(write("x: {run: Other, config: {env: x, a: e4, b: 4e, c: 1e5x}}"))
    assert experiment.config == {"env": "x", "a": "e4", "b": "4e", "c": "1e5x"}


def test_keys_of_older_files_are_accepted_with_notes():
    (experiment,) = from_file(
        write("""
            old:
              run: DreamerV3
              env: CartPole-v1
              local_dir: results
              checkpoint_freq: 5
              checkpoint_at_end: false
              keep_checkpoints_num: 2
              checkpoint_score_attr: min-episode_len_mean
              pass_criteria: {episode_reward_mean: 400}
              stop: {episode_reward_mean: 450, timesteps_total: 1e5}
        """)
    )
    assert experiment.storage_path == "results"
    assert experiment.checkpoint == {
        "checkpoint_frequency": 5,
        "checkpoint_at_end": False,
        "num_to_keep": 2,
        "checkpoint_score_attribute": "env_runners/episode_len_mean",
        "checkpoint_score_order": "min",
    }
    assert experiment.stop == {
        "env_runners/episode_return_mean": 450,
        "num_env_steps_sampled_lifetime": 100_000,
    }
    reported = "\n".join(experiment.notes)
    for old in ("local_dir", "checkpoint_freq", "pass_criteria", "timesteps_total"):
        assert old in reported


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: {run: DreamerV3, stopp: {}}", "experiment 'x': Unknown key 'stopp'.*'stop'"),
        ("x: {env: CartPole-v1}", "'x': it does not name the algorithm"),
        ("x: {run: DreamerV3}", "'x': it names no environment: `env: CartPole-v1`, or --env"),
        ("x: 3", "'x': it must contain keys"),
        ("- x", "describes no experiment"),
        ("", "describes no experiment"),
        ("x: {run: DreamerV3\ny: 2", "line 2, column 2.*not valid YAML"),
        ("x: !!python/object/apply:os.getcwd []", "not valid YAML.*could not determine"),
    ],
)
def test_wrong_yaml_is_refused_by_name(text, message):
    with pytest.raises(InputError, match=f"(?s)experiment.yaml.*{message}") as info:
        from_file(write(text))
    assert info.value.exit_code == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run: 3", "run must be the name of an algorithm, not 3"),
        ("env: [A-v1]", "env must be the name of an environment, not ['A-v1']"),
        ("env: ", "names no environment"),
        ("config: [1]", "config must be a mapping, not [1]"),
        ("config: {env_config: }", "env_config must be a mapping of"),
        ("config: {replay_buffer_config: null}", "replay_buffer_config must be a mapping"),
        ("config: {gamma: {grid_search: []}}", "config/gamma: grid_search must be a list of at"),
        ("config: {env_config: {size: {grid_search: 3}}}", "config/env_config/size: grid_search"),
        ("num_samples: many", "num_samples must be a whole number of at least 1, not 'many'"),
        ("num_samples: 0", "num_samples must be a whole number of at least 1, not 0"),
        ("num_samples: ", "num_samples must be a whole number of at least 1, not None"),
        ("max_failures: -2", "max_failures must be a whole number of at least -1"),
        ("max_concurrent_trials: two", "of at least 1 or None, not 'two'"),
        ("time_budget_s: 1h", "time_budget_s must be a number above 0 or None"),
        ("storage_path: 3", "storage_path must be a directory or a URI, not 3"),
        ("checkpoint_config: 3", "checkpoint_config must be a mapping, not 3"),
        ("checkpoint_config: {checkpoint_freqency: 1}", "'checkpoint_frequency'"),
        (
            "checkpoint_config: {checkpoint_frequency: often}",
            "checkpoint_frequency must be a whole number of at least 0, not 'often'",
        ),
        ("checkpoint_config: {num_to_keep: 0}", "of at least 1 or None, not 0"),
        ("checkpoint_config: {checkpoint_at_end: 'no'}", "must be true or false, not 'no'"),
        (
            "checkpoint_config: {checkpoint_score_attribute: 7}",
            "checkpoint_score_attribute must be a name or None, not 7",
        ),
        ("checkpoint_config: {checkpoint_score_order: up}", "must be 'max' or 'min'"),
        ("checkpoint_freq: often", "checkpoint_frequency must be a whole number"),
    ],
)
def test_a_key_that_cannot_have_its_value_is_named(line, message):
    rest = [key for key in ("run: DreamerV3", "env: A-v1") if key.split()[0] != line.split()[0]]
    file = write("x:\n  " + "\n  ".join([*rest, line]) + "\n")
    pattern = rf"^experiment\.yaml: experiment 'x': .*{re.escape(message)}"
    with pytest.raises(InputError, match=pattern) as info:
        from_file(file)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: {run: A}\ny: {run: A}\nx: {run: A}", "line 3: the experiment 'x'"),
        ("x:\n  env: A\n  env: B", "line 3: the key 'env'"),
        ("x:\n  config: &c\n    gamma: 1\n    gamma: 1\n  stop: *c", "line 4: the key 'gamma'"),
    ],
)
def test_what_a_file_says_twice_is_refused(text, message):
    with pytest.raises(InputError, match=f"experiment.yaml, {message} is a duplicate of line"):
        from_file(write(text))


def test_merged_mappings_may_be_overridden():
    (experiment,) = from_file(
        write("x: {run: Other, env: A, config: {a: &a {b: 1, c: 2}, d: {<<: *a, b: 3}}}")
    )
    assert experiment.config["d"] == {"b": 3, "c": 2}


def test_an_environment_of_the_command_line_stands_for_that_of_the_file():
    (experiment,) = from_file(write("x: {run: DreamerV3}"), env="CartPole-v1")
    assert experiment.env_name == "CartPole-v1"


def test_reading_yaml_executes_nothing(monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    Path("evil.py").write_text("open('executed', 'w')\nraise SystemError('was executed')")
    (experiment,) = from_file(
        write("""
            x:
              run: DreamerV3
              env: "evil:X-v0"
              config: {callbacks: evil.Callbacks, env_config: {maker: evil.make}}
        """)
    )
    assert experiment.config["callbacks"] == "evil.Callbacks"
    assert experiment.env_name == "evil:X-v0"
    write("x: {run: DreamerV3, env: CartPole-v1, config: {env: !!python/name:evil.X }}")
    with pytest.raises(InputError, match="not valid YAML"):
        from_file("experiment.yaml")
    assert "evil" not in sys.modules
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.yaml", "There is no file missing.yaml"),
        ("tuned_examples/first_lok.yaml", "Did you mean 'first_look'?"),
        ("https://example.org/x.yaml", "is a URL"),
        ("x.json", "neither a YAML file"),
    ],
)
def test_what_is_no_experiment_file_is_refused(path, message):
    Path("x.json").write_text("{}")
    with pytest.raises(InputError, match=message):
        from_file(path)


def test_python_file_gives_config_and_stop():
    (experiment,) = from_file(
        write(
            """
            import gymnasium as gym
            from rllib_dreamerv3 import DreamerV3Config

            class MyEnv(gym.Env):
                pass

            config = DreamerV3Config().environment(MyEnv).training(model_size="nano")
            stop = {"training_iteration": 2}
            """,
            "mine.py",
        )
    )
    from rllib_dreamerv3 import DreamerV3

    assert experiment.name == "mine"
    assert experiment.algorithm is DreamerV3
    assert experiment.algorithm_name == "DreamerV3"
    assert experiment.env_name == "MyEnv"
    assert experiment.config["model_size"] == "nano"
    assert experiment.stop == {"training_iteration": 2}


def test_environment_of_a_python_file_reaches_processes_that_cannot_import_it():
    import subprocess

    from ray import cloudpickle

    (experiment,) = from_file(
        write(
            """
            import gymnasium as gym
            from rllib_dreamerv3 import DreamerV3Config

            class MyEnv(gym.Env):
                answer = 42

            config = DreamerV3Config().environment(MyEnv)
            """,
            "other.py",
        )
    )
    Path("env.pickle").write_bytes(cloudpickle.dumps(experiment.config["env"]))
    code = "import pickle; print(pickle.load(open('env.pickle', 'rb')).answer)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "42", done.stderr


def test_what_a_python_file_registers_reaches_processes_that_cannot_import_it():
    import subprocess

    from_file(
        write(
            """
            import gymnasium as gym
            from pathlib import Path
            from ray import cloudpickle
            from rllib_dreamerv3 import DreamerV3Config

            class MyEnv(gym.Env):
                answer = 42

            # What register_env does with a function as soon as it is called.
            Path("creator.pickle").write_bytes(cloudpickle.dumps(lambda env_config: MyEnv()))
            config = DreamerV3Config().environment(MyEnv)
            """,
            "registering.py",
        )
    )
    code = "import pickle; print(pickle.load(open('creator.pickle', 'rb'))({}).answer)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "42", done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config = 3", "must define `config`, a DreamerV3Config"),
        ("stop = {}", "must define `config`"),
        ("x = 1\n1 / 0", "mine.py, line 2 failed: ZeroDivisionError"),
        (
            "from rllib_dreamerv3 import DreamerV3Config\nconfig = DreamerV3Config()\nstop = 3",
            "`stop` must be a dict",
        ),
        (
            "from rllib_dreamerv3 import DreamerV3Config\nconfig = DreamerV3Config()",
            "`config` names no environment.*--env NAME",
        ),
    ],
)
def test_wrong_python_file_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        from_file(write(text, "mine.py"))


def test_recorded_data_replaces_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_data = (
        "from rllib_dreamerv3 import DreamerV3Config\n"
        "config = DreamerV3Config().offline_data(input_='data')"
    )
    (experiment,) = from_file(write(with_data, "mine.py"))
    # Options over those of the file are relative to the working directory, too.
    found = experiment.changed(config={"output": {"grid_search": ["a", "b"]}}).config
    assert found["output"] == {"grid_search": [str(tmp_path / "a"), str(tmp_path / "b")]}
    (experiment,) = from_file(write("x: {run: DreamerV3, config: {input: data}}"))
    assert experiment.env_name == "recorded data"
    without = "from rllib_dreamerv3 import DreamerV3Config\nconfig = DreamerV3Config()"
    for file in (write("x: {run: DreamerV3}"), write(without, "other.py")):
        (experiment,) = from_file(file, has_data=True)
        assert experiment.config.get("env") is None
