"""Columns of a table: what they hold, read as numbers or codes, and written back."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ..._core.errors import CellError, CellTypeError
from ..._core.holes import observed
from ...statistics._questions import BLOCK
from ...tables._numbers import as_whole
from ._dates import date_format, read_dates, write_dates

__all__ = ["as_dtype", "as_floats", "check_finite", "codes_of", "come_back_as", "kind_of"]

LARGEST = np.finfo(np.float32).max


def kind_of(column, name, declared=None):
    """Say what a column holds, by its dtype or else by its observed cells."""
    if declared is not None:
        return "category"
    kind = column.dtype.kind
    if kind == "b":
        return "bool"
    if kind in "iuf":
        return "number"
    if kind == "M":
        return "date"
    if kind in "UT":
        return "category"
    if kind == "m":
        raise CellTypeError(
            "holds durations (timedelta64)",
            column=name,
            remedy="Turn them into numbers, such as column.dt.total_seconds()",
        )
    if kind == "O":
        rows = np.flatnonzero(observed(column))
        found = {}
        for row in rows:
            found.setdefault(_kind_of_cell(column[row]), row)
        if None in found:
            row = found[None]
            raise CellTypeError(
                f"a {type(column[row]).__name__} is no number, bool, date or category: the"
                " argument must be a string, a date or a number",
                column=name,
                row=int(row),
                remedy="Give the column to another modality, or turn its cells into one of these",
            )
        if set(found) <= {"number", "bool"} and "number" in found:
            return "number"
        if len(found) > 1:
            first, second = list(found.items())[:2]
            raise CellTypeError(
                f"mixes {PLURALS[first[0]]} and {PLURALS[second[0]]}",
                column=name,
                row=[int(first[1]), int(second[1])],
                remedy="Make all its cells of one kind",
            )
        if "category" in found and date_format(column[rows].tolist()):
            return "date"
        return next(iter(found), "number")
    raise CellTypeError(
        f"dtype {column.dtype} is no number, bool, date or category",
        column=name,
        remedy="Turn it into real numbers, strings or dates",
    )


PLURALS = {"number": "numbers", "bool": "bools", "date": "dates", "category": "strings"}


def _kind_of_cell(cell):
    if isinstance(cell, bool | np.bool_):
        return "bool"
    if isinstance(cell, int | float | np.integer | np.floating):
        return "number"
    if isinstance(cell, date | np.datetime64):
        return "date"
    return "category" if isinstance(cell, str) else None


def come_back_as(name, column, kind):
    """Return the numpy dtype in which a column comes back; of dates with their format."""
    if kind == "date":
        form = _form_of(column)
        if form:
            return f"datetime64[s]|{form}"
        dates = _dates(name, column)
        there = dates[~np.isnat(dates)]
        whole = len(there) and (there == there.astype("datetime64[D]")).all()
        return f"{dates.dtype}|D" if whole else str(dates.dtype)
    if column.dtype.kind == "O":
        return {"number": "float64"}.get(kind, "object")
    return str(column.dtype)


def as_dtype(numbers, dtype):
    """Return float64 numbers as the column's own dtype."""
    if dtype.startswith("datetime64"):
        dtype, _, whole = dtype.partition("|")
        dates = np.full(len(numbers), "NaT", dtype)
        finite = np.isfinite(numbers)
        dates[finite] = as_dtype(numbers[finite], "int64").astype(dtype)
        if whole and "%H" not in whole:
            half = np.timedelta64(12, "h").astype(dtype.replace("datetime", "timedelta"))
            dates[finite] = (dates[finite] + half).astype("datetime64[D]").astype(dtype)
        return write_dates(dates, whole) if "%" in whole else dates
    if np.dtype(dtype).kind in "iu":
        return as_whole(numbers, dtype).astype(dtype)
    return numbers.astype(dtype)


def _form_of(column):
    """Return the format of a column of dates written as strings, else None."""
    if column.dtype.kind != "O":
        return None
    cells = column[observed(column)].tolist()
    return date_format(cells) if cells and isinstance(cells[0], str) else None


def _dates(name, column):
    """Return a column of dates as ``datetime64``."""
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]") if column.dtype == "datetime64" else column
    if form := _form_of(column):
        return read_dates(column, observed(column), form)
    try:
        dates = pd.to_datetime(pd.Series(column, dtype=object))
    except (TypeError, ValueError) as error:
        raise CellError(
            f"has dates that do not go together ({error})",
            column=name,
            remedy="Give all of them with a time zone, or all without one",
        ) from error
    return dates.to_numpy("datetime64[us]")


def as_floats(name, column, kind, dtype):
    """Return one column of numbers or dates as float64, NaN in the holes."""
    found = kind_of(column, name)
    there = observed(column)
    written = kind == "date" and "%" in dtype and found == "category"
    bools = kind == "number" and found == "bool"
    if found != kind and there.any() and not (written or bools):
        rows = np.flatnonzero(there)[:3].tolist()
        raise CellTypeError(
            f"holds {PLURALS[found]}, but was learned as {PLURALS[kind]}",
            column=name,
            row=rows,
            remedy=f"Give {PLURALS[kind]}, as in fit",
        )
    if kind == "date":
        dtype, _, form = dtype.partition("|")
        if "%" in form:  # the format of fit, whatever these rows alone would suggest
            given = read_dates(column, there, form)
            wrong = there & np.isnat(given)
            if wrong.any():
                raise CellError(
                    f"dates that do not follow {form!r}, as those of fit do",
                    column=name,
                    row=np.flatnonzero(wrong).tolist(),
                    remedy="Write them alike, or None where the date is unknown",
                )
        else:
            if (found := _form_of(column)) and not found.startswith("%Y"):
                raise CellTypeError(
                    "holds dates as strings, in which month and day could be either way round",
                    column=name,
                    row=np.flatnonzero(there)[:3].tolist(),
                    remedy="Give real dates, as in fit, or strings such as 2024-01-31",
                )
            given = _dates(name, column)
        dates = given.astype(dtype)
        wrapped = there & (dates.astype(given.dtype) != given)  # numpy says nothing
        if np.can_cast(given.dtype, dates.dtype) and wrapped.any():
            raise CellError(
                f"dates outside of what {dates.dtype} can hold, the dtype of fit",
                column=name,
                row=np.flatnonzero(wrapped).tolist(),
                remedy="Use datetime64[s] or datetime64[us] in fit",
            )
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))
    if column.dtype.kind == "O":
        floats = np.full(len(column), np.nan)
        floats[there] = [float(cell) for cell in column[there]]
        return floats
    return column.astype(np.float64)


def codes_of(column, values):
    """Return int32 codes, -1 where the value is a hole or not known, and rows of the unknown."""
    place = {value: i for i, value in enumerate(values)}
    there = observed(column)
    codes = np.full(len(column), -1, np.int32)
    codes[there] = [place.get(value, -1) for value in column[there].tolist()]
    return codes, np.flatnonzero(there & (codes < 0))


def check_finite(numbers, names):
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
