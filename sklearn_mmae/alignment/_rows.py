"""A lag of each row's own, by what all rows tell of how two streams belong together.

One row of a few seconds is too short to learn the mixture that ties unlike streams together, and
to find a lag by it. So the mixture is learned from the other rows, each moved by its lag as far
as that is known, and the row's lag is where its own cross spectrum agrees best with the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._core.typing import Array
from ._lag import FINE, ROUNDS, Lag, Model, Stream, choose, find_lag, interval, observed_pairs, top
from ._spectra import spectra

__all__ = ["Relation", "find_row_lags"]


@dataclass(frozen=True)
class Relation:
    """What ties two streams together, to find the lag of one more row.

    Attributes
    ----------
    model : Model
    weights : ndarray of shape (frequencies, p, q)
    freedom : float
        As `Spectra.mixture` returns both.
    common : float
        The lag of a row that does not say otherwise, in steps.
    """

    model: Model
    weights: np.ndarray
    freedom: float
    common: float

    def lag(self, x: Array, y: Array, max_lag: int, level: float) -> Lag:
        """Return the lag of one row (steps, columns) of each stream, as a `Lag`."""
        if not observed_pairs([x], [y]) or not self.weights.any():
            return Lag(self.common, -float(max_lag), float(max_lag), False)
        own = spectra([self.model(x, y)], max_lag, self.model.spectra.alike, self.model.spectra)
        return _own_lag(own, self, max_lag, level)


def find_row_lags(
    reference: Stream, stream: Stream, max_lag: int, *, method: str = "auto", level: float = 0.95
) -> tuple[list[Lag], Relation]:
    """Estimate the lag of each row.

    Parameters
    ----------
    reference, stream, max_lag, method, level
        As in `find_lag`.

    Returns
    -------
    lags : list of Lag
    relation : Relation
    """
    common = find_lag(reference, stream, max_lag, method=method, level=level)
    model = choose(observed_pairs(reference, stream), max_lag, method)
    whole, rows = model.spectra, list(zip(reference, stream, strict=True))
    own = {
        i: spectra([model(x, y)], max_lag, whole.alike, whole)
        for i, (x, y) in enumerate(rows)
        if observed_pairs([x], [y])
    }
    lags = [replace(common, low=-float(max_lag), high=float(max_lag))] * len(rows)
    for _ in range(ROUNDS):
        moved = {i: found.turned(lags[i].lag).cross for i, found in own.items()}
        total = sum(moved.values())
        for i, found in own.items():
            # A row is not to be found where it was put: it has no part in its own mixture.
            cross = total - moved[i] if len(own) > 1 else total
            weights, *_, freedom = replace(whole, cross=cross).mixture()
            if weights.any():
                lags[i] = _own_lag(
                    found, Relation(model, weights, freedom, common.lag), max_lag, level
                )
    total = sum(found.turned(lags[i].lag).cross for i, found in own.items())
    weights, *_, freedom = replace(whole, cross=total).mixture()
    return lags, Relation(model, weights, freedom, common.lag)


def _own_lag(own, relation, max_lag, level):
    """Return where a row agrees best with a mixture; the common lag if that is as good."""
    from scipy.stats import chi2

    grid, values = own.curve(relation.weights, max_lag, FINE)
    lag, highest = top(grid, values)
    low, high = interval(grid, values, lag, highest, level, relation.freedom)
    at_common = np.interp(relation.common, grid, values)
    if 2 * (highest - at_common) <= chi2.ppf(level, 1):
        lag = relation.common
    return Lag(lag, low, high, True)
