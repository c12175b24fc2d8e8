"""What parameters may be beyond their types, and what their short names stand for."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from .._core.errors import listing
from ..fusion import FUSIONS, CallableFusion, Fusion
from ..objectives import OBJECTIVES
from ..training._settings import OPTIMIZERS
from ..training._terms import EXTRA_TERMS, USUAL_WEIGHT

__all__ = [
    "CONSTRAINTS",
    "build_fusion",
    "build_objective",
    "check_parameters",
    "weights_of_terms",
]

# Of the parameters that both estimators have.
CONSTRAINTS = {
    "modalities": [StrOptions({"auto"}), list, tuple],
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "fusion": [StrOptions(set(FUSIONS)), Fusion, callable],
    "init": [StrOptions({"linear", "random"})],
    "rotation": [StrOptions({"varimax"}), None],
    "max_lag": [Interval(Real, 0, None, closed="neither"), None],
    "extra_terms": [str, dict, None],
    "modality_dropout": [Interval(Real, 0, 1, closed="left")],
    "noise": [Interval(Real, 0, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "width": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 0, None, closed="left")],
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
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
}
LARGEST_NETWORK = 8 * 2**30  # bytes of weights that a fit may ask for


def check_parameters(estimator):
    """Refuse values that make no sense, by the names of their parameters.

    Raises
    ------
    ValueError
        With what to give instead.
    """
    estimator._validate_params()
    for name in ("n_components", "width", "max_epochs", "batch_size", "n_iter_no_change"):
        if isinstance(getattr(estimator, name), bool):
            raise ValueError(
                f"{name}={getattr(estimator, name)}: a bool is no number. Give a whole number."
            )
    if not np.isfinite(estimator.lr):
        raise ValueError(f"lr={estimator.lr}: give a finite learning rate, such as 0.002.")
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


def build_objective(objective):
    """Return what the parameter `objective` asks for."""
    return OBJECTIVES[objective]() if isinstance(objective, str) else objective


def build_fusion(fusion, n_modalities, width, n_components):
    """Return what the parameter `fusion` asks for, built; weights not yet drawn."""
    if isinstance(fusion, str):
        # One modality has nothing to be fused with: its own head is all it takes.
        built = FUSIONS[fusion if n_modalities > 1 else "mean"]()
    elif isinstance(fusion, Fusion):
        built = copy.deepcopy(fusion)
    else:
        built = CallableFusion(fusion)
    # A user's own class may draw from torch's global generator, which is the caller's.
    with torch.random.fork_rng(devices=[], enabled=isinstance(fusion, Fusion)):
        built.build(n_modalities, width, n_components)
    return built


def weights_of_terms(extra_terms):
    """Return the parameter `extra_terms` as a dict of weights above 0.

    Raises
    ------
    ValueError
        For unknown names and for what is no weight, with what to write.
    """
    if extra_terms is None:
        return {}
    if isinstance(extra_terms, str):
        extra_terms = {extra_terms: USUAL_WEIGHT}
    known = listing(map(repr, EXTRA_TERMS))
    for name, weight in extra_terms.items():
        if name not in EXTRA_TERMS:
            raise ValueError(
                f"extra_terms: there is no term {name!r}. Give one of {known}, such as"
                f" extra_terms={{'contrastive': {USUAL_WEIGHT}}}."
            )
        # A bool is a number to Python, and True would be a strong weight.
        number = isinstance(weight, Real) and not isinstance(weight, bool | np.bool_)
        if not number or not 0 <= weight < np.inf:
            raise ValueError(
                f"extra_terms={{{name!r}: {weight!r}}}: give a weight from 0 (off), such as"
                f" {USUAL_WEIGHT}; modalities are pulled together, never apart."
            )
    return {name: float(weight) for name, weight in extra_terms.items() if weight}
