"""A dream as a still picture: every number over time, and film strips of images."""

from typing import Any, NamedTuple

import numpy as np

from rllib_dreamerv3.records import OBS_PREFIX, REWARD
from rllib_dreamerv3.reports.dreams import CONTINUE, Dream
from rllib_dreamerv3.reports.labelled_strips import labelled_strips
from rllib_dreamerv3.spaces.layout import Categorical

# Limit on plotted numbers of the observation; reward and continue are added.
MAX_COMPONENTS = 12
# Limit on frames of an image in a still picture.
MAX_FRAMES = 12
_INCHES_WIDE, _INCHES_A_PLOT, _INCHES_AROUND, _DPI = 10.0, 1.0, 0.9, 80
# Steps between the sequences, which follow each other on one axis.
_SPACE = 3
_COLOURS = {"truth": "black", "reconstruction": "tab:green", "imagination": "tab:red"}


class Component(NamedTuple):
    """A number over time.

    Attributes:
        name: Label in the plot.
        values: ``[B, T]`` each: truth, reconstruction, imagination.
        is_class: Whether it is categorical, and drawn as steps.
    """

    name: str
    values: tuple[np.ndarray, np.ndarray, np.ndarray]
    is_class: bool


def components(dream: Dream) -> list[Component]:
    """Return all numbers of a dream, those of the observation in the order of the space."""
    sources = (dream.truth, dream.reconstruction, dream.imagination)
    found = []
    for leaf in dream.layout.vectors:
        name, is_class = leaf.key.removeprefix(OBS_PREFIX), isinstance(leaf, Categorical)
        for i in range(leaf.shape[0]):
            truth, reconstruction, imagination = (x[leaf.key][..., i] for x in sources)
            values = truth, reconstruction, imagination
            found.append(Component(f"{name}[{i}]", values, is_class))
    for name in (REWARD, CONTINUE):
        values = dream.truth[name], dream.reconstruction[name], dream.imagination[name]
        found.append(Component(name, values, False))
    return found


def plots(dream: Dream) -> np.ndarray:
    """Plot each number over time: truth, reconstruction and imagination.

    The sequences follow each other on one axis, each with its context shaded; dotted lines mark
    the beginning of another episode, which imagination does not see. At most ``MAX_COMPONENTS``
    numbers of the observation are drawn.

    Args:
        dream: The dream.

    Returns:
        A picture uint8 ``[height, width, 3]``.
    """
    # Imported only for plots, to keep the package's start fast. Not through pyplot, which would
    # keep the figure and affect notebooks.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    *observed, reward, cont = components(dream)
    shown = [*observed[:MAX_COMPONENTS], reward, cont]
    height = _INCHES_AROUND + _INCHES_A_PLOT * len(shown)
    figure = Figure((_INCHES_WIDE, height), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    margin = 0.5 * _INCHES_AROUND / height
    figure.subplots_adjust(0.12, margin, 0.99, 1 - margin, hspace=0.15)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for ax, component in zip(axes, shown, strict=True):
        _plot(ax, component, dream)
    length = dream.is_first.shape[1]
    starts = np.arange(len(dream.is_first)) * (length + _SPACE)
    marks = (dream.observed, length - 1)
    axes[-1].set_xticks(
        [start + mark for start in starts for mark in marks], [*marks] * len(starts)
    )
    left_out = len(observed) - MAX_COMPONENTS
    more = f"; {left_out} more numbers are not shown" if left_out > 0 else ""
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper left", ncols=4, frameon=False)
    figure.text(0.99, 0.25 * margin, f"step{more}", ha="right")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def still_picture(dream: Dream) -> np.ndarray:
    """Draw film strips of up to ``MAX_FRAMES`` records, with plots below them.

    Args:
        dream: The dream.

    Returns:
        A picture uint8 ``[height, width, 3]``.
    """
    length = dream.is_first.shape[1]
    times = np.linspace(0, length - 1, min(MAX_FRAMES, length)).round().astype(int)
    strips = labelled_strips(dream, times)
    plotted = plots(dream)
    if strips is None:
        return plotted
    width = max(strips.shape[1], plotted.shape[1])
    parts = [
        np.pad(x, [(0, 0), (0, width - x.shape[1]), (0, 0)], constant_values=255)
        for x in (strips, plotted)
    ]
    return np.concatenate(parts)


def _plot(ax: Any, component: Component, dream: Dream) -> None:
    length = dream.is_first.shape[1]
    style = "steps-mid" if component.is_class else "default"
    for row in range(len(dream.is_first)):
        start = row * (length + _SPACE)
        label = "context" if row == 0 else None
        ax.axvspan(start - 0.5, start + dream.observed - 0.5, color="0.88", lw=0, label=label)
        for begun in np.flatnonzero(dream.is_first[row, 1:]):
            ax.axvline(start + begun + 0.5, color="0.4", lw=0.8, ls=":")
        for (name, colour), values in zip(_COLOURS.items(), component.values, strict=True):
            # In the context, imagination equals reconstruction.
            first = dream.observed - 1 if name == "imagination" else 0
            times = start + np.arange(first, length)
            ax.plot(
                times,
                values[row, first:],
                color=colour,
                lw=2.0 if name == "truth" else 1.0,
                drawstyle=style,
                label=name if row == 0 else None,
            )
    ax.set_ylabel(component.name, rotation=0, ha="right", va="center")
    ax.tick_params(labelsize=7)
    ax.margins(x=0.01)
    if component.name == CONTINUE:
        ax.set_ylim(-0.05, 1.05)
