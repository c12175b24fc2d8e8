"""Arrays (rows, columns), sparse matrices, lists of rows; and rows of arrays in a SliceDict."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from .._core.errors import listing
from .._core.holes import observed
from ._cells import Column, objects
from ._dtypes import OBJECT, Form, as_objects, held_by, holds_arrays, name_objects
from ._numbers import as_dates, as_real, as_whole

# Reading -----------------------------------------------------------------------------------------


def plain(X: Any) -> np.ndarray:
    """Return rows as an array, of objects where they hold more than numbers."""
    if scipy.sparse.issparse(X):
        return X.toarray()
    if not isinstance(X, list | tuple):
        return filled(np.ma.asarray(X) if isinstance(X, np.ma.MaskedArray) else np.asarray(X))
    try:
        array = np.asarray(X)
    except ValueError:
        lengths = list(dict.fromkeys(np.size(row) for row in X))
        raise ValueError(
            f"the rows of X have different lengths ({listing(lengths)}). Give every row as many"
            " cells, None where one is missing."
        ) from None
    # Beside a str numpy would turn numbers into text.
    return np.array(X, dtype=object) if array.dtype.kind in "US" else array


def filled(X: np.ndarray) -> np.ndarray:
    """Return a masked array as an array with missing values; any other as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind in "biuf":
        return X.astype(np.result_type(X.dtype, np.float32)).filled(np.nan)
    if X.dtype.kind in "mM":
        return X.filled(np.array("NaT", X.dtype))
    cells = np.array(X.data, dtype=object)
    cells[np.ma.getmaskarray(X)] = None
    return cells


def names(X: np.ndarray) -> list:
    """Return the positions of the columns."""
    return list(range(X.shape[1]))


def native(X: np.ndarray, position: int) -> np.ndarray:
    """Return a column as it was given."""
    return X[:, position]


def look(values: np.ndarray) -> Column:
    """Return a column whose missing values can be told from its cells."""
    values = filled(values)
    return Column(
        values.astype(object) if values.ndim == 1 and values.dtype.kind in "US" else values
    )


def cells(values: np.ndarray) -> np.ndarray:
    """Return the cells of a column as objects."""
    return objects(
        values.tolist() if values.ndim == 1 and values.dtype.kind != "M" else list(values)
    )


def form(values: np.ndarray, column: Column) -> Form:
    """Return what the cells of a column are to come back as."""
    if column.values.dtype == OBJECT:
        return Form(OBJECT, name_objects(column.types), column.zone)
    return Form(values.dtype)


def from_cells(column: Column, cells: np.ndarray) -> np.ndarray:
    """Return a column that another container held."""
    return cells if column.values.dtype.kind != "M" else column.values


def select(X: np.ndarray, keys: list) -> np.ndarray:
    """Return an array whose other columns are missing, NaN among numbers and NaT among dates."""
    kind = {"b": np.float64, "i": np.float64, "u": np.float64, "U": OBJECT}
    shown = np.full(X.shape, None, kind.get(X.dtype.kind, X.dtype))
    shown[:, keys] = X[:, keys]
    return shown


def take(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, by their numbers."""
    return X[rows]


# Writing -----------------------------------------------------------------------------------------


def joined(chunks: list[Any]) -> Any:
    """Return the rows of chunks, in a dtype that holds those of all."""
    if any(map(scipy.sparse.issparse, chunks)):
        return scipy.sparse.vstack(chunks, "csr")
    return np.concatenate(chunks)


def like(X: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return rows in the dtype of others."""
    return X.astype(other.dtype, copy=False)


def make(values: np.ndarray, form: Form) -> np.ndarray | None:
    """Return cells in a form, None where it cannot hold them."""
    dtype = form.dtype
    if values.ndim > 1 or holds_arrays(values):
        return _stacked(values) if dtype != OBJECT else values
    if dtype == OBJECT:
        return as_objects(values, form)
    hole = not observed(values).all()
    try:
        if values.dtype.kind == "M" and dtype.kind == "M":
            return as_dates(values, np.datetime_data(dtype)[0]).astype(dtype)
        if hole and dtype.kind not in "fM":
            return None
        if values.dtype.kind == "f" and dtype.kind in "iu":
            values = as_whole(values, dtype)
        elif values.dtype.kind == "f" and dtype.kind == "f":
            values = as_real(values, dtype)
        with np.errstate(over="ignore"):  # whoever asks compares what comes out
            return values.astype(dtype)
    except (ArithmeticError, TypeError, ValueError):
        return None


def _stacked(values: np.ndarray) -> np.ndarray:
    """Return images that came as one array as one again, where they are of one size."""
    same = values.dtype == OBJECT and len({np.shape(cell) for cell in values}) == 1
    return np.stack(list(values)) if same else values


def natural(values: np.ndarray) -> np.ndarray:
    """Return cells in a dtype of their own."""
    return values


def wider(kept: np.ndarray, form: Form) -> list[Form]:
    """Return forms that may hold what another one cannot."""
    return [Form(OBJECT, name_objects(map(type, cells(kept))))]


def held(kept: np.ndarray, form: Form) -> np.ndarray | None:
    """Return observed cells in another form, None where it does not hold them exactly."""
    return held_by(np.asarray(kept), form, cells, make)  # of a masked array, too


def arrange(kept: np.ndarray, added: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the cells of two columns of one dtype in an order."""
    return np.concatenate([kept, added])[order]


def join(names: list, columns: list[np.ndarray], index: None) -> np.ndarray:
    """Return an array of columns, of objects where they differ in dtype."""
    if len({str(values.dtype) for values in columns}) == 1:
        return np.stack(columns, 1)
    return np.stack([values.astype(object) for values in columns], 1)


def replace(X: np.ndarray, changed: dict[int, np.ndarray]) -> np.ndarray:
    """Return a copy in which some columns, by position, are others."""
    X = X.astype(np.result_type(X, *changed.values()))
    for position, values in changed.items():
        X[:, position] = values
    return X
