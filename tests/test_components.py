"""What components stand for: their loadings, what each explains, and how many there are."""

import numpy as np
import pandas as pd
import pytest
from conftest import make_frame

from sklearn_mmae import (
    MultimodalAutoencoder,
    MultimodalVAE,
    SequenceModality,
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
