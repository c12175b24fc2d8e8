"""Data frames of polars; imported where one is met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from .._core.holes import is_hole
from ._cells import Column, is_zone, objects
from ._dtypes import Form, as_objects, holds_arrays, name_objects
from ._numbers import as_dates, as_digits, as_real, as_whole

# What numpy has, too; larger numbers are read as float64.
_OF_NUMPY = (
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
    *(pl.Float32, pl.Float64),
)
LARGEST = 2.0**126  # number that is written, of 128 bits
_PLAIN = (
    *("Boolean", "Date", "Null", "Object", "String", "Float16", "Float32", "Float64"),
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)),
)
_PARAMETERS = {"Datetime": ("time_unit", "time_zone"), "Decimal": ("precision", "scale")}
_FAILURES = (pl.exceptions.PolarsError, ArithmeticError, TypeError, ValueError)


# Reading -----------------------------------------------------------------------------------------


def names(X: pl.DataFrame) -> list:
    """Return the names of the columns."""
    return X.columns


def native(X: pl.DataFrame, position: int) -> pl.Series:
    """Return a column as it was given."""
    return X.to_series(position)


def look(series: pl.Series) -> Column:
    """Return a column as an array of numpy's, times as instants in UTC."""
    dtype = series.dtype
    if dtype.is_numeric():
        exact = dtype in _OF_NUMPY and not (dtype.is_integer() and series.null_count())
        return Column((series if exact else series.cast(pl.Float64)).to_numpy())
    if dtype == pl.Datetime and dtype.time_zone is not None:
        instants = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return Column(instants.to_numpy(), zone=dtype.time_zone)
    if dtype in (pl.Date, pl.Datetime) or (dtype == pl.Boolean and not series.null_count()):
        return Column(series.to_numpy())
    categories = None
    if dtype == pl.Enum:
        categories = dtype.categories.to_list()
    elif dtype == pl.Categorical:
        categories = series.drop_nulls().unique().cast(pl.String).sort().to_list()
    return Column(cells(series), categories)


def cells(series: pl.Series) -> np.ndarray:
    """Return the cells of a column as objects."""
    return objects(series.to_list())


def form(series: pl.Series, column: Column) -> Form:
    """Return what the cells of a column are to come back as."""
    if series.dtype == pl.Object:
        return Form(series.dtype, name_objects(column.types), column.zone)
    return Form(series.dtype)


def from_cells(column: Column, cells: np.ndarray) -> pl.Series:
    """Return a column that another container held."""
    if column.values.dtype.kind == "M":
        unit = np.datetime_data(column.values.dtype)[0]
        dtype = pl.Datetime(unit if unit in ("ms", "us", "ns") else "us", column.zone)
        return _dates(column.values, dtype)
    if column.zone is not None:  # objects; older versions forget their zones
        instants = pd.to_datetime(pd.Series(cells, dtype=object), utc=True).dt.tz_localize(None)
        return _dates(instants.to_numpy("datetime64[us]"), pl.Datetime("us", column.zone))
    return pl.Series([None if is_hole(cell) else cell for cell in cells.tolist()], strict=False)


def select(X: pl.DataFrame, keys: list) -> pl.DataFrame:
    """Return some columns."""
    return X.select([name for name in X.columns if name in keys])


