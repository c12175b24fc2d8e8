"""`Table`: the rows that users hand in, of any container; each is told apart here, once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.utils.validation import check_array

from .._core.compat import cached_property
from .._core.errors import listing
from ._arrays import plain
from ._cells import Cells, Column
from ._kinds import kind_of, library

__all__ = [
    *("Table", "count_rows", "list_columns", "names_of_rows", "read", "read_columns"),
    *("read_schema", "replace", "rows_with", "select", "take_rows", "with_flags"),
]

LARGEST_DENSE = 8 * 2**30  # bytes that a sparse matrix may take when made dense


@dataclass(frozen=True)
class Table:
    """Rows, by column.

    Attributes
    ----------
    kind : {"pandas", "polars", "array", "slicedict"}
    names : list
        Column names; positions for arrays.
    n_rows : int
    given : DataFrame, array or SliceDict
        As the user gave it; a sparse matrix made dense.
    index : pandas.Index or None
    matrix : ndarray of shape (rows, columns) or None
        A numeric array as it came, not copied.
    """

    kind: str
    names: list
    n_rows: int
    given: Any
    index: pd.Index | None = None
    matrix: np.ndarray | None = None

    @cached_property
    def _parts(self) -> dict[int, Column]:
        return {}

    def column(self, position: int) -> Column:
        """Return one column, always the same object: what was found of it is not found again."""
        if position not in self._parts:
            self._parts[position] = (
                library(self.kind).look(self.native(position))
                if self.matrix is None
                else Column(self.matrix[:, position])
            )
        return self._parts[position]

    def native(self, position: int, kind: str | None = None) -> Any:
        """Return one column as it was given, or as a container of another kind would hold it."""
        native = library(self.kind).native(self.given, position)
        if kind in (None, self.kind):
            return native
        return library(kind).from_cells(self.column(position), library(self.kind).cells(native))

    def cells(self, positions: list[int]) -> Cells:
        """Return some columns as `Cells`, without copying a block of numbers."""
        names = [self.names[j] for j in positions]
        if self.matrix is not None:
            first, step = positions[0], np.diff(positions)
            if (step == 1).all():  # a slice is a view; a list of positions would be a copy
                return Cells.of_matrix(names, self.matrix[:, first : first + len(positions)])
            return Cells.of_matrix(names, self.matrix[:, positions])
        columns = [self.column(j) for j in positions]
        values = columns[0].values
        if len(columns) == 1 and values.ndim == 2 and values.dtype.kind in "biuf":
            return Cells.of_matrix([f"{names[0]}[{i}]" for i in range(values.shape[1])], values)
        return Cells.of_columns(names, columns)

    def take(self, rows: np.ndarray) -> Table:
        """Return some rows, by their numbers; also more than once."""
        return dataclasses.replace(
            self,
            n_rows=len(rows),
            given=library(self.kind).take(self.given, rows),
            index=None if self.index is None else self.index.take(rows),
            matrix=None if self.matrix is None else self.matrix[rows],
        )


# Reading what an estimator takes -----------------------------------------------------------------


def read(X: Any, estimator: Any) -> Table:
    """Read any container of rows that scikit-learn's tools can split.

    Parameters
    ----------
    X : pandas or polars DataFrame, array, sparse matrix or SliceDict
    estimator : estimator
        Named in scikit-learn's own messages.

    Returns
    -------
    Table

    Raises
    ------
    TypeError, ValueError
        For containers that break in splitters (dict, list of arrays), with what to write instead.
    """
    kind = kind_of(X)
    _CHECKS[kind](X)
    if kind == "array":
        table = _read_array(X, estimator)
    else:
        index = X.index if kind == "pandas" else None
        table = Table(kind, library(kind).names(X), len(X), X, index)
    if not table.names:
        raise ValueError(
            f"Found array with 0 feature(s) (shape=({table.n_rows}, 0)) while a minimum of 1 is"
            " required."
        )
    if not table.n_rows:
        raise ValueError(
            f"Found array with 0 sample(s) (shape=(0, {len(table.names)})) while a minimum of 1 is"
            " required."
        )
    return table


def read_schema(table: Table) -> Table:
    """Return a data frame's or an array's names and dtypes, without its rows."""
    return table.take(np.empty(0, int))


def _check_pandas(X: pd.DataFrame) -> None:
    if isinstance(X.columns, pd.MultiIndex):
        raise TypeError(
            "the columns are a MultiIndex, whose names are tuples. Flatten them first:"
            " X.columns = ['_'.join(map(str, c)) for c in X.columns]"
        )
    if not X.columns.is_unique:
        repeated = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"columns {repeated} occur more than once. Rename or drop them.")


def _check_polars(X: Any) -> None:
    kind = type(X).__name__
    if kind == "LazyFrame":
        raise TypeError("a polars LazyFrame has no rows yet. Give Chunks(X), or X.collect().")
    if kind != "DataFrame":
        raise TypeError(f"a polars {kind} is no table. Give X.to_frame().")


def _check_slicedict(X: Any) -> None:
    if type(X).__name__ != "SliceDict":
        lengths = ", ".join(f"{k!r}: {len(v)}" for k, v in X.items() if hasattr(v, "__len__"))
        raise TypeError(
            f"X is a dict (lengths {lengths}), which scikit-learn's splitters cut by key, not by"
            " row. Write sklearn_mmae.datasets.as_frame(**X), or skorch.helper.SliceDict(**X)."
        )


def _check_array(X: Any) -> None:
    """Refuse what is no table, or breaks when it is split by rows."""
    what = f"a {type(X).__name__}"
    if type(X).__module__.partition(".")[0] == "pyarrow" and not _is_one_column(X):
        raise TypeError(f"X is {what} of pyarrow. Give X.to_pandas().")
    if hasattr(X, "compute") and hasattr(X, "dask"):
        raise TypeError("X is a dask collection. Give Chunks(X), or X.compute().")
    if not (hasattr(X, "__len__") or hasattr(X, "__array__")) or isinstance(X, str | bytes | set):
        raise TypeError(f"X is {what}, not a table. Give a DataFrame or an array (rows, columns).")
    if isinstance(X, list | tuple):
        _check_list(X, what)
    if getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"Found array with dim {X.ndim}, while dim <= 2 is required. Give a DataFrame in which"
            " each cell is an array: pandas.DataFrame({'signal': list(X)}), of series with time"
            " first. sktime's panels have it last: list(X.swapaxes(1, 2))."
        )
    if _is_one_column(X):
        raise TypeError(
            f"X is one column ({what}), not a table. Give a DataFrame with it: X[['name']], or"
            " ['name'] rather than 'name' in a ColumnTransformer."
        )


def _check_list(X: list | tuple, what: str) -> None:
    if X and all(getattr(view, "ndim", 0) >= 2 or isinstance(view, pd.DataFrame) for view in X):
        raise TypeError(
            f"X is {what} of {len(X)} arrays, which scikit-learn's splitters take for as many rows."
            " Write skorch.helper.SliceDict(first=..., second=...), or join them in one DataFrame."
        )
    if any(isinstance(row, dict) for row in X):
        raise TypeError(f"X is {what} of dicts. Give pandas.DataFrame(X).")


def _is_one_column(X: Any) -> bool:
    """Whether there is one axis, of cells that are no numbers; of numbers scikit-learn says so."""
    if isinstance(X, list | tuple):
        return any(isinstance(cell, str | bytes) for cell in X)
    if type(X).__module__.partition(".")[0] == "pyarrow":
        return not hasattr(X, "schema")
    arrays = pd.Series | pd.Index | pd.api.extensions.ExtensionArray | np.ndarray
    one = isinstance(X, arrays) and X.ndim == 1
    return one and not (isinstance(X.dtype, np.dtype) and X.dtype.kind in "biufcV")


_CHECKS = {
    "pandas": _check_pandas,
    "polars": _check_polars,
    "slicedict": _check_slicedict,
    "array": _check_array,
}


def _read_array(X: Any, estimator: Any) -> Table:
    if hasattr(X, "detach"):  # a tensor
        X = X.detach().cpu()
        X = (X.float() if X.dtype.is_floating_point and X.itemsize < 4 else X).numpy()
    given = X
    if scipy.sparse.issparse(X):
        given = X = _dense(X, estimator)
    elif isinstance(X, list | tuple | np.ma.MaskedArray):
        X = plain(X)
        given = X if isinstance(given, list | tuple) else given
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUM" and X.size:
        numbers = _as_numbers(X) if X.dtype.kind == "O" else None
        if numbers is None:
            return Table("array", list(range(X.shape[1])), len(X), given)
        X = numbers
    if getattr(getattr(X, "dtype", None), "names", None):
        raise TypeError("X is a structured array. Give pandas.DataFrame(X).")
    X = check_array(
        X, dtype="numeric", ensure_all_finite=False, input_name="X", estimator=estimator
    )
    if X.dtype.kind not in "biuf":
        raise TypeError(
            f"X has dtype {X.dtype}. Give numbers, or a DataFrame whose columns say what they are."
        )
    given = given if isinstance(given, np.ndarray) else X
    return Table("array", list(range(X.shape[1])), len(X), given, matrix=X)


def _dense(X: Any, estimator: Any) -> np.ndarray:
    X = check_array(
        X, accept_sparse=True, ensure_all_finite=False, input_name="X", estimator=estimator
    )
    size = X.shape[0] * X.shape[1] * 4
    if size > LARGEST_DENSE:
        raise ValueError(
            f"the sparse X of shape {X.shape} would take {size / 2**30:.0f} GiB when made"
            " dense. Keep fewer columns (max_features=, TruncatedSVD), or hand in the texts"
            " themselves as a TextModality."
        )
    dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
    return X.astype(dtype).toarray()


def _as_numbers(X: np.ndarray) -> np.ndarray | None:
    """Return an object array as float64 where every cell is a number or missing, else None."""
    cells = Column(X.ravel())
    if any(issubclass(kind, str | bytes) for kind in cells.types):
        return None
    numbers = np.full(X.size, np.nan)
    try:
        numbers[cells.observed] = cells.values[cells.observed].astype(np.float64)
    except (TypeError, ValueError):
        return None
    return numbers.reshape(X.shape)


# Any container, as it is -------------------------------------------------------------------------


def list_columns(X: Any) -> list[tuple[Any, Column]]:
    """Return the columns of a container with their names, as they are.

    Parameters
    ----------
    X : pandas or polars DataFrame, Series, SliceDict, or array of shape (rows, columns)
        An array of one dimension is one column; of three or more, one column of arrays.
    """
    if isinstance(X, pd.Series):
        X = X.to_frame()
    kind = kind_of(X)
    if kind == "array":
        X = plain(X)
        if X.ndim != 2:
            return [(0, Column(X))]
    door = library(kind)
    return [(name, door.look(door.native(X, j))) for j, name in enumerate(door.names(X))]


def read_columns(X: Any) -> dict[Any, Column]:
    """Return the columns of a container by name; see `list_columns`."""
    return dict(list_columns(X))


def select(X: Any, keys: list) -> Any:
    """Return some columns, or an array whose other columns are missing.

    Parameters
    ----------
    X : container of rows
    keys : list
        Names, or positions for an array, which keeps its number of columns.
    """
    kind = kind_of(X)
    return library(kind).select(plain(X) if kind == "array" else X, keys)


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of a container, by their numbers."""
    kind = kind_of(X)
    if kind == "array":
        X = X.tocsr() if scipy.sparse.issparse(X) else plain(X)
    return library(kind).take(X, rows)


