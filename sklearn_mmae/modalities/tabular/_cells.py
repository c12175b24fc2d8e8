"""Columns of a table: what they hold, read as numbers or codes, and written back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ..._core.errors import CellError, CellTypeError
from ...statistics._questions import BLOCK
from ...tables._cells import Column, sort_of
from ...tables._numbers import as_real, as_whole
from ._dates import as_instants, date_format, parse, read_dates, to_days, write_dates

__all__ = [
    *("as_dtype", "as_floats", "check_bools", "check_finite", "codes_of", "come_back_as"),
    *("find_remedy", "is_tabular", "kind_of"),
]

LARGEST = np.finfo(np.float32).max
FEW_VALUES = 40  # "auto" takes a column of strings with at most this many as a category
PLURALS = {"number": "numbers", "bool": "bools", "date": "dates", "category": "strings"}
_OF_DTYPE = {
    **dict.fromkeys("iuf", "number"),
    **dict.fromkeys("UT", "category"),
    "b": "bool",
    "M": "date",
}
_REMEDIES = (
    ((timedelta, np.timedelta64), "Turn them into numbers, such as column.dt.total_seconds()"),
    (time, "Turn them into numbers, such as the minutes since midnight"),
    (pd.Period, "Turn them into dates, such as column.dt.to_timestamp()"),
    (pd.Interval, "Turn them into numbers, such as their middles, or into strings"),
    (dict, "Give each of its fields a column of its own"),
    (bytes, "Turn them into strings by .decode(), or give the column to another modality"),
)


def find_remedy(kind: type) -> str:
    """Say what to do with cells of a type that a table cannot hold."""
    other = "Give the column to another modality, or turn its cells into strings or numbers"
    return next((remedy for kinds, remedy in _REMEDIES if issubclass(kind, kinds)), other)


def kind_of(column: Column) -> str:
    """Say what a column holds, by its dtype or else by its observed cells."""
    kind = column.values.dtype.kind
    if column.categories is not None:
        return "category"
    if kind in _OF_DTYPE:
        return _OF_DTYPE[kind]
    if kind == "O":
        return _kind_of_objects(column)
    durations = kind == "m"
    raise CellTypeError(
        "holds durations (timedelta64)"
        if durations
        else f"dtype {column.values.dtype} is no number, bool, date or category",
        remedy=find_remedy(timedelta)
        if durations
        else "Turn it into real numbers, strings or dates",
    )


def _kind_of_objects(column: Column) -> str:
    sorts = {sort_of(kind) for kind in column.types}
    if None in sorts:
        row = _first_rows(column)[None]
        kind = type(column.values[row])
        raise CellTypeError(
            f"a {kind.__name__} is no number, bool, date or category: the argument must be a"
            " string, a date or a number",
            row=row,
            remedy=find_remedy(kind),
        )
    if sorts == {"number", "bool"}:
        return "number"
    if len(sorts) > 1:
        first, second = list(_first_rows(column).items())[:2]
        raise CellTypeError(
            f"mixes {PLURALS[first[0]]} and {PLURALS[second[0]]}",
            row=[first[1], second[1]],
            remedy="Make all its cells of one kind",
        )
    if sorts == {"category"} and column.once(find_format):
        return "date"
    return next(iter(sorts), "number")


def _first_rows(column: Column) -> dict[str | None, int]:
    """Return the first row of each sort of cell, in the order of the rows."""
    rows: dict[str | None, int] = {}
    for row in np.flatnonzero(column.observed).tolist():
        rows.setdefault(sort_of(type(column.values[row])), row)
    return rows


def is_tabular(column: Column) -> bool:
    """Whether a column holds numbers, bools, dates, or strings of few values."""
    if column.values.ndim != 1 or column.values.dtype.kind not in "biufMO":
        return False
    try:
        kind = column.once(kind_of)
    except CellTypeError:
        return False
    if kind != "category" or column.categories is not None:
        return True
    return len(column.once(factorize)[1]) <= min(FEW_VALUES, max(2, column.observed.sum() // 2))


def factorize(column: Column) -> tuple[np.ndarray, list]:
    """Return the number of each observed cell's value, and the values."""
    values = column.values[column.observed]
    codes, distinct = pd.factorize(values.astype(object) if values.dtype.kind in "UT" else values)
    return codes, distinct.tolist()


def find_format(column: Column) -> str | None:
    """Return the format of a column of dates written as strings, else None."""
    if column.values.dtype.kind != "O" or not all(issubclass(kind, str) for kind in column.types):
        return None
    return date_format(column.once(factorize)[1])


def come_back_as(column: Column, kind: str) -> str:
    """Return the dtype in which a column comes back; of dates with their zone and format."""
    if kind == "date":
        form = column.once(find_format)
        if form:
            return f"datetime64[s]|{form}"
        dates = column.once(as_instants)
        dtype = str(dates.dtype)
        if column.zone is not None:
            dtype = f"{dtype[:-1]}, {column.zone}]"
        known = dates[~np.isnat(dates)]
        whole = len(known) and (to_days(known, column.zone) == known).all()
        return f"{dtype}|D" if whole else dtype
    if column.values.dtype.kind == "O":
        return {"number": "float64"}.get(kind, "object")
    return str(column.values.dtype)


