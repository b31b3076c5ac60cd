"""What servers answer to requests that are wrong: a sentence, and no episode is lost."""

import asyncio
import importlib.util
import json
from pathlib import Path

import pytest
import without_model
from starlette.requests import Request

EXAMPLES = Path(__file__).parents[2] / "examples"
OBSERVATION = [0.0, 0.1, 0.0, -0.1]
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/act",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(application, body):
    """Status and content of what an application of ASGI answers to a request."""
    return answer_to_parts(application, iter([body]))


def answer_to_parts(application, parts):
    """The same, for a body that arrives in parts."""
    sent = []

    async def receive():
        part = next(parts, None)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(message):
        sent.append(message)

    asyncio.run(application(SCOPE, receive, send))
    content = b"".join(x.get("body", b"") for x in sent)
    return sent[0]["status"], json.loads(content)


@pytest.fixture(scope="module")
def ray_server():
    """The replica of serve_ray.py, without Ray around it."""
    replica_class = example("serve_ray").Policy.func_or_class
    replica = replica_class.__new__(replica_class)
    replica._policy = without_model.policy()

    async def application(scope, receive, send):
        response = await replica(Request(scope, receive))
        await response(scope, receive, send)

    return application


def as_bytes(**content):
    return json.dumps({"observation": OBSERVATION, **content}).encode()


def test_a_state_comes_and_goes(ray_server):
    status, first = answer(ray_server, as_bytes())
    assert (status, first["action"]) == (200, 1)
    status, second = answer(ray_server, as_bytes(state=first["state"]))
    assert (status, second["action"]) == (200, 2)


STATE = {"h": [[1.0] * 3], "index": [[0, 0]], "action": [[0.0, 1.0, 0.0]]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"not json", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"", "must be JSON"),
        (b"[1, 2]", "must be {"),
        (b"{}", "must be {"),
        (as_bytes(state=5), "state must be None"),
        (as_bytes(state={"h": []}), "has no 'index'"),
        (as_bytes(state=STATE | {"h": [[1.0]]}), "have the shapes"),
        (as_bytes(state=STATE | {"index": "x"}), "'index' of the state is not numeric"),
        (as_bytes(state=STATE | {"h": [[1.0, None, 2.0]]}), "'h' of the state"),
        (as_bytes(observation=None), "shapes"),
        (as_bytes(observation=[1, [2], 3, 4]), "not numbers|inhomogeneous|nested"),
        (as_bytes(observation=["a"] * 4), "not numeric"),
        (as_bytes(observation=[]), "shapes"),
    ],
)
def test_ray_serve_answers_what_is_wrong(ray_server, body, expected):
    status, content = answer(ray_server, body)
    assert status == 422
    assert any(part in content["error"] for part in expected.split("|")), content


def test_fastapi_answers_what_is_wrong_and_forgets_nothing():
    application = example("serve_fastapi").make_app(without_model.policy())
    assert answer(application, as_bytes(episode="a")) == (200, {"action": 1})
    for body in (
        b"not json",
        b"[1, 2]",
        as_bytes(),
        as_bytes(episode="a", observation=[0.0]),
        as_bytes(episode="a", observation=["a"] * 4),
        as_bytes(episode="a", observation=None),
        b'{"episode": "\\ud800", "observation": [0.0, 0.1, 0.0, -0.1]}',
        as_bytes(episode="a/b"),
        as_bytes(episode=""),
        b'{"observation": "' + b"x" * 900_000 + b'"}',
    ):
        status, content = answer(application, body)
        assert (status, bool(content["detail"])) == (422, True)
        assert len(json.dumps(content)) < 1000
    # The episode goes on with its second step.
    assert answer(application, as_bytes(episode="a")) == (200, {"action": 2})


@pytest.fixture(params=["fastapi", "ray"])
def server(request, ray_server):
    """The server, and what names an episode of it."""
    if request.param == "ray":
        return ray_server, {}
    return example("serve_fastapi").make_app(without_model.policy()), {"episode": "a"}


def test_a_body_without_end_is_not_read(server):
    application, _ = server
    taken = []

    def parts():
        while True:
            taken.append(1)
            yield b" " * 100_000

    status, content = answer_to_parts(application, parts())
    assert (status, len(taken)) == (413, 11)
    assert "at most 1,000,000 bytes" in str(content)


@pytest.mark.parametrize("begun", [False, True])
def test_observations_of_several_environments_are_refused(server, begun):
    application, episode = server
    if begun:
        status, first = answer(application, as_bytes(**episode))
        episode = episode or {"state": first["state"]}
    for rows in (2, 20_000):
        status, _ = answer(application, as_bytes(observation=[OBSERVATION] * rows, **episode))
        assert status == 422
    assert answer(application, as_bytes(**episode))[1]["action"] == 1 + begun


def test_names_of_episodes_are_short():
    application = example("serve_fastapi").make_app(without_model.policy())
    assert answer(application, as_bytes(episode="a" * 201))[0] == 422
    assert answer(application, as_bytes(episode="a" * 200))[0] == 200
