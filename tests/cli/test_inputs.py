"""Which directories modules are imported from."""

import os
import sys
from pathlib import Path

import pytest

from rllib_cli.inputs import extend_import_path
from rllib_dreamerv3.startup import import_path


@pytest.mark.parametrize(
    "names",
    [
        "only_there:Own",
        "only_there.envs:Own-v0",
        {"env": {"grid_search": ["CartPole-v1", "only_there:Own"]}},
        {"callbacks": ["only_there:Reach"]},
        {"callbacks": "only_there.Reach"},
    ],
)
def test_the_working_directory_comes_last_where_a_module_is_only_there(names, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "before")
    Path("only_there").mkdir()
    path = list(sys.path)
    extend_import_path((), names)
    assert sys.path == [*path, os.getcwd()]
    # PYTHONPATH would come before installed packages in the processes that are started.
    assert os.environ["PYTHONPATH"] == "before"
    assert os.environ[import_path.VARIABLE] == os.getcwd()


@pytest.mark.parametrize(
    "names",
    [
        None,
        "CartPole-v1",
        "ALE/Pong-v5",
        "gymnasium:CartPole-v1",
        "http://host",
        "neither_there:Own",
        {"env": "CartPole-v1", "env_config": {"place": "host:8080", "file": "levels.json"}},
    ],
)
def test_it_is_not_searched_for_anything_else(names):
    path = list(sys.path)
    extend_import_path((), names)
    assert sys.path == path
    assert import_path.VARIABLE not in os.environ
