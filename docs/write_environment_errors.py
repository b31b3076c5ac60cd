"""Writes docs/environment_errors.md: what is said of each fault that the tests put in.

Run from anywhere: ``python docs/write_environment_errors.py``. It takes a minute.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests" / "support"), str(HERE.parent / "benchmarks")]

from faulty_environments import FAULTS, Fault  # noqa: E402
from tiny import tiny_config  # noqa: E402

from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner  # noqa: E402

_INTRODUCTION = """\
# What is said of an environment that does something wrong

Each fault below is put into an environment by the tests, and told in these words by
`algorithm.train()`, by `rllib train` (exit code 1) and, more briefly, by `rllib check-env`. Nothing
that such an environment returned is stored. What an environment raises comes with the lines of its
own code. Numbers that leave the bounds of their `Box` are no error: the first is told of, all are
counted in `env_runners/num_observations_outside_lifetime`, and
`.environment(clip_observations=True)` clips them.

Written by `python docs/write_environment_errors.py`.

| what is wrong | what is said |
| --- | --- |
"""


def _row(fault: Fault) -> str:
    config = tiny_config(fault.make)
    try:
        DreamerV3EnvRunner(config=config, worker_index=0).sample(num_timesteps=60)
    except Exception as error:
        text = str(error)
    else:
        raise AssertionError(f"Nothing was said of {fault.what}.")
    text = re.sub(r"faulty_environments:\S*lambda>", "my_env:Reach", text)
    text = re.sub(r'"\S*/faulty_environments\.py", line \d+, in .*', '"my_env.py", line 31', text)
    lines = [line.strip() for line in text.splitlines()]
    cell = "<br>".join(lines).replace("|", "\\|").replace("<lambda>", "step")
    return f"| {fault.what} | {cell} |\n"


if __name__ == "__main__":
    page = _INTRODUCTION + "".join(_row(fault) for fault in FAULTS)
    (HERE / "environment_errors.md").write_text(page)
