"""Ranks that learn together: what they are to have in common, and their rows as chunks."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np

from .._core.ranks import Ranks
from ..tables import Chunks

__all__ = ["join_ranks", "time_of_first"]

# What each rank may have of its own; a random state is that of the first.
OF_ONE = {"device", "verbose", "memory", "callbacks", "random_state"}
# What one process alone can do: each with its default, and the reason.
_REFUSED = {
    "privacy": (None, "each rank would spend it anew"),
}


def join_ranks(ranks: Ranks, estimator: Any, X: Any, y: Any) -> tuple[Chunks, Any]:
    """Return the rows of this rank as chunks, and the labels of all ranks.

    Parameters
    ----------
    ranks : Ranks
    estimator : BaseMultimodalAutoencoder
    X : container of rows, or Chunks
    y : array, Series or DataFrame of labels, or None

    Raises
    ------
    ValueError
        On every rank, if parameters differ, or ranks cannot have them.
    """
    params = {k: v for k, v in estimator.get_params().items() if k not in OF_ONE}
    told = ranks.gather("parameters", {name: _told(value) for name, value in params.items()})
    ranks.agree(told, "parameter", "Give all ranks the same parameters.")
    for name, (usual, reason) in _REFUSED.items():
        if params[name] is not usual:
            ranks.refuse(f"{name}={params[name]!r} is not for ranks: {reason}. Give {usual!r}.")
    if y is not None and estimator.target_weight:
        y = np.concatenate(ranks.gather("labels", np.asarray(y)))
    return X if isinstance(X, Chunks) else Chunks(lambda: iter([X])), y


def time_of_first(ranks: Ranks) -> float:
    """Return what the first rank's clock says: by it all of them end at the same step."""
    return ranks.gather("time", monotonic())[0]


def _told(value: Any) -> str:
    """Return a text that is the same in every process for the same value."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, Callable) and hasattr(value, "__qualname__"):
        return value.__qualname__
    return type(value).__name__ if type(value).__repr__ is object.__repr__ else repr(value)
