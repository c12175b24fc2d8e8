"""A fitted estimator as plain values and arrays, for its file.

Only the writing side; `_persistence` reads, and trusts nothing in a file.
"""

from __future__ import annotations

import inspect
import os

import numpy as np
import pandas as pd

from ..fusion import Fusion
from ..objectives import Objective

__all__ = ["KIND", "LARGEST", "OF_SESSION", "RUN_TIME", "describe"]

RUN_TIME = {"device", "memory", "callbacks", "verbose"}  # of this machine: never in a file
OF_SESSION = {"memory"}  # of modalities: a folder to unpickle from must not come from a file
KIND = "estimator"  # of the file
_NAMED = {"fusion", "objective"}
LARGEST = 2**40  # of the numbers in a file that count something
_REMEDY = (
    "joblib.dump keeps it; such a file runs code when it is loaded, so load it only where you trust"
    " its source."
)


def describe(estimator):
    """Return a fitted estimator as the tree that its file holds.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder

    Returns
    -------
    dict
        Of ``class``, ``parameters``, ``attributes``, ``calibration`` and ``weights``; plain values
        and numpy arrays. Columns that a callable or a slice has named are written out; a
        ``RandomState`` is not kept.

    Raises
    ------
    TypeError
        For what cannot be kept without code: a vectorizer, a callable, objects in the data.
    """
    state = estimator.__getstate__()
    parameters = {
        name: state[name] for name in type(estimator)._get_param_names() if name not in RUN_TIME
    }
    parameters["modalities"] = _listed(estimator.modalities, estimator.modalities_)
    parameters |= {name: _named(name, parameters[name]) for name in _NAMED & parameters.keys()}
    if isinstance(estimator.optimizer, type):
        parameters["optimizer"] = {"class": estimator.optimizer.__name__}
    if isinstance(estimator.random_state, np.random.RandomState):
        parameters["random_state"] = None
    for name, value in parameters.items():
        if isinstance(value, int) and value > LARGEST:
            raise ValueError(f"{name}={value} is more than a file may hold. Give less.")
    names = getattr(estimator, "feature_names_in_", None)
    attributes = {
        "modalities": [
            {"name": name, "columns": columns, "modality": _object(modality, f"modality {name!r}")}
            | {"state": _state_of(modality)}
            for name, modality, columns in estimator.modalities_
        ],
        "places": estimator._places,
        "container": estimator._container.to_plain(),
        "lags": [
            [name, lag, *estimator.lag_intervals_[name]]
            for name, lag in getattr(estimator, "lags_", {}).items()
        ],
        "history": _by_column(estimator.history_),
        "n_iter": estimator.n_iter_,
        "n_components": estimator.n_components_,
        "built": {name: _named(name, value) for name, value in estimator._built.items()},
        "explained_deviance": estimator.explained_deviance_,
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": names,
        **{name.rstrip("_"): getattr(estimator, name) for name in estimator._OF_FIT},
    }
    calibration = estimator._calibration and {
        name: groups._asdict() for name, groups in estimator._calibration.items()
    }
    tree = {"class": type(estimator).__name__, "parameters": parameters, "attributes": attributes}
    tree["calibration"] = calibration
    return {**_plain(tree, ""), "weights": state["_weights"]}


def _listed(modalities, fitted):
    """Return the parameter `modalities`, its columns as plain values."""
    if isinstance(modalities, str):
        return modalities
    chosen = {name: columns for name, _, columns in fitted}
    return [
        (
            name,
            modality if isinstance(modality, str) else _object(modality, f"modality {name!r}"),
            chosen.get(name, []) if callable(columns) or isinstance(columns, slice) else columns,
        )
        for name, modality, columns in modalities
    ]


def _named(name, value):
    """Return a parameter that has a short name, or is an object of plain parameters."""
    if name not in _NAMED or isinstance(value, str):
        return value
    if isinstance(value, Fusion | Objective):
        return _object(value, name)
    raise TypeError(f"{name}={value!r} is a function, which a file cannot hold. {_REMEDY}")


def _object(part, place):
    """Return class and parameters of a modality or fusion, those of this session as None."""
    names = [name for name in inspect.signature(type(part)).parameters if hasattr(part, name)]
    parameters = {
        name: None if name in OF_SESSION else _plain(getattr(part, name), f"{place}: {name}")
        for name in names
    }
    return {"class": type(part).__name__, "parameters": parameters}


def _state_of(modality):
    parameters = modality.get_params(deep=False)
    return {
        name: _plain(value, f"modality of class {type(modality).__name__}: {name}")
        for name, value in vars(modality).items()
        if name not in parameters
    }


def _by_column(history):
    """Return the history with one array per key: long trainings have many epochs."""
    columns = {}
    for i, epoch in enumerate(history):
        for key, value in epoch.items():
            column = columns.setdefault(key, {"epochs": [], "values": []})
            column["epochs"].append(i)
            column["values"].append(value)
    for column in columns.values():
        column["epochs"] = np.array(column["epochs"], np.int64)
        if all(type(value) is type(column["values"][0]) for value in column["values"]):
            values = np.array(column["values"])
            column["values"] = values if values.dtype.kind in "bif" else column["values"]
    return {"n_epochs": len(history), "columns": columns}


def _plain(value, place):
    """Return a value as lists, dictionaries, numbers, text and arrays of numbers."""
    if isinstance(value, dict):
        return {key: _plain(item, f"{place}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray | pd.Index):
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufmM":
            return value
        value = value.tolist()
    if isinstance(value, tuple | list):
        items = [_plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUO":
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(
        f"{place.lstrip('[')} holds a {type(value).__name__}, which a file cannot hold. {_REMEDY}"
    )
