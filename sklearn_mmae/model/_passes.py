"""Rows that a fit reads several times, chunk by chunk, and the sample of them that it keeps."""

from __future__ import annotations

import dataclasses
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._core.errors import CellError, listing
from .._core.memory import give_back
from .._core.progress import progress_bar
from .._core.ranks import Ranks
from .._core.threads import ahead
from ..statistics import PLAIN
from ..statistics._merged import Merged, Unanswered
from ..statistics._samples import drawn
from ..tables import Chunks, Table, read
from ..tables._cells import Values, sort_of
from ..tables._chunks import naming_chunk
from ..tables._kinds import kind_of, library
from ..tables._table import take_rows
from ..training.start._begin import BLOCK
from . import _gathered
from ._gathered import Gathered
from ._parts import Part

__all__ = ["Passes", "Rest", "learn_from", "split"]

LEAST_ROWS = 64  # of a piece of a chunk
SHARES = 8  # of a piece, of which some are read while another is used
PLURALS = {"number": "numbers", "bool": "bools", "date": "dates", "category": "strings"}
SHOWN = 256  # rows that tell how large rows are once they are read

# Called, yields the rows beside those that are kept, some at a time.
Rest = Callable[[], Iterator[list[Values]]]


def split(values: list[Values]) -> tuple[list[Values], Rest | None]:
    """Return the rows that networks learn from, and the rest of them: None if there is none."""
    n_rows = len(values[0].present)
    most = _gathered.MOST_ROWS
    if n_rows <= most:
        return values, None
    rows, halvings = np.arange(n_rows), 0
    while (kept := drawn(rows, halvings)).sum() > most:
        halvings += 1
    others = np.flatnonzero(~kept)

    def rest() -> Iterator[list[Values]]:
        for first in range(0, len(others), most):
            yield [part.take(others[first : first + most]) for part in values]

    return [part.take(rows[kept]) for part in values], rest


class _Piece(NamedTuple):
    """Some rows of a chunk.

    Attributes
    ----------
    name : str
        Of the chunk.
    places, rows : ndarray of shape (rows,), int64
        Their numbers in the chunk, and among all rows.
    table : Table
    """

    name: str
    places: np.ndarray
    rows: np.ndarray
    table: Table

    def naming(self) -> AbstractContextManager[None]:
        """Let errors name the chunk, and their row in it."""
        return naming_chunk(self.name, self.places)

    def take(self, some: np.ndarray) -> _Piece:
        """Return some of the rows."""
        return _Piece(self.name, self.places[some], self.rows[some], self.table.take(some))


