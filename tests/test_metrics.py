"""Metrics give their closed forms, agree with plain loops, and refuse what cannot be measured."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import make_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.helper import SliceDict

from sklearn_mmae import MultimodalAutoencoder, TabularModality, metrics
from sklearn_mmae.metrics import (
    ProbeScorer,
    RecallScorer,
    TranslationScorer,
    cross_modal_coherence,
    expected_calibration_error,
    fit_linear_probe,
    interval_coverage,
    interval_score,
    interval_width,
    latent_agreement,
    linear_probe_score,
    recall_at_k,
    retrieval_ranks,
    shared_components_test,
    translation_score,
    worst_slab_coverage,
)

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


def codes(n=60, k=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, k))


# Agreement of spaces ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["debiased_cka", "cka", "procrustes"])
@given(seed=seeds, scale=st.floats(1e-150, 1e150), n=st.integers(6, 40))
@few
def test_rotation_scale_and_shift_do_not_count(method, seed, scale, n):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 3)) * [3, 1, 0.5]
    turned = scale * (Z @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 5)
    assert latent_agreement(Z, turned, method=method) == pytest.approx(1, abs=1e-9)
    wider = np.hstack([turned, np.zeros((n, 2))])
    assert latent_agreement(wider, Z, method=method) == pytest.approx(1, abs=1e-9)


@given(seed=seeds, n=st.integers(5, 12))
@few
def test_debiased_cka_is_the_u_statistic_over_four_different_rows(seed, n):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))

    def hsic(A, B):
        K, L = A @ A.T, B @ B.T
        total = count = 0
        for i in range(n):
            for j in set(range(n)) - {i}:
                for q in set(range(n)) - {i, j}:
                    for r in set(range(n)) - {i, j, q}:
                        total += K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q])
                        count += 1
        return total / count

    expected = hsic(A, B) / np.sqrt(hsic(A, A) * hsic(B, B))
    assert latent_agreement(A, B) == pytest.approx(expected, abs=1e-9)


def test_cka_is_the_alignment_of_centred_similarities():
    A, B = codes(20, 3), codes(20, 5, seed=1)
    H = np.eye(20) - 1 / 20
    K, L = H @ A @ A.T @ H, H @ B @ B.T @ H
    expected = (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())
    assert latent_agreement(A, B, method="cka") == pytest.approx(expected)


def test_procrustes_is_that_of_scipy():
    A, B = codes(20, 3), codes(20, 3, seed=1)
    assert latent_agreement(A, B, method="procrustes") == pytest.approx(1 - procrustes(A, B)[2])


def test_unrelated_codes_agree_by_nothing_on_average():
    found = [latent_agreement(codes(40, 20, s), codes(40, 20, 1000 + s)) for s in range(40)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert latent_agreement(codes(40, 20), codes(40, 20, 1), method="cka") > 0.3


@pytest.mark.parametrize(
    ("Z_a", "Z_b", "message"),
    [
        (codes(5), codes(6), "Z_a has 5, Z_b has 6"),
        (codes(3), codes(3), "takes 4 at least"),
        (np.ones((5, 2)), codes(5), "Z_a are all alike"),
        (codes(5), np.full((5, 2), np.nan), "Z_b contains NaN"),
        (np.eye(5), codes(5), "equally similar"),
    ],
)
def test_what_cannot_agree_is_refused(Z_a, Z_b, message):
    with pytest.raises(ValueError, match=message):
        latent_agreement(Z_a, Z_b)


# Retrieval -------------------------------------------------------------------------------------


def test_identical_vectors_are_found_first():
    Z = codes(200)
    assert recall_at_k(Z, Z, k=1) == 1
    assert (retrieval_ranks(3 * Z, Z) == 1).all()


def test_codes_that_are_all_alike_find_nothing():
    Z = np.tile(codes(1, 7), (33, 1))
    assert (retrieval_ranks(Z, Z) == 33).all()
    assert recall_at_k(Z, Z, k=10) == 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "cityblock"])
@given(seed=seeds, n=st.integers(2, 30))
@few
def test_ranks_count_the_targets_that_are_as_near(metric, seed, n):
    rng = np.random.default_rng(seed)
    targets = rng.integers(1, 4, (n, 2)).astype(float)  # many ties
    queries, rows = rng.normal(size=(5, 2)), rng.integers(0, n, 5)
    distance = {
        "cosine": lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b),
        "euclidean": lambda a, b: np.linalg.norm(a - b),
        "cityblock": lambda a, b: np.abs(a - b).sum(),
    }[metric]
    expected = []
    for query, row in zip(queries, rows, strict=True):
        own = distance(query, targets[row])
        expected.append(sum(distance(query, target) <= own + 1e-9 for target in targets))
    found = retrieval_ranks(queries, targets, metric=metric, rows=rows)
    assert found.tolist() == expected
    for k in range(1, n + 1):
        share = np.mean(np.array(expected) <= k)
        assert recall_at_k(queries, targets, k, metric=metric, rows=rows) == share


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "'k' parameter.*must be an int in the range"),
        ({"k": 6}, "k=6, but there are 5 targets.*below 5"),
        ({"targets": codes(6)}, "queries has 5, targets has 6"),
        ({"targets": codes(5, 3)}, "have 4 components, targets 3"),
        ({"rows": [0, 1, 2, 3, 5]}, "whole numbers from 0 to 4"),
        ({"rows": [0, 1]}, "queries has 5, rows has 2"),
        ({"queries": np.full((5, 4), np.inf)}, "queries contains infinity"),
    ],
)
def test_what_cannot_be_retrieved_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        recall_at_k(**{"queries": codes(5), "targets": codes(5), "k": 2} | arguments)


# Intervals -------------------------------------------------------------------------------------


@given(seed=seeds, n=st.integers(1, 20))
@few
def test_intervals_agree_with_plain_loops(seed, n):
    rng = np.random.default_rng(seed)
    y_true, ends = rng.integers(0, 5, (n, 3)).astype(float), rng.integers(0, 5, (2, n, 3))
    low, high = ends.min(0), ends.max(0)
    y_true[rng.random((n, 3)) < 0.3] = np.nan
    y_true[0] = 1
    covered, scores = [[], [], []], [[], [], []]
    for i in range(n):
        for j in range(3):
            y, a, b = y_true[i, j], low[i, j], high[i, j]
            if not np.isnan(y):
                covered[j].append(a <= y <= b)
                scores[j].append(b - a + 20 * max(a - y, 0) + 20 * max(y - b, 0))
    for function, cells in ((interval_coverage, covered), (interval_score, scores)):
        columns = function(y_true, low, high, by_column=True)
        np.testing.assert_allclose(columns, [np.mean(column) for column in cells])
        assert function(y_true, low, high) == pytest.approx(np.mean(np.concatenate(cells)))
    assert interval_width(low, high) == pytest.approx((high - low).mean())
    np.testing.assert_allclose(interval_width(low, high, by_column=True), (high - low).mean(0))


def test_the_true_quantiles_have_the_best_interval_score():
    y = np.random.default_rng(0).normal(size=20_000)

    def score(end):
        return interval_score(y, np.full_like(y, -end), np.full_like(y, end), level=0.8)

    best = score(1.2816)
    assert best < score(1.1) < score(0.8)
    assert best < score(1.5) < score(2)


def test_frames_and_infinite_ends_are_taken():
    y_true = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]})
    low, high = y_true.fillna(0) - np.inf, y_true.fillna(0) + np.inf
    found = interval_coverage(y_true, low, high, by_column=True)
    np.testing.assert_equal(found, [1, np.nan])
    assert interval_width(low, high) == np.inf
    assert interval_width([np.nan, 1], [np.nan, 3]) == 2


@pytest.mark.parametrize(
    ("y_true", "low", "high", "message"),
    [
        ([1.0, 2.0], [0.0, 3.0], [2.0, 2.0], "row 1: low is above high"),
        ([1.0, 2.0], [0.0], [2.0, 2.0], r"shapes differ: low \(1,\), high \(2,\)"),
        ([1.0, 2.0], [0.0, np.nan], [2.0, 2.0], "row 1: an interval has an end that is NaN"),
        ([np.nan], [0.0], [1.0], "every value is NaN"),
        ([np.inf], [0.0], [np.inf], "row 0: the true value, or the whole interval, is infinite"),
        ([0.0], [np.inf], [np.inf], "row 0: the true value, or the whole interval, is infinite"),
        ([[1.0]], [0.0], [1.0], "shapes differ"),
        (
            pd.DataFrame({"b": [1.0]}),
            pd.DataFrame({"a": [0.0]}),
            pd.DataFrame({"a": [1.0]}),
            r"y_true has the columns \['b'\].*same columns",
        ),
    ],
)
def test_intervals_that_are_none_are_refused(y_true, low, high, message):
    for function in (interval_coverage, interval_score):
        with pytest.raises(ValueError, match=message):
            function(y_true, low, high)


@pytest.mark.parametrize("level", [0, 1, 90])
def test_a_level_is_between_0_and_1(level):
    with pytest.raises(ValueError, match="level"):
        interval_score([0.0], [0.0], [1.0], level=level)


# Calibration -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration_of_sure_predictions_is_their_error(strategy):
    y = np.array(["a", "b"] * 50)
    right = np.eye(2)[(y == "b").astype(int)]
    assert expected_calibration_error(y, right, strategy=strategy) == 0
    assert expected_calibration_error(y, 1 - right, strategy=strategy) == 1
    always_a = np.tile([1.0, 0.0], (100, 1))  # right half of the time, sure all the time
    assert expected_calibration_error(y, always_a, strategy=strategy) == 0.5


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_true_probabilities_are_calibrated_and_sharpened_ones_are_not(strategy):
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert expected_calibration_error(y, p, strategy=strategy) < 0.015
    sharpened = p**4 / (p**4 + (1 - p) ** 4)
    confidence = np.maximum(sharpened, 1 - sharpened)
    expected = np.mean(confidence - np.maximum(p, 1 - p))
    found = expected_calibration_error(y, sharpened, strategy=strategy)
    assert found == pytest.approx(expected, abs=0.015)


@given(seed=seeds, n_bins=st.integers(1, 20), strategy=st.sampled_from(["uniform", "quantile"]))
@few
def test_calibration_agrees_with_a_plain_loop(seed, n_bins, strategy):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet([0.5] * 3, 50)
    y = rng.integers(0, 3, 50)
    confidence = proba.max(1)
    order = sorted(range(50), key=lambda i: confidence[i])
    total = 0
    for b in range(n_bins):
        if strategy == "uniform":
            part = [i for i in order if b / n_bins < confidence[i] <= (b + 1) / n_bins]
        else:
            part = [i for place, i in enumerate(order) if place * n_bins // 50 == b]
        if part:
            accuracy = np.mean([proba[i].argmax() == y[i] for i in part])
            total += len(part) / 50 * abs(accuracy - np.mean(confidence[part]))
    found = expected_calibration_error(y, proba, n_bins=n_bins, strategy=strategy, labels=[0, 1, 2])
    assert found == pytest.approx(total)


@pytest.mark.parametrize(
    ("y_true", "proba", "more", "message"),
    [
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], {}, "row 0: no probabilities.*sum 1.1"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], {}, "row 0: no probabilities"),
        ([0, 1], [0.5, 2.0], {}, "row 1: no probabilities"),
        ([0, 1], [[0.5, 0.5]], {}, "y_true has 2, proba has 1"),
        ([0, 0], [[0.5, 0.5]] * 2, {}, r"2 columns for 1 labels \(0\).*labels="),
        ([0, 2], [[0.5, 0.5]] * 2, {"labels": [0, 1]}, "y_true has 2, which is not among"),
        (None, [[0.5, 0.5]] * 2, {}, "y_true is None"),
        (["a", None], [[0.5, 0.5]] * 2, {}, "y_true has a missing value in row 1"),
        ([0, 1], [[0.5, 0.5]] * 2, {"n_bins": 0}, "n_bins"),
    ],
)
def test_what_is_no_probability_is_refused(y_true, proba, more, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y_true, proba, **more)


# Probe -----------------------------------------------------------------------------------------


def test_a_probe_with_one_penalty_is_a_standardised_logistic_regression():
    Z = codes(80) * [1, 10, 100, 1000]
    y = np.where(Z[:, 0] + Z[:, 1] / 10 > 0, "up", "down")
    ours = fit_linear_probe(Z, y, alphas=[0.5])
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=2, max_iter=5000)).fit(Z, y)
    np.testing.assert_array_equal(ours.predict_proba(Z), theirs.predict_proba(Z))


def test_a_probe_finds_what_is_linear_and_nothing_in_noise():
    Z, more = codes(400, 6), codes(400, 6, seed=1)
    weights = np.arange(1.0, 7)
    assert linear_probe_score(Z, Z @ weights, more, more @ weights) > 0.999
    assert linear_probe_score(Z, Z @ weights > 0, more, more @ weights > 0) > 0.97
    noise = np.random.default_rng(2).normal(size=(2, 400))
    assert linear_probe_score(Z, noise[0], more, noise[1]) < 0.05
    assert abs(linear_probe_score(Z, noise[0] > 0, more, noise[1] > 0) - 0.5) < 0.1
    both = np.stack([Z @ weights, noise[0]], 1), np.stack([more @ weights, noise[1]], 1)
    assert linear_probe_score(Z, both[0], more, both[1]) == pytest.approx(0.5, abs=0.05)


def test_the_penalty_is_chosen():
    Z, more = codes(60, 40), codes(400, 40, seed=1)
    y, y_more = (Z[:, 0] + Z[:, 1] > 0), (more[:, 0] + more[:, 1] > 0)
    tuned, weak = fit_linear_probe(Z, y), fit_linear_probe(Z, y, alphas=[0.01])
    assert log_loss(y_more, tuned.predict_proba(more)) < log_loss(y_more, weak.predict_proba(more))
    y, y_more = Z[:, 0] + 3 * codes(60, 1, 2)[:, 0], more[:, 0]
    tuned, weak = fit_linear_probe(Z, y), fit_linear_probe(Z, y, alphas=[0.01])
    assert tuned.score(more, y_more) > weak.score(more, y_more)


def test_whole_numbers_are_classes_unless_the_task_says_otherwise():
    Z = codes(80)
    y = np.rint(3 * Z[:, 0]).astype(int)
    assert fit_linear_probe(Z, y, alphas=[1.0]).predict(Z).dtype == y.dtype
    assert fit_linear_probe(Z, y, task="regression").score(Z, y) > 0.9


def test_a_class_of_one_row_is_learned():
    Z = codes(41)
    y = np.array(["one"] * 20 + ["two"] * 20 + ["rare"])
    Z[:20] += 9
    Z[40] -= 30
    assert fit_linear_probe(Z, y).score(Z, y) == 1


@pytest.mark.parametrize(
    ("y", "more", "message"),
    [
        (None, {}, "y is None, but labels are needed"),
        (["a", None] * 5, {}, "missing value in row 1, 3, 5, 7, 9"),
        ([1.5, np.nan] * 5, {}, "missing value in row 1"),
        ([0, 1] * 4, {}, "Z has 10, y has 8"),
        (["a"] * 10, {}, "the label 'a': there is nothing to distinguish"),
        (list("abcdefghij"), {}, r"alphas=\[1.0\]"),
        ([0, 1] * 5, {"alphas": [0.0]}, "positive numbers"),
        ([0, 1] * 5, {"alphas": []}, "positive numbers"),
        ([[0, 1]] * 10, {}, "multilabel-indicator.*one label per row"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(y, more, message):
    with pytest.raises(ValueError, match=message):
        fit_linear_probe(codes(10), y, **more)


# Translations ----------------------------------------------------------------------------------


def test_numbers_are_scored_by_r2_and_holes_do_not_count():
    true, guess = codes(30), codes(30) + codes(30, seed=1)
    found = translation_score(true, guess, multioutput="raw_values")
    np.testing.assert_allclose(found, r2_score(true, guess, multioutput="raw_values"))
    for multioutput in ("uniform_average", "variance_weighted"):
        expected = r2_score(true, guess, multioutput=multioutput)
        assert translation_score(true, guess, multioutput=multioutput) == pytest.approx(expected)
    holes = true.copy()
    holes[:10, 1] = np.nan
    found = translation_score(holes, guess, multioutput="raw_values")
    assert found[1] == pytest.approx(r2_score(true[10:, 1], guess[10:, 1]))


def test_categories_are_scored_by_errors_against_the_commonest():
    true = pd.DataFrame({"city": ["New York"] * 6 + ["New Delhi"] * 4}, dtype="category")
    commonest = true.assign(city=pd.Categorical(["New York"] * 10, true["city"].cat.categories))
    assert translation_score(true, true) == 1
    assert translation_score(true, commonest) == 0
    commonest.loc[6, "city"] = "New Delhi"
    assert translation_score(true, commonest) == pytest.approx(0.25)
    numbers = pd.DataFrame({"code": pd.Categorical([1, 1, 100])})
    assert translation_score(numbers, numbers.iloc[[0, 0, 0]]) == 0


@given(seed=seeds, n=st.integers(2, 12))
@few
def test_texts_are_scored_by_the_overlap_of_words(seed, n):
    rng = np.random.default_rng(seed)
    pool = list("abcdef")
    true, guess = (
        [" ".join(rng.choice(pool, rng.integers(1, 4))) for _ in range(n)] for _ in range(2)
    )
    true[:2] = ["a b", "Ä c!"]

    def words(text):
        return {word.strip("!") for word in text.casefold().split()}

    def weight(chosen):
        rows_with = [sum(word in words(text) for text in true) for word in chosen]
        return sum(np.log(n / max(count, 1)) for count in rows_with)

    def loss(one, other):
        one, other = words(one), words(other)
        size = weight(one) + weight(other)
        return 1 - 2 * weight(one & other) / size if size else 0

    null = min(sum(loss(text, constant) for text in true) for constant in true)
    found = sum(map(loss, true, guess))
    frames = [pd.DataFrame({"text": np.array(texts, object)}) for texts in (true, guess)]
    assert translation_score(*frames) == pytest.approx(1 - found / null)


def test_a_word_that_every_row_has_tells_nothing():
    true = pd.DataFrame({"text": ["red ink", "blue ink", "green ink"]})
    assert translation_score(true, pd.DataFrame({"text": ["red", "blue", "green"]})) == 1
    assert translation_score(true, pd.DataFrame({"text": ["ink", "ink", "ink"]})) < 0


def test_pictures_and_dates_are_scored_by_r2():
    frame = make_frame()
    shifted = frame.copy()
    shifted["photo"] = [
        np.clip(p.astype(int) + 20, 0, 255).astype(np.uint8) for p in frame["photo"]
    ]
    shifted["moment"] = frame["moment"] + pd.Timedelta("1h")
    for name in ("photo", "moment", "day"):
        assert translation_score(frame[[name]], frame[[name]]) == 1
    stacked = np.stack(frame["photo"].to_list()).reshape(len(frame), -1).astype(float)
    other = np.stack(shifted["photo"].to_list()).reshape(len(frame), -1).astype(float)
    expected = r2_score(stacked, other, multioutput="variance_weighted")
    assert translation_score(frame[["photo"]], shifted[["photo"]]) == pytest.approx(expected)
    seconds = np.array([moment.timestamp() for moment in frame["moment"]])
    found = translation_score(frame[["moment"]], shifted[["moment"]])
    assert found == pytest.approx(1 - 3600**2 / seconds.var())


def test_what_is_constant_is_left_out():
    true = pd.DataFrame({"a": [1.0, 2.0], "b": [0.1, 0.1], "c": [np.nan, np.nan]})
    guess = pd.DataFrame({"a": [1.0, 2.0], "b": [5.0, 5.0], "c": [1.0, 1.0]})
    assert translation_score(true, guess) == 1
    found = translation_score(true, guess, multioutput="raw_values")
    np.testing.assert_array_equal(found, [1, np.nan, np.nan])
    with pytest.raises(ValueError, match="every column is constant"):
        translation_score(true[["b"]], guess[["b"]])


@pytest.mark.parametrize(
    ("true", "guess", "message"),
    [
        ({"a": [1.0]}, {"b": [1.0]}, "have the columns a, the translated ones b"),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, "true has 1, translated has 2"),
        ({"a": [1.0, 2.0]}, {"a": [1.0, np.nan]}, "column 'a', row 1: the translated cell is a"),
        ({"a": ["x.png", "y.png"]}, {"a": [np.ones(2)] * 2}, "of type str.*arrays.*recall_at_k"),
        ({"a": [np.ones(2), np.ones(3)]}, {"a": [np.ones(2)] * 2}, "'a': cells have shapes"),
        ({"a": [np.ones(2)] * 2}, {"a": [np.ones(3)] * 2}, r"arrays \(2,\).*arrays \(3,\)"),
    ],
)
def test_cells_that_cannot_be_compared_are_refused(true, guess, message):
    with pytest.raises(ValueError, match=message):
        translation_score(pd.DataFrame(true), pd.DataFrame(guess))


def test_texts_are_not_pooled_with_numbers():
    frame = pd.DataFrame({"a": [1.0, 2.0], "note": ["red", "blue"]})
    with pytest.raises(ValueError, match="column note holds none"):
        translation_score(frame, frame, multioutput="variance_weighted")


def test_coherence_is_the_accuracy_of_a_judge():
    Z = codes(100)
    y = np.where(Z[:, 0] > 0, "up", "down")
    judge = LogisticRegression().fit(Z, y)
    assert cross_modal_coherence(judge, Z, y) == judge.score(Z, y)
    assert cross_modal_coherence(judge, -Z, y) < 0.1
    with pytest.raises(ValueError, match="translated has 99, y has 100"):
        cross_modal_coherence(judge, Z[1:], y)
    with pytest.raises(ValueError, match="y has 'left', which the classifier has never seen"):
        cross_modal_coherence(judge, Z, ["left"] * 100)
    with pytest.raises(ValueError, match="y is None"):
        cross_modal_coherence(judge, Z, None)
    with pytest.raises(NotFittedError):
        cross_modal_coherence(LogisticRegression(), Z, y)


# Scorers ---------------------------------------------------------------------------------------

SCORERS = {
    "probe": ProbeScorer(2, alphas=[1.0]),
    "recall": RecallScorer("tabular", "photo", 3),
    "told": TranslationScorer("tabular", given="photo"),
    "each": TranslationScorer(given=None),
}


@pytest.fixture(scope="module")
def rows():
    X = make_frame(60, seed=1)[["size", "ripe", "colour", "photo"]]
    return X, X["colour"].astype(str).to_numpy()


@pytest.fixture
def mmae():
    # Without rows held out nothing is translated but by the code.
    return MultimodalAutoencoder(n_components=4, max_epochs=0, early_stopping=False, random_state=0)


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_is_cloned_pickled_and_readable(name):
    scorer = SCORERS[name]
    for copy in (clone(scorer), pickle.loads(pickle.dumps(scorer)), eval(repr(scorer))):
        assert copy is not scorer
        assert copy.get_params() == scorer.get_params()
    assert repr(RecallScorer("a", "b")) == "RecallScorer(queries='a', targets='b')"


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_alone_chooses_in_a_search(name, rows, mmae):
    X, y = rows
    grid = {"n_components": [1, 4]}
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(mmae, grid, scoring=SCORERS[name], cv=folds, error_score="raise")
    assert search.fit(X, y).best_params_ == {"n_components": 4}
    assert search.score(X, y) == SCORERS[name](search.best_estimator_, X, y)


def test_many_scorers_go_with_a_pipeline(rows, mmae):
    X, y = rows
    pipe = Pipeline([("shift", FunctionTransformer(_moved)), ("mmae", mmae)])
    grid = {"mmae__n_components": [1, 4]}
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    results = [
        GridSearchCV(estimator, g, scoring=SCORERS, refit="recall", cv=folds, error_score="raise")
        .fit(X, y)
        .cv_results_
        for estimator, g in ((pipe, grid), (mmae, {"n_components": [1, 4]}))
    ]
    for name in SCORERS:  # numbers are standardised: moving them changes nothing but rounding
        inside, alone = (result[f"mean_test_{name}"] for result in results)
        np.testing.assert_allclose(inside, alone, atol=0.02)


def _moved(X):
    return X.assign(size=X["size"] + 1)


def test_scorers_that_need_no_labels_go_without(rows, mmae):
    X, _ = rows
    without = {name: SCORERS[name] for name in ("recall", "told", "each")}
    found = cross_validate(mmae, X, scoring=without, cv=2, error_score="raise")
    for name in without:
        assert np.isfinite(found[f"test_{name}"]).all()
    with pytest.raises(ValueError, match="y is None, but labels are needed"):
        cross_validate(mmae, X, scoring=SCORERS, cv=2, error_score="raise")


@pytest.mark.parametrize("kind", ["pandas", "polars", "array", "masked", "list", "slicedict"])
def test_scorers_take_every_container(kind):
    rng = np.random.default_rng(0)
    left = rng.normal(size=(40, 6))
    right = left[:, ::-1] + 0.1 * rng.normal(size=(40, 6))
    table = pd.DataFrame(np.hstack([left, right]), columns=[f"c{i}" for i in range(12)])
    sides = [("left", list(table.columns[:6])), ("right", list(table.columns[:5:-1]))]
    if kind in ("array", "masked", "list"):
        make = {"array": np.asarray, "masked": np.ma.masked_array, "list": np.ndarray.tolist}[kind]
        X, sides = make(table.to_numpy()), [("left", slice(0, 6)), ("right", [11, 10, 9, 8, 7, 6])]
    elif kind == "slicedict":
        X, sides = SliceDict(left=left, right=right), [("left", ["left"]), ("right", ["right"])]
    else:
        X = table if kind == "pandas" else pl.DataFrame(table.to_dict("list"))
    mmae = MultimodalAutoencoder(
        [(name, TabularModality(), columns) for name, columns in sides],
        n_components=6,
        max_epochs=0,
        random_state=0,
    ).fit(X)
    assert RecallScorer("left", "right", 1)(mmae, X) == 1
    assert TranslationScorer()(mmae, X) > 0.9
    assert ProbeScorer()(mmae, X, left[:, 0]) > 0.9
    assert ProbeScorer(task="regression")(mmae, X, np.rint(9 * left[:, 0]).astype(int)) > 0.9
    guess = np.asarray(mmae.translate(X, to="right")["right"]) if kind == "slicedict" else None
    if guess is not None:
        expected = r2_score(right, guess, multioutput="variance_weighted")
        assert TranslationScorer("right")(mmae, X) == pytest.approx(expected)


def test_a_probe_within_a_fold_sees_other_rows_than_it_is_scored_on():
    class Names(MultimodalAutoencoder):
        """Codes that tell rows apart, but nothing of their labels."""

        def transform(self, X):
            return np.eye(60)[: len(X)] + 0.0

    frame = make_frame(60)[["size"]]
    mmae = Names(n_components=1, max_epochs=0, random_state=0).fit(frame)
    y = np.random.default_rng(0).integers(0, 2, 60)
    assert fit_linear_probe(np.eye(60), y, alphas=[0.01]).score(np.eye(60), y) == 1
    assert ProbeScorer(alphas=[0.01])(mmae, frame, y) < 0.7


def test_rows_without_one_side_are_left_out(rows, mmae):
    X, _ = rows
    mmae.fit(X)
    holes = pd.concat([X, X.iloc[:5]], ignore_index=True)
    holes.loc[60:, "photo"] = None
    for name in ("recall", "told"):
        assert SCORERS[name](mmae, holes) == pytest.approx(SCORERS[name](mmae, X), abs=1e-6)
    with pytest.raises(ValueError, match="no row has both"):
        SCORERS["recall"](mmae, holes.iloc[60:])


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (RecallScorer("foto", "tabular"), "queries='foto' is no modality.*Did you mean 'photo'"),
        (RecallScorer("photo", ["photo", "tabular"]), "share a modality"),
        (RecallScorer("photo", [], 3), "targets is empty"),
        (RecallScorer("photo", "tabular", 100), "k=100, but there are 60 targets"),
        (TranslationScorer("foto"), "to='foto' is no modality"),
        (TranslationScorer("photo", given="photo"), "contains 'photo', which is to be predicted"),
        (ProbeScorer(40), "cv=40, but .* of the 60 rows scored are"),
    ],
)
def test_what_a_scorer_cannot_measure_is_refused(scorer, message, rows, mmae):
    X, y = rows
    with pytest.raises(ValueError, match=message):
        scorer(mmae.fit(X), X, y)


def test_masked_cells_are_holes():
    true = np.ma.masked_array([[1.0], [2.0], [99.0]], mask=[[0], [0], [1]])
    assert translation_score(true, [[1.0], [2.0], [3.0]]) == 1


def test_scorers_name_what_they_score(rows, mmae):
    X, y = rows
    mmae.fit(X)
    with pytest.raises(ValueError, match="X has no column 'photo'"):
        SCORERS["recall"](mmae, X.drop(columns="photo"))
    mmae = clone(mmae)
    with pytest.raises(NotFittedError):
        SCORERS["recall"](mmae, X)
    with pytest.raises(TypeError, match="DummyClassifier has no modalities_"):
        SCORERS["recall"](DummyClassifier().fit(X, y), X)
    with pytest.raises(ValueError, match="X has 60, y has 59"):
        SCORERS["probe"](mmae.fit(X), X, y[1:])


def test_every_public_name_is_exported():
    assert sorted(metrics.__all__) == metrics.__all__


# The worst kind of rows --------------------------------------------------------------------------


def slab_of(n=3000, grows=True):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    noise = np.exp(x[:, :1] / 2) if grows else 1.0
    y = rng.normal(size=(n, 2)) * noise
    width = np.quantile(np.abs(y), 0.9)
    return y, np.full((n, 2), -width), np.full((n, 2), width), x


def test_the_worst_slab_finds_rows_that_are_held_less():
    y, low, high, x = slab_of()
    of_the_noisy = interval_coverage(*(part[x[:, 0] > 0.84] for part in (y, low, high)))
    assert abs(worst_slab_coverage(y, low, high, x) - of_the_noisy) < 0.06


def test_intervals_that_hold_all_kinds_alike_have_no_bad_slab():
    y, low, high, x = slab_of(grows=False)
    assert abs(worst_slab_coverage(y, low, high, x) - 0.9) < 0.04
    assert abs(worst_slab_coverage(y, low, high, x, share=1.0) - 0.9) < 0.02


def test_the_worst_slab_does_not_count_what_is_unknown():
    y, low, high, x = slab_of()
    y[::2, 1] = np.nan
    expected = worst_slab_coverage(y, low, high, 3 * x + 1)
    assert 0.6 < expected < 0.85
    low[::2, 1] = np.nan
    high[::2, 1] = np.nan
    assert worst_slab_coverage(y, low, high, x) == pytest.approx(expected)


def test_a_slab_of_other_rows_is_refused():
    y, low, high, x = slab_of(50)
    with pytest.raises(ValueError, match="number of rows differs"):
        worst_slab_coverage(y, low, high, x[1:])
    with pytest.raises(ValueError, match="one row cannot be cut"):
        worst_slab_coverage(y[:1], low[:1], high[:1], x[:1])


# What is shared at all ---------------------------------------------------------------------------


def sharing(n, n_shared, seed, columns=6):
    rng = np.random.default_rng(seed)
    common = np.zeros((n, columns))
    common[:, :n_shared] = rng.normal(size=(n, n_shared))
    return [
        common @ rng.normal(size=(columns, columns)) + rng.normal(size=(n, columns)) / 2
        for _ in "ab"
    ]


@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_p_values_are_uniform_where_nothing_is_shared(tails):
    rng, found = np.random.default_rng(0), []
    for seed in range(150):
        X, Y = (
            rng.normal(size=(40, k)) if tails == "normal" else rng.standard_t(2, size=(40, k))
            for k in (7, 3)
        )
        found.append(shared_components_test(X, Y, n_permutations=39, random_state=seed).p_values[0])
    assert kstest(np.array(found) - rng.uniform(0, 1 / 40, 150), "uniform").pvalue > 0.01


@pytest.mark.parametrize("n_shared", [1, 3])
def test_the_shared_components_are_counted(n_shared):
    found = [
        shared_components_test(*sharing(300, n_shared, seed), n_permutations=99).n_shared
        for seed in range(20)
    ]
    assert np.mean(np.equal(found, n_shared)) >= 0.8


@few
@given(seeds)
def test_units_and_sides_do_not_change_what_is_shared(seed):
    X, Y = sharing(60, 2, seed)
    found = shared_components_test(X, Y, n_permutations=19)
    moved = shared_components_test(X * [1, 10, 0.1, 1, 5, 2] + 3, Y - 7, n_permutations=19)
    np.testing.assert_allclose(found.p_values, moved.p_values)
    np.testing.assert_allclose(found.correlations, moved.correlations)
    n = len(found.p_values)
    swapped = shared_components_test(Y, X, n_permutations=19).correlations[:n]
    np.testing.assert_allclose(swapped, found.correlations[: len(swapped)])
    assert (np.diff(found.p_values) >= 0).all()


def test_more_columns_than_rows_share_nothing_by_themselves():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 30, 100))
    assert shared_components_test(X, Y, n_permutations=199).p_values[0] > 0.01


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (codes(9), codes(9), "9 rows are too few"),
        (codes(20), codes(21), "number of rows differs"),
        (codes(20), np.ones((20, 2)), "Y is constant"),
        (np.full((20, 2), np.nan), codes(20), "NaN"),
    ],
)
def test_what_cannot_be_tested_is_refused(X, Y, message):
    with pytest.raises(ValueError, match=message):
        shared_components_test(X, Y)
