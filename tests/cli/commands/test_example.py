"""``rllib example``, and tuned examples by name."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from rllib_cli import example_files
from rllib_cli.experiment_files import from_file
from rllib_cli.main import cli

EXAMPLES = Path(__file__).parents[3] / "tuned_examples"


def output(*arguments):
    return CliRunner().invoke(cli, ["example", *arguments])


def test_every_example_is_listed_with_a_sentence():
    lines = output("list").output.splitlines()
    assert [line.split()[0] for line in lines] == sorted(
        path.stem for path in EXAMPLES.glob("*.yaml")
    )
    assert all(line.endswith(".") and len(line.split()) > 4 for line in lines)
    assert "CartPole-v1 in about half an hour" in output("list", "-f", "cartpole").output
    assert "atari" not in output("list", "--filter", "cartpole").output


def test_get_prints_the_file():
    assert output("get", "pendulum").output == (EXAMPLES / "pendulum.yaml").read_text()


def test_unknown_example_suggests_a_name():
    result = output("get", "pendulumm")
    assert result.exit_code
    assert "'pendulum" in str(result.exception) + result.output


@pytest.mark.parametrize("name", ["cartpole", "cartpole.yaml", "tuned_examples/cartpole.yaml"])
def test_examples_train_by_name_in_any_directory(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (experiment,) = from_file(name)
    assert experiment.config["env"] == "CartPole-v1"


def test_own_file_comes_before_an_example_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "cartpole.yaml").read_text().replace("CartPole-v1", "Acrobot-v1")
    Path("cartpole.yaml").write_text(text)
    (experiment,) = from_file("cartpole.yaml")
    assert experiment.config["env"] == "Acrobot-v1"


@pytest.mark.parametrize("name", ["../cartpole", "elsewhere/cartpole.yaml", "cartpole.txt"])
def test_other_places_are_not_examples(name):
    assert example_files.find(name) is None
