"""The list ``[(name, modality, columns)]``: names that cannot clash, columns of any spelling."""

from __future__ import annotations

import keyword
import numbers
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from .._core.errors import PrivacyError, did_you_mean, listing, naming
from .._core.plain import (
    check,
    fields,
    from_plain,
    object_from_plain,
    object_to_plain,
    to_plain,
)
from .._core.values import is_whole
from ..modalities import BUILTIN, Modality
from ..modalities._base import asks
from ..modalities._detect import detect
from ..statistics import Statistics
from ..tables import Columns
from ..tables._cells import Cells, Values
from ._lags import put_back, skipped

__all__ = ["Part", "parts_from_plain", "resolve"]


@dataclass
class Part:
    """A modality in its place.

    Attributes
    ----------
    name : str
    modality : Modality
    places : list of int
        Positions of its columns in `fit`.
    columns : list
        Their names, or positions of an array's.
    n_skipped : int
        Steps at the beginning that are left out, since the modality comes later than others.
    """

    name: str
    modality: Modality
    places: list[int]
    columns: list
    n_skipped: int = 0

    def learn(self, cells: Cells, statistics: Statistics) -> Values:
        """Fit the modality to cells; return what it makes of them.

        With private statistics nothing is said of a cell: no warning, and no error of its own.
        """
        fit = self.modality.fit_transform
        if statistics.is_private:
            with _named(self.name):
                # What a subclass learns besides, an inherited method does not know.
                own = "check_public" in vars(type(self.modality))
                (type(self.modality) if own else Modality).check_public(self.modality, cells)
            with _silenced(self.name):
                return fit(cells, statistics)
        with _named(self.name):
            return fit(cells, statistics) if asks(fit) else fit(cells)

    def fit(self, cells: Cells, statistics: Statistics) -> None:
        """Fit the modality to cells."""
        fit = self.modality.fit
        with _named(self.name):
            fit(cells, statistics) if asks(fit) else fit(cells)

    def read(self, cells: Cells) -> Values:
        """Return what the fitted modality makes of cells."""
        with _named(self.name):
            values = self.modality.transform(cells)
        return skipped(self.modality, values, self.n_skipped)

    def write(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return predictions as columns of cells."""
        columns = self.modality.inverse_transform(outputs)
        return put_back(self.modality, columns, self.n_skipped) if self.n_skipped else columns

    def to_plain(self) -> dict:
        """Return the part as plain values, all but its places."""
        parameters = self.modality.get_params(deep=False)
        kind = type(self.modality).__name__
        state = {
            name: to_plain(value, f"modality of class {kind}: {name}")
            for name, value in vars(self.modality).items()
            if name not in parameters
        }
        modality = object_to_plain(self.modality, f"modality {self.name!r}")
        return {"name": self.name, "columns": self.columns, "modality": modality, "state": state}

    @classmethod
    def from_plain(cls, node: Any, places: list[int], n_columns: int, classes: dict) -> Part:
        """Return the part that `to_plain` gave, having checked all that a file says of it."""
        name, columns, described, state = fields(node, "name", "columns", "modality", "state")
        check(isinstance(name, str) and isinstance(columns, list), "a modality's name or columns")
        check(len(columns) == len(places), f"the columns of modality {name!r}")
        modality = modality_from_plain(described, classes)
        check(isinstance(state, dict), f"what modality {name!r} has learned")
        for key in state:
            free = key.isidentifier() and not keyword.iskeyword(key)
            free = free and not hasattr(type(modality), key)
            check(free, f"modality {name!r} cannot have an attribute {key!r}")
        vars(modality).update((key, from_plain(value, classes)) for key, value in state.items())
        missing, more = modality.learned() - state.keys(), state.keys() - modality.learned()
        complete = not missing and not (more and type(modality) in BUILTIN)
        check(complete and modality.is_sound(n_columns), f"what modality {name!r} has learned")
        return cls(name, modality, places, columns)


def modality_from_plain(node: Any, classes: dict[str, type]) -> Modality:
    """Build a modality of a known class, its parameters checked."""
    modality = object_from_plain(node, Modality, classes)
    given = node["parameters"].keys() == modality.get_params(deep=False).keys()
    check(given, f"the parameters of {node['class']}")
    modality.check_parameters()
    return modality


@contextmanager
def _named(name: str):
    """Let errors and warnings of a modality say its name."""
    with naming(name):
        try:
            yield
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError, InvalidParameterError, PrivacyError):
                raise  # a CellError is told by `locate`; others may need more than a message
            raise type(error)(f"modality {name!r}: {error}") from error


@contextmanager
def _silenced(name: str):
    """Let nothing of a modality be heard that may speak of cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception:
            raise PrivacyError(
                f"modality {name!r}: there are cells that cannot be read. With privacy it is not"
                " said which: fit without it, where nobody else looks, to see it."
            ) from None


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
    list of Part
        Of modalities that are not fitted.

    Raises
    ------
    ValueError, TypeError
        Naming the modality and what to write instead.
    """
    if isinstance(modalities, str):
        taken = set()
        found = [
            (_usable_name(name, taken, reserved), modality, places)
            for name, modality, places in detect(frame)
        ]
    else:
        found = _listed(modalities, frame, X)
    return [
        Part(name, modality, places, [frame.names[place] for place in places])
        for name, modality, places in found
    ]


def _listed(modalities, frame, X):
    """Return name, modality and places of each entry of the list."""
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


def parts_from_plain(
    listed: Any, places: Any, columns: Columns, classes: dict[str, type]
) -> list[Part]:
    """Return the parts that a file describes, each with columns of its own."""
    check(isinstance(listed, list) and len(listed) > 0, "its modalities")
    check(isinstance(places, list) and len(places) == len(listed), "the places of its columns")
    n = len(columns.names)
    for some in places:
        whole = isinstance(some, list) and some and all(is_whole(p) and 0 <= p < n for p in some)
        check(whole, "the places of a modality's columns")
    used = [place for some in places for place in some]
    check(len(used) == len(set(used)), "a column is in two modalities")
    parts = [
        Part.from_plain(entry, some, sum(columns.width(place) or 1 for place in some), classes)
        for entry, some in zip(listed, places, strict=True)
    ]
    check(len({part.name for part in parts}) == len(parts), "two modalities have one name")
    return parts
