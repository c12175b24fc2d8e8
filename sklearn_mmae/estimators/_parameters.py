"""The parameters that both estimators have: what they may be, and what is refused."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions

from .._core.errors import listing
from .._core.parameters import validate_parameters
from ..alignment import LagRange
from ..fusion import FUSIONS, Fusion
from ..privacy import Privacy
from ..training._build import weights_of_terms
from ..training._settings import OPTIMIZERS
from ..training.start._size import MOST

__all__ = ["CONSTRAINTS", "check_parameters", "set_parameters"]

LARGEST_NETWORK = 8 * 2**30  # bytes of weights that a fit may ask for


def set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Store what a constructor was given, as it is; `given` are its local variables."""
    for name, value in given.items():
        if name != "self":
            setattr(estimator, name, value)


CONSTRAINTS = {
    "modalities": [StrOptions({"auto"}), list, tuple],
    "n_components": [
        Interval(Integral, 1, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="neither"),
        StrOptions({"auto"}),
    ],
    "fusion": [StrOptions(set(FUSIONS)), Fusion, callable],
    "init": [StrOptions({"linear", "random"})],
    "rotation": [StrOptions({"varimax"}), None],
    "modality_weights": [dict, None],
    "target_weight": [Interval(Real, 0, None, closed="left")],
    "target_cv": ["cv_object"],
    "max_lag": [Interval(Real, 0, None, closed="neither"), tuple, list, None],
    "extra_terms": [str, dict, None],
    "modality_dropout": [Interval(Real, 0, 1, closed="left")],
    "noise": [Interval(Real, 0, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "width": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 0, None, closed="left")],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, 1, closed="left")],
    "device": [str, torch.device],
    "memory": [str, PathLike, HasMethods(["cache"]), None],
    "callbacks": [list, None],
    "verbose": ["verbose"],
    "privacy": [Privacy, None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
}


def check_parameters(estimator):
    """Refuse values that make no sense, by the names of their parameters.

    Raises
    ------
    ValueError
        With what to give instead.
    """
    validate_parameters(estimator)
    for name in ("n_components", "width", "max_epochs", "batch_size", "n_iter_no_change"):
        if isinstance(getattr(estimator, name), bool):
            raise ValueError(
                f"{name}={getattr(estimator, name)}: a bool is no number. Give a whole number."
            )
    if isinstance(estimator.max_time, bool):
        raise ValueError(f"max_time={estimator.max_time}: give seconds, such as 60, or None.")
    if estimator.max_lag is not None:
        LagRange.of(estimator.max_lag)
    for name, weight in (estimator.modality_weights or {}).items():
        number = isinstance(weight, Real) and not isinstance(weight, bool | np.bool_)
        if not number or not 0 < weight < np.inf:
            raise ValueError(
                f"modality_weights={{{name!r}: {weight!r}}}: give a number above 0, such as 2; a"
                " modality that is to be left out is 'drop' in the list of modalities."
            )
    if not np.isfinite(estimator.target_weight) or isinstance(estimator.target_weight, bool):
        raise ValueError(
            f"target_weight={estimator.target_weight}: give a finite number from 0 (off); 1 counts"
            " as much as a modality."
        )
    if not np.isfinite(estimator.lr):
        raise ValueError(f"lr={estimator.lr}: give a finite learning rate, such as 0.01.")
    optimizer = estimator.optimizer
    if isinstance(optimizer, type) and (
        not issubclass(optimizer, torch.optim.Optimizer) or optimizer is torch.optim.LBFGS
    ):
        raise ValueError(
            f"optimizer={optimizer.__name__} cannot be used: it is no torch.optim.Optimizer that"
            f" takes groups of weights. Give one, or {listing(map(repr, OPTIMIZERS))}."
        )
    _check_callbacks(estimator.callbacks or ())
    weights_of_terms(estimator.extra_terms)
    n_components, width = estimator.n_components, estimator.width
    n_components = n_components if isinstance(n_components, Integral) else MOST
    size = 4 * n_components * (n_components + 4 * width)
    if size > LARGEST_NETWORK:
        raise ValueError(
            f"n_components={n_components} with width={width} would take {size / 2**30:.0f} GiB of"
            " weights at least. Give smaller ones."
        )


def _check_callbacks(callbacks):
    if not callbacks:
        return
    from skorch.callbacks import Callback  # here, for it would double the time of our import

    for callback in callbacks:
        if not isinstance(callback[1] if isinstance(callback, tuple) else callback, Callback):
            raise ValueError(
                f"callbacks holds {callback!r}, which is no skorch callback. Give instances of"
                " skorch.callbacks.Callback."
            )
