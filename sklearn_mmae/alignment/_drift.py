"""A lag that changes linearly in time, as two clocks of unlike speed make it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._lag import Lag, Stream, find_lag
from ._range import LagRange

__all__ = ["Drift", "find_drift"]

WINDOWS = 16  # that a row is cut into, half overlapping
FEWEST = 4  # windows in which a lag was found, to draw a line


@dataclass(frozen=True)
class Drift:
    """A lag and its change per step.

    Attributes
    ----------
    start : Lag
        The lag at the first step.
    slope, low, high : float
        Change of the lag per step, with its interval; 0 where the data do not say otherwise.
    """

    start: Lag
    slope: float
    low: float
    high: float


def find_drift(
    reference: Stream,
    stream: Stream,
    max_lag: float | tuple[float, float],
    *,
    method: str = "auto",
    level: float = 0.95,
) -> Drift:
    """Estimate a lag that changes linearly from the first step of each row.

    Lags of overlapping windows, weighed by their intervals, give a line; windows far off it (a
    neighbouring beat of a periodic signal) are left out, as in Rousseeuw's reweighting.

    Parameters
    ----------
    reference, stream, max_lag, method, level
        As in `find_lag`.

    Returns
    -------
    Drift
    """
    allowed = LagRange.of(max_lag)
    constant = find_lag(reference, stream, max_lag, method=method, level=level)
    time, lag, sd = [], [], []
    for x, y in zip(reference, stream, strict=True):
        width = max(4 * allowed.most, 2 * len(x) // (WINDOWS + 1))
        for start in range(0, len(x) - width + 1, max(width // 2, 1)):
            found = _window(x[start : start + width], y[start : start + width], allowed, method)
            if found is not None and found.related and not found.at_edge:
                time.append(start + width / 2)
                # The middle of the interval: not drawn to 0, as the lag is.
                lag.append((found.low + found.high) / 2)
                sd.append((found.high - found.low) / 2)
    line = _line(*map(np.array, (time, lag, sd)), level)
    if line is None or line[2] <= 0 <= line[3]:
        low, high = (-np.inf, np.inf) if line is None else line[2:4]
        return Drift(constant, 0.0, float(low), float(high))
    start, slope, low, high, off = line
    if not allowed.holds(start):
        return Drift(Lag.not_told(allowed, at_edge=True), 0.0, -np.inf, np.inf)
    ends = allowed.clipped(start - off), allowed.clipped(start + off)
    return Drift(Lag(allowed.clipped(start), *ends, True), slope, low, high)


def _window(x, y, allowed, method):
    seen = [~np.isnan(part).all(1) for part in (x, y)]
    if min(part.sum() for part in seen) <= allowed.most:
        return None
    try:
        return find_lag([x], [y], allowed, method=method)
    except ValueError:  # nothing varies in this window
        return None


def _line(time, lag, sd, level):
    """Return start, slope, low and high slope, and half the interval of the start, or None."""
    from scipy.stats import t, theilslopes

    if len(time) < FEWEST or np.ptp(time) == 0:
        return None
    slope, start, *_ = theilslopes(lag, time)
    off = np.abs(lag - start - slope * time)
    kept = off <= np.maximum(4 * np.median(off), 1e-6)
    if kept.sum() < FEWEST:
        return None
    time, lag, weight = time[kept], lag[kept], 1 / np.maximum(sd[kept], 1e-3) ** 2
    middle = np.average(time, weights=weight)
    spread = weight @ (time - middle) ** 2
    slope = weight @ ((time - middle) * lag) / spread
    level_lag = np.average(lag, weights=weight)
    residual = weight @ (lag - level_lag - slope * (time - middle)) ** 2 / (len(time) - 2)
    # Windows that overlap by half say as much as half as many would.
    quantile = t.ppf((1 + level) / 2, len(time) - 2) * np.sqrt(2 * residual)
    half = quantile / np.sqrt(spread)
    off = quantile * np.sqrt(1 / weight.sum() + middle**2 / spread)
    start = level_lag - slope * middle
    return float(start), float(slope), float(slope - half), float(slope + half), float(off)
