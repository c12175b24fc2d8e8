"""Rows to codes, and codes back to columns, with what a fitted estimator knows."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from .._core.errors import ConvergenceError, DataWarning, did_you_mean, listing
from .._core.threads import one_thread
from ..tables._table import Table
from ..training._batches import Rows
from ..training._predict import decode, deviances, encode, index_patterns
from ._lags import put_back
from ._rows import as_rows, fitted_modalities, presence, read_rows

__all__ = [
    "Encoded",
    "decode_columns",
    "encode_rows",
    "explained_deviance",
    "impute_columns",
    "named_modalities",
    "observe",
    "rebuild",
]


def named_modalities(estimator, given, parameter):
    """Return which modalities are named, (modalities,) bool: some of them, and not all."""
    names = [name for name, _, _ in estimator.modalities_]
    wanted = list(given) if isinstance(given, list | tuple) else [given]
    for name in wanted:
        if name not in names:
            raise ValueError(
                f"{parameter}={name!r} is no modality of this estimator."
                f"{did_you_mean(name, names)} They are {listing(map(repr, names))}."
            )
    chosen = np.array([name in wanted for name in names])
    if not chosen.any() or chosen.all():
        raise ValueError(
            f"{parameter}={given!r}: name at least one modality, and leave at least one, of"
            f" {listing(map(repr, names))}."
        )
    return chosen


class Observed(NamedTuple):
    """New rows, read.

    Attributes
    ----------
    rows : Rows
    unknown : ndarray of shape (patterns, modalities), bool
        Patterns of presence among them that the network does not know; see `index_patterns`.
    present : ndarray of shape (rows, modalities), bool
        What may be looked at.
    frame : Table
    """

    rows: Rows
    unknown: np.ndarray
    present: np.ndarray
    frame: Table


class Encoded(NamedTuple):
    """Rows and their codes.

    Attributes
    ----------
    codes : Tensor of shape (rows, components)
    rows : Rows
    present : ndarray of shape (rows, modalities), bool
        What the codes are made of.
    frame : Table
    """

    codes: torch.Tensor
    rows: Rows
    present: np.ndarray
    frame: Table


def observe(estimator, X, hidden=None, stacklevel=4):
    """Return new data as `Observed`.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted.
    X : container of rows
    hidden : ndarray of shape (modalities,), bool, optional
        Modalities not to be looked at.
    stacklevel : int or None
        Of the warning about rows of nothing; None for no warning.
    """
    check_is_fitted(estimator)
    read, frame = read_rows(estimator, X)
    present = presence(read)
    if hidden is not None:
        present = present & ~hidden
    empty = np.flatnonzero(~present.any(1))
    if len(empty) and stacklevel is not None:
        warnings.warn(
            f"row {listing(empty)}: nothing is observed. The vector of the average row stands in.",
            DataWarning,
            stacklevel=stacklevel,
        )
    index, unknown = index_patterns(present, estimator.net_.module_.patterns.cpu().numpy())
    return Observed(as_rows(read, index), unknown, present, frame)


@one_thread()
def encode_rows(estimator, X, hidden=None):
    """Return new data as `Encoded`; see `observe`."""
    rows, unknown, present, frame = observe(estimator, X, hidden, stacklevel=5)
    codes = encode(estimator.net_.module_, rows, unknown)
    if not np.isfinite(codes.numpy()).all():
        broken = np.flatnonzero(~codes.isfinite().all(1).numpy())
        raise ConvergenceError(
            f"row {listing(broken)}: the vector is not finite. Are its numbers far outside of"
            " those seen in fit?"
        )
    return Encoded(codes, rows, present, frame)


@one_thread()
def decode_columns(estimator, codes, wanted=None, rows=None, seed=None):
    """Return predicted columns by their positions in `fit`.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted.
    codes : Tensor of shape (rows, components)
    wanted : list of bool, optional
        Per modality; all of them by default.
    rows : Rows, optional
        Those that the codes are of, for reconstructions as long as their rows.
    seed : int, optional
        Draw cells instead of predicting them; of a `MultimodalVAE`.

    Returns
    -------
    dict of int to ndarray
    """
    columns = {}
    for m, (name, modality, places) in enumerate(fitted_modalities(estimator)):
        if wanted is not None and not wanted[m]:
            continue
        own_seed = None if seed is None else int(np.random.RandomState([seed, m]).randint(2**31))
        outputs = decode(estimator.net_.module_, codes, m, own_seed)
        finite = np.isfinite(outputs).reshape(len(outputs), -1).all(1)
        if not finite.all():
            raise ConvergenceError(
                f"modality {name!r}, row {listing(np.flatnonzero(~finite))}: what comes back is"
                " not finite. Is the vector far outside of those that transform gives?"
            )
        if rows is not None:
            tensors = {key: values.numpy() for key, values in rows.values[m].items()}
            outputs = modality.with_length_of(outputs, tensors)
        predicted = modality.inverse_transform(outputs)
        if estimator._skips[m]:
            predicted = put_back(modality, predicted, estimator._skips[m])
        if estimator._container.width(places[0]) is not None:
            predicted = [np.stack(predicted, 1)]
        columns |= dict(zip(places, predicted, strict=True))
    return columns


def impute_columns(estimator, frame, predicted):
    """Return the rows of a table, holes and missing columns filled by predicted cells."""
    columns = estimator._container
    return columns.fill(frame, columns.find(frame), predicted)


def rebuild(estimator, columns, index=None):
    """Return columns, by their positions in `fit`, in the container of `fit`."""
    return estimator._container.write(columns, index)


def explained_deviance(network, rows, codes, present):
    """Return one minus the ratio of summed deviances, per modality; NaN where nothing is known."""
    model, null = (np.nansum(d, 0) for d in deviances(network, rows, codes, present))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(null > 0, 1 - model / null, np.where(model > 0, 0.0, np.nan))
