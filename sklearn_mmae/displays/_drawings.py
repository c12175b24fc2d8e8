"""Cells of one modality as pictures for people: one class for each kind, all with one face."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod

import numpy as np

from ._axes import COLOURS

__all__ = ["Clips", "Drawing", "Pictures", "Signals", "Sounds", "Tables", "Texts", "Words"]

PREDICTED = ("reconstructed", "translated")  # versions
MOST_WORDS = 6  # bars of a row
MOST_FRAMES = 6  # of a film strip
MOST_CHANNELS = 3  # of a signal, in colours of their own
MOST_NAMED = 12  # columns of a table whose names are written out
LINE = 32  # characters of a line of text
MOST_LINES = 6  # of a text
TICKS_HZ = (60, 125, 250, 500, 1000, 2000, 4000, 8000)


class Drawing(ABC):
    """One modality's cells of some rows, in some versions, ready to be drawn.

    Parameters
    ----------
    name : str
        Of the modality.
    versions : dict of str to list
        The cells of each row, by what they are, such as "observed"; None where there is none.

    Attributes
    ----------
    beside : bool
        Whether each version has axes of its own, beside the others.
    width, height : float
        Of one of its axes, in inches.
    """

    beside = False
    width, height = 3.2, 1.7

    def __init__(self, name, versions):
        self.name, self.versions = name, versions

    def colour(self, version):
        """Return vermilion for what was predicted, blue for what was there."""
        return COLOURS[version in PREDICTED]

    @property
    def n_axes(self):
        """How many axes a row takes."""
        return len(self.versions) if self.beside else 1

    def draw(self, axes):
        """Draw on axes of shape (rows, n_axes)."""
        for row, row_axes in enumerate(axes):
            cells = {version: cells[row] for version, cells in self.versions.items()}
            if self.beside:
                for ax, (version, cell) in zip(row_axes, cells.items(), strict=True):
                    _missing(ax) if cell is None else self.draw_cell(ax, cell)
                    if not row:
                        ax.set_title(f"{self.name}\n{version}")
            else:
                (ax,), (version, *_) = row_axes, cells
                if not row:
                    ax.set_title(self.name if len(cells) > 1 else f"{self.name}: {version}")
                if all(cell is None for cell in cells.values()):
                    _missing(ax)
                else:
                    self.draw_row(ax, cells, first=row == 0)
        self.finish(axes)

    def draw_cell(self, ax, cell):
        """Draw one cell, where versions are beside each other."""

    def draw_row(self, ax, cells, first):
        """Draw the versions of a row, a dict of str to cell, on the same axes."""

    @abstractmethod
    def finish(self, axes):
        """Write what the axes have in common."""


class Pictures(Drawing):
    """Pictures of shape (height, width[, channels]), numbers from `low` to `high`."""

    beside = True
    width, height = 1.35, 1.35

    def __init__(self, name, versions, low, high):
        super().__init__(name, versions)
        self.low, self.high = low, high

    def draw_cell(self, ax, cell):
        """Draw a picture; grey ones from black to white."""
        share = (cell.astype(np.float64) - self.low) / ((self.high - self.low) or 1)
        ax.imshow(share.clip(0, 1).squeeze(), cmap="gray", vmin=0, vmax=1)

    def finish(self, axes):
        """Leave out the ticks: a pixel's number says nothing."""
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])


class Sounds(Drawing):
    """Log-mel spectrograms (steps, bands) in decibels.

    Parameters
    ----------
    name, versions
        As in `Drawing`.
    step_seconds : float
    frequencies : ndarray of shape (bands,)
        In hertz.
    """

    beside = True
    width, height = 2.6, 1.7

    def __init__(self, name, versions, step_seconds, frequencies):
        super().__init__(name, versions)
        self.step_seconds, self.frequencies = step_seconds, frequencies
        levels = [cell for cells in versions.values() for cell in cells if cell is not None]
        self.high = max((float(cell.max()) for cell in levels), default=0.0)
        self.seconds = max((len(cell) for cell in levels), default=1) * step_seconds

    def draw_cell(self, ax, cell):
        """Draw a spectrogram, 80 dB from dark to bright."""
        self.image = ax.imshow(
            cell.T,
            origin="lower",
            aspect="auto",
            extent=(0, len(cell) * self.step_seconds, -0.5, len(self.frequencies) - 0.5),
            vmin=self.high - 80,
            vmax=self.high,
            cmap="magma",
        )

    def finish(self, axes):
        """Write hertz at the first, seconds below the last, and what the colours mean."""
        inside = [f for f in TICKS_HZ if self.frequencies[0] <= f <= self.frequencies[-1]]
        inside = inside[::-2][::-1]
        places = np.interp(inside, self.frequencies, np.arange(len(self.frequencies)))
        for ax in axes.flat:
            ax.set_xlim(0, self.seconds)
            ax.set_ylim(-0.5, len(self.frequencies) - 0.5)
            ax.set_yticks(places, [])
            ax.tick_params(labelbottom=False)
            ax.set_facecolor("0.9")
        for ax in axes[:, 0]:
            ax.set_yticks(places, [f"{f / 1000:g}k" if f >= 1000 else str(f) for f in inside])
            ax.set_ylabel("Hz")
        for ax in axes[-1]:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("time (s)")
        if hasattr(self, "image"):
            bar = axes.flat[0].figure.colorbar(self.image, ax=list(axes[:, -1]), pad=0.02)
            bar.set_label("level (dB)")


