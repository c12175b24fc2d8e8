"""A target: it steers vectors, is predicted, and is never seen by anything else."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_wine, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE, TextModality, load
from sklearn_mmae._core import archive
from sklearn_mmae._core.errors import ModelFileError

LINEAR = {"max_epochs": 0, "random_state": 0}
ESTIMATORS = [MultimodalAutoencoder, MultimodalVAE]


@pytest.fixture(scope="module")
def wine():
    """Numbers of wines, and where they are from, as text."""
    X, y = load_wine(return_X_y=True, as_frame=True)
    places = y.map({0: "north", 1: "south", 2: "west"})
    return train_test_split(X, places, random_state=0, stratify=places)


@pytest.fixture(scope="module")
def diabetes():
    """Numbers of patients, and a number to predict."""
    return train_test_split(*load_diabetes(return_X_y=True, as_frame=True), random_state=0)


@pytest.fixture(scope="module")
def reviews():
    """Reviews in which one of many words tells the rating."""
    rng = np.random.default_rng(0)
    usual = [f"{a}{b}" for a in "bdfgklmnprst" for b in "aeiou" for _ in range(1)]
    usual = [a + b for a in usual for b in usual][::4]
    told = [f"x{i}" for i in range(40)]  # a word for each level: none of them is frequent
    rating = rng.normal(size=600)
    levels = rating.argsort().argsort() * 40 // 600
    texts = [" ".join([*rng.choice(usual, 12), told[level]]) for level in levels]
    return pd.DataFrame({"text": texts, "noise": rng.normal(size=600)}), rating


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_classes_are_predicted_as_they_were_given(kind, wine):
    train, test, y_train, y_test = wine
    mmae = kind(n_components=4, target_weight=1, **LINEAR).fit(train, y_train)
    predicted, chances = mmae.predict(test), mmae.predict_proba(test)
    assert (predicted == y_test).mean() > 0.9
    assert mmae.classes_.tolist() == ["north", "south", "west"]
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    assert (mmae.classes_[chances.argmax(1)] == predicted).all()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_numbers_are_predicted_as_by_ridge(kind, diabetes):
    train, test, y_train, y_test = diabetes
    mmae = kind(n_components=4, target_weight=1, **LINEAR).fit(train, y_train)
    error = ((mmae.predict(test) - y_test) ** 2).mean()
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))).fit(train, y_train)
    assert error < 1.1 * ((ridge.predict(test) - y_test) ** 2).mean()
    assert not hasattr(mmae, "predict_proba")
    assert not hasattr(mmae, "classes_")


def test_a_target_steers_few_components(reviews):
    X, y = reviews
    train, test = np.arange(500), np.arange(500, 600)
    worth = {}
    for weight in (0.0, 1.0):
        mmae = MultimodalAutoencoder(n_components=3, target_weight=weight, **LINEAR)
        codes = mmae.fit_transform(X.iloc[train], y[train])
        probe = RidgeCV().fit(codes, y[train])
        worth[weight] = probe.score(mmae.transform(X.iloc[test]), y[test])
    assert worth[0.0] < 0.3
    assert worth[1.0] > 0.6


def test_texts_that_share_no_phrase():
    X = pd.DataFrame({"note": [f"a{i} b{i}" for i in range(40)]})
    y = np.arange(40.0)
    mmae = MultimodalAutoencoder(
        [("note", TextModality(), ["note"])], n_components=2, target_weight=1, **LINEAR
    ).fit(X, y)
    assert mmae.modalities_[0][1].phrases_ == []
    assert np.isfinite(mmae.predict(X)).all()


def test_without_a_weight_y_is_ignored(wine):
    train, _, y_train, _ = wine
    mmae = MultimodalAutoencoder(n_components=3, **LINEAR)
    with_y = mmae.fit(train, y_train).transform(train)
    np.testing.assert_array_equal(with_y, clone(mmae).fit_transform(train))
    with pytest.raises(AttributeError, match=r"no predict without a target.*target_weight=1"):
        mmae.predict(train)


def test_a_target_is_hidden_from_all_but_predict(wine):
    train, test, y_train, _ = wine
    mmae = MultimodalAutoencoder(n_components=4, target_weight=1, **LINEAR).fit(train, y_train)
    assert list(mmae.inverse_transform(mmae.transform(test))) == list(test)
    assert list(mmae.explained_deviance_) == list(mmae.explained_deviance(test)) == ["tabular"]
    assert mmae.score(test) == mmae.score(test, "nothing that could be read")
    assert [name for name, _, _ in mmae.modalities_] == ["tabular"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_networks_learn_what_is_not_linear(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 4))
    y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    mmae = kind(n_components=4, target_weight=4, max_epochs=10, random_state=0)
    mmae.fit(X[:500], y[:500])
    assert (mmae.predict(X[500:]) == y[500:]).mean() > 0.75
    assert "valid_loss_target__loss" in mmae.history_[-1]


@pytest.mark.parametrize("hole", [None, np.nan])
def test_rows_without_a_label_are_learned_from(hole, wine):
    train, test, y_train, y_test = wine
    some = y_train.astype(object).copy()
    some.iloc[::3] = hole
    mmae = MultimodalAutoencoder(n_components=4, target_weight=1, random_state=0).fit(train, some)
    assert (mmae.predict(test) == y_test).mean() > 0.9


def test_whole_numbers_with_holes_are_classes():
    X, y = make_classification(200, 6, n_informative=4, random_state=0)
    floats = y.astype(float)
    floats[:20] = np.nan
    mmae = MultimodalAutoencoder(n_components=3, target_weight=1, **LINEAR).fit(X, floats)
    assert mmae.classes_.tolist() == [0, 1]
    assert mmae.predict(X).dtype.kind == "i"


def test_several_columns(diabetes):
    X, _, y, _ = diabetes
    both = pd.DataFrame({"progress": y, "is_high": y > 150, "level": (y // 100).astype(int)})
    mmae = MultimodalAutoencoder(n_components=4, target_weight=1, **LINEAR).fit(X, both)
    predicted = mmae.predict(X)
    assert predicted.shape == (len(X), 3)
    assert (predicted[:, 1] == both["is_high"]).mean() > 0.7
    high, level = mmae.predict_proba(X)
    assert high.shape == (len(X), 2)
    assert level.shape == (len(X), len(mmae.classes_[1]))


@pytest.mark.parametrize(
    "as_given",
    [
        np.asarray,
        list,
        pd.Series,
        lambda y: pd.Series(y, dtype="category"),
        lambda y: pl.Series("y", y),
        lambda y: pd.DataFrame({"y": y}),
        lambda y: np.array(y)[:, None],
    ],
)
def test_labels_of_any_container(as_given, wine):
    train, _, y_train, _ = wine
    mmae = MultimodalAutoencoder(n_components=3, target_weight=1, **LINEAR)
    usual = mmae.fit(train, y_train).predict(train)
    given = clone(mmae).fit(train, as_given(y_train.tolist())).predict(train)
    assert (np.ravel(given) == usual).all()


def test_in_pipelines_and_searches(wine):
    train, test, y_train, y_test = wine
    mmae = MultimodalAutoencoder(n_components=2, **LINEAR)
    columns = ColumnTransformer([("codes", mmae, list(train))])
    model = make_pipeline(columns, LogisticRegression())
    name = "columntransformer__codes__target_weight"
    search = GridSearchCV(model, {name: [0.0, 1.0]}, cv=3).fit(train, y_train)
    assert search.score(test, y_test) > 0.9
    predicted = cross_val_predict(clone(mmae).set_params(target_weight=1), train, y_train, cv=3)
    assert (predicted == y_train).mean() > 0.8


@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=1)])
def test_cross_fitted_vectors_have_not_seen_their_labels(cv):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 60)) * np.linspace(2, 0.5, 60)
    y = rng.normal(size=120)  # nothing to be found
    mmae = MultimodalAutoencoder(n_components=3, target_weight=100, target_cv=cv, **LINEAR)
    codes, as_new = mmae.fit_transform(X, y), mmae.transform(X)
    worth = [RidgeCV().fit(Z, y).score(Z, y) for Z in (codes, as_new)]
    assert worth[0] < worth[1] / 2
    # The same axes as those of new rows.
    agreement = [np.corrcoef(a, b)[0, 1] for a, b in zip(codes.T, as_new.T, strict=True)]
    assert min(agreement) > 0.3


def test_target_is_saved(tmp_path, wine, diabetes):
    for (train, test, y_train, _), kind in zip((wine, diabetes), ESTIMATORS, strict=True):
        mmae = kind(n_components=3, target_weight=0.5, **LINEAR).fit(train, y_train)
        mmae.save(tmp_path / "model.mmae")
        again = load(tmp_path / "model.mmae")
        np.testing.assert_array_equal(again.predict(test), mmae.predict(test))


@pytest.mark.parametrize(
    "damage",
    [
        lambda target: target.update(classes=[["north", "south"]]),
        lambda target: target.update(classes=[["north", "south", ["west"]]]),
        lambda target: target.update(dtypes=["float64"]),
        lambda target: target.update(is_flat=1),
        lambda target: target.update(steps=[np.zeros(3)]),
        lambda target: target.update(part=None),
        lambda target: target.pop("steps"),
    ],
)
def test_a_damaged_target_is_refused(damage, tmp_path, wine):
    train, _, y_train, _ = wine
    MultimodalAutoencoder(n_components=2, target_weight=1, **LINEAR).fit(train, y_train).save(
        tmp_path / "model.mmae"
    )
    tree = archive.read(tmp_path / "model.mmae", kind="estimator")
    damage(tree["attributes"]["target"])
    archive.write(tmp_path / "model.mmae", tree, kind="estimator")
    with pytest.raises(ModelFileError):
        load(tmp_path / "model.mmae")


def test_predict_before_fit(wine):
    with pytest.raises(NotFittedError):
        MultimodalAutoencoder(target_weight=1).predict(wine[0])


def test_going_on_with_a_target(wine):
    train, test, y_train, y_test = wine
    mmae = MultimodalAutoencoder(
        n_components=4, target_weight=1, warm_start=True, max_epochs=2, random_state=0
    )
    mmae.fit(train, y_train).fit(train, y_train)
    mmae.partial_fit(train, y_train)
    assert (mmae.predict(test) == y_test).mean() > 0.9
    other = clone(mmae).fit(train, y_train).set_params(target_weight=0)
    with pytest.raises(ValueError, match="had a target, but now target_weight=0"):
        other.fit(train)
    without = clone(mmae).set_params(target_weight=0).fit(train).set_params(target_weight=1)
    with pytest.raises(ValueError, match="had no target, but now target_weight=1"):
        without.partial_fit(train, y_train)
    with pytest.raises(ValueError, match="Give y, too"):
        mmae.partial_fit(train)
    with pytest.raises(ValueError, match="a class that fit has not seen"):
        mmae.partial_fit(train, y_train.replace("west", "east"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"y is None. Give fit\(X, y\), or target_weight=0"),
        (np.zeros(3), "y has 3 rows, but X has 133"),
        (["a"] * 133, "all labels are 'a'. Give at least two classes"),
        ([np.nan] * 133, "no row has a label"),
        ([np.inf, *range(132)], "row 0: y: infinity is no label"),
        ([b"a", *["b"] * 132], "a bytes is no label"),
        (np.ones(133) * 1j, "a complex128 is no label"),
        ([str(i) for i in range(133)], "no class occurs twice. Give numbers as numbers"),
        ([[0], *[[0, 1]] * 132], "the rows of y are not of one length"),
        (np.zeros((133, 2, 2)), "y has 3 dimensions"),
    ],
)
def test_bad_labels(y, message, wine):
    with pytest.raises(ValueError, match=message):
        MultimodalAutoencoder(target_weight=1, **LINEAR).fit(wine[0], y)


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, True, "much"])
def test_bad_weights(weight, wine):
    with pytest.raises(ValueError, match="target_weight"):
        MultimodalAutoencoder(target_weight=weight).fit(wine[0], wine[2])


def test_no_warning_of_its_own(wine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultimodalAutoencoder(n_components=2, target_weight=1, **LINEAR).fit(wine[0], wine[2])
