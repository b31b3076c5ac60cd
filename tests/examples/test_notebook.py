"""The notebook runs from its first cell to the last, and is committed without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_look.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_has_no_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.long
def test_it_runs(notebook, tmp_path):
    (parameters,) = (x for x in notebook.cells if "parameters" in x.metadata.get("tags", ()))
    parameters.source = "MINUTES = 0.01"
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [output for x in notebook.cells if x.cell_type == "code" for output in x.outputs]
    # Returns, dream, and an episode.
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    (mean,) = (x.data["text/plain"] for x in outputs if x.output_type == "execute_result")
    assert -1 <= float(mean) <= 1
    assert (tmp_path / "dream.png").is_file()
