"""Formats: how numbers and dates are written that are stored as strings.

A format of dates is one of `datetime.strftime`, with flags before the letter for what that lacks:
``%-d`` is not padded by 0, ``%^b`` is in upper and ``%_p`` in lower case, ``%3f`` has three digits.
One of numbers is a format specification of Python, such as ``,.2f``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["NUMBER", "SPECIFICATION", "date_forms", "number_doubt", "number_form"]

_PART = re.compile(
    r"(?P<time>\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)|(?P<noon>[AaPp][Mm](?![A-Za-z]))"
    r"|(?P<word>[A-Za-z]+)|(?P<digits>\d+)|(?P<between>[^A-Za-z\d]+)"
)
_BETWEEN = {*"-/.,: ", ", ", ". "}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = {
    "b": {name[:3] for name in _MONTHS},
    "B": set(_MONTHS),
    "a": {name[:3] for name in _WEEKDAYS},
    "A": set(_WEEKDAYS),
}
_COMPACT = re.compile(r"(?:1[89]|2[01])\d{6}")  # may be a number of eight digits, so no other year
NUMBER = re.compile(
    r"\s*([+-]?)(\d{1,3}(?:,\d{3})+|\d+(?=[.eE\s]|$)|(?=\.\d))(?:\.(\d*))?([eE][+-]?\d+)?\s*"
)
DATE_FORM = re.compile(r"(?:%(?:[-^_]?[A-Za-z]|[1-9]f)|[^%]){0,100}")  # no widths: they cost memory
SPECIFICATION = re.compile(r"\+?z?,?\.\d{1,2}[efg]")  # of `number_form`

# A number with a sign or currency before it, groups of three digits, and a unit after it.
_LIKE_NUMBER = re.compile(
    r"\s*[-+(]?\s?(?P<before>[$€£¥₹]?)\s?[-+]?"
    r"(?:\d{1,3}(?P<between>[.,'\u2019\s])\d{3}(?:(?P=between)\d{3})*|\d+)(?:[.,]\d+)?"
    r"\s?(?P<unit>[^\W\d_]{0,4}|[^\w\s)-])[-)]?\s*"
)
_MOST_MARKS = 5  # strings among numbers, of which one may stand for a missing value
_NUMBERS_AT_LEAST = 0.8  # of the different strings


def number_doubt(texts: Sequence[str]) -> str:
    """Return how texts that are not read as numbers look like some, and the remedy; else ""."""
    marks = [text for text in texts if not NUMBER.fullmatch(text)]
    if 0 < len(marks) <= min(_MOST_MARKS, (1 - _NUMBERS_AT_LEAST) * len(texts)):
        return (
            f"its strings are numbers but for {', '.join(map(repr, marks))}, and are not read as"
            " such. Give None where a number is missing"
        )
    found = [_LIKE_NUMBER.fullmatch(text) for text in texts]
    units = {match.group("before", "unit") for match in found if match}
    if len(texts) < 3 or not all(found) or len(units) > 1 or number_form(texts) is not None:
        return ""
    if not any(map(any, units)) and all(map(str.isdecimal, texts)):
        return ""  # postcodes
    return (
        f"its strings, such as {texts[0]!r}, look like numbers, and are not read as such. Write"
        " them as '1234.5' or '1,234.5', with the unit in the column's name"
    )


def number_form(texts: Sequence[str]) -> str | None:
    """Return how numbers are written in texts, None if one is no number.

    Codes of digits that begin with 0, such as postcodes, are none.
    """
    if not texts or not all(map(NUMBER.fullmatch, texts)):
        return None
    parts = map(NUMBER.fullmatch, texts)
    signs, wholes, decimals, exponents = zip(*(part.groups("") for part in parts), strict=True)
    if any(len(whole) > 1 and whole[0] == "0" for whole in wholes):
        return None
    sign, comma = "+" * ("+" in signs), "," * any("," in whole for whole in wholes)
    most = max(map(len, decimals))
    if all(exponents):
        return f"{sign}{comma}.{min(most, 17)}e"
    if any(exponents):
        digits = [len(whole) + len(rest) for whole, rest in zip(wholes, decimals, strict=True)]
        return f"{sign}{comma}.{min(max(digits), 17)}g"
    return f"{sign}z{comma}.{min(most, 17)}f"


def date_forms(texts: Sequence[str]) -> list[str]:
    """Return the formats that all of some texts may follow as dates, the likelier first.

    Parameters
    ----------
    texts : sequence of str
        Without time zones.
    """
    if all(map(_COMPACT.fullmatch, texts)):
        return ["%Y%m%d"]
    rows = [[(part.lastgroup, part[0]) for part in _PART.finditer(text)] for text in texts]
    sorts = [sort for sort, _ in rows[0]]
    if any([sort for sort, _ in row] != sorts for row in rows):
        return []
    columns = [{text for _, text in column} for column in zip(*rows, strict=True)]
    pieces = [_piece(*column, "noon" in sorts) for column in zip(sorts, columns, strict=True)]
    if None in pieces:
        return []
    days = [i for i, sort in enumerate(sorts) if sort == "digits"]
    between = {pieces[i + 1] for i, _ in pairwise(days)}
    named = bool({"b", "B"} & {piece[-1] for piece in pieces if piece.startswith("%")})
    found = []
    for letters in _orders([columns[i] for i in days], named, between):
        for i, letter in zip(days, letters, strict=True):
            short = any(len(text) == 1 for text in columns[i])
            pieces[i] = f"%{'-' * short}{letter}"
        found.append("".join(pieces))
    return found


def _orders(digits: list[set[str]], named: bool, between: set[str]) -> list[str]:
    """Return which numbers may be year, month and day; `named` where the month is a name."""
    lengths = [{len(text) for text in some} for some in digits]
    kinds = "".join(
        "Y" if some == {4} else "y" if some == {2} else "d" if some <= {1, 2} else "?"
        for some in lengths
    )
    if named:
        known = {"Y": "Y", "Yy": "Yd", "Yd": "Yd", "yY": "dY", "dY": "dY", "yy": "dy", "dy": "dy"}
        return [known[kinds]] if kinds in known else []
    if len(between) != 1 or not between <= {"-", "/", "."}:
        return []
    dotted = between == {"."}
    if kinds == "Yy" and not dotted:
        return ["Ym"] * all("1800" <= text < "2200" for text in digits[0])
    if re.fullmatch("Y[yd][yd]", kinds):
        return ["Ymd"]
    if re.fullmatch("[yd][yd]Y|yyy", kinds):
        year = "Y" if kinds[2] == "Y" else "y"
        return ["dm" + year] if dotted else ["md" + year, "dm" + year]
    return []


def _piece(sort: str, texts: set[str], noon: bool) -> str | None:
    """Return how a part of all texts is written; "" for digits, whose meaning is still open."""
    if sort == "time":
        return _times(texts, "I" if noon else "H")
    if sort == "between":
        return texts.pop() if len(texts) == 1 and texts <= _BETWEEN else None
    if sort == "noon":
        return "%_p" if all(map(str.islower, texts)) else "%p"
    if sort == "word":
        return "T" if texts == {"T"} else _words(texts)
    return ""


def _times(texts: set[str], hour: str) -> str | None:
    n_parts = {text.count(":") for text in texts}
    if len(n_parts) > 1:
        return None
    short = "-" * any(text[1] == ":" for text in texts)
    digits = max(len("".join(re.split("[.,]", text)[1:])) for text in texts)
    mark = "," if any("," in text for text in texts) else "."
    seconds = ":%S" * (n_parts == {2})
    return f"%{short}{hour}:%M{seconds}" + f"{mark}%{digits}f" * (digits > 0)


def _words(texts: set[str]) -> str | None:
    low = {text.lower() for text in texts}
    letter = next((letter for letter, names in _NAMES.items() if low <= names), None)
    flag = "_" if low == texts else "^" if {text.upper() for text in texts} == texts else ""
    return letter and f"%{flag}{letter}"
