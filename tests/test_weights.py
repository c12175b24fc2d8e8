"""Weights of rows: copies of them, wherever they stand."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from conftest import make_frame
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE
from sklearn_mmae._core.errors import CellError

SHORT = {"n_components": 3, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def frame():
    return make_frame(30, holes=True).drop(columns="moment")


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).integers(0, 4, 30)


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_a_fit_does_not_depend_on_the_order_of_rows(kind, frame):
    shuffled = frame.iloc[np.random.default_rng(0).permutation(len(frame))]
    codes = [kind(**SHORT).fit(some).transform(frame) for some in (frame, shuffled)]
    np.testing.assert_allclose(*codes, rtol=1e-6, atol=1e-6)


def test_whole_numbers_are_copies_of_every_modality_and_label(frame, weights):
    y = np.where(frame["size"] > 5, "large", "small")
    mmae = MultimodalAutoencoder(target_weight=1, **SHORT)
    repeated = clone(mmae).fit(frame.iloc[np.repeat(np.arange(30), weights)], y.repeat(weights))
    weighted, seen = mmae.fit(frame, y, sample_weight=weights), frame[weights > 0]
    for method in ("transform", "predict_proba"):
        both = [getattr(fitted, method)(seen) for fitted in (weighted, repeated)]
        np.testing.assert_allclose(*both, rtol=1e-5, atol=1e-6)


def test_partial_fit_and_every_container_take_weights(weights):
    X = np.random.default_rng(0).normal(size=(30, 4))
    columns = list("abcd")
    codes = []
    for given in (X, pd.DataFrame(X, columns=columns), pl.DataFrame(X, schema=columns)):
        mmae = MultimodalAutoencoder(**SHORT)
        for _ in range(2):
            mmae.partial_fit(given, sample_weight=weights.tolist())
        codes.append(np.asarray(mmae.transform(given)))
    repeated = MultimodalAutoencoder(**SHORT)
    for _ in range(2):
        repeated.partial_fit(X.repeat(weights, axis=0))
    codes.append(repeated.transform(X))
    for some in codes[1:]:
        np.testing.assert_allclose(some, codes[0], rtol=1e-6, atol=1e-6)


def test_fractions_count_on_average_as_much_as_they_say():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-1, 1, (1000, 2)), rng.normal(1, 1, (1000, 2))])
    weights = np.repeat([0.03, 0.01], 1000) * rng.uniform(0.5, 1.5, 2000)
    mmae = MultimodalAutoencoder(n_components=1, max_epochs=0).fit(X, sample_weight=weights)
    ((_, table, _),) = mmae.modalities_
    np.testing.assert_allclose(table.mean_, np.average(X, axis=0, weights=weights), atol=0.05)
    scaled = clone(mmae).fit(X, sample_weight=weights * 1e6)
    np.testing.assert_allclose(scaled.transform(X), mmae.transform(X), rtol=1e-6)


def test_weights_are_routed_through_pipelines():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y, weights = X[:, 0] > 0, np.r_[np.ones(20), np.zeros(20)]
    with sklearn.config_context(enable_metadata_routing=True):
        mmae = MultimodalAutoencoder(n_components=2, max_epochs=0)
        mmae.set_fit_request(sample_weight=True)
        classifier = LogisticRegression().set_fit_request(sample_weight=False)
        model = make_pipeline(mmae, classifier).fit(X, y, sample_weight=weights)
    alone = MultimodalAutoencoder(n_components=2, max_epochs=0).fit(X[:20])
    np.testing.assert_allclose(model[0].transform(X), alone.transform(X), rtol=1e-6, atol=1e-6)


def test_cross_fitted_codes_are_weighted_too():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X[:, 0] + X[:, 1]
    weights = np.repeat([1, 0], 30)
    mmae = MultimodalAutoencoder(
        n_components=2, max_epochs=0, target_weight=1, target_cv=3, random_state=0
    )
    codes = [mmae.fit_transform(X, labels, weights) for labels in (y, np.r_[y[:30], -9 * y[30:]])]
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(29), "30 rows"),
        (np.ones((30, 1)), "30 rows"),
        ([*range(29), -1], "row 29: -1. Give finite numbers"),
        ([np.nan, *range(29)], "row 0: nan"),
        (np.zeros(30), "zero in all rows"),
        (["heavy"] * 30, "no number"),
    ],
)
def test_weights_that_make_no_sense_are_refused(frame, weights, message):
    mmae = MultimodalAutoencoder(**SHORT)
    with pytest.raises(ValueError, match=message):
        mmae.fit(frame, sample_weight=weights)
    assert not hasattr(mmae, "net_")


def test_errors_name_the_rows_as_they_were_given():
    X = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0)})
    X.loc[20, "b"] = np.inf
    weights = np.r_[np.full(10, 3), np.ones(20)]
    with pytest.raises(CellError, match="column 'b', row 20:"):
        MultimodalAutoencoder(**SHORT).fit(X, sample_weight=weights)
    weights[20] = 0  # a row that does not count is not looked at
    MultimodalAutoencoder(**SHORT).fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match="y has 29 rows, but X has 30"):
        MultimodalAutoencoder(target_weight=1, **SHORT).fit(X, X["a"][1:], sample_weight=weights)


def test_rows_of_a_matrix_are_not_copied():
    X = np.random.default_rng(0).normal(size=(60_000, 200)).astype(np.float32)
    X[:, 1:] += X[:, :1]
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    tracemalloc.start()
    try:
        mmae.fit(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * X.nbytes  # less than a copy beside what is learned
