"""Serves an exported policy with Ray Serve, by as many replicas as are wanted.

    pip install 'ray[serve]' ai-edge-litert
    rllib export ~/ray_results/default --out policy --format litert
    python examples/serve_ray.py policy --replicas 2

Any replica answers any request, so clients keep what the policy remembers: each answer has a
state, which goes back with the next observation of the episode.

    curl localhost:8000/act -d '{"observation": [0.0, 0.1, 0.0, -0.1], "state": null}'
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment
class Policy:
    """One replica."""

    def __init__(self, directory: str, format: str | None, mode: str | None):
        sys.path.insert(0, directory)
        from policy_io import load
        from policy_io.acting import State

        self._state_of = State
        self._policy = load(directory, format=format, mode=mode)

    # Not a coroutine that waits: what it remembers would change under another request.
    async def __call__(self, request: Request) -> JSONResponse:
        asked = await request.json()
        try:
            return JSONResponse(self.act(asked["observation"], asked.get("state")))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    def act(self, observation: Any, state: dict[str, Any] | None) -> dict[str, Any]:
        self._policy.state = None if state is None else self._read(state)
        action = self._policy(observation)
        remembered = self._policy.state._asdict()
        return {
            "action": as_json(action),
            "state": {name: as_json(array) for name, array in remembered.items()},
        }

    def _read(self, state: dict[str, Any]) -> Any:
        dtypes = {"h": np.float32, "index": np.int32, "action": np.float32}
        return self._state_of(**{name: np.array(state[name], x) for name, x in dtypes.items()})


def as_json(action: Any) -> Any:
    """An action, or an array, with lists for arrays."""
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
