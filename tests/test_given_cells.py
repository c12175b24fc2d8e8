"""Cells that used to change on their way: each case is one that users have reported elsewhere."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_mmae import CellError, MultimodalAutoencoder, TabularModality, TextModality, load

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_mmae.DataWarning")

N = 60
X = np.random.default_rng(0).normal(size=N)
BIG = 2**53 + 1
WORDS = [f"word{i % 7} thing{i % 5}" for i in range(N)]
AUTUMN = pd.Series(pd.date_range("2024-10-26 20:00", periods=N, freq="10min", tz="UTC"))


def fitted(**columns):
    make = pl.DataFrame if any(isinstance(c, pl.Series) for c in columns.values()) else pd.DataFrame
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    return mmae.fit(make({"x": X, **columns}))


def imputed(mmae, cells):
    """Return the column c after `impute`, of cells or a column."""
    make = pl.DataFrame if isinstance(cells, pl.Series) else pd.DataFrame
    return mmae.impute(make({"x": np.linspace(-1, 1, len(cells)), "c": cells}))["c"]


def in_polars(series, zone):
    return (
        pl.Series(series.dt.tz_convert("UTC").dt.tz_localize(None))
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
    )


# Numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "cells"),
    [
        ("int8", [300, -1000]),
        ("uint8", [300, -1]),
        ("int8", [300, None]),
        ("Int8", [300, None]),
        ("int64", [2.5, 1.0]),
        ("Int64", [2.5, None]),
        ("float16", [1e6, 1.0]),
        ("float32", [0.1, 0.2]),
    ],
)
def test_numbers_that_the_dtype_of_fit_cannot_hold_widen_it(dtype, cells):
    found = imputed(fitted(c=pd.Series(range(N)).astype(dtype)), cells)
    assert found.notna().all()
    assert found[: 2 - (cells[1] is None)].tolist() == [c for c in cells if c is not None]


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", "int64[pyarrow]", "uint64[pyarrow]"])
def test_large_ids_stay_apart(dtype):
    ids = pd.Series([BIG + i for i in range(N)], dtype=dtype)
    found = imputed(fitted(c=ids), ids.where(ids != BIG + 3))
    assert found.dtype == dtype
    assert found.drop(3).tolist() == ids.drop(3).tolist()


LARGE = [getattr(pl, name) for name in ("Int64", "UInt64", "Int128") if hasattr(pl, name)]


@pytest.mark.parametrize("dtype", LARGE)
def test_large_ids_of_polars_stay_apart(dtype):
    ids = pl.Series([None, *(BIG + i for i in range(N - 1))], dtype=dtype)
    found = imputed(fitted(c=ids), ids)
    assert found.dtype == dtype
    assert found[1:].to_list() == ids[1:].to_list()


def test_objects_are_filled_with_their_like():
    for cells in (list(range(N)), [Decimal(i) / 4 for i in range(N)], [i / 4 for i in range(N)]):
        column = pd.Series([None, *cells[1:]], dtype=object)
        mmae = fitted(c=column)
        for found in (
            imputed(mmae, column),
            mmae.reconstruct(pd.DataFrame({"x": X, "c": column}))["c"],
        ):
            assert set(map(type, found)) == {type(cells[0])}


def test_all_holes_come_back_in_the_dtype_of_fit():
    mmae = fitted(c=pd.Series(range(N), dtype="Int64"))
    assert imputed(mmae, pd.Series([None] * 3, dtype=object)).dtype == "Int64"


# Categories, bools and words ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_an_unseen_category_stays(dtype):
    mmae = fitted(c=pd.Categorical(np.where(X > 0, "a", "b")))
    found = imputed(mmae, pd.Series(["green", "a", None], dtype=dtype))
    assert found[:2].tolist() == ["green", "a"]
    assert found[2] in ("a", "b")
    numbers = fitted(c=pd.Categorical(np.where(X > 0, 1, 2)))
    assert imputed(numbers, ["1", "1"]).tolist() == ["1", "1"]


def test_an_unseen_category_of_polars_stays():
    mmae = fitted(c=pl.Series(np.where(X > 0, "a", "b"), dtype=pl.Enum(["a", "b"])))
    for dtype in (pl.String, pl.Categorical, pl.Enum(["green", "a"])):
        found = imputed(mmae, pl.Series(["green", "a", None], dtype=dtype))
        assert found[:2].to_list() == ["green", "a"]
        assert found[2] in ("a", "b")


def test_bools_are_no_text_and_no_other_numbers():
    mmae = fitted(c=X > 0)
    for cells in (["False", "False", None], [2, 0, 1], ["yes", True, None]):
        with pytest.raises(
            CellError, match=r"column 'c', rows? .* learned as bools.*True and False"
        ):
            imputed(mmae, pd.Series(cells, dtype=object))
    assert imputed(mmae, [1, 0, 1]).tolist() == [1, 0, 1]
    assert imputed(mmae, [True, False, None]).tolist()[:2] == [True, False]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_words_of_a_categorical_column_come_back(library):
    if library == "pandas":
        frame = pd.DataFrame({"x": X, "t": pd.Categorical(WORDS)})
    else:
        frame = pl.DataFrame({"x": X, "t": pl.Series(WORDS, dtype=pl.Enum(sorted(set(WORDS))))})
    parts = [("x", TabularModality(), ["x"]), ("t", TextModality(), ["t"])]
    mmae = MultimodalAutoencoder(parts, n_components=2, max_epochs=0, random_state=0).fit(frame)
    for words in (mmae.reconstruct(frame)["t"], mmae.translate(frame[["x"]], to="t")["t"]):
        assert all(isinstance(cell, str) and cell.startswith(("word", "thing")) for cell in words)
    assert list(mmae.impute(frame)["t"]) == WORDS


# Times -------------------------------------------------------------------------------------------

SAME_INSTANTS = {
    "Paris": AUTUMN.dt.tz_convert("Europe/Paris"),
    "Tokyo, in seconds": AUTUMN.dt.tz_convert("Asia/Tokyo").astype("datetime64[s, Asia/Tokyo]"),
    "objects": AUTUMN.dt.tz_convert("Asia/Tokyo").astype(object),
    "objects of many offsets": pd.Series(
        [t.astimezone(timezone(timedelta(hours=i % 5))) for i, t in enumerate(AUTUMN)], dtype=object
    ),
    "Arrow": AUTUMN.astype(pd.ArrowDtype(pa.timestamp("ms", "America/New_York"))),
    "polars, Paris": in_polars(AUTUMN, "Europe/Paris"),
    "polars, Tokyo": in_polars(AUTUMN, "Asia/Tokyo").cast(pl.Datetime("ns", "Asia/Tokyo")),
}


@pytest.mark.parametrize("fit_on", ["Paris", "objects", "Arrow", "polars, Paris"])
def test_the_same_instants_give_the_same_codes_and_stay(fit_on):
    """Also in the hour that autumn repeats."""
    mmae = fitted(c=SAME_INSTANTS[fit_on])
    codes = None
    for column in SAME_INSTANTS.values():
        make = pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame
        frame = make({"x": X, "c": column})
        found = mmae.transform(frame)
        codes = found if codes is None else codes
        np.testing.assert_array_equal(found, codes)
        assert [pd.Timestamp(cell) for cell in mmae.impute(frame)["c"]] == AUTUMN.tolist()
    again = mmae.reconstruct(frame)["c"]
    assert all(cell.tzinfo is not None for cell in again)


def test_a_time_zone_that_comes_or_goes_is_an_error():
    zoned = pd.Series(pd.date_range("2024-07-01", periods=N, tz="Asia/Tokyo"))
    naive = zoned.dt.tz_localize(None)
    with pytest.raises(CellError, match=r"column 'c', rows 0.*tz_localize\('Asia/Tokyo'\)"):
        imputed(fitted(c=zoned), naive)
    for now in (zoned, zoned.astype(object)):
        with pytest.raises(CellError, match=r"column 'c', rows 0.*tz_localize\(None\)"):
            imputed(fitted(c=naive), now)
    with pytest.raises(CellError, match="do not go together"):
        imputed(fitted(c=zoned), pd.Series([zoned[0], naive[1]], dtype=object))


def test_finer_times_than_those_of_fit_stay():
    seconds = pd.Series(pd.date_range("2024", periods=N, unit="s"))
    fine = pd.Series(pd.to_datetime(["2024-01-01 10:00:00.75", None]))
    assert imputed(fitted(c=seconds), fine)[0] == fine[0]
    days = pl.Series([date(2024, 1, 1) + timedelta(i) for i in range(N)])
    assert imputed(fitted(c=days), pl.Series([datetime(2024, 1, 1, 10), None]))[0].hour == 10


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=9))])
def test_date_and_datetime_objects_come_back_as_such(zone):
    noons = [datetime(2024, 1, 1, 12, tzinfo=zone) + timedelta(i % 40) for i in range(N)]
    days = [cell.date() for cell in noons]
    for cells in (noons, days, pd.Series(noons).tolist()):
        column = pd.Series([None, *cells[1:]], dtype=object)
        mmae = fitted(c=column)
        found, again = (
            imputed(mmae, column),
            mmae.reconstruct(pd.DataFrame({"x": X, "c": column}))["c"],
        )
        assert found[1:].tolist() == cells[1:]
        for filled in (found, again):
            assert set(map(type, filled)) == {type(cells[0])}
        if cells is not days:
            assert {cell.utcoffset() for cell in again} == {noons[0].utcoffset()}
        found.sort_values()


def test_whole_days_of_a_zone_stay_whole_in_that_zone():
    days = pd.Series(pd.date_range("2024-07-01", periods=N, tz="Asia/Tokyo"))
    found = imputed(fitted(c=days), days.where(days.index % 3 > 0))
    assert (found == found.dt.normalize()).all()


# Dtypes with parameters --------------------------------------------------------------------------

WITH_PARAMETERS = {
    "decimal": pd.Series(
        [Decimal(i) / 4 for i in range(N)], dtype=pd.ArrowDtype(pa.decimal128(10, 2))
    ),
    "microseconds": AUTUMN.dt.tz_localize(None).astype(pd.ArrowDtype(pa.timestamp("us"))),
    "zoned": AUTUMN.astype(pd.ArrowDtype(pa.timestamp("us", "UTC"))),
    "nothing": pd.Series([None] * N, dtype=pd.ArrowDtype(pa.null())),
    "dictionary": pd.Series(list("abc") * 20).astype(
        pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    ),
    "lists": pd.Series(
        [[1.0, 2.0 + i] for i in range(N)], dtype=pd.ArrowDtype(pa.list_(pa.float64()))
    ),
    "ordered": pd.Series(pd.Categorical(["lo", "hi"] * 30, ["lo", "hi"], ordered=True)),
    "polars decimal": pl.Series([i / 4 for i in range(N)]).cast(pl.Decimal(10, 2)),
    "polars zoned": in_polars(AUTUMN, "Europe/Paris"),
    "polars nothing": pl.Series([None] * N, dtype=pl.Null),
    "polars arrays": pl.Series([[1.0, i] for i in range(N)], dtype=pl.Array(pl.Float32, 2)),
    "polars lists": pl.Series(
        [[[1.0, i]] * (i + 1) for i in range(N)], dtype=pl.List(pl.List(pl.Float32))
    ),
}


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_dtypes_with_parameters_come_back_also_from_a_file(name, tmp_path):
    column = WITH_PARAMETERS[name]
    mmae = fitted(c=column)
    frame = (pl.DataFrame if isinstance(column, pl.Series) else pd.DataFrame)({"x": X, "c": column})
    mmae.save(tmp_path / "model.mmae")
    for known in (mmae, load(tmp_path / "model.mmae")):
        assert known.reconstruct(frame)["c"].dtype == column.dtype
        assert known.impute(frame)["c"].dtype == column.dtype


def test_columns_of_nulls_in_polars():
    frame = pl.DataFrame(
        {"x": X, "d": pl.Series(pd.date_range("2024", periods=N)).cast(pl.Date), "i": range(N)}
    ).with_columns(pl.col("i").cast(pl.Int8))
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0).fit(frame)
    for name in ("d", "i"):
        found = mmae.impute(frame.with_columns(pl.lit(None).alias(name)))
        assert found.schema == frame.schema
        assert found[name].null_count() == 0


def test_a_model_of_one_library_fills_rows_of_the_other():
    frame = pd.DataFrame(
        {"x": X, "i": [BIG + i for i in range(N)], "c": pd.Categorical(WORDS), "d": AUTUMN}
    )
    other = pl.DataFrame(
        {"x": X, "i": [BIG + i for i in range(N)], "c": WORDS, "d": in_polars(AUTUMN, "UTC")}
    ).with_columns(pl.when(pl.col("x") > 0).then("i").alias("i"))
    new = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    found = new.fit(frame).impute(other)
    assert isinstance(found, pd.DataFrame)
    assert (found["i"] == frame["i"])[X > 0].all()
    pd.testing.assert_series_equal(found["c"], frame["c"])
    assert (found["d"] == AUTUMN).all()
    back = new.fit(other).impute(frame.assign(i=frame["i"].astype("Int64").where(X > 0)))
    assert isinstance(back, pl.DataFrame)
    assert back.filter(X > 0).equals(other.filter(X > 0))


# Messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pd.Series, list, lambda words: np.array(words, object)])
def test_one_column_of_text_is_no_table(make):
    with pytest.raises(TypeError, match=r"one column.*X\[\['name'\]\].*ColumnTransformer"):
        MultimodalAutoencoder(max_epochs=0).fit(make(WORDS))


def test_a_table_of_arrow_says_how_to_hand_it_in():
    with pytest.raises(TypeError, match=r"X\.to_pandas\(\)"):
        MultimodalAutoencoder(max_epochs=0).fit(pa.table({"x": X}))


def test_numbers_and_strings_in_one_column_say_so():
    with pytest.raises(CellError, match=r"column 'c', rows 0, 1: mixes numbers and strings"):
        fitted(c=pd.Series([1, "b"] * 30, dtype=object))


# Looked at once ----------------------------------------------------------------------------------


def test_every_cell_is_looked_at_once_in_a_fit(monkeypatch):
    """What is asked most often of cells is asked of each once, and kept."""
    from sklearn_mmae.tables import _cells

    looked = []
    look = _cells.observed
    monkeypatch.setattr(
        _cells, "observed", lambda column: looked.append(len(column)) or look(column)
    )
    fitted(c=pd.Series([None, *range(N - 1)], dtype=object), d=pd.Series(WORDS, dtype=object))
    assert sum(looked) <= 3 * N
