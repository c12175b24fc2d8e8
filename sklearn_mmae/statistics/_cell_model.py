"""What single cells of tables are, given the others: a blend that no hidden cell speaks against.

Two answers are those of a multivariate normal, with weaker and stronger shrinkage. Two are those of
trees: of the row as the normal completes it without the cell, and of that row with its other
missing values as the first trees fill them. Weights are those that predict cells best that were
hidden [1]_, column by column and never negative [2]_; a column that no answer predicts better than
its mean keeps its mean.

References
----------
.. [1] Wolpert (1992), "Stacked generalization", Neural Networks 5(2).
.. [2] Breiman (1996), "Stacked regressions", Machine Learning 24(1).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from .._core.plain import check, fields
from .._core.values import is_array
from ._gaussian import FOLDS, Gaussian, fit_gaussians
from ._samples import SampledRows
from ._trees import Trees, grow

__all__ = ["MOST_COLUMNS", "MOST_ROWS", "CellModel", "CrossFitted"]

MOST_COLUMNS = 100  # of numbers and indicators: a wider table has no cell model
MOST_ROWS = 2000  # to learn from
MOST_WORK = 4 * 10**8  # patterns of holes times columns cubed, which bounds the rows, down to
FEWEST_ROWS = 300
RIDGES = (1.0, 10.0)
LEAST_HOLES = 0.1  # share of cells hidden while weights are learned: rows to come may have holes
FEWEST_FOR_TREES = 100  # rows
TREES = 24  # per column, in each of two rounds
MOST_TREES = 1920  # in a round
MOST_FILLS = 3 * 10**5  # holes times targets, up to which each is filled anew without the target
TRUST = 20  # rows, beside a column's own, that say it has the weights of all columns
LEAST_SPREAD = 1e-2  # standard deviations: what is determined by others is as sure as that
MARGIN = 1.25  # standard errors by which a column's mean must be beaten at least
CP = 2  # rows of noise per weight that was chosen
FEW = 3  # rows that do not count: of few, the standard error is not known well

Forest = list[Trees | None]  # for each target, None where they are of no use


class CellModel(NamedTuple):
    """What is known of cells; see `CrossFitted`.

    Attributes
    ----------
    sizes : ndarray of shape (targets,), int64
        Columns of each target, which come first: 1 for a number, else indicators.
    means : ndarray of shape (2, columns)
    covariances : ndarray of shape (2, columns, columns)
        Of the two normals.
    first, second : list of Trees or None
        Of the two rounds, for each target.
    weights : ndarray of shape (targets, 4)
        Of the normals and the trees.
    low, high : ndarray of shape (columns of all targets,)
        The range of what was observed.
    """

    sizes: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    first: Forest
    second: Forest
    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """Return what is expected where values are missing in the targets.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
            NaN where missing.

        Returns
        -------
        ndarray of shape (rows, columns of all targets)
            NaN where a cell is observed.
        """
        weak, strong = (one.complete(rows) for one in self.normals)
        return self.blended(rows, weak, strong, lambda trees, rows, *_: trees.predict(rows))

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """Return how far off missing cells may be, as the second normal has it, see its `spread`.

        At least `LEAST_SPREAD`, which observed cells have.
        """
        return np.maximum(self.normals[1].spread(rows)[:, : len(self.low)], LEAST_SPREAD)

    @property
    def normals(self) -> list[Gaussian]:
        """Of weaker and of stronger shrinkage."""
        return [Gaussian(*normal) for normal in zip(self.means, self.covariances, strict=True)]

    def blended(
        self,
        rows: np.ndarray,
        weak: np.ndarray,
        strong: np.ndarray,
        predict: Callable[[Trees, np.ndarray, int, int, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Return what `expected` does, given the rows as both normals complete them.

        Parameters
        ----------
        rows, weak, strong : ndarray of shape (rows, columns)
        predict : callable
            ``predict(trees, rows, which, target, places)`` returns what trees say of rows, those at
            some places; 0 or 1 which of the rounds the trees are of.
        """
        filled, targets = strong.copy(), _slices(self.sizes)
        holes = [np.flatnonzero(np.isnan(rows[:, own.start])) for own in targets]
        read = strong.astype(np.float32)
        for t, (own, hole, trees) in enumerate(zip(targets, holes, self.first, strict=True)):
            if trees is not None:
                filled[hole, own] = predict(trees, read[hole], 0, t, hole)
        read = filled.astype(np.float32)
        found = np.full((len(rows), len(self.low)), np.nan)
        for t, (own, hole) in enumerate(zip(targets, holes, strict=True)):
            answers, trees = [some[hole, own] for some in (weak, strong, filled)], self.second[t]
            if trees is not None:
                answers.append(predict(trees, read[hole], 1, t, hole))
            blend = sum(w * answer for w, answer in zip(self.weights[t], answers, strict=False))
            found[hole, own] = np.clip(blend, self.low[own], self.high[own])
        return found

    def to_plain(self) -> dict:
        """Return plain values and arrays."""
        forests = {
            name: [trees and trees._asdict() for trees in getattr(self, name)]
            for name in ("first", "second")
        }
        return {**self._asdict(), **forests}

    @classmethod
    def from_plain(cls, node: Any, sizes: list[int], n_columns: int) -> CellModel:
        """Return what `to_plain` gave, checked against the columns that there are."""
        what, n, width = "its model of cells", len(sizes), sum(sizes)
        model = cls(*fields(node, *cls._fields))
        shapes = [
            *((model.means, (2, n_columns)), (model.covariances, (2, n_columns, n_columns))),
            *((model.weights, (n, 4)), (model.low, (width,)), (model.high, (width,))),
        ]
        for array, shape in shapes:
            floats = isinstance(array, np.ndarray) and array.dtype == np.float64
            check(floats and array.shape == shape and bool(np.isfinite(array).all()), what)
        check(is_array(model.sizes, "i") and model.sizes.tolist() == sizes, what)
        check(bool((model.weights >= 0).all() and (model.low <= model.high).all()), what)
        check(np.allclose(model.covariances, model.covariances.swapaxes(1, 2)), what)
        check(bool((np.linalg.eigvalsh(model.covariances) > 0).all()), what)
        forests = [_forest_from_plain(some, sizes, n_columns, what) for some in model[3:5]]
        return model._replace(first=forests[0], second=forests[1])


