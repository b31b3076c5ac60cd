"""Writes `docs/losses.md` from the sentences that `rllib report` has beside its plots.

    python docs/write_losses.py

A test compares what it would write with what is there.
"""

from collections.abc import Iterable
from pathlib import Path

from rllib_dreamerv3.reports.losses import LOSSES, MEMORY, SPEED, Measure

PAGE = Path(__file__).parent / "losses.md"

_INTRODUCTION = """\
# Losses, and what they mean

Each value below is in the results of a run: in what `algorithm.train()` returns, in `progress.csv`
and TensorBoard, and as a plot with these sentences in the page that `rllib report` writes
([results](results.md)). Losses are summed over all that is predicted at a step: their size depends
on the environment. Look at their course, and compare runs of one environment.

If they are not as they should be, [here is what may be wrong](not_learning.md). What a model has
learned to see is shown better by [its dreams](dreams.md) than by any number.
"""


def losses_page() -> str:
    """All values that learning reports, as a Markdown page."""
    return "".join(
        [
            _INTRODUCTION,
            "\n## Each of them\n",
            *map(_entry, LOSSES),
            "\n## Speed\n\nHow fast these values grow, which is what the page draws.\n\n",
            _table(SPEED),
            "\n## Ratio and memory\n\n",
            _table(MEMORY),
        ]
    )


def _entry(measure: Measure) -> str:
    return f"\n### {measure.title}\n\n`{measure.key}`\n\n{measure.sentence}\n"


def _table(measures: Iterable[Measure]) -> str:
    head = "| value | in | what it is |\n| --- | --- | --- |\n"
    return head + "".join(
        f"| `{measure.key}` | {measure.unit} | {measure.sentence} |\n" for measure in measures
    )


if __name__ == "__main__":
    PAGE.write_text(losses_page())
