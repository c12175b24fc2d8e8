"""Images, sounds, clips and signals, plotted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._core.typing import Array, Axes
from ..modalities import _shown
from ._axes import COLOURS
from ._drawing import SECOND, Beside, Together

__all__ = ["Clips", "Pictures", "Signals", "Sounds"]

MOST_FRAMES = 6  # of a film strip
MOST_CHANNELS = 3  # of a signal, in colours of their own
TICKS_HZ = (60, 125, 250, 500, 1000, 2000, 4000, 8000)


class Pictures(Beside):
    """Images; see `modalities._shown.Pictures`, and so on."""

    width, height = 1.35, 1.35

    def draw_cell(self, ax: Axes, cell: Array) -> None:
        """Draw an image; grey ones from black to white."""
        low, high = self.shown.low, self.shown.high
        share = (cell.astype(np.float64) - low) / ((high - low) or 1)
        ax.imshow(share.clip(0, 1), cmap="gray", vmin=0, vmax=1)

    def finish(self, axes: Array) -> None:
        """Leave out the ticks: a pixel's number says nothing. What is missing is as large."""
        shapes = [cell.shape for cell in self.present_cells()]
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            if shapes:
                ax.set_box_aspect(shapes[0][0] / shapes[0][1])


class Sounds(Beside):
    """Spectrograms."""

    width, height = 2.6, 1.7

    def __init__(
        self, shown: _shown.Sounds, name: str, versions: Mapping[str, _shown.Sounds]
    ) -> None:
        super().__init__(shown, name, versions)
        self.step_seconds, self.frequencies = shown.step_seconds, shown.frequencies
        levels = self.present_cells()
        self.high = max((float(cell.max()) for cell in levels), default=0.0)
        self.seconds = max((len(cell) for cell in levels), default=1) * shown.step_seconds

    def draw_cell(self, ax: Axes, cell: Array) -> None:
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

    def finish(self, axes: Array) -> None:
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
            ax.set_ylabel("frequency (Hz)")
        for ax in axes[-1]:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("time (s)")
        if hasattr(self, "image"):
            bar = axes.flat[0].figure.colorbar(
                self.image, ax=list(axes[:, -1]), pad=0.02, aspect=40
            )
            bar.set_label("level (dB)")


class Clips(Together):
    """Clips as film strips."""

    width, height = 4.8, 1.9

    def __init__(
        self, shown: _shown.Clips, name: str, versions: Mapping[str, _shown.Clips]
    ) -> None:
        super().__init__(shown, name, versions)
        self.step_seconds = shown.step_seconds
        self.n_places = min(MOST_FRAMES, max(map(len, self.present_cells()), default=1))

    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
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
                ax.imshow(
                    cell[frame],
                    cmap="gray",
                    vmin=0,
                    vmax=255,
                    extent=(left, left + width, top + height, top),
                )
        step = 1 if self.step_seconds is None else self.step_seconds
        ax.set_xlim(0, 1.04 * width * self.n_places - 0.04 * width)
        ax.set_ylim(1.06 * height * len(cells) - 0.06 * height, 0)
        ax.set_aspect("equal")
        ax.set_xticks(
            width * (1.04 * np.arange(len(chosen)) + 0.5),
            [f"{round(step * f, 2):g}" for f in chosen],
        )
        ax.set_yticks(height * (1.06 * np.arange(len(cells)) + 0.5), list(cells))
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)

    def finish(self, axes: Array) -> None:
        """Say what is counted below the last."""
        axes[-1].set_xlabel("frame" if self.step_seconds is None else "time (s)")


class Signals(Together):
    """Signals as lines."""

    width, height = 3.8, 1.7

    @property
    def title(self) -> str:
        """The name, and how many of the channels are plotted."""
        n = max((values.shape[1] for _, values in self.present_cells()), default=1)
        if n == 1:
            return self.name
        drawn = f"{n}" if n <= MOST_CHANNELS else f"{MOST_CHANNELS} of {n}"
        return f"{self.name} ({drawn} channels)"

    def draw_row(self, ax: Axes, cells: dict[str, Any]) -> None:
        """Draw lines: what was there broad and pale, what was predicted thin."""
        alone = all(cell is None or cell[1].shape[1] == 1 for cell in cells.values())
        for version, cell in cells.items():
            style = {"lw": 1.3} if version in SECOND else {"lw": 3.5, "alpha": 0.35}
            ax.plot([], [], color=self.colour(version) if alone else "0.2", label=version, **style)
            if cell is None:
                continue
            times, values = cell
            for channel in range(min(values.shape[1], MOST_CHANNELS)):
                colour = self.colour(version) if alone else COLOURS[channel]
                ax.plot(times, values[:, channel], color=colour, **style)
        ax.margins(x=0)

    def finish(self, axes: Array) -> None:
        """Say what is counted."""
        axes[-1].set_xlabel("time (s)" if self.shown.in_seconds else "step")
        for ax in axes:
            ax.set_ylabel("value")
