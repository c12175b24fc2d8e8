"""Rows of any container that the estimators take, by column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse

from .._core.errors import listing
from .._core.holes import is_hole, observed

__all__ = ["Category", "as_columns", "observed_rows", "select", "take_rows"]


def as_columns(X):
    """Return the columns of a container by name, cells of several numbers as arrays.

    Parameters
    ----------
    X : pandas or polars DataFrame, SliceDict, or array of shape (rows, columns)
        An array of one dimension is one column; of three or more, one column of arrays.

    Returns
    -------
    dict of name to ndarray of shape (rows, ...)
    """
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if isinstance(X, pd.DataFrame):
        return {name: _of_pandas(X[name]) for name in X.columns}
    if hasattr(X, "get_columns"):  # polars
        return {series.name: _of_polars(series) for series in X.get_columns()}
    if _is_dict(X):
        return {name: _plain(values) for name, values in X.items()}
    X = _as_array(X)
    if X.ndim == 2:
        return dict(enumerate(X.T))
    return {0: X}


class Category(str):
    """A cell that is compared as a whole, also where it has several words or is a number."""


def _categories(cells):
    categories = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        categories[i] = None if is_hole(cell) else Category(cell)
    return categories


def _of_polars(series):
    if str(series.dtype).startswith(("Categorical", "Enum")):
        return _categories(series.to_list())
    return series.to_numpy()


def _of_pandas(column):
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _categories(column)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if column.dtype.kind in "iuf" and not isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.to_numpy()


def _is_dict(X):
    return hasattr(X, "items") and not scipy.sparse.issparse(X)  # a dok_matrix is a dict


def _as_array(X):
    if scipy.sparse.issparse(X):
        return X.toarray()
    array = _plain(X)
    # Beside a str numpy turns numbers into text.
    return (
        np.array(X, object) if isinstance(X, list | tuple) and array.dtype.kind in "US" else array
    )


def _plain(X):
    """Return an array, what a masked one hides as holes."""
    if isinstance(X, np.ma.MaskedArray):
        kind = np.float64 if X.dtype.kind in "biuf" else object
        return X.astype(kind).filled(np.nan if kind is np.float64 else None)
    return np.asarray(X)


def select(X, keys):
    """Return some columns, or an array whose other columns are holes.

    Parameters
    ----------
    X : container of rows
    keys : list
        Names, or positions for an array, which keeps its number of columns.
    """
    if isinstance(X, pd.DataFrame):
        return X[[name for name in X.columns if name in keys]]
    if hasattr(X, "get_columns"):
        return X.select([name for name in X.columns if name in keys])
    if _is_dict(X):
        return type(X)(**{name: values for name, values in X.items() if name in keys})
    X = _as_array(X)
    kind = {"b": np.float64, "i": np.float64, "u": np.float64, "U": object}.get(
        X.dtype.kind, X.dtype
    )
    shown = np.full(X.shape, None, kind)  # NaN among numbers, NaT among dates
    shown[:, keys] = X[:, keys]
    return shown


def take_rows(X, rows):
    """Return the rows of a mask."""
    if hasattr(X, "iloc"):
        return X.iloc[np.flatnonzero(rows)]
    if hasattr(X, "get_columns"):
        return X.filter(rows)
    return X[rows] if _is_dict(X) else _as_array(X)[rows]


def observed_rows(X, keys):
    """Return whether anything is observed in some columns, per row."""
    columns = as_columns(X)
    absent = [key for key in keys if key not in columns]
    if absent:
        raise ValueError(
            f"X has no column {listing(map(repr, absent))}. Give the columns that the estimator was"
            " fitted on."
        )
    return np.any([observed(columns[key]) for key in keys], 0)
