"""Whether probabilities are as often right as they say."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from .._core.errors import listing
from .._core.typing import ArrayLike
from ._checks import check_labels, check_same_rows

__all__ = ["expected_calibration_error"]


@validate_params(
    {
        "y_true": ["array-like", None],
        "proba": ["array-like"],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "strategy": [StrOptions({"uniform", "quantile"})],
        "labels": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def expected_calibration_error(
    y_true: ArrayLike,
    proba: ArrayLike,
    *,
    n_bins: int = 15,
    strategy: str = "uniform",
    labels: ArrayLike | None = None,
) -> float:
    r"""Return how far confidence is from accuracy, on average.

    The confidence of a row is the probability of its likeliest label. Rows are put into bins by
    confidence; with `n` rows,

    .. math:: \sum_b \frac{n_b}{n} \lvert accuracy_b - confidence_b \rvert.

    Parameters
    ----------
    y_true : array-like of shape (rows,)
        Labels.
    proba : array-like of shape (rows, labels), or (rows,) for two labels
        Probabilities, each row with sum 1; if of shape (rows,), those of the second label.
    n_bins : int, default=15
        The number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        "uniform" bins are equally wide, those of the paper [1]_, so that the figure compares with
        published ones. "quantile" bins hold equally many rows (equal mass): where most rows are
        confident, wide bins are mostly empty, and the others see less of the error; the
        estimate is less biased [2]_.
    labels : array-like of shape (labels,), default=None
        The labels in the order of the columns of `proba`; by default those of `y_true`, sorted.

    Returns
    -------
    float
        0 is perfect, 1 the worst. Sampling noise adds to it: a perfect model with few rows per
        bin is above 0.

    Raises
    ------
    ValueError
        For lengths that differ, probabilities outside of 0 to 1 or whose sum is not 1, and
        labels that have no column.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger (2017). On calibration of modern neural
       networks. ICML.
    .. [2] R. Roelofs, N. Cain, J. Shlens and M. C. Mozer (2022). Mitigating bias in calibration
       error estimation. AISTATS.

    Examples
    --------
    >>> from sklearn_mmae.metrics import expected_calibration_error
    >>> y_true = ["cat", "cat", "cat", "dog"]
    >>> proba = [[0.75, 0.25]] * 4
    >>> expected_calibration_error(y_true, proba)
    0.0
    >>> expected_calibration_error(y_true, [[1.0, 0.0]] * 4)  # overconfident
    0.25
    """
    y_true, _ = check_labels(y_true, "y_true")
    proba = _check_probabilities(proba)
    check_same_rows(y_true=y_true, proba=proba)
    labels = np.unique(y_true) if labels is None else column_or_1d(np.asarray(labels))
    if len(labels) != proba.shape[1]:
        raise ValueError(
            f"proba has {proba.shape[1]} columns for {len(labels)} labels"
            f" ({listing(labels.tolist())}). Give labels=, one per column, such as classes_ of the"
            " classifier."
        )
    unknown = np.setdiff1d(y_true, labels).tolist()
    if unknown:
        raise ValueError(
            f"y_true has {listing(map(repr, unknown))}, which is not among labels="
            f"{labels.tolist()}. Give a column of proba for every label."
        )
    confidence = proba.max(1)
    right = labels[proba.argmax(1)] == y_true
    if strategy == "uniform":  # (0, 1/n], (1/n, 2/n], ..., as in the paper
        bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    else:
        # Equal confidences stay together, wherever they stand.
        ranks = np.searchsorted(np.sort(confidence), confidence)
        bins = ranks * n_bins // len(ranks)
    gaps = np.bincount(bins, right - confidence, n_bins)
    return float(np.abs(gaps).sum() / len(y_true))


def _check_probabilities(proba):
    proba = check_array(proba, dtype=np.float64, ensure_2d=False, input_name="proba")
    outside = (proba < 0) | (proba > 1 + 1e-6)
    if proba.ndim == 1:
        proba, outside = np.stack([1 - proba, proba], 1), outside[:, None]
    wrong = outside.any(1) | (np.abs(proba.sum(1) - 1) > 1e-4)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"row {listing(np.flatnonzero(wrong))}: no probabilities ({proba[row].tolist()}, sum"
            f" {proba[row].sum():.6g}). Give numbers from 0 to 1 whose sum is 1 in each row, as"
            " predict_proba returns them."
        )
    return proba
