"""Serves an exported policy with Ray Serve, with any number of replicas.

    pip install 'ray[serve]' ai-edge-litert
    rllib export ~/ray_results/default --out policy --format litert
    python examples/serve_ray.py policy --replicas 2

Every replica can answer every request, because clients keep the policy's state: each response has a
state, which the client returns with the next observation of the episode.

    curl localhost:8000/act -d '{"observation": [0.0, 0.1, 0.0, -0.1], "state": null}'
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

# As JSON, an image of 210 x 160 pixels takes half of it.
MAX_BYTES = 1_000_000


@serve.deployment
class Policy:
    """One replica."""

    def __init__(self, directory: str, format: str | None, mode: str | None):
        sys.path.insert(0, directory)
        from policy_io import load

        self._policy = load(directory, format=format, mode=mode)

    # No await while acting: another request would change the state.
    async def __call__(self, request: Request) -> JSONResponse:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                error = f"A request has at most {MAX_BYTES:,} bytes."
                return JSONResponse({"error": error}, status_code=413)
        try:
            return JSONResponse(self.act(*read(body)))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    def act(self, observation: Any, state: dict[str, Any] | None) -> dict[str, Any]:
        # Rejects invalid states.
        self._policy.state = state
        # Rejects observations of several environments.
        action = self._policy(observation, is_first=np.array([state is None]))
        remembered = self._policy.state._asdict()
        return {
            "action": as_json(action),
            "state": {name: as_json(array) for name, array in remembered.items()},
        }


def read(body: bytes) -> tuple[Any, Any]:
    """Return observation and state of a request; raise ValueError if it is invalid."""
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise ValueError(f"The request must be JSON: {error}") from error
    if not isinstance(asked, dict) or "observation" not in asked:
        raise ValueError('The request must be {"observation": ..., "state": ...}.')
    return asked["observation"], asked.get("state")


def as_json(action: Any) -> Any:
    """Convert an array, or the arrays of an action, to lists."""
    if isinstance(action, dict):
        return {key: as_json(value) for key, value in action.items()}
    if isinstance(action, tuple):
        return [as_json(value) for value in action]
    return np.asarray(action).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("policy", type=Path, help="folder that rllib export wrote")
    parser.add_argument("--format", help="which of its models (default: the first)")
    parser.add_argument("--mode", choices=["sample", "mode"], help="default: as trained")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    serve.start(http_options={"port": arguments.port})
    directory = str(arguments.policy.resolve())
    deployment = Policy.options(num_replicas=arguments.replicas)
    serve.run(deployment.bind(directory, arguments.format, arguments.mode), route_prefix="/act")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
