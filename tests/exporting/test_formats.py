"""What formats need, refuse, and say of themselves."""

import sys

import pytest
from exported_folders import exported_folder

from rllib_dreamerv3.agent.networks.saved import read_saved_networks, read_weights
from rllib_dreamerv3.errors import ExportError
from rllib_dreamerv3.exporting.folder import export_policy
from rllib_dreamerv3.exporting.step import make_step

pytestmark = pytest.mark.compiled


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


def test_a_missing_package_is_reported_with_its_extra(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ExportError, match=r"needs tf2onnx.*'rllib-dreamerv3\[export\]'"):
        export_policy(checkpoint, tmp_path / "out", ["onnx"])
    assert not (tmp_path / "out").exists()
