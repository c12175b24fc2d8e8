"""Data frames of pandas: columns of numpy's, of nullable and of Arrow dtypes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from .._core.holes import observed
from .._core.values import dtype_from
from ._cells import Column, is_zone, objects
from ._dtypes import OBJECT, Form, as_objects, held_by, holds_arrays, name_objects
from ._numbers import as_dates, as_real, as_whole

BOOL = np.dtype(bool)
_NULLABLE = (
    *("BooleanDtype", "Float32Dtype", "Float64Dtype"),
    *(f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)),
)


# Reading -----------------------------------------------------------------------------------------


def names(X: pd.DataFrame) -> list:
    """Return the names of the columns."""
    return list(X.columns)


def native(X: pd.DataFrame, position: int) -> pd.Series:
    """Return a column as it was given."""
    series = X.iloc[:, position]
    return series.sparse.to_dense() if isinstance(series.dtype, pd.SparseDtype) else series


def look(series: pd.Series) -> Column:
    """Return a column as an array of numpy's, times as instants in UTC."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(series.astype(object).to_numpy(), dtype.categories.tolist())
    if isinstance(dtype, np.dtype):
        return Column(series.to_numpy())
    unit, zone = _instants(dtype)
    if unit is not None:
        if zone is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return Column(series.to_numpy(dtype=f"datetime64[{unit}]"), zone=zone)
    if pd.api.types.is_bool_dtype(dtype):
        return Column(series.astype(object).to_numpy())
    if pd.api.types.is_numeric_dtype(dtype):
        return Column(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return Column(series.to_numpy(dtype=object, na_value=None))


def _instants(dtype: Any) -> tuple[str | None, str | None]:
    """Return the unit and the time zone of an extension dtype of times; None for any other."""
    if isinstance(dtype, pd.DatetimeTZDtype):
        return dtype.unit, str(dtype.tz)
    return _arrow().instants(dtype.pyarrow_dtype) if _is_arrow(dtype) else (None, None)


def _is_arrow(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype)


def _arrow() -> Any:
    """Return what knows the types of Arrow, which needs pyarrow."""
    from . import _arrow

    return _arrow


def cells(series: pd.Series) -> np.ndarray:
    """Return the cells of a column as objects."""
    return objects(series.astype(object).tolist())


def form(series: pd.Series, column: Column) -> Form:
    """Return what the cells of a column are to come back as."""
    if series.dtype == OBJECT:
        return Form(OBJECT, name_objects(column.types), column.zone)
    return Form(series.dtype)


def from_cells(column: Column, cells: np.ndarray) -> pd.Series:
    """Return a column that another container held."""
    if column.values.dtype.kind != "M":
        return pd.Series(cells, dtype=object)
    series = pd.Series(column.values)
    return (
        series if column.zone is None else series.dt.tz_localize("UTC").dt.tz_convert(column.zone)
    )


def select(X: pd.DataFrame, keys: list) -> pd.DataFrame:
    """Return some columns."""
    return X[[name for name in X.columns if name in keys]]


def take(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, by their numbers, of a frame or column."""
    return X.iloc[rows]


# Writing -----------------------------------------------------------------------------------------


def joined(chunks: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of chunks, columns in dtypes that hold those of all."""
    return pd.concat(chunks, ignore_index=True)


def like(X: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return rows in the dtypes of others of the same columns."""
    differ = {name: dtype for name, dtype in other.dtypes.items() if X.dtypes[name] != dtype}
    return X.astype(differ) if differ else X


def make(values: np.ndarray, form: Form) -> pd.Series | None:
    """Return cells in a form, None where it cannot hold them."""
    dtype = form.dtype
    if dtype == OBJECT:
        return pd.Series(as_objects(values, form), dtype=object)
    try:
        if _is_arrow(dtype):
            return pd.Series(_arrow().make(values, dtype.pyarrow_dtype))
        if isinstance(dtype, pd.CategoricalDtype):
            return _category(values, dtype)
        if holds_arrays(values) or (dtype == BOOL and not observed(values).all()):
            return None
        with np.errstate(over="ignore"):  # whoever asks compares what comes out
            return _numbers(values, dtype).astype(dtype)
    except (ArithmeticError, NotImplementedError, TypeError, ValueError):
        return None


def _category(values: np.ndarray, dtype: pd.CategoricalDtype) -> pd.Series | None:
    if not set(values[observed(values)].tolist()) <= set(dtype.categories):
        return None
    return pd.Series(pd.Categorical(objects(values.tolist()), dtype=dtype))


def _numbers(values: np.ndarray, dtype: Any) -> pd.Series:
    """Return cells as what casts to a dtype of numbers, dates or strings."""
    if values.dtype.kind == "M" and dtype.kind == "M":
        if isinstance(dtype, pd.DatetimeTZDtype):
            return pd.Series(as_dates(values, dtype.unit)).dt.tz_localize("UTC")
        return pd.Series(as_dates(values, np.datetime_data(dtype)[0]))
    if values.dtype.kind == "f" and dtype.kind in "iu":
        return pd.Series(as_whole(values, getattr(dtype, "numpy_dtype", dtype)))
    if values.dtype.kind == "f" and dtype.kind == "f":
        return pd.Series(as_real(values, getattr(dtype, "numpy_dtype", dtype)))
    if values.dtype.kind == "O" and dtype.kind in "iu":
        limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
        ints = [cell for cell in values if isinstance(cell, int)]
        if ints and not limits.min <= min(ints) <= max(ints) <= limits.max:
            raise OverflowError  # numpy 1 would wrap round
    return pd.Series(values, dtype=object if values.dtype.kind == "O" else None)


def natural(values: np.ndarray) -> pd.Series:
    """Return cells in a dtype of their own."""
    return pd.Series(values, dtype=object if holds_arrays(values) else None)


def wider(kept: pd.Series, form: Form) -> list[Form]:
    """Return forms that may hold what another one cannot."""
    forms = []
    if isinstance(kept.dtype, pd.CategoricalDtype) and isinstance(form.dtype, pd.CategoricalDtype):
        known = [kind.categories.tolist() for kind in (form.dtype, kept.dtype)]
        forms.append(Form(pd.CategoricalDtype(list(dict.fromkeys([*known[0], *known[1]])))))
    return [*forms, Form(OBJECT, name_objects(map(type, cells(kept))))]


def held(kept: pd.Series, form: Form) -> pd.Series | None:
    """Return observed cells in another form, None where it does not hold them exactly."""
    return held_by(kept, form, cells, make)


def arrange(kept: pd.Series, added: pd.Series, order: np.ndarray) -> pd.Series:
    """Return the cells of two columns of one dtype in an order."""
    return pd.concat([kept, added]).iloc[order]


def join(names: list, columns: list[pd.Series], index: pd.Index | None) -> pd.DataFrame:
    """Return a frame of columns."""
    if index is None:
        index = pd.RangeIndex(len(columns[0]))
    data = {name: series.set_axis(index) for name, series in zip(names, columns, strict=True)}
    return pd.DataFrame(data, index=index, columns=names)


def frame_of(values: np.ndarray, names: Any, index: pd.Index | None) -> pd.DataFrame:
    """Return a block of numbers as a frame."""
    return pd.DataFrame(values, columns=names, index=index)


def replace(X: pd.DataFrame, changed: dict[int, np.ndarray]) -> pd.DataFrame:
    """Return a copy in which some columns, by position, are others."""
    columns = [
        pd.Series(changed[i], index=X.index) if i in changed else X.iloc[:, i]
        for i in range(X.shape[1])
    ]
    return pd.concat(columns, axis=1).set_axis(X.columns, axis=1) if changed else X.copy()


# Dtypes in a file --------------------------------------------------------------------------------


def to_plain(dtype: Any) -> list:
    """Return a dtype as plain values; one that nothing can be learned of as that of objects."""
    name = type(dtype).__name__
    if isinstance(dtype, np.dtype):
        return ["numpy", str(dtype) if dtype.kind in "biufmM" else "object"]
    if isinstance(dtype, pd.CategoricalDtype):
        values, of = dtype.categories.tolist(), to_plain(dtype.categories.dtype)
        return [name, values, of, bool(dtype.ordered)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return [name, dtype.unit, str(dtype.tz)]
    if isinstance(dtype, pd.StringDtype):
        return [name, dtype.storage, dtype.na_value is pd.NA]
    with suppress(ValueError):
        if _is_arrow(dtype):
            return [name, _arrow().to_plain(dtype.pyarrow_dtype)]
    return [name] if name in _NULLABLE else ["numpy", "object"]


def from_plain(plain: list) -> Any:
    """Return a dtype again; see `to_plain`. Raises for any other list."""
    name, *arguments = plain
    if name in _NULLABLE and not arguments:
        return getattr(pd, name)()
    return _MAKERS[name](*arguments)


def _zoned_dtype(unit: str, zone: str) -> pd.DatetimeTZDtype:
    if not is_zone(zone):
        raise ValueError(f"{zone} is no time zone")
    return pd.DatetimeTZDtype(unit, zone)


def _string_dtype(storage: str, knows_na: bool) -> pd.StringDtype:
    return pd.StringDtype(storage) if knows_na else pd.StringDtype(storage, na_value=np.nan)


_MAKERS = {
    "numpy": dtype_from,
    "CategoricalDtype": lambda values, of, ordered: pd.CategoricalDtype(
        pd.Index(values, dtype=from_plain(of)), ordered
    ),
    "DatetimeTZDtype": _zoned_dtype,
    "StringDtype": _string_dtype,
    "ArrowDtype": lambda kind: pd.ArrowDtype(_arrow().from_plain(kind)),
}
