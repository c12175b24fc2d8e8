"""Checks that several metrics share: matrices of finite numbers, lengths that agree, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .._core.errors import listing
from .._core.holes import observed
from .._core.typing import Array, ArrayLike

__all__ = ["check_labels", "check_same_rows", "check_vectors"]


def check_vectors(Z: ArrayLike, name: str) -> Array:
    """Return vectors as float64 of shape (rows, components)."""
    return check_array(Z, dtype=np.float64, input_name=name)


def check_same_rows(**arrays: Any) -> None:
    """Refuse arrays of different lengths, by name."""
    try:
        check_consistent_length(*arrays.values())
    except ValueError:
        lengths = ", ".join(f"{name} has {_length(array)}" for name, array in arrays.items())
        raise ValueError(
            f"the number of rows differs: {lengths}. Give the same rows, in the same order."
        ) from None


def _length(array):
    return array.shape[0] if hasattr(array, "shape") else len(array)


def check_labels(y: ArrayLike | None, name: str = "y") -> tuple[Array, str]:
    """Return labels or numbers to predict as an array without missing values, and what they are.

    Returns
    -------
    y : ndarray of shape (rows,) or (rows, targets)
    task : {"classification", "regression"}
        As scikit-learn's `type_of_target` tells them; whole numbers are classes.
    """
    if y is None:
        raise ValueError(
            f"{name} is None, but labels are needed. Give them: fit(X, y) of a search, or"
            " scorer(estimator, X, y)."
        )
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y.ravel()
    y = column_or_1d(y) if y.ndim != 2 else y
    known = observed(y) if y.ndim == 1 else ~np.isnan(check_array(y, ensure_all_finite=False))
    if not known.all():
        holes = np.flatnonzero(~known.reshape(len(y), -1).all(1))
        raise ValueError(
            f"{name} has a missing value in row {listing(holes)}. Leave rows without a label out."
        )
    kind = type_of_target(y, input_name=name)
    if kind in ("binary", "multiclass"):
        return y, "classification"
    if kind.startswith("continuous"):
        return y.astype(np.float64), "regression"
    raise ValueError(
        f"{name} is {kind!r}. Give one label per row, or numbers of shape (rows,) or (rows,"
        " targets)."
    )
