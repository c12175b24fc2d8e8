"""Arrays that are already in memory as one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._core.errors import CellTypeError, listing
from .._core.typing import ArrayLike

__all__ = ["as_frame"]


def as_frame(**columns: ArrayLike | Sequence[Any]) -> pd.DataFrame:
    """Put row-aligned arrays of any number of dimensions into one table.

    A table goes through every splitter and pipeline of scikit-learn; a dictionary of arrays
    does not. Images, video clips and signals are not copied: their cells are views of the arrays.

    Parameters
    ----------
    **columns : ndarray, list, tuple or Series
        Each of as many rows:

        - one dimension: a column of numbers, texts, dates;
        - an array of two dimensions: a block of numbers, the columns ``name_0``, ``name_1``, ...;
          where each row is one signal instead, give ``list(array)``;
        - an array of three or more (images, video clips, signals of several channels): a column
          whose cells are the arrays ``array[i]``;
        - a list of arrays, bytes, images or None: a column of these.

    Returns
    -------
    DataFrame
        With the index of the Series, if there are any.

    Raises
    ------
    ValueError
        If the lengths differ (they are listed), two columns get one name, or the indexes of
        two Series differ.
    CellTypeError
        For anything else that has no rows or hides some, as a dict, a generator, a masked array.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.datasets import as_frame
    >>> photos = np.zeros((2, 32, 32, 3), np.uint8)
    >>> frame = as_frame(photo=photos, caption=["a cat", None], size=np.array([[1, 2], [3, 4]]))
    >>> list(frame)
    ['photo', 'caption', 'size_0', 'size_1']
    >>> np.shares_memory(frame["photo"][0], photos)
    True
    """
    if not columns:
        raise ValueError("no columns. Write as_frame(photo=photos, caption=captions)")
    for name, column in columns.items():
        _check(name, column)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        lengths = listing((f"{name} {n:,}" for name, n in lengths.items()), most=20)
        raise ValueError(f"the columns have different numbers of rows: {lengths}")
    index = _index(columns)
    parts = [_part(name, column, index) for name, column in columns.items()]
    names = [name for part in parts for name in part]
    if len(set(names)) < len(names):
        twice = listing(sorted({name for name in names if names.count(name) > 1}))
        raise ValueError(f"two columns would be called {twice}. Rename one of the arguments")
    return pd.concat(parts, axis=1)


def _check(name, column):
    if not isinstance(column, np.ndarray | list | tuple | pd.Series):
        problem, remedy = f"a {type(column).__name__} is no column", "Give an array or a list"
    elif isinstance(column, np.ma.MaskedArray):
        problem, remedy = "a masked array would lose its mask", "Give its .filled(np.nan)"
    elif isinstance(column, np.ndarray) and column.ndim == 0:
        problem, remedy = "a single number has no rows", "Give one value per row"
    else:
        return
    raise CellTypeError(problem, remedy=remedy, column=name)


def _index(columns):
    indexes = [(name, c.index) for name, c in columns.items() if isinstance(c, pd.Series)]
    if not indexes:
        return pd.RangeIndex(len(next(iter(columns.values()))))
    first, index = indexes[0]
    for name, other in indexes[1:]:
        if not other.equals(index):
            raise ValueError(
                f"{first} and {name} have different indexes, so their rows may not belong "
                "together. Give them one index, or .tolist() where only the order counts"
            )
    return index


def _part(name, column, index):
    if isinstance(column, pd.Series):
        return column.to_frame(name)
    if isinstance(column, np.ndarray) and column.ndim == 2:
        names = [f"{name}_{i}" for i in range(column.shape[1])]
        return pd.DataFrame(column, index=index, columns=names, copy=False)
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return pd.DataFrame({name: pd.Series(column, index=index)})
    if all(pd.api.types.is_scalar(cell) for cell in column):
        return pd.DataFrame({name: pd.Series(list(column), index=index)})
    cells = np.empty(len(column), object)
    for row, cell in enumerate(column):
        if isinstance(cell, list | tuple | dict):
            raise CellTypeError(
                f"a {type(cell).__name__} is no cell",
                remedy="Give arrays: [np.asarray(cell) for cell in cells]",
                column=name,
                row=row,
            )
        cells[row] = cell
    return pd.DataFrame({name: pd.Series(cells, index=index)})
