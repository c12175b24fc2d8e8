"""What was observed stays as it was given: over every dtype that pandas, Arrow and polars have.

The dtypes are looked for, not listed: one that a later version adds is tested, too.
"""

import datetime as dt
import decimal
import numbers
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_mmae import CellError, MultimodalAutoencoder, TabularModality

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn_mmae.DataWarning"),
    # Of pyarrow and polars, about types that are new.
    pytest.mark.filterwarnings("ignore:.*experimental.*"),
]

N = 20
NOW = dt.datetime(2024, 10, 27, 0, 0)
TOKYO = dt.timezone(dt.timedelta(hours=9))

# What a column may hold, the first that a dtype takes is tested.
SAMPLES = {
    "text": ["a", "b"] * (N // 2),  # before whole numbers, which strings would be taken for
    "whole": list(range(N)),
    "decimals": [decimal.Decimal(i) / 4 for i in range(N)],
    "bools": [True, False] * (N // 2),
    "days": [NOW.date() + dt.timedelta(i) for i in range(N)],
    "times": [NOW + dt.timedelta(hours=i) for i in range(N)],
    "instants": [NOW.replace(tzinfo=TOKYO) + dt.timedelta(hours=i) for i in range(N)],
    "signals": [[float(i), 2.0 * i] for i in range(N)],
    "bytes": [bytes([65 + i]) for i in range(N)],
    "clocks": [dt.time(i) for i in range(N)],
    "durations": [dt.timedelta(hours=i) for i in range(N)],
    "intervals": list(pd.interval_range(0, N)),
    "records": [{"a": i} for i in range(N)],
    "pairs": [[("a", i)] for i in range(N)],
    "nothing": [None] * N,
}
PARAMETERS = (
    *((), ("us",), ("ns",), ("us", "Asia/Tokyo"), (10, 2), (["a", "b"],), ("D",)),
    *((pa.int32(), pa.string()), (pa.float64(),), (pa.float64(), 2), ([("a", pa.int64())],)),
    *((pl.Float64,), (pl.Float64, 2), ([pl.Field("a", pl.Int64)],), (pa.string(), pa.int64())),
)


def subclasses(kind):
    every = {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))
    return sorted(every, key=str)  # for all processes that share the tests


def made_by(makers, wanted):
    """Return what makers give, of any parameters that they take."""
    found = {}
    for make in makers:
        for parameters in PARAMETERS:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    dtype = make(*parameters)
                    name = str(dtype)
            except Exception:
                continue
            if isinstance(dtype, wanted):
                found.setdefault(name, dtype)
    return found


def of_pandas():
    numpy = [np.dtype(code) for code in np.typecodes["All"] if code not in "Mm"]
    times = [np.dtype(f"{code}[{u}]") for code in ("M8", "m8") for u in ("s", "ms", "us", "ns")]
    kinds = [k for k in subclasses(pd.api.extensions.ExtensionDtype) if k is not pd.ArrowDtype]
    kinds = [kind for kind in kinds if getattr(pd, kind.__name__, None) is kind]
    zoned = [lambda u=u: pd.DatetimeTZDtype(u, "Europe/Paris") for u in ("s", "ms", "us", "ns")]
    texts = [lambda s=s: pd.StringDtype(s) for s in ("python", "pyarrow")]
    names = [name[3:] for name in dir(pa.types) if name.startswith("is_")]
    makers = [getattr(pa, name, getattr(pa, f"{name}_", None)) for name in names]
    arrow = made_by(filter(callable, makers), pa.DataType)
    return (
        {str(dtype): dtype for dtype in (*numpy, *times)}
        | made_by([*kinds, *zoned], pd.api.extensions.ExtensionDtype)
        | {f"string of {make().storage}": make() for make in texts}
        | {f"arrow {name}": pd.ArrowDtype(kind) for name, kind in arrow.items()}
    )


def of_polars():
    kinds = [kind for kind in subclasses(pl.DataType) if getattr(pl, kind.__name__, None) is kind]
    zones = (None, "UTC", "Europe/Paris")
    kinds += [lambda u=u, z=z: pl.Datetime(u, z) for u in ("ms", "us", "ns") for z in zones]
    return made_by(kinds, pl.DataType)


def pandas_column(dtype):
    for name, cells in SAMPLES.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                series = pd.Series(cells, dtype=object).astype(dtype)
                known = list(series) and series.notna().all()
        except Exception:
            continue
        if known or (name == "nothing" and series.dtype.name.startswith("null")):
            return series
    return None


def polars_column(dtype):
    for cells in SAMPLES.values():
        try:
            series = pl.Series(cells, dtype=dtype)
        except Exception:
            continue
        if cells[0] is None or not series.null_count():
            return series
    return None


def columns(dtypes, make):
    made = {name: make(dtype) for name, dtype in dtypes.items()}
    return {name: column for name, column in made.items() if column is not None}


PANDAS = columns(of_pandas(), pandas_column)
POLARS = columns(of_polars(), polars_column)


def new():
    return MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)


def frame_of(column):
    """Return a frame of a column beside a number, which the column goes with."""
    make = pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame
    return make({"x": np.arange(float(len(column))), "c": column})


def cells_of(column):
    return column.to_list() if isinstance(column, pl.Series) else column.astype(object).tolist()


def is_missing(cell):
    return cell is None or cell is pd.NA or cell is pd.NaT or (np.isscalar(cell) and cell != cell)


def leaf(cell):
    while isinstance(cell, list | np.ndarray):
        cell = cell[0]
    return cell


def sort_of(cell):
    for kind in (bool | np.bool_, numbers.Number, str, dt.datetime, dt.date):
        if isinstance(cell, kind):
            return kind
    return type(cell)


