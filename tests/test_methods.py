"""The contract, method by method, on tables of every kind of column."""

import datetime

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import fit_once, make_frame
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from skorch.helper import SliceDict
from test_ecosystem import to_polars

from sklearn_mmae import DataWarning, MultimodalAutoencoder


def make_estimator(**parameters):
    defaults = {"n_components": 4, "width": 16, "max_epochs": 3, "random_state": 0}
    return MultimodalAutoencoder(**{**defaults, **parameters})


METHODS = ["transform", "inverse_transform", "reconstruct", "impute", "score", "score_samples"]
METHODS += ["explained_deviance", "word_shares"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_works_before_fit(frame, method):
    with pytest.raises(NotFittedError):
        getattr(make_estimator(), method)(frame)
    with pytest.raises(NotFittedError):
        make_estimator().translate(frame, to="photo")


def test_fitted_attributes(frame):
    estimator = fit_once(make_estimator(), frame)
    assert [name for name, _, _ in estimator.modalities_] == ["tabular", "note", "photo"]
    assert estimator.n_components_ == 4
    assert estimator.n_iter_ == len(estimator.history_)
    assert estimator.n_features_in_ == 9
    assert estimator.feature_names_in_.tolist() == list(frame.columns)
    assert set(estimator.explained_deviance_) == {"tabular", "note", "photo"}
    assert {"train_loss", "valid_loss", "train_loss_photo", "dur"} <= set(estimator.history_[0])


def test_pandas_columns_come_back_with_their_dtypes(frame):
    frame.index = [f"row {i}" for i in range(40)]
    back = make_estimator().fit(frame).reconstruct(frame)
    assert back.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()
    assert back.index.equals(frame.index)
    assert back["grade"].cat.ordered
    assert back["grade"].cat.categories.tolist() == ["low", "mid", "high"]
    assert str(back["moment"].dt.tz) == "Europe/Paris"
    assert {(p.shape, p.dtype) for p in back["photo"]} == {((8, 8, 3), np.dtype(np.uint8))}
    assert all(isinstance(note, str) for note in back["note"])
    words = set(" ".join(frame["note"]).split())
    assert set(" ".join(back["note"]).split()) <= words


def test_polars_columns_come_back_with_their_dtypes(frame):
    whole = to_polars(frame).with_columns(
        pl.Series("date", [datetime.date(2024, 1, 1 + i % 28) for i in range(40)]),
        pl.Series("letter", list("abcd" * 10), dtype=pl.Enum(list("abcd"))),
        pl.Series("small", np.arange(40) % 5, dtype=pl.Int8),
    )
    back = make_estimator().fit(whole).reconstruct(whole)
    assert back.schema == whole.schema


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_come_back_as_arrays(dtype):
    X = (10 * np.random.default_rng(0).normal(size=(50, 5))).astype(dtype)
    estimator = make_estimator().fit(X)
    back = estimator.reconstruct(X)
    assert (back.shape, back.dtype) == (X.shape, X.dtype)
    assert not hasattr(estimator, "feature_names_in_")


def test_reconstruct_is_transform_and_back(frame):
    estimator = fit_once(make_estimator(), frame)
    back = estimator.inverse_transform(estimator.transform(frame))
    pd.testing.assert_frame_equal(
        estimator.reconstruct(frame).drop(columns="photo"), back.drop(columns="photo")
    )


def test_inverse_transform_checks_the_vectors(frame):
    estimator = fit_once(make_estimator(), frame)
    with pytest.raises(ValueError, match=r"X has 5 columns.* have 4"):
        estimator.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="NaN"):
        estimator.inverse_transform(np.full((2, 4), np.nan))


def test_translate_gives_the_columns_asked_for(frame):
    estimator = fit_once(make_estimator(), frame)
    assert list(estimator.translate(frame, to="photo").columns) == ["photo"]
    both = estimator.translate(frame, to=["note", "photo"])
    assert list(both.columns) == ["note", "photo"]
    assert len(both) == 40


def test_translate_does_not_look_at_what_it_translates_to(frame):
    estimator = fit_once(make_estimator(), frame)
    shuffled = frame.assign(photo=list(frame["photo"])[::-1])
    first, second = (estimator.translate(X, to="photo")["photo"] for X in (frame, shuffled))
    absent = estimator.translate(frame.drop(columns="photo"), to="photo")["photo"]
    np.testing.assert_array_equal(np.stack(first), np.stack(second))
    np.testing.assert_array_equal(np.stack(first), np.stack(absent))


