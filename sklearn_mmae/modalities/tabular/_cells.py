"""Columns of a table: what they hold, read as numbers or codes, and written back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ..._core.errors import CellError, CellTypeError
from ...statistics._questions import BLOCK
from ...tables._cells import Column, objects, sort_of
from ...tables._dtypes import EARLIEST, LATEST
from ...tables._numbers import as_real, as_whole
from ._dates import as_instants, date_dtype, other_order, parse, read_dates, to_days, write_dates
from ._formats import NUMBER, number_doubt, number_form

__all__ = [
    *("are_identifiers", "as_dtype", "as_floats", "check_bools", "check_finite", "codes_of"),
    *("come_back_as", "find_doubt", "find_remedy", "is_tabular", "kind_of"),
]

LARGEST = np.finfo(np.float32).max
FEW_VALUES = 40  # "auto" takes a column of strings with at most this many as a category
LEAST_REPEATED = 0.1  # share of the rows, where categories have more values and are codes
LEAST_OF_WORDS = 0.5  # where they are words
SAMPLED = 1000  # distinct strings by which words are told from codes
LONGEST_TOKEN = 8  # characters from Thai on, as words may stand without spaces between them
FEWEST_IDS = 100  # rows; in fewer, whole numbers may well differ by chance, or be years
LEAST_DIGITS = 8  # of whole numbers that are identifiers though they leave large gaps
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
    if sorts == {"category"}:
        form = column.once(find_format)
        return "category" if form is None else "date" if form.startswith("datetime") else "number"
    return next(iter(sorts), "number")


def _first_rows(column: Column) -> dict[str | None, int]:
    """Return the first row of each sort of cell, in the order of the rows."""
    rows: dict[str | None, int] = {}
    for row in np.flatnonzero(column.observed).tolist():
        rows.setdefault(sort_of(type(column.values[row])), row)
    return rows


def is_tabular(column: Column) -> bool:
    """Whether a column holds numbers, bools, dates, or strings that are categories."""
    if column.values.ndim != 1 or column.values.dtype.kind not in "biufMO":
        return False
    try:
        kind = column.once(kind_of)
    except CellTypeError:
        return False
    if kind != "category" or column.categories is not None or column.once(has_few_values):
        return True
    some = column.once(_some_strings)
    # The parts of words tell something, those of codes do not.
    least = LEAST_REPEATED if column.once(_are_codes) else LEAST_OF_WORDS
    return column.once(share_repeated) >= least and 2 * sum(map(_is_token, some)) > len(some)


def has_few_values(column: Column) -> bool:
    """Whether a column has 40 different cells at most, each of them twice on average."""
    return len(column.once(factorize)[1]) <= min(FEW_VALUES, max(2, column.observed.sum() // 2))


def share_repeated(column: Column) -> float:
    """Return the share of the observed cells that are not the only one of their value."""
    counts = np.bincount(column.once(factorize)[0])
    return counts[counts > 1].sum() / max(counts.sum(), 1)


def _some_strings(column: Column) -> list[str]:
    distinct = column.once(factorize)[1]
    return distinct[:: -(-len(distinct) // SAMPLED)]


def _is_token(text: str) -> bool:
    return len(text.split()) == 1 and (len(text) <= LONGEST_TOKEN or max(text) < "\u0e00")


def _are_codes(column: Column) -> bool:
    """Whether strings are of one token each, most of which are no words."""
    some = column.once(_some_strings)
    words = sum(text.isalpha() and not text.isupper() for text in some)
    return 2 * words < len(some) and all(text.isascii() and _is_token(text) for text in some)


def are_identifiers(column: Column) -> bool:
    """Whether cells name their rows: whole numbers or strings of one token that hardly repeat."""
    if column.values.dtype.kind in "iu":
        return _are_numbered(column.values)
    if column.values.dtype.kind != "O" or column.once(has_few_values):
        return False
    if column.once(share_repeated) >= LEAST_REPEATED:
        return False
    kind = column.once(kind_of)
    if kind != "category":
        texts = column.once(factorize)[1] if kind == "number" else []
        whole = all(isinstance(text, str) and text.isdecimal() for text in texts)
        return whole and _are_numbered(np.array(texts, np.float64))
    return column.once(_are_codes)


def _are_numbered(whole: np.ndarray) -> bool:
    """Whether whole numbers differ in a way that those which measure or count something do not.

    Of n numbers drawn from m, two are the same but for a chance of about ``exp(-n**2 / 2m)``. Where
    m is larger, all have the same number of many digits.
    """
    n = len(whole)
    if n < FEWEST_IDS:
        return False
    low, high = float(whole.min()), float(whole.max())
    if high - low + 1 < n:
        return False
    long = low >= 10 ** (LEAST_DIGITS - 1) and len(str(int(low))) == len(str(int(high)))
    return (high - low < n**2 / 10 or long) and len(np.unique(whole)) == n


def find_doubt(column: Column) -> str:
    """Return where what a column is taken for may be wrong, and the remedy; else ""."""
    if column.values.dtype.kind in "iu":
        if _are_days(column.values):
            return (
                "its whole numbers look like days, such as 20240131, and are read as numbers. If"
                " they are days, turn them into dates: pd.to_datetime(column, format='%Y%m%d')"
            )
        if are_identifiers(column):
            return (
                "its whole numbers all differ, as those that number or name the rows, and are read"
                " as numbers. If they measure nothing, drop the column"
            )
        return ""
    form = column.once(find_format) if column.values.dtype.kind == "O" else None
    if form is None and _are_strings(column):
        texts = _written(column)
        names = column.once(has_few_values) and 2 * sum(map(str.isdecimal, texts)) > len(texts)
        return "" if names else number_doubt(texts)
    if form is None or not form.startswith("datetime"):
        return ""
    if form.endswith("|%Y%m%d"):
        return (
            "its numbers of eight digits are read as days, such as 20240131. If they are none, put"
            " a letter before them"
        )
    other = other_order(form)
    if other and not np.isnat(read_dates(_written(column), other)).any():
        return (
            "month and day could be either way round, and are read as"
            f" {parse(form)[2]}. If that is wrong, give real dates"
        )
    return ""


def _are_days(whole: np.ndarray) -> bool:
    if not len(whole) or whole.min() < 1900_01_01 or whole.max() > 2100_12_31:
        return False
    days = pd.to_datetime(np.unique(whole).astype(str), format="%Y%m%d", errors="coerce")
    return bool(days.notna().all())


def factorize(column: Column) -> tuple[np.ndarray, list]:
    """Return the number of each observed cell's value, and the values."""
    values = column.values[column.observed]
    codes, distinct = pd.factorize(values.astype(object) if values.dtype.kind in "UT" else values)
    return codes, distinct.tolist()


