"""New rows, read with the modalities of `fit`: columns checked, holes for those that are absent."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import _check_feature_names, _check_n_features

from .._core.errors import DataWarning, listing, locate
from ..tables._table import Table, read
from ..training._batches import Rows
from ..training._predict import index_patterns
from ._lags import skipped

__all__ = [
    "as_rows",
    "fitted_modalities",
    "index_contained",
    "located",
    "presence",
    "read_rows",
    "to_device",
]


def fitted_modalities(estimator):
    """Return name, modality and positions in `fit` of the columns, of each modality."""
    return [
        (name, modality, places)
        for (name, modality, _), places in zip(
            estimator.modalities_, estimator._places, strict=True
        )
    ]


def read_rows(estimator, X) -> tuple[list, Table]:
    """Read new data with the fitted modalities; absent columns are holes.

    Returns
    -------
    read : list of Values
        One per modality.
    frame : Table
    """
    frame = read(X, estimator)
    position = _check_columns(estimator, X, frame)
    values = []
    for (name, modality, places), n_skipped in zip(
        fitted_modalities(estimator), estimator._skips, strict=True
    ):
        at = [position.get(place) for place in places]
        absent = None in at
        columns = estimator._container
        cells = columns.holes(places, frame.n_rows) if absent else frame.cells(at)
        values.append(skipped(modality, located(name, modality.transform, cells), n_skipped))
    return values, frame


def _check_columns(estimator, X, frame):
    """Return where each column of `fit` stands now, having checked names and number."""
    named = hasattr(estimator, "feature_names_in_")
    if named and frame.kind != "array":
        now = {name: i for i, name in enumerate(frame.names)}
        fitted = estimator._container.names
        whole = all(
            len({fitted[place] in now for place in places}) == 1 for places in estimator._places
        )
        expected = [name for name in fitted if name in now]
        used = {fitted[place] for places in estimator._places for place in places}
        if whole and list(frame.names) == expected and used & now.keys():
            return estimator._container.find(frame)
        if whole and now.keys() == set(expected) < set(fitted):
            # Of all columns scikit-learn says so itself; of a part, that the others are missing.
            raise ValueError(
                "Feature names must be in the same order as they were in fit:"
                f" {listing(map(repr, expected))}. Give X[{expected!r}]."
            )
        only_names = pd.DataFrame(columns=pd.Index(frame.names, dtype=object))
        _check_feature_names(estimator, only_names, reset=False)
    elif named:
        _check_feature_names(estimator, X, reset=False)
    _check_n_features(estimator, np.empty((0, len(frame.names))), reset=False)
    return {i: i for i in range(len(frame.names))}


def located(name, work, cells):
    """Let a modality work on cells; its errors and warnings say its name."""
    with locate(modality=name), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = work(cells)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError, InvalidParameterError):
                raise  # a CellError is told by `locate`; others may need more than a message
            raise type(error)(f"modality {name!r}: {error}") from error
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, DataWarning):
            text = f"modality {name!r}, {text}"
        warnings.warn(text, warning.category, stacklevel=5)
    return result


def presence(read):
    """Return which modalities each row has, (rows, modalities) bool."""
    return np.stack([values.present for values in read], 1)


def index_contained(present, patterns):
    """Give each row the number of its pattern or, for training, of the largest one within it.

    Among many modalities not every pattern has a regression of its own (see `list_patterns`). A
    row of another one is learned from as if it had only what the largest known part of it has.

    Parameters
    ----------
    present : ndarray of shape (rows, modalities), bool
    patterns : ndarray of shape (patterns, modalities), bool
        Those that are known; nothing at all is one of them.

    Returns
    -------
    ndarray of shape (rows,), int64
    """
    index, unknown = index_patterns(present, patterns)
    within = (unknown[:, None] | ~patterns).all(2)
    largest = np.where(within, patterns.sum(1), -1).argmax(1)
    return np.concatenate([np.arange(len(patterns)), largest])[index]


def as_rows(read, index):
    """Return values as `Rows` on the CPU, given the number of each row's pattern."""
    values = [
        {
            key: torch.from_numpy(np.ascontiguousarray(array) if not array.size else array)
            for key, array in part.tensors.items()
        }
        for part in read
    ]
    return Rows(values, torch.from_numpy(index))


def to_device(rows, device):
    """Return rows whose tensors are on a device."""
    if rows.pattern.device == device:
        return rows
    return Rows(
        [{k: v.to(device) for k, v in tensors.items()} for tensors in rows.values],
        rows.pattern.to(device),
    )
