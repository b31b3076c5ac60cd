"""Writes `docs/losses.md` from the sentences that `rllib report` shows beside its plots.

    python docs/write_losses.py

A test fails if the page is stale.
"""

from collections.abc import Iterable
from pathlib import Path

from rllib_dreamerv3.reports.losses import LOSSES, MEMORY, SPEED, Measure

PAGE = Path(__file__).parent / "losses.md"

_INTRODUCTION = """\
# Losses, and what they mean

Every run reports the metrics below: in the results of `algorithm.train()`, in `progress.csv` and
TensorBoard, and as plots in the page of `rllib report` ([results](results.md)). Losses are summed
over everything that is predicted at a step, so their scale depends on the environment. Look at
their trend, and compare runs of the same environment.

If a loss looks wrong, see [symptoms](not_learning.md). [Dreams](dreams.md) show better than any
number what a model has learned to see.
"""


def losses_page() -> str:
    """Return the Markdown page of all metrics."""
    return "".join(
        [
            _INTRODUCTION,
            "\n## Losses and norms\n",
            *map(_entry, LOSSES),
            "\n## Speed\n\nRates of these counters, as plotted in the report.\n\n",
            _table(SPEED),
            "\n## Ratio and memory\n\n",
            _table(MEMORY),
        ]
    )


def _entry(measure: Measure) -> str:
    return f"\n### {measure.title}\n\n`{measure.key}`\n\n{measure.sentence}\n"


def _table(measures: Iterable[Measure]) -> str:
    head = "| metric | unit | meaning |\n| --- | --- | --- |\n"
    return head + "".join(
        f"| `{measure.key}` | {measure.unit} | {measure.sentence} |\n" for measure in measures
    )


if __name__ == "__main__":
    PAGE.write_text(losses_page())
