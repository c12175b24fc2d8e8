"""Spectra of two streams in bands of frequency, and how coherent they are at each lag.

Shapes: rows (steps, channels); spectra (frequencies, channels of the reference, channels of the
stream). Frequencies are in cycles per step, 0 to 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from .._core.compat import cached_property
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Means, Question

__all__ = ["Bands", "Channels", "Spectra", "octaves", "shares", "spectra", "threshold"]

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]  # a row of both streams

MOST_CHANNELS = 3  # principal components kept of a stream: a band has few frequencies
TILT = 1e-6  # of a column's variance: what the first of them is taken to have more than the last
FEWEST_FREQUENCIES = 24  # in a band: with fewer, every coherence looks high
TAPER = 0.1  # the part of a row that is faded in and out
CHANCE = 0.005  # how often a band without any relation passes for coherent
SHRINKAGE = 0.5  # of a band's covariance towards a round one, in frequencies


@dataclass(frozen=True)
class Channels:
    """How the cells of a stream become few channels of variance 1, without missing values.

    Attributes
    ----------
    mean, scale : ndarray of shape (columns,)
    components : ndarray of shape (columns, channels)
    activity : bool
        Whether one more channel holds how much the others change.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    activity: bool

    @classmethod
    def of(
        cls, rows: Sequence[np.ndarray], *, activity: bool, statistics: Statistics = PLAIN
    ) -> Channels:
        """Learn means, scales and principal components from rows with missing values.

        Raises
        ------
        ValueError
            If nothing in the rows varies.
        """
        steps = np.concatenate(rows)
        seen = ~np.isnan(steps)
        mean, scale = statistics.ask("steps", _Deviations(), steps)
        # A constant's deviations are what is lost by rounding.
        varies = scale > 1e-12 * np.maximum(np.abs(mean), 1e-300)
        if not varies.any():
            raise ValueError("nothing but one value or missing values")
        scale = np.where(varies, scale, np.inf)
        components = np.eye(steps.shape[1])[:, varies]
        if components.shape[1] > MOST_CHANNELS:
            away = np.where(seen, steps - mean, 0) / scale
            product = statistics.second_moments("channels", lambda: [(away, seen)]).product
            # Of columns without any relation the first ones, and not those that rounding chooses.
            first = np.linspace(TILT, 0, len(product))
            _, vectors = np.linalg.eigh(product / product.diagonal().mean() + np.diag(first))
            components = vectors[:, ::-1][:, :MOST_CHANNELS]
        return cls(mean, scale, components, activity)

    def __call__(self, row):
        """Return a row (steps, columns) as finite channels (steps, channels)."""
        row = (_bridged(row) - self.mean) / self.scale
        row = np.where(np.isnan(row), 0, row)
        channels = row @ self.components
        if not self.activity:
            return channels
        change = np.abs(np.gradient(row, axis=0)).mean(1, keepdims=True)
        return np.hstack([channels, change / max(change.std(), 1e-12)])


class _Deviations(Question):
    """Mean and standard deviation of each column of steps, a constant's being what is rounded."""

    def partial(self, rows: np.ndarray) -> Means:
        """Return counts, means and summed squares about them; NaN is a missing value."""
        seen = ~np.isnan(rows)
        mean = np.where(seen, rows, 0).sum(0) / np.maximum(seen.sum(0), 1)
        return Means(seen.sum(0), mean, (np.where(seen, rows - mean, 0) ** 2).sum(0))

    def merge(self, one: Means, other: Means) -> Means:
        """Combine means and squares about them."""
        return one.with_(other)

    def finish(self, part: Means) -> tuple[np.ndarray, np.ndarray]:
        """Return means and deviations."""
        return part.mean, np.sqrt(part.squares / np.maximum(part.count, 1))


def _bridged(row):
    """Fill the missing values of each column along a straight line; all NaN stays NaN."""
    if not np.isnan(row).any():
        return row
    row, steps = row.copy(), np.arange(len(row))
    for column in row.T:
        seen = ~np.isnan(column)
        if seen.any():
            column[~seen] = np.interp(steps[~seen], steps[seen], column[seen])
    return row


