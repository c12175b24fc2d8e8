"""`Drawing`: one modality's cells as images for people, whatever their kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .._core.typing import Array, Axes
from ..modalities._shown import Shown
from ._axes import COLOURS

__all__ = ["SECOND", "Beside", "Drawing", "Together"]

SECOND = ("reconstructed", "translated", "high")  # versions, each beside another


class Drawing(ABC):
    """One modality's cells of some rows, in some versions, ready to be plotted.

    Parameters
    ----------
    shown : Shown
        What all versions have in common.
    name : str
        Of the modality.
    versions : dict of str to Shown
        By what they are, such as "observed".

    Attributes
    ----------
    versions : dict of str to list
        The cells of each row; None where there is none.
    n_axes : int
        How many axes a row takes.
    width, height : float
        Of one of its axes, in inches.
    """

    shown: Any  # a kind of `Shown`
    n_axes: int
    width, height = 3.2, 1.7

    def __init__(self, shown: Shown, name: str, versions: Mapping[str, Shown]) -> None:
        self.shown, self.name = shown, name
        self.versions = {version: its.cells for version, its in versions.items()}

    def present_cells(self) -> list[Any]:
        """Return the cells that there are, of all versions."""
        return [cell for cells in self.versions.values() for cell in cells if cell is not None]

    def colour(self, version: str) -> str:
        """Return vermilion for what was predicted or is high, blue for what was there or is low."""
        return COLOURS[version in SECOND]

    @abstractmethod
    def draw(self, axes: Array) -> None:
        """Draw on axes of shape (rows, n_axes)."""


class Beside(Drawing):
    """A drawing in which each version has axes of its own, beside the others."""

    @property
    def n_axes(self) -> int:
        """One for each version."""
        return len(self.versions)

    def draw(self, axes: Array) -> None:
        """Draw each cell."""
        for column, (version, cells) in zip(axes.T, self.versions.items(), strict=True):
            column[0].set_title(f"{self.name}\n{version}")
            for ax, cell in zip(column, cells, strict=True):
                missing(ax) if cell is None else self.draw_cell(ax, cell)
        self.finish(axes)

    @abstractmethod
    def draw_cell(self, ax: Axes, cell: Any) -> None:
        """Draw one cell."""

    @abstractmethod
    def finish(self, axes: Array) -> None:
        """Write what the axes have in common."""


class Together(Drawing):
    """A drawing in which the versions of a row share their axes."""

    n_axes = 1

    @property
    def title(self) -> str:
        """What stands above."""
        return self.name

    def draw(self, axes: Array) -> None:
        """Draw each row."""
        for row, ax in enumerate(axes[:, 0]):
            cells = {version: cells[row] for version, cells in self.versions.items()}
            if all(cell is None for cell in cells.values()):
                missing(ax)
            else:
                self.draw_row(ax, cells)
        self.finish(axes[:, 0])
        self._write_title(axes[:, 0])

    def _write_title(self, axes):
        """Write the name and, below it, which version is which: above the plot."""
        version, *others = self.versions
        handles = {}
        for ax in axes:
            found, labels = ax.get_legend_handles_labels()
            handles = dict(zip(labels, found, strict=True)) | handles
        if not others or not handles:
            axes[0].set_title(self.title if others else f"{self.title}: {version}")
            return
        shown = [version for version in self.versions if version in handles]
        axes[0].legend(
            [handles[version] for version in shown],
            shown,
            title=self.title,
            title_fontsize="large",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(shown),
            frameon=False,
            borderpad=0,
            handlelength=1.2,
            columnspacing=1.0,
        )

    @abstractmethod
    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
        """Draw the versions of a row, a dict of str to cell."""

    @abstractmethod
    def finish(self, axes: Array) -> None:
        """Write what the axes, from top to bottom, have in common."""


def missing(ax: Axes) -> None:
    """Say that there is nothing to draw."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, "missing", ha="center", va="center", color="0.4", transform=ax.transAxes)
