"""Holes in cells, in whole modalities of a row, and columns that are missing altogether."""

import numpy as np
import pandas as pd
import pytest
from conftest import make_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.datasets import load_digits
from test_ecosystem import to_polars

from sklearn_mmae import DataWarning, MultimodalAutoencoder, TabularModality

HOLES = [None, float("nan"), np.nan, pd.NA, pd.NaT]


def make_estimator(**parameters):
    defaults = {"n_components": 4, "width": 16, "max_epochs": 3, "random_state": 0}
    return MultimodalAutoencoder(**{**defaults, **parameters})


@pytest.fixture(scope="module")
def fitted():
    frame = make_frame(80, holes=True)
    return make_estimator(max_epochs=10).fit(frame)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_impute_fills_every_hole_and_keeps_what_is_there(fitted, container):
    frame = make_frame(40, seed=1, holes=True)
    if container == "pandas":
        whole = fitted.impute(frame)
    else:
        made = to_polars(frame.drop(columns="photo"))
        estimator = make_estimator().fit(made)
        filled = estimator.impute(made)
        assert filled.schema == made.schema
        assert sum(filled.null_count().row(0)) == 0
        whole = filled.to_pandas()
        frame = frame.drop(columns="photo")
    there = frame.notna()
    assert (~there).sum().sum() > 20
    assert bool(whole.notna().all(axis=None))
    for name in frame.columns.difference(["photo"]):
        found, given_ = whole.loc[there[name], name], frame.loc[there[name], name]
        assert found.astype(object).tolist() == given_.astype(object).tolist(), name
    if container == "pandas":
        assert whole.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()
        for found, picture in zip(whole["photo"], frame["photo"], strict=True):
            assert found is picture or picture is None or np.shape(found) == (8, 8, 3)


def test_impute_of_a_whole_table_is_that_table(fitted):
    frame = make_frame(40, seed=1)
    whole = fitted.impute(frame)
    pd.testing.assert_frame_equal(whole.drop(columns="photo"), frame.drop(columns="photo"))
    assert all(a is b for a, b in zip(whole["photo"], frame["photo"], strict=True))


def test_impute_adds_columns_that_are_missing_altogether(fitted):
    frame = make_frame(10, seed=1)
    whole = fitted.impute(frame[["note"]])
    assert list(whole.columns) == list(frame.columns)
    assert bool(whole.notna().all(axis=None))
    assert whole.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()


def test_absent_columns_are_the_same_as_columns_of_holes(fitted):
    frame = make_frame(10, seed=1)
    absent = fitted.transform(frame.drop(columns="photo"))
    empty = fitted.transform(frame.assign(photo=[None] * 10))
    np.testing.assert_array_equal(absent, empty)


def test_single_columns_of_a_table_may_be_absent_beside_other_modalities(fitted):
    frame = make_frame(10, seed=1)
    absent = frame.drop(columns=["count", "colour"])
    empty = frame.astype({"count": "Int64"}).assign(count=pd.NA, colour=None)
    np.testing.assert_array_equal(fitted.transform(absent), fitted.transform(empty))
    whole = fitted.impute(absent)
    assert list(whole.columns) == list(frame.columns)
    assert bool(whole.notna().all(axis=None))


def test_of_numbers_alone_columns_may_be_absent_if_modalities_name_them():
    frame = make_frame(80)[["size", "count"]]
    alone = make_estimator(max_epochs=0).fit(frame)
    with pytest.raises(ValueError, match=r"(?s)count.*reindex"):  # as scikit-learn wants it
        alone.transform(frame[["size"]])
    named = make_estimator(
        modalities=[("table", TabularModality(), ["size", "count"])], max_epochs=0
    )
    found = named.fit(frame).transform(frame[["size"]])
    np.testing.assert_array_equal(found, named.transform(frame.assign(count=np.nan)))


def test_columns_of_a_part_may_come_in_another_order(fitted):
    frame = make_frame(5)
    found = fitted.transform(frame[["photo", "note"]])
    np.testing.assert_array_equal(found, fitted.transform(frame[["note", "photo"]]))


@pytest.mark.parametrize("hole", HOLES, ids=repr)
def test_every_spelling_of_a_hole_is_a_hole(fitted, hole):
    frame = make_frame(6, seed=1)
    expected = fitted.transform(frame.assign(note=None, photo=None))
    found = fitted.transform(
        frame.assign(
            note=pd.Series([hole] * 6, dtype=object), photo=pd.Series([hole] * 6, dtype=object)
        )
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "impute", "score_samples"])
def test_a_row_of_nothing_is_the_average_row_with_a_warning(fitted, method):
    frame = make_frame(5, seed=1).astype({"ripe": object, "count": float})
    frame.loc[3] = None
    with pytest.warns(DataWarning, match="row 3: nothing is observed"):
        result = getattr(fitted, method)(frame)
    if method == "transform":
        assert (result[3] == 0).all()
        assert (result[0] != 0).any()
    elif method == "score_samples":
        assert np.isnan(result).tolist() == [False, False, False, True, False]
    else:
        assert bool(result.notna().all(axis=None))


