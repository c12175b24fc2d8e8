"""Dates written as strings: the format they all follow, and the way there and back."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

__all__ = ["date_format", "read_dates", "write_dates"]

LOOKED_AT = 200  # distinct strings that must all follow one format
_NUMERIC = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?)?")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y",
         "%d-%m-%Y")  # fmt: skip
_TIMES = ("", " %H:%M:%S", "T%H:%M:%S", " %H:%M", "T%H:%M")


def date_format(strings):
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


def read_dates(column, there, form):
    """Return strings as ``datetime64[s]``, NaT in the holes and where one does not follow."""
    dates = np.full(len(column), np.datetime64("NaT", "s"))
    parsed = pd.to_datetime(pd.Series(column[there], dtype=object), format=form, errors="coerce")
    dates[there] = parsed.to_numpy("datetime64[s]")
    return dates


def write_dates(dates, form):
    """Return ``datetime64`` as strings, None for NaT."""
    written = pd.Series(dates).dt.strftime(form).to_numpy(object)
    return np.where(np.isnat(dates), None, written)