class CrossFitted(NamedTuple):
    """A cell model, and what it would be without each of the rows that it was learned from.

    Attributes
    ----------
    model : CellModel
    sample : SampledRows
        From which it was learned.
    fold : ndarray of shape (rows,), int
    beyond : list of list of Gaussian
        For both normals, one without each fold.
    unseen : list of list of ndarray of shape (trees, rows), bool
        For both rounds, which trees of each target have not seen which rows.
    """

    model: CellModel
    sample: SampledRows
    fold: np.ndarray
    beyond: list[list[Gaussian]]
    unseen: list[list[np.ndarray | None]]

    @classmethod
    def learn(cls, sample: SampledRows, sizes: list[int]) -> CrossFitted:
        """Learn from a sample of rows.

        Parameters
        ----------
        sample : SampledRows
            Columns of mean about 0 and variance about 1; more than the targets have, if there are
            some that only help to predict.
        sizes : list of int

        Returns
        -------
        CrossFitted
        """
        sample, targets = _bounded(sample), _slices(sizes)
        rows = sample.rows
        random = np.random.RandomState(0)
        fold = random.permutation(len(rows)) % min(FOLDS, len(rows))
        whole, beyond = fit_gaussians(sample, RIDGES, fold)
        hidden = _Hidden.of(sample, targets, beyond, fold, random)
        if len(rows) >= FEWEST_FOR_TREES:
            first, second, unseen = hidden.grow_both()
        else:
            first, second, unseen = [None] * len(sizes), [None] * len(sizes), []
        weights = _blend(sample, targets, hidden.answers)
        second = _where(second, weights[:, 3] > 0)
        # The second round reads what the first fills in.
        first = _where(first, (weights[:, 2] > 0) | any(trees is not None for trees in second))
        known = rows[:, : sum(sizes)]
        model = CellModel(
            np.array(sizes, np.int64),
            *(np.stack(parts) for parts in zip(*whole, strict=True)),
            first,
            second,
            weights,
            np.nanmin(known, 0, initial=0),
            np.nanmax(known, 0, initial=0),
        )
        return cls(model, sample, fold, beyond, unseen)

    def expected(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return what is expected by what has not seen rows of the sample, with cells hidden.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns)
        places : ndarray of shape (rows,), int
            Which rows of the sample they are.

        Returns
        -------
        ndarray of shape (rows, columns of all targets)
            NaN where a cell is observed, or no tree has not seen the row.
        """

        def predict(trees, some, which, target, at):
            return trees.predict(some, self.unseen[which][target][:, places[at]])

        weak, strong = (self._by_fold(rows, places, which, Gaussian.complete) for which in (0, 1))
        return self.model.blended(rows, weak, strong, predict)

    def spread(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return what `CellModel.spread` does, by a normal that has not seen the rows."""
        found = self._by_fold(rows, places, 1, Gaussian.spread)
        return np.maximum(found[:, : len(self.model.low)], LEAST_SPREAD)

    def _by_fold(self, rows, places, which, method):
        found, fold = np.empty(rows.shape), self.fold[places]
        for k, gaussian in enumerate(self.beyond[which]):
            found[fold == k] = method(gaussian, rows[fold == k])
        return found