class Clips(Drawing):
    """Clips of shape (frames, height, width[, channels]), uint8, as film strips.

    Parameters
    ----------
    name, versions
        As in `Drawing`.
    step_seconds : float or None
        From frame to frame; None where time is counted in frames.
    """

    width, height = 4.8, 1.9

    def __init__(self, name, versions, step_seconds):
        super().__init__(name, versions)
        self.step_seconds = step_seconds

    def draw_row(self, ax, cells, first):
        """Draw a strip for each version, one below the other, of frames at the same times."""
        lengths = [len(cell) for cell in cells.values() if cell is not None]
        chosen = np.unique(np.linspace(0, max(lengths) - 1, MOST_FRAMES).astype(int))
        shape = next(cell for cell in cells.values() if cell is not None).shape
        height, width = shape[1:3]
        for level, cell in enumerate(cells.values()):
            for place, frame in enumerate(chosen):
                if cell is None or frame >= len(cell):
                    continue
                left, top = 1.04 * width * place, 1.06 * height * level
                picture = cell[frame].squeeze()
                ax.imshow(
                    picture,
                    cmap="gray",
                    vmin=0,
                    vmax=255,
                    extent=(left, left + width, top + height, top),
                )
        step = 1 if self.step_seconds is None else self.step_seconds
        ax.set_xlim(0, 1.04 * width * len(chosen) - 0.04 * width)
        ax.set_ylim(1.06 * height * len(cells) - 0.06 * height, 0)
        ax.set_aspect("equal")
        ax.set_xticks(
            width * (1.04 * np.arange(len(chosen)) + 0.5), [f"{step * f:.3g}" for f in chosen]
        )
        ax.set_yticks(height * (1.06 * np.arange(len(cells)) + 0.5), list(cells))
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)

    def finish(self, axes):
        """Say what is counted below the last."""
        axes[-1, 0].set_xlabel("frame" if self.step_seconds is None else "time (s)")


class Signals(Drawing):
    """Signals: pairs of times (T,) and numbers (T, channels), NaN in the holes.

    Parameters
    ----------
    name, versions
        As in `Drawing`.
    in_seconds : bool
        Whether times are; else they are steps.
    """

    width, height = 3.8, 1.7

    def __init__(self, name, versions, in_seconds):
        super().__init__(name, versions)
        self.in_seconds = in_seconds

    def draw_row(self, ax, cells, first):
        """Draw lines: the first version broad and pale, later ones thin, dashed from the third."""
        for number, (version, cell) in enumerate(cells.items()):
            if cell is None:
                continue
            times, values = cell
            style = {"lw": 3.5, "alpha": 0.35} if not number else {"lw": 1.4}
            if number > 1:
                style["ls"] = "--"
            for channel in range(min(values.shape[1], MOST_CHANNELS)):
                label = version if not channel else None
                ax.plot(times, values[:, channel], color=COLOURS[channel], label=label, **style)
        ax.margins(x=0)
        if first and len(cells) > 1:
            _legend(ax, len(cells))

    def finish(self, axes):
        """Say what is counted below the last, and how many channels there are."""
        axes[-1, 0].set_xlabel("time (s)" if self.in_seconds else "step")
        drawn = [cell for cells in self.versions.values() for cell in cells if cell is not None]
        n_channels = max((values.shape[1] for _, values in drawn), default=1)
        for ax in axes.flat:
            ax.set_ylabel("value")
        if n_channels > MOST_CHANNELS:
            axes[0, 0].set_title(f"{self.name} ({MOST_CHANNELS} of {n_channels} channels)")


class Words(Drawing):
    """Texts as dictionaries of word to share of the row's words.

    Parameters
    ----------
    name, versions
        As in `Drawing`.
    usual : dict of str to float
        Shares of the average row: words that stand out of it are chosen.
    """

    width, height = 3.0, 1.9

    def __init__(self, name, versions, usual):
        super().__init__(name, versions)
        self.usual = usual

    def draw_row(self, ax, cells, first):
        """Draw bars of the words that tell most in any version."""
        telling = {}
        for shares in filter(None, cells.values()):
            for word, share in shares.items():
                stands_out = share * np.log(share / max(self.usual[word], 1e-8))
                telling[word] = max(telling.get(word, -np.inf), stands_out)
        words = sorted(telling, key=telling.get, reverse=True)[:MOST_WORDS]
        drawn = [(version, shares) for version, shares in cells.items() if shares is not None]
        thick = 0.8 / len(drawn)
        for number, (version, shares) in enumerate(drawn):
            places = np.arange(len(words)) + (number - (len(drawn) - 1) / 2) * thick
            colour = self.colour(version)
            lengths = [shares.get(word, 0) for word in words]
            ax.barh(places, lengths, thick, color=colour, label=version)
        ax.set_yticks(
            range(len(words)), [textwrap.shorten(word, 14) or word[:14] for word in words]
        )
        ax.invert_yaxis()
        if first and len(cells) > 1:
            _legend(ax, len(cells))

    def finish(self, axes):
        """Give all rows one scale."""
        high = max(ax.get_xlim()[1] for ax in axes.flat)
        for ax in axes.flat:
            ax.set_xlim(0, high)
            ax.tick_params(labelbottom=False)
        axes[-1, 0].tick_params(labelbottom=True)
        axes[-1, 0].set_xlabel("share of the words")