def test_translate_learns_how_pictures_follow_words():
    frame = make_frame(120)[["note", "photo"]]
    estimator = make_estimator(max_epochs=30).fit(frame[:100])
    new = frame[100:]
    found = np.stack(estimator.translate(new[["note"]], to="photo")["photo"]).astype(float)
    colour = np.stack(new["photo"]).astype(float).mean((1, 2)).argmax(1)
    assert (found.mean((1, 2)).argmax(1) == colour).mean() > 0.8


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("foto", "no modality of this estimator. Did you mean 'photo'"),
        ([], "at least one"),
        (["tabular", "note", "photo"], "leave at least one"),
        (
            "colour",
            r"'colour' is a column of 'tabular', a modality of this .* to='tabular', or give",
        ),
    ],
)
def test_translate_says_what_cannot_be(frame, to, message):
    with pytest.raises(ValueError, match=message):
        fit_once(make_estimator(), frame).translate(frame, to=to)


def test_score_is_the_mean_of_what_is_explained(frame):
    estimator = make_estimator(max_epochs=10).fit(frame)
    score = estimator.score(frame)
    assert 0.2 < score <= 1
    assert score == pytest.approx(np.mean(list(estimator.explained_deviance_.values())))
    more = make_estimator(n_components=12, max_epochs=10).fit(frame)
    assert more.score(frame) > score


def test_score_of_numbers_is_that_of_pca():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    X = (X - X.mean(0)) / X.std(0)
    estimator = make_estimator(n_components=2, max_epochs=0).fit(X)
    explained = np.linalg.svd(X, compute_uv=False) ** 2
    assert estimator.score(X) == pytest.approx(explained[:2].sum() / explained.sum(), abs=1e-5)


def test_score_samples_finds_the_odd_row_and_its_modality():
    frame = make_frame(80)
    estimator = make_estimator(max_epochs=30).fit(frame)
    strange = frame.copy()
    noise = np.random.default_rng(9).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    strange.at[7, "photo"] = noise
    strange.loc[11, ["size", "count"]] = [500.0, 3]
    scores = estimator.score_samples(strange)
    assert scores.shape == (80,)
    assert set(np.argsort(scores)[:2]) == {7, 11}
    parts = estimator.score_samples(strange, by_modality=True)
    assert parts.shape == (80, 3)
    assert parts.loc[7].idxmin() == "photo"
    assert parts.loc[11].idxmin() == "tabular"


def test_more_components_than_columns_are_fine():
    X = np.random.default_rng(0).normal(size=(40, 3))
    estimator = make_estimator(n_components=10).fit(X)
    assert estimator.transform(X).shape == (40, 10)
    assert estimator.score(X) > 0.95


def test_one_row_is_enough(frame):
    numbers = frame[["size", "count", "photo"]]
    estimator = make_estimator().fit(numbers[:1])
    assert np.isfinite(estimator.transform(numbers[:5])).all()


# Going on learning ------------------------------------------------------------------------------


def test_partial_fit_begins_and_goes_on(frame):
    estimator = make_estimator(init="random")
    estimator.partial_fit(frame)
    first, loss = estimator.transform(frame), estimator.history_[-1]["train_loss"]
    for _ in range(20):
        estimator.partial_fit(frame)
    assert estimator.n_iter_ == len(estimator.history_) == 21
    assert estimator.history_[-1]["train_loss"] < loss
    assert not np.array_equal(estimator.transform(frame), first)


def test_partial_fit_after_fit_keeps_the_categories_and_scales(frame):
    estimator = make_estimator().fit(frame[:30])
    before = joblib.hash(estimator.modalities_)
    estimator.partial_fit(frame[30:])
    assert joblib.hash(estimator.modalities_) == before


def test_partial_fit_is_deterministic(frame):
    first, second = (make_estimator().fit(frame).partial_fit(frame[:9]) for _ in range(2))
    np.testing.assert_array_equal(first.transform(frame), second.transform(frame))


class Interrupt(Callback):
    """Raise in the third epoch, as Ctrl-C would."""

    def __init__(self, error=KeyboardInterrupt):
        self.error = error

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise self.error


