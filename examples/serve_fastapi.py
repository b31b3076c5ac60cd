"""Serves an exported policy over HTTP: without Ray, without this package.

    pip install fastapi uvicorn ai-edge-litert
    rllib export ~/ray_results/default --out policy --format litert
    python examples/serve_fastapi.py policy

Each client names the episode that it plays, and the server remembers what the policy has seen of
it:

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
from pydantic import BaseModel

MOST_EPISODES = 1000


class Request(BaseModel):
    """One observation of an episode; lists stand for arrays."""

    episode: str
    observation: Any


class Episodes:
    """One policy that plays many episodes, each with a state of its own.

    The episodes that were heard of last are kept; one that was forgotten begins anew.
    """

    def __init__(self, policy: Any):
        self._policy = policy
        self._states: OrderedDict[str, Any] = OrderedDict()
        # Requests are answered by several threads.
        self._lock = threading.Lock()

    def act(self, episode: str, observation: Any) -> Any:
        with self._lock:
            self._policy.state = self._states.get(episode)
            # Where the observation is refused, the episode stays as it was.
            action = self._policy(observation)
            self._states[episode] = self._policy.state
            self._states.move_to_end(episode)
            if len(self._states) > MOST_EPISODES:
                self._states.popitem(last=False)
        return action

    def end(self, episode: str) -> None:
        with self._lock:
            self._states.pop(episode, None)


def as_json(action: Any) -> Any:
    """An action with lists for arrays."""
    if isinstance(action, dict):
        return {key: as_json(value) for key, value in action.items()}
    if isinstance(action, tuple):
        return [as_json(value) for value in action]
    return np.asarray(action).tolist()


def make_app(policy: Any) -> FastAPI:
    """The server's two calls."""
    app, episodes = FastAPI(title="A policy of DreamerV3"), Episodes(policy)

    @app.post("/act")
    def act(request: Request) -> dict[str, Any]:
        """Chooses the action; an episode that is new begins with this observation."""
        try:
            return {"action": as_json(episodes.act(request.episode, request.observation))}
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.delete("/episodes/{episode}")
    def end(episode: str) -> None:
        """Forgets an episode."""
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
