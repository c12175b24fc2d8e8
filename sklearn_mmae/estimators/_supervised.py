"""What estimators do besides once there is a target: they predict it, and cross-fit embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Integral
from types import MethodType
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import orthogonal_procrustes
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from .._core.typing import Rows
from ._chunkwise import by_chunk
from ._fitted import Fitted

__all__ = ["PredictsTarget", "cross_fitted"]


class _with_target:  # noqa: N801, as a decorator
    """Let a method exist only where there is a target; `hasattr` says so.

    scikit-learn's `available_if` does the same, but keeps to itself why a method is not there.
    """

    def __init__(self, method: Callable):
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, estimator: Any, owner: type) -> Any:
        """Return the method, or say what there would have to be."""
        if estimator is None:
            return self.method
        name = self.method.__name__
        if not estimator._has_target():
            raise AttributeError(
                f"{owner.__name__} has no {name} without a target. Set target_weight=1 and give"
                " labels: fit(X, y)."
            )
        is_number = hasattr(estimator, "net_") and not hasattr(estimator, "classes_")
        if name == "predict_proba" and is_number:
            raise AttributeError(
                f"{owner.__name__} has no predict_proba: its target is a number. Use predict."
            )
        return MethodType(self.method, estimator)


class PredictsTarget(Fitted):
    """The methods of an estimator that has a target."""

    target_weight: float

    def _has_target(self) -> bool:
        """Whether there is a target or, before `fit`, is to be one."""
        if hasattr(self, "net_"):
            return self._model.target is not None
        return self.target_weight > 0

    @_with_target
    @by_chunk
    def predict(self, X: Rows) -> np.ndarray:
        """Predict the target; with `target_weight` above 0.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        ndarray of shape (rows,) or (rows, targets)
            Numbers as floats, classes as they were given.
        """
        read = self._read(X)
        outputs = self._model.target_outputs(self._model.encode(read))
        return self._model.target.write(outputs)

    @_with_target
    @by_chunk
    def predict_proba(self, X: Rows) -> Any:
        """Predict the probabilities of the target's classes; with `target_weight` above 0.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        ndarray of shape (rows, classes), or list of them
            In the order of `classes_`; a list for a `y` of several columns, one array for each
            column of classes.
        """
        read = self._read(X)
        outputs = self._model.target_outputs(self._model.encode(read))
        found = self._model.target.probabilities(outputs)
        return found[0] if self._model.target.is_flat else found


def cross_fitted(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> np.ndarray:
    """Return embeddings of training rows by models that have not seen their labels.

    Each fold's model is turned onto that of all rows, by the rotation that brings the embeddings of
    its own training rows nearest to theirs (Procrustes).

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted to all rows.
    X, y : container of rows, labels
    sample_weight : array of shape (rows,), optional

    Returns
    -------
    ndarray of shape (rows, n_components)
    """
    whole = estimator._codes(X)
    codes = np.empty_like(whole)
    for train, test in _splits(estimator, y, len(whole)):
        part = clone(estimator)
        part.set_params(target_cv=None, n_components=estimator.n_components_)
        weights = None if sample_weight is None else np.asarray(sample_weight)[train]
        part.fit(_safe_indexing(X, train), _safe_indexing(y, train), weights)
        turn = orthogonal_procrustes(part._codes(_safe_indexing(X, train)), whole[train])[0]
        codes[test] = part._codes(_safe_indexing(X, test)) @ turn
    return codes


def _splits(estimator: Any, y: Any, n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield training and test rows; of a number of folds in a random order, as TargetEncoder."""
    from sklearn.model_selection import KFold, StratifiedKFold, check_cv  # slow to import

    classes = getattr(estimator, "classes_", None)
    labels = None if classes is None or isinstance(classes, list) else pd.Series(list(y))
    if labels is not None:  # rows without a label are a stratum, too
        labels = pd.factorize(labels)[0]
    cv = estimator.target_cv
    if isinstance(cv, Integral):
        kind = KFold if labels is None else StratifiedKFold
        seed = estimator.random_state if isinstance(estimator.random_state, Integral) else 0
        cv = kind(cv, shuffle=True, random_state=seed)
    yield from check_cv(cv).split(np.zeros(n_rows), labels)
