"""``modalities="auto"``: which kind each column is, asked of each built-in one."""

from __future__ import annotations

import numpy as np

from .._core.errors import CellTypeError
from .._core.holes import observed
from . import BUILTIN, TabularModality
from ._arrays import LONGEST_SIGNAL, describe_arrays, kind_of_arrays

__all__ = ["detect"]


def detect(names, columns, declared):
    """Decide the modality of each column.

    Parameters
    ----------
    names : list
    columns : list of ndarray of shape (rows, ...)
    declared : container of names
        Columns that the input itself calls categorical.

    Returns
    -------
    list of (str, Modality, list of int)
        All columns of a table as one modality, each other column as one of its own.

    Raises
    ------
    CellTypeError
        For a column that no modality accepts, with what to write instead.
    """
    table, single = [], []
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        if column.ndim == 2 and column.dtype.kind in "biuf":  # a block of numbers in a SliceDict
            single.append((str(name), TabularModality(), [place]))
            continue
        if name in declared:
            table.append(place)
            continue
        accepting = next((m for m in BUILTIN if m.accepts(name, column)), None)
        if accepting is None:
            raise _cannot_tell(name, column)
        if accepting is TabularModality:
            table.append(place)
        else:
            single.append((str(name), accepting(), [place]))
    found = [("tabular", TabularModality(), table)] if table else []
    return found + single


def _cannot_tell(name, column):
    if kind_of_arrays(column) == "unclear":
        return CellTypeError(
            f"cannot tell what this column is: arrays of shape {describe_arrays(column)} may be"
            f" pictures, signals of up to {LONGEST_SIGNAL} steps, or sounds",
            column=name,
            remedy="Say which modality it is:"
            f" modalities=[({str(name)!r}, SequenceModality(), [{name!r}]), ...], or"
            " ImageModality(), or AudioModality(rate=...)",
        )
    rows = np.flatnonzero(observed(column))
    row = int(rows[0]) if len(rows) else 0
    cell = column[row]
    return CellTypeError(
        f"cannot tell what this column is: the argument must be a string, a picture, an array, a"
        f" date or a number, but its cell is a {type(cell).__name__}",
        column=name,
        row=row,
        remedy="Turn its cells into one of these, or say which modality it is:"
        f" modalities=[({str(name)!r}, TextModality(), [{name!r}]), ...]",
    )
