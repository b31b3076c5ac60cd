"""What documents tell people to type: commands that the command understands, Python that runs."""

import ast
import importlib
import os
import shlex
import sys
from pathlib import Path

import click
import pytest
import tiny_run
import yaml
from click.testing import CliRunner
from command import run
from documents import PAGES, ROOT, blocks, commands

from rllib_cli.main import cli
from rllib_dreamerv3 import DreamerV3Config

FIRST_RUN = ROOT / "docs" / "first_run.md"
COMMANDS = [
    (str(page.relative_to(ROOT)), command)
    for page in PAGES
    for command in commands(page.read_text())
]
PYTHON = [
    (str(page.relative_to(ROOT)), block)
    for page in PAGES
    for block in blocks(page.read_text(), "python")
]


def test_commands_are_found_wherever_they_stand():
    text = (
        "    rllib one\n\n"
        "A `rllib inline` is none.\n\n"
        "    cd x && .venv/bin/rllib two\n      1   292\n\n"
        "1. In a list:\n\n        rllib three --a \\\n            b\n\n"
        "```console\n$ rllib four\nPlay it:  rllib five\n```\n\n"
        "```python\nrllib six\n```\n\nrllib seven\n"
    )
    assert commands(text) == [
        "rllib one",
        "rllib two",
        "rllib three --a b",
        "rllib four",
    ]
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/first_run.md"}


@pytest.fixture
def understood(monkeypatch, tmp_path):
    """Lets the command read its arguments and do nothing; takes what it has understood."""
    taken = []

    def callbacks(command):
        monkeypatch.setattr(command, "callback", lambda *args, **said: taken.append(said))
        for one in getattr(command, "commands", {}).values():
            callbacks(one)

    callbacks(cli)
    monkeypatch.setenv("HOME", str(tmp_path))
    # Of --pythonpath, which has to exist.
    (tmp_path / "project").mkdir()
    # The reader's module of docs/callbacks.md.
    callback = "from ray.rllib.callbacks.callbacks import RLlibCallback as Reach\n"
    (tmp_path / "my_callbacks.py").write_text(callback)
    monkeypatch.syspath_prepend(tmp_path)
    # Of another test.
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)
    return taken


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_the_command_understands_it(understood, tmp_path, page, command):
    arguments = [
        os.path.expanduser(word).replace("/home/me", str(tmp_path))
        for word in shlex.split(command)[1:]
    ]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert arguments[0] in cli.commands
    for said in understood:
        if said.get("config") and arguments[0] != "check-env":
            DreamerV3Config().update_from_dict(said["config"])
    for path in arguments:
        if path.startswith(("tuned_examples/", "benchmarks/")):
            assert (ROOT / path).exists(), f"there is no {path}"


def test_a_command_that_is_misspelt_is_noticed(understood):
    for wrong in (["trian"], ["train", "--enf", "CartPole-v1"], ["train", "--stop", "{1}"]):
        assert CliRunner().invoke(cli, wrong).exit_code == click.UsageError.exit_code


@pytest.mark.parametrize(("page", "block"), PYTHON)
def test_python_is_whole_and_its_imports_exist(page, block):
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rllib_"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.long
def test_the_first_run_from_training_to_the_policy(monkeypatch, tmp_path, capsys):
    text = FIRST_RUN.read_text()
    play, train, *others = commands(text)
    example = Path(shlex.split(train)[-1])
    # The same run, but that it is over after two results, and with a smaller model.
    (experiments,) = [yaml.safe_load((ROOT / example).read_text())]
    for experiment in experiments.values():
        experiment["config"] |= {**tiny_run.TINY, "min_time_s_per_iteration": 1}
        experiment["stop"] = {"training_iteration": 2}
    monkeypatch.setenv("HOME", str(tmp_path))
    example.parent.mkdir()
    example.write_text(yaml.safe_dump(experiments))

    code, output = run(*shlex.split(train)[1:])
    assert code == 0, output
    assert len(others) >= 4
    # Later commands do not start Ray, and need no separate process.
    for command in (play, *others):
        words = [os.path.expanduser(word) for word in shlex.split(command)]
        done = CliRunner().invoke(cli, words[1:])
        assert done.exit_code == 0, (command, done.output)
        if "--out" in words:
            assert Path(words[words.index("--out") + 1]).stat().st_size > 1000
    (program,) = blocks(text, "python")
    exec(compile(program, FIRST_RUN, "exec"), {})
    assert capsys.readouterr().out in ("caught\n", "missed\n")
