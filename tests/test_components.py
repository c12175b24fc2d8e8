"""What components stand for: their loadings, what each explains, and how many there are."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_frame
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import (
    DataWarning,
    Modality,
    MultimodalAutoencoder,
    MultimodalVAE,
    SequenceModality,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae.objectives import MMVAEPlus

KINDS = [MultimodalAutoencoder, MultimodalVAE]


def make_factors(n_factors, n=600, n_columns=12, noise=0.5, seed=0):
    """Return columns that follow some factors of equal strength, with noise."""
    rng = np.random.default_rng(seed)
    loadings = np.linalg.qr(rng.normal(size=(n_columns, n_factors)))[0] * n_columns**0.5
    return rng.normal(size=(n, n_factors)) @ loadings.T + noise * rng.normal(size=(n, n_columns))


def linear(kind=MultimodalAutoencoder, **parameters):
    return kind(**{"max_epochs": 0, "random_state": 0, **parameters})


# Loadings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_loadings_times_codes_are_the_linear_reconstruction_of_a_table(kind):
    X = make_factors(3)
    fitted = linear(kind, n_components=3).fit(X)
    unit = fitted.net_.module_.scale.numpy()
    again = fitted.transform(X) / unit @ fitted.components_["tabular"].to_numpy()
    standardised = (fitted.reconstruct(X) - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(again, standardised, atol=1e-5)


def test_a_unit_of_a_loading_is_a_standard_deviation_of_the_code():
    X = make_factors(3)
    fitted = linear(n_components=3).fit(X)
    np.testing.assert_allclose(
        fitted.transform(X).std(0), fitted.net_.module_.scale.numpy(), rtol=1e-3
    )


@pytest.mark.parametrize("kind", KINDS)
def test_loadings_are_labelled_by_column_category_word_and_pixel(kind):
    frame = make_frame(60, holes=True)
    fitted = linear(kind, n_components=3, max_epochs=2, width=8).fit(frame)
    loadings = fitted.components_
    assert list(loadings) == [name for name, _, _ in fitted.modalities_]
    for one in loadings.values():
        assert list(one.index) == list(fitted.get_feature_names_out())
        assert np.isfinite(one.to_numpy()).all()
    assert {"size", "count", "ripe=True", "ripe=False"} <= set(loadings["tabular"].columns)
    modality = {name: modality for name, modality, _ in fitted.modalities_}["note"]
    assert list(loadings["note"].columns) == modality.vocabulary_
    assert loadings["photo"].columns[-1] == (7, 7, 2)


def test_loadings_of_other_kinds_are_numbered_and_of_written_texts_by_token():
    rng = np.random.default_rng(0)
    wave = np.empty(40, object)
    wave[:] = [rng.normal(size=(5, 2)) for _ in range(40)]
    frame = pd.DataFrame({"wave": wave, "name": ["red heart", "blue heart"] * 20})
    modalities = [
        ("wave", SequenceModality(), ["wave"]),
        ("name", TextModality(decoder="sequence"), ["name"]),
    ]
    loadings = linear(modalities=modalities, n_components=2).fit(frame).components_
    assert list(loadings["wave"].columns) == list(range(11))  # steps and channels, and the length
    assert {"red", "blue"} <= {token.strip() for token in loadings["name"].columns}


class Wrapped(torch.nn.Module):
    """A decoder of a user's own, whose linear path nobody knows of."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.linear = inner.linear

    def forward(self, code):
        return self.inner(code)


class OwnModality(TabularModality):
    def network(self, n_components, width, dropout):
        network = super().network(n_components, width, dropout)
        network.decoder = Wrapped(network.decoder)
        return network

    def output_names(self, names):
        return Modality.output_names(self, names)


def test_loadings_of_a_modality_of_ones_own_are_what_its_decoder_makes_of_a_component():
    X = make_factors(3)
    usual, own = (
        linear(modalities=[("table", kind(), slice(None))], n_components=3).fit(X)
        for kind in (TabularModality, OwnModality)
    )
    loadings = own.components_["table"]
    assert list(loadings.columns) == list(range(12))
    np.testing.assert_allclose(loadings, usual.components_["table"], atol=1e-5)


def test_a_modality_has_no_loadings_on_private_components_of_others():
    frame = make_frame(60)
    fitted = linear(MultimodalVAE, n_components=6, objective=MMVAEPlus(private=0.5)).fit(frame)
    shared = [(one != 0).any(axis=1) for one in fitted.components_.values()]
    assert np.sum(shared, 0).tolist() == [3, 3, 3, 1, 1, 1]


def test_what_is_written_into_loadings_changes_no_network():
    X = make_factors(2)
    fitted = linear(n_components=2).fit(X)
    before = fitted.reconstruct(X)
    loadings = fitted.components_["tabular"]
    loadings.iloc[:] = 0
    np.testing.assert_array_equal(fitted.reconstruct(X), before)
    assert not hasattr(linear(), "components_")


def test_loadings_come_back_from_a_file(tmp_path):
    fitted = linear(n_components=3).fit(make_frame(60))
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    for name, loadings in fitted.components_.items():
        pd.testing.assert_frame_equal(again.components_[name], loadings)


# What each explains -----------------------------------------------------------------------------


