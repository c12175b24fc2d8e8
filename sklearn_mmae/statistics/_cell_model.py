"""What single cells of tables are, given the others: a blend that no held-out cell speaks against.

Two answers of a multivariate normal, of weaker and stronger shrinkage, and one of trees, which see
what the normal makes of the row without the cell. Their weights are those that predict cells best
that were hidden from them [1]_, column by column, and never negative [2]_; a column that no answer
predicts better than its mean keeps its mean.

References
----------
.. [1] Wolpert (1992), "Stacked generalization", Neural Networks 5(2).
.. [2] Breiman (1996), "Stacked regressions", Machine Learning 24(1).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.optimize import nnls

from .._core.plain import check, fields
from ._gaussian import FOLDS, Gaussian, fit_gaussians
from ._plain import Statistics
from ._questions import Blocks
from ._samples import SampledRows
from ._trees import Trees, grow

__all__ = ["MOST_COLUMNS", "CellModel"]

MOST_COLUMNS = 100  # of numbers and indicators: a wider table has no cell model
MOST_ROWS = 2000  # to learn from
MOST_WORK = 3 * 10**8  # rows times columns cubed, which bounds the rows of wide tables, down to
FEWEST_ROWS = 300
RIDGES = (1.0, 10.0)
OF_TREES = 1  # which normal completes the rows that trees see
LEAST_HOLES = 0.2  # share of cells hidden while weights are learned: rows to come may have holes
FEWEST_FOR_TREES = 100  # rows
TREES = 30  # per column
MOST_TREES = 600  # in all
TRUST = 20  # rows, beside a column's own, that say it has the weights of all columns
MARGIN = 1.0  # standard errors by which a column's mean must be beaten


class CellModel(NamedTuple):
    """What is known of cells; see `learn`.

    Attributes
    ----------
    sizes : ndarray of shape (targets,), int64
        Columns of each target, which come first: 1 for a number, else indicators.
    means : ndarray of shape (2, columns)
    covariances : ndarray of shape (2, columns, columns)
        Of the two normals.
    trees : list of Trees or None
        One per target.
    weights : ndarray of shape (targets, 3)
        Of the normals and the trees.
    low, high : ndarray of shape (columns of all targets,)
        The range of what was observed.
    """

    sizes: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    trees: list[Trees | None]
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def learn(cls, blocks: Blocks, sizes: list[int], n_columns: int, statistics: Statistics) -> Self:
        """Learn from a bounded sample of rows.

        Parameters
        ----------
        blocks : callable
            Called, yields ``(rows, observed)``: rows (rows, columns) of mean about 0 and variance
            about 1, 0 in the holes, and which cells are observed.
        sizes : list of int
        n_columns : int
            More than the targets have, if there are columns that only help to predict.
        statistics : Statistics

        Returns
        -------
        CellModel
        """
        most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_WORK // n_columns**3))
        sample = statistics.second_moments("cells", blocks, products=False, most_rows=most).sample
        rows, row_weights = sample
        targets, n = _slices(sizes), len(rows)
        random = np.random.RandomState(0)
        fold = random.permutation(n) % min(FOLDS, n)
        whole, beyond = fit_gaussians(sample, RIDGES, fold)
        shown = _with_holes(rows, targets, random)
        hidden = [_completed_without(shown, gaussians, fold, targets) for gaussians in beyond]
        answers = [[of_normal[t][:, own] for of_normal in hidden] for t, own in enumerate(targets)]
        trees: list[Trees | None] = [None] * len(targets)
        if n >= FEWEST_FOR_TREES:
            n_trees = min(TREES, -(-MOST_TREES // len(targets)))
            for t, own in enumerate(targets):
                seen = ~np.isnan(rows[:, own.start])
                trees[t], left_out = _grow(hidden[OF_TREES][t], rows[:, own], row_weights, seen, n_trees, t)
                answers[t].append(left_out)
        weights = _blend(rows, row_weights, targets, answers, statistics)
        trees = [grown if w[-1] > 0 else None for grown, w in zip(trees, weights, strict=True)]
        end = sum(sizes)
        low, high = (
            np.nan_to_num(f(np.where(np.isnan(rows[:, :end]), 0, rows[:, :end]), 0)) for f in (np.min, np.max)
        )
        return cls(
            np.array(sizes, np.int64),
            *(np.stack(parts) for parts in zip(*whole, strict=True)),
            trees,
            weights,
            low,
            high,
        )

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """Return what is expected in the holes of the targets.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
            NaN in the holes.

        Returns
        -------
        ndarray of shape (rows, columns of all targets)
            NaN where a cell is observed.
        """
        completed = [Gaussian(*g).complete(rows) for g in zip(self.means, self.covariances, strict=True)]
        of_trees = completed[OF_TREES].astype(np.float32)
        found = np.full((len(rows), len(self.low)), np.nan)
        for own, trees, weights in zip(_slices(self.sizes), self.trees, self.weights, strict=True):
            hole = np.isnan(rows[:, own.start])
            answer = sum(w * some[hole, own] for w, some in zip(weights, completed, strict=False))
            if trees is not None:
                answer = answer + weights[-1] * trees.predict(of_trees[hole])
            found[hole, own] = np.clip(answer, self.low[own], self.high[own])
        return found

    def to_plain(self) -> dict:
        """Return plain values and arrays."""
        trees = [None if some is None else some._asdict() for some in self.trees]
        return {**self._asdict(), "trees": trees}

    @classmethod
    def from_plain(cls, node: Any, sizes: list[int], n_columns: int) -> Self:
        """Return what `to_plain` gave, checked against the columns that there are."""
        what, n = "its model of cells", len(sizes)
        own, means, covariances, trees, weights, low, high = fields(node, *cls._fields)
        shapes = [
            *((means, (2, n_columns)), (covariances, (2, n_columns, n_columns))),
            *((weights, (n, 3)), (low, (sum(sizes),)), (high, (sum(sizes),))),
        ]
        for array, shape in shapes:
            floats = isinstance(array, np.ndarray) and array.dtype == np.float64
            check(floats and array.shape == shape and bool(np.isfinite(array).all()), what)
        check(isinstance(own, np.ndarray) and own.tolist() == sizes, what)
        check(bool((weights >= 0).all() and (low <= high).all()), what)
        check(np.allclose(covariances, covariances.swapaxes(1, 2)), what)
        check(bool((np.linalg.eigvalsh(covariances) > 0).all()), what)
        check(isinstance(trees, list) and len(trees) == n, what)
        trees = [some and Trees(*fields(some, *Trees._fields)) for some in trees]
        for some, size in zip(trees, sizes, strict=True):
            check(some is None or some.is_sound(n_columns, size), what)
        return cls(own, means, covariances, trees, weights, low, high)


def _slices(sizes):
    """Return where the columns of each target are."""
    return [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]


def _with_holes(rows, targets, random):
    """Return rows with more of their targets' cells hidden, where few are missing."""
    seen = ~np.isnan(rows[:, [own.start for own in targets]])
    more = max(LEAST_HOLES - (1 - seen.mean()), 0) / max(seen.mean(), 1e-12)
    hide = random.random_sample(seen.shape) < more
    shown = rows.copy()
    for own, hole in zip(targets, hide.T, strict=True):
        shown[hole, own] = np.nan
    return shown


