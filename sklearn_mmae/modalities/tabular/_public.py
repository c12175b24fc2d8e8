"""What users say of a table's columns, so that it need not be taken from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..._core.errors import CellError, check_names
from ..._core.values import are_values
from ...tables._cells import Column
from ._dates import parse

__all__ = ["bounds_of", "check_columns", "check_given", "public_dtype", "public_kind"]

Bounds = tuple | dict[Any, tuple] | None
Categories = dict[Any, list] | None
_KINDS = {**dict.fromkeys("iuf", "number"), "b": "bool", "M": "date"}
_REMEDIES = {
    "number": "Give TabularModality(bounds={{{name!r}: (low, high)}})",
    "date": "Give TabularModality(bounds={{{name!r}: ('2020-01-01', '2029-12-31')}})",
    "category": "Give TabularModality(categories={{{name!r}: [...]}}), or a dtype of numbers or"
    " dates",
}


def check_given(bounds: Bounds, categories: Categories) -> None:
    """Refuse bounds and categories that make no sense; raises ValueError."""
    pairs = bounds.items() if isinstance(bounds, dict) else [(None, bounds)] * (bounds is not None)
    for name, pair in pairs:
        where = "bounds" if name is None else f"bounds of column {name!r}"
        whole = isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2
        if not whole or not _in_order(*pair):
            raise ValueError(
                f"{where}: {pair!r}. Give (low, high): two finite numbers, or for dates two"
                " strings such as '2020-01-01', the lower one first."
            )
    if not (categories is None or isinstance(categories, dict)):
        raise ValueError(f"categories={categories!r}: give a dict of column names to lists.")
    for name, values in (categories or {}).items():
        plain = isinstance(values, list) and are_values(values)
        if not plain or not values or len(set(values)) < len(values):
            raise ValueError(
                f"categories of column {name!r}: give a list of different strings, numbers or"
                " bools."
            )


def check_columns(bounds: Bounds, categories: Categories, names: Iterable[Any]) -> None:
    """Refuse bounds and categories of columns that there are not; raises ValueError."""
    for parameter, given in (("bounds", bounds), ("categories", categories)):
        if isinstance(given, dict) and given:
            check_names(list(given), names, parameter, "column of this modality")


def _in_order(low: Any, high: Any) -> bool:
    if isinstance(low, str) and isinstance(high, str):
        try:
            return bool(np.datetime64(low) < np.datetime64(high))
        except ValueError:
            return False
    numbers = all(isinstance(end, Real) and not isinstance(end, bool) for end in (low, high))
    return numbers and -np.inf < low < high < np.inf


def bounds_of(bounds: Bounds, name: Any, kind: str, dtype: str) -> tuple[float, float] | None:
    """Return the bounds of a column of numbers or dates, as they are counted; None without any.

    Parameters
    ----------
    bounds : (low, high), or dict of column to it, or None
    name : column
    kind : {"number", "date"}
    dtype : str
        In which the column comes back.
    """
    pair = bounds.get(name) if isinstance(bounds, dict) else bounds
    is_date = pair is not None and isinstance(pair[0], str)
    if pair is None or (is_date != (kind == "date") and not isinstance(bounds, dict)):
        return None  # of all numbers, or of all dates
    if is_date != (kind == "date"):
        raise CellError(
            f"bounds={pair!r}, but the column holds {kind}s",
            column=name,
            remedy=_REMEDIES[kind].format(name=name),
        )
    if is_date:
        unit = parse(dtype)[0]
        low, high = (float(np.datetime64(end).astype(unit).astype(np.int64)) for end in pair)
        return low, high
    return float(pair[0]), float(pair[1])


def public_kind(name: Any, column: Column, bounds: Bounds, categories: Categories) -> str:
    """Return what a column holds, by what is public of it: dtype, bounds and categories.

    Raises
    ------
    CellError
        Naming the parameter that is missing.
    """
    if column.categories is not None:
        raise CellError(
            "a categorical dtype lists values that were taken from the rows",
            column=name,
            remedy=f"Give column.astype(object), and {_REMEDIES['category'][5:].format(name=name)}",
        )
    if name in (categories or {}):
        return "category"
    kind = _KINDS.get(column.values.dtype.kind, "category")
    given = kind == "bool"
    if kind in ("number", "date"):
        given = bounds_of(bounds, name, kind, public_dtype(column, kind)) is not None
    if not given:
        missing = "categories" if kind == "category" else "bounds"
        raise CellError(
            f"privacy needs {missing} that are public, not taken from the rows",
            column=name,
            remedy=_REMEDIES[kind].format(name=name),
        )
    return kind


def public_dtype(column: Column, kind: str) -> str:
    """Return in which dtype a column comes back, by its own alone."""
    dtype = str(column.values.dtype)
    return f"{dtype[:-1]}, {column.zone}]" if kind == "date" and column.zone else dtype
