"""`Form`: what the cells of a column are to come back as; numbers and objects brought into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from ._cells import objects, sort_of

__all__ = [
    "EARLIEST",
    "LATEST",
    "OBJECT",
    "Form",
    "as_objects",
    "held_by",
    "holds_arrays",
    "name_objects",
]

OBJECT = np.dtype(object)

EARLIEST, LATEST = np.datetime64("0001-01-02", "s"), np.datetime64("9999-12-30", "s")  # of datetime
CELLS = ("bool", "int", "float", "Decimal", "str", "date", "datetime", "Timestamp", "datetime64")


@dataclass(frozen=True)
class Form:
    """What the cells of a column are to come back as.

    Attributes
    ----------
    dtype : dtype of numpy, pandas or polars
    cells : str or None
        The type of objects, one of `CELLS`; None where they have none that could be made.
    zone : str or None
        Of times that are objects.
    width : int or None
        Numbers to a row, of a block of numbers in a SliceDict.
    """

    dtype: Any
    cells: str | None = None
    zone: str | None = None
    width: int | None = None


def name_objects(types: Iterable[type]) -> str | None:
    """Return which of `CELLS` objects of some types are, None where they are none of them."""
    types = set(types)
    sorts = {sort_of(kind) for kind in types}
    if sorts == {"date"}:
        for name, kind in (("Timestamp", pd.Timestamp), ("datetime", datetime), ("date", date)):
            if any(issubclass(other, kind) for other in types):
                return name
        return "datetime64"
    if "number" in sorts and sorts <= {"number", "bool"}:
        if types == {Decimal}:
            return "Decimal"
        whole = all(issubclass(kind, int | np.integer | np.bool_) for kind in types)
        return "int" if whole else "float"
    return {"bool": "bool", "category": "str"}.get(sorts.pop()) if len(sorts) == 1 else None


def as_objects(values: np.ndarray, form: Form) -> np.ndarray:
    """Return predicted cells as objects of the type that a form names."""
    if values.dtype.kind == "M":
        return _dates_as_objects(values, form)
    if values.dtype.kind == "f" and form.cells == "int":
        return objects([None if cell != cell else int(cell) for cell in np.rint(values).tolist()])
    if values.dtype.kind == "f" and form.cells == "Decimal":
        # As many digits as a network computes in.
        return objects([Decimal(str(cell)) for cell in values.astype(np.float32)])
    return objects(list(values) if values.ndim > 1 else values.tolist())


def _dates_as_objects(dates: np.ndarray, form: Form) -> np.ndarray:
    hole = np.isnat(dates)
    if form.cells == "datetime64":
        made = objects(list(dates))
    else:
        if np.datetime_data(dates.dtype)[0] != "ns":  # which ends before
            dates = np.clip(dates, EARLIEST.astype(dates.dtype), LATEST.astype(dates.dtype))
        series = pd.Series(dates)
        if form.zone is not None:
            series = series.dt.tz_localize("UTC").dt.tz_convert(form.zone)
        made = objects(series.tolist())
        if form.cells == "date":
            made[~hole] = [cell.date() for cell in made[~hole]]
        elif form.cells == "datetime":
            made[~hole] = [cell.to_pydatetime(warn=False) for cell in made[~hole]]
    made[hole] = None
    return made


def holds_arrays(column: np.ndarray) -> bool:
    """Whether cells are arrays: whatever they were, paths or text, images come back as such."""
    return column.dtype.kind == "O" and any(isinstance(cell, np.ndarray) for cell in column)


def held_by(kept: Any, form: Form, cells: Callable, make: Callable) -> Any:
    """Return observed cells in another form, None where it does not hold them exactly.

    Compared as objects, which `cells` gives: equal, and of one sort; 1 is no True, a day no time.
    """
    if kept.dtype == form.dtype:
        return kept
    before = cells(kept)
    if form.dtype == OBJECT and name_objects(map(type, before)) != form.cells:
        return None
    again = make(before, form)
    if again is None:
        return None
    after = cells(again)
    sorts = [{sort_of(kind) for kind in set(map(type, some))} for some in (before, after)]
    same = sorts[0] == sorts[1] and all(a == b for a, b in zip(before, after, strict=True))
    return again if same else None
