"""Reading a sequence at other times, between its steps where need be."""

from __future__ import annotations

import numpy as np

from .._core.typing import Array

__all__ = ["read_at", "reading_times", "undoing_times"]

WHOLE = 1e-9  # nearer to a step than this is on it: no hole beside it may spread


def reading_times(
    n_steps: int, lag: float, slope: float, ahead: Array, ahead_slope: Array
) -> Array:
    """Return the times, in steps, at which a stream is read to be aligned.

    Parameters
    ----------
    n_steps : int
    lag, slope : float
        The stream's lag at the first step, and its change per step.
    ahead, ahead_slope : ndarray of shape (lines,)
        Straight lines like the stream's own, by the latest of which all streams are delayed;
        zeros to delay none.

    Returns
    -------
    ndarray of shape (n_steps,)
    """
    steps = np.arange(n_steps, dtype=np.float64)
    latest = (ahead + ahead_slope * steps[:, None]).max(1)
    return steps + ((lag + slope * steps) - latest)


def undoing_times(times: Array, n_steps: int) -> Array:
    """Return the times at which an aligned stream is read to be as it was."""
    steps = np.arange(n_steps, dtype=np.float64)
    moved = times - steps
    if np.ptp(moved) < WHOLE:
        return steps - moved
    return np.interp(steps, times, steps, left=-1, right=n_steps)  # outside


def read_at(values: Array, times: Array) -> Array:
    """Read a sequence at times between its steps along a straight line; NaN outside.

    A value is made of the steps just before and just after its time, no others: what lies
    further ahead cannot reach it.

    Parameters
    ----------
    values : ndarray of shape (steps,) or (steps, channels), float
    times : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n,) or (n, channels)
    """
    whole = np.rint(times)
    times = np.where(np.abs(times - whole) < WHOLE, whole, times)
    inside = (times >= 0) & (times <= len(values) - 1)
    times = np.where(inside, times, 0)
    before = np.floor(times).astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    part = (times - before).reshape(-1, *[1] * (values.ndim - 1))
    # On a step, the one after it does not matter, not even if it is NaN.
    between = np.where(part > 0, values[before] * (1 - part) + values[after] * part, values[before])
    between[~inside] = np.nan
    return between.astype(values.dtype, copy=False)
