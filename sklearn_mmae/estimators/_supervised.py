"""What estimators do besides once there is a target: `predict`, and codes for training rows."""

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

__all__ = ["cross_fitted", "with_target"]


class with_target:  # noqa: N801, as a decorator
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


def cross_fitted(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Return codes of training rows by models that have not seen their labels.

    Each fold's model is turned onto that of all rows, by the rotation that brings the codes of its
    own training rows nearest to theirs (Procrustes).

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted to all rows.
    X, y : container of rows, labels

    Returns
    -------
    ndarray of shape (rows, n_components)
    """
    whole = estimator._codes(X)
    codes = np.empty_like(whole)
    for train, test in _splits(estimator, y, len(whole)):
        part = clone(estimator)
        part.set_params(target_cv=None, n_components=estimator.n_components_)
        part.fit(_safe_indexing(X, train), _safe_indexing(y, train))
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
