"""A run whose trial is on another node of the cluster than the command."""

import json
import re

import pytest
from command import TINY, run
from ray.cluster_utils import Cluster

CONFIG = {**TINY, "report_images_and_videos": True, "report_frequency": 2}


@pytest.fixture
def address():
    """A cluster whose head runs no trials."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=2)
    yield cluster.address
    cluster.shutdown()


def train(name, results, *arguments):
    code, output = run(
        *("train", "--algo", "DreamerV3", "--env", "Catch-v0", "--config", json.dumps(CONFIG)),
        *("--stop", json.dumps({"num_grad_updates_lifetime": 4}), "--experiment-name", name),
        *("--storage-path", results, *arguments),
    )
    assert code == 0, output
    asked = "Requests 1 CPU (main process 1) of 2 on 2 machines."
    assert (asked in output) == ("--ray-address" in arguments)
    (trial,) = [path for path in (results / name).glob("DreamerV3_*") if path.is_dir()]
    return trial


def kinds_of_files(trial):
    """Its files, without the numbers in their names, which differ from run to run."""
    files = [str(path.relative_to(trial)) for path in trial.rglob("*") if path.is_file()]
    kinds = {name.partition(".tfevents.")[0] for name in files if "checkpoint" not in name}
    return {re.sub(r"\d{4,}", "N", kind) for kind in kinds}


@pytest.mark.long
def test_its_folder_has_what_a_local_one_has(address, tmp_path):
    remote = train("remote", tmp_path, "--ray-address", address)
    here = train("here", tmp_path)
    assert kinds_of_files(remote) == kinds_of_files(here)
    assert kinds_of_files(remote) >= {
        *("curve.png", "config.yaml", "progress.csv", "result.json", "events.out"),
        *("dreams/N.mp4", "reports/open_loop_N.png"),
    }
