"""Figures, axes and colours that all displays share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.optional import optional
from .._core.typing import Array, Axes

__all__ = ["COLOURS", "MARKERS", "colours_of", "grid", "one_axes", "pyplot"]

# Okabe & Ito (2008), "Color universal design": told apart by colour-blind people, too. Their
# yellow is left out: lines of it can hardly be seen on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"  # with the colours, and again where there are more things than colours


def pyplot(why: str) -> Any:
    """Return matplotlib's pyplot, or say how to install it."""
    optional("matplotlib", extra="plot", why=why)
    return optional("matplotlib.pyplot", extra="plot", why=why)


def one_axes(ax: Axes | None, why: str, size: tuple[float, float] = (6.4, 4.4)) -> Axes:
    """Return the axes to draw on, new ones in a figure of their own where `ax` is None."""
    plt = pyplot(why)
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def colours_of(n: int) -> list[tuple[str, str]]:
    """Return pairs of colour and marker that tell `n` things apart, up to 49."""
    turns = [divmod(i, len(COLOURS)) for i in range(n)]
    return [(COLOURS[i], MARKERS[(i + turn) % len(MARKERS)]) for turn, i in turns]


def grid(
    ax: Axes | None, why: str, widths: list[float], heights: list[float], labels: list[str]
) -> Array:
    """Return axes in rows and columns, each row with a label at its left.

    Parameters
    ----------
    ax : Axes or None
        Its place is divided; None makes a figure.
    why : str
        The display.
    widths, heights : list of float
        In inches, of a figure of its own; else in proportion.
    labels : list of str
        Of the rows.

    Returns
    -------
    ndarray of shape (rows, columns), of Axes
    """
    plt = pyplot(why)
    label_width = 0.12 * max(map(len, labels)) + 0.1
    ratios = {"width_ratios": [label_width, *widths], "height_ratios": heights}
    shape = len(heights), 1 + len(widths)
    if ax is None:
        size = 1.1 * sum(ratios["width_ratios"]), sum(heights) + 0.9
        figure = plt.figure(figsize=size, layout="constrained")
        spec = figure.add_gridspec(*shape, **ratios)
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"ax was placed by hand, and {why} divides a place in a grid. Give an ax of"
                " plt.subplots(), or none."
            )
        ax.set_axis_off()
        figure, spec = ax.figure, place.subgridspec(*shape, **ratios)
    axes = np.empty((shape[0], len(widths)), object)
    for i, label in enumerate(labels):
        beside = figure.add_subplot(spec[i, 0])
        beside.set_axis_off()
        beside.text(0.5, 0.5, label, ha="center", va="center", transform=beside.transAxes)
        for j in range(len(widths)):
            axes[i, j] = figure.add_subplot(spec[i, j + 1])
    return axes
