"""What users hand in, and get back: pandas, polars, arrays, sparse matrices, SliceDict.

Reading turns each container into a `Frame` of numpy columns; `rebuild` makes the same container
again. The dtypes to come back as are plain dicts (`Frame.schema`), so that a fitted estimator
holds no code and saves as JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.utils.validation import check_array

from .._core.errors import listing
from .._core.holes import observed
from ._cells import Cells
from ._numbers import as_whole

__all__ = ["Frame", "read", "rebuild"]

LARGEST_DENSE = 8 * 2**30  # bytes that a sparse matrix may take when made dense


@dataclass
class Frame:
    """A table as numpy columns.

    Attributes
    ----------
    kind : {"pandas", "polars", "array", "slicedict"}
    names : list
        Column names; positions for arrays.
    columns : list of ndarray, or None
        One per name; None where `matrix` holds them all.
    matrix : ndarray of shape (rows, columns) or None
        A numeric array as it came, not copied.
    schema : list of dict
        Per column what it takes to come back: ``{"dtype": ..., ...}``.
    categories : dict of name to list
    index : pandas.Index or None
    n_rows : int
    """

    kind: str
    names: list
    columns: list | None
    schema: list
    n_rows: int
    matrix: np.ndarray | None = None
    categories: dict = None
    index: pd.Index | None = None

    def column(self, position):
        """Return one column."""
        return self.columns[position] if self.matrix is None else self.matrix[:, position]

    def take(self, rows):
        """Return the rows at some places."""
        return replace(
            self,
            columns=self.columns and [column[rows] for column in self.columns],
            matrix=None if self.matrix is None else self.matrix[rows],
            index=None if self.index is None else self.index[rows],
            n_rows=len(rows),
        )

    def cells(self, positions):
        """Return some columns as `Cells`, without copying a block of numbers."""
        names = tuple(self.names[j] for j in positions)
        if self.matrix is not None:
            first, step = positions[0], np.diff(positions)
            if (step == 1).all():  # a slice is a view; a list of positions would be a copy
                block = self.matrix[:, first : first + len(positions)]
            else:
                block = self.matrix[:, positions]
            return Cells.of_matrix(names, block)
        columns = [self.columns[j] for j in positions]
        if len(columns) == 1 and columns[0].ndim == 2 and columns[0].dtype.kind in "biuf":
            inner = tuple(f"{names[0]}[{i}]" for i in range(columns[0].shape[1]))
            return Cells.of_matrix(inner, columns[0])
        declared = {n: self.categories[n] for n in names if n in (self.categories or {})}
        return Cells(names, tuple(columns), categories=declared)


def read(X, estimator):
    """Read any container of rows that scikit-learn's tools can split.

    Parameters
    ----------
    X : pandas or polars DataFrame, array, sparse matrix or SliceDict
    estimator : estimator
        Named in scikit-learn's own messages.

    Returns
    -------
    Frame

    Raises
    ------
    TypeError, ValueError
        For containers that break in splitters (dict, list of arrays), with what to write instead.
    """
    if isinstance(X, pd.DataFrame):
        frame = _read_pandas(X)
    elif type(X).__module__.split(".")[0] == "polars":
        frame = _read_polars(X)
    elif type(X).__name__ == "SliceDict":
        frame = _read_slicedict(X)
    else:
        frame = _read_array(X, estimator)
    if not frame.names:
        raise ValueError(
            f"Found array with 0 feature(s) (shape=({frame.n_rows}, 0)) while a minimum of 1 is"
            " required."
        )
    if not frame.n_rows:
        raise ValueError(
            f"Found array with 0 sample(s) (shape=(0, {len(frame.names)})) while a minimum of 1 is"
            " required."
        )
    return frame


def _read_pandas(X):
    if isinstance(X.columns, pd.MultiIndex):
        raise TypeError(
            "the columns are a MultiIndex, whose names are tuples. Flatten them first:"
            " X.columns = ['_'.join(map(str, c)) for c in X.columns]"
        )
    repeated = X.columns[X.columns.duplicated()].unique().tolist()
    if repeated:
        raise ValueError(f"columns {repeated} occur more than once. Rename or drop them.")
    columns, schema, categories = [], [], {}
    for name in X.columns:
        column = X[name]
        dtype = column.dtype
        described = {"dtype": str(dtype)}
        if isinstance(dtype, pd.CategoricalDtype):
            categories[name] = dtype.categories.tolist()
            described = {
                "dtype": "category",
                "categories": categories[name],
                "ordered": bool(dtype.ordered),
            }
            values = column.astype(object).to_numpy()
        elif isinstance(dtype, pd.DatetimeTZDtype):
            values = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        elif isinstance(dtype, pd.SparseDtype):
            values = column.sparse.to_dense().to_numpy()
            described = {"dtype": str(values.dtype)}
        elif isinstance(dtype, np.dtype):
            values = column.to_numpy()
        elif pd.api.types.is_bool_dtype(dtype):
            values = column.astype(object).to_numpy()
        elif pd.api.types.is_numeric_dtype(dtype):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        elif isinstance(dtype, pd.ArrowDtype) and pd.api.types.is_datetime64_any_dtype(dtype):
            values = column.astype("datetime64[ns]").to_numpy()
        else:
            values = column.to_numpy(dtype=object, na_value=None)
        columns.append(values)
        schema.append(described)
    return Frame("pandas", list(X.columns), columns, schema, len(X), None, categories, X.index)


def _read_polars(X):
    import polars as pl

    if isinstance(X, pl.LazyFrame):
        raise TypeError("a polars LazyFrame has no rows yet. Give X.collect().")
    if not isinstance(X, pl.DataFrame):
        raise TypeError(f"a polars {type(X).__name__} is no table. Give X.to_frame().")
    columns, schema, categories = [], [], {}
    for series in X.get_columns():
        described = {"dtype": str(series.dtype)}
        if series.dtype.is_numeric():
            if series.dtype.is_integer() and series.null_count():
                values = series.cast(pl.Float64).to_numpy()
            else:
                values = series.to_numpy()
        elif series.dtype in (pl.Date, pl.Datetime):
            described = {
                "dtype": type(series.dtype).__name__ if series.dtype != pl.Date else "Date",
                "time_unit": getattr(series.dtype, "time_unit", None),
                "time_zone": getattr(series.dtype, "time_zone", None),
            }
            values = series.dt.replace_time_zone(None) if described["time_zone"] else series
            values = values.to_numpy()
        elif series.dtype in (pl.Categorical, pl.Enum):
            if series.dtype == pl.Enum:
                known = series.dtype.categories
            else:
                known = series.drop_nulls().unique().cast(pl.String).sort()
            categories[series.name] = known.to_list()
            described = {
                "dtype": "Enum" if series.dtype == pl.Enum else "Categorical",
                "categories": categories[series.name],
            }
            values = _objects(series.to_list())
        elif series.dtype == pl.Boolean and not series.null_count():
            values = series.to_numpy()
        else:
            values = _objects(series.to_list())
        columns.append(values)
        schema.append(described)
    return Frame("polars", X.columns, columns, schema, X.height, None, categories)


def _read_slicedict(X):
    columns, schema = [], []
    for values in X.values():
        values = np.asarray(_filled(values))
        if values.ndim == 1 and values.dtype.kind in "US":
            values = values.astype(object)
        described = {"dtype": str(values.dtype)}
        if values.ndim == 2 and values.dtype.kind in "biuf":  # a block of numbers
            described["width"] = values.shape[1]
        columns.append(values)
        schema.append(described)
    return Frame("slicedict", list(X), columns, schema, len(X), None, {})


def _read_array(X, estimator):
    if isinstance(X, dict) and not scipy.sparse.issparse(X):  # a dok_matrix is a dict
        lengths = ", ".join(f"{k!r}: {len(v)}" for k, v in X.items() if hasattr(v, "__len__"))
        raise TypeError(
            f"X is a dict (lengths {lengths}), which scikit-learn's splitters cut by key, not by"
            " row. Write sklearn_mmae.datasets.as_frame(**X), or skorch.helper.SliceDict(**X)."
        )
    if not (hasattr(X, "__len__") or hasattr(X, "__array__")) or isinstance(X, str | bytes | set):
        raise TypeError(
            f"X is a {type(X).__name__}, not a table. Give a DataFrame or an array (rows, columns)."
        )
    if (
        isinstance(X, list | tuple)
        and X
        and all(getattr(view, "ndim", 0) >= 2 or isinstance(view, pd.DataFrame) for view in X)
    ):
        raise TypeError(
            f"X is a {type(X).__name__} of {len(X)} arrays, which scikit-learn's splitters take for"
            " as many rows. Write skorch.helper.SliceDict(first=..., second=...), or join them in"
            " one DataFrame."
        )
    if isinstance(X, list | tuple):
        X = _as_array(X)
    if hasattr(X, "detach"):
        X = X.detach().cpu()
        X = (X.float() if X.dtype.is_floating_point and X.itemsize < 4 else X).numpy()
    if hasattr(X, "compute") and hasattr(X, "dask"):
        raise TypeError("X is a dask collection. Give X.compute(), or one partition at a time.")
    X = _filled(X)
    if scipy.sparse.issparse(X):
        X = check_array(
            X, accept_sparse=True, ensure_all_finite=False, input_name="X", estimator=estimator
        )
        size = X.shape[0] * X.shape[1] * 4
        if size > LARGEST_DENSE:
            raise ValueError(
                f"the sparse X of shape {X.shape} would take {size / 2**30:.0f} GiB when made"
                " dense. Keep fewer columns (max_features=, TruncatedSVD), or hand in the texts"
                " themselves as a TextModality."
            )
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
        X = X.astype(dtype).toarray()
    elif isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUM" and X.size:
        numbers = _as_numbers(X) if X.dtype.kind == "O" else None
        if numbers is None:
            values = X.astype(object) if X.dtype.kind == "U" else X
            columns = [values[:, j] for j in range(X.shape[1])]
            schema = [{"dtype": str(values.dtype)} for _ in columns]
            return Frame("array", list(range(X.shape[1])), columns, schema, len(X), None, {})
        X = numbers
    if getattr(getattr(X, "dtype", None), "names", None):
        raise TypeError("X is a structured array. Give pandas.DataFrame(X).")
    X = check_array(
        X, dtype="numeric", ensure_all_finite=False, input_name="X", estimator=estimator
    )
    if X.dtype.kind not in "biuf":
        raise TypeError(
            f"X has dtype {X.dtype}. Give numbers, or a DataFrame whose columns say what they are."
        )
    schema = [{"dtype": str(X.dtype)}] * X.shape[1]
    return Frame("array", list(range(X.shape[1])), None, schema, len(X), matrix=X)


def _as_array(rows):
    """Return a list of rows as an array, of objects where they hold more than numbers."""
    if any(isinstance(row, dict) for row in rows):
        raise TypeError(f"X is a {type(rows).__name__} of dicts. Give pandas.DataFrame(X).")
    try:
        array = np.asarray(rows)
    except ValueError:
        lengths = list(dict.fromkeys(np.size(row) for row in rows))
        raise ValueError(
            f"the rows of X have different lengths ({listing(lengths)}). Give every row as many"
            " cells, None where one is missing."
        ) from None
    # Beside a str numpy would turn numbers into text.
    return np.array(rows, dtype=object) if array.dtype.kind in "US" else array


def _filled(X):
    """Return a masked array as an array with holes; any other X as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if X.dtype.kind in "biuf":
        return X.astype(np.result_type(X.dtype, np.float32)).filled(np.nan)
    if X.dtype.kind in "mM":
        return X.filled(np.array("NaT", X.dtype))
    cells = np.array(X.data, dtype=object)
    cells[np.ma.getmaskarray(X)] = None
    return cells


