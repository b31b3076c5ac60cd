"""The examples run, and act as load_policy() does."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import exported
import numpy as np
import pytest
import tensorflow as tf
from exported_folders import exported_folder, loaded_policy
from processes import process

EXAMPLES = Path(__file__).parents[2] / "examples"
START = 1  # of the choices
STEPS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A policy for vectors and choices, exported; the first of its formats begins fastest."""
    return exported_folder(tmp_path_factory, "v1 vector, choice")


@pytest.fixture(scope="module")
def policy(folder):
    """What load_policy() makes of it: compiled once for all."""
    return loaded_policy(folder, "mode")


def interleaved(policy):
    """Steps of two episodes in turns: which one, the observation, and the action to expect."""
    policy.reset(seed=0)
    both = [exported.observations(exported.VECTOR, STEPS, seed) for seed in (1, 2)]
    states, steps = {}, []
    for pair in zip(*both, strict=True):
        for episode, observation in zip("ab", pair, strict=True):
            policy.state = states.get(episode)
            steps.append((episode, observation.tolist(), int(policy(observation))))
            states[episode] = policy.state
    assert len({action for _, _, action in steps}) > 1
    return steps


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(port, path, content=None, method="POST", patience_s=0.0):
    """What a server answers; waits for one that starts."""
    data = None if content is None else json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{path}"
    deadline = time.monotonic() + patience_s
    while True:
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            # Ray's proxy answers before it knows of the policy.
            if error.code not in (404, 503) or time.monotonic() > deadline:
                return error.code, json.loads(error.read())
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


@pytest.mark.long
def test_fastapi_plays_several_episodes(folder, policy, tmp_path):
    port = free_port()
    command = [str(EXAMPLES / "serve_fastapi.py"), str(folder), "--mode", "mode"]
    with process([*command, "--port", str(port)], tmp_path / "log"):
        ask(port, "/episodes/nobody", method="DELETE", patience_s=120)
        for episode, observation, action in interleaved(policy):
            asked = {"episode": episode, "observation": observation}
            assert ask(port, "/act", asked) == (200, {"action": action})
        # What is asked wrongly is answered, and ends nothing.
        status, answer = ask(port, "/act", {"episode": "c", "observation": [0.0]})
        assert (status, "shape" in str(answer)) == (422, True)
        assert ask(port, "/act", {"episode": "c"})[0] == 422
        assert ask(port, "/episodes/a", method="DELETE")[0] == 200
        assert ask(port, "/act", asked | {"episode": "a"})[0] == 200


@pytest.mark.long
def test_ray_serve_hands_the_state_to_the_client(folder, policy, tmp_path):
    port, states = free_port(), {}
    command = [str(EXAMPLES / "serve_ray.py"), str(folder), "--mode", "mode"]
    with process([*command, "--port", str(port)], tmp_path / "log"):
        ask(port, "/act", {}, patience_s=180)
        for episode, observation, action in interleaved(policy):
            asked = {"observation": observation, "state": states.get(episode)}
            status, answer = ask(port, "/act", asked)
            assert (status, answer.get("action")) == (200, action)
            states[episode] = answer["state"]
        assert ask(port, "/act", {"observation": [0.0]})[0] == 422


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_c_takes_the_same_actions(folder, policy, tmp_path):
    library, program = tf.sysconfig.get_lib(), str(tmp_path / "act")
    where = [f"-I{library}/include", f"-L{library}", f"-Wl,-rpath,{library}"]
    libraries = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command = ["cc", "-Wall", "-Werror", "-o", program, str(EXAMPLES / "act.c")]
    subprocess.run([*command, *where, *libraries], check=True)
    policy.reset(seed=5)
    rng = np.random.default_rng(5)
    lines, expected = [], []
    for i, observation in enumerate(exported.observations(exported.VECTOR, 100)):
        begins = i % 40 == 0
        noise = policy._networks.policy.draw_noise(rng, 1).latent[0]
        lines.append(" ".join(map(repr, [int(begins), *map(float, [*observation, *noise])])))
        action = policy(observation[None], is_first=np.array([begins]))
        expected.append(int(action[0]) - START)
    done = subprocess.run(
        [program, str(folder / "savedmodel")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(map(int, done.stdout.split())) == expected
    assert len(set(expected)) > 1
