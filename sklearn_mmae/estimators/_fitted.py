"""`Fitted`: what a fit has learned, as an estimator's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._core.typing import Rows
from ..modalities import Modality
from ..model._model import Model
from ..model._read import Read
from ..privacy import PrivacySpent
from ._chunkwise import TakesChunks
from ._modalities import Modalities

__all__ = ["Fitted"]


class Fitted(TakesChunks):
    """An estimator that keeps a `Model`; its fitted attributes are views of it."""

    _model: Model
    modalities_: list[tuple[str, Modality, list]]
    net_: Any
    history_: list[dict[str, Any]]
    n_iter_: int
    n_components_: int
    privacy_spent_: PrivacySpent
    lags_: dict[str, float]
    lag_intervals_: dict[str, tuple[float, float]]
    classes_: np.ndarray | list[np.ndarray]
    n_features_in_: int
    feature_names_in_: np.ndarray

    def _keep(self, model: Model) -> None:
        """Take over a model, and forget what an earlier fit knew, in one step: all or nothing."""
        state = {n: v for n, v in vars(self).items() if n.startswith("_") or not n.endswith("_")}
        state |= {
            "_model": model,
            "modalities_": Modalities(
                ((part.name, part.modality, part.columns) for part in model.parts),
                model.columns.names,
            ),
            "net_": model.net,
            "history_": model.history,
            "n_iter_": model.n_iter,
            "n_components_": model.built["n_components"],
            "n_features_in_": len(model.columns.names),
        }
        if model.privacy is not None:
            state["privacy_spent_"] = model.privacy
        if model.feature_names is not None:
            state["feature_names_in_"] = np.array(model.feature_names, dtype=object)
        if model.lags is not None:
            state |= {"lags_": model.lags.seconds, "lag_intervals_": model.lags.intervals}
        if model.target is not None and model.target.has_classes:
            state["classes_"] = model.target.all_classes
        self.__dict__ = state | {f"{name}_": value for name, value in model.facts.items()}

    def _read(self, X: Rows, hidden: np.ndarray | None = None) -> Read:
        """Return rows as the model reads them."""
        check_is_fitted(self)
        return self._model.read(X, self, hidden)
