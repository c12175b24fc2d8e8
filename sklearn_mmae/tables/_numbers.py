"""Numbers brought into the dtype of a column."""

from __future__ import annotations

import numpy as np

__all__ = ["as_whole"]


def as_whole(numbers, dtype):
    """Round floats and bring them within an integer dtype; NaN stays.

    Parameters
    ----------
    numbers : ndarray of float
    dtype : str
        Name of a numpy integer dtype.

    Returns
    -------
    ndarray of float64
        Which casts to `dtype` without wrapping round, where there is no NaN.
    """
    limits = np.iinfo(dtype)
    high = float(limits.max)
    if high > limits.max:  # float64 rounds 2**63 - 1 up to what does not fit
        high = np.nextafter(high, 0)
    return np.clip(np.rint(numbers.astype(np.float64)), limits.min, high)
