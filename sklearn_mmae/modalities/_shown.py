"""What a modality shows of its cells to people: plain records, which `displays` draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.holes import is_hole
from .._core.typing import Array
from ..tables._cells import Cells

__all__ = ["Clips", "Pictures", "Shown", "Signals", "Sounds", "Tables", "Texts", "Words"]


@dataclass(frozen=True)
class Shown:
    """Cells of some rows, None where there is none, and what they have in common."""

    cells: Sequence[Any]


@dataclass(frozen=True)
class Pictures(Shown):
    """Arrays of shape (height, width[, channels]), numbers from `low` to `high`."""

    low: float = 0
    high: float = 255


@dataclass(frozen=True)
class Sounds(Shown):
    """Log-mel spectrograms (steps, bands) in decibels; frequencies (bands,) in hertz."""

    step_seconds: float
    frequencies: Array


@dataclass(frozen=True)
class Clips(Shown):
    """Arrays of shape (frames, height, width[, channels]), uint8; None counts time in frames."""

    step_seconds: float | None


@dataclass(frozen=True)
class Signals(Shown):
    """Pairs of times (T,), in seconds or steps, and numbers (T, channels), NaN if missing."""

    in_seconds: bool


@dataclass(frozen=True)
class Words(Shown):
    """Dictionaries of word to share of the row's words, and of the `usual` row's."""

    usual: Mapping[str, float]


@dataclass(frozen=True)
class Tables(Shown):
    """Pairs of standardised numbers, NaN where unknown, and categories, str or None; and names."""

    numbers: Sequence[str]
    categories: Sequence[str]


class Texts(Shown):
    """Texts as they are written."""

    @classmethod
    def of(cls, cells: Cells) -> Texts:
        """Write cells of any kind out, several columns with their names."""
        return cls([_written(cells.names, row) for row in zip(*cells.columns, strict=True)])


def where_present(cells: Iterable[Any], present: Array) -> list[Any]:
    """Return the cells of rows, None where nothing is present."""
    return [cell if there else None for cell, there in zip(cells, present, strict=True)]


def _written(names: Sequence[Any], row: Sequence[Any]) -> str | None:
    texts = [
        f"{name} {_text(cell)}" if len(names) > 1 else _text(cell)
        for name, cell in zip(names, row, strict=True)
        if not is_hole(cell)
    ]
    return ", ".join(texts) if texts else None


def _text(cell: Any) -> str:
    return f"{cell:.4g}" if isinstance(cell, float | np.floating) else str(cell)
