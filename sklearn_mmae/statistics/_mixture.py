"""A Gaussian mixture of weighted rows, as large as rows that it has not seen find it useful."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from ._plain import PLAIN, Statistics
from ._samples import SampledRows

__all__ = ["Mixture", "fit_mixture"]

SIZES = (1, 4, 16)  # that are tried, while each is better than the one before
ROWS_EACH = 20  # at least, on average
MOST_NUMBERS = 2**15  # in the covariances
SHRINK = 0.5  # rows for each column of which the common covariance counts as much
ROUNDS_OF_MEANS = 5  # before EM, which stays in poor optima without
MOST_ROUNDS, TOL = 50, 1e-2  # of EM; nats per row below which a round gains nothing
NEGLIGIBLE = 1e-9  # of the membership of the surest row
LEAST = 1e-6  # of the mean variance, that every direction has


class Mixture(NamedTuple):
    """Gaussians and how often each is drawn.

    Attributes
    ----------
    shares : ndarray of shape (members,)
    means : ndarray of shape (members, columns)
    roots : ndarray of shape (members, columns, columns)
        Lower triangular roots of the covariances.
    """

    shares: np.ndarray
    means: np.ndarray
    roots: np.ndarray

    def log_joint(self, rows: np.ndarray) -> np.ndarray:
        """Return the log density of each row together with its member, (rows, members)."""
        return np.log(self.shares) + np.stack(
            [
                log_normal(rows - mean, root)
                for mean, root in zip(self.means, self.roots, strict=True)
            ],
            1,
        )

    def memberships(self, rows: np.ndarray) -> np.ndarray:
        """Return how likely each row is of each member, (rows, members)."""
        log_joint = self.log_joint(rows)
        return np.exp(log_joint - logsumexp(log_joint, 1, keepdims=True))


def log_normal(rows: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return log densities of centred rows, (rows,), given a root of their covariance."""
    white = rows @ np.linalg.inv(root).T
    return -0.5 * (white**2).sum(1) - np.log(np.diag(root)).sum() - _half_log_tau(len(root))


def _half_log_tau(n: int) -> float:
    return 0.5 * n * math.log(2 * math.pi)


def fit_mixture(sample: SampledRows, statistics: Statistics = PLAIN) -> Mixture:
    """Fit a mixture by EM; of some sizes, the one that halves of the rows find best in the other.

    Parameters
    ----------
    sample : SampledRows
        Without missing values, at least two rows, in an order that says nothing of them.
    statistics : Statistics, default=PLAIN
        Asked which size is best.

    Returns
    -------
    Mixture

    Notes
    -----
    Covariances are shrunk to the common one, as in regularised discriminant analysis [1]_, and
    that one to its diagonal: members of few rows are then as wide as the others, and held-out rows
    of codes are likelier by several nats than with the size that BIC would choose.

    References
    ----------
    .. [1] Friedman (1989), "Regularized discriminant analysis", JASA 84(405).
    """
    rows, weights = sample
    n, k = rows.shape
    sizes = [s for s in SIZES if s == 1 or (s * ROWS_EACH <= n / 2 and s * k * k <= MOST_NUMBERS)]
    best, loss = 1, None
    for size in sizes if len(sizes) > 1 else ():
        now = _losses_of_halves(rows, weights, size)
        if loss is not None:
            if not statistics.choose(f"{size} members", np.stack([loss, now]), margin=1.0):
                break
            best = size
        loss = now
    return _fit(rows, weights, best)


def _losses_of_halves(rows, weights, size):
    losses = np.empty(len(rows))
    for half in (0, 1):
        fitted = _fit(rows[half::2], weights[half::2], size)
        losses[1 - half :: 2] = -logsumexp(fitted.log_joint(rows[1 - half :: 2]), 1)
    return losses


def _fit(rows, weights, size):
    """Return a mixture of one size."""
    of_rows, before = _spread_out(rows, weights, size), -np.inf
    for _ in range(MOST_ROUNDS):
        mixture = _maximised(rows, weights, of_rows)
        if size == 1:
            break
        log_joint = mixture.log_joint(rows)
        total = logsumexp(log_joint, 1)
        of_rows, now = np.exp(log_joint - total[:, None]), np.average(total, weights=weights)
        if now - before < TOL:
            break
        before = now
    return mixture


def _spread_out(rows, weights, size):
    """Return first memberships, (rows, members): of k-means, begun at rows that are far apart."""
    rng = np.random.RandomState(0)
    scaled = rows / np.maximum(rows.std(0), 1e-12)
    nearest, centres, chances = np.full(len(rows), np.inf), [], weights
    for _ in range(size):
        centres.append(scaled[rng.choice(len(rows), p=chances / chances.sum())])
        nearest = np.minimum(nearest, ((scaled - centres[-1]) ** 2).sum(1))
        chances = weights * nearest if nearest.any() else weights
    centres = np.array(centres)
    for _ in range(ROUNDS_OF_MEANS):
        own = _nearest(scaled, centres) * weights[:, None]
        counts = own.sum(0)[:, None]
        centres = np.where(counts > 0, own.T @ scaled / np.maximum(counts, 1e-12), centres)
    return _nearest(scaled, centres)


def _nearest(rows, centres):
    distances = (centres**2).sum(1) - 2 * rows @ centres.T
    return np.eye(len(centres))[distances.argmin(1)]


def _maximised(rows, weights, of_rows):
    """Return the mixture that rows make, given their memberships."""
    n, k = rows.shape
    counted = of_rows * weights[:, None]
    counts = counted.sum(0)
    means = (counted.T @ rows) / np.maximum(counts, 1e-12)[:, None]
    products = np.stack(
        [_product(rows - mean, count) for mean, count in zip(means, counted.T, strict=True)]
    )
    common = products.sum(0) / counts.sum()
    variances = np.diag(common)
    common = (n * common + k * np.diag(variances)) / (n + k)
    common[np.diag_indices(k)] += LEAST * max(variances.mean(), LEAST)
    shrink = SHRINK * k
    covariances = (products + shrink * common) / (counts + shrink)[:, None, None]
    shares = (counts + 1) / (counts + 1).sum()
    return Mixture(shares, means, np.linalg.cholesky(covariances))


def _product(centred, counts):
    """Return the sum of ``x x'`` as rows count; most count for next to nothing."""
    some = counts > NEGLIGIBLE * counts.max()
    return (centred[some] * counts[some, None]).T @ centred[some]
