"""Numbers and dates brought into the dtype of a column."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_dates", "as_digits", "as_real", "as_whole"]


def as_whole(numbers: np.ndarray, dtype: Any) -> np.ndarray:
    """Round floats and bring them within an integer dtype; NaN stays.

    Parameters
    ----------
    numbers : ndarray of float
    dtype : str or dtype
        Of numpy, and of whole numbers.

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


def as_real(numbers: np.ndarray, dtype: Any) -> np.ndarray:
    """Return numbers in a floating dtype, brought within what it can hold; NaN stays."""
    limits = np.finfo(dtype)
    return np.clip(numbers, limits.min, limits.max).astype(dtype)


def as_digits(numbers: np.ndarray, precision: int, scale: int) -> np.ndarray:
    """Bring floats within what a decimal of so many digits can hold."""
    most = np.nextafter(10.0 ** (precision - scale) - 10.0**-scale, 0)
    return np.clip(numbers.astype(np.float64), -most, most)


def as_dates(dates: np.ndarray, unit: str) -> np.ndarray:
    """Return ``datetime64`` in another unit; raises OverflowError where that cannot hold them."""
    again = dates.astype(f"datetime64[{unit}]")
    same = again.astype("datetime64[D]") == dates.astype("datetime64[D]")
    if not (same | np.isnat(dates)).all():  # numpy would wrap round
        raise OverflowError(f"dates outside of what datetime64[{unit}] can hold")
    return again
