"""Columns whose cells are to be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tables._cells import Column
from ..tables._table import read_columns

__all__ = ["Category", "as_columns"]


class Category(str):
    """A cell that is compared as a whole, also where it has several words or is a number."""


def as_columns(X: Any) -> dict[Any, np.ndarray]:
    """Return the columns of a container by name, cells of several numbers as arrays.

    Parameters
    ----------
    X : pandas or polars DataFrame, SliceDict, or array of shape (rows, columns)
        An array of one dimension is one column; of three or more, one column of arrays.

    Returns
    -------
    dict of name to ndarray of shape (rows, ...)
    """
    return {
        name: column.values if column.categories is None else _categories(column)
        for name, column in read_columns(X).items()
    }


def _categories(column: Column) -> np.ndarray:
    cells = np.full(len(column), None, object)
    cells[column.observed] = [Category(cell) for cell in column.values[column.observed]]
    return cells
