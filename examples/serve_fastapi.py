"""Serves an exported policy over HTTP, without Ray and without this package.

    pip install fastapi uvicorn ai-edge-litert
    rllib export ~/ray_results/default --out policy --format litert
    python examples/serve_fastapi.py policy

Each client names its episode, and the server keeps the policy's state of it:

    curl localhost:8000/act -H 'Content-Type: application/json' \
         -d '{"episode": "a", "observation": [0.0, 0.1, 0.0, -0.1]}'
"""

import argparse
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MAX_EPISODES = 1000
# As JSON, an image of 210 x 160 pixels takes half of it.
MAX_BYTES = 1_000_000


class Request(BaseModel):
    """One observation of an episode, with lists instead of arrays."""

    # Part of an address in /episodes/.
    episode: str = Field(min_length=1, max_length=200, pattern="^[^/]+$")
    observation: Any


class LimitedBody:
    """Answers 413 to requests with more than ``MAX_BYTES``, before they are in memory."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        read = 0

        async def limited() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BYTES:
                raise HTTPException(413, f"A request has at most {MAX_BYTES:,} bytes.")
            return message

        await self._app(scope, limited, send)


class Episodes:
    """One policy that plays many episodes, each with its own state.

    Keeps the most recently used episodes. A dropped episode starts again.
    """

    def __init__(self, policy: Any):
        self._policy = policy
        self._states: OrderedDict[str, Any] = OrderedDict()
        # Several threads answer requests.
        self._lock = threading.Lock()

    def act(self, episode: str, observation: Any) -> Any:
        with self._lock:
            state = self._states.get(episode)
            self._policy.state = state
            # An episode is that of one environment: observations of several are rejected. If an
            # observation is rejected, the episode is unchanged.
            action = self._policy(observation, is_first=np.array([state is None]))
            self._states[episode] = self._policy.state
            self._states.move_to_end(episode)
            if len(self._states) > MAX_EPISODES:
                self._states.popitem(last=False)
        return action

    def end(self, episode: str) -> None:
        with self._lock:
            self._states.pop(episode, None)


def as_json(action: Any) -> Any:
    """Convert the arrays of an action to lists."""
    if isinstance(action, dict):
        return {key: as_json(value) for key, value in action.items()}
    if isinstance(action, tuple):
        return [as_json(value) for value in action]
    return np.asarray(action).tolist()


def make_app(policy: Any) -> FastAPI:
    """Create the server with its two endpoints."""
    app, episodes = FastAPI(title="A policy of DreamerV3"), Episodes(policy)
    app.add_middleware(LimitedBody)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Any, error: RequestValidationError) -> JSONResponse:
        """Say what is wrong, without repeating the request, which may be large or no text."""
        wrong = [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]
        return JSONResponse({"detail": wrong}, 422)

    @app.post("/act")
    def act(request: Request) -> dict[str, Any]:
        """Return the action; a new episode starts with this observation."""
        try:
            return {"action": as_json(episodes.act(request.episode, request.observation))}
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.delete("/episodes/{episode}")
    def end(episode: str) -> None:
        """Delete an episode."""
        episodes.end(episode)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policy", type=Path, help="folder that rllib export wrote")
    parser.add_argument("--format", help="which of its models (default: the first)")
    parser.add_argument("--mode", choices=["sample", "mode"], help="default: as trained")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.policy))
    from policy_io import load

    policy = load(arguments.policy, format=arguments.format, mode=arguments.mode)
    uvicorn.run(make_app(policy), host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
