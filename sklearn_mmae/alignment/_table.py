"""Streams in a table: columns of numbers in time order, or cells that are sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.errors import CellError, CellTypeError, did_you_mean, listing, locate, warn
from .._core.holes import is_hole
from ..tables._table import kind_of, list_columns

__all__ = [
    "Table",
    "check_lengths",
    "positions",
    "read",
    "stream_rows",
    "usable_pairs",
    "varies",
]


@dataclass(frozen=True)
class Table:
    """The columns of a container as numpy arrays.

    Attributes
    ----------
    names : list of str
    columns : list of ndarray
        Of shape (rows,): as they came; objects where cells are sequences.
    n_rows : int
    """

    names: list
    columns: list
    n_rows: int

    def is_sequences(self, position):
        """Whether the cells of a column are sequences."""
        column = self.columns[position]
        if column.dtype.kind != "O":
            return False
        first = next((cell for cell in column if not is_hole(cell)), None)
        return isinstance(first, list | tuple | np.ndarray)

    def numbers(self, position):
        """Return a column of numbers as float64, missing values as NaN."""
        name, column = self.names[position], self.columns[position]
        if column.dtype.kind in "biuf":
            return column.astype(np.float64)
        values = np.full(len(column), np.nan)
        for row, cell in enumerate(column):
            if is_hole(cell):
                continue
            if isinstance(cell, str | bytes) or not np.isscalar(cell):
                raise _no_number(cell, name, row)
            values[row] = cell
        return values

    def sequences(self, position):
        """Return cells as float64 arrays (steps, channels), None where missing."""
        name = self.names[position]
        cells, width = [], None
        for row, cell in enumerate(self.columns[position]):
            if is_hole(cell):
                cells.append(None)
                continue
            try:
                cell = np.asarray(cell)
                if cell.dtype.kind == "U":
                    raise ValueError
                cell = cell.astype(np.float64)
            except (TypeError, ValueError):
                raise _no_number(cell, name, row) from None
            if cell.ndim not in (1, 2):
                raise CellError(
                    f"an array of shape {cell.shape}",
                    column=name,
                    row=row,
                    remedy="Give sequences of shape (steps,) or (steps, channels)",
                )
            if not cell.size:
                raise CellError(
                    f"an array of shape {cell.shape}, in which there is nothing",
                    column=name,
                    row=row,
                    remedy="Give at least one step, or None where the sequence is missing",
                )
            cell = cell.reshape(len(cell), -1)
            width = width or cell.shape[1]
            if cell.shape[1] != width:
                raise CellError(
                    f"{cell.shape[1]} channels, but {width} in the rows before",
                    column=name,
                    row=row,
                    remedy="Give every row the same channels, NaN where one was not observed",
                )
            cells.append(cell)
        return cells


def _no_number(cell, name, row):
    return CellTypeError(
        f"{cell!r:.60} is no number, but {type(cell).__name__}",
        column=name,
        row=row,
        remedy="Give numbers, NaN where missing, or leave the column out of `streams`",
    )


def read(X: Any) -> Table:
    """Read a DataFrame, pandas or polars, or an array (rows, columns)."""
    names, columns = zip(*list_columns(X), strict=True)
    with_names = kind_of(X) != "array"
    names = [str(name) if with_names else f"x{name}" for name in names]
    return Table(names, [column.values for column in columns], len(X))


def positions(columns, names, stream):
    """Return the positions of a stream's columns: names, positions, or a slice of positions.

    Raises
    ------
    ValueError
        For a column that the table does not have.
    """
    if isinstance(columns, slice):
        return list(range(len(names)))[columns]
    found = []
    for column in [columns] if isinstance(columns, str | int | np.integer) else columns:
        if isinstance(column, int | np.integer) and -len(names) <= column < len(names):
            found.append(int(column) % len(names))
        elif column in names:
            found.append(names.index(column))
        else:
            raise ValueError(
                f"stream {stream!r}: X has no column {column!r}.{did_you_mean(column, names)}"
                f" It has {listing(names)}."
            )
    if not found:
        raise ValueError(f"stream {stream!r} has no columns. Name at least one, or leave it out.")
    return found


def stream_rows(table, columns, sequences):
    """Return a stream as a list of arrays (steps, channels), None where missing."""
    if not sequences:
        return [np.stack([table.numbers(i) for i in columns], 1)]
    parts, rows = [table.sequences(i) for i in columns], []
    for row, cells in enumerate(zip(*parts, strict=True)):
        if any(cell is None for cell in cells):
            rows.append(None)
            continue
        for i, cell in zip(columns, cells, strict=True):
            with locate(column=table.names[i], row=row):
                check_lengths(cells[0], cell)
        rows.append(np.hstack(cells))
    return rows


def check_lengths(first, other):
    """Refuse two sequences of one row that are not of one length."""
    if len(first) != len(other):
        raise CellError(
            f"{len(other)} steps beside {len(first)} of the other column",
            remedy="Bring the sequences of a row to one sampling grid",
        )


def usable_pairs(reference, stream, max_steps, name):
    """Return the rows that can be used, and which they are; warn of those too short."""
    pairs, used, short = [], [], []
    for row, (x, y) in enumerate(zip(reference, stream, strict=True)):
        if x is None or y is None:
            continue
        with locate(row=row):
            check_lengths(x, y)
        if len(x) <= max_steps + 1:
            short.append(row)
        elif not (np.isnan(x).all() or np.isnan(y).all()):
            pairs.append((x, y))
            used.append(row)
    if short:
        warn(
            f"stream {name!r}, rows {listing(short, most=5)}: no longer than the largest lag of"
            f" {max_steps} steps, and left out. Give a smaller max_lag to use them."
        )
    return pairs, used


def varies(row):
    """Whether any channel of a row takes more than one value."""
    seen = ~np.isnan(row)
    high, low = np.where(seen, row, -np.inf).max(0), np.where(seen, row, np.inf).min(0)
    return bool((high > low).any())
