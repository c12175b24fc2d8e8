"""Rows of arrays in skorch's SliceDict, each array a column."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _arrays
from ._arrays import (  # noqa: F401 - what is done with one array is the same
    arrange,
    cells,
    from_cells,
    held,
    look,
    make,
    natural,
    take,
    wider,
)
from ._cells import Column
from ._dtypes import Form


def names(X: Any) -> list:
    """Return the names of the columns."""
    return list(X)


def native(X: Any, position: int) -> np.ndarray:
    """Return a column as it was given."""
    return np.asanyarray(list(X.values())[position])


def form(values: np.ndarray, column: Column) -> Form:
    """Return what the cells of a column are to come back as."""
    if values.ndim == 2 and values.dtype.kind in "biuf":  # a block of numbers
        return Form(values.dtype, width=values.shape[1])
    return _arrays.form(values, column)


def select(X: Any, keys: list) -> Any:
    """Return some columns."""
    return type(X)(**{name: values for name, values in X.items() if name in keys})


def joined(chunks: list[Any]) -> Any:
    """Return the rows of chunks."""
    return type(chunks[0])(
        **{name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    )


def join(names: list, columns: list[np.ndarray], index: None) -> Any:
    """Return a SliceDict of columns."""
    from skorch.helper import SliceDict

    return SliceDict(**dict(zip(names, columns, strict=True)))
