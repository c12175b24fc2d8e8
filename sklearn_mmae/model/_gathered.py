"""Rows that come one chunk after the other, all of them or a sample by a hash of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.utils import _safe_indexing

from .._core.ranks import Ranks
from ..statistics._samples import drawn
from ..tables._kinds import kind_of, library
from ..tables._table import count_rows, select, take_rows

__all__ = ["MOST_BYTES", "MOST_ROWS", "Gathered"]

MOST_ROWS = 2**17  # that networks learn from: as many as 32 epochs see of any number of rows
MOST_BYTES = 2**27  # of the rows that are kept, and as much when they are read
MOST_PIECES = 256  # that the sample consists of while it is gathered


class _Kept(NamedTuple):
    """Rows of the sample, their labels and numbers, and about how many bytes they take."""

    chunk: Any
    labels: Any
    rows: np.ndarray
    size: int


@dataclass(frozen=True)
class Gathered:
    """The rows so far; adding some makes another one.

    Attributes
    ----------
    n_rows : int
    halvings : int
        Each leaves about every second row out of the sample; see `drawn`.
    n_calls : int
        How often rows were added.
    n_learned : int
        Rows there were when a model was last learned of them.
    n_before : int
        Rows there were before some were last added.
    """

    n_rows: int = 0
    halvings: int = 0
    n_calls: int = 0
    n_learned: int = 0
    n_before: int = 0
    pieces: tuple[_Kept, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether there are twice as many rows as when a model was last learned of them."""
        return self.n_rows >= 2 * self.n_learned

    @property
    def learned(self) -> Gathered:
        """These rows, of which a model has been learned."""
        return replace(self, n_learned=self.n_rows)

    @property
    def whole(self) -> _Kept:
        """The sample in one piece."""
        return self._joined(self.pieces)

    def with_(self, chunk: Any, labels: Any = None) -> Gathered:
        """Return these rows and some more, with labels if they have any.

        Raises
        ------
        ValueError
            For rows of another container, or without one of the columns.
        """
        if self.pieces:
            chunk = _in_order_of(chunk, self.pieces[0].chunk)
        n = count_rows(chunk)
        if labels is not None:
            labels = labels if hasattr(labels, "iloc") else np.asarray(labels)
            if len(labels) != n:
                raise ValueError(f"y has {len(labels)} rows, but X has {n}. Give one for each row.")
        rows = np.arange(self.n_rows, self.n_rows + n)
        n_calls, n_rows = self.n_calls + 1, self.n_rows + n
        grown = replace(self, n_rows=n_rows, n_calls=n_calls, n_before=self.n_rows)
        return grown._with_piece(_Kept(chunk, labels, rows, 0)).bounded()

    def _with_piece(self, piece: _Kept) -> Gathered:
        pieces = (*self.pieces, self._kept(piece))
        if len(pieces) > MOST_PIECES:
            pieces = (self._joined(pieces),)
        return replace(self, pieces=pieces)

    def bounded(self) -> Gathered:
        """Return as many of the rows as may be kept."""
        found = self
        while found.n_kept > MOST_ROWS or sum(part.size for part in found.pieces) > MOST_BYTES:
            found = replace(found, halvings=found.halvings + 1)._thinned()
        return found

    def of_all(self, ranks: Ranks) -> Gathered:
        """Return the rows of all ranks, of which each numbers its own after those before it."""
        told = ranks.gather("sample", (self.n_rows, self.halvings, self.whole))
        n_rows, halvings, pieces = zip(*told, strict=True)
        return (
            replace(self, n_rows=n_rows[-1], halvings=max(halvings), pieces=pieces)
            ._thinned()
            .bounded()
        )

    def _thinned(self) -> Gathered:
        return replace(self, pieces=(self.whole,))

    @property
    def n_kept(self) -> int:
        """Rows of the sample."""
        return sum(len(part.rows) for part in self.pieces)

    def _kept(self, piece: _Kept) -> _Kept:
        """Return the rows of the sample."""
        some = np.flatnonzero(drawn(piece.rows, self.halvings))
        chunk = take_rows(piece.chunk, some)
        labels = None if piece.labels is None else _safe_indexing(piece.labels, some)
        return _Kept(chunk, labels, piece.rows[some], _size(chunk))

    def _joined(self, pieces: Sequence[_Kept]) -> _Kept:
        parts = [self._kept(piece) for piece in pieces]
        chunks = [part.chunk for part in parts]
        labels = None if any(part.labels is None for part in parts) else _joined_labels(parts)
        return _Kept(
            library(kind_of(chunks[0])).joined(chunks),
            labels,
            np.concatenate([part.rows for part in parts]),
            sum(part.size for part in parts),
        )


def _joined_labels(parts: Sequence[_Kept]) -> Any:
    labels = [part.labels for part in parts]
    if hasattr(labels[0], "iloc"):
        return pd.concat(labels, ignore_index=True)
    return np.concatenate(labels)


def _in_order_of(chunk: Any, first: Any) -> Any:
    """Return rows with their columns as those of the rows before."""
    kind = kind_of(first)
    if kind_of(chunk) != kind:
        raise ValueError(
            f"rows came as {kind} before, and now as {kind_of(chunk)}. Give the same container."
        )
    if kind == "array":
        return chunk
    names, wanted = (list(library(kind).names(rows)) for rows in (chunk, first))
    absent = [name for name in wanted if name not in names]
    if absent:
        raise ValueError(
            f"column {absent[0]!r} was there before. Give it with missing values where a chunk has"
            " nothing of it."
        )
    return chunk if names == wanted else select(chunk, wanted)


def _size(chunk: Any) -> int:
    """Return about how many bytes a container takes."""
    kind = kind_of(chunk)
    if kind == "pandas":
        return int(chunk.memory_usage(index=False, deep=True).sum())
    if kind == "polars":
        return int(chunk.estimated_size())
    if kind == "slicedict":
        return sum(np.asanyarray(values).nbytes for values in chunk.values())
    return int(chunk.data.nbytes if scipy.sparse.issparse(chunk) else chunk.nbytes)
