"""Objects as plain values and back: what a file may hold, and that it holds what it should."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from .compat import requires_fit
from .errors import ModelFileError

__all__ = [
    "LARGEST",
    "check",
    "fields",
    "from_plain",
    "object_from_plain",
    "object_to_plain",
    "to_plain",
]

LARGEST = 2**40  # of the numbers in a file that count something
OF_SESSION = {"memory"}  # a folder to unpickle from must not come from a file
REMEDY = (
    "joblib.dump keeps it; such a file runs code when it is loaded, so load it only where you trust"
    " its source."
)


def to_plain(value: Any, place: str) -> Any:
    """Return a value as lists, dictionaries, numbers, text and arrays of numbers.

    A transformer whose `fit` learns nothing becomes its class and parameters.

    Parameters
    ----------
    value : object
    place : str
        What it is, for the error.

    Raises
    ------
    TypeError
        For what cannot be kept without code.
    """
    if isinstance(value, dict):
        return {key: to_plain(item, f"{place}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray | pd.Index):
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufmM":
            return value
        value = value.tolist()
    if isinstance(value, tuple | list):
        items = [to_plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biufUO":
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if _learns_nothing(value):
        return _transformer_to_plain(value, place)
    unless = ", unless it is a TransformerMixin whose tag requires_fit is False: it learns nothing"
    raise TypeError(
        f"{place.lstrip('[')} holds a {type(value).__name__}, which a file cannot hold"
        f"{unless if hasattr(value, 'transform') else ''}. {REMEDY}"
    )


def from_plain(value: Any, classes: dict[str, type]) -> Any:
    """Return a value of `to_plain`, its transformers built, whose classes must be known."""
    if isinstance(value, list | tuple):
        return type(value)(from_plain(item, classes) for item in value)
    if isinstance(value, dict) and value.keys() == {"class", "parameters"}:
        return object_from_plain(value, TransformerMixin, classes)
    return value


def _learns_nothing(value):
    """Whether a value is a transformer of which class and parameters are all."""
    known = isinstance(value, TransformerMixin) and isinstance(value, BaseEstimator)
    return known and not requires_fit(value)


def _transformer_to_plain(transformer, place):
    """Return class and parameters; without defaults, which may be no plain value, as a dtype."""
    defaults = inspect.signature(type(transformer)).parameters
    parameters = {
        name: to_plain(value, f"{place}: {name}")
        for name, value in transformer.get_params(deep=False).items()
        if name not in OF_SESSION and value is not defaults[name].default
    }
    return {"class": type(transformer).__name__, "parameters": parameters}


def object_to_plain(part: object, place: str) -> dict:
    """Return class and parameters of a modality, fusion or objective."""
    names = [name for name in inspect.signature(type(part)).parameters if hasattr(part, name)]
    parameters = {
        name: None if name in OF_SESSION else to_plain(getattr(part, name), f"{place}: {name}")
        for name in names
    }
    return {"class": type(part).__name__, "parameters": parameters}


def object_from_plain(node: Any, base: type, classes: dict[str, type]) -> Any:
    """Build a modality, fusion or objective of a known class from exactly its own parameters."""
    name, parameters = fields(node, "class", "parameters")
    cls = class_of(name, base, classes)
    check(isinstance(parameters, dict), f"the parameters of {name}")
    for key in OF_SESSION & parameters.keys():
        check(parameters[key] is None, f"the parameter {key} of {name}")
    return cls(**{key: from_plain(value, classes) for key, value in parameters.items()})


def class_of(name: Any, base: type, classes: dict[str, type]) -> type:
    """Return the class of a name in a file, which must be among those known."""
    cls = classes.get(name) if isinstance(name, str) else None
    if cls is None or not issubclass(cls, base):
        raise ModelFileError(
            f"it needs a {base.__name__} of class {name!r}, which is not known. If you trust the"
            f" class, give it: load(path, trusted=[{name}])"
        )
    return cls


def check(condition: bool, what: str) -> None:
    """Refuse a file in which something is not as it should be."""
    if not condition:
        raise ModelFileError(f"{what}: this is not as it should be")


def fields(node: Any, *names: str) -> list:
    """Return the values of a dictionary of exactly these keys."""
    if not isinstance(node, dict) or node.keys() != set(names):
        raise ModelFileError(f"it should have exactly the entries {', '.join(names)} in one place")
    return [node[name] for name in names]