def _are_strings(column: Column) -> bool:
    return len(column.types) > 0 and all(issubclass(kind, str) for kind in column.types)


def find_format(column: Column) -> str | None:
    """Return the dtype, with a format, of numbers or dates written as strings; else None."""
    if column.values.dtype.kind != "O" or not _are_strings(column):
        return None
    texts = _written(column)
    dates = date_dtype(texts)
    if dates is not None:
        return dates
    form = number_form(texts)
    # Few whole numbers without a sign are names: of classes, or the answers to a question.
    if form is None or (column.once(has_few_values) and all(map(str.isdecimal, texts))):
        return None
    return f"float64|{form}"


def _written(column: Column) -> list[str]:
    """Return the different strings of a column, without empty ones."""
    return [text for text in column.once(factorize)[1] if text.strip()]


def come_back_as(column: Column, kind: str) -> str:
    """Return the dtype in which a column comes back; of dates with their zone and format."""
    form = column.once(find_format) if kind in ("number", "date") else None
    if form is not None:
        return form
    if kind == "date":
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
        unit, zone, form = parse(dtype)
        dates = np.full(len(numbers), "NaT", unit)
        finite = np.isfinite(numbers)
        first, last = _ends_of(unit, on_clocks=zone is not None or "%" in form)
        dates[finite] = as_dtype(numbers[finite].clip(first, last), "int64").astype(unit)
        if form and ":" not in form:
            dates[finite] = to_days(dates[finite], zone)
        return write_dates(dates, dtype) if "%" in form else dates
    dtype, _, form = dtype.partition("|")
    if form:
        return objects([format(n, form) if n == n else None for n in numbers.tolist()])
    if np.dtype(dtype).kind in "iu":
        return as_whole(numbers, dtype).astype(dtype)
    if dtype == "bool":  # an array of bools is a block of numbers
        return numbers > 0.5
    return as_real(numbers, dtype)


def _ends_of(unit: str, *, on_clocks: bool) -> tuple[int, int]:
    """Return the first and last date that a unit has or, in their years, clocks can show."""
    unit, limits = np.datetime_data(unit)[0], np.iinfo(np.int64)
    if unit in ("Y", "M"):
        return limits.min + 1, limits.max - 1024  # the least is NaT, the largest are no floats
    per_day = int(np.timedelta64(1, "D") / np.timedelta64(1, unit))
    first, last = limits.min + 2 * per_day, limits.max - max(2 * per_day, 1024)
    if on_clocks:
        ends = (EARLIEST, LATEST)
        days = [int(end.astype("datetime64[D]").astype(int)) * per_day for end in ends]
        first, last = max(first, days[0]), min(last, days[1])
    return first, last


