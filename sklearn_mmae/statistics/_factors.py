"""Factor analysis of a table with holes, and what it expects in them.

References
----------
.. [1] Rubin & Thayer (1982), "EM algorithms for ML factor analysis", Psychometrika 47(1).
.. [2] Liu, Rubin & Wu (1998), "Parameter expansion to accelerate EM: the PX-EM algorithm",
   Biometrika 85(4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.utils.extmath import randomized_svd

__all__ = [
    "MOST_FACTORS",
    "Expectation",
    "conditional_covariance",
    "expected",
    "fit_factors",
    "rows_for_factors",
]

MOST_FACTORS = 32
MOST_ROWS = 4_000  # to learn from
MOST_PRODUCTS = 10**9  # of a round, which bounds the rows of wide tables, down to
FEWEST_ROWS = 500
ROUNDS = 20
SHRINKAGE = 10  # rows that say of columns that they have nothing in common, beside the real ones
LEAST_NOISE = 0.01  # of a column's variance
BLOCK = 1024  # rows whose holes are filled at a time
DECIMALS = 4  # of what is expected: the last bits would depend on the rows beside


@dataclass(frozen=True)
class Expectation:
    """What the cells of a row, numbers and categories, make likely in its holes.

    Attributes
    ----------
    shares : list of ndarray
        Relative frequencies of each column's categories.
    loadings, noise : ndarray
        Of a factor analysis of numbers and centred indicators; see `fit_factors`.
    """

    shares: list
    loadings: np.ndarray
    noise: np.ndarray

    @classmethod
    def learn(cls, numbers, mean, scale, codes, shares):
        """Learn from some rows, by half as many factors as there are columns, 32 at most.

        Parameters
        ----------
        numbers : ndarray of shape (rows, numbers)
            NaN in the holes.
        mean, scale : ndarray of shape (numbers,)
        codes : ndarray of shape (rows, categorical columns)
            -1 in the holes.
        shares : list of ndarray

        Returns
        -------
        Expectation
        """
        n_factors = min(MOST_FACTORS, (numbers.shape[1] + codes.shape[1]) // 2, len(numbers) - 1)
        width = numbers.shape[1] + sum(map(len, shares))
        if n_factors < 1:
            return cls(shares, np.zeros((width, 0)), np.ones(width))
        some = rows_for_factors(len(numbers), width, n_factors)
        standardised = (numbers[some].astype(np.float64) - mean) / scale
        table = cls(shares, None, None)._centred(standardised, codes[some])
        return cls(shares, *fit_factors(table, n_factors))

    def fill(self, tensors):
        """Return the values of a table with what is likely in its holes.

        Parameters
        ----------
        tensors : dict of ndarray
            ``numbers`` (standardised) with ``observed`` where there are holes, and ``codes``, -1
            in the holes; or ``raw``, which has none.

        Returns
        -------
        dict of ndarray
            The same, ``numbers`` filled, and with ``expected``, float32, where codes have holes:
            the indicators of all categories that are likely there.
        """
        if "raw" in tensors or not self.loadings.shape[1]:
            return tensors
        n_rows = len(next(iter(tensors.values())))
        codes = tensors.get("codes", np.empty((n_rows, 0), np.int32))
        numbers = tensors.get("numbers", np.empty((n_rows, 0), np.float32))
        observed = tensors.get("observed", np.ones(numbers.shape, bool))
        hole = codes < 0
        rows = np.flatnonzero(~observed.all(1) | hole.any(1))
        if not len(rows):
            return tensors
        n, filled = numbers.shape[1], dict(tensors)
        seen = np.where(observed[rows], numbers[rows], np.nan)
        means = expected(self._centred(seen, codes[rows]), self.loadings, self.noise)
        if n:
            filled["numbers"] = numbers.copy()
            filled["numbers"][rows] = np.where(observed[rows], numbers[rows], means[:, :n])
        if hole.any():
            indicators = np.zeros((len(codes), len(self.noise) - n), np.float32)
            scales = np.repeat(self._indicator_scales(), list(map(len, self.shares)))
            indicators[rows] = np.concatenate(self.shares) + means[:, n:] / scales
            filled["expected"] = indicators
        return filled

    def _centred(self, numbers, codes):
        """Return numbers and centred indicators, NaN in the holes."""
        parts = [numbers.astype(np.float64)]
        for code, share, scale in zip(codes.T, self.shares, self._indicator_scales(), strict=True):
            centred = ((code[:, None] == np.arange(len(share))) - share) * scale
            parts.append(np.where(code[:, None] < 0, np.nan, centred))
        return np.concatenate(parts, 1)

    def _indicator_scales(self):
        """Return what makes the total variance of each column's indicators 1."""
        return [max(1 - (share**2).sum(), 1e-12) ** -0.5 for share in self.shares]


