"""The wheel stands alone: trains, evaluates and exports where there is no checkout."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tiny import TINY

ROOT = Path(__file__).parents[1]
RUN = "cartpole-dreamerv3"


def ran(*command, cwd, **variables):
    env = {**os.environ, "RLLIB_DREAMERV3_EAGER": "1", **variables}
    # Else what is tested would be the checkout.
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(x) for x in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since building writes beside the sources."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("rllib_dreamerv3", "rllib_cli", "tuned_examples"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ran(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", "dist", ".", cwd=copy)
    (file,) = copy.glob("dist/*.whl")
    return file


@pytest.fixture(scope="module")
def bin(wheel, tmp_path_factory):
    """The commands of an environment with the wheel, beside the packages that are here."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=False)
    (packages,) = directory.glob("lib/*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(here))
    options = ("--no-deps", "--no-index", "--ignore-installed", "--prefix", directory)
    ran(sys.executable, "-m", "pip", "install", *options, wheel, cwd=directory)
    script = (directory / "bin" / "rllib").read_text().splitlines()
    (directory / "bin" / "rllib").write_text("\n".join([f"#!{directory}/bin/python", *script[1:]]))
    return directory / "bin"


@pytest.mark.long
def test_wheel_trains_evaluates_and_exports_from_an_empty_directory(bin, tmp_path):
    where = "import rllib_dreamerv3 as x; print(x.__file__)"
    assert str(bin.parent) in ran(bin / "python", "-c", where, cwd=tmp_path)
    rllib = bin / "rllib"
    assert "cartpole" in ran(rllib, "example", "list", cwd=tmp_path)
    assert "quantiles" in ran(rllib, "evaluate", "pretrained:catch", cwd=tmp_path)
    config = ("--config", json.dumps(TINY), "--stop", '{"num_env_steps_sampled_lifetime": 40}')
    ran(
        *(rllib, "train", "file", "cartpole.yaml", *config, "--storage-path", tmp_path),
        cwd=tmp_path,
        RAY_worker_niceness="0",
    )
    assert (next(tmp_path.glob(f"{RUN}/DreamerV3*")) / "curve.png").is_file()
    assert "quantiles of returns" in ran(rllib, "evaluate", RUN, "--episodes", "1", cwd=tmp_path)
    ran(rllib, "export", RUN, "--format", "savedmodel", "--out", "exported", cwd=tmp_path)
    assert (tmp_path / "exported" / "policy.json").is_file()


@pytest.mark.long
def test_wheel_has_no_links_to_files_that_only_the_repository_has(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (x for x in archive.namelist() if x.endswith("/METADATA"))
        description = archive.read(metadata).decode().partition("\n\n")[2]
        data = [x for x in archive.namelist() if x.startswith("rllib_dreamerv3/reports/reference")]
    assert "## Three ways in" in description
    links = [x.partition(")")[0] for x in description.split("](")[1:]]
    assert links
    assert [x for x in links if not x.startswith(("https://", "#"))] == []
    assert data
