"""Benchmarks start; that their numbers are right is looked at where they are written down."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import update

PROGRAMS = sorted(
    path
    for path in Path(update.__file__).parent.glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


def test_every_program_explains_itself(monkeypatch, capsys):
    assert len(PROGRAMS) > 10
    for path in PROGRAMS:
        monkeypatch.setattr(sys, "argv", [path.name, "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
        assert end.value.code == 0, path
        assert f"usage: {path.name}" in capsys.readouterr().out


@pytest.mark.long
def test_an_update_is_measured(monkeypatch, capsys):
    arguments = "--workload vector-nano --batch 2 --length 4 --horizon 2 --runs 1 --threads 1"
    monkeypatch.setattr(sys, "argv", ["update.py", *arguments.split(), "--json"])
    update.main()
    numbers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert numbers["median_s"] > 0
    assert numbers["multiple_of_dense_floor"] > 0
    assert 0.0 <= numbers["median_others_cpu_share"] <= numbers["max_others_cpu_share"] <= 1.0
