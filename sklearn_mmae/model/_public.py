"""What a fit may ask of its rows: all, or what privacy can pay for; what is refused then."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from .._core.errors import PrivacyError, warn
from ..privacy._gradients import PrivateGradients
from ..privacy._statistics import PrivateStatistics
from ..statistics import PLAIN, Statistics
from ..tables import count_rows
from ..training._build import NAMED
from ..training._gradients import MakeGradients, PlainGradients
from ..training._joint import JointNetwork

__all__ = ["check_private", "statistics_of"]

# What a private fit would have to look at rows for, or would not notice: each with its default.
_REFUSED = {
    "target_weight": (0.0, "labels are rows, too"),
    "max_lag": (None, "lags are found in rows"),
    "memory": (None, "what is read of rows would be kept on disk"),
    "callbacks": (None, "they are handed the rows"),
    "warm_start": (False, "what an earlier fit has spent is not known"),
    "init": ("linear", "networks are trained from the linear start on"),
}


def check_private(estimator: Any, *, weighted: bool = False, in_parts: bool = False) -> None:
    """Refuse what a private fit cannot do.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
    weighted : bool
        Whether rows have weights.
    in_parts : bool
        Whether it is `partial_fit` that is called.

    Raises
    ------
    PrivacyError, ValueError
        Naming the parameter, and what to give.
    """
    if estimator.privacy is None:
        return
    estimator.privacy.check_parameters()
    if in_parts:
        raise PrivacyError("partial_fit has no privacy: give all rows to fit, or privacy=None.")
    if weighted:
        raise PrivacyError(
            "sample_weight has no privacy: a row of weight 2 would reveal twice as much of itself."
            " Leave it out, or give privacy=None."
        )
    for name, (usual, reason) in _REFUSED.items():
        if getattr(estimator, name) != usual:
            raise PrivacyError(
                f"{name}={getattr(estimator, name)!r} has no privacy: {reason}. Give"
                f" {name}={usual!r}, or privacy=None."
            )
    if getattr(estimator, "_skl_callbacks", ()):
        raise PrivacyError("callbacks are handed the rows. Leave them out, or give privacy=None.")
    if isinstance(estimator.modalities, str) or any(callable(k) for *_, k in estimator.modalities):
        raise PrivacyError(
            "what columns hold would be found in the rows. Give modalities=[(name, modality,"
            " [columns]), ...], or privacy=None."
        )
    for name, modality, _ in estimator.modalities:
        if getattr(modality, "memory", None) is not None:
            raise PrivacyError(
                f"modality {name!r}: memory={modality.memory!r} has no privacy: what is read of"
                " rows would be kept on disk. Give memory=None, or privacy=None."
            )
    if not isinstance(estimator.n_components, Integral):
        raise PrivacyError(
            f"n_components={estimator.n_components!r} would be found in the rows. Give a whole"
            " number, or privacy=None."
        )


def statistics_of(estimator: Any, X: Any) -> Statistics:
    """Return what answers for the rows of a fit, as the estimator's `privacy` says.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
    X : container of rows

    Returns
    -------
    Statistics

    Raises
    ------
    PrivacyError
        For containers of which it is not known what they tell of their rows besides.
    """
    if estimator.privacy is None:
        return PLAIN
    numbers = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
    if not numbers and not isinstance(X, pd.DataFrame):
        raise PrivacyError(
            f"privacy: X is a {type(X).__name__}. Give a data frame of pandas, or an array of"
            " numbers, whose dtypes say no more of the rows than is public."
        )
    n_modalities = sum(not isinstance(modality, str) for _, modality, _ in estimator.modalities)
    generator = _noise(estimator.random_state)
    return PrivateStatistics(estimator.privacy, count_rows(X), n_modalities, generator)


def plan_networks(estimator: Any, network: JointNetwork, statistics: Statistics) -> None:
    """Decide whether a private fit trains its network; by no cell of the rows."""
    if not statistics.is_private:
        return
    n_cells = sum(part.n_cells for part in network.networks)
    statistics.plan(n_cells, estimator.max_epochs, estimator.batch_size)
    if statistics.steps is not None:
        _check_rows_apart(estimator)


def gradients_of(estimator: Any, statistics: Statistics) -> MakeGradients:
    """Return what makes the gradients of a fit, as the estimator's `privacy` says."""
    if not statistics.is_private:
        return PlainGradients
    largest = estimator.privacy.max_grad_norm
    return partial(PrivateGradients, statistics=statistics, largest=largest)


def _check_rows_apart(estimator: Any) -> None:
    """Refuse what may mix the rows of a step: the gradient of a row would be that of others, too.

    Raises
    ------
    PrivacyError
        Naming the parameter, and what to give.
    """
    mixed = [name for name in ("extra_terms", "free_bits") if getattr(estimator, name, None)]
    for name, (_, known) in NAMED.items():
        value = getattr(estimator, name, "")
        if not isinstance(value, str) and type(value) not in known.values():
            mixed.append(name)
    if mixed:
        raise PrivacyError(
            f"{mixed[0]}={getattr(estimator, mixed[0])!r} has no privacy where networks are"
            " trained: it may mix rows. Leave it at its default, or give max_epochs=0 or"
            " privacy=None."
        )


def _noise(seed: Any) -> np.random.Generator:
    """Return a generator of noise, of the system's entropy unless a seed is given."""
    if seed is None:
        return np.random.default_rng()
    warn(
        f"random_state={seed!r}: whoever knows or guesses it can take the noise away, and nothing"
        " is protected. Give random_state=None for what is to be published."
    )
    if isinstance(seed, Integral):
        return np.random.default_rng([int(seed), 1])
    return np.random.default_rng(seed.randint(2**31, size=8))