def _as_numbers(X):
    """Return an object array as float64 where every cell is a number or a hole, else None."""
    if any(isinstance(cell, str | bytes) for cell in X.flat):
        return None
    numbers = np.full(X.shape, np.nan)
    there = observed(X.ravel()).reshape(X.shape)
    try:
        numbers[there] = X[there].astype(np.float64)
    except (TypeError, ValueError):
        return None
    return numbers


def _objects(cells):
    column = np.empty(len(cells), object)
    for i, cell in enumerate(cells):  # slice assignment would unpack lists of equal length
        column[i] = cell
    return column


def rebuild(kind, names, columns, schema, index=None):
    """Make a container of predicted or filled-in columns.

    Parameters
    ----------
    kind : {"pandas", "polars", "array", "slicedict"}
    names : list
    columns : list of ndarray, each of shape (rows, ...)
    schema : list of dict
        As `Frame.schema`.
    index : pandas.Index, optional

    Returns
    -------
    DataFrame, ndarray or SliceDict
    """
    if kind == "pandas":
        data = {
            name: _pandas_column(column, described, index)
            for name, column, described in zip(names, columns, schema, strict=True)
        }
        return pd.DataFrame(data, index=index, columns=names)
    if kind == "polars":
        return _polars_frame(names, columns, schema)
    if kind == "slicedict":
        from skorch.helper import SliceDict

        arrays = [
            # Pictures that came as one array go back as one, where they are of one size.
            np.stack(column)
            if column.dtype.kind == "O"
            and described["dtype"] != "object"
            and len({np.shape(cell) for cell in column}) == 1
            else column
            for column, described in zip(columns, schema, strict=True)
        ]
        return SliceDict(**dict(zip(names, arrays, strict=True)))
    dtypes = {str(c.dtype) for c in columns}
    if len(dtypes) == 1:
        return np.stack(columns, 1)
    return np.stack([c.astype(object) for c in columns], 1)


