"""Factor analysis of tables with holes, beside closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_mmae.statistics._factors import PatternMoments, expected, most_rows
from sklearn_mmae.statistics._factors import fit_factors as fit_moments
from sklearn_mmae.statistics._samples import SampledRows


def fit_factors(table, n_factors):
    sample = SampledRows(table, np.ones(len(table)))
    return fit_moments(PatternMoments.of_rows(sample), n_factors)


def drawn(n_rows=3000, holes=0.0, seed=0):
    """Return rows of a factor analysis with holes, the whole rows, and their covariance."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(8, 2))
    noise = rng.uniform(0.2, 0.6, 8)
    whole = rng.normal(size=(n_rows, 2)) @ loadings.T + rng.normal(size=(n_rows, 8)) * noise**0.5
    table = np.where(rng.random(whole.shape) < holes, np.nan, whole)
    return table, whole, loadings @ loadings.T + np.diag(noise)


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_the_covariance_is_found_whatever_is_missing(holes):
    table, _, covariance = drawn(holes=holes)
    loadings, noise = fit_factors(table, 2)
    found = loadings @ loadings.T + np.diag(noise)
    assert np.abs(found - covariance).max() < 0.15 * np.abs(covariance).max()


def test_what_is_expected_is_the_conditional_mean():
    table, _, _ = drawn(n_rows=50, holes=0.4)
    loadings, noise = fit_factors(drawn()[0], 2)
    covariance = loadings @ loadings.T + np.diag(noise)
    means = expected(table, loadings, noise)
    for row, found in zip(table, means, strict=True):
        hole = np.isnan(row)
        given = np.linalg.solve(covariance[np.ix_(~hole, ~hole)], row[~hole])
        assert_allclose(found[hole], covariance[np.ix_(hole, ~hole)] @ given, atol=1e-4)


def test_a_row_of_holes_has_the_mean():
    loadings, noise = fit_factors(drawn()[0], 2)
    assert not expected(np.full((2, 8), np.nan), loadings, noise).any()


def test_unrelated_columns_say_little_of_one_another():
    table = np.random.default_rng(0).normal(size=(60, 20))
    table[np.random.default_rng(1).random(table.shape) < 0.3] = np.nan
    means = expected(table, *fit_factors(table, 10))
    assert (means[np.isnan(table)] ** 2).mean() < 0.6


def test_columns_of_nothing_and_of_one_value_change_nothing():
    table, _, _ = drawn(holes=0.2)
    table = np.column_stack([table, np.full(len(table), np.nan), np.zeros(len(table))])
    means = expected(table, *fit_factors(table, 2))
    assert np.isfinite(means).all()
    assert not means[:, 8:].any()


def test_wide_tables_are_learned_from_fewer_rows():
    assert most_rows(20, 10) == 4000
    assert most_rows(5000, 32) == 500


def test_of_whole_rows_their_second_moments_say_the_same():
    table, _, _ = drawn()
    found = fit_moments(PatternMoments.of_product(table.T @ table, len(table)), 2)
    for one, other in zip(found, fit_factors(table, 2), strict=True):
        assert_allclose(one, other, atol=1e-9)
