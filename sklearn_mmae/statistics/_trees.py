"""Extremely randomised trees [1]_ as plain arrays, which a file can hold without code.

References
----------
.. [1] Geurts, Ernst & Wehenkel (2006), "Extremely randomized trees", Machine Learning 63(1).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn import config_context

__all__ = ["Trees", "grow"]

LEAF = 2  # rows at least
LEAVES = 500  # about as many a tree has at most
SPLITS = 16  # columns tried at a node
AT_ONCE = 4096  # rows that go down the trees


class Trees(NamedTuple):
    """Trees one after the other; the left child of a node is the next one.

    Attributes
    ----------
    roots : ndarray of shape (trees,), int32
    column : ndarray of shape (nodes,), int16
        By which a node splits, -1 for a leaf.
    threshold : ndarray of shape (nodes,), float32
        Up to which a row goes left.
    right : ndarray of shape (nodes,), int32
        0 for a leaf.
    value : ndarray of shape (nodes, outputs), float32
    """

    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    value: np.ndarray

    def predict(self, rows: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
        """Return the mean over trees.

        Parameters
        ----------
        rows : ndarray of shape (rows, columns), float32
        counted : ndarray of shape (trees, rows), bool, optional
            Which trees count for which rows. Default: all of them.

        Returns
        -------
        ndarray of shape (rows, outputs)
            NaN where no tree counts.
        """
        if counted is None:
            counted = np.ones((len(self.roots), len(rows)), bool)
        total = np.zeros((len(rows), self.value.shape[1]))
        for start in range(0, len(rows), AT_ONCE):
            own, sums = rows[start : start + AT_ONCE], total[start : start + AT_ONCE]
            # All trees at once: each row goes down those that count for it.
            tree, row = np.nonzero(counted[:, start : start + AT_ONCE])
            value = self.value[self._leaves(own, tree, row)]
            ends = np.searchsorted(tree, np.arange(len(self.roots) + 1)).tolist()
            for first, last in pairwise(ends):
                sums[row[first:last]] += value[first:last]
        with np.errstate(invalid="ignore"):
            return total / counted.sum(0)[:, None]

    def _leaves(self, rows: np.ndarray, tree: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return the leaf to which a row comes in a tree, for each pair of them."""
        node = self.roots[tree].astype(np.int64)
        inner = np.arange(len(node))
        while len(inner):
            at = node[inner]
            column = self.column[at]
            is_inner = column >= 0
            inner, at, column = inner[is_inner], at[is_inner], column[is_inner]
            left = rows[row[inner], column] <= self.threshold[at]
            node[inner] = np.where(left, at + 1, self.right[at])
        return node

    def is_sound(self, n_columns: int, n_outputs: int) -> bool:
        """Whether what a file says are trees, each row of which comes to a leaf."""
        kinds = zip(self, ("int32", "int16", "float32", "int32", "float32"), strict=True)
        if not all(isinstance(a, np.ndarray) and a.dtype == kind for a, kind in kinds):
            return False
        n = len(self.column)
        shapes = [a.shape for a in self[1:]] == [(n,)] * 3 + [(n, n_outputs)]
        if not shapes or self.roots.ndim != 1 or not len(self.roots):
            return False
        inner = np.flatnonzero(self.column >= 0)
        return bool(
            ((self.roots >= 0) & (self.roots < n)).all()
            and (self.column < n_columns).all()
            and (inner + 1 < n).all()
            # Every step goes on, so that there is a last one.
            and (self.right[inner] > inner).all()
            and (self.right[inner] < n).all()
            and np.isfinite(self.threshold).all()
            and np.isfinite(self.value).all()
        )


def grow(
    rows: np.ndarray, values: np.ndarray, weights: np.ndarray, n_trees: int, seed: int
) -> tuple[Trees, np.ndarray, np.ndarray]:
    """Grow trees, each of a bootstrap sample of rows.

    Parameters
    ----------
    rows : ndarray of shape (rows, columns), float32
    values : ndarray of shape (rows, outputs)
    weights : ndarray of shape (rows,)
    n_trees, seed : int

    Returns
    -------
    trees : Trees
    unseen : ndarray of shape (trees, rows), bool
        Which trees have not seen which rows.
    left_out : ndarray of shape (rows, outputs)
        The mean over the trees that have not seen a row; NaN where all have.
    """
    from sklearn.tree import ExtraTreeRegressor  # slow to import

    random, n = np.random.RandomState(seed), len(rows)
    total, unseen, parts, roots = np.zeros(values.shape), np.empty((n_trees, n), bool), [], [0]
    leaf = max(LEAF, n // LEAVES)
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for own in unseen:
            drawn = np.bincount(random.randint(n, size=n), minlength=n)
            tree = ExtraTreeRegressor(
                min_samples_leaf=leaf,
                max_features=min(SPLITS, rows.shape[1]),
                random_state=random.randint(2**31 - 1),
            )
            tree = tree.fit(rows, values, sample_weight=weights * drawn, check_input=False).tree_
            value = tree.value[:, :, 0]
            own[:] = drawn == 0
            total[own] += value[tree.apply(rows[own])]
            inner = tree.children_left >= 0
            right = np.where(inner, tree.children_right + roots[-1], 0)
            parts.append((np.where(inner, tree.feature, -1), tree.threshold, right, value))
            roots.append(roots[-1] + tree.node_count)
    kinds = ("int16", "float32", "int32", "float32")
    arrays = [
        np.concatenate(a).astype(k) for a, k in zip(zip(*parts, strict=True), kinds, strict=True)
    ]
    with np.errstate(invalid="ignore"):
        left_out = total / unseen.sum(0)[:, None]
    return Trees(np.array(roots[:-1], np.int32), *arrays), unseen, left_out
