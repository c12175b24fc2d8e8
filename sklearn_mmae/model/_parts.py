"""The list ``[(name, modality, columns)]``: names that cannot clash, columns of any spelling."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.base import clone

from .._core.errors import did_you_mean, listing
from ..modalities import Modality
from ..modalities._detect import detect

__all__ = ["resolve"]


def resolve(modalities, frame, X, reserved):
    """Return fresh modalities and the positions of their columns.

    Parameters
    ----------
    modalities : "auto" or list of (str, Modality or "drop", columns)
    frame : Table
    X : container
        As the user gave it, for callables such as `make_column_selector`.
    reserved : container of str
        Names of the estimator's parameters.

    Returns
    -------
    list of (str, Modality, list of int)

    Raises
    ------
    ValueError, TypeError
        Naming the modality and what to write instead.
    """
    if isinstance(modalities, str):
        taken = set()
        return [
            (_usable_name(name, taken, reserved), modality, places)
            for name, modality, places in detect(frame)
        ]
    _check_list(modalities)
    resolved, owner = [], {}
    for name, modality, key in modalities:
        if isinstance(modality, str):
            if modality != "drop":
                raise ValueError(
                    f"modality {name!r}: {modality!r} is no modality. Give an instance such as"
                    " TabularModality(), or 'drop' to leave its columns out."
                )
            continue
        if isinstance(modality, type):
            raise TypeError(
                f"modality {name!r}: {modality.__name__} is a class. Write {modality.__name__}()."
            )
        if not isinstance(modality, Modality):
            raise TypeError(
                f"modality {name!r}: a {type(modality).__name__} is no Modality. Give an instance"
                " such as TabularModality() or TextModality(vectorizer=...)."
            )
        places = _positions(key, frame, X, name)
        if not places:
            raise ValueError(
                f"modality {name!r} matches no column (columns={key!r}) among the"
                f" {len(frame.names)} feature(s) of X. Name at least one of"
                f" {listing(map(repr, frame.names))}, or write 'drop' instead of the modality."
            )
        for place in places:
            if place in owner:
                other = f"and to {owner[place]!r}" if owner[place] != name else "twice"
                raise ValueError(
                    f"column {frame.names[place]!r} belongs to modality {name!r} {other}. Give each"
                    " column once, to one modality."
                )
            owner[place] = name
        resolved.append((name, clone(modality), places))
    if not resolved:
        raise ValueError("every modality is 'drop': nothing is left to learn from.")
    return resolved


def _check_list(modalities):
    for i, entry in enumerate(modalities):
        if not isinstance(entry, tuple | list) or len(entry) != 3 or not isinstance(entry[0], str):
            raise ValueError(
                f"modalities[{i}] is {entry!r}. Each entry is (name, modality, columns), such as"
                " ('photo', ImageModality(), ['photo'])."
            )
        if not entry[0]:
            raise ValueError(f"modalities[{i}] has an empty name. Give it one, such as 'table'.")
    if not modalities:
        raise ValueError("modalities is empty. Give 'auto', or [(name, modality, columns), ...].")


def _usable_name(name, taken, reserved):
    """Return a column's name as one that a nested parameter can carry."""
    name = name.replace("__", "_").strip("_") or "column"
    while name in taken or name in reserved:
        name += "_"
    # A trailing "_" before "__parameter" would be cut at the wrong place.
    if name.endswith("_"):
        name += "column"
    taken.add(name)
    return name


def _positions(key, frame, X, modality):
    """Return the positions that a column specification of ColumnTransformer's kind names."""
    if callable(key):
        key = key(X)
    names, n = frame.names, len(frame.names)

    def place(item):
        if isinstance(item, numbers.Integral) and not isinstance(item, bool | np.bool_):
            if item in names and not isinstance(names[0], str):
                return names.index(item)
            if not -n <= item < n:
                raise ValueError(
                    f"modality {modality!r}: position {item} is not among the {n} columns."
                )
            return int(item) % n
        if item not in names:
            raise ValueError(
                f"modality {modality!r}: no column {item!r} in X."
                f"{did_you_mean(item, names)} The columns are {listing(map(repr, names))}."
            )
        return names.index(item)

    if isinstance(key, slice):
        if any(isinstance(end, str) for end in (key.start, key.stop)):
            first = 0 if key.start is None else place(key.start)
            last = n - 1 if key.stop is None else place(key.stop)  # labels include the end
            return list(range(first, last + 1, key.step or 1))
        return list(range(n))[key]
    if isinstance(key, str | numbers.Integral) and not isinstance(key, bool):
        return [place(key)]
    if not np.iterable(key):
        raise ValueError(
            f"modality {modality!r}: columns={key!r} names no columns. Give a name, a list of names"
            " or positions, a slice, a mask or a callable."
        )
    items = list(key)
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        if len(items) != n:
            raise ValueError(
                f"modality {modality!r}: the mask has {len(items)} entries for {n} columns."
            )
        return [i for i, chosen in enumerate(items) if chosen]
    return [place(item) for item in items]