def count_rows(X: Any) -> int:
    """Return the number of rows of a container."""
    return X.shape[0] if kind_of(X) == "array" and not isinstance(X, list | tuple) else len(X)


def names_of_rows(X: Any) -> list:
    """Return the index of a data frame of pandas, or the numbers of the rows."""
    return list(X.index) if kind_of(X) == "pandas" else list(range(count_rows(X)))


def rows_with(X: Any, keys: list) -> np.ndarray:
    """Return whether anything is observed in some columns, (rows,) bool."""
    columns = read_columns(X)
    absent = [key for key in keys if key not in columns]
    if absent:
        raise ValueError(
            f"X has no column {listing(map(repr, absent))}. Give the columns that the estimator was"
            " fitted on."
        )
    return np.any([columns[key].observed for key in keys], 0)


def with_flags(X: Any, flags: dict[str, np.ndarray]) -> Any:
    """Return a container with columns of bools appended, 0 and 1 in an array of numbers.

    Parameters
    ----------
    X : container of rows
    flags : dict of str to ndarray of shape (rows,), bool
    """
    kind = kind_of(X)
    if kind == "array":
        return np.hstack([X, np.stack(list(flags.values()), 1).astype(X.dtype)])
    door = library(kind)
    old = {name: door.native(X, j) for j, name in enumerate(door.names(X))}
    both = {**old, **{name: door.natural(values) for name, values in flags.items()}}
    return door.join(list(both), list(both.values()), X.index if kind == "pandas" else None)


def replace(X: Any, changed: dict[int, np.ndarray]) -> Any:
    """Return a copy of a container in which some columns, by position, are others."""
    return library(kind_of(X)).replace(X, changed)