def assert_stays(given, filled):
    """Assert that what is observed is equal, to the last bit and in kind."""
    given, filled = cells_of(given), cells_of(filled)
    assert len(given) == len(filled)
    for before, after in zip(given, filled, strict=True):
        if is_missing(before):
            continue
        if isinstance(before, list | np.ndarray):
            np.testing.assert_array_equal(after, before)
            continue
        assert sort_of(after) == sort_of(before)
        assert after == before
        if isinstance(before, float):
            assert np.signbit(after) == np.signbit(before)


def with_holes(column):
    """Return a column of the same dtype with holes, or None where that has none."""
    hole = np.arange(len(column)) % 3 == 0
    if isinstance(column, pl.Series):
        if column.dtype == pl.Object:
            return None
        return pl.select(pl.when(~hole).then(column).alias("c")).to_series()
    if isinstance(column.dtype, pd.SparseDtype):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        holed = column.astype(object).where(~hole, None)
        try:
            holed = holed.astype(column.dtype)
        except (TypeError, ValueError):
            return None
    return holed if holed.isna().any() else None


def dense(dtype):
    return dtype.subtype if isinstance(dtype, pd.SparseDtype) else dtype


# Of these nothing can be learned.
STRANGE = (
    *(dt.timedelta, dt.time, bytes, dict, complex, np.complexfloating, tuple),
    *(np.void, pd.Period, pd.Interval),
)
COLUMNS = {f"pandas: {name}": column for name, column in PANDAS.items()}
COLUMNS |= {f"polars: {name}": column for name, column in POLARS.items()}
REFUSED = [name for name, c in COLUMNS.items() if isinstance(leaf(cells_of(c)[0]), STRANGE)]
LEARNED = [name for name in COLUMNS if name not in REFUSED]


def test_there_are_enough_dtypes_to_prove_something():
    assert len([name for name in LEARNED if name.startswith("pandas")]) > 50
    assert len(LEARNED) > len(REFUSED) > 20


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_observed_stays(name):
    column = COLUMNS[name]
    X = frame_of(column)
    mmae = new().fit(X)
    again = pickle.loads(pickle.dumps(mmae))
    for fitted in (mmae, again):
        assert fitted.reconstruct(X)["c"].dtype == dense(column.dtype)
    whole = mmae.impute(X)["c"]
    assert whole.dtype == dense(column.dtype)
    assert_stays(column, whole)
    holed = with_holes(column)
    if holed is not None:
        filled = mmae.impute(frame_of(holed))["c"]
        assert filled.dtype == column.dtype
        assert_stays(holed, filled)
        if not all(map(is_missing, cells_of(column))):
            assert not any(map(is_missing, cells_of(filled)))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_is_refused(name):
    X = frame_of(COLUMNS[name])
    with pytest.raises(CellError, match="column 'c'") as caught:
        new().fit(X)
    assert caught.value.remedy
    beside = new().set_params(modalities=[("x", TabularModality(), ["x"])]).fit(X)
    pickle.loads(pickle.dumps(beside)).transform(X)  # where nothing is learned of it, it may be


# Fitted on another dtype -------------------------------------------------------------------------

ODD = {
    "number": [2**53 + 1, -1000, 300, 2.5, 1e-3, 7, 0, 1],
    "text": ["a", "b", "green", "A", "", "1", "b", "a"],
    "time": [NOW + dt.timedelta(microseconds=i) for i in (0, 1, 10**6, 10**9)] * 2,
    "instant": [
        NOW.replace(tzinfo=dt.UTC) + dt.timedelta(minutes=i) for i in (0, 30, 60, 61, 90, 120)
    ]
    + [NOW.replace(tzinfo=TOKYO), NOW.replace(tzinfo=TOKYO)],
}


def sort_of_column(column):
    cell = cells_of(column)[0]
    no_number = bool | np.bool_ | list | np.ndarray | complex | np.complexfloating
    category = isinstance(column.dtype, pd.CategoricalDtype)
    if isinstance(cell, no_number) or column.dtype == object or category:
        return None
    if isinstance(cell, dt.datetime):
        return "instant" if cell.tzinfo else "time"
    if isinstance(cell, numbers.Number):
        return "number"
    return "text" if isinstance(cell, str) else None


def odd_column(column, sort):
    """Return what a dtype can hold of the odd cells, some of them missing where they may be."""
    kept = []
    for cell in ODD[sort]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one = like(cell, column)
                if not is_missing(cells_of(one)[0]) and cells_of(one)[0] == cell:
                    kept.append(one)
        except Exception:
            continue
    join = pl.concat if isinstance(column, pl.Series) else pd.concat
    made = join((kept * 8)[:8]) if kept else column[:8]
    made = made if isinstance(made, pl.Series) else made.reset_index(drop=True)
    holed = with_holes(made)
    return made if holed is None else holed


def like(cell, column):
    if isinstance(column, pl.Series):
        return pl.Series([cell]).cast(column.dtype)
    return pd.Series([cell], dtype=object).astype(dense(column.dtype))


@pytest.mark.parametrize("sort", ODD)
@pytest.mark.parametrize("library", [pd, pl])
def test_what_is_observed_stays_whatever_fit_saw(library, sort):
    """In a frame of every dtype that goes together, given each of them in turn."""
    known = PANDAS if library is pd else POLARS
    known = {name: c for name, c in known.items() if sort_of_column(c) == sort}
    assert len(known) > 2
    mmae = new().fit(library.DataFrame(known))
    for column in known.values():
        given = odd_column(column, sort)
        filled = mmae.impute(library.DataFrame(dict.fromkeys(known, given)))
        for name in known:
            assert_stays(given, filled[name])
            assert not any(map(is_missing, cells_of(filled[name])))
