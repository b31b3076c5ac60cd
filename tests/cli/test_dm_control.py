"""Tasks of the DeepMind Control Suite, whose renderer and TensorFlow crash in a wrong order."""

import json
from importlib.util import find_spec

import pytest
from command import TINY, run

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(find_spec("dm_control") is None, reason="needs the extra dmc"),
    pytest.mark.skipif(find_spec("shimmy") is None, reason="needs the extra dmc"),
]


@pytest.mark.parametrize("pixels", [False, True])
def test_a_task_is_trained_and_played(pixels):
    task = (
        "--env",
        "dm_control/cartpole-balance-v0",
        "--env-config",
        json.dumps({"pixels": pixels}),
    )
    code, output = run(
        *("train", "--algo", "DreamerV3", *task, "--config", json.dumps(TINY)),
        *("--stop", '{"training_iteration": 1}', "--storage-path", "results"),
    )
    assert code == 0, output
    video = ("--video", "played.mp4") if pixels else ()
    code, output = run("evaluate", "results/default", "--episodes", 1, *video)
    assert code == 0, output
    assert "mean" in output
