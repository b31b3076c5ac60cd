"""What formats need, refuse, and say of themselves."""

import json
import sys

import exported
import numpy as np
import pytest
import tensorflow as tf
from exported_folders import exported_folder

from rllib_dreamerv3.agent.networks.saved import read_saved_networks, read_weights
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.exporting.difference import measure_difference
from rllib_dreamerv3.exporting.folder import export_policy
from rllib_dreamerv3.exporting.step import make_step
from rllib_dreamerv3.portable import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return exported_folder(tmp_path_factory, "v1 nested")


@pytest.fixture(scope="module")
def checkpoint(folder):
    return folder.with_name("checkpoint")


@pytest.fixture(scope="module")
def step(checkpoint):
    return make_step(read_saved_networks(checkpoint), read_weights(checkpoint))


def test_the_step_has_no_xla(step):
    graph = step.function.get_concrete_function(**step.inputs).graph
    assert len(graph.get_operations()) > 100
    definition = graph.as_graph_def()
    assert not definition.library.function
    assert not any("_XlaMustCompile" in node.attr for node in definition.node)


def test_differences_are_measured(step):
    def run(inputs):
        outputs = step.function(**{name: tf.constant(x) for name, x in inputs.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    def changed(inputs):
        out = run(inputs)
        out["next_h"] = out["next_h"] + 0.25
        out["next_index"][:4] = -1  # of 16 environments
        # One of two choices, one of three, two numbers.
        out["mode"][:8, [0, 1]] = out["mode"][:8, [1, 0]]
        out["mode"][:, 5:] -= 0.5
        return out

    same = measure_difference(step, run, run)
    assert same == {
        "steps": 400,
        "h_mean": 0.0,
        "classes_equal": 1.0,
        "choices_equal": 1.0,
        "numbers_mean": 0.0,
    }
    other = measure_difference(step, run, changed)
    # Half of the environments choose otherwise in one of two parts.
    assert other == {
        "steps": 400,
        "h_mean": 0.25,
        "classes_equal": 0.75,
        "choices_equal": 0.75,
        "numbers_mean": 0.5,
    }


def test_int8_acts_and_its_difference_is_written_down(folder):
    models = json.loads((folder / "policy.json").read_text())["models"]
    difference = models["litert_int8"]["difference"]
    assert 0 < difference["h_mean"] < 0.05
    assert f"differs by {difference['h_mean']} " in (folder / "README.md").read_text()
    policy = load(folder, format="litert_int8", mode="mode")
    space = exported.SPACES["v1 nested"][2]
    for observation in exported.observations(exported.SPACES["v1 nested"][1], 5):
        assert space.contains(policy(observation))
    assert np.isfinite(policy.state.h).all()


def test_a_missing_package_is_told_with_its_extra(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ExportError, match=r"needs ai_edge_litert.*'rllib-dreamerv3\[export\]'"):
        export_policy(checkpoint, tmp_path / "out", ["litert"])
    assert not (tmp_path / "out").exists()


def test_numpy_refuses_images(checkpoint, tmp_path):
    with pytest.raises(ExportError, match="'numpy' has no convolutions"):
        export_policy(checkpoint, tmp_path / "out", ["numpy"])
    assert not (tmp_path / "out").exists()