def rows_for_factors(n_rows, n_columns, n_factors):
    """Return as many row numbers, evenly spaced, as `fit_factors` takes seconds to learn from."""
    affordable = MOST_PRODUCTS // (n_columns * n_factors**2)
    n_used = min(n_rows, MOST_ROWS, max(FEWEST_ROWS, affordable))
    return np.linspace(0, n_rows - 1, n_used).astype(int)


def fit_factors(table, n_factors):
    """Fit a factor analysis to the observed cells of a table, by PX-EM [1]_ [2]_.

    Parameters
    ----------
    table : ndarray of shape (rows, columns), float64
        Centred; NaN in the holes.
    n_factors : int
        From 1 to the smaller side of the table.

    Returns
    -------
    loadings : ndarray of shape (columns, n_factors)
    noise : ndarray of shape (columns,)
        Variances, above 0.
    """
    # Rows with the same holes are side by side, and have the same posterior covariance.
    patterns, which = _patterns(table)
    order = np.argsort(which, kind="stable")
    which, numbers = which[order], np.nan_to_num(table[order])
    first = np.searchsorted(which, np.arange(len(patterns)))
    members = np.diff(first, append=len(which))

    counts = np.maximum(members @ patterns, 1)
    variance = (numbers**2).sum(0) / counts
    least = np.maximum(LEAST_NOISE * variance, 1e-6)
    # As if holes were their columns' means, scaled up by what these leave out.
    _, sizes, axes = randomized_svd(
        numbers, n_factors, power_iteration_normalizer="QR", random_state=0
    )
    loadings = axes.T * sizes / np.sqrt(counts.mean())
    noise = np.maximum(variance - (loadings**2).sum(1), np.maximum(variance / 10, least))
    for _ in range(ROUNDS):
        covariances = _covariances(patterns, loadings, noise)
        alike = np.split(numbers @ (loadings / noise[:, None]), first[1:])
        alike = [rows @ covariance for rows, covariance in zip(alike, covariances, strict=True)]
        moments = np.stack([rows.T @ rows for rows in alike])
        moments += members[:, None, None] * covariances
        own = (patterns.T @ moments.reshape(len(moments), -1)).reshape(-1, *moments.shape[1:])
        own += (SHRINKAGE * noise)[:, None, None] * np.eye(n_factors)
        towards = numbers.T @ np.concatenate(alike)
        loadings = np.linalg.solve(own, towards[:, :, None])[:, :, 0]
        noise = np.maximum(variance - (loadings * towards).sum(1) / counts, least)
        loadings = loadings @ np.linalg.cholesky(moments.sum(0) / len(numbers))
    return loadings, noise


def expected(table, loadings, noise):
    """Return what the observed cells of each row tell of its holes.

    Parameters
    ----------
    table : ndarray of shape (rows, columns), float
        Centred; NaN in the holes.
    loadings, noise : ndarray
        See `fit_factors`.

    Returns
    -------
    ndarray of shape (rows, columns), float64
        The means of all cells given the observed ones; 0, the column's mean, for a row of holes.
    """
    means = np.empty(table.shape)
    for start in range(0, len(table), BLOCK):
        block = np.asarray(table[start : start + BLOCK], np.float64)
        covariances = _covariances(~np.isnan(block), loadings, noise)
        factors = _means(np.nan_to_num(block), covariances, loadings, noise)
        means[start : start + BLOCK] = (factors @ loadings.T).round(DECIMALS)
    return means


def conditional_covariance(table, loadings, noise):
    """Return the covariance of a row's cells given the observed ones, the mean over rows.

    Parameters
    ----------
    table : ndarray of shape (rows, columns), float
        NaN in the holes.
    loadings, noise : ndarray
        See `fit_factors`.

    Returns
    -------
    ndarray of shape (columns, columns)
        0 between cells of which one is always observed.
    """
    patterns, which = _patterns(table)
    total = np.zeros((len(loadings),) * 2)
    for pattern, members in zip(patterns, np.bincount(which), strict=True):
        hole = np.flatnonzero(~pattern)
        (covariance,) = _covariances(pattern[None], loadings, noise)
        unseen = loadings[hole] @ covariance @ loadings[hole].T + np.diag(noise[hole])
        total[np.ix_(hole, hole)] += members * unseen
    return total / len(table)


def _patterns(table):
    """Return which cells are observed, each pattern once, and the pattern of each row."""
    patterns, which = np.unique(~np.isnan(table), axis=0, return_inverse=True)
    return patterns, which.reshape(-1)


def _covariances(patterns, loadings, noise):
    """Return the posterior covariance of the factors given which columns are observed."""
    n_factors = loadings.shape[1]
    weighted = (loadings / noise[:, None])[:, :, None] * loadings[:, None]
    precisions = (patterns @ weighted.reshape(len(loadings), -1)).reshape(-1, n_factors, n_factors)
    return np.linalg.inv(precisions + np.eye(n_factors))


def _means(numbers, covariances, loadings, noise):
    """Return the posterior means of the factors of rows, 0 in the holes."""
    return (covariances @ (numbers @ (loadings / noise[:, None]))[:, :, None])[:, :, 0]
