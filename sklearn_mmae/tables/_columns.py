"""`Columns`: what a fit knows of the columns of its rows, and writes new ones by."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from .._core.errors import CellError
from .._core.values import is_whole
from ._cells import Cells, Column, is_zone, objects
from ._dtypes import CELLS, Form, holds_arrays
from ._kinds import KINDS, library
from ._table import Table

__all__ = ["Columns", "fill_cells"]

WIDEST = 2**40  # numbers to a row of a block


@dataclass(frozen=True)
class Columns:
    """The columns of the rows of `fit`.

    Attributes
    ----------
    kind : {"pandas", "polars", "array", "slicedict"}
        Of the container.
    names : list
        Positions for an array.
    forms : list of Form
        What the cells of each column are to come back as.
    is_block : bool
        Whether all columns were one array of numbers.
    is_double : bool
        Whether that array was anything but float32.
    """

    kind: str
    names: list
    forms: list[Form]
    is_block: bool
    is_double: bool

    @classmethod
    def of(cls, table: Table) -> Columns:
        """Return what a fit on the rows of a table knows of their columns."""
        names = list(table.names)
        if table.matrix is not None:
            forms = [Form(table.matrix.dtype)] * len(names)
            return cls(table.kind, names, forms, True, table.matrix.dtype != np.float32)
        door = library(table.kind)
        forms = [door.form(table.native(j), table.column(j)) for j in range(len(names))]
        return cls(table.kind, names, forms, False, False)

    def width(self, place: int) -> int | None:
        """Return the numbers to a row of a column that is a block of numbers; None for others."""
        return self.forms[place].width

    def holes(self, places: list[int], n_rows: int) -> Cells:
        """Return the cells of columns that are missing altogether.

        Parameters
        ----------
        places : list of int
            Their positions in `fit`.
        n_rows : int
        """
        names, width = [self.names[place] for place in places], self.width(places[0])
        if self.is_block or width is not None:
            names = names if width is None else names * width
            block = np.broadcast_to(np.float32(np.nan), (n_rows, len(names)))
            return Cells.of_matrix(names, block)
        hole = np.broadcast_to(np.array(None, object), (n_rows,))
        return Cells(tuple(names), (hole,) * len(names))

    def place(self, places: list[int], predicted: list[np.ndarray]) -> dict[int, np.ndarray]:
        """Return predicted columns by their positions; those of a block of numbers are one."""
        if self.width(places[0]) is not None:
            predicted = [np.stack(predicted, 1)]
        return dict(zip(places, predicted, strict=True))

    # Writing ---------------------------------------------------------------------------------

    def write(self, columns: dict[int, np.ndarray], index: pd.Index | None = None) -> Any:
        """Return predicted columns in the container and the dtypes of `fit`.

        Parameters
        ----------
        columns : dict of int to ndarray of shape (rows, ...)
            By their positions in `fit`.
        index : pandas.Index, optional

        Returns
        -------
        DataFrame, array or SliceDict
            A column whose dtype cannot hold what is predicted, such as words among categories, has
            one of its own.
        """
        made = {
            place: _written(library(self.kind), values, self.forms[place])
            for place, values in columns.items()
        }
        return self._join(made, index)

    def fill(self, table: Table, at: dict[int, int], predicted: dict[int, np.ndarray]) -> Any:
        """Return the rows of a table with its missing values filled.

        Parameters
        ----------
        table : Table
        at : dict of int to int
            Where each column of `fit` stands in the table; those that are missing are predicted.
        predicted : dict of int to ndarray of shape (rows, ...)
            By positions in `fit`.

        Returns
        -------
        DataFrame, array or SliceDict
            As the container of `fit`. Observed cells are as they were given: in the dtype of `fit`
            where it holds them exactly, else in their own, or in a wider one.

        Raises
        ------
        CellError
            If no dtype holds both what is observed and what is predicted.
        """
        made = {}
        for place, values in predicted.items():
            if place in at:
                made[place] = self._filled(table, at[place], values, place)
            else:
                made[place] = _written(library(self.kind), values, self.forms[place])
        return self._join(made, table.index)

    def _filled(self, table: Table, position: int, predicted: np.ndarray, place: int) -> Any:
        door, form, column = library(self.kind), self.forms[place], table.column(position)
        observed = column.observed
        if not observed.any():
            return _written(door, predicted, form)
        given = table.native(position, self.kind)
        if column.values.ndim > 1 or holds_arrays(predicted):
            whole = fill_cells(column, predicted)
            return given if whole is column.values else _written(door, whole, form)
        kept = door.take(given, np.flatnonzero(observed))
        rest = predicted[~observed]
        order = np.argsort(np.argsort(~observed, kind="stable"), kind="stable")
        for wanted in (form, door.form(given, column), *door.wider(kept, form)):
            old = door.held(kept, wanted)
            new = None if old is None else door.make(rest, wanted)
            if new is not None:
                return door.arrange(old, new, order) if len(rest) else old
        raise CellError(
            f"no dtype holds the cells that are there ({given.dtype}) and those that are filled in"
            f" ({form.dtype})",
            column=self.names[place],
            row=np.flatnonzero(~observed).tolist(),
            remedy=f"Give the column as {form.dtype}, as in fit",
        )

    def write_numbers(self, columns: dict[int, np.ndarray], index: pd.Index | None = None) -> Any:
        """Return numbers about columns, as floats or objects, in the container of `fit`.

        Parameters
        ----------
        columns : dict of int to ndarray of shape (rows, ...)
            By the positions of the columns in `fit`.
        index : pandas.Index, optional
        """
        door = library(self.kind)
        return self._join({place: door.natural(c) for place, c in columns.items()}, index)

    def frame_of(self, values: np.ndarray, names: Any, index: pd.Index | None = None) -> Any:
        """Return a block of numbers as a data frame, of polars where the rows of `fit` were."""
        door = library("polars" if self.kind == "polars" else "pandas")
        return door.frame_of(values, names, index)

    def _join(self, made: dict[int, Any], index: pd.Index | None) -> Any:
        places = sorted(made)
        names = [self.names[place] for place in places]
        return library(self.kind).join(names, [made[place] for place in places], index)

    # In a file -------------------------------------------------------------------------------

    def __reduce__(self) -> tuple:
        """Pickle as plain values, too: so a pickle needs none of the libraries to be read."""
        return Columns.from_plain, (self.to_plain(),)

    def to_plain(self) -> dict[str, Any]:
        """Return what is known as dicts, lists, text and numbers."""
        forms = [{**vars(form), "dtype": self._plain_dtype(form.dtype)} for form in self.forms]
        return {**vars(self), "names": list(self.names), "forms": forms}

    def _plain_dtype(self, dtype: Any) -> list:
        return dtype if isinstance(dtype, list) else _dtypes_of(self.kind).to_plain(dtype)

    @classmethod
    def from_plain(cls, plain: Any) -> Columns:
        """Return columns that a file describes, see `to_plain`; raises for any other description.

        Where polars or pyarrow is missing, dtypes of theirs stay as they were described: rows can
        be read and described, not written.
        """
        known = cls(**plain)
        _check(isinstance(known.kind, str) and known.kind in KINDS, "the kind of its rows")
        _check(type(known.is_block) is bool and type(known.is_double) is bool, "its block")
        _check(isinstance(known.names, list) and isinstance(known.forms, list), "its columns")
        _check(len(set(known.names)) == len(known.names) == len(known.forms), "its columns")
        forms = [_form_from_plain(known.kind, form) for form in known.forms]
        return cls(known.kind, known.names, forms, known.is_block, known.is_double)


def _dtypes_of(kind: str) -> ModuleType:
    return library("polars" if kind == "polars" else "pandas")


def _form_from_plain(kind: str, plain: Any) -> Form:
    form = Form(**plain)
    _check(isinstance(form.dtype, list), "the dtype of a column")
    _check(form.cells is None or form.cells in CELLS, "the cells of a column")
    _check(form.zone is None or (isinstance(form.zone, str) and is_zone(form.zone)), "a time zone")
    wide = form.width is None or (is_whole(form.width) and 0 < form.width <= WIDEST)
    _check(wide, "the width of a column")
    try:
        return dataclasses.replace(form, dtype=_dtypes_of(kind).from_plain(form.dtype))
    except ImportError:
        return form


def _check(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"{what}: this is not as it should be")


def _written(door: ModuleType, values: np.ndarray, form: Form) -> Any:
    """Return predicted cells in a form or, where it cannot hold them, in a dtype of their own."""
    made = door.make(values, form)
    return door.natural(values) if made is None else made


def fill_cells(column: Column, predicted: np.ndarray) -> np.ndarray:
    """Return the cells of a column as an array, missing values filled, also those within arrays.

    Parameters
    ----------
    column : Column
    predicted : ndarray of shape (rows, ...)

    Returns
    -------
    ndarray of shape (rows, ...)
        The column's own where it has no missing value.
    """
    given, observed = column.values, column.observed
    if given.dtype.kind == "f" and given.ndim > 1:
        hole = np.isnan(given)
        if not hole.any():
            return given
        if given.ndim == 2:
            return np.where(hole, predicted, given)
    if given.dtype.kind == "O" or (given.dtype.kind == "f" and given.ndim > 1):
        filled = [
            _patched(cell, new) if known else new
            for cell, new, known in zip(given, predicted, observed, strict=True)
        ]
        whole = observed.all() and all(a is b for a, b in zip(filled, given, strict=True))
        return given if whole else objects(filled)
    return given if observed.all() else np.where(observed, given, predicted).astype(given.dtype)


def _patched(cell: Any, predicted: Any) -> Any:
    """Return an array cell, filled where missing, if it was predicted number by number."""
    if not isinstance(cell, np.ndarray | list) or not isinstance(predicted, np.ndarray):
        return cell
    if predicted.dtype.kind != "f" or np.shape(cell) != predicted.shape:
        return cell
    known = isinstance(cell, np.ndarray) and cell.dtype.kind == "f"
    numbers = cell if known else np.asarray(cell, np.float64)  # a list may hold None
    hole = np.isnan(numbers)
    return np.where(hole, predicted, numbers).astype(numbers.dtype) if hole.any() else cell