@dataclass(frozen=True)
class Bands:
    """Bands of frequency: band i lies between edges i and i + 1."""

    edges: np.ndarray

    def of(self, frequencies):
        """Return the band of each frequency, -1 where it has none."""
        band = np.searchsorted(self.edges, frequencies, side="right") - 1
        return np.where(band < len(self), band, -1)

    @property
    def widths(self):
        """Width of each band, in cycles per step."""
        return np.diff(self.edges)

    def __len__(self):
        return len(self.edges) - 1


def octaves(lengths, n_parameters):
    """Cut the frequencies into octaves, each with enough of them for a mixture.

    Parameters
    ----------
    lengths : list of int
        Steps of each row.
    n_parameters : int
        Numbers to be estimated in each band.

    Returns
    -------
    Bands
    """
    longest, top = np.median(lengths), 0.5 + 1e-9
    least = max(max(FEWEST_FREQUENCIES, 4 * n_parameters) / sum(lengths), 4 / longest)
    edges = [0.5 / longest]
    while edges[-1] < top:
        edges.append(edges[-1] + max(least, edges[-1]))
    edges[-1] = top
    if len(edges) > 2 and edges[-1] - edges[-2] < least:
        del edges[-2]
    return Bands(np.array(edges))


def threshold(n_parameters):
    """Return the log-likelihood that a band without a relation exceeds by `CHANCE`."""
    from scipy.stats import chi2

    return chi2.isf(CHANCE, n_parameters) / 2


def _faded(row):
    """Take a straight line from a row, and fade it in and out, against leakage."""
    from scipy.signal.windows import tukey

    steps = np.linspace(-1, 1, len(row))[:, None]
    row = row - row.mean(0)
    row = row - steps * (steps * row).sum(0) / (steps**2).sum()
    return row * tukey(len(row), TAPER)[:, None]


