"""Small questions about values that come from a file, and may be anything."""

from __future__ import annotations

import math
import re
from numbers import Real

import numpy as np

__all__ = [
    "are_floats",
    "are_text",
    "are_values",
    "check_share",
    "dtype_from",
    "is_array",
    "is_positive",
    "is_whole",
]

# Of one number or date to a cell: "(100000000,)f8" and "S500000000" are dtypes to numpy, too.
_UNIT = r"\[\d{0,6}(?:Y|M|W|D|h|m|s|ms|us|ns)\]"
_DTYPE = re.compile(
    r"bool|object|u?int(?:8|16|32|64)|float(?:16|32|64|80|96|128)|[<>](?:[iu][248]|f(?:[248]|1[026]))"
    rf"|(?:datetime64|timedelta64|[<>][mM]8){_UNIT}"
)


def dtype_from(name):
    """Return the numpy dtype that a file names; raises ValueError for any but plain ones."""
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise ValueError(f"{str(name)[:40]!r} is no dtype of a column")
    return np.dtype(name)


def is_whole(value):
    """Whether a value is an int, and no bool."""
    return type(value) is int


def is_positive(value):
    """Whether a value is a number above 0, and finite."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < value < math.inf


def check_share(name, value):
    """Refuse a parameter that is no share."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < 1:
        raise ValueError(f"{name}={value!r}: give a share, from 0 to below 1.")


def is_array(value, kinds):
    """Whether a value is an array with one axis, of some kinds of dtype."""
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in kinds


def are_floats(value, n, above=-math.inf):
    """Whether a value is an array of `n` finite floats, all above a bound."""
    known = is_array(value, "f") and len(value) == n
    return bool(known and np.isfinite(value).all() and (value > above).all())


def are_text(value):
    """Whether a value is a list of str."""
    return isinstance(value, list) and all(type(item) is str for item in value)


def are_values(value):
    """Whether a value is a list of str and plain numbers."""
    return isinstance(value, list) and all(type(v) in (str, int, float, bool) for v in value)
