"""What releases with Gaussian noise cost together: epsilon for a delta, and the noise for both.

A release adds noise to a sum of rows, each of them, where it is sampled, with a chance. Rows that
are neighbours differ in one row, which in one of them is not observed at all.

References
----------
.. [1] Balle & Wang (2018), "Improving the Gaussian mechanism for differential privacy", ICML.
.. [2] Doroshenko, Ghazi, Kamath, Kumar & Manurangsi (2022), "Connect the dots: tighter discrete
   approximations of privacy loss distributions", PETS.
.. [3] Koskela, Jälkö & Honkela (2020), "Computing tight differential privacy guarantees using
   FFT", AISTATS.
.. [4] Mironov, Talwar & Zhang (2019), "Rényi differential privacy of the sampled Gaussian
   mechanism", arXiv:1908.10530.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr, logsumexp, ndtr

__all__ = ["ACCOUNTANTS", "Release", "find_noise", "spent_epsilon"]

ORDERS = np.arange(2, 513)  # of Rényi divergences
STEPS_OF_DEVIATION = 20  # of the grid, to the smallest standard deviation of a release's loss
COARSEST, FINEST = 1e-2, 2e-6  # steps of the grid of privacy losses
MOST_POINTS = 2**24  # of the grid
LOST = 1e-15  # chance of losses beyond the grid
LARGEST = 1e4  # of epsilons that are told apart


@dataclass(frozen=True)
class Release:
    """A sum of rows that was made public, or as many alike.

    Attributes
    ----------
    step : str
        What it was for.
    noise : float
        Standard deviation of the noise, over the largest norm of a row's part in the sum.
    rate : float, default=1.0
        Chance of a row to be in the sum (Poisson sampling).
    times : int, default=1
    """

    step: str
    noise: float
    rate: float = 1.0
    times: int = 1


def spent_epsilon(releases: Sequence[Release], delta: float, accountant: str = "prv") -> float:
    """Return the epsilon of releases together, for a delta.

    Parameters
    ----------
    releases : list of Release
    delta : float in (0, 1)
    accountant : {"prv", "rdp"}, default="prv"
        The distribution of the privacy loss [2]_ [3]_, or Rényi divergences [4]_: both are upper
        bounds, the first is tight. Where every row is in every sum it has a closed form [1]_.

    Returns
    -------
    float
        Infinite where nothing is protected.
    """
    releases = [release for release in releases if release.noise < math.inf]
    if any(release.noise <= 0 for release in releases):
        return math.inf
    return ACCOUNTANTS[accountant](releases, delta) if releases else 0.0


def find_noise(
    epsilon_of: Callable[[float], float], epsilon: float, *, tolerance: float = 1e-9
) -> float:
    """Return the least noise at which ``epsilon_of(noise)``, which falls with it, is affordable.

    Parameters
    ----------
    epsilon_of : callable
    epsilon : float
    tolerance : float, default=1e-9
        By which share there may be more noise than need be.
    """
    if math.isinf(epsilon):
        return 0.0
    epsilon_of, low, high = cache(epsilon_of), 0.5, 1.0
    while epsilon_of(high) > epsilon:
        low, high = high, 2 * high
    while epsilon_of(low) < epsilon:  # where there is less noise, there is more to compute
        low, high = low / 2, low

    def over(x: float) -> float:
        return epsilon_of(math.exp(x)) - epsilon

    noise = math.exp(brentq(over, math.log(low), math.log(high), xtol=tolerance))
    while epsilon_of(noise) > epsilon:  # by the last digits of the root
        noise *= 1 + tolerance
    return noise


def _by_distribution(releases: Sequence[Release], delta: float) -> float:
    sampled = [release for release in releases if release.rate < 1]
    # Gaussian releases of all rows are together a single one.
    precision = sum(r.times / r.noise**2 for r in releases if r.rate >= 1)
    if not sampled:
        return _epsilon(lambda epsilon: _gaussian_delta(epsilon, precision**0.5), delta)
    if precision:
        sampled.append(Release("", precision**-0.5))
    return max(_composed(sampled, delta, removes) for removes in (True, False))


def _epsilon(delta_of: Callable[[float], float], delta: float) -> float:
    """Return the epsilon of a delta, which falls with it."""
    if delta_of(0.0) <= delta:
        return 0.0
    high = 1.0
    while delta_of(high) > delta:
        high *= 2
        if high > LARGEST:
            return math.inf
    return float(brentq(lambda epsilon: delta_of(epsilon) - delta, 0, high, xtol=1e-12))


def _gaussian_delta(epsilon: float, mu: float) -> float:
    """Return the delta of a Gaussian release, its noise being ``1 / mu`` [1]_."""
    above = ndtr(-epsilon / mu + mu / 2)
    return float(above - np.exp(epsilon + log_ndtr(-epsilon / mu - mu / 2)))


def _composed(releases: Sequence[Release], delta: float, removes: bool) -> float:
    """Return the epsilon of releases by the distribution of their summed privacy loss.

    Losses of each release are rounded to a grid so that both neighbours keep their chances [2]_;
    the distribution of a sum is a product of Fourier transforms [3]_, of which what lies beyond
    the grid wraps around: it is made as wide as Rényi divergences say.
    """
    spread = [math.sqrt(_renyi(release)[0] / release.times) for release in releases]
    step = min(COARSEST, min(spread) / STEPS_OF_DEVIATION)
    width = _by_renyi(releases, LOST) + 1.0
    n = 2 ** math.ceil(math.log2(2 * width / max(step, FINEST)))
    if n > MOST_POINTS:  # there is hardly any noise
        return _by_renyi(releases, delta)
    grid = (np.arange(n) - n // 2) * (2 * width / n)
    transform, infinite = 1.0, 0.0
    for release in releases:
        chances, beyond = _rounded(release, grid, removes)
        transform = transform * np.fft.rfft(np.fft.ifftshift(chances)) ** release.times
        infinite += release.times * beyond
    chances = np.maximum(np.fft.fftshift(np.fft.irfft(transform, n)), 0)
    positive = grid >= 0
    losses, chances = grid[positive], chances[positive]
    above = chances[::-1].cumsum()[::-1]
    weighted = (chances * np.exp(-losses))[::-1].cumsum()[::-1]
    deltas = infinite + above - np.exp(losses) * weighted
    enough = np.flatnonzero(deltas <= delta)
    return float(losses[enough[0]]) if len(enough) else math.inf


def _rounded(release: Release, grid: np.ndarray, removes: bool) -> tuple[np.ndarray, float]:
    """Return the chances of privacy losses, rounded to a grid, and of those beyond it.

    What lies between two points goes to both, so that neither the chance under the rows nor that
    under their neighbours changes.
    """
    with_row, without = _below(release, grid, removes)
    inside, other = np.diff(with_row), np.diff(without)
    step = grid[1] - grid[0]
    to_upper = (inside - other * np.exp(grid[:-1])) / -np.expm1(-step)
    to_upper = np.clip(to_upper, 0, inside)
    chances = np.zeros(len(grid))
    chances[1:] += to_upper
    chances[:-1] += inside - to_upper
    chances[0] += with_row[0]
    return chances, float(1 - with_row[-1])


def _below(release: Release, losses: np.ndarray, removes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of at most these losses, under the rows and under their neighbours."""
    rate, noise = release.rate, release.noise
    # The output x at which the loss of the rows with the row, against those without it, is this.
    sign = losses if removes else -losses
    inside = np.exp(np.minimum(sign, 700)) - (1 - rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = noise**2 * np.log(np.maximum(inside, 0) / rate) + 0.5
    tails = ndtr if removes else lambda x: ndtr(-x)
    without = tails(place / noise)
    with_row = (1 - rate) * without + rate * tails((place - 1) / noise)
    return (with_row, without) if removes else (without, with_row)


@lru_cache(maxsize=64)
def _renyi(release: Release) -> np.ndarray:
    """Return the Rényi divergence of a release, for each of `ORDERS` [4]_."""
    rate, noise = release.rate, release.noise
    if rate >= 1:
        return release.times * ORDERS / (2 * noise**2)
    k, log_binomials = np.arange(ORDERS[-1] + 1), _log_binomials()
    of_order = math.log1p(-rate) * (ORDERS[:, None] - k)
    terms = log_binomials + of_order + k * math.log(rate) + k * (k - 1) / (2 * noise**2)
    return release.times * np.maximum(logsumexp(terms, axis=1) / (ORDERS - 1), 0)


@cache
def _log_binomials() -> np.ndarray:
    """Return the logarithms of binomial coefficients of `ORDERS`, -inf beyond each."""
    n, k = ORDERS[:, None], np.arange(ORDERS[-1] + 1)
    inside = np.maximum(n - k, 0)
    return np.where(k <= n, gammaln(n + 1) - gammaln(k + 1) - gammaln(inside + 1), -np.inf)


def _by_renyi(releases: Sequence[Release], delta: float) -> float:
    total = sum(_renyi(release) for release in releases)
    more = np.log1p(-1 / ORDERS) - (math.log(delta) + np.log(ORDERS)) / (ORDERS - 1)
    return float(max((total + more).min(), 0))


ACCOUNTANTS = {"prv": _by_distribution, "rdp": _by_renyi}
