"""Tables, texts and their words, plotted."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.typing import Array, Axes
from ..modalities import _shown
from ._drawing import SECOND, Together

__all__ = ["Tables", "Texts", "Words"]

LEAST_REACH = 0.5  # standard deviations: differences of hundredths of one are none
MOST_WORDS = 6  # bars of a row
LEAST_BAR = 0.02  # of the longest bar of a row
LONGEST_WORD = 16  # characters
MOST_NAMED = 12  # columns of a table whose names are written out
LINE = 32  # characters of a line of text
MOST_LINES = 6  # of a text


class Tables(Together):
    """Rows of tables as dots and names."""

    width = 3.4

    def __init__(
        self, shown: _shown.Tables, name: str, versions: Mapping[str, _shown.Tables]
    ) -> None:
        super().__init__(shown, name, versions)
        self.numbers, self.categories = shown.numbers, shown.categories
        self.named = len(self.numbers) + len(self.categories) <= MOST_NAMED

    @property
    def title(self) -> str:
        """The name, and what is left out."""
        return self.name if self.named or not self.categories else f"{self.name} (numbers)"

    @property
    def height(self) -> float:
        """A line for each column, if they are named."""
        lines = len(self.numbers) + len(self.categories)
        return max(1.1, 0.26 * lines + 0.35) if self.named else 1.7

    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
        """Draw dots for numbers, and write the categories."""
        n = len(self.numbers)
        drawn = {version: cell for version, cell in cells.items() if cell is not None}
        places = np.arange(n)
        if len(drawn) > 1 and self.named:
            values = np.stack([values for values, _ in drawn.values()])
            ax.hlines(places, np.fmin.reduce(values), np.fmax.reduce(values), color="0.7", lw=1)
        for version, (values, _) in drawn.items():
            colour, marker = self.colour(version), "oD"[version in SECOND]
            across = (values, places) if self.named else (places, values)
            size = 6 if self.named else 3
            ax.plot(*across, marker, color=colour, ms=size, label=version, alpha=0.9)
        if self.named:
            ax.axvline(0, color="0.85", lw=1, zorder=0)
            ax.set_yticks(range(n + len(self.categories)), [*self.numbers, *self.categories])
            ax.set_ylim(n + len(self.categories) - 0.4, -0.6)
            self._write_categories(ax, cells)
        else:
            ax.axhline(0, color="0.85", lw=1, zorder=0)

    def _write_categories(self, ax, cells):
        for i in range(len(self.categories)):
            values = {
                version: "missing" if cell is None or cell[1][i] is None else cell[1][i]
                for version, cell in cells.items()
            }
            for number, (version, value) in enumerate(values.items()):
                ax.text(
                    (number + 0.5) / len(values),
                    len(self.numbers) + i,
                    cut(value, 36 // len(values)),
                    transform=ax.get_yaxis_transform(),
                    color=self.colour(version),
                    ha="center",
                    va="center",
                )

    def finish(self, axes: Array) -> None:
        """Give all rows one scale, in standard deviations."""
        limits = [
            np.nanmax(np.abs(numbers), initial=0)
            for numbers, _ in self.present_cells()
            if len(numbers)
        ]
        reach = max(1.15 * max(limits, default=0), LEAST_REACH)
        for ax in axes:
            if self.named:
                ax.set_xlim(-reach, reach)
                ax.tick_params(labelbottom=False)
            else:
                ax.set_ylim(-reach, reach)
                ax.set_ylabel("std. dev.\nfrom mean")
        last = axes[-1]
        if not self.named:
            last.set_xlabel("number of the column")
        elif self.numbers:
            last.tick_params(labelbottom=True)
            last.set_xlabel("standard deviations from the mean")
        else:
            for ax in axes:
                ax.set_xticks([])


class Texts(Together):
    """Texts as they are written."""

    width, height = 3.2, 1.4

    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
        """Write the versions, one below the other."""
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        for number, (version, text) in enumerate(cells.items()):
            lines = textwrap.wrap(text or "", LINE, max_lines=MOST_LINES // len(cells))
            written = "(missing)" if text is None else "\n".join(lines) or "(empty)"
            ax.text(
                0,
                1 - number / len(cells),
                f"{version}:\n{written}" if len(cells) > 1 else written,
                transform=ax.transAxes,
                va="top",
                color=self.colour(version),
            )

    def finish(self, axes: Array) -> None:
        """Nothing is measured."""


class Words(Together):
    """Words as bars, as long as their shares."""

    width, height = 3.0, 1.9

    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
        """Draw bars of the words that tell most in any version."""
        telling = {}
        for shares in filter(None, cells.values()):
            for word, share in shares.items():
                stands_out = share * np.log(share / max(self.shown.usual[word], 1e-8))
                telling[word] = max(telling.get(word, -np.inf), stands_out)
        bars = {word: max(d.get(word, 0) for d in cells.values() if d) for word in telling}
        least = LEAST_BAR * max(bars.values(), default=0)
        words = sorted(
            (word for word, share in bars.items() if share > least), key=telling.get, reverse=True
        )[:MOST_WORDS]
        words.sort(key=bars.get, reverse=True)
        drawn = [(version, shares) for version, shares in cells.items() if shares is not None]
        thick = 0.8 / len(drawn)
        for number, (version, shares) in enumerate(drawn):
            places = np.arange(len(words)) + (number - (len(drawn) - 1) / 2) * thick
            colour = self.colour(version)
            lengths = [shares.get(word, 0) for word in words]
            ax.barh(places, lengths, thick, color=colour, label=version)
        ax.set_yticks(range(len(words)), [cut(word, LONGEST_WORD) for word in words])
        ax.set_ylim(MOST_WORDS - 0.4, -0.6)

    def finish(self, axes: Array) -> None:
        """Give all rows one scale."""
        high = max(ax.get_xlim()[1] for ax in axes)
        for ax in axes:
            ax.set_xlim(0, high)
            ax.tick_params(labelbottom=False)
        axes[-1].tick_params(labelbottom=True)
        axes[-1].set_xlabel("share of the words")


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, left out in the middle: ends tell apart."""
    if len(text) <= most:
        return text
    after = most // 3
    return f"{text[: most - after - 1]}\N{HORIZONTAL ELLIPSIS}{text[-after:]}"