def _pandas_column(column, described, index):
    dtype = described["dtype"]
    if column.dtype.kind == "O" and (dtype == "object" or _holds_arrays(column)):
        return pd.Series(_objects(list(column)), index=index, dtype=object)
    if dtype == "category":
        kind = pd.CategoricalDtype(described["categories"], described["ordered"])
        return pd.Series(pd.Categorical(_objects(list(column)), dtype=kind), index=index)
    if dtype.startswith("datetime64") and "," in dtype:  # datetime64[ns, Europe/Paris]
        zone = dtype[:-1].split(", ")[1]
        column = pd.Series(column, index=index).dt.tz_localize("UTC").dt.tz_convert(zone)
        return column.astype(dtype)
    column = _whole_if_asked(column, dtype)
    series = pd.Series(column, index=index)
    try:
        return series.astype(dtype)
    except (TypeError, ValueError):
        # A hole that could not be filled, in a dtype without holes: stays what it is.
        return series


def _holds_arrays(column):
    """Whether cells come back as arrays, whatever they were: paths, as text, come as pictures."""
    return column.dtype.kind == "O" and any(isinstance(cell, np.ndarray) for cell in column)


def _polars_frame(names, columns, schema):
    import polars as pl

    made = []
    for name, column, described in zip(names, columns, schema, strict=True):
        dtype = described["dtype"]
        values = column.tolist() if column.dtype.kind == "O" else column
        if dtype in ("Enum", "Categorical"):
            target = pl.Enum(described["categories"]) if dtype == "Enum" else pl.Categorical
            made.append(pl.Series(name, values, dtype=pl.String).cast(target))
            continue
        if dtype in ("Date", "Datetime"):
            series = pl.Series(name, values)
            if dtype == "Date":
                made.append(series.cast(pl.Date))
            else:
                unit, zone = described["time_unit"], described["time_zone"]
                series = series.cast(pl.Datetime(unit))
                made.append(series.dt.replace_time_zone(zone) if zone else series)
            continue
        if dtype.startswith(("List(", "Array(")):
            made.append(_polars_nested(name, values, dtype))
            continue
        if dtype == "Object" or _holds_arrays(column):
            made.append(pl.Series(name, values, dtype=pl.Object))
            continue
        series = pl.Series(name, _whole_if_asked(values, dtype))
        target = getattr(pl, dtype, None)  # None for other nested dtypes
        made.append(series if target is None else series.cast(target))
    return pl.DataFrame(made)


def _polars_nested(name, cells, dtype):
    """Return arrays as a series of lists, or of arrays of one shape where they have it."""
    import polars as pl

    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    inner = re.match(r"(?:List\(|Array\()+(\w+)", dtype)
    shape = re.search(r"^Array.*shape=\(?([\d, ]+)\)", dtype)
    series = pl.Series(name, cells)
    target = series.dtype
    while isinstance(target, pl.List):
        target = target.inner
    if inner is None or not target.is_numeric():
        return series
    kind = getattr(pl, inner[1], target)
    same = {np.shape(cell) for cell in cells if cell is not None}
    if shape is not None and len(same) == 1:
        return series.cast(pl.Array(kind, same.pop()))
    for _ in range(dtype.partition(",")[0].count("(")):
        kind = pl.List(kind)
    return series.cast(kind)


def _whole_if_asked(column, dtype):
    """Return floats as whole numbers where an integer dtype that knows holes asks for them."""
    whole = re.match(r"u?int(8|16|32|64)(\[pyarrow\])?$", dtype.lower())
    if whole and isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return as_whole(column, dtype.lower().removesuffix("[pyarrow]"))
    return column
