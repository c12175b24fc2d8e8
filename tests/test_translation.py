"""Regressions beside the code: translation is never worse than ridge, and the odd one is found."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_frame
from sklearn.linear_model import RidgeCV

import sklearn_mmae
from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE
from sklearn_mmae._core import archive
from sklearn_mmae.datasets import load_digits_frame
from sklearn_mmae.modalities import ImageModality, SequenceModality, TabularModality, TextModality
from sklearn_mmae.training import _direct

VIEWS = {"a": slice(0, 6), "b": slice(6, 14), "c": slice(14, 19)}
SMALL = {"n_components": 2, "width": 16, "max_epochs": 2, "random_state": 0}


def make_views(n_rows, seed=0):
    """Return three views that share more directions than the codes here have components."""
    mix = np.random.default_rng(1).normal(size=(7, 19))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 7)) @ mix + 0.3 * rng.normal(size=(n_rows, 19))


def errors(true, predicted):
    return ((np.asarray(predicted) - true) ** 2).mean(0)


@pytest.fixture(scope="module")
def linear():
    X = make_views(500)
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    return MultimodalAutoencoder(modalities, **SMALL).fit(X), X


# Translation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MultimodalAutoencoder, MultimodalVAE])
def test_no_column_is_predicted_worse_than_by_ridge(estimator):
    X, test = make_views(1000), make_views(400, seed=2)
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    mmae = estimator(modalities, **SMALL).fit(X)
    for given in (["a", "b"], ["b", "c"], ["a"], ["b"]):
        shown = np.full_like(test, np.nan)
        columns = np.concatenate([np.arange(19)[VIEWS[name]] for name in given])
        shown[:, columns] = test[:, columns]
        for to in VIEWS.keys() - set(given):
            at = VIEWS[to]
            ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(X[:, columns], X[:, at])
            of_ridge = errors(test[:, at], ridge.predict(test[:, columns]))
            assert (errors(test[:, at], mmae.translate(shown, to=to)) < 1.05 * of_ridge).all()


def test_of_rows_noisier_than_those_of_fit_more_is_predicted_than_by_ridge():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(900, 20))
    seen = (shared * np.logspace(0, -1, 20)) @ rng.normal(size=(20, 60))
    seen += 0.02 * rng.normal(size=seen.shape)
    told = shared @ rng.normal(size=(20, 10)) + 0.5 * rng.normal(size=(900, 10))
    modalities = [
        ("seen", TabularModality(), slice(0, 60)),
        ("told", TabularModality(), slice(60, 70)),
    ]
    mmae = MultimodalAutoencoder(modalities, **SMALL).fit(np.hstack([seen, told])[:600])
    ridge = RidgeCV(np.logspace(-5, 5, 17)).fit(seen[:600], told[:600])
    for strength, most in ((0.0, 1.05), (0.5, 0.8), (1.0, 0.5)):
        noisy = np.full((300, 70), np.nan)
        noisy[:, :60] = seen[600:] + strength * rng.normal(size=(300, 60))
        of_ridge = errors(told[600:], ridge.predict(noisy[:, :60])).sum()
        assert errors(told[600:], mmae.translate(noisy, to="told")).sum() < most * of_ridge


@pytest.mark.parametrize("kind", ["pictures", "sequences"])
def test_other_kinds_have_their_ridge_too(kind):
    mix = np.random.default_rng(1).normal(size=(8, 32))
    X = np.random.default_rng(0).normal(size=(400, 8)) @ mix
    X = (128 + 15 * (X + 0.3 * np.random.default_rng(2).normal(size=X.shape))).clip(0, 255)
    if kind == "pictures":
        make = lambda: ImageModality(shape=(4, 4))  # noqa: E731
        frame, modalities = X, [("l", make(), slice(16)), ("r", make(), slice(16, 32))]
        cells = lambda part: np.asarray(part, float)  # noqa: E731
    else:
        halves = (X[:, :16], X[:, 16:])
        frame = pd.DataFrame(
            {n: [*half.reshape(-1, 8, 2)] for n, half in zip("lr", halves, strict=True)}
        )
        modalities = [(name, SequenceModality(), [name]) for name in "lr"]
        cells = lambda part: np.stack([*part["r"]]).reshape(len(part), 16)  # noqa: E731
    mmae = MultimodalAutoencoder(modalities, **SMALL).fit(frame[:300])
    translated = cells(mmae.translate(frame[300:], to="r"))
    ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(X[:300, :16], X[:300, 16:])
    of_ridge = errors(X[300:, 16:], ridge.predict(X[300:, :16]))
    assert errors(X[300:, 16:], translated).mean() < 1.05 * of_ridge.mean()


def test_where_codes_know_more_they_are_heard():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 450)
    X = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    modalities = [("once", TabularModality(), [0, 1]), ("twice", TabularModality(), [2, 3])]
    mmae = MultimodalAutoencoder(
        modalities, n_components=4, width=32, max_epochs=12, random_state=0
    )
    mmae.fit(X[:300])
    assert errors(X[300:, 2:], mmae.translate(X[300:], to="twice")).mean() < 0.25  # ridge: 0.5


def test_absent_modalities_are_imputed_as_they_are_translated(linear):
    mmae, X = linear
    holes = X.copy()
    holes[:20, VIEWS["b"]] = np.nan
    holes[10:30, VIEWS["c"]] = np.nan
    whole = mmae.impute(holes)
    np.testing.assert_array_equal(whole[~np.isnan(holes)], X[~np.isnan(holes)])
    np.testing.assert_array_equal(whole[:20, VIEWS["b"]], mmae.translate(holes[:20], to="b"))
    np.testing.assert_array_equal(whole[10:30, VIEWS["c"]], mmae.translate(holes[10:30], to="c"))


def test_a_translated_row_does_not_depend_on_its_neighbours(linear):
    mmae, X = linear
    holes = X[:60].copy()
    holes[::3, VIEWS["a"]] = np.nan
    order = np.random.default_rng(0).permutation(60)
    together = mmae.translate(holes, to="c")
    np.testing.assert_array_equal(mmae.translate(holes[order], to="c"), together[order])
    np.testing.assert_array_equal(mmae.translate(holes[7:8], to="c"), together[7:8])


@pytest.mark.parametrize("estimator", [MultimodalAutoencoder, MultimodalVAE])
def test_intervals_of_absent_modalities_are_around_what_is_imputed(estimator):
    X, test = make_views(500), make_views(400, seed=2)
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    mmae = estimator(modalities, **SMALL).fit(X)
    holes = test.copy()
    holes[:, VIEWS["b"]] = np.nan
    low, high = (np.asarray(end)[:, VIEWS["b"]] for end in mmae.predict_interval(holes, 0.8))
    filled = mmae.impute(holes)[:, VIEWS["b"]]
    assert ((low <= filled) & (filled <= high)).all()
    # But for a few that are cut off where their column ends.
    assert np.isclose((low + high) / 2, filled, atol=1e-4).mean() > 0.9
    true = test[:, VIEWS["b"]]
    assert 0.7 < ((low <= true) & (true <= high)).mean() < 0.9


def test_networks_that_are_refused_leave_what_no_epochs_give():
    X = make_views(80)
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    refused, none = (
        MultimodalAutoencoder(modalities, **SMALL | {"max_epochs": n}).fit(X) for n in (2, 0)
    )
    if refused.net_.module_.is_linear:
        np.testing.assert_array_equal(refused.translate(X, to="a"), none.translate(X, to="a"))
        np.testing.assert_array_equal(
            refused.score_samples(X, by_modality=True), none.score_samples(X, by_modality=True)
        )


def test_without_rows_held_out_it_is_the_codes_alone(linear):
    _, X = linear
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    mmae = MultimodalAutoencoder(modalities, early_stopping=False, **SMALL).fit(X)
    shown = np.where(np.arange(19) < 14, X, np.nan)
    codes = mmae.inverse_transform(mmae.transform(shown))
    np.testing.assert_array_equal(mmae.translate(X, to="c"), codes[:, VIEWS["c"]])
    assert (mmae.score_samples(X, by_modality=True).mean() > 1).all()  # which asks of no other row


def test_links_say_what_the_linear_path_of_decoders_says():
    frame = make_frame(40, holes=True)
    frame["path"] = [np.arange(10.0).reshape(5, 2) + i for i in range(40)]
    modalities = [
        ("table", TabularModality(), ["size", "ripe", "colour", "day"]),
        ("note", TextModality(), ["note"]),
        ("photo", ImageModality(), ["photo"]),
        ("path", SequenceModality(), ["path"]),
        ("ink", ImageModality(loss="cross-entropy"), ["photo"]),
    ]
    for name, modality, columns in modalities:
        other = [("other", TabularModality(), ["count"])]
        mmae = MultimodalAutoencoder([(name, modality, columns), *other], **SMALL).fit(frame)
        part = mmae.net_.module_.networks[0]
        generator = torch.Generator().manual_seed(0)
        codes, weight = (torch.randn(n, 2, generator=generator) for n in (5, part.n_view))
        part.keep_linear(True)
        part.start(weight)
        with torch.no_grad():
            torch.testing.assert_close(
                part.link(codes @ weight.T), part.decode(codes), atol=1e-4, rtol=1e-4
            )


# Files -------------------------------------------------------------------------------------------


def forged(tmp_path, mmae, name, change):
    mmae.save(tmp_path / "model.mmae")
    tree = archive.read(tmp_path / "model.mmae", kind="estimator")
    tree["weights"][name] = change(tree["weights"][name].copy())
    archive.write(tmp_path / "forged.mmae", tree, kind="estimator")
    return tmp_path / "forged.mmae"


def test_translations_are_the_same_after_loading(linear, tmp_path):
    mmae, X = linear
    mmae.save(tmp_path / "model.mmae")
    again = sklearn_mmae.load(tmp_path / "model.mmae")
    np.testing.assert_array_equal(again.translate(X, to="b"), mmae.translate(X, to="b"))
    np.testing.assert_array_equal(
        again.score_samples(X, by_modality=True), mmae.score_samples(X, by_modality=True)
    )


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("direct.weight", lambda w: w + 1),
        ("direct.penalty", lambda p: -p),
        ("direct.shrinkage", lambda s: 0 * s),
        ("direct.covariance", lambda c: -c),
        ("direct.covariance", lambda c: c + np.triu(c, 1) + 1),
        ("direct.covariance", lambda c: c[:-1, :-1]),
    ],
)
def test_forged_regressions_are_refused(linear, tmp_path, name, change):
    with pytest.raises(sklearn_mmae.ModelFileError, match=r"regressions|moments|shape"):
        sklearn_mmae.load(forged(tmp_path, linear[0], name, change))


# The odd modality --------------------------------------------------------------------------------


def exchanged(rows, columns, seed=0):
    order = np.random.default_rng(seed).permutation(len(rows))
    order = np.where(order == np.arange(len(rows)), np.roll(order, 1), order)
    odd = rows.copy()
    for column in columns:
        odd[column] = rows[column].array[order]
    return odd


@pytest.mark.parametrize("estimator", [MultimodalAutoencoder, MultimodalVAE])
def test_the_modality_of_another_row_is_blamed(estimator):
    frame = load_digits_frame()
    train, test = frame[:1300], frame[1300:].reset_index(drop=True)
    mmae = estimator(n_components=16, max_epochs=0, random_state=0).fit(train)
    right = []
    for name, _, columns in mmae.modalities_:
        told = mmae.score_samples(exchanged(test, columns), by_modality=True)
        right.append((told.idxmin(axis=1) == name).mean())
    assert np.mean(right) > 0.93


def test_a_modality_that_nothing_tells_of_is_not_blamed_for_it():
    rng = np.random.default_rng(0)
    X = np.column_stack([make_views(600)[:, :14], rng.normal(size=(600, 8))])
    modalities = [("a", TabularModality(), slice(6)), ("b", TabularModality(), slice(6, 14))]
    modalities.append(("hum", TabularModality(), slice(14, 22)))
    mmae = MultimodalAutoencoder(modalities, n_components=8, max_epochs=0).fit(X[:400])
    told = mmae.score_samples(exchanged_views(X[400:], "a"), by_modality=True)
    assert (told["hum"] > told["a"]).mean() > 0.9
    assert abs(told["hum"].median()) < 3


def test_units_and_absent_modalities(linear):
    mmae, X = linear
    holes = X[:30].copy()
    holes[:10, VIEWS["b"]] = np.nan
    holes[:5, VIEWS["c"]] = np.nan
    told = mmae.score_samples(holes, by_modality=True).to_numpy()
    absent = np.zeros((30, 3), bool)
    absent[:10, 1] = absent[:5, 2] = True
    np.testing.assert_array_equal(np.isnan(told), absent)
    np.testing.assert_allclose(told[:5, 0], 0, atol=1e-9)  # there is nothing to go with
    np.testing.assert_allclose(told[5:10, 0], told[5:10, 2], atol=1e-6)  # of two, it is mutual
    again = mmae.score_samples(holes[7:9], by_modality=True).to_numpy()
    np.testing.assert_array_equal(again, told[7:9])
    scaled = MultimodalAutoencoder(mmae.modalities, **SMALL).fit(1000 * X)
    found = scaled.score_samples(1000 * X[10:30], by_modality=True)
    np.testing.assert_allclose(found, told[10:30], rtol=1e-2, atol=0.05)


def test_one_modality_has_none_to_go_with():
    frame = make_frame(30)[["size", "count"]]
    told = MultimodalAutoencoder(**SMALL).fit(frame).score_samples(frame, by_modality=True)
    assert (told == 0).all(axis=None)


def test_many_columns_are_reduced(monkeypatch):
    monkeypatch.setattr(_direct, "MOST_COLUMNS", 12)
    X = make_views(300)
    modalities = [(name, TabularModality(), at) for name, at in VIEWS.items()]
    mmae = MultimodalAutoencoder(modalities, **SMALL | {"max_epochs": 0}).fit(X)
    assert len(mmae.net_.module_.direct.covariance) == 12
    assert errors(X[:, :6], mmae.translate(X, to="a")).mean() < 0.9 * X[:, :6].var()
    told = mmae.score_samples(exchanged_views(X, "a"), by_modality=True)
    assert (told.idxmin(axis=1) == "a").mean() > 0.6


def exchanged_views(X, name):
    odd = X.copy()
    odd[:, VIEWS[name]] = odd[::-1, VIEWS[name]]
    return odd


def test_a_row_is_predicted_by_its_own_noise_wherever_it_stands(linear):
    mmae, _ = linear
    network = mmae._model.network
    beside = network.direct.given(torch.tensor([True, True, False]), [2])[2]
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, 19))).float()
    together, noise = beside.of(rows)
    assert noise.shape == (2, 5, 1)
    for one, predicted in zip(rows, together, strict=True):
        assert torch.allclose(beside.of(one)[0], predicted, atol=1e-6)
