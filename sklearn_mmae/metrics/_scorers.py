"""Scorers for `GridSearchCV` and `cross_val_score`: ``scorer(estimator, X, y=None)``.

They ask the estimator for `modalities_`, `transform` and `translate` and know nothing else of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._core.errors import check_names
from .._core.typing import ArrayLike, Names, Rows
from ..tables._table import rows_with, select, take_rows
from ._checks import check_labels, check_same_rows
from ._columns import as_columns
from ._probe import ALPHAS, fit_linear_probe
from ._retrieval import recall_at_k
from ._translation import translation_score

__all__ = ["ProbeScorer", "RecallScorer", "TranslationScorer"]


class _Scorer(BaseEstimator):
    """What goes into ``scoring=``; a BaseEstimator only for its parameters, clone and repr."""

    def __call__(self, estimator: BaseEstimator, X: Rows, y: ArrayLike | None = None) -> float:
        """Return the score of a fitted estimator on rows; more is better.

        Parameters
        ----------
        estimator : MultimodalAutoencoder, or Pipeline that ends in one
        X : rows, as the estimator takes them
        y : array-like of shape (rows,), default=None

        Returns
        -------
        float
        """
        check_is_fitted(estimator)
        while isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        return self._score(estimator, X, y)

    @abstractmethod
    def _score(self, estimator: Any, X: Rows, y: ArrayLike | None) -> float:
        """Score an estimator that is no pipeline."""


class ProbeScorer(_Scorer):
    """Score embeddings by a linear probe: accuracy of labels, R2 of numbers.

    The probe is learned and scored within the rows that are scored, by cross-validation: it sees
    no row that the autoencoder was fitted on, and none that it is scored on. `y` are the labels
    that the search was given: ``GridSearchCV(mmae, grid, scoring=ProbeScorer()).fit(X, y)``.

    Parameters
    ----------
    cv : int, default=5
        The number of folds, shuffled the same way each time; stratified for labels.
    task, alphas
        As in `fit_linear_probe`; the penalty is chosen within each fold.

    See Also
    --------
    linear_probe_score : The same for rows that you have split yourself.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.metrics import ProbeScorer
    >>> X, y = load_digits_frame(return_target=True)
    >>> X, y = X[["image", "slant", "balance"]][:300], y[:300]
    >>> mmae = MultimodalAutoencoder(max_epochs=0, random_state=0)
    >>> grid = {"n_components": [2, 8]}
    >>> search = GridSearchCV(mmae, grid, scoring=ProbeScorer(alphas=[1.0]), cv=2).fit(X, y)
    >>> search.best_params_
    {'n_components': 8}
    """

    def __init__(self, cv: int = 5, *, task: str = "auto", alphas: ArrayLike = ALPHAS) -> None:
        self.cv = cv
        self.task = task
        self.alphas = alphas

    def _score(self, estimator: Any, X: Rows, y: ArrayLike | None) -> float:
        y, task = check_labels(y)
        codes = np.asarray(estimator.transform(X), np.float64)
        check_same_rows(X=codes, y=y)
        task = task if self.task == "auto" else self.task
        y = y.astype(np.float64) if task == "regression" else y
        predicted = np.empty(y.shape, y.dtype)
        for train, test in self._folds(y, task).split(codes, y):
            probe = fit_linear_probe(codes[train], y[train], task=task, alphas=self.alphas)
            predicted[test] = probe.predict(codes[test])
        return float((accuracy_score if task == "classification" else r2_score)(y, predicted))

    def _folds(self, y, task):
        if task == "regression":
            return KFold(self.cv, shuffle=True, random_state=0)
        classes, counts = np.unique(y, return_counts=True)
        if counts.min() < self.cv:
            raise ValueError(
                f"cv={self.cv}, but {counts.min()} of the {len(y)} rows scored are"
                f" {classes[counts.argmin()]!r}. Lower cv, leave rare labels out, or give the"
                " search fewer folds, such as cv=StratifiedKFold(3)."
            )
        return StratifiedKFold(self.cv, shuffle=True, random_state=0)


class RecallScorer(_Scorer):
    """Score retrieval: does one modality find its own row by another? Recall at `k`.

    The rows scored are encoded twice, each time from some modalities only, and retrieved among
    one another. Rows that lack either side are left out. `y` is ignored.

    Parameters
    ----------
    queries : str or list of str
        The modalities to search by, named as in `modalities_`.
    targets : str or list of str
        The modalities to find.
    k : int, default=10
        As in `recall_at_k`; by chance the recall is `k` over the number of rows scored.
    metric : str or callable, default="cosine"
        As in `retrieval_ranks`.

    See Also
    --------
    recall_at_k : The same for embeddings.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.metrics import RecallScorer
    >>> X = load_digits_frame()[["image", "caption"]][:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0)
    >>> recall = cross_val_score(mmae, X, scoring=RecallScorer("image", "caption"), cv=2)
    >>> bool(recall.mean() > 3 * 10 / 150)
    True
    """

    def __init__(
        self,
        queries: Names,
        targets: Names,
        k: int = 10,
        *,
        metric: str | Callable[..., float] = "cosine",
    ) -> None:
        self.queries = queries
        self.targets = targets
        self.k = k
        self.metric = metric

    def _score(self, estimator: Any, X: Rows, y: ArrayLike | None) -> float:
        columns = _columns_of(estimator)
        sides = [
            _keys(columns, names, parameter)
            for parameter, names in (("queries", self.queries), ("targets", self.targets))
        ]
        if set(sides[0]) & set(sides[1]):
            raise ValueError(
                f"queries={self.queries!r} and targets={self.targets!r} share a modality, which"
                " would find itself. Name each once."
            )
        X = _rows_with(X, *sides)
        codes = [estimator.transform(select(X, keys)) for keys in sides]
        return recall_at_k(*codes, self.k, metric=self.metric)


class TranslationScorer(_Scorer):
    """Score translations: how well modalities are predicted from the others.

    Rows in which nothing of the target, or nothing to translate from, is observed are left out.
    `y` is ignored.

    Parameters
    ----------
    to : str or list of str, default=None
        The modalities to predict, named as in `modalities_`; hidden one at a time, so that each
        is predicted from all others. By default every one. The score is their mean.
    given : str or list of str, default=None
        The modalities to predict from; by default all others.
    multioutput : {"uniform_average", "variance_weighted"}, default="uniform_average"
        As in `translation_score`, over the columns of a modality.

    See Also
    --------
    translation_score : What is measured of numbers, arrays, categories and texts.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.metrics import RecallScorer, TranslationScorer
    >>> X = load_digits_frame()[["image", "slant", "balance"]][:300]
    >>> mmae = MultimodalAutoencoder(max_epochs=0, random_state=0)
    >>> scoring = {"numbers": TranslationScorer("tabular"), "image": TranslationScorer("image")}
    >>> grid = {"n_components": [1, 8]}
    >>> search = GridSearchCV(mmae, grid, scoring=scoring, refit="numbers", cv=2).fit(X)
    >>> search.best_params_
    {'n_components': 8}
    """

    def __init__(
        self,
        to: Names | None = None,
        *,
        given: Names | None = None,
        multioutput: str = "uniform_average",
    ) -> None:
        self.to = to
        self.given = given
        self.multioutput = multioutput

    def _score(self, estimator: Any, X: Rows, y: ArrayLike | None) -> float:
        columns = _columns_of(estimator)
        targets = check_names(self.to, columns, "to", "modality of this estimator")
        return float(np.mean([self._score_one(estimator, X, name, columns) for name in targets]))

    def _score_one(self, estimator, X, target, columns):
        given = [name for name in columns if name != target] if self.given is None else self.given
        sources, keys = _keys(columns, given, "given"), columns[target]
        if set(keys) & set(sources):
            raise ValueError(
                f"given={self.given!r} contains {target!r}, which is to be predicted. Leave it out."
            )
        X = _rows_with(X, sources, keys)
        translated = estimator.translate(select(X, sources), to=target)
        known, translated = as_columns(X), as_columns(translated)
        if translated.keys() != set(keys):  # an array, whose columns are counted anew
            translated = dict(zip(sorted(keys), translated.values(), strict=True))
        true = {key: known[key] for key in translated}
        return translation_score(true, translated, multioutput=self.multioutput)


def _columns_of(estimator: Any) -> dict[str, list]:
    """Return the columns of each modality: names, or positions for arrays."""
    if not hasattr(estimator, "modalities_"):
        raise TypeError(
            f"a {type(estimator).__name__} has no modalities_. Score a MultimodalAutoencoder, or a"
            " Pipeline whose last step is one."
        )
    return {name: columns for name, _, columns in estimator.modalities_}


def _keys(columns: dict[str, list], names: Names, parameter: str) -> list:
    """Return the columns of some modalities."""
    names = check_names(names, columns, parameter, "modality of this estimator")
    return [column for name in names for column in columns[name]]


def _rows_with(X, *sides):
    """Return the rows that have something of each side."""
    complete = np.all([rows_with(X, keys) for keys in sides], 0)
    if not complete.any():
        raise ValueError("no row has both what is asked and what is looked for. Give more rows.")
    return X if complete.all() else take_rows(X, np.flatnonzero(complete))
