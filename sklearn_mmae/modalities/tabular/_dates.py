"""Dates: instants in UTC, and the format that those written as strings all follow."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..._core.errors import CellError
from ...tables._cells import Column

__all__ = ["as_instants", "date_format", "parse", "read_dates", "to_days", "write_dates"]

LOOKED_AT = 200  # distinct strings that must all follow one format
_NUMERIC = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?)?")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y",
         "%d-%m-%Y")  # fmt: skip
_TIMES = ("", " %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M")


def date_format(strings: Sequence[str]) -> str | None:
    """Return the one format that all strings follow as dates, or None.

    Parameters
    ----------
    strings : sequence of str
        Where months and days could be either way round, month first is tried first, and wrong
        for all if it is wrong for one.

    Returns
    -------
    str or None
        As for `datetime.strptime`.
    """
    distinct = list(dict.fromkeys(strings))
    if not distinct or not all(_NUMERIC.fullmatch(s) for s in distinct[:LOOKED_AT]):
        return None
    for day in _DAYS:
        for time in _TIMES:
            try:
                pd.to_datetime(distinct, format=day + time)
            except (ValueError, TypeError, OverflowError):
                continue
            return day + time
    return None


def read_dates(column: np.ndarray, there: np.ndarray, form: str) -> np.ndarray:
    """Return strings as ``datetime64[s]``, NaT in the holes and where one does not follow."""
    dates = np.full(len(column), np.datetime64("NaT", "s"))
    parsed = pd.to_datetime(pd.Series(column[there], dtype=object), format=form, errors="coerce")
    dates[there] = parsed.to_numpy("datetime64[s]")
    return dates


def write_dates(dates: np.ndarray, form: str) -> np.ndarray:
    """Return ``datetime64`` as strings, None for NaT."""
    written = pd.Series(dates).dt.strftime(form).to_numpy(object)
    return np.where(np.isnat(dates), None, written)


def parse(dtype: str) -> tuple[str, str | None, str]:
    """Return the dtype, the time zone and the format ("D" for days) that were learned of dates."""
    dtype, _, form = dtype.partition("|")
    unit, _, zone = dtype.removesuffix("]").partition(", ")
    return f"{unit}]", zone or None, form


def as_instants(column: Column) -> np.ndarray:
    """Return a column of dates as ``datetime64``, those with a time zone in UTC."""
    values = column.values
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]") if values.dtype == "datetime64" else values
    if all(issubclass(kind, str) for kind in column.types):
        return read_dates(values, column.observed, date_format(values[column.observed].tolist()))
    in_utc = column.zone is not None
    try:
        dates = pd.to_datetime(pd.Series(values, dtype=object), utc=in_utc)
    except (TypeError, ValueError) as error:
        raise CellError(
            f"has dates that do not go together ({error})",
            remedy="Give all of them as datetime objects, or all as a dtype of dates",
        ) from error
    return dates.to_numpy("datetime64[us]")


def to_days(dates: np.ndarray, zone: str | None) -> np.ndarray:
    """Return the nearest midnight of each instant, as the clocks of its time zone show it."""
    half = np.timedelta64(12, "h").astype(dates.dtype.str.replace("M", "m"))
    if zone is None:
        return (dates + half).astype("datetime64[D]").astype(dates.dtype)
    clock = pd.Series(dates).dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    days = (clock.to_numpy() + half).astype("datetime64[D]").astype("datetime64[s]")
    first = np.ones(len(days), bool)  # of two midnights, where clocks are set back
    midnights = pd.Series(days).dt.tz_localize(zone, first, "shift_forward")
    return midnights.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dates.dtype)
