"""Types of Arrow, of columns of pandas; imported where one is met, as it needs pyarrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from .._core.holes import is_hole
from ._cells import is_zone
from ._numbers import as_dates, as_digits, as_real, as_whole

# Types with parameters: what makes them, and their parameters.
_MADE_OF = {
    "DictionaryType": ("dictionary", "index_type", "value_type", "ordered"),
    "FixedSizeListType": ("list_", "value_type", "list_size"),
    "LargeListType": ("large_list", "value_type"),
    "ListType": ("list_", "value_type"),
    "TimestampType": ("timestamp", "unit", "tz"),
    **{f"Decimal{n}Type": (f"decimal{n}", "precision", "scale") for n in (32, 64, 128, 256)},
}


def instants(kind: pa.DataType) -> tuple[str | None, str | None]:
    """Return the unit and the time zone of a type of times; None for any other."""
    return (kind.unit, kind.tz) if pa.types.is_timestamp(kind) else (None, None)


def make(values: np.ndarray, kind: pa.DataType) -> pd.arrays.ArrowExtensionArray:
    """Return predicted cells in a type; raises where it cannot hold them."""
    return pd.arrays.ArrowExtensionArray(_make(values, kind))


def _make(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return _make(values, kind.value_type).dictionary_encode().cast(kind)
    if values.dtype.kind == "O":
        cells = [None if is_hole(cell) else cell for cell in values.tolist()]
        cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
        return pa.array(cells, type=kind)
    if pa.types.is_timestamp(kind):
        # By their numbers: no time zone of them is looked at.
        return pa.array(as_dates(values, kind.unit)).cast(pa.int64()).cast(kind)
    return pa.array(_numbers(values, kind), from_pandas=True).cast(kind, safe=False)


def _numbers(values: np.ndarray, kind: pa.DataType) -> np.ndarray:
    """Return numbers or days as what casts to a type."""
    if values.dtype.kind == "M":
        return as_dates(values, "D")
    if pa.types.is_decimal(kind):
        return as_digits(values, kind.precision, kind.scale)
    if pa.types.is_integer(kind):
        return as_whole(values, kind.to_pandas_dtype())
    if pa.types.is_null(kind):
        return np.where(np.isnan(values), None, values)
    return as_real(values, kind.to_pandas_dtype()) if pa.types.is_floating(kind) else values


def to_plain(kind: pa.DataType) -> list:
    """Return a type as a list of its name and parameters; raises ValueError for one of others."""
    name = type(kind).__name__
    if name not in _MADE_OF:
        pa.type_for_alias(str(kind))
        return [str(kind)]
    parameters = [getattr(kind, parameter) for parameter in _MADE_OF[name][1:]]
    return [name, *(to_plain(p) if isinstance(p, pa.DataType) else p for p in parameters)]


def from_plain(plain: Any) -> pa.DataType:
    """Return a type again; see `to_plain`. Raises for any other list."""
    name, *parameters = plain
    if name not in _MADE_OF:
        return pa.type_for_alias(name)
    if name == "TimestampType" and parameters[1:] and not is_zone(parameters[1] or "UTC"):
        raise ValueError(f"{parameters[1]} is no time zone")
    make = getattr(pa, _MADE_OF[name][0])
    return make(*(from_plain(p) if isinstance(p, list) else p for p in parameters))
