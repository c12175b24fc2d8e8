"""Dates: instants in UTC, and strings that all follow one format."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..._core.errors import CellError
from ...tables._cells import Column
from ._formats import date_forms

__all__ = [
    *("as_instants", "date_dtype", "other_order", "parse", "read_dates", "to_days"),
    "write_dates",
]

LOOKED_AT = 200  # distinct strings whose parts tell the format; all must then follow it
LONGEST = 50  # characters
_TAIL = r" ?(?:Z|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)"
_ZONED = re.compile(rf"(.*:\d\d(?:[.,]\d{{1,9}})?(?: ?[AaPp][Mm])?)({_TAIL})")
_AT_END = re.compile(f"{_TAIL}$")
_FLAG = re.compile(r"%[-^_\d](?=\w)")
_MARKS = {"-": "\1%", "^": "\2%", "_": "\3%"}  # before what strftime would write otherwise
_MARKED = re.compile("\1(0?)|\2([A-Za-z]+)|\3([A-Za-z]+)")


def date_dtype(strings: Sequence[str]) -> str | None:
    """Return the dtype of dates, with the one format that all strings follow, or None.

    Parameters
    ----------
    strings : sequence of str
        Distinct. Where months and days could be either way round, month first is tried first, and
        wrong for all if it is wrong for one.

    Returns
    -------
    str or None
        For `parse`, such as ``"datetime64[s, +02:00]|%Y-%m-%d %H:%M:%S+02:00"``.
    """
    some = strings[:LOOKED_AT]
    if not some or max(map(len, some)) > LONGEST:
        return None
    tails = {_split(text)[1] for text in (strings if ":" in some[0] else some)}
    if "" in tails and len(tails) > 1:
        return None
    tail = tails.pop() if len(tails) == 1 else "+00:00"  # of instants of several zones
    zone = f", {_zone_of(tail)}" if tail else ""
    for form in date_forms([_split(text)[0] for text in some]):
        digits = re.search(r"%(\d)f", form)
        unit = "s" if digits is None else "ms" if digits[1] <= "3" else "us"
        dtype = f"datetime64[{unit}{zone}]|{form}{tail}"
        if not any(np.isnat(read_dates(part, dtype)).any() for part in (some, strings)):
            return dtype
    return None


def other_order(dtype: str) -> str | None:
    """Return a dtype with month and day the other way round, where their order was a guess."""
    place = re.search(r"\|%(-?)([md])([-/])%(-?)[md]", dtype)
    if place is None:
        return None
    first, letter, mark, second = place.groups()
    letters = "dm" if letter == "m" else "md"
    swapped = f"|%{first}{letters[0]}{mark}%{second}{letters[1]}"
    return dtype.replace(place[0], swapped)


def _split(text: str) -> tuple[str, str]:
    """Return a date, and what it says of its time zone."""
    found = _ZONED.fullmatch(text)
    return found.groups() if found else (text, "")


def _zone_of(tail: str) -> str:
    offset = tail.strip()
    if offset[0] not in "+-" or not int(offset[1:].replace(":", "")):
        return "UTC"
    return f"{offset[:3]}:{offset[3:].lstrip(':') or '00'}"


def _seconds(tail: str) -> int:
    """Return how far clocks of a time zone are ahead of UTC."""
    zone = _zone_of(tail)
    if zone == "UTC":
        return 0
    return int(f"{zone[0]}1") * (3600 * int(zone[1:3]) + 60 * int(zone[4:]))


def read_dates(strings: Sequence[str], dtype: str) -> np.ndarray:
    """Return strings as ``datetime64``, instants in UTC; NaT where one does not follow.

    Parameters
    ----------
    strings : sequence of str
    dtype : str
        With a format.
    """
    dtype, zone, form = parse(dtype)
    ahead = np.zeros(len(strings), "timedelta64[s]")
    if zone is not None:
        form = _AT_END.sub("", form)
        split = [_split(text) for text in strings]
        strings = [text if tail else "" for text, tail in split]
        ahead[:] = [_seconds(tail) if tail else 0 for _, tail in split]
    texts, form = pd.Series(strings, dtype=object), _FLAG.sub("%", form)
    dates = pd.to_datetime(texts, format=form, errors="coerce").to_numpy(dtype, copy=True)
    rest = np.flatnonzero(np.isnat(dates))
    if len(rest) and form.endswith("f"):  # whole seconds may be written without a fraction
        whole = pd.to_datetime(texts[rest], format=form[:-3], errors="coerce")
        dates[rest] = whole.to_numpy(dtype)
    return dates - ahead


def write_dates(dates: np.ndarray, dtype: str) -> np.ndarray:
    """Return ``datetime64`` as strings in the format of a dtype, None for NaT."""
    _, zone, form = parse(dtype)
    series = pd.Series(dates)
    if zone is not None:
        series = series.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    digits = re.search(r"%(\d)f", form)
    form = re.sub(r"%\df", "%f\4", form)
    form = re.sub(r"%([-^_])", lambda flag: _MARKS[flag[1]], form)
    written = series.dt.strftime(form)
    if digits is not None:
        n = int(digits[1])
        written = written.str.replace(
            f"(\\d{{{min(n, 6)}}})\\d*\4", rf"\g<1>{'0' * (n - 6)}", regex=True
        )
    if any(mark in form for mark in "\1\2\3"):
        written = written.str.replace(_MARKED, _unmarked, regex=True)
    return np.where(np.isnat(dates), None, written.to_numpy(object))


def _unmarked(found: re.Match) -> str:
    return (found[2] or "").upper() + (found[3] or "").lower()


def parse(dtype: str) -> tuple[str, str | None, str]:
    """Return the dtype, the time zone and the format ("D" for days) that were learned of dates."""
    dtype, _, form = dtype.partition("|")
    unit, _, zone = dtype.removesuffix("]").partition(", ")
    return f"{unit}]", zone or None, form


def as_instants(column: Column) -> np.ndarray:
    """Return a column of real dates as ``datetime64``, those with a time zone in UTC."""
    values = column.values
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]") if values.dtype == "datetime64" else values
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