class Passes:
    """The rows of chunks, as a fit reads them.

    Parameters
    ----------
    chunks : Chunks
    estimator : estimator
        Named in scikit-learn's own messages; says whether to show a bar.
    ranks : Ranks or None
        Each has chunks of its own, which follow those of the ranks before it.

    Attributes
    ----------
    n_rows : int
        Of all ranks.
    kept : container
        The sample: all rows while they are few and small enough.
    rows : ndarray of shape (rows kept,)
        Their numbers.
    """

    def __init__(self, chunks: Chunks, estimator: Any, ranks: Ranks | None = None):
        self.chunks, self.estimator, self.ranks = chunks, estimator, ranks
        self._n_passes, self._piece = 0, _gathered.MOST_ROWS
        self._look()

    def _look(self) -> None:
        """Read all rows for the first time, and keep the sample."""
        self._firsts = [0] if self.ranks is None else _first_rows(self.ranks, self.chunks)
        self._first = self._firsts[0 if self.ranks is None else self.ranks.rank]
        gathered = Gathered(self._first)
        sorts: dict[Any, str] = {}
        for name, chunk in self.chunks.named():
            with naming_chunk(name):
                _check_sorts(chunk, sorts, self.estimator)
            gathered = gathered.with_(chunk)
        self._n_own = gathered.n_rows - self._first
        if not self._n_own:
            raise ValueError("Chunks: the source has no rows. Does it end after one reading?")
        if self.ranks is not None:
            _agree_on_sorts(self.ranks, sorts)
            gathered = gathered.of_all(self.ranks)
        whole = gathered.whole
        self.n_rows, self._halvings = gathered.n_rows, gathered.halvings
        self.kept, self.rows = whole.chunk, whole.rows

    @property
    def is_whole(self) -> bool:
        """Whether all rows are kept."""
        return len(self.rows) == self.n_rows

    @contextmanager
    def naming_rank(self) -> Iterator[None]:
        """Let errors about cells of the sample say whose they are, and their row there."""
        try:
            yield
        except CellError as error:
            if self.ranks is not None and error.row is not None:
                rows = self.rows[np.atleast_1d(error.row)]
                rank = int(np.searchsorted(self._firsts, rows[0], "right")) - 1
                error.row = (rows - self._firsts[rank]).tolist()
                error.problem = f"{error.problem} (rank {rank})"
            raise

    def fit_size(self, parts: list[Part], table: Table) -> Table:
        """Keep no more rows, and read no more at a time, than fit into memory once they are read.

        Parameters
        ----------
        parts : list of Part
            Not fitted.
        table : Table
            The rows that are kept.

        Returns
        -------
        Table
            Those that are kept then.
        """
        most = _gathered.MOST_BYTES / max(sum(_read_size(part, table) for part in parts), 1)
        self._piece = int(np.clip(most / 4, LEAST_ROWS, _gathered.MOST_ROWS))
        if len(self.rows) <= most:
            return table
        while (kept := drawn(self.rows, self._halvings)).sum() > most:
            self._halvings += 1
        some = np.flatnonzero(kept)
        self.kept, self.rows = take_rows(self.kept, some), self.rows[some]
        return table.take(some)

    def pieces(self) -> Iterator[_Piece]:
        """Read all rows once more."""
        self._n_passes += 1
        first, door = 0, library(kind_of(self.kept))
        bar = progress_bar(
            self._n_own, f"Pass {self._n_passes}", "row", int(self.estimator.verbose)
        )
        try:
            for name, chunk in self.chunks.named():
                with naming_chunk(name):
                    table = read(door.like(chunk, self.kept), self.estimator)
                places = np.arange(table.n_rows)
                chunk = _Piece(name, places, self._first + first + places, table)
                for start in range(0, table.n_rows, self._piece):
                    some = places[start : start + self._piece]
                    yield chunk if len(some) == table.n_rows else chunk.take(some)
                    if bar is not None:
                        bar.update(len(some))
                first += table.n_rows
            if first != self._n_own:
                raise ValueError(
                    f"Chunks: the source had {self._n_own} rows when it was read first, and"
                    f" {first} now. It has to give the same rows each time."
                )
        finally:
            if bar is not None:
                bar.close()

    def rest(self, parts: list[Part], labels: list[Values]) -> Rest | None:
        """Return what reads the rows that are not kept.

        Parameters
        ----------
        parts : list of Part
            Fitted.
        labels : list of Values
            Of a target, of all rows.
        """
        if self.is_whole:
            return None

        def values_of(piece: _Piece) -> list[Values]:
            with piece.naming():
                values = [part.read(piece.table.cells(part.places)) for part in parts]
            return [*values, *(part.take(piece.rows) for part in labels)]

        return lambda: ahead(values_of, self._others())

    def _others(self) -> Iterator[_Piece]:
        """Read the rows that are not kept: as few at a time as make a second set of them small."""
        size = max(self._piece // SHARES // BLOCK, 1) * BLOCK  # whole blocks, as sums take
        for piece in self.pieces():
            others = np.flatnonzero(~drawn(piece.rows, self._halvings))
            for start in range(0, len(others), size):
                yield piece.take(others[start : start + size])


def _first_rows(ranks: Ranks, chunks: Chunks) -> list[int]:
    """Return the number of each rank's first row, having refused what does not agree."""
    n_rows, names = chunks.measured()
    told = ranks.gather("rows", (n_rows, dict(enumerate(names))))
    empty = [rank for rank, (n, _) in enumerate(told) if not n]
    if empty:
        ranks.refuse(f"rank {listing(empty)} has no rows. Give some to every rank.")
    names = [names for _, names in told]
    ranks.agree(names, "column", "Give all ranks the same columns, in one order.")
    return np.cumsum([0, *(n for n, _ in told[:-1])]).tolist()


def _agree_on_sorts(ranks: Ranks, sorts: dict[Any, str]) -> None:
    """Refuse ranks in which a column holds different things; nothing is no other thing."""
    told = [
        {name: PLURALS[sort] for name, sort in own.items()} for own in ranks.gather("sorts", sorts)
    ]
    known = dict(ChainMap(*told))
    ranks.agree([{**known, **own} for own in told], "column", "Give rows of the same kinds.")


def learn_from(passes: Passes, parts: list[Part], table: Table) -> None:
    """Fit modalities to all rows of chunks, in as many passes as their questions take.

    Parameters
    ----------
    passes : Passes
    parts : list of Part
    table : Table
        The rows that are kept, which tell of what kind the columns are.
    """
    merged = Merged(passes.ranks)
    left = [part for part in parts if not _has_learned(part, table, merged)]
    merged.forget()
    while left:
        for piece in passes.pieces():
            with piece.naming():
                left = [part for part in left if not _has_learned(part, piece.table, merged)]
            if not left:
                return
        merged.end_pass()
        give_back()


def _has_learned(part: Part, table: Table, merged: Merged) -> bool:
    """Run the fit of a modality on some rows, as far as it comes; return whether it is over."""
    try:
        part.fit(table.cells(part.places), merged.of(part.name))
    except Unanswered:
        return False
    return True


def _read_size(part: Part, table: Table) -> float:
    """Return about how many bytes a row takes of what a modality makes of it."""
    observed = np.any([table.column(place).observed for place in part.places], 0)
    rows = np.flatnonzero(observed)[:SHOWN]
    if not len(rows):
        return 0.0
    trial = dataclasses.replace(part, modality=clone(part.modality))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these rows alone deserve
        values = trial.learn(table.take(rows).cells(part.places), PLAIN)
    return values.nbytes / len(rows)


def _check_sorts(chunk: Any, sorts: dict[Any, str], estimator: Any) -> None:
    """Refuse a chunk in which a column holds what it does not hold in those before."""
    table = read(take_rows(chunk, np.arange(min(SHOWN, len(chunk)))), estimator)
    if table.matrix is not None:
        return
    for place, column_name in enumerate(table.names):
        column = table.column(place)
        kind = {"i": "number", "u": "number", "f": "number", "M": "date"}.get(
            column.values.dtype.kind
        )
        found = {sort_of(cells) for cells in column.types} if kind is None else {kind}
        if len(found) != 1 or None in found or not column.observed.any():
            continue
        (sort,) = found
        if sorts.setdefault(column_name, sort) != sort:
            raise ValueError(
                f"column {column_name!r} holds {PLURALS[sort]}, and {PLURALS[sorts[column_name]]}"
                " in chunks before. Give chunks of the same kinds."
            )
