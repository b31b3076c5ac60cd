"""Measurements of scaling.py with several processes: env runners, learners, and their transfers.

Each function measures in separate processes (``peers/``) and returns one row for each x.
"""

import statistics
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from peers.interleave import Child, spread

Row = dict[str, Any]

# One compiles; and nothing gets past the zeros of the output layers before they have changed.
WARM_UP = 2
# The first one has connections to make.
SYNCHRONISATIONS_BEFORE = 2
SYNCHRONISATIONS_FOR_EACH_RUN = 5

ENV_RUNNERS = (1, 2, 4)
STEP_MS = (0, 10, 50)
# Batch and length of each. Small images: large ones take longer without more information.
WORKLOADS = {"vector-xs": (16, 64), "image32-xs": (8, 32)}
NUM_LEARNERS = (0, 1, 2)
SIZES = ("nano", "XS", "12M", "25M")


class Settings(NamedTuple):
    """How much is measured.

    Attributes:
        runs: Updates or iterations, and a fifth of the synchronisations, that are timed.
        seconds: Of each measurement of sampling.
        training_ratio: With which is sampled.
        threads: Of OpenMP, of a process that has the machine for itself.
    """

    runs: int
    seconds: float
    training_ratio: float
    threads: int


def sampling_x(env_runners: int, step_ms: int) -> str:
    """What a row of sampling is called, such as "4 x 50 ms"."""
    return f"{env_runners} x {step_ms} ms"


def measure_sampling(
    sampling: str, env_runners: int, xs: Sequence[str], settings: Settings
) -> list[Row]:
    """Env steps a second beside updates, one row for each cost of an env step among ``xs``.

    Args:
        sampling: "synchronous" or "asynchronous".
        env_runners: Actors, with one environment each.
        xs: Those that :func:`sampling_x` gives for what is wanted.
        settings: How much is measured.
    """
    # One process for all of them: starting it takes longer than a measurement.
    steps = [ms for ms in STEP_MS if sampling_x(env_runners, ms) in xs]
    arguments = [
        f"--sampling={sampling}",
        f"--env-runners={env_runners}",
        f"--training-ratio={settings.training_ratio}",
        f"--seconds={settings.seconds}",
        "--step-s",
        *(str(ms / 1000) for ms in steps),
    ]
    with Child(sys.executable, "peers.slow_environment", arguments, settings.threads) as child:
        answers = [child.ask() for _ in steps]
        goodbye = child.finish()
    return [
        {"x": sampling_x(env_runners, ms), **child.hello, **answer, **goodbye}
        for ms, answer in zip(steps, answers, strict=True)
    ]


def measure_learners(workload: str, num_learners: int, settings: Settings) -> list[Row]:
    """Seconds of an update of a group of learners, one thread each.

    Raises:
        RuntimeError: If a parameter has not changed: then something else has been timed.
    """
    batch, length = WORKLOADS[workload]
    options = {
        "workload": workload,
        "batch": batch,
        "length": length,
        "threads": 1,
        "num_learners": num_learners,
    }
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with Child(sys.executable, "peers.learner_updates", arguments, 1) as child:
        first, *_ = [child.ask() for _ in range(WARM_UP)]
        answers = [child.ask() for _ in range(settings.runs)]
        goodbye = child.finish()
    unchanged = goodbye.pop("unchanged")
    if unchanged:
        raise RuntimeError(f"{len(unchanged)} parameters have not changed, {unchanged[:3]} ...")
    seconds = [answer["seconds"] for answer in answers]
    sent = [x["loopback_bytes"] for x in answers if x["loopback_bytes"] is not None]
    return [
        {
            **options,
            **child.hello,
            "runs": settings.runs,
            **spread(seconds, "s"),
            "compile_s": first["seconds"] - statistics.median(seconds),
            "median_loopback_bytes": statistics.median(sent) if sent else None,
            **goodbye,
        }
    ]


def measure_synchronisation(size: str, num_learners: int, settings: Settings) -> list[Row]:
    """Seconds and bytes of one synchronisation of weights, for a model size."""
    arguments = [f"--model-size={size}", f"--num-learners={num_learners}"]
    with Child(sys.executable, "peers.synchronisation", arguments, settings.threads) as child:
        for _ in range(SYNCHRONISATIONS_BEFORE):
            child.ask()
        answers = [child.ask() for _ in range(settings.runs * SYNCHRONISATIONS_FOR_EACH_RUN)]
        goodbye = child.finish()
    parts = {
        f"median_{name}": statistics.median(answer[name] for answer in answers)
        for name in ("fetch_s", "put_s", "set_s")
    }
    sizes = {name: answers[-1][name] for name in ("weights_bytes", "object_bytes")}
    seconds = spread([answer["seconds"] for answer in answers], "s")
    return [{**child.hello, "runs": len(answers), **seconds, **parts, **sizes, **goodbye}]
