"""A multivariate normal of rows with missing values, and what it expects in them.

Fitted by expectation maximisation [1]_ with a ridge on the covariance.

References
----------
.. [1] Little & Rubin (2019), "Statistical analysis with missing data", 3rd ed., ch. 11.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ._samples import SampledRows

__all__ = ["DECIMALS", "Gaussian", "fit_gaussians"]

ROUNDS = 20
SETTLED = 1e-3  # change of the covariance, of columns of variance 1, at which it is enough
FOLDS = 5
MORE_ROUNDS = 2  # of the rows beyond a fold, in which what the fold told is forgotten
AT_ONCE = 2**21  # numbers of the matrices that are inverted at a time
FREEDOM = 5.0  # degrees, of a distribution with longer tails than the normal's
DECIMALS = 4  # of what is expected: the last bits would depend on the rows beside


class Gaussian(NamedTuple):
    """Mean and covariance of columns.

    Attributes
    ----------
    mean : ndarray of shape (columns,)
    covariance : ndarray of shape (columns, columns)
    """

    mean: np.ndarray
    covariance: np.ndarray

    def complete(self, rows: np.ndarray) -> np.ndarray:
        """Return rows with their missing values at what the observed cells make likely.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
            NaN where missing.

        Returns
        -------
        ndarray of shape (rows, columns)
        """
        completed = np.empty(rows.shape)
        for at, _, _, along in self._along(rows):
            expected = (self.mean + along @ self.covariance).round(DECIMALS)
            completed[at] = np.where(np.isnan(rows[at]), expected, rows[at])
        return completed

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return how far off what is missing may be given the observed cells, whose spread is 0.

        The scale of a multivariate t distribution [1]_ of `FREEDOM` degrees of freedom: the
        standard deviation that the normal has, larger where what is observed of the row is unusual.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
            NaN where missing.

        Returns
        -------
        ndarray of shape (rows, columns)

        References
        ----------
        .. [1] Kotz & Nadarajah (2004), "Multivariate t distributions and their applications".
        """
        found = np.empty(rows.shape)
        for at, which, precision, along in self._along(rows):
            observed = ~np.isnan(rows[at])
            holes = np.zeros(precision.shape[:2], bool)
            holes[which] = ~observed
            variance = self._unseen(holes, precision).diagonal(axis1=1, axis2=2)
            squares = (np.where(observed, rows[at] - self.mean, 0) * along).sum(1)
            unusual = (FREEDOM + np.maximum(squares, 0)) / (FREEDOM + observed.sum(1))
            spread = np.sqrt(np.maximum(variance[which], 0) * unusual[:, None])
            found[at] = spread.round(DECIMALS)
        return found

    def complete_without(self, rows: np.ndarray, targets: list[slice]) -> np.ndarray:
        """Return rows completed as if the cells of a target were missing, for each target.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
            NaN where missing.
        targets : list of slice
            Columns that are hidden together.

        Returns
        -------
        ndarray of shape (targets, rows, columns)
        """
        completed = np.empty((len(targets), *rows.shape))
        for at, which, precision, along in self._along(rows):
            for t, own in enumerate(targets):
                # Of the inverse without some columns: no second inversion per target.
                block = precision[:, :, own] @ np.linalg.inv(precision[:, own, own])
                rest = along - (block[which] @ along[:, own, None])[:, :, 0]
                rest[:, own] = 0
                expected = (self.mean + rest @ self.covariance).round(DECIMALS)
                completed[t, at] = np.where(np.isnan(rows[at]), expected, rows[at])
                completed[t, at, own] = expected[:, own]
        return completed

    def _along(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield some rows at a time, those that have the same cells together.

        Yields
        ------
        at : ndarray of shape (some,), int
            Which rows.
        which : ndarray of shape (some,), int
            Which of these patterns each has.
        precision : ndarray of shape (patterns, columns, columns)
            Inverse covariances of what is observed; where values are missing 1 on the diagonal, 0
            beside it.
        along : ndarray of shape (some, columns)
            These times the centred cells, 0 where missing.
        """
        observed = ~np.isnan(rows)
        patterns, which = np.unique(observed, axis=0, return_inverse=True)
        which = which.ravel()
        order = np.argsort(which, kind="stable")
        d = len(self.mean)
        size, eye = max(AT_ONCE // d**2, 1), np.eye(d)
        for first in range(0, len(patterns), size):
            both = patterns[first : first + size]
            both = both[:, :, None] & both[:, None, :]
            precision = np.linalg.inv(np.where(both, self.covariance, eye))
            ends = np.searchsorted(which[order], [first, first + size])
            for start in range(ends[0], ends[1], size):
                at = order[start : min(start + size, ends[1])]
                centred = np.where(observed[at], rows[at] - self.mean, 0)
                own = which[at] - first
                yield at, own, precision, (precision[own] @ centred[:, :, None])[:, :, 0]

    def moments(self, rows: np.ndarray, weights: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Return the expected sums of ``[1 x]' [1 x]`` of each fold's rows.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
        weights : ndarray of shape (rows,)
        fold : ndarray of shape (rows,), int

        Returns
        -------
        ndarray of shape (folds, 1 + columns, 1 + columns)
        """
        d, n_folds = len(self.mean), fold.max(initial=0) + 1
        sums = np.zeros((n_folds, 1 + d, 1 + d))
        for at, which, precision, along in self._along(rows):
            hole = np.isnan(rows[at])
            completed = np.where(hole, self.mean + along @ self.covariance, rows[at])
            whole = np.hstack([np.ones((len(at), 1)), completed])
            weighted = np.zeros((n_folds, len(precision)))
            np.add.at(weighted, (fold[at], which), weights[at])
            holes = np.zeros((len(precision), d), bool)
            holes[which] = hole
            unseen = self._unseen(holes, precision)
            for k in np.unique(fold[at]):
                own = fold[at] == k
                sums[k] += (weights[at][own, None] * whole[own]).T @ whole[own]
                sums[k, 1:, 1:] += np.tensordot(weighted[k], unseen, 1)
        return sums

    def _unseen(self, holes: np.ndarray, precision: np.ndarray) -> np.ndarray:
        """Return the covariance of what is not observed given the rest, for each pattern."""
        # In the holes the inverse is 1, and the covariance with them does not count.
        towards = np.where(holes[:, None, :], 0, self.covariance)
        unseen = self.covariance - towards @ precision @ towards.swapaxes(1, 2)
        return unseen * (holes[:, :, None] & holes[:, None, :])

    @classmethod
    def of_moments(cls, sums: np.ndarray, ridge: float) -> Gaussian:
        """Return the most likely one, with as many rows more that say of columns what they are.

        Parameters
        ----------
        sums : ndarray of shape (1 + columns, 1 + columns)
            See `moments`.
        ridge : float
            Rows of variance 1 in each column, and nothing in common.
        """
        n = max(sums[0, 0], 1e-12)
        mean = sums[0, 1:] / n
        squares = sums[1:, 1:] - n * np.outer(mean, mean)
        return cls(mean, (squares + ridge * np.eye(len(mean))) / (n + ridge))


def fit_gaussians(
    sample: SampledRows, ridges: tuple[float, ...], fold: np.ndarray
) -> tuple[list[Gaussian], list[list[Gaussian]]]:
    """Fit normals by EM, of all rows and of the rows beyond each fold.

    Those beyond a fold are one step of EM away from that of all rows, without the fold's part.

    Parameters
    ----------
    sample : SampledRows
        Of columns of mean about 0 and variance about 1.
    ridges : tuple of float
        The first one is that of the rounds.
    fold : ndarray of shape (rows,), int

    Returns
    -------
    whole : list of Gaussian
        One per ridge.
    beyond : list of list of Gaussian
        For each ridge one per fold.
    """
    rows, weights = sample
    d = rows.shape[1]
    gaussian, one = Gaussian(np.zeros(d), np.eye(d)), np.zeros(len(rows), int)
    for _ in range(ROUNDS):
        before = gaussian
        (sums,) = gaussian.moments(rows, weights, one)
        gaussian = Gaussian.of_moments(sums, ridges[0])
        if np.abs(gaussian.covariance - before.covariance).max() < SETTLED:
            break
    of_folds = gaussian.moments(rows, weights, fold)
    total = of_folds.sum(0)
    whole = [Gaussian.of_moments(total, ridge) for ridge in ridges]
    beyond = [_beyond(sample, ridges, fold != k, total - own) for k, own in enumerate(of_folds)]
    return whole, [list(of_ridge) for of_ridge in zip(*beyond, strict=True)]


def _beyond(sample, ridges, others, sums):
    """Return the normals of the other rows, given their expected moments by all rows."""
    rows, weights = (part[others] for part in sample)
    for _ in range(MORE_ROUNDS):
        gaussian = Gaussian.of_moments(sums, ridges[0])
        (sums,) = gaussian.moments(rows, weights, np.zeros(len(rows), int))
    return [Gaussian.of_moments(sums, ridge) for ridge in ridges]
