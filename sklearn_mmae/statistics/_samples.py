"""A bounded sample of rows with missing values that does not depend on the order of rows.

Each row has a key, made of its cells; those with the smallest keys are kept, every copy of them.
So parts of the rows, merged in any order, keep the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ._questions import Blocks, Question

__all__ = ["Sample", "SampledRows", "drawn", "keys_of"]

PRECISION = 2**12  # steps of a unit, in which two rows must differ to be told apart
MIX = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)  # of splitmix64


class SampledRows(NamedTuple):
    """Rows of a table, and for how many of as many rows each of them stands.

    Attributes
    ----------
    rows : ndarray of shape (rows, columns), float64
        NaN where missing.
    weights : ndarray of shape (rows,)
    """

    rows: np.ndarray
    weights: np.ndarray


class _Kept(NamedTuple):
    """Of `n_rows` rows those with the smallest keys: their sums, and how many they are."""

    n_rows: int
    keys: np.ndarray
    sums: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Sample(Question):
    """All rows while they are at most `most`; beyond, as many different ones, by their keys."""

    most: int

    def partial(self, rows: Blocks) -> _Kept:
        """Return what is kept of some rows."""
        parts, last, n_rows = [], None, 0
        for block, observed in rows():
            block, observed = _on_host(block), _on_host(observed)
            keys, n_rows = keys_of(block, observed), n_rows + len(block)
            inside = slice(None) if last is None else keys <= last
            table = np.where(observed[inside], block[inside], np.nan)
            parts.append(_Kept(len(block), keys[inside], table, np.ones(len(table))))
            if sum(len(part.keys) for part in parts) > 2 * self.most:
                parts = [self._joined(parts)]
                last = parts[0].keys[-1]
        return self._joined(parts)

    def merge(self, one: _Kept, other: _Kept) -> _Kept:
        """Return what is kept of both."""
        return self._joined([one, other])

    def _joined(self, parts: list[_Kept]) -> _Kept:
        n_rows = sum(part.n_rows for part in parts)
        keys, sums, counts = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
        order = np.argsort(keys, kind="stable")
        keys, sums, counts = keys[order], sums[order], counts[order]
        if n_rows > self.most:
            keys, first = np.unique(keys, return_index=True)
            sums, counts = np.add.reduceat(sums, first), np.add.reduceat(counts, first)
            keys, sums, counts = (array[: self.most] for array in (keys, sums, counts))
        return _Kept(n_rows, keys, sums, counts)

    def finish(self, part: _Kept) -> tuple[SampledRows, int]:
        """Return the rows and what each of them weighs, and how many rows there are."""
        rows = part.sums / part.counts[:, None]
        n = min(part.n_rows, self.most)
        # What makes up more than its even share of all rows stands for itself only.
        often = part.counts * len(rows) > part.n_rows
        rest = part.n_rows - part.counts[often].sum()
        others = rest / max(part.counts[~often].sum(), 1)
        weights = np.where(often, 1, others) * part.counts * (n / max(part.n_rows, 1))
        return SampledRows(rows, weights), part.n_rows


def keys_of(rows: np.ndarray | sparse.csr_array, observed: np.ndarray | None = None) -> np.ndarray:
    """Return numbers that look random, equal for equal rows, (rows,) uint64.

    They are made of two projections of a row, which tell rows apart, and which rounding in its
    last bits does not change.
    """
    axes = np.random.RandomState(0).standard_normal((2, rows.shape[1], 2))
    places = rows @ axes[0] * PRECISION
    if observed is not None:
        places += observed @ axes[1] * PRECISION
    # Whole numbers, above all 0, are not to lie on an edge.
    places = np.rint(np.clip(places, -(2.0**62), 2.0**62) + 0.37).astype(np.int64).view(np.uint64)
    return _mixed(_mixed(places[:, 0]) + places[:, 1])


def drawn(rows: np.ndarray, halvings: int) -> np.ndarray:
    """Return which rows a sample has, by their numbers; each halving leaves out about every second.

    That of fewer halvings has all those of more.
    """
    return _mixed(rows.astype(np.uint64)) >> np.uint64(64 - halvings) == 0


def _mixed(numbers: np.ndarray) -> np.ndarray:
    for shift, factor in zip((30, 27), MIX, strict=True):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * factor
    return numbers ^ (numbers >> np.uint64(31))


def _on_host(array: Any) -> np.ndarray:
    """Return a tensor, wherever it is, as an array."""
    fetch: Callable = getattr(array, "cpu", lambda: array)
    return np.asarray(fetch())