def test_shares_of_a_table_are_those_of_pca():
    X = make_factors(3)
    shares = linear(n_components=4, rotation=None).fit(X).explained_deviance_ratio_
    pca = PCA(4).fit(StandardScaler().fit_transform(X))
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, rtol=1e-5)
    turned = linear(n_components=4).fit(X).explained_deviance_ratio_
    assert abs(turned.sum() - shares.sum()) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_no_less_than_nothing_and_no_more_than_all(kind, tmp_path):
    fitted = linear(kind, n_components=5).fit(make_frame(60, holes=True))
    shares = fitted.explained_deviance_ratio_
    assert shares.shape == (5,)
    assert shares.min() >= 0
    assert 0 < shares.sum() <= 1
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").explained_deviance_ratio_, shares)


def test_components_beyond_the_columns_explain_nothing():
    shares = linear(n_components=8).fit(make_factors(2, n_columns=5)).explained_deviance_ratio_
    np.testing.assert_allclose(shares.sum(), 1, atol=1e-6)
    assert (shares[5:] == 0).all()
    started = linear(n_components=2, init="random").fit(make_factors(2))
    assert (started.explained_deviance_ratio_ == 0).all()


def test_a_target_is_no_part_of_what_is_explained():
    X = make_factors(3)
    fitted = linear(n_components=4, target_weight=5).fit(X, X[:, 0])
    assert fitted.explained_deviance_ratio_.sum() <= 1


# How many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_factors, lambda _: make_frame(120)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_share_is_reached_and_not_by_one_component_fewer(make, share):
    X = make(4)
    fitted = linear(n_components=share).fit(X)
    assert fitted.explained_deviance_ratio_.sum() >= share
    fewer = linear(n_components=fitted.n_components_ - 1).fit(X)
    assert fewer.explained_deviance_ratio_.sum() < share


def test_a_share_is_nearly_reached_where_cells_are_missing():
    shares = linear(n_components=0.8).fit(make_frame(120, holes=True)).explained_deviance_ratio_
    assert abs(shares.sum() - 0.8) < 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_factors", [1, 2, 5])
def test_auto_finds_the_number_of_factors(kind, n_factors):
    X = make_factors(n_factors, noise=1.0)
    assert linear(kind, n_components="auto").fit(X).n_components_ == n_factors


def test_auto_finds_factors_of_many_columns_beside_those_of_few():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(600, 1))
    wide = make_factors(4, n_columns=800, noise=3.0) + 2 * common
    modalities = [
        ("few", TabularModality(), [0]),
        ("many", TabularModality(), list(range(1, 801))),
    ]
    X = np.hstack([common, wide])
    assert linear(modalities=modalities, n_components="auto").fit(X).n_components_ == 5


def test_auto_takes_the_values_of_one_column_for_no_component():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"flag {i}": rng.integers(0, 2, 1000) > 0 for i in range(20)})
    assert linear(n_components="auto").fit(frame).n_components_ == 1


def test_the_number_that_is_found_gives_what_it_gives_when_it_is_asked_for():
    frame = make_frame(60, holes=True)
    found = MultimodalAutoencoder(n_components=0.6, max_epochs=2, width=8, random_state=0)
    codes = found.fit_transform(frame)
    assert found.get_params()["n_components"] == 0.6
    asked = clone(found).set_params(n_components=found.n_components_)
    np.testing.assert_array_equal(asked.fit_transform(frame), codes)
    assert codes.shape[1] == len(found.get_feature_names_out()) == found.n_components_


@pytest.mark.parametrize("wanted", [0.7, "auto"])
def test_a_number_that_was_found_is_kept(wanted, tmp_path):
    X = make_factors(4, noise=1.0)
    fitted = linear(n_components=wanted, warm_start=True, width=8).fit(X)
    number, codes = fitted.n_components_, fitted.transform(X)
    fitted.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        assert (again.n_components, again.n_components_) == (wanted, number)
        np.testing.assert_array_equal(again.transform(X), codes)
    fitted.fit(X[:300, ::-1] ** 3)
    assert fitted.n_components_ == number
    assert fitted.partial_fit(X).transform(X).shape[1] == number
    begun = linear(n_components=wanted, width=8).partial_fit(X)
    assert begun.partial_fit(X).n_components_ == number


def test_folds_have_as_many_components_as_the_whole():
    X = make_factors(4, n=80, noise=1.5)
    y = X[:, 0] + np.random.default_rng(0).normal(size=80)
    codes = linear(n_components=0.8, target_weight=1, target_cv=3).fit_transform(X, y)
    assert np.isfinite(codes).all()


def test_too_large_a_share_of_too_many_columns_warns():
    X = np.linalg.qr(np.random.default_rng(0).normal(size=(320, 320)))[0]  # all axes are alike
    with pytest.warns(DataWarning, match="256 components, the most that are chosen") as told:
        fitted = linear(n_components=0.99, width=8).fit(X)
    assert fitted.n_components_ == 256
    assert told[0].filename == __file__


@pytest.mark.parametrize("wrong", [0, 1.5, 1.0, 0.0, -0.5, True, "all", None, float("nan")])
def test_what_is_no_number_of_components_is_refused(wrong):
    with pytest.raises(ValueError, match=r"n_components.*(float in the range|whole number)"):
        linear(n_components=wrong).fit(make_factors(2))
