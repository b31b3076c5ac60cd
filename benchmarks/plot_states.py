r"""Draws which states runs have visited: two numbers of their observations, from their replay.

    python benchmarks/plot_states.py plain=~/plain curious=~/curious \
        --numbers 0 1 --names position velocity --out docs/exploration.png

Each panel is one run, or any other data that `rllib data` reads, and counts the records in each
cell.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from rllib_dreamerv3.data.formats import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="TITLE=DIRECTORY")
    parser.add_argument("--numbers", type=int, nargs=2, default=(0, 1), help="indices")
    parser.add_argument("--names", nargs=2, default=("first", "second"), help="of the axes")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    arguments = parser.parse_args()

    titles, places = zip(*(each.split("=", 1) for each in arguments.data), strict=True)
    visited = [visited_in(place, arguments.numbers) for place in places]
    low, high = (bound(np.concatenate(visited), axis=0) for bound in (np.min, np.max))
    figure, panels = plt.subplots(
        1, len(visited), figsize=(4 * len(visited), 3), sharex=True, sharey=True, squeeze=False
    )
    for panel, title, states in zip(panels[0], titles, visited, strict=True):
        panel.hist2d(*states.T, bins=60, range=list(zip(low, high, strict=True)), norm="log")
        panel.set(title=f"{title}: {len(states):,} states", xlabel=arguments.names[0])
    panels[0][0].set_ylabel(arguments.names[1])
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=100)


def visited_in(place: str, numbers: tuple[int, int]) -> np.ndarray:
    """Return the two numbers in all observations, ``[N, 2]``."""
    episodes = open_dataset(Path(place).expanduser()).episodes()
    return np.concatenate([each.observations[:, list(numbers)] for each in episodes])


if __name__ == "__main__":
    main()