@dataclass(frozen=True)
class Spectra:
    """Spectra of two streams, summed over rows.

    Attributes
    ----------
    cross : ndarray of shape (frequencies, p, q), complex
    reference, stream : ndarray of shape (frequencies, p, p) and (frequencies, q, q)
    squares : ndarray of shape (frequencies, 2)
        Squares of the power of the reference and of the stream, summed over rows.
    lengths : list of int
    n_fft : int
    bands : Bands
    alike : bool
        Whether channel i of one belongs to channel i of the other, and with the same sign.
    """

    cross: np.ndarray
    reference: np.ndarray
    stream: np.ndarray
    squares: np.ndarray
    lengths: list
    n_fft: int
    bands: Bands
    alike: bool

    @cached_property
    def frequency(self):
        """Frequencies in cycles per step."""
        return np.arange(self.n_fft // 2 + 1) / self.n_fft

    @cached_property
    def n_parameters(self):
        """Numbers that make up the mixture of one part."""
        return 1 if self.alike else self.cross.shape[1] * self.cross.shape[2]

    @cached_property
    def parts(self):
        """Bands and channels that are mixed: (frequencies, channels, whiteners, counts)."""
        band, (p, q) = self.bands.of(self.frequency), self.cross.shape[1:]
        blocks = (
            [(slice(None),) * 2] if not self.alike else [(slice(i, i + 1),) * 2 for i in range(p)]
        )
        # Bartlett's correction of the likelihood ratio, 0 for one channel each.
        fewer = 0 if self.alike or p * q == 1 else (p + q + 3) / 4
        parts = []
        for i, width in enumerate(self.bands.widths):
            mine = np.flatnonzero(band == i)
            count = max(sum(self.lengths) * width - fewer, 1)
            for left, right in blocks:
                gx, gy = (
                    self.reference[mine].sum(0)[left, left],
                    self.stream[mine].sum(0)[right, right],
                )
                # How even the power is: white noise has (1 + 1/p) times the square of its mean.
                even = np.sqrt(
                    (1 + 1 / p) * (1 + 1 / q) / max(self.squares[mine].sum(0).prod(), 1e-300)
                )
                spread = np.trace(self.reference[mine].sum(0)) * np.trace(self.stream[mine].sum(0))
                spread *= even / (len(mine) * len(self.lengths))
                whiten = _whitener(gx, count), _whitener(gy, count)
                parts.append((mine, left, right, whiten, count, spread))
        return parts

    def turned(self, lag):
        """Return the spectra with the stream moved ahead by a lag, in steps."""
        turn = np.exp(2j * np.pi * self.frequency * lag)[:, None, None]
        return replace(self, cross=self.cross * turn)

    def profile(self, lags):
        """Return the log-likelihood at whole lags (lags,), which follow one another."""
        total, least = np.zeros(len(lags)), threshold(self.n_parameters)
        overlap = self._overlap(lags)[:, None, None]
        for mine, left, right, (a, b), count, _ in self.parts:
            band = np.zeros_like(self.cross[:, left, right])
            band[mine] = self.cross[mine][:, left, right]
            gain = _gains(a @ _correlation(band, self.n_fft, lags) @ b / overlap, count, self.alike)
            total += np.maximum(gain.sum(-1) - least, 0)
        return total

    def mixture(self):
        """Return what ties the streams together at lag 0, as weights of the cross spectrum.

        Returns
        -------
        weights : ndarray of shape (frequencies, p, q)
            Their sum with the cross spectrum of a lag is its log-likelihood but for a constant.
        evidence : float
            Log-likelihood above that of no relation, less what chance would give.
        certain : float
            The same, where few frequencies hold the power of a band: these count only.
        freedom : float
            Degrees of freedom of the noise: twice the frequencies that hold the power.
        """
        # For each part, with m of its frequencies `mine`:
        # cross[mine]      (m, p, q)   summed to (p, q): how far both agree in phase at lag 0
        # a @ . @ b        (p, q)      of variance 1 on either side; u (p, r), r (r,), v (r, q)
        # weights[mine]    (m, p, q)   the mixture of that likelihood, in the units of cross
        weights, least = np.zeros(self.cross.shape), threshold(self.n_parameters)
        evidence = certain = freedom = 0.0
        for mine, left, right, (a, b), count, spread in self.parts:
            coherence = a @ self.cross[mine][:, left, right].real.sum(0) @ b
            if self.alike:
                coherence = np.maximum(coherence, 0)
            u, r, v = np.linalg.svd(coherence, full_matrices=False)
            gain = -count * np.log1p(-(np.minimum(r, 0.9999) ** 2))
            kept = max(gain.sum() - least, 0)
            evidence += kept
            certain += max(gain.sum() * min(1, spread) - least, 0)
            if kept:
                freedom += 2 * count * min(1, spread)
                r2 = -np.expm1(-gain * kept / gain.sum() / count)
                weights[mine, left, right] = a @ (u * (2 * count * np.sqrt(r2) / (1 - r2))) @ v @ b
        return weights, evidence, certain, freedom

    def curve(self, weights, lags, fine):
        """Return the log-likelihood by fixed weights at lags in steps / `fine`, whole numbers."""
        mixed = (self.cross * weights).sum((1, 2))
        return _correlation(mixed, self.n_fft, lags, fine) / self._overlap(lags / fine)

    def frequency_of(self, weights):
        """Return the frequency of what both share by fixed weights: its root mean square."""
        shared = np.abs((self.cross * weights).sum((1, 2)))
        return float(np.sqrt(shared @ self.frequency**2 / max(shared.sum(), 1e-300)))

    def _overlap(self, lags):
        """Return the part of all steps that has a partner at each lag."""
        lengths, rows = np.unique(self.lengths, return_counts=True)
        return rows @ np.maximum(lengths[:, None] - np.abs(lags), 1) / sum(self.lengths)


@dataclass(frozen=True)
class _CrossSums(Question):
    """Sums over rows of the spectra of two streams, and of the squares of their power."""

    n_fft: int

    def partial(self, rows: list[Pair]) -> tuple[np.ndarray, ...]:
        """Return what `Spectra` begins with."""
        from scipy.fft import rfft

        p, q, n = rows[0][0].shape[1], rows[0][1].shape[1], self.n_fft // 2 + 1
        cross, squares = np.zeros((n, p, q), complex), np.zeros((n, 2))
        reference, stream = np.zeros((n, p, p)), np.zeros((n, q, q))
        for x, y in rows:
            x, y = (rfft(_faded(row), self.n_fft, axis=0) for row in (x, y))
            cross += np.conj(x)[:, :, None] * y[:, None]
            reference += (np.conj(x)[:, :, None] * x[:, None]).real
            stream += (np.conj(y)[:, :, None] * y[:, None]).real
            squares += np.stack([(np.abs(part) ** 2).sum(1) ** 2 for part in (x, y)], 1)
        return cross, reference, stream, squares

    def merge(self, one: tuple, other: tuple) -> tuple:
        """Add the sums."""
        return tuple(a + b for a, b in zip(one, other, strict=True))

    def finish(self, part: tuple) -> tuple:
        """Return the sums."""
        return part


def spectra(
    pairs: list[Pair],
    max_lag: int,
    alike: bool,
    like: Spectra | None = None,
    statistics: Statistics = PLAIN,
) -> Spectra:
    """Sum the spectra of all rows.

    Parameters
    ----------
    pairs : list of tuple of ndarray of shape (steps, p) and (steps, q)
    max_lag : int
        The largest lag that will be asked for.
    alike : bool
    like : Spectra, optional
        Whose frequencies and bands to take; default: octaves of these rows.
    statistics : Statistics, default=PLAIN

    Returns
    -------
    Spectra
    """
    from scipy.fft import next_fast_len

    often = statistics.frequent("lengths", [len(x) for x, _ in pairs])
    lengths = np.repeat([*often], [*often.values()]).tolist()
    if like is None:
        bands = octaves(lengths, 1 if alike else pairs[0][0].shape[1] * pairs[0][1].shape[1])
        n_fft = next_fast_len(max(lengths) + max_lag + 1, real=True)
    else:
        bands, n_fft = like.bands, like.n_fft
    sums = statistics.ask("spectra", _CrossSums(n_fft), pairs)
    return Spectra(*sums, lengths, n_fft, bands, alike)


def shares(pairs, found, weights, lag):
    """Return what each row adds to the log-likelihood by fixed weights at a lag.

    Returns
    -------
    ndarray of shape (rows,)
    """
    from scipy.fft import rfft

    turn = np.exp(2j * np.pi * found.frequency * lag)[:, None]
    x_y = ((rfft(_faded(row), found.n_fft, axis=0) for row in pair) for pair in pairs)
    return np.array([np.einsum("fp,fq,fpq->", np.conj(x), turn * y, weights).real for x, y in x_y])


def _correlation(cross, n_fft, lags, fine=1):
    """Return the sum over frequencies at lags in steps / `fine`, along axis 0."""
    from scipy.fft import irfft

    size = n_fft * fine
    return irfft(cross, size, axis=0)[lags] * (size / 2)


def _whitener(covariance, count):
    """Return the inverse square root of a covariance of `count` frequencies, made rounder."""
    size = len(covariance)
    trace = max(np.trace(covariance), 1e-300)
    round_part = SHRINKAGE * (size > 1) / count + 1e-12
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(np.maximum(values, 0) + round_part * trace)) @ vectors.T


def _gains(coherence, count, alike):
    """Return the log-likelihood of coherences (lags, p, q) for each canonical pair."""
    if coherence.shape[1:] == (1, 1):
        r = coherence[..., 0]
        r = np.maximum(r, 0) if alike else np.abs(r)
    else:
        r = np.linalg.svd(coherence, compute_uv=False)
    return -count * np.log1p(-(np.minimum(r, 0.9999) ** 2))
