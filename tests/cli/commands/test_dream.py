"""`rllib dream`: pictures of checkpoints, without running anything of them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from click.testing import CliRunner
from trained import trained_checkpoint

from rllib_cli.main import cli
from rllib_dreamerv3.checkpoints import manifest
from rllib_dreamerv3.reports.dream_plot import MAX_FRAMES
from rllib_dreamerv3.reports.dream_video import COLUMNS, GAP, LEAST_SIDE, LINE
from rllib_dreamerv3.reports.pictures import BORDER, as_colours

REPOSITORY = Path(__file__).parents[3]
WITHOUT_RAY = """
import sys
class NoRay:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "ale_py", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoRay())
from rllib_cli.main import main
main()
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Trials with a checkpoint each, by name."""
    folder = tmp_path_factory.mktemp("saved")
    for name, variant in (("vectors", "v1"), ("images", "v2")):
        trial = trained_checkpoint(tmp_path_factory, variant).parent
        (folder / name).symlink_to(trial, target_is_directory=True)
    return folder


def dream(*arguments):
    done = CliRunner().invoke(cli, ["dream", *map(str, arguments)])
    return done.exit_code, done.output


def sign(path):
    """Writes a manifest that fits the files as they are."""
    (path / manifest.MANIFEST).unlink()
    manifest.write(path, env_steps=1, updates=1)


def test_video_of_images(saved):
    code, output = dream(saved / "images", "--rows", 2, "--length", 9, "--context", 3)
    assert code == 0, output
    assert "dream.mp4: 2 x 9 steps, the first 3 of each sequence observed" in output
    frames = imageio.imread("dream.mp4")
    tile = 64 * -(-LEAST_SIDE // 64) + 2 * BORDER + GAP
    assert frames.shape == (9, 2 * LINE + 2 * tile, len(COLUMNS) * tile, 3)
    assert [x.name for x in Path().iterdir()] == ["dream.mp4"]


def test_truth_is_what_replay_holds(saved):
    code, output = dream(saved / "images", "--rows", 1, "--length", 6, "--out", "dream.gif")
    assert code == 0, output
    frames = imageio.imread("dream.gif")
    assert len(frames) == 6
    scale = -(-LEAST_SIDE // 64)
    shown = frames[:, 2 * LINE + BORDER :, BORDER:][:, : 64 * scale : scale, : 64 * scale : scale]
    stored = np.load(saved / "images/checkpoint_000000/replay_buffer/obs%2Fimage.npy")
    colours = as_colours(stored / np.float32(255)).astype(int)
    # GIF has 256 colours.
    nearest = [np.abs(colours - x).mean((1, 2, 3)).min() for x in shown]
    assert max(nearest) < 4


def test_picture_of_vectors(saved):
    code, output = dream(saved / "vectors", "--length", 10)
    assert code == 0, output
    assert "dream.png: 4 x 10 steps, the first 5 of each sequence observed" in output
    first = imageio.imread("dream.png")
    assert np.unique(first).size > 10
    same, other = (
        dream(saved / "vectors", "--length", 10, "--seed", n, "--out", f"{n}.png") for n in (0, 1)
    )
    assert same[0] == other[0] == 0
    np.testing.assert_array_equal(imageio.imread("0.png"), first)
    assert (imageio.imread("1.png") != first).any()


def test_still_picture_of_images(saved):
    code, output = dream(saved / "images", "--rows", 1, "--length", 20, "--out", "still.png")
    assert code == 0, output
    assert imageio.imread("still.png").shape[1] >= MAX_FRAMES * 64


def test_fewer_sequences_than_requested_are_reported(saved):
    stored = json.loads((saved / "vectors/checkpoint_000000/replay_buffer/index.json").read_text())
    records = stored["num_records"]
    code, output = dream(saved / "vectors", "--length", records, "--rows", 3)
    assert code == 0, output
    assert f"Replay has only 1 of 3 sequences of {records} steps." in output
    code, output = dream(saved / "vectors", "--length", records + 1)
    assert code == 1
    assert f"Request sequences of at most {records} records." in output


def test_neither_ray_nor_the_environment_is_needed(saved):
    """In a process in which neither can be imported."""
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, "dream", saved / "images", "--length", "8"],
        env={"PATH": "", "PYTHONPATH": ":".join([str(REPOSITORY), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert Path("dream.mp4").exists()


def test_damage_is_reported(saved, tmp_path):
    path = shutil.copytree(saved / "vectors/checkpoint_000000", tmp_path / "damaged")
    column = path / "replay_buffer" / "reward.npy"
    column.write_bytes(column.read_bytes()[:-1] + b"x")
    code, output = dream(path, "--length", 10)
    assert code == 1
    assert "reward.npy is damaged: its checksum has changed" in output
    column.unlink()
    assert "reward.npy is missing" in dream(path, "--length", 10)[1]


def test_checkpoints_without_spaces_are_reported(saved, tmp_path):
    path = shutil.copytree(saved / "vectors/checkpoint_000000", tmp_path / "old")
    policy = path / "policy.json"
    content = json.loads(policy.read_text())
    del content["observation_space"], content["action_space"]
    policy.write_text(json.dumps(content))
    sign(path)
    code, output = dream(path)
    assert code == 1
    assert "Restore it once and save it again" in " ".join(output.split())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation_space": {"type": "Graph"}}, "policy.json is damaged: the space is of the"),
        ({"options": {}}, "policy.json is damaged: 'model_size'"),
        ({"action_space": {"type": "MultiBinary", "n": 7}}, "does not fit policy.json. Weights"),
    ],
)
def test_mismatches_are_reported(saved, tmp_path, changes, message):
    path = shutil.copytree(saved / "vectors/checkpoint_000000", tmp_path / "other")
    policy = path / "policy.json"
    policy.write_text(json.dumps(json.loads(policy.read_text()) | changes))
    sign(path)
    code, output = dream(path)
    assert code == 1
    assert message in " ".join(output.split())


def test_a_replay_without_a_column_is_reported(saved, tmp_path):
    path = shutil.copytree(saved / "vectors/checkpoint_000000", tmp_path / "other")
    index = path / "replay_buffer" / "index.json"
    index.write_text(index.read_text().replace('"action"', '"act"'))
    sign(path)
    assert "index.json is damaged: column 'action' does not have" in dream(path)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--context", 50, "--length", 50], "leaves nothing to imagine of --length 50"),
        (["--out", "dream.avi"], "must end in .mp4, .gif or .png"),
        (["--out", "missing/dream.png"], "its directory does not exist"),
        (["--out", "dream.mp4"], "no images: write a picture, --out dream.png"),
        (["--length", 1], "not in the range"),
    ],
)
def test_what_cannot_be_is_refused(saved, arguments, message):
    code, output = dream(saved / "vectors", *arguments)
    assert code == 2
    assert message in " ".join(output.split())
    assert not list(Path().iterdir())
