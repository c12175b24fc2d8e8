"""Every number that a modality learns from a column: means, variances, counts.

One place, so that a private fit can one day answer the same questions with noise.
"""

from __future__ import annotations

import numpy as np

__all__ = ["BLOCK", "category_counts", "moments"]

BLOCK = 512  # rows converted to float64 at a time, so that no second copy of the data appears


def moments(matrix):
    """Return count, mean and variance of each column, over its observed cells.

    Parameters
    ----------
    matrix : ndarray of shape (rows, columns)
        NaN is a hole.

    Returns
    -------
    count, mean, variance : ndarray of shape (columns,), float64
        A column without any cell has mean 0 and variance 0; so has a column that is constant
        up to rounding (the bound of scikit-learn's StandardScaler).
    """
    count, total = np.zeros((2, matrix.shape[1]))
    for block in _blocks(matrix):
        count += (~np.isnan(block)).sum(0)
        total += np.nansum(block, 0)
    mean = total / np.maximum(count, 1)
    square = np.zeros_like(mean)
    for block in _blocks(matrix):
        square += np.nansum((block - mean) ** 2, 0)
    variance = square / np.maximum(count, 1)
    epsilon = np.finfo(np.float64).eps
    constant = variance <= count * epsilon * variance + (count * mean * epsilon) ** 2
    return count, mean, np.where(constant, 0, variance)


def category_counts(codes, n_categories):
    """Return how often each code occurs; -1 is a hole."""
    return np.bincount(codes[codes >= 0], minlength=n_categories).astype(np.float64)


def _blocks(matrix):
    for start in range(0, len(matrix), BLOCK):
        yield matrix[start : start + BLOCK].astype(np.float64)