def test_ctrl_c_is_raised_again_and_keeps_the_best_epoch(frame):
    estimator = make_estimator(max_epochs=30, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(frame)
    assert np.isfinite(estimator.transform(frame)).all()
    assert estimator.score(frame) > 0


def test_ctrl_c_in_a_second_fit_keeps_the_first(frame):
    estimator = fit_once(make_estimator(), frame)
    codes = estimator.transform(frame)
    estimator.set_params(callbacks=[Interrupt()], n_components=2, max_epochs=30)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(frame[["size", "note"]])
    np.testing.assert_array_equal(estimator.transform(frame), codes)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_partial_fit_leaves_the_weights(frame, error):
    estimator = make_estimator().fit(frame)
    codes, history = estimator.transform(frame), estimator.history_

    class Break(Callback):
        def on_batch_end(self, net, **kwargs):
            raise error

    estimator.net_.callbacks_.append(("break", Break()))
    with pytest.raises(error):
        estimator.partial_fit(frame)
    np.testing.assert_array_equal(estimator.transform(frame), codes)
    assert estimator.history_ is history
    del estimator.net_.callbacks_[-1]
    estimator.partial_fit(frame)
    assert np.isfinite(estimator.transform(frame)).all()


@pytest.mark.parametrize(
    "broken",
    [
        lambda frame: frame.assign(size=np.inf),
        lambda frame: frame.assign(note=[3.5] * 39 + ["text"]),
        lambda frame: frame.assign(photo=["no such file.png"] * 40),
        lambda frame: frame.iloc[:0],
    ],
    ids=["inf", "numbers in a text", "no file", "no rows"],
)
def test_a_failed_refit_keeps_what_was_fitted(frame, broken):
    found = fit_once(make_estimator(), frame).modalities_
    estimator = fit_once(make_estimator(modalities=found), frame)
    codes, state = estimator.transform(frame), dict(vars(estimator))
    with pytest.raises((ValueError, TypeError)):
        estimator.fit(broken(frame))
    assert vars(estimator) == state
    np.testing.assert_array_equal(estimator.transform(frame), codes)


def test_divergence_is_an_error_that_names_the_epoch(frame):
    estimator = make_estimator(lr=1e30, optimizer="sgd", init="random", early_stopping=False)
    with pytest.raises(ValueError, match=r"(?s)modality.*epoch.*Lower lr"):
        estimator.fit(frame)
    assert not hasattr(estimator, "net_")


def test_a_refit_forgets_the_columns_of_before(frame):
    estimator = fit_once(make_estimator(), frame)
    estimator.fit(np.random.default_rng(0).normal(size=(30, 4)))
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.n_features_in_ == 4


# Columns at transform ---------------------------------------------------------------------------


def test_columns_with_other_names_than_in_fit_are_errors(frame):
    estimator = fit_once(make_estimator(), frame)
    with pytest.raises(ValueError, match=r"(?s)sizes.*reindex\(columns=mmae.feature_names_in_\)"):
        estimator.transform(frame.rename(columns={"size": "sizes"}))


@pytest.mark.parametrize("method", ["transform", "impute", "score_samples", "reconstruct"])
def test_columns_go_by_their_names(frame, method):
    estimator = fit_once(make_estimator(), frame)
    expected, shuffled = getattr(estimator, method)(frame), frame[frame.columns[::-1]]
    for same in (shuffled, frame.assign(more=1), shuffled.assign(more="a")):
        found = getattr(estimator, method)(same)
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(found, expected)
        else:
            np.testing.assert_array_equal(found, expected)


def test_an_unseen_category_is_a_hole_with_a_warning(frame):
    estimator = fit_once(make_estimator(), frame)
    new = frame.assign(colour=["violet", *frame["colour"].astype(str)[1:]])
    with pytest.warns(DataWarning, match=r"tabular.*colour.*row 0.*'violet'"):
        codes = estimator.transform(new)
    empty = frame.assign(colour=[None, *frame["colour"].astype(str)[1:]])
    np.testing.assert_array_equal(codes, estimator.transform(empty))


def test_pictures_that_came_as_one_array_go_back_as_one():
    photos = np.random.default_rng(0).integers(0, 255, size=(30, 8, 8), dtype=np.uint8)
    rows = SliceDict(photo=photos, size=np.arange(30.0))
    estimator = make_estimator().fit(rows)
    back = estimator.reconstruct(rows)["photo"]
    assert back.shape == photos.shape
    assert back.dtype == np.uint8
    drawn = estimator.translate(SliceDict(size=rows["size"]), to="photo")["photo"]
    assert drawn.shape == photos.shape


def test_explained_deviance_is_by_modality_what_score_is_in_all(frame):
    estimator = fit_once(make_estimator(), frame)
    assert estimator.explained_deviance(frame) == pytest.approx(estimator.explained_deviance_)
    explained = estimator.explained_deviance(frame[:9])
    assert np.mean(list(explained.values())) == pytest.approx(estimator.score(frame[:9]))
    alone = estimator.explained_deviance(frame[["note"]])
    assert {name for name, share in alone.items() if np.isnan(share)} == {"tabular", "photo"}


def test_the_words_that_come_back_are_those_of_large_shares(frame):
    frame.index = [f"row {i}" for i in range(40)]
    estimator = make_estimator().fit(frame)
    shares = estimator.word_shares(frame)
    assert set(shares) == {"note"}
    shares = shares["note"]
    assert shares.index.equals(frame.index)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    for row, words in estimator.reconstruct(frame)["note"].items():
        assert (shares.loc[row, words.split()] >= shares.loc[row].max() / 10).all()
    half = estimator.word_shares(frame.drop(columns="note"))["note"]
    assert list(half.columns) == list(shares.columns)
    assert not np.allclose(half, shares)
    polars = make_estimator().fit(to_polars(frame))
    assert polars.word_shares(to_polars(frame))["note"].columns == list(shares.columns)
    with pytest.raises(ValueError, match=r"no modality is a TextModality.*'tabular'"):
        make_estimator().fit(frame[["size"]]).word_shares(frame[["size"]])
