"""More modalities than those of which every pattern of presence has a regression of its own."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_mmae import MultimodalAutoencoder, TabularModality
from sklearn_mmae.training._joint import MANY_PATTERNS
from sklearn_mmae.training._patterns import index_contained

NAMES = list("abcdefgh")
MODALITIES = [(f"only_{name}", TabularModality(), [name]) for name in NAMES]


def make_rows(n_rows, seed=0, share_of_holes=0.0):
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, len(NAMES)))
    numbers += 0.1 * rng.normal(size=numbers.shape)
    numbers[rng.random(numbers.shape) < share_of_holes] = np.nan
    return pd.DataFrame(numbers, columns=NAMES).dropna(how="all").reset_index(drop=True)


def make_estimator(**parameters):
    defaults = {"n_components": 2, "width": 8, "max_epochs": 2, "random_state": 0}
    return MultimodalAutoencoder(MODALITIES, **{**defaults, **parameters})


@pytest.mark.parametrize("init", ["linear", "random"])
def test_rows_of_any_pattern_are_learned_from(init):
    rows = make_rows(150, share_of_holes=0.5)
    n_patterns = len(rows.isna().drop_duplicates())
    estimator = make_estimator(init=init).fit(rows)
    assert n_patterns > len(estimator.net_.module_.patterns)
    assert np.isfinite(estimator.transform(rows)).all()
    assert estimator.impute(rows).notna().all(axis=None)
    # Training rows count with all that they have, as any rows do later.
    explained = list(estimator.explained_deviance_.values())
    assert estimator.score(rows) == pytest.approx(np.mean(explained), rel=1e-6)


def test_holes_of_patterns_that_fit_has_not_seen_are_filled_well():
    truth = make_rows(400)
    holes = np.random.default_rng(1).random(truth.shape) < 0.4
    holes[:, :2] = False
    rows = truth.mask(holes)
    filled = make_estimator().fit(rows.head(300)).impute(rows.tail(100))
    errors = (filled - truth.tail(100)).to_numpy()[holes[-100:]]
    assert np.mean(errors**2) < 0.2 * np.mean(truth.to_numpy()[holes] ** 2)


def test_codes_and_gradients_while_training_are_those_of_later():
    rows = make_rows(100, share_of_holes=0.5)
    network = make_estimator(max_epochs=0, modality_dropout=0.5).fit(rows).net_.module_
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(100, 1, generator=generator) for _ in NAMES]
    pattern = torch.randint(len(network.patterns), (3, 100), generator=generator)
    slope = torch.randn(3, 100, 2, generator=generator)
    assert len(network.patterns) >= MANY_PATTERNS
    weights = [projection.weight for projection in network.projections]
    found = []
    for training in (True, False):
        code = network.train(training)._linear(views, pattern, network.own_paths[1])
        found.append([code, *torch.autograd.grad(code, weights, slope)])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_going_on_with_new_patterns(how):
    estimator = make_estimator(warm_start=True, early_stopping=False).fit(make_rows(100))
    n_known = len(estimator.net_.module_.patterns)
    rows = make_rows(150, seed=1, share_of_holes=0.5)
    before = estimator.transform(rows)
    if how == "partial_fit":
        estimator.partial_fit(rows)
    else:
        estimator.fit(rows)
    after = estimator.transform(rows)
    assert len(estimator.net_.module_.patterns) == n_known
    assert np.isfinite(after).all()
    assert not np.array_equal(after, before)


def test_an_unknown_pattern_counts_as_the_largest_known_one_within_it():
    patterns = np.array(
        [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 1]], bool
    )
    present = np.array(
        [[1, 1, 1, 0], [0, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 1, 1]], bool
    )
    assert index_contained(present, patterns).tolist() == [3, 2, 1, 0, 0, 4]
