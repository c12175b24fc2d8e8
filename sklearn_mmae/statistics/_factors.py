"""Factor analysis of rows with missing values, and what it expects in them.

``row = loadings @ factors + noise``: fitted by expectation maximisation [1]_ with expanded
parameters [2]_, which takes second moments only: summed over the rows that have the same cells.

References
----------
.. [1] Rubin & Thayer (1982), "EM algorithms for ML factor analysis", Psychometrika 47(1).
.. [2] Liu, Rubin & Wu (1998), "Parameter expansion to accelerate EM: the PX-EM algorithm",
   Biometrika 85(4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.utils.extmath import randomized_svd

from ._plain import SecondMoments, Statistics
from ._questions import BLOCK
from ._samples import SampledRows

__all__ = [
    "MOST_FACTORS",
    "TIED",
    "Expectation",
    "PatternMoments",
    "conditional_covariance",
    "expected",
    "fit_factors",
    "fixed_signs",
    "maximise",
    "most_rows",
]

MOST_FACTORS = 32
MOST_ROWS = 4_000  # to learn from
MOST_PRODUCTS = 10**9  # of a round, which bounds the rows of wide tables, down to
FEWEST_ROWS = 500
MOST_SUMMED = 200  # columns of a table up to which all rows are summed
ROUNDS = 20
SHRINKAGE = 10  # rows that say of columns that they have nothing in common, beside the real ones
LEAST_NOISE = 0.01  # of a column's variance
AT_ONCE = 1024  # rows whose holes are filled at a time
TIED = 1e-6  # relative difference of entries that only rounding tells apart
DECIMALS = 4  # of what is expected: the last bits would depend on the rows beside


@dataclass(frozen=True)
class Expectation:
    """What the cells of a row, numbers and categories, make likely in its missing values.

    Attributes
    ----------
    shares : list of ndarray
        Relative frequencies of each column's categories.
    loadings, noise : ndarray
        Of a factor analysis of numbers and centred indicators; see `fit_factors`.
    """

    shares: list[np.ndarray]
    loadings: np.ndarray
    noise: np.ndarray

    @classmethod
    def learn(
        cls,
        numbers: np.ndarray,
        codes: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray,
        shares: list[np.ndarray],
        n_rows: int,
        has_holes: bool,
        statistics: Statistics,
    ) -> Expectation:
        """Learn by half as many factors as there are columns, 32 at most.

        Parameters
        ----------
        numbers : ndarray of shape (rows, numbers)
            NaN where missing.
        codes : ndarray of shape (rows, categorical columns)
            -1 where missing.
        mean, scale : ndarray of shape (numbers,)
        shares : list of ndarray
        n_rows : int
        has_holes : bool
            Both as they were answered.
        statistics : Statistics

        Returns
        -------
        Expectation
        """
        n_factors = min(MOST_FACTORS, (numbers.shape[1] + codes.shape[1]) // 2, n_rows - 1)
        width = numbers.shape[1] + sum(map(len, shares))
        if n_factors < 1:
            return cls(shares, np.zeros((width, 0)), np.ones(width))
        table = cls(shares, np.empty(0), np.empty(0))

        def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in range(0, len(numbers), BLOCK):
                here = slice(start, start + BLOCK)
                standardised = (numbers[here].astype(np.float64) - mean) / scale
                centred = table._centred(standardised, codes[here])
                yield np.nan_to_num(centred), ~np.isnan(centred)

        answer = statistics.second_moments(
            "cells",
            blocks,
            products=width <= MOST_SUMMED and not has_holes,  # of which a sample tells more
            most_rows=most_rows(width, n_factors),
        )
        return cls(shares, *fit_factors(PatternMoments.of(answer), n_factors))

    def fill(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the values of a table with what is likely in its missing values.

        Parameters
        ----------
        tensors : dict of ndarray
            ``numbers`` (standardised) with ``observed`` where there are missing values, and
            ``codes``, -1 where missing; or ``raw``, which has none.

        Returns
        -------
        dict of ndarray
            The same, ``numbers`` filled, and with ``expected``, float32, where codes have missing
            values: the indicators of all categories that are likely there.
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

    def _centred(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return numbers and centred indicators, NaN where missing."""
        parts = [numbers.astype(np.float64)]
        for code, share, scale in zip(codes.T, self.shares, self._indicator_scales(), strict=True):
            centred = ((code[:, None] == np.arange(len(share))) - share) * scale
            parts.append(np.where(code[:, None] < 0, np.nan, centred))
        return np.concatenate(parts, 1)

    def _indicator_scales(self) -> list[float]:
        """Return what makes the total variance of each column's indicators 1."""
        return [max(1 - (share**2).sum(), 1e-12) ** -0.5 for share in self.shares]