def take(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, by their numbers, of a frame or column."""
    return X[rows]


# Writing -----------------------------------------------------------------------------------------


def joined(chunks: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of chunks, columns in dtypes that hold those of all."""
    return pl.concat(chunks, how="vertical_relaxed")


def like(X: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return rows in the dtypes of others of the same columns."""
    return X.cast(dict(other.schema)) if X.schema != other.schema else X


def make(values: np.ndarray, form: Form) -> pl.Series | None:
    """Return cells in a form, None where it cannot hold them."""
    dtype = form.dtype
    if dtype == pl.Object:
        return pl.Series(as_objects(values, form).tolist(), dtype=pl.Object)
    if holds_arrays(values) and not dtype.is_nested():
        return None
    try:
        if values.dtype.kind == "M":
            return _dates(values, dtype)
        if values.dtype.kind in "iuf":
            return _numbers(values, dtype)
        return _objects(values, dtype)
    except _FAILURES:
        return None


def _dates(dates: np.ndarray, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Date:
        return pl.Series(as_dates(dates, "D"))
    series = pl.Series(as_dates(dates, dtype.time_unit))
    if dtype.time_zone is None:
        return series
    return series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)


def _numbers(numbers: np.ndarray, dtype: pl.DataType) -> pl.Series:
    if dtype.is_float():
        return pl.Series(as_real(numbers, str(dtype).lower())).cast(dtype)
    if dtype.is_decimal():
        numbers = as_digits(numbers, dtype.precision, dtype.scale)
    elif dtype in _OF_NUMPY:
        numbers = as_whole(numbers, str(dtype).lower())
    elif dtype.is_integer():
        numbers = np.clip(np.rint(numbers), 0 if str(dtype)[0] == "U" else -LARGEST, LARGEST)
    return pl.Series(numbers.astype(np.float64)).fill_nan(None).cast(dtype)


def _objects(values: np.ndarray, dtype: pl.DataType) -> pl.Series:
    known = [None if is_hole(cell) else cell for cell in values.tolist()]
    if dtype in (pl.Categorical, pl.Enum):
        return pl.Series(known, dtype=pl.String).cast(dtype)
    known = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in known]
    return pl.Series(known, dtype=dtype)


def natural(values: np.ndarray) -> pl.Series:
    """Return cells in a dtype of their own."""
    if holds_arrays(values):
        return pl.Series(values.tolist(), dtype=pl.Object)
    return pl.Series(values.tolist() if values.dtype.kind == "O" else values)


def wider(kept: pl.Series, form: Form) -> list[Form]:
    """Return forms that may hold what another one cannot."""
    return [
        Form({"number": pl.Float64(), "string": pl.String()}.get(_sort_of(kept.dtype), pl.Null()))
    ]


def held(kept: pl.Series, form: Form) -> pl.Series | None:
    """Return observed cells in another form, None where it does not hold them exactly."""
    if kept.dtype == form.dtype:
        return kept
    if _sort_of(kept.dtype) is None or _sort_of(kept.dtype) != _sort_of(form.dtype):
        return None
    try:
        again = _cast(kept, form.dtype)
        return again if (_cast(again, kept.dtype) == kept).all() else None
    except _FAILURES:
        return None


def _sort_of(dtype: pl.DataType) -> str | None:
    """Say between which dtypes cells stay what they are; None for those that stand alone."""
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "string"
    if dtype == pl.Datetime:
        return "instant" if dtype.time_zone else "time"
    return "number" if dtype.is_numeric() else None


def _cast(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Datetime and dtype.time_zone is not None:
        return series.dt.convert_time_zone(dtype.time_zone).dt.cast_time_unit(dtype.time_unit)
    return series.cast(dtype)


def arrange(kept: pl.Series, added: pl.Series, order: np.ndarray) -> pl.Series:
    """Return the cells of two columns of one dtype in an order."""
    return pl.concat([kept, added])[order]


def join(names: list, columns: list[pl.Series], index: None) -> pl.DataFrame:
    """Return a frame of columns."""
    return pl.DataFrame([series.alias(name) for name, series in zip(names, columns, strict=True)])


def frame_of(values: np.ndarray, names: Any, index: None) -> pl.DataFrame:
    """Return a block of numbers as a frame."""
    return pl.DataFrame(dict(zip(map(str, names), values.T, strict=True)))


def replace(X: pl.DataFrame, changed: dict[int, np.ndarray]) -> pl.DataFrame:
    """Return a copy in which some columns, by position, are others."""
    new = []
    for position, values in changed.items():
        old = X.to_series(position)
        if values.dtype.kind != "O":
            made = pl.Series(values)
        elif old.dtype == pl.Object:
            made = pl.Series(values.tolist(), dtype=pl.Object)
        else:
            made = pl.Series([None if is_hole(cell) else cell.tolist() for cell in values])
        new.append(made.alias(old.name))
    return X.with_columns(new)


# Dtypes in a file --------------------------------------------------------------------------------


def to_plain(dtype: pl.DataType) -> list:
    """Return a dtype as plain values; one that nothing can be learned of as that of objects."""
    name = dtype.base_type().__name__
    if name in ("List", "Array"):
        return [name, to_plain(dtype.inner), *([dtype.size] if name == "Array" else [])]
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    if name == "Categorical":
        categories = getattr(dtype, "categories", None)  # which older versions do not name
        return [name] if categories is None or categories.is_global() else [name, categories.name()]
    if name in _PARAMETERS:
        return [name, *(getattr(dtype, parameter) for parameter in _PARAMETERS[name])]
    return [name] if name in _PLAIN else ["Object"]


def from_plain(plain: list) -> pl.DataType:
    """Return a dtype again; see `to_plain`. Raises for any other list."""
    name, *parameters = plain
    if name not in (*_PLAIN, *_PARAMETERS, "Array", "Categorical", "Enum", "List"):
        raise ValueError(f"{name} is no dtype of a column")
    if name in ("List", "Array"):
        parameters[0] = from_plain(parameters[0])
    if name == "Datetime" and parameters[1] is not None and not is_zone(parameters[1]):
        raise ValueError(f"{parameters[1]} is no time zone")
    return getattr(pl, name)(*parameters)