class Texts(Drawing):
    """Texts as they are written."""

    width, height = 3.2, 1.4

    def draw_row(self, ax, cells, first):
        """Write the versions, one below the other."""
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        for number, (version, text) in enumerate(cells.items()):
            lines = textwrap.wrap(text or "", LINE, max_lines=MOST_LINES // len(cells))
            written = "(missing)" if text is None else "\n".join(lines)
            ax.text(
                0,
                1 - number / len(cells),
                f"{version}:\n{written}" if len(cells) > 1 else written,
                transform=ax.transAxes,
                va="top",
                color=self.colour(version),
            )

    def finish(self, axes):
        """Nothing is measured."""


class Tables(Drawing):
    """Rows of a table: pairs of standardised numbers (NaN where unknown) and categories.

    Parameters
    ----------
    name, versions
        As in `Drawing`; a cell is a pair of an array and a list of str or None.
    numbers, categories : list of str
        Names of the columns of either kind.
    """

    width = 3.4

    def __init__(self, name, versions, numbers, categories):
        super().__init__(name, versions)
        self.numbers, self.categories = numbers, categories
        self.named = len(numbers) + len(categories) <= MOST_NAMED

    @property
    def height(self):
        """A line for each column, if they are named."""
        lines = len(self.numbers) + len(self.categories)
        return max(1.1, 0.26 * lines + 0.35) if self.named else 1.7

    def draw_row(self, ax, cells, first):
        """Draw dots for numbers, and write the categories."""
        n = len(self.numbers)
        drawn = {version: cell for version, cell in cells.items() if cell is not None}
        places = np.arange(n)
        if len(drawn) > 1 and self.named:
            low, high = ((end(_stack(drawn))) for end in (_low, _high))
            ax.hlines(places, low, high, color="0.7", lw=1)
        for version, (values, _) in drawn.items():
            colour, marker = self.colour(version), "oD"[version in PREDICTED]
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
        if first and len(cells) > 1:
            _legend(ax, len(cells))

    def _write_categories(self, ax, cells):
        for i in range(len(self.categories)):
            values = {
                version: "?" if cell is None or cell[1][i] is None else cell[1][i]
                for version, cell in cells.items()
            }
            for number, (version, value) in enumerate(values.items()):
                ax.text(
                    (number + 0.5) / len(values),
                    len(self.numbers) + i,
                    textwrap.shorten(value, 34 // len(values)) or value[: 34 // len(values)],
                    transform=ax.get_yaxis_transform(),
                    color=self.colour(version),
                    ha="center",
                    va="center",
                )

    def finish(self, axes):
        """Give all rows one scale, in standard deviations."""
        limits = [
            np.nanmax(np.abs(cell[0]), initial=0)
            for cells in self.versions.values()
            for cell in cells
            if cell is not None and len(self.numbers)
        ]
        reach = 1.15 * max(limits, default=0) or 1
        for ax in axes.flat:
            if self.named:
                ax.set_xlim(-reach, reach)
                ax.tick_params(labelbottom=False)
            else:
                ax.set_ylim(-reach, reach)
                ax.set_ylabel("std. dev.\nfrom mean")
        last = axes[-1, 0]
        if not self.named:
            last.set_xlabel("number of the column")
        elif self.numbers:
            last.tick_params(labelbottom=True)
            last.set_xlabel("standard deviations from the mean")
        else:
            for ax in axes.flat:
                ax.set_xticks([])


def _stack(drawn):
    return np.stack([values for values, _ in drawn.values()])


def _low(values):
    return np.where(np.isnan(values), np.inf, values).min(0)


def _high(values):
    return np.where(np.isnan(values), -np.inf, values).max(0)


def _legend(ax, n):
    """Write which version is which above the axes, where nothing is drawn."""
    title = ax.get_title()
    ax.set_title("")
    ax.legend(
        title=title,
        title_fontsize="large",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=n,
        frameon=False,
        borderpad=0,
        handlelength=1.2,
        columnspacing=1.0,
    )


def _missing(ax):
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, "missing", ha="center", va="center", color="0.4", transform=ax.transAxes)
