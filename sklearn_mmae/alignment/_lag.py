"""The lag between two streams, with an interval: plain functions on numpy arrays.

The model: in each band of frequencies the stream is a fixed mixture of the reference's channels,
late by one lag, plus noise. Per band its log-likelihood, maximised over the mixture, is

    -K log det(I - R R'),    R = Gxx^(-1/2) Re(Gxy exp(2 pi i f lag)) Gyy^(-1/2)

with K the number of frequencies in the band and G the spectra of both, so that R holds the
coherences in phase. The sum over bands is computed at every whole lag by Fourier transforms. At
its highest peaks both streams are cut to what overlaps, and with the mixtures held fixed the same
likelihood becomes the generalised cross-correlation of Hannan and Thomson (1973) [1]_, which
weighs a frequency of coherence r by r / (1 - r^2), the maximum likelihood weight of Knapp and
Carter (1976) [2]_. It is a smooth function of the lag, and the lags at which it is not much below
its maximum are the confidence interval.

A band whose coherence is not significant gets weight 0, and the weight of the others shrinks by
as much: otherwise the noise that happens to agree at the best lag would narrow the interval.

References
----------
.. [1] E. J. Hannan and P. J. Thomson (1973). Estimating group delay. Biometrika 60, 241-253.
.. [2] C. H. Knapp and G. C. Carter (1976). The generalized correlation method for estimation of
   time delay. IEEE Trans. Acoustics, Speech and Signal Processing 24, 320-327.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .._core.typing import Array
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Sums
from ._range import LagRange
from ._spectra import Channels, Spectra, shares, spectra, threshold

__all__ = [
    "ROUNDS",
    "Lag",
    "Stream",
    "Summit",
    "choose",
    "find_lag",
    "observed_pairs",
]

Stream: TypeAlias = Sequence[Array]  # a row each
Pair: TypeAlias = tuple[Array, Array]  # a row of both streams
FINE = 16  # values per step of the fine curve
CANDIDATES = 6  # peaks that are looked at closely
SHORTEST = 8  # steps of a row that overlap
MANY_ROWS = 30  # that must agree on a relation, whatever the steps of one say
ALPHA = 0.001  # how often noise passes for a relation
ROUNDS = 3  # of finding the lag by the mixture, and the mixture by the lag


@dataclass(frozen=True)
class Lag:
    """A lag in steps, positive where the stream comes later than the reference.

    Parameters
    ----------
    lag : float
        The best lag; exactly 0 where the data do not say otherwise, or what is allowed next to 0.
    low, high : float
        The confidence interval; all lags that were allowed where no relation was found.
    related : bool
        Whether the streams are related at all.
    at_edge : bool, default=False
        Whether they agree best at an end of what was allowed, so that the lag may lie beyond it.
        Then no lag is reported.
    """

    lag: float
    low: float
    high: float
    related: bool
    at_edge: bool = False

    @classmethod
    def not_told(cls, allowed: LagRange, *, at_edge: bool = False) -> Lag:
        """Return the lag of unrelated streams: any that is allowed."""
        return cls(allowed.usual, *allowed, related=at_edge, at_edge=at_edge)


def find_lag(
    reference: Stream,
    stream: Stream,
    max_lag: float | tuple[float, float],
    *,
    method: str = "auto",
    level: float = 0.95,
    statistics: Statistics = PLAIN,
) -> Lag:
    """Estimate one lag from many rows.

    Parameters
    ----------
    reference, stream : list of ndarray of shape (steps, channels), float
        One array per row, on a common sampling grid; a row has as many steps in both, rows may
        differ. NaN is unobserved; a row in which either is all NaN does not count.
    max_lag : float or (float, float)
        The largest lag searched, in steps, either way; or the lowest and the highest. Less than
        the steps of a row.
    method : {"auto", "correlation", "features"}, default="auto"
        As in `DelayAligner`.
    level : float, default=0.95
        Confidence level of the interval.
    statistics : Statistics, default=PLAIN
        What is asked about the rows.

    Returns
    -------
    Lag

    Raises
    ------
    ValueError
        If a stream does not vary, or `max_lag` is no such number or pair.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.alignment import find_lag
    >>> rng = np.random.default_rng(0)
    >>> signal = np.convolve(rng.normal(size=420), np.ones(5), mode="same")[:, None]
    >>> early, late = signal[7:407], signal[:400]
    >>> round(find_lag([early], [late], max_lag=20).lag, 1)
    7.0
    """
    allowed = LagRange.of(max_lag)
    seen = observed_pairs(reference, stream)
    if not seen:
        return Lag.not_told(allowed)
    wide = allowed.beyond(min(len(x) for x, _ in seen))
    model = choose(seen, wide, method, statistics)
    pairs, alike = [model(*pair) for pair in seen], model.spectra.alike
    peaks = [
        _refine(pairs, alike, start, lags, level, statistics.of(f"from {start} on"))
        for start, lags in _starts(model.profile, allowed, wide)
    ]
    needed = _by_chance(model.spectra, allowed)
    return _conclude([peak for peak in peaks if peak], allowed, level, needed)


def observed_pairs(reference: Stream, stream: Stream) -> list[Pair]:
    """Return the rows of which both streams have something."""
    return [
        (x, y)
        for x, y in zip(reference, stream, strict=True)
        if not (np.isnan(x).all() or np.isnan(y).all())
    ]


@dataclass(frozen=True)
class Model:
    """How two streams are read, and what they share at each whole lag."""

    left: Channels
    right: Channels
    spectra: Spectra
    profile: np.ndarray

    def __call__(self, x: Array, y: Array) -> Pair:
        """Return a row of both streams as channels."""
        return self.left(x), self.right(y)


def choose(
    seen: list[Pair], allowed: LagRange, method: str, statistics: Statistics = PLAIN
) -> Model:
    """Return the model, alike or unlike, that explains more.

    Parameters
    ----------
    seen : list of tuple of ndarray of shape (steps, columns)
    allowed : LagRange
        In steps.
    method : {"auto", "correlation", "features"}

    Returns
    -------
    Model
    """
    same = seen[0][0].shape[1] == seen[0][1].shape[1]
    kinds = {"correlation": [True], "features": [False], "auto": [True, False][not same :]}
    models = []
    for alike in kinds[method]:
        asked = statistics.of("alike" if alike else "unlike")
        left, right = (
            Channels.of(rows, activity=not alike, statistics=asked.of(side))
            for side, rows in zip(("reference", "stream"), zip(*seen, strict=True), strict=True)
        )
        channels = [(left(x), right(y)) for x, y in seen]
        found = spectra(channels, allowed.most, alike, statistics=asked)
        models.append(Model(left, right, found, found.profile(allowed.whole)))
    if len(models) == 1:
        return models[0]
    # Mixtures can do all that a plain correlation can and more, but their lags are less certain:
    # they have to explain more for each of their numbers.
    alike, unlike = models
    n_alike, n_unlike = alike.spectra.cross.shape[1], unlike.spectra.n_parameters
    return alike if alike.profile.max() * n_unlike >= unlike.profile.max() * n_alike else unlike


@dataclass(frozen=True)
class _Peak:
    """A peak of the likelihood: where, its interval, and how high it is."""

    lag: float
    low: float
    high: float
    evidence: float
    certain: float
    at_edge: bool


def _starts(curve, allowed, wide):
    """Return the whole lags at the highest peaks of a curve, and the range of each to climb in.

    They are the highest that are allowed, 0 or what is next to it, and the highest beyond.
    """
    lags, usual = wide.whole, round(allowed.usual)
    padded = np.concatenate([[-np.inf], curve, [-np.inf]])
    ends = np.isin(lags, allowed.whole[[0, -1]])  # whose hill may go on beyond
    peak = (curve >= padded[:-2]) & (curve > padded[2:]) | ends
    peaks = np.flatnonzero(peak & (curve > 0))
    inside = np.isin(lags, allowed.whole)
    starts = []
    if inside[peaks].any():
        highest = peaks[inside[peaks]]
        highest = highest[np.argsort(-curve[highest], kind="stable")]
        # A peak has ripples: no other start within the width of the highest at half its height.
        low = np.flatnonzero(curve < curve[highest[0]] / 2)
        width = np.abs(low - highest[0]).min(initial=len(curve) // 2)
        for lag in lags[highest].tolist():
            if len(starts) < CANDIDATES and all(abs(lag - s) >= width for s in starts):
                starts.append(lag)
    starts = [(lag, allowed) for lag in dict.fromkeys([*starts, usual])]
    outer = peaks[~inside[peaks]]
    if len(outer) and curve[outer].max() > curve[inside].max():
        starts.append((int(lags[outer[np.argmax(curve[outer])]]), wide))
    return starts


def _refine(pairs, alike, start, allowed, level, statistics):
    """Climb to the top of the peak at a whole lag, on what overlaps there, as far as is allowed.

    Returns
    -------
    _Peak, or None if there is none near.
    """
    overlapping = [_overlapping(x, y, start) for x, y in pairs if len(x) - abs(start) >= SHORTEST]
    if not overlapping:
        return None
    shortest = statistics.quantile("shortest", [len(x) for x, _ in overlapping], 0)
    reach = min(allowed.most, int(shortest) // 2)
    found = spectra(overlapping, reach, alike, statistics=statistics)
    lag = 0.0
    for _ in range(ROUNDS):
        weights, *_ = found.turned(lag).mixture()
        if not weights.any():
            return None
        summit = Summit.of(found, weights, reach, allowed, start)
        if not len(summit.lags):
            return None
        lag = summit.lag
    weights, evidence, certain, freedom = found.turned(lag).mixture()
    n_rows = len(found.lengths)
    if n_rows >= MANY_ROWS:
        each = shares(overlapping, found, weights, lag)
        total = statistics.ask("shares", Sums(), each)
        squares = statistics.ask("squares of shares", Sums(), each**2)
        agree = min(total**2 / (n_rows * squares), 1 - 1e-9)
        by_rows = -n_rows / 2 * np.log1p(-agree) - threshold(found.n_parameters)
        certain = min(certain, by_rows)
    low, high = _interval(summit, level, freedom)
    return _Peak(start + lag, start + low, start + high, evidence, certain, summit.at_edge)


@dataclass(frozen=True)
class Summit:
    """The likelihood by fixed weights at the lags that are allowed, and where it is highest.

    Attributes
    ----------
    lags, values : ndarray of shape (lags,)
        `FINE` a step; none where none is allowed so near.
    lag, highest : float
        Between them.
    at_edge : bool
        Whether it is the first or last of them, or higher just beyond what is allowed.
    """

    lags: np.ndarray
    values: np.ndarray
    lag: float
    highest: float
    at_edge: bool

    @classmethod
    def of(
        cls, found: Spectra, weights: Array, reach: int, allowed: LagRange, start: int = 0
    ) -> Summit:
        """Look for it up to `reach` steps from a whole lag by which the stream was moved ahead."""
        grid = np.arange(-reach * FINE, reach * FINE + 1)
        lags, values = grid / FINE, found.curve(weights, grid, FINE)
        inside = allowed.holds(start + lags)
        if not inside.any():
            return cls(lags[:0], values[:0], 0.0, -np.inf, True)
        lag, highest = _top(lags[inside], values[inside])
        # A hill beyond the edge has ripples, which are the peaks of what is on this side of it.
        ripple = 1 / found.frequency_of(weights)
        beside = values[~inside & (np.abs(lags - lag) < ripple)]
        at_end = lag in lags[inside][[0, -1]] and len(beside)
        at_edge = bool(at_end or beside.max(initial=-np.inf) > highest)
        return cls(lags[inside], values[inside], lag, highest, at_edge)


def _overlapping(x, y, lag):
    """Move a stream ahead by a whole lag, and cut both to what they share."""
    n = len(x)
    return (x[: n - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: n + lag])


def _top(lags: Array, values: Array) -> tuple[float, float]:
    """Return where a curve is highest, between its points, and how high it is."""
    i = int(np.argmax(values))
    if not 0 < i < len(values) - 1:
        return float(lags[i]), float(values[i])
    before, top, after = values[i - 1 : i + 2]
    bend = 2 * top - before - after
    aside = (after - before) / (2 * bend) if bend > 0 else 0.0
    return float(lags[i] + aside * (lags[1] - lags[0])), float(top + bend * aside**2 / 2)


def _interval(summit, level, freedom):
    """Return the first and last lag that the likelihood ratio does not rule out (Wilks).

    The noise is not known but estimated, with `freedom` degrees of freedom: hence F, not chi2.
    """
    from scipy.stats import f

    lags, values, lag, highest = summit.lags, summit.values, summit.lag, summit.highest
    # The square root of the ratio is nearly straight beside the top: good to interpolate.
    far = np.sqrt(2 * np.maximum(highest - values, 0))
    limit = np.sqrt(f.ppf(level, 1, max(freedom, 1)))
    inside = np.flatnonzero(far <= limit)
    sides = []
    for end, step in ((0, -1), (-1, 1)):
        last = inside[end] if len(inside) else int(np.argmin(np.abs(lags - lag)))
        beyond = last + step
        if not 0 <= beyond < len(lags):
            sides.append(float(lags[last]))
            continue
        start, at = (lags[last], far[last]) if (lags[last] - lag) * step > 0 else (lag, 0.0)
        part = (limit - at) / max(far[beyond] - at, 1e-300)
        sides.append(float(start + part * (lags[beyond] - start)))
    return sides


def _by_chance(found, allowed):
    """Return the evidence that streams without a relation stay below at all lags."""
    from scipy.optimize import brentq
    from scipy.stats import chi2

    n, least = found.n_parameters, threshold(found.n_parameters)
    # A band of width w has about 2 w independent lags per step of lag.
    tries = sum(1 + 2 * (allowed.high - allowed.low) * found.bands.widths)
    tries *= found.cross.shape[1] if found.alike else 1

    def excess(evidence):
        return np.log(tries) + chi2.logsf(2 * (least + evidence), n) - np.log(ALPHA)

    return brentq(excess, 0, 1000) if excess(0) > 0 else 0.0


def _conclude(peaks, allowed, level, needed):
    """Choose the highest peak, unless 0 does nearly as well, or it may lie beyond the edge."""
    from scipy.stats import chi2

    inside = [peak for peak in peaks if allowed.holds(peak.lag)]
    best, first = (max(p, key=lambda p: p.evidence, default=None) for p in (inside, peaks))
    if first is None or first.certain <= needed:
        return Lag.not_told(allowed)
    # A likelihood ratio above 1 / (1 - level) happens less often than 1 - level (Markov).
    further = first is not best and (
        best is None or first.certain + np.log(1 - level) > best.certain
    )
    if further or best.at_edge:
        return Lag.not_told(allowed, at_edge=True)
    peaks = inside
    near = best.certain + np.log(1 - level)
    rivals = [p for p in peaks if p.certain >= near or p is best]
    low = allowed.clipped(min(p.low for p in rivals))
    high = allowed.clipped(max(p.high for p in rivals))
    # By the same bound 0 is given up: a hair's breadth beside it is not worth a correction.
    wider = np.sqrt(-2 * np.log(1 - level) / chi2.ppf(level, 1))
    for p in rivals:
        ends = p.lag + wider * (p.low - p.lag), p.lag + wider * (p.high - p.lag)
        if allowed.usual == 0 and ends[0] <= 0 <= ends[1]:
            return Lag(0.0, min(low, 0.0), max(high, 0.0), True)
    return Lag(min(max(best.lag, low), high), low, high, True)
