"""The one definition of a missing value: None, NaN, NaT and pd.NA, in every modality."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["is_hole", "observed"]

_MAY_BE_NAN = (float, np.floating, np.datetime64, np.timedelta64, Decimal)


def is_hole(cell: Any) -> bool:
    """Whether one cell is missing; arrays, images and the empty string are not."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return True
    return isinstance(cell, _MAY_BE_NAN) and bool(cell != cell)


def observed(column: np.ndarray) -> np.ndarray:
    """Where a column holds something.

    Parameters
    ----------
    column : ndarray of shape (rows, ...)

    Returns
    -------
    ndarray of shape (rows,), bool
    """
    column = np.asarray(column)
    if column.ndim > 1:  # pictures in memory: a row is there as a whole, or all of it is NaN
        if column.dtype.kind != "f":
            return np.ones(len(column), bool)
        return np.fromiter((not np.isnan(row).all() for row in column), bool, len(column))
    return ~pd.isna(column)
