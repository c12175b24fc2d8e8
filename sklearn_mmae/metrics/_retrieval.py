"""Whether a row finds its own counterpart among all others."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, validate_params

from .._core.typing import Array, ArrayLike
from ._checks import check_same_rows, check_vectors

__all__ = ["recall_at_k", "retrieval_ranks"]

# Distances that differ by less are the same: two copies of one row may differ by rounding.
TIE = 1e-9
BLOCK = 64  # MiB of distances at a time: eight times faster than the default at 10,000 rows


@validate_params(
    {
        "queries": ["array-like"],
        "targets": ["array-like"],
        "metric": [str, callable],
        "rows": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def retrieval_ranks(
    queries: ArrayLike,
    targets: ArrayLike,
    *,
    metric: str | Callable[..., float] = "cosine",
    rows: ArrayLike | None = None,
) -> Array:
    """Rank each query's own target among all targets; the nearest has rank 1.

    Parameters
    ----------
    queries : array-like of shape (queries, components)
        Embeddings of one modality, or of what was translated.
    targets : array-like of shape (targets, components)
        Embeddings of the other.
    metric : str or callable, default="cosine"
        As in `sklearn.metrics.pairwise_distances`; "cosine" ignores the length of an
        embedding, and those of less information are shorter.
    rows : array-like of shape (queries,), int, default=None
        The position of each query's own target; by default they are in the same order.

    Returns
    -------
    ndarray of shape (queries,), int
        1 and more. Ties count against: embeddings that are all alike find nothing. So does a target
        that is there twice.

    Raises
    ------
    ValueError
        For lengths that differ, positions that are not there, embeddings that are not finite.

    See Also
    --------
    recall_at_k : The share of ranks up to `k`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import retrieval_ranks
    >>> captions = np.array([[1.0, 0.0], [0.9, 0.4], [0.0, 1.0]])
    >>> images = np.array([[1.0, 0.1], [1.0, 0.0], [0.1, 1.0]])
    >>> ranks = retrieval_ranks(captions, images)
    >>> ranks
    array([2, 2, 1])
    >>> float(np.median(ranks)), float(np.mean(1 / ranks))  # median rank, mean reciprocal rank
    (2.0, 0.6666666666666666)
    """
    queries, targets = check_vectors(queries, "queries"), check_vectors(targets, "targets")
    if queries.shape[1] != targets.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} components, targets {targets.shape[1]}."
            " Give embeddings of the same estimator."
        )
    rows = _check_positions(rows, queries, targets)

    def rank(distances, start):
        own = rows[start : start + len(distances), None]
        own = np.take_along_axis(distances, own, 1)
        return (distances <= own + TIE * (1 + np.abs(own))).sum(1)

    ranks = pairwise_distances_chunked(
        queries, targets, reduce_func=rank, metric=metric, working_memory=BLOCK
    )
    return np.concatenate(list(ranks))


def _check_positions(rows, queries, targets):
    if rows is None:
        check_same_rows(queries=queries, targets=targets)
        return np.arange(len(queries))
    rows = column_or_1d(check_array(rows, ensure_2d=False, input_name="rows"))
    check_same_rows(queries=queries, rows=rows)
    if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(targets):
        raise ValueError(
            f"rows are positions among the {len(targets)} targets: whole numbers from 0 to"
            f" {len(targets) - 1}."
        )
    return rows


@validate_params(
    {
        "queries": ["array-like"],
        "targets": ["array-like"],
        "k": [Interval(Integral, 1, None, closed="left")],
        "metric": [str, callable],
        "rows": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def recall_at_k(
    queries: ArrayLike,
    targets: ArrayLike,
    k: int = 10,
    *,
    metric: str | Callable[..., float] = "cosine",
    rows: ArrayLike | None = None,
) -> float:
    """Return the share of queries whose own target is among the `k` nearest.

    Parameters
    ----------
    queries, targets, metric, rows
        As in `retrieval_ranks`.
    k : int, default=10
        From 1 to the number of targets.

    Returns
    -------
    float
        0 to 1; by chance `k` over the number of targets, so that figures compare only among as
        many.

    Raises
    ------
    ValueError
        For a `k` below 1 or above the number of targets, and as `retrieval_ranks`.

    See Also
    --------
    retrieval_ranks : The ranks themselves, for median rank and mean reciprocal rank.
    RecallScorer : The same within a grid search.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import recall_at_k
    >>> rng = np.random.default_rng(0)
    >>> images = rng.normal(size=(100, 8))
    >>> captions = images + 2 * rng.normal(size=(100, 8))
    >>> recall_at_k(images, images, k=1)
    1.0
    >>> 0.1 < recall_at_k(captions, images, k=10) < 1
    True
    """
    ranks = retrieval_ranks(queries, targets, metric=metric, rows=rows)
    n_targets = np.shape(targets)[0]
    if k > n_targets:
        raise ValueError(
            f"k={k}, but there are {n_targets} targets, so that every query finds its own. Give a"
            f" k below {n_targets}, or more rows."
        )
    return float(np.mean(ranks <= k))