def as_dtype(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Return float64 numbers as the column's own dtype."""
    if dtype.startswith("datetime64"):
        dtype, zone, form = parse(dtype)
        dates = np.full(len(numbers), "NaT", dtype)
        finite = np.isfinite(numbers)
        dates[finite] = as_dtype(numbers[finite], "int64").astype(dtype)
        if form and "%H" not in form:
            dates[finite] = to_days(dates[finite], zone)
        return write_dates(dates, form) if "%" in form else dates
    if np.dtype(dtype).kind in "iu":
        return as_whole(numbers, dtype).astype(dtype)
    if dtype == "bool":  # an array of bools is a block of numbers
        return numbers > 0.5
    return as_real(numbers, dtype)


def as_floats(column: Column, kind: str, dtype: str) -> np.ndarray:
    """Return one column of numbers or dates as float64, NaN in the holes."""
    found, observed = column.once(kind_of), column.observed
    written = kind == "date" and "%" in dtype and found == "category"
    bools = kind == "number" and found == "bool"
    if found != kind and observed.any() and not (written or bools):
        raise CellTypeError(
            f"holds {PLURALS[found]}, but was learned as {PLURALS[kind]}",
            row=np.flatnonzero(observed)[:3].tolist(),
            remedy=f"Give {PLURALS[kind]}, as in fit",
        )
    if not observed.any():
        return np.full(len(column), np.nan)
    if kind == "date":
        return _dates_as_floats(column, *parse(dtype))
    if column.values.dtype.kind == "O":
        floats = np.full(len(column), np.nan)
        floats[observed] = column.values[observed].astype(np.float64)
        return floats
    return column.values.astype(np.float64)


def _dates_as_floats(column: Column, dtype: str, zone: str | None, form: str) -> np.ndarray:
    observed = column.observed
    if "%" in form:  # the format of fit, whatever these rows alone would suggest
        given = _dates_in_format(column, form)
    else:
        found = column.once(find_format)
        if found and not found.startswith("%Y"):
            raise CellTypeError(
                "holds dates as strings, in which month and day could be either way round",
                row=np.flatnonzero(observed)[:3].tolist(),
                remedy="Give real dates, as in fit, or strings such as 2024-01-31",
            )
        _check_zone(column, zone)
        given = column.once(as_instants)
    dates = given.astype(dtype)
    wrapped = observed & (dates.astype(given.dtype) != given)  # numpy says nothing
    if np.can_cast(given.dtype, dates.dtype) and wrapped.any():
        raise CellError(
            f"dates outside of what {dates.dtype} can hold, the dtype of fit",
            row=np.flatnonzero(wrapped).tolist(),
            remedy="Use datetime64[s] or datetime64[us] in fit",
        )
    return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))


def _dates_in_format(column: Column, form: str) -> np.ndarray:
    """Return strings as ``datetime64``, and real dates as they are."""
    _check_zone(column, None)
    if not all(issubclass(kind, str) for kind in column.types):
        return column.once(as_instants)
    given = read_dates(column.values, column.observed, form)
    wrong = column.observed & np.isnat(given)
    if wrong.any():
        raise CellError(
            f"dates that do not follow {form!r}, as those of fit do",
            row=np.flatnonzero(wrong).tolist(),
            remedy="Write them alike, or None where the date is unknown",
        )
    return given


def _check_zone(column: Column, zone: str | None) -> None:
    """Refuse times of no zone beside instants: which ones they are, nobody but the user knows."""
    if (column.zone is None) == (zone is None):
        return
    now, before = (
        f"a time zone ({name})" if name else "no time zone" for name in (column.zone, zone)
    )
    raise CellError(
        f"holds times with {now}, but those of fit have {before}",
        row=np.flatnonzero(column.observed)[:3].tolist(),
        remedy=f"Say where they were taken: column.dt.tz_localize({zone!r})"
        if zone
        else "Take it away as in fit: column.dt.tz_convert(zone of fit).dt.tz_localize(None)",
    )


def check_bools(column: Column) -> None:
    """Refuse cells that are neither bools nor 0 and 1: the text 'False' is no False."""
    codes, distinct = column.once(factorize)
    odd = np.array([value not in (False, True) for value in distinct], bool)
    if odd.any():
        sort = PLURALS.get(sort_of(type(distinct[odd.argmax()])), "other cells")
        raise CellTypeError(
            f"holds {sort}{' other than 0 and 1' * (sort == 'numbers')}, but was learned as bools",
            row=np.flatnonzero(column.observed)[odd[codes]].tolist(),
            remedy="Give True and False, as in fit, or 1 and 0",
        )


def codes_of(column: Column, values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 codes, -1 where the value is a hole or not known, and rows of the unknown."""
    place = {value: i for i, value in enumerate(values)}
    first, distinct = column.once(factorize)
    code = np.array([place.get(value, -1) for value in distinct], np.int32)
    codes = np.full(len(column), -1, np.int32)
    codes[column.observed] = code[first]
    return codes, np.flatnonzero(column.observed & (codes < 0))


def check_finite(numbers: np.ndarray, names: Sequence[Any]) -> None:
    """Refuse infinite numbers, and those too large for float32; NaN is a hole."""
    for start in range(0, len(numbers), BLOCK):
        block = numbers[start : start + BLOCK]
        if block.min(initial=0) >= -LARGEST and block.max(initial=0) <= LARGEST:
            continue  # no NaN either: it would have been the minimum
        with np.errstate(invalid="ignore"):
            bad = np.abs(block) > LARGEST
        if bad.any():
            rows, columns = np.nonzero(bad)
            row, column = rows[0] + start, columns[0]
            value = numbers[row, column]
            what = "infinity (inf)" if np.isinf(value) else f"{value:g}, too large for float32"
            raise CellError(
                f"Input X contains {what}",
                column=names[column],
                row=(rows[columns == column] + start).tolist(),
                remedy="Replace it by a finite number, or by NaN where it is unknown",
            )
