"""Search: rows of one modality by rows of others, by how vectors of parts of a row go together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._core.errors import listing
from ._draws import check_count
from ._model import Model
from ._read import Read

__all__ = ["Matches", "search"]

BLOCK = 2**22  # scores at a time
DIGITS = 9  # of a score: rows that are alike have the same, whatever stands beside them


class Matches(NamedTuple):
    """The rows that fit best, the best first.

    Attributes
    ----------
    rows : ndarray of shape (rows, n), int64
        Their positions among those that were searched.
    scores : ndarray of shape (rows, n), float64
        At most 1; about 0 for what has nothing to do with the row.
    """

    rows: np.ndarray
    scores: np.ndarray


def search(model: Model, X: Any, among: Any, to: Any, n: int, estimator: Any) -> Matches:
    """Return `Matches`; see `BaseMultimodalAutoencoder.search`."""
    hidden, n = model.chosen(to, "to"), check_count("n", n)
    if model.density() is None:
        raise ValueError(
            "search: nothing is known of how vectors of parts of rows go together. That is learned"
            " by fit, of three rows or more, and forgotten by partial_fit: call fit on all rows."
        )
    queries = model.read(X, estimator, hidden)
    targets = model.read(among, estimator, ~hidden, quiet=True)
    there = np.flatnonzero(targets.present.any(1))
    if n > len(there):
        names = [name for name, wanted in zip(model.names, hidden, strict=True) if wanted]
        raise ValueError(
            f"n={n}, but {len(there)} rows of `among` have anything of"
            f" {listing(map(repr, names))}. Give a smaller n, or more rows."
        )
    scores = _Scores(model, queries, targets, there)
    rows, found = np.empty((len(queries.present), n), np.int64), np.empty((len(queries.present), n))
    size = max(1, BLOCK // len(there))
    for start in range(0, len(rows), size):
        some = np.arange(start, min(start + size, len(rows)))
        of_some = scores(some)
        order = np.argsort(-of_some, axis=1, kind="stable")[:, :n]
        rows[some], found[some] = there[order], np.take_along_axis(of_some, order, 1)
    return Matches(rows, found)


class _Scores:
    """How well rows fit, two cosines of equal weight.

    One is of standardised embeddings. The other is of canonical variates of the two kinds of
    embeddings, each as long as it correlates with the other's, as the model's density says.
    """

    def __init__(self, model: Model, queries: Read, targets: Read, there: np.ndarray):
        self.density = model.density()
        self.codes = [model.encode(read).numpy().astype(np.float64) for read in (queries, targets)]
        self.codes[1] = self.codes[1][there]
        self.present = [queries.present, targets.present[there]]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of some queries with all targets, (queries, targets)."""
        scores = np.empty((len(rows), len(self.codes[1])))
        for of_query, own in _by_pattern(self.present[0][rows]):
            for of_target, others in _by_pattern(self.present[1]):
                axes = self.density.axes(of_query, of_target)
                query = _directions(self.codes[0][rows[own]], axes[0])
                target = _directions(self.codes[1][others], axes[1])
                scores[np.ix_(own, others)] = query @ target.T / 2
        return np.round(scores, DIGITS)


def _by_pattern(present):
    """Yield patterns of presence and which rows have them."""
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        yield pattern, np.flatnonzero(which.ravel() == i)


def _directions(codes, axes):
    """Return embeddings as two vectors of length 1, side by side."""
    standardised = (codes - axes.centre) / axes.spread
    variates = (codes - axes.mean) @ axes.variates
    return np.concatenate([_unit(standardised), _unit(variates)], 1)


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