def _forest_from_plain(node, sizes, n_columns, what):
    check(isinstance(node, list) and len(node) == len(sizes), what)
    forest = [None if some is None else Trees(*fields(some, *Trees._fields)) for some in node]
    for trees, size in zip(forest, sizes, strict=True):
        check(trees is None or trees.is_sound(n_columns, size), what)
    return forest


def _bounded(sample):
    """Return a sample, or its first rows where they have too many patterns of missing values."""
    n_columns = sample.rows.shape[1]
    n_patterns = len(np.unique(np.isnan(sample.rows), axis=0))
    if n_patterns * n_columns**3 <= MOST_WORK:
        return sample
    n = max(FEWEST_ROWS, MOST_WORK // n_columns**3)
    return SampledRows(sample.rows[:n], sample.weights[:n])


def _slices(sizes):
    """Return where the columns of each target are."""
    return [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]


def _where(forest, useful):
    """Return a forest without the trees that are of no use."""
    return [trees if use else None for trees, use in zip(forest, useful, strict=True)]


class _Hidden(NamedTuple):
    """Rows as each target's answers see them while it is hidden, and what these are.

    Attributes
    ----------
    sample : SampledRows
    targets : list of slice
    shown : ndarray of shape (rows, columns)
        The rows with some more cells hidden.
    whole : ndarray of shape (rows, columns)
        These completed.
    without : ndarray of shape (targets, rows, columns)
        These completed without the target.
    answers : list of list of ndarray, each of shape (rows, columns of the target)
        For each target.
    """

    sample: SampledRows
    targets: list[slice]
    shown: np.ndarray
    whole: np.ndarray
    without: np.ndarray
    answers: list[list[np.ndarray]]

    @classmethod
    def of(
        cls,
        sample: SampledRows,
        targets: list[slice],
        beyond: list[list[Gaussian]],
        fold: np.ndarray,
        random: np.random.RandomState,
    ) -> _Hidden:
        """Complete each row by normals that have not seen it."""
        shown = _with_holes(sample.rows, targets, random)
        whole = np.empty(shown.shape)
        by_ridge = np.empty((len(beyond), len(targets), *shown.shape))
        for without, gaussians in zip(by_ridge, beyond, strict=True):
            for k, gaussian in enumerate(gaussians):
                without[:, fold == k] = gaussian.complete_without(shown[fold == k], targets)
        for k, gaussian in enumerate(beyond[-1]):
            whole[fold == k] = gaussian.complete(shown[fold == k])
        answers = [[without[t][:, own] for without in by_ridge] for t, own in enumerate(targets)]
        return cls(sample, targets, shown, whole, by_ridge[-1], answers)

    def grow_both(self) -> tuple[Forest, Forest, list[list[np.ndarray | None]]]:
        """Grow trees twice, and add what they say of the rows left out to the answers.

        Returns
        -------
        first, second : list of Trees or None
        unseen : list of list of ndarray
            See `CrossFitted`.
        """
        first, of_first = self._grow(self.without, 0)
        second, of_second = self._grow(self._filled(first), len(self.targets))
        return first, second, [of_first, of_second]

    def _filled(self, forest: Forest) -> np.ndarray:
        """Return the rows without each target, their missing values as trees fill them."""
        hole = np.isnan(self.shown[:, [own.start for own in self.targets]])
        exact = hole.sum() * len(self.targets) <= MOST_FILLS
        filled = self.without.copy()
        for other, trees, holes in zip(self.targets, forest, hole.T, strict=True):
            if trees is None or not holes.any():
                continue
            if exact:
                inputs = self.without[:, holes].reshape(-1, filled.shape[2])
                fills = trees.predict(inputs.astype(np.float32))
                filled[:, holes, other] = fills.reshape(len(filled), -1, fills.shape[1])
            else:
                # Of many columns, one tells the trees little but what it tells the normal.
                whole = self.whole[holes]
                fills = trees.predict(whole.astype(np.float32)) - whole[:, other]
                filled[:, holes, other] += fills
        for t, own in enumerate(self.targets):
            filled[t][:, own] = self.answers[t][-1]
        return filled

    def _grow(self, inputs: np.ndarray, seed: int) -> tuple[Forest, list[np.ndarray | None]]:
        rows, weights = self.sample
        n_trees = min(TREES, -(-MOST_TREES // len(self.targets)))
        forest: Forest = [None] * len(self.targets)
        unseen: list[np.ndarray | None] = [None] * len(self.targets)
        for t, own in enumerate(self.targets):
            # Not those hidden besides: to fill these, trees must not know them.
            seen = ~np.isnan(self.shown[:, own.start]) & ~np.isnan(inputs[t]).any(1)
            left_out = np.full((len(rows), own.stop - own.start), np.nan)
            if seen.any():
                given = inputs[t][seen].astype(np.float32)
                unseen[t] = np.ones((n_trees, len(rows)), bool)
                forest[t], unseen[t][:, seen], left_out[seen] = grow(
                    *(given, rows[seen, own], weights[seen], n_trees, seed + t)
                )
            self.answers[t].append(left_out)
        return forest, unseen


def _with_holes(rows, targets, random):
    """Return rows with more of their targets' cells hidden, where few are missing."""
    seen = ~np.isnan(rows[:, [own.start for own in targets]])
    more = max(LEAST_HOLES - (1 - seen.mean()), 0) / max(seen.mean(), 1e-12)
    hide = random.random_sample(seen.shape) < more
    shown = rows.copy()
    for own, hole in zip(targets, hide.T, strict=True):
        shown[hole, own] = np.nan
    return shown


def _blend(sample, targets, answers):
    """Return the weights of each target's answers, (targets, 4)."""
    known, sums = [], []
    for own, of_target in zip(targets, answers, strict=True):
        given = np.stack(of_target, -1)  # (rows, columns of the target, answers)
        valid = ~np.isnan(given).any((1, 2)) & ~np.isnan(sample.rows[:, own.start])
        given, truth, w = given[valid], sample.rows[valid, own], sample.weights[valid]
        weighted = given * w[:, None, None]
        known.append((given, truth, w))
        sums.append(
            (np.einsum("rca,rcb", weighted, given), np.einsum("rca,rc", weighted, truth), w.sum())
        )
    squares, products, _ = (sum(parts) for parts in zip(*sums, strict=True))
    common = _nonnegative(squares, products)
    weights = np.zeros((len(targets), 4))
    for t, ((given, truth, w), (own, towards, n)) in enumerate(zip(known, sums, strict=True)):
        if not len(truth):
            continue
        prior = TRUST * np.trace(own) / len(own) / n
        found = _nonnegative(own + prior * np.eye(len(own)), towards + prior * common)
        error = ((truth - given @ found) ** 2).sum(1)
        # What the weights owe to these very rows, by Mallows' Cp.
        own = own[found > 0][:, found > 0]
        n_free = np.trace(np.linalg.solve(own + prior * np.eye(len(own)), own))
        owed = CP * n_free * (w @ error) / (n * n * truth.shape[1])
        gain = (truth**2).sum(1) - error - owed
        weights[t, : len(found)] = found * _trusted(gain, w)
    return weights


def _trusted(gain, weights):
    """Return which share of the rows' mean gain upon the column's mean is no chance [1]_.

    References
    ----------
    .. [1] James & Stein (1961), "Estimation with quadratic loss", the positive part.
    """
    n = weights.sum()
    mean = weights @ gain / n
    of_chance = MARGIN**2 * (weights @ (gain - mean) ** 2 / n) / max(n - FEW, 1)
    return max(1 - of_chance / mean**2, 0) if mean > 0 else 0.0


def _nonnegative(squares, products):
    """Return the least-squares weights of these normal equations, none of them negative."""
    some = 1e-9 * (np.trace(squares) + 1)
    root = np.linalg.cholesky(squares + some * np.eye(len(squares)))
    return nnls(root.T, np.linalg.solve(root, products))[0]