def as_floats(column: Column, kind: str, dtype: str) -> np.ndarray:
    """Return one column of numbers or dates as float64, NaN where missing."""
    found, observed, strings = column.once(kind_of), column.observed, _are_strings(column)
    written = strings and len(dtype.partition("|")[2]) > 1  # in the format of fit
    if kind == "number" and strings:  # only where those of fit were strings, too
        found = "category"
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
        return _dates_as_floats(column, dtype)
    if strings:
        return _numbers_in_strings(column)
    if column.values.dtype.kind == "O":
        floats = np.full(len(column), np.nan)
        floats[observed] = column.values[observed].astype(np.float64)
        return floats
    return column.values.astype(np.float64)


def _numbers_in_strings(column: Column) -> np.ndarray:
    """Return strings as float64, empty ones as NaN."""
    codes, texts = column.once(factorize)
    empty = np.array([not text.strip() for text in texts], bool)
    wrong = np.array([not NUMBER.fullmatch(text) for text in texts], bool) & ~empty
    if wrong.any():
        raise CellTypeError(
            "holds strings that are no numbers, but was learned as numbers",
            row=np.flatnonzero(column.observed)[wrong[codes]].tolist(),
            remedy="Give numbers, as in fit, or None where they are unknown",
        )
    floats = np.full(len(column), np.nan)
    read = [
        "nan" if hole else text.replace(",", "") for text, hole in zip(texts, empty, strict=True)
    ]
    floats[column.observed] = np.array(read, np.float64)[codes]
    return floats


def _dates_as_floats(column: Column, dtype: str) -> np.ndarray:
    observed, (unit, zone, form) = column.observed, parse(dtype)
    strings = _are_strings(column)
    found = column.once(find_format) if strings else None
    if strings and "%" in form:  # the format of fit, whatever these rows alone would suggest
        given = _dates_in_format(column, dtype)
    else:
        if strings and not parse(found)[2].startswith("%Y"):
            raise CellTypeError(
                "holds dates as strings, in which month and day could be either way round",
                row=np.flatnonzero(observed)[:3].tolist(),
                remedy="Give real dates, as in fit, or strings such as 2024-01-31",
            )
        _check_zone(column, parse(found)[1] if strings else column.zone, zone)
        given = _dates_in_format(column, found) if strings else column.once(as_instants)
    dates = given.astype(unit)
    wrapped = ~np.isnat(given) & (dates.astype(given.dtype) != given)  # numpy says nothing
    if np.can_cast(given.dtype, dates.dtype) and wrapped.any():
        raise CellError(
            f"dates outside of what {dates.dtype} can hold, the dtype of fit",
            row=np.flatnonzero(wrapped).tolist(),
            remedy="Use datetime64[s] or datetime64[us] in fit",
        )
    return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))


def _dates_in_format(column: Column, dtype: str) -> np.ndarray:
    """Return strings as ``datetime64``, empty ones as NaT."""
    codes, texts = column.once(factorize)
    dates = read_dates(texts, dtype)
    wrong = np.isnat(dates) & np.array([bool(text.strip()) for text in texts], bool)
    if wrong.any():
        raise CellError(
            f"dates that do not follow {parse(dtype)[2]!r}, as those of fit do",
            row=np.flatnonzero(column.observed)[wrong[codes]].tolist(),
            remedy="Write them alike, or None where the date is unknown",
        )
    given = np.full(len(column), "NaT", dates.dtype)
    given[column.observed] = dates[codes]
    return given


def _check_zone(column: Column, found: str | None, zone: str | None) -> None:
    """Refuse times of no zone beside instants: which ones they are, nobody but the user knows."""
    if (found is None) == (zone is None):
        return
    now, before = (f"a time zone ({name})" if name else "no time zone" for name in (found, zone))
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


def codes_of(
    column: Column, values: Sequence[Any], shared: int = -1
) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 codes, -1 where the value is missing or not known, and rows of the unknown.

    All values that are not known have the code `shared`, and are then known.
    """
    place = {value: i for i, value in enumerate(values)}
    first, distinct = column.once(factorize)
    code = np.array([place.get(value, shared) for value in distinct], np.int32)
    codes = np.full(len(column), -1, np.int32)
    codes[column.observed] = code[first]
    return codes, np.flatnonzero(column.observed & (codes < 0))


def check_finite(numbers: np.ndarray, names: Sequence[Any]) -> None:
    """Refuse infinite numbers, and those too large for float32; NaN is a missing value."""
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