def most_rows(n_columns: int, n_factors: int) -> int:
    """Return from how many rows `fit_factors` takes seconds to learn."""
    return min(MOST_ROWS, max(FEWEST_ROWS, MOST_PRODUCTS // (n_columns * n_factors**2)))


@dataclass(frozen=True)
class PatternMoments:
    """Second moments of rows, by which of their cells are observed.

    Attributes
    ----------
    observed : ndarray of shape (patterns, columns), bool
    members : ndarray of shape (patterns,)
        Rows of each pattern.
    roots : ndarray of shape (root rows of all patterns, columns)
        For each pattern a matrix whose ``root' root`` are the second moments of its rows, summed; 0
        where values are missing.
    first : ndarray of shape (patterns,), int
        Where the root of each pattern begins.
    product : ndarray of shape (columns, columns), or None
        Instead of roots, the second moments of a single pattern without missing values: half the
        work.
    """

    observed: np.ndarray
    members: np.ndarray
    roots: np.ndarray
    first: np.ndarray
    product: np.ndarray | None = None

    @classmethod
    def of(cls, answer: SecondMoments) -> PatternMoments:
        """Return those of a sample of rows; else of all, as if nothing were missing."""
        if answer.sample is not None:
            return cls.of_rows(answer.sample)
        return cls.of_product(answer.product, answer.n_rows)

    @classmethod
    def of_product(cls, product: np.ndarray, n_rows: float) -> PatternMoments:
        """Return those of rows without missing values, given the sum of ``x x'``."""
        observed, members = np.ones((1, len(product)), bool), np.array([float(n_rows)])
        return cls(observed, members, np.empty((0, len(product))), np.zeros(1, int), product)

    @classmethod
    def of_rows(cls, sample: SampledRows) -> PatternMoments:
        """Return those of rows with missing values."""
        observed, which = _patterns(sample.rows)
        weighted = np.sqrt(sample.weights)[:, None] * np.nan_to_num(sample.rows)
        order = np.argsort(which, kind="stable")
        ends = np.cumsum(np.bincount(which))
        roots = [
            _root(rows, there)
            for rows, there in zip(np.split(weighted[order], ends[:-1]), observed, strict=True)
        ]
        first = np.cumsum([0, *map(len, roots[:-1])])
        members = np.bincount(which, sample.weights)
        return cls(observed, members, np.concatenate(roots), first)

    @property
    def counts(self) -> np.ndarray:
        """How many rows have each cell, 1 at least."""
        return np.maximum(self.members @ self.observed, 1)

    @property
    def variance(self) -> np.ndarray:
        """The mean square of each column's observed cells."""
        squares = (self.roots**2).sum(0) if self.product is None else self.product.diagonal()
        return np.maximum(squares, 0) / self.counts

    def of_factors(self, loadings: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the summed products of cells and of factors with factors, both as expected.

        Returns
        -------
        towards : ndarray of shape (columns, factors)
        second : ndarray of shape (patterns, factors, factors)
        """
        weighted = loadings / noise[:, None]
        if self.product is not None:
            covariance = np.linalg.inv(loadings.T @ weighted + np.eye(loadings.shape[1]))
            factors = weighted @ covariance
            towards = self.product @ factors
            return towards, (factors.T @ towards + self.members * covariance)[None]
        covariances = _covariances(self.observed, loadings, noise)
        alike = np.split(self.roots @ weighted, self.first[1:])
        alike = [rows @ covariance for rows, covariance in zip(alike, covariances, strict=True)]
        second = np.stack([rows.T @ rows for rows in alike])
        second += self.members[:, None, None] * covariances
        return self.roots.T @ np.concatenate(alike), second


def _root(rows: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return at most as many rows as cells are there, with the same second moments."""
    if len(rows) <= there.sum():
        return rows
    root = np.zeros((there.sum(), len(there)))
    root[:, there] = np.linalg.qr(rows[:, there], mode="r")
    return root


def _root_of(product: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(product)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def fit_factors(moments: PatternMoments, n_factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a factor analysis to the observed cells of a table.

    Parameters
    ----------
    moments : PatternMoments
        Of centred columns.
    n_factors : int
        From 1 to the smaller side of the table.

    Returns
    -------
    loadings : ndarray of shape (columns, n_factors)
    noise : ndarray of shape (columns,)
        Variances, above 0.
    """
    variance = moments.variance
    least = np.maximum(LEAST_NOISE * variance, 1e-6)
    # As if holes were their columns' means, scaled up by what these leave out.
    roots = moments.roots if moments.product is None else _root_of(moments.product)
    _, sizes, axes = randomized_svd(
        np.pad(roots, [(0, max(n_factors - len(roots), 0)), (0, 0)]),
        n_factors,
        power_iteration_normalizer="QR",
        transpose=False,  # it begins with axes: the same for any rows with these second moments
        flip_sign=False,
        random_state=0,
    )
    loadings = fixed_signs(axes.T) * sizes / np.sqrt(moments.counts.mean())
    noise = np.maximum(variance - (loadings**2).sum(1), np.maximum(variance / 10, least))
    return maximise(
        *(moments, loadings, noise, lambda left: np.maximum(left, least)),
        rounds=ROUNDS,
        shrinkage=SHRINKAGE,
    )


def fixed_signs(axes: np.ndarray) -> np.ndarray:
    """Make the largest entry of each column positive, the first of those that tie."""
    size = np.abs(axes)
    first = (size >= (1 - TIED) * size.max(0)).argmax(0)
    return axes * np.where(axes[first, np.arange(len(first))] < 0, -1.0, 1.0)


def maximise(
    moments: PatternMoments,
    loadings: np.ndarray,
    noise: np.ndarray,
    noise_of: Callable[[np.ndarray], np.ndarray],
    *,
    rounds: int,
    settled: float = 0.0,
    shrinkage: float = 0.0,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Raise the likelihood of a factor analysis, by PX-EM.

    Parameters
    ----------
    moments : PatternMoments
    loadings, noise : ndarray of shape (columns, factors) and (columns,)
        To begin with.
    noise_of : callable
        Returns the noise variances, given what is left of each column's variance.
    rounds : int
        At most.
    settled : float, default=0.0
        Relative change of the noise below which it is enough.
    shrinkage : float, default=0.0
        Rows, beside the real ones, that say that columns have nothing in common.
    allowed : ndarray of shape (columns, factors), bool, optional
        On which factors each column may depend.

    Returns
    -------
    loadings, noise : ndarray
    """
    variance, counts, alike = moments.variance, moments.counts, _Alike.of(moments, allowed)
    for _ in range(rounds):
        towards, second = moments.of_factors(loadings, noise)
        loadings = alike.regressed(towards, second, shrinkage * noise)
        before = noise
        noise = noise_of(variance - (loadings * towards).sum(1) / counts)
        if allowed is None:
            loadings = loadings @ np.linalg.cholesky(second.sum(0) / moments.members.sum())
        if np.abs(noise / before - 1).max() < settled:
            break
    return loadings, noise


@dataclass(frozen=True)
class _Alike:
    """Columns that are observed in the same rows, and may depend on the same factors.

    Attributes
    ----------
    observed : ndarray of shape (kinds, patterns), float
        1 or 0.
    allowed : ndarray of shape (kinds, factors), bool, or None
    kind : ndarray of shape (columns,), int
    """

    observed: np.ndarray
    allowed: np.ndarray | None
    kind: np.ndarray

    @classmethod
    def of(cls, moments: PatternMoments, allowed: np.ndarray | None) -> _Alike:
        """Group the columns that are observed in the same patterns, and may load alike."""
        observed = moments.observed.T
        both = observed if allowed is None else np.hstack([observed, allowed])
        kinds, kind = np.unique(both, axis=0, return_inverse=True)
        n = observed.shape[1]
        allowed = None if allowed is None else kinds[:, n:]
        return cls(kinds[:, :n].astype(float), allowed, kind.reshape(-1))  # floats multiply fast

    def regressed(
        self, towards: np.ndarray, second: np.ndarray, shrinkage: np.ndarray
    ) -> np.ndarray:
        """Return the regression of each column on the factors, over the rows that have it."""
        k = towards.shape[1]
        own = (self.observed @ second.reshape(len(second), -1)).reshape(-1, k, k)
        if shrinkage.any():
            each = own[self.kind] + shrinkage[:, None, None] * np.eye(k)
            return np.linalg.solve(each, towards[:, :, None])[:, :, 0]
        found = np.zeros_like(towards)
        for kind, one in enumerate(own):
            columns = np.flatnonzero(self.kind == kind)
            factors = np.arange(k) if self.allowed is None else np.flatnonzero(self.allowed[kind])
            inside, at = one[np.ix_(factors, factors)], np.ix_(columns, factors)
            found[at] = np.linalg.solve(inside, towards[at].T).T
        return found


def expected(table: np.ndarray, loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return what the observed cells of each row tell of its missing values.

    Parameters
    ----------
    table : ndarray of shape (rows, columns), float
        Centred; NaN where missing.
    loadings, noise : ndarray
        See `fit_factors`.

    Returns
    -------
    ndarray of shape (rows, columns), float64
        The means of all cells given the observed ones; 0, the column's mean, for a row with nothing
        observed.
    """
    means = np.empty(table.shape)
    for start in range(0, len(table), AT_ONCE):
        block = np.asarray(table[start : start + AT_ONCE], np.float64)
        covariances = _covariances(~np.isnan(block), loadings, noise)
        factors = _means(np.nan_to_num(block), covariances, loadings, noise)
        means[start : start + AT_ONCE] = (factors @ loadings.T).round(DECIMALS)
    return means


def conditional_covariance(
    moments: PatternMoments, loadings: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Return the covariance of a row's cells given the observed ones, the mean over rows.

    Parameters
    ----------
    moments : PatternMoments
    loadings, noise : ndarray
        See `fit_factors`.

    Returns
    -------
    ndarray of shape (columns, columns)
        0 between cells of which one is always observed.
    """
    total = np.zeros((len(loadings),) * 2)
    for there, members in zip(moments.observed, moments.members, strict=True):
        hole = np.flatnonzero(~there)
        (covariance,) = _covariances(there[None], loadings, noise)
        unseen = loadings[hole] @ covariance @ loadings[hole].T + np.diag(noise[hole])
        total[np.ix_(hole, hole)] += members * unseen
    return total / moments.members.sum()


def _patterns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which cells are observed, each pattern once, and the pattern of each row."""
    patterns, which = np.unique(~np.isnan(table), axis=0, return_inverse=True)
    return patterns, which.reshape(-1)


def _covariances(patterns: np.ndarray, loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the posterior covariance of the factors given which columns are observed."""
    n_factors = loadings.shape[1]
    weighted = (loadings / noise[:, None])[:, :, None] * loadings[:, None]
    precisions = (patterns @ weighted.reshape(len(loadings), -1)).reshape(-1, n_factors, n_factors)
    return np.linalg.inv(precisions + np.eye(n_factors))


def _means(
    numbers: np.ndarray, covariances: np.ndarray, loadings: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Return the posterior means of the factors of rows, 0 where missing."""
    return (covariances @ (numbers @ (loadings / noise[:, None]))[:, :, None])[:, :, 0]