def test_a_row_of_nothing_may_be_learned_from():
    frame = make_frame(30).astype({"ripe": object, "count": float})
    frame.loc[3] = None
    estimator = make_estimator()
    with pytest.warns(DataWarning, match="row 3"):
        codes = estimator.fit(frame).transform(frame)
    assert np.isfinite(codes).all()


def test_a_modality_without_any_row_cannot_be_learned():
    frame = make_frame(30).assign(photo=pd.Series([None] * 30, dtype=object))
    modalities = make_estimator().fit(make_frame(30)).modalities_
    with pytest.raises(ValueError, match=r"modality 'photo'.* any row"):
        make_estimator(modalities=modalities).fit(frame)


def test_a_column_of_holes_warns_and_comes_back_empty():
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[:, 1] = np.nan
    with pytest.warns(DataWarning, match="no cell is observed"):
        estimator = make_estimator().fit(X)
    assert np.isfinite(estimator.transform(X)).all()


def test_holes_are_filled_better_than_by_the_mean():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 8)) + 0.1 * rng.normal(size=(300, 8))
    holes = rng.random(X.shape) < 0.2
    holed = np.where(holes, np.nan, X)
    whole = make_estimator(n_components=2, max_epochs=20).fit(holed).impute(holed)
    error = np.square(whole - X)[holes].mean()
    assert error < 0.3 * np.square(X - np.nanmean(holed, 0))[holes].mean()


def test_the_linear_start_fills_modalities_that_different_rows_have():
    quarters = load_digits().images.reshape(-1, 2, 4, 2, 4).transpose(0, 1, 3, 2, 4)
    X = quarters.reshape(-1, 64)[:600]
    gone = np.random.default_rng(0).random((600, 4)) < 0.2
    gone[gone.all(1), 0] = False
    holes = np.repeat(gone, 16, axis=1)
    holed = np.where(holes, np.nan, X)
    parts = [(f"part{m}", TabularModality(), slice(16 * m, 16 * m + 16)) for m in range(4)]
    estimator = make_estimator(modalities=parts, n_components=16, max_epochs=0).fit(holed)
    error = np.square(estimator.impute(holed) - X)[holes].mean()
    assert error < 0.9 * np.square(X - np.nanmean(holed, 0))[holes].mean()


def test_scores_count_observed_cells_only():
    frame = make_frame(60)
    estimator = make_estimator(max_epochs=10).fit(frame)
    holed = frame.assign(photo=[None] * 60)
    assert np.isfinite(estimator.score(holed))
    parts = estimator.score_samples(holed, by_modality=True)
    assert parts["photo"].isna().all()
    assert parts[["tabular", "note"]].notna().all(axis=None)


@settings(max_examples=15, deadline=None)
@given(holes=arrays.arrays(bool, (6, 4)))
def test_any_pattern_of_holes_gives_numbers(fitted, holes):
    frame = make_frame(6, seed=2)
    for place, name in enumerate(["size", "colour", "note", "photo"]):
        frame[name] = frame[name].astype(object).where(~holes[:, place], None)
    codes = fitted.transform(frame)
    assert np.isfinite(codes).all()
    assert bool(fitted.impute(frame).notna().all(axis=None))


@settings(max_examples=15, deadline=None)
@given(
    values=arrays.arrays(
        np.float64,
        st.tuples(st.integers(2, 12), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6) | st.just(np.nan),
    )
)
@pytest.mark.filterwarnings("ignore::sklearn_mmae.DataWarning")
def test_any_table_of_numbers_comes_back_in_its_shape(values):
    if np.isnan(values).all():
        with pytest.raises(ValueError, match="no row has anything"):
            make_estimator(max_epochs=1).fit(values)
        return
    estimator = make_estimator(max_epochs=1).fit(values)
    codes = estimator.transform(values)
    back = estimator.inverse_transform(codes)
    assert np.isfinite(codes).all()
    assert (back.shape, back.dtype) == (values.shape, values.dtype)
    filled = estimator.impute(values)
    there = ~np.isnan(values)
    np.testing.assert_array_equal(filled[there], values[there])
