"""Rows that count more than others, as copies of them, and an order that copies do not change.

A row of weight 2 is two rows, to every modality, statistic and network alike, a user's own among
them. A fit does not depend on the order of its rows, so that equal rows may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing

from .._core.errors import CellError, listing
from .._core.ranks import Ranks
from ..statistics._samples import keys_of
from ..tables import Chunks, read
from ..tables._cells import Values
from ..tables._table import take_rows

__all__ = ["order_of", "weighted"]

MOST_COPIES = 10  # of a row, on average: whole numbers beyond are shares, as fractions are
BLOCK = 2**19  # numbers looked at in one go


@contextmanager
def weighted(
    X: Any, y: Any, sample_weight: Any, estimator: Any, ranks: Ranks | None = None
) -> Iterator[tuple[Any, Any]]:
    """Give X and y with each row as often as it weighs; errors name the rows of X itself.

    Parameters
    ----------
    X : container of rows
    y : array, Series or DataFrame of labels, or None
    sample_weight : array of shape (rows,), or None
    estimator : estimator
        Named in scikit-learn's own messages.
    ranks : Ranks, optional
        Processes that learn together, each with rows and weights of its own.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero, or if there are not as many as rows.
    """
    if ranks is not None:
        given = ranks.gather("sample_weight is given", sample_weight is not None)
        if any(given) and not all(given):
            ranks.refuse(
                f"rank {given.index(False)} has no sample_weight, but rank {given.index(True)} has."
                " Give it on all ranks, or on none."
            )
    if sample_weight is None:
        yield X, y
        return
    if isinstance(X, Chunks):
        raise ValueError(
            "Chunks take no sample_weight. Let the source repeat rows, or leave some out."
        )
    n_rows = read(X, estimator).n_rows
    rows = _copies(_checked(sample_weight, n_rows), ranks)
    if y is not None:
        y = y if hasattr(y, "__len__") else np.asarray(y)
        if len(y) != n_rows:
            raise ValueError(f"y has {len(y)} rows, but X has {n_rows}. Give a label for each row.")
        y = _safe_indexing(y, rows)
    try:
        yield take_rows(X, rows), y
    except CellError as error:
        if error.row is not None:
            named = np.atleast_1d(error.row)
            error.row = list(dict.fromkeys(rows[named].tolist()))
        raise


def _copies(own: np.ndarray, ranks: Ranks | None) -> np.ndarray:
    """Return the numbers of a process's own rows, each as often as it weighs.

    Whole numbers are taken as they are. Others are scaled to a mean of 1, and of what is left of
    each beyond a whole number, copies are sampled systematically, in a random order of the rows,
    those of all processes.
    """
    told = [own] if ranks is None else ranks.gather("sample_weight", own)
    weights = np.concatenate(told)
    if not weights.any():
        raise ValueError("sample_weight is zero in all rows. Give some of them a weight above 0.")
    n_rows = len(weights)
    whole = (weights == np.floor(weights)).all() and weights.sum() <= MOST_COPIES * n_rows
    if not whole:
        weights = weights * (n_rows / weights.sum())
    order = np.random.RandomState(0).permutation(n_rows)
    copies = np.empty(n_rows, np.int64)
    copies[order] = np.diff(np.rint(np.cumsum(weights[order])), prepend=0)
    first = 0 if ranks is None else sum(map(len, told[: ranks.rank]))
    return np.repeat(np.arange(len(own)), copies[first : first + len(own)])


def _checked(sample_weight: Any, n_rows: int) -> np.ndarray:
    try:
        weights = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        raise ValueError("sample_weight holds what is no number. Give a number per row.") from None
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but X has {n_rows} rows. Give a number per"
            " row."
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(
            f"sample_weight, row {listing(bad)}: {weights[bad[0]]:g}. Give finite numbers from 0."
        )
    return weights


def order_of(values: list[Values]) -> np.ndarray:
    """Return the numbers of rows in an order that does not depend on the one they came in.

    Parameters
    ----------
    values : list of Values
        Of the modalities, and of a target.

    Returns
    -------
    ndarray of shape (rows,), int
    """
    n_rows = len(values[0].present)
    keys = np.zeros((n_rows, sum(1 + len(part.tensors) for part in values)), np.uint64)
    column = 0
    for part in values:
        for array in (part.present, *(part.tensors[name] for name in sorted(part.tensors))):
            keys[:, column] = _keys(array)
            column += 1
    return np.lexsort(keys.T[::-1])


def _keys(array: np.ndarray | sparse.csr_array) -> np.ndarray:
    """Return a number for each row, equal for equal rows, (rows,) uint64."""
    if sparse.issparse(array):
        return keys_of(array.astype(np.float64))
    array = array.reshape(len(array), -1)
    size = max(BLOCK // max(array.shape[1], 1), 1)
    starts = range(0, len(array), size)
    blocks = (array[start : start + size].astype(np.float64) for start in starts)
    return np.concatenate([keys_of(block) for block in blocks])
