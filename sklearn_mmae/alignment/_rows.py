"""A lag of each row's own, by what all rows tell of how two streams belong together.

One row of a few seconds is too short to learn the mixture that ties unlike streams together, and
to find a lag by it. So the mixture is learned from the other rows, each moved by its lag as far
as that is known, and the row's lag is where its own cross spectrum agrees best with the mixture.

Such lags have no intervals: a likelihood takes the mixture for known, and the intervals that
follow from it held the lag in half of the rows of recorded speech only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._core.typing import Array
from ._lag import ROUNDS, Model, Stream, Summit, choose, find_lag, observed_pairs
from ._range import LagRange
from ._spectra import Spectra, spectra

__all__ = ["Relation", "find_row_lags"]


@dataclass(frozen=True)
class Relation:
    """What ties two streams together, to find the lag of one more row.

    Attributes
    ----------
    model : Model
    weights : ndarray of shape (frequencies, p, q)
        As `Spectra.mixture` returns them.
    common : float
        The lag of a row that does not say otherwise, in steps.
    allowed : LagRange
    """

    model: Model
    weights: np.ndarray
    common: float
    allowed: LagRange

    def lag(self, x: Array, y: Array, level: float) -> float:
        """Return the lag of one row (steps, columns) of each stream."""
        if not observed_pairs([x], [y]) or not self.weights.any():
            return self.common
        model = self.model
        own = spectra([model(x, y)], self.allowed.most, model.spectra.alike, model.spectra)
        return self.lag_of(own, level)

    def lag_of(self, own: Spectra, level: float) -> float:
        """Return where a row agrees best with the mixture; the common lag if that is as good."""
        from scipy.stats import chi2

        summit = Summit.of(own, self.weights, self.allowed.most, self.allowed)
        at_common = np.interp(self.common, summit.lags, summit.values)
        alike = 2 * (summit.highest - at_common) <= chi2.ppf(level, 1)
        return self.common if alike or summit.at_edge else summit.lag


def find_row_lags(
    reference: Stream,
    stream: Stream,
    max_lag: float | tuple[float, float],
    *,
    method: str = "auto",
    level: float = 0.95,
) -> tuple[Array, Relation]:
    """Estimate the lag of each row.

    Parameters
    ----------
    reference, stream, max_lag, method, level
        As in `find_lag`.

    Returns
    -------
    lags : ndarray of shape (rows,)
    relation : Relation
    """
    allowed = LagRange.of(max_lag)
    common = find_lag(reference, stream, max_lag, method=method, level=level).lag
    model = choose(observed_pairs(reference, stream), allowed, method)
    whole, rows = model.spectra, list(zip(reference, stream, strict=True))
    own = {
        i: spectra([model(x, y)], allowed.most, whole.alike, whole)
        for i, (x, y) in enumerate(rows)
        if observed_pairs([x], [y])
    }
    lags = np.full(len(rows), common)
    for _ in range(ROUNDS):
        moved = {i: found.turned(lags[i]).cross for i, found in own.items()}
        total = sum(moved.values())
        for i, found in own.items():
            # A row is not to be found where it was put: it has no part in its own mixture.
            cross = total - moved[i] if len(own) > 1 else total
            weights, *_ = replace(whole, cross=cross).mixture()
            if weights.any():
                lags[i] = Relation(model, weights, common, allowed).lag_of(found, level)
    total = sum(found.turned(lags[i]).cross for i, found in own.items())
    weights, *_ = replace(whole, cross=total).mixture()
    return lags, Relation(model, weights, common, allowed)
