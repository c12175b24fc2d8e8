"""A bounded sample of rows with missing values that does not depend on the order of rows.

Each row has a key, made of its cells; those with the smallest keys are kept, every copy of them.
So parts of the rows, merged in any order, keep the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ._questions import Blocks, Products, Question

__all__ = ["Sample", "SampledProducts", "SampledRows", "drawn", "keys_of"]

PRECISION = 2**12  # steps of a unit, in which two rows must differ to be told apart
FULL = 1.25  # times as many rows as are kept at last, until some are dropped
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
        gathering = _Gathering(self)
        for _ in gathering.watch(rows()):
            pass
        return gathering.kept

    def merge(self, one: _Kept, other: _Kept) -> _Kept:
        """Return what is kept of both."""
        return self.joined([one, other])

    def joined(self, parts: list[_Kept]) -> _Kept:
        """Return what is kept of several parts."""
        n_rows = sum(part.n_rows for part in parts)
        keys = np.concatenate([part.keys for part in parts])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        if n_rows > self.most:
            different = np.unique(keys)[: self.most]
            order = order[: np.searchsorted(keys, different[-1], side="right")]
            keys = keys[: len(order)]
        sums, counts = (_in_order([part[i] for part in parts], order) for i in (2, 3))
        if n_rows > self.most and len(different) < len(keys):
            first = np.searchsorted(keys, different)
            sums, counts = np.add.reduceat(sums, first), np.add.reduceat(counts, first)
            keys = different
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


def _in_order(parts: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """Return rows of parts, by their numbers among all of them; these are never there twice."""
    found, first = np.empty((len(order), *parts[0].shape[1:])), 0
    for part in parts:
        own = (order >= first) & (order < first + len(part))
        found[own] = part[order[own] - first]
        first += len(part)
    return found


class _Gathering:
    """A sample of the blocks of rows that pass by."""

    def __init__(self, sample: Sample):
        self.sample = sample
        self.parts: list[_Kept] = []
        self.n_kept = 0
        self.last: np.uint64 | None = None  # the largest key that may still be kept

    @property
    def kept(self) -> _Kept:
        """What is kept of all of them."""
        return self.sample.joined(self.parts)

    def watch(self, blocks: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """Yield the blocks as they are."""
        for block, observed in blocks:
            self._add(_on_host(block), _on_host(observed))
            yield block, observed

    def _add(self, block: np.ndarray, observed: np.ndarray) -> None:
        keys = keys_of(block, observed)
        inside = slice(None) if self.last is None else keys <= self.last
        table = np.where(observed[inside], block[inside], np.nan)
        self.parts.append(_Kept(len(block), keys[inside], table, np.ones(len(table))))
        self.n_kept += len(table)
        if self.n_kept > FULL * self.sample.most:
            self.parts = [self.kept]
            self.n_kept, self.last = len(self.parts[0].keys), self.parts[0].keys[-1]


@dataclass(frozen=True)
class SampledProducts(Question):
    """Sums of ``x x'``, or of ``x x' along``, and a sample of the rows, taken in one reading."""

    along: Any
    most: int

    def partial(self, rows: Blocks) -> tuple[tuple, _Kept]:
        """Return both of some rows."""
        gathering = _Gathering(Sample(self.most))
        product = Products(self.along).partial(lambda: gathering.watch(rows()))
        return product, gathering.kept

    def merge(self, one: tuple, other: tuple) -> tuple:
        """Return both of all of them."""
        sums = Products(self.along).merge(one[0], other[0])
        return sums, Sample(self.most).merge(one[1], other[1])

    def finish(self, part: tuple) -> tuple:
        """Return the sums as `Products`, and the sample if cells are missing, else None."""
        product, counts, n_rows = part[0]
        missing = bool((counts < n_rows).any())
        return product, counts, n_rows, Sample(self.most).finish(part[1])[0] if missing else None


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