def _completed_without(rows, gaussians, fold, targets):
    """Return for each target the rows, completed without it and by a normal that never saw them."""
    completed = np.empty((len(targets), *rows.shape))
    for k, gaussian in enumerate(gaussians):
        completed[:, fold == k] = gaussian.complete_without(rows[fold == k], targets)
    return completed


def _grow(inputs, values, weights, seen, n_trees, seed):
    """Return trees of the rows that have a target, and what they say of rows left out."""
    left_out = np.full(values.shape, np.nan)
    if not seen.any():
        return None, left_out
    given = inputs[seen].astype(np.float32)
    trees, left_out[seen] = grow(given, values[seen], weights[seen], n_trees, seed)
    return trees, left_out


def _blend(rows, row_weights, targets, answers, statistics):
    """Return the weights of each target's answers, (targets, 3)."""
    known, sums = [], []
    for own, of_target in zip(targets, answers, strict=True):
        given = np.stack(of_target, -1)  # (rows, columns of the target, answers)
        valid = ~np.isnan(given).any((1, 2)) & ~np.isnan(rows[:, own.start])
        given, truth, w = given[valid], rows[valid, own], row_weights[valid]
        known.append((given, truth))
        sums.append((np.einsum("r,rca,rcb->ab", w, given, given), np.einsum("r,rca,rc->a", w, given, truth)))
    squares, products = (sum(parts) for parts in zip(*sums, strict=True))
    common = _nonnegative(squares, products)
    weights = np.zeros((len(targets), 3))
    for t, ((given, truth), (own, towards)) in enumerate(zip(known, sums, strict=True)):
        if not len(truth):
            continue
        prior = TRUST * np.trace(own) / len(own) / len(truth)
        found = _nonnegative(own + prior * np.eye(len(own)), towards + prior * common)
        losses = np.stack([(truth**2).sum(1), ((truth - given @ found) ** 2).sum(1)])
        if statistics.choose(f"column {t}", losses, margin=MARGIN):
            weights[t, : len(found)] = found
    return weights


def _nonnegative(squares, products):
    """Return the least-squares weights of these normal equations, none of them negative."""
    root = np.linalg.cholesky(squares + 1e-9 * (np.trace(squares) + 1) * np.eye(len(squares)))
    return nnls(root.T, np.linalg.solve(root, products))[0]
