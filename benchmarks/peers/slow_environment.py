"""A run on environments that take a fixed time a step, as a process that measures it.

Each line it reads lets the run go on for ``--seconds``, with the next one of ``--step-s``. Ready
means: updates have begun, and all is compiled.
"""

import argparse
import functools
import os
import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np

from peers.protocol import Answers


class Slow(gym.Env):
    """Vectors of random numbers; a step takes ``config["step_s"]`` seconds, an episode 200."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (8,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def __init__(self, config: dict[str, Any]):
        """Make one that has not begun."""
        self.step_s, self.left = config["step_s"], 0

    def _observe(self) -> np.ndarray:
        return self.np_random.standard_normal(8).astype(np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self.left = 200
        return self._observe(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take its time."""
        time.sleep(self.step_s)
        self.left -= 1
        return self._observe(), float(action == 0), False, self.left == 0, {}


def set_step(env_runner: Any, step_s: float) -> None:
    """Let all environments of an env runner take as many seconds a step from now on."""
    for env in env_runner.env.unwrapped.envs:
        env.unwrapped.step_s = step_s


def main() -> None:
    """Build the algorithm, train until updates have begun, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sampling", choices=("synchronous", "asynchronous"), required=True)
    parser.add_argument("--env-runners", type=int, default=4, help="actors that sample")
    parser.add_argument(
        "--step-s", type=float, nargs="+", default=[0.05], help="seconds of an env step, in turn"
    )
    parser.add_argument("--model-size", default="XXS")
    parser.add_argument("--training-ratio", type=float, default=8.0)
    parser.add_argument("--batch", type=int, default=4, help="rows of a batch")
    parser.add_argument("--length", type=int, default=32, help="records of a row")
    parser.add_argument("--requests", type=int, default=2, help="in flight, of each env runner")
    parser.add_argument("--fragment", type=int, default=1, help="env steps of a request")
    parser.add_argument("--ahead", default="auto", help="max_records_ahead")
    parser.add_argument("--seconds", type=float, default=40.0, help="of a measurement")
    options = parser.parse_args()
    answers = Answers()

    # As under `rllib train`, where the learner too is one of Ray's processes.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray
    from ray import cloudpickle

    from rllib_dreamerv3 import DreamerV3Config, __version__

    # Env runners look for modules elsewhere.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    config = (
        DreamerV3Config()
        # What comes before updates is not measured, and need not take long.
        .environment(Slow, env_config={"step_s": 0.0})
        .training(
            model_size=options.model_size,
            training_ratio=options.training_ratio,
            batch_size_B=options.batch,
            batch_length_T=options.length,
            num_steps_sampled_before_learning_starts=options.batch * options.length,
        )
        .env_runners(
            num_env_runners=options.env_runners,
            num_cpus_per_env_runner=1 / options.env_runners,
            sampling=options.sampling,
            rollout_fragment_length=options.fragment,
        )
        .reporting(min_time_s_per_iteration=1)
        .debugging(seed=0)
    )
    if options.sampling == "asynchronous":
        ahead = options.ahead if options.ahead == "auto" else int(options.ahead)
        config.env_runners(
            max_requests_in_flight_per_env_runner=options.requests, max_records_ahead=ahead
        )
    algorithm = config.build_algo()

    def done() -> tuple[int, int, int]:
        """Env steps, records and updates so far."""
        counters = algorithm.get_counters()
        updates = algorithm.update_schedule.updates - counters["pending_updates"]
        return counters["env_steps"], counters["records"], updates

    while done()[2] < 3:
        algorithm.train()

    learned = 0.0
    update = algorithm._update

    def timed_update() -> Any:
        nonlocal learned
        began = time.perf_counter()
        updated = update()
        learned += time.perf_counter() - began
        return updated

    algorithm._update = timed_update
    steps_s = iter(options.step_s)

    def measure() -> dict[str, Any]:
        nonlocal learned
        step_s = next(steps_s)
        algorithm.env_runner_group.foreach_env_runner(
            functools.partial(set_step, step_s=step_s), local_env_runner=False
        )
        # What was sampled ahead before is used up.
        algorithm.train()
        before, learned = done(), 0.0
        began = time.perf_counter()
        while time.perf_counter() - began < options.seconds:
            result = algorithm.train()
        seconds = time.perf_counter() - began
        steps, records, updates = (now - then for now, then in zip(done(), before, strict=True))
        ratio = updates * config.records_per_update / records
        own_rate = options.env_runners / step_s if step_s else None
        return {
            "step_s": step_s,
            "seconds": seconds,
            "env_steps": steps,
            "updates": updates,
            "share_of_time_in_updates": learned / seconds,
            "env_steps_per_s": steps / seconds,
            "environments_own_rate_per_s": own_rate,
            "share_of_environments_rate": steps / seconds / own_rate if own_rate else None,
            "training_ratio": options.training_ratio,
            "reached_ratio": ratio,
            "reached_ratio_since_first_update": result["actual_training_ratio"],
            "weights_age_max": result["env_runners"].get("weights_age_max"),
        }

    settings = {name: value for name, value in vars(options).items() if name != "step_s"}
    hello = {"program": f"rllib_dreamerv3 {__version__}", **settings}
    answers.serve(hello, measure)


if __name__ == "__main__":
    main()
