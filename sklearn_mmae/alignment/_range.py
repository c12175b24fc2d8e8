"""Which lags are looked for: `max_lag` as a user gives it, and as the search takes it."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np

from .._core.typing import Array

__all__ = ["LagRange"]

BEYOND = 1.5  # times a number: how far is looked, to tell a lag from the ripples of one beyond
SMALLEST = 1e-9  # of a step: what rounding may add to a limit


class LagRange(NamedTuple):
    """The lags that are looked for, positive where the stream comes later.

    Parameters
    ----------
    low, high : float
        In steps, or in the unit of `max_lag`.
    """

    low: float
    high: float

    @classmethod
    def of(cls, max_lag: Any, *, step: float = 1.0) -> Self:
        """Read a `max_lag`: a number (either way), or the lowest and the highest lag.

        Parameters
        ----------
        max_lag : float or (float, float)
        step : float, default=1.0
            Its length in the unit of `max_lag`.

        Raises
        ------
        ValueError
            For what is no number above 0 and no pair of finite numbers that rise.
        """
        pair = isinstance(max_lag, tuple | list)
        ends = tuple(max_lag) if pair else (max_lag,)
        numbers = all(isinstance(x, Real) and not isinstance(x, bool | np.bool_) for x in ends)
        if not numbers or not all(map(math.isfinite, ends)) or len(ends) != 1 + pair:
            raise ValueError(
                f"max_lag={max_lag!r}: give a number above 0, either way, or the lowest and the"
                " highest lag, such as (0, 2.0): it comes later, by 2 at most."
            )
        if pair and ends[0] >= ends[1]:
            raise ValueError(
                f"max_lag={max_lag!r} does not rise. Give the lowest lag first, such as"
                f" {(ends[1], ends[0]) if ends[1] < ends[0] else (0, abs(ends[0]) or 1)}."
            )
        if not pair and ends[0] <= 0:
            raise ValueError(f"max_lag={max_lag!r}: give a number above 0, or None.")
        low, high = map(float, ends) if pair else (-float(max_lag), float(max_lag))
        return cls(low / step, high / step)

    @property
    def most(self) -> int:
        """The steps that the furthest lag needs."""
        return math.ceil(max(abs(self.low), abs(self.high)) - SMALLEST)

    @property
    def whole(self) -> Array:
        """The whole lags between which all others lie."""
        return np.arange(math.floor(self.low + SMALLEST), math.ceil(self.high - SMALLEST) + 1)

    @property
    def usual(self) -> float:
        """The lag that is taken where the data do not say otherwise: the nearest to 0."""
        return min(max(0.0, self.low), self.high)

    def beyond(self, n_steps: int) -> Self:
        """Return these lags and those to look at beyond, of rows of `n_steps`.

        A number says how far to look, and the lag may lie further out. Two say what is known: the
        beat before may agree better, but is not meant.
        """
        if self.low != -self.high:
            return self
        most = max(self.high, min(BEYOND * self.high, n_steps / 2))
        return type(self)(-most, most)

    def holds(self, lags: Array) -> Array:
        """Whether lags are among those that are looked for."""
        return (lags >= self.low - SMALLEST) & (lags <= self.high + SMALLEST)

    def clipped(self, lag: float) -> float:
        """Return the nearest lag that is looked for."""
        return float(min(max(lag, self.low), self.high))
