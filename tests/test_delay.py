"""Lags between streams are found, told with their uncertainty, and undone, without the future."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimator_checks import LEFT_OUT

from sklearn_mmae import CellError, DataWarning, DelayAligner, MultimodalAutoencoder
from sklearn_mmae.alignment import find_lag
from sklearn_mmae.alignment._shift import read_at, reading_times, undoing_times


def wave(n, seed=0, pole=0.9):
    """Return a random smooth signal."""
    return lfilter([1], [1, -pole], np.random.default_rng(seed).normal(size=n + 200))[200:]


def beats(n, rng):
    """Return a smooth signal that nearly repeats itself every 80 steps or so, as a pulse does."""
    phase = 2 * np.pi * np.cumsum(1 / (80 + lfilter([1], [1, -0.98], rng.normal(size=n))))
    return np.sin(phase) + 0.5 * np.sin(2 * phase + 1) + 0.3 * np.sin(3 * phase)


def shifted(lag, n=1500, seed=0, noise=0.5, signal=None):
    """Return a frame of two noisy streams, the second late by whole rows."""
    rng = np.random.default_rng(seed)
    signal = wave(n + 500, seed) if signal is None else signal
    signal = signal / signal.std()
    frame = pd.DataFrame(
        {"early": signal[250 : 250 + n], "late": signal[250 - lag : 250 - lag + n]}
    )
    return frame + noise * rng.normal(size=frame.shape)


def sequences(lags, n=120, seed=0, noise=0.3):
    """Return rows of sequences of two channels each; the second late by a lag of each row's own."""
    rng = np.random.default_rng(seed)
    mixture = rng.normal(size=(2, 2))
    first, second = np.empty(len(lags), object), np.empty(len(lags), object)
    for row, lag in enumerate(lags):
        steps = n + row % 3
        signal = np.stack([wave(steps + 60, 2 * row + 1000 * seed + i, 0.6) for i in (0, 1)], 1)
        early, late = signal[30 : 30 + steps], signal[30 - lag : 30 - lag + steps] @ mixture
        first[row] = early + noise * rng.normal(size=early.shape)
        second[row] = late + noise * rng.normal(size=late.shape)
    return pd.DataFrame({"first": first, "second": second})


# Finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [-200, -37, 0, 5, 200])
def test_a_known_shift_is_found(lag):
    found = DelayAligner(max_lag=230).fit(shifted(lag, noise=1))
    low, high = found.lag_intervals_["late"]
    assert abs(found.lags_["late"] - lag) < 1
    assert low <= lag <= high
    assert high - low < 5
    assert (found.lags_["early"], found.lag_intervals_["early"]) == (0, (0, 0))


def test_the_right_one_of_many_near_equal_peaks_is_found():
    rng = np.random.default_rng(1)
    errors = []
    for trial in range(10):
        lag = int(rng.integers(-200, 201))
        X = shifted(lag, n=3000, seed=trial, signal=beats(3500, rng))
        errors.append(abs(DelayAligner(max_lag=230).fit(X).lags_["late"] - lag))
    assert np.median(errors) < 1
    assert sum(error < 3 for error in errors) >= 9


def test_a_lag_between_steps_is_found():
    signal = np.repeat(0.0, 6000)
    signal[:] = wave(6000, pole=0.95)
    fine = lfilter(np.ones(8) / 8, 1, signal)
    X = np.stack([fine[100:5700:4], fine[90:5690:4]], 1)  # late by 10 / 4 steps
    assert abs(DelayAligner(max_lag=20).fit(X).lags_["x1"] - 2.5) < 0.1


def test_intervals_hold_what_they_promise():
    held, trials = 0, 60
    rng = np.random.default_rng(0)
    for trial in range(trials):
        lag = int(rng.integers(-40, 41))
        X = shifted(lag, n=800, seed=trial, noise=1).to_numpy()
        found = find_lag([X[:, :1]], [X[:, 1:]], 50, method="correlation")
        held += found.low <= lag <= found.high
        assert found.high - found.low < 20
    assert held >= 0.9 * trials


@pytest.mark.parametrize("pole", [0, 0.95])
def test_streams_that_do_not_tell_of_one_another_have_lag_0_and_no_idea(pole):
    found = 0
    for seed in range(12):
        X = np.stack([wave(600, seed, pole), wave(600, seed + 100, pole)], 1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            aligner = DelayAligner(max_lag=60).fit(X)
        found += aligner.lags_["x1"] != 0
        told = not any("'x1' tells nothing of 'x0' within max_lag=60" in str(w) for w in caught)
        assert told == (aligner.lag_intervals_["x1"] != (-60, 60))
        assert aligner.lags_["x1"] != 0 or aligner.lag_intervals_["x1"] == (-60, 60)
    assert found <= 1


def test_lag_0_is_said_exactly_and_changes_nothing():
    exact = 0
    for seed in range(10):
        X = shifted(0, seed=seed)
        aligner = DelayAligner(max_lag=100)
        aligned = aligner.fit_transform(X)
        exact += aligner.lags_["late"] == 0
        assert aligner.lags_["late"] != 0 or aligned.equals(X)
    assert exact >= 8


def test_unlike_streams_are_tied_by_whatever_one_tells_of_the_other():
    rng = np.random.default_rng(0)
    signal = (
        rng.normal(size=(2600, 2)) * (1.2 + np.sin(np.cumsum(rng.uniform(0, 0.2, 2600))))[:, None]
    )
    level = lfilter([0.3], [1, -0.7], np.abs(signal).sum(1))
    X = np.c_[signal[40:2540], level[25:2525] + 0.3 * rng.normal(size=2500)]
    streams = [("sound", [0, 1]), ("level", [2])]
    aligner = DelayAligner(streams, max_lag=60).fit(X)
    assert abs(aligner.lags_["level"] - 15) < 4  # the level itself follows by 1 or 2


def test_lags_are_in_seconds_where_there_is_a_rate():
    X = shifted(25)
    rows = DelayAligner(max_lag=50).fit(X)
    seconds = DelayAligner(max_lag=0.5, sampling_rate=100).fit(X)
    assert seconds.max_lag_ == 0.5
    assert np.isclose(seconds.lags_["late"], rows.lags_["late"] / 100)
    pd.testing.assert_frame_equal(seconds.transform(X), rows.transform(X))


def test_the_reference_may_be_any_stream():
    X = shifted(12)
    one, other = DelayAligner(max_lag=50).fit(X), DelayAligner(reference="late", max_lag=50).fit(X)
    assert other.lags_["late"] == 0
    assert abs(one.lags_["late"] + other.lags_["early"]) < 0.1


def test_holes_do_not_hinder():
    X = shifted(18)
    rng = np.random.default_rng(0)
    X[rng.random(X.shape) < 0.2] = np.nan
    X.loc[300:380, "late"] = np.nan
    assert abs(DelayAligner(max_lag=50).fit(X).lags_["late"] - 18) < 1


def test_a_drift_is_found_and_undone():
    n = 6000
    signal, steps = wave(n + 200, pole=0.95), np.arange(n)
    late = np.interp(steps - 10 - 0.004 * steps, np.arange(n + 200) - 100.0, signal)
    X = pd.DataFrame({"early": signal[100 : n + 100], "late": late})
    X += 0.3 * np.random.default_rng(0).normal(size=X.shape)
    aligner = DelayAligner(max_lag=60, drift=True).fit(X)
    low, high = aligner.drift_intervals_["late"]
    assert low <= 0.004 <= high
    assert abs(aligner.drifts_["late"] - 0.004) < 5e-4
    assert abs(aligner.lags_["late"] - 10) < 1
    assert aligner.transform(X).corr().iloc[0, 1] > 0.9 > 0.6 > X.corr().iloc[0, 1]
    steady = DelayAligner(max_lag=60, drift=True).fit(shifted(20, n=4000))
    assert steady.drifts_["late"] == 0
    assert abs(steady.lags_["late"] - 20) < 1


def test_rows_of_sequences_have_one_lag_or_each_its_own():
    lags = [4, -6, 0, 9, 3, 0, -2, 7, 0, 5]
    one = DelayAligner(max_lag=12).fit(sequences([5] * 10))
    assert abs(one.lags_["second"] - 5) < 0.5
    some = [0] * 15 + lags[:5]
    each = DelayAligner(max_lag=12, per_row=True).fit(sequences(some))
    assert np.abs(each.lags_["second"] - some).max() < 1
    assert each.lag_intervals_ == {"first": None, "second": None}
    # A new row's lag is found from that row alone.
    new = sequences(lags, seed=0)
    aligned, alone = each.transform(new), each.transform(new.iloc[[3]])
    np.testing.assert_array_equal(aligned["second"][3], alone["second"][3])
    inner = slice(20, -20)
    for row in range(10):
        moved = np.abs(
            find_lag([aligned["first"][row][inner]], [aligned["second"][row][inner]], 9).lag
        )
        assert moved < 1


# Undoing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [True, False])
def test_aligned_streams_are_as_if_they_had_not_been_shifted(causal):
    X = shifted(30, noise=0.1)
    aligned = DelayAligner(max_lag=50, causal=causal).fit_transform(X)
    assert X.corr().iloc[0, 1] < 0.2
    assert aligned.corr().iloc[0, 1] > 0.95
    holes = aligned.isna()
    assert holes["early" if causal else "late"].sum() in (30, 31)
    assert not holes["late" if causal else "early"].any()
    assert holes.iloc[0 if causal else -1].any()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(2, 40),
    lags=st.lists(st.integers(-12, 12), min_size=2, max_size=4),
    causal=st.booleans(),
    between=st.booleans(),
)
def test_what_was_moved_moves_back(n, lags, causal, between):
    lags = np.array(lags) + 0.5 * between
    ahead = lags if causal else np.zeros(1)
    values = np.arange(n) * 1.0  # a straight line survives reading between steps
    for lag in lags:
        there = reading_times(n, lag, 0.0, ahead, 0 * ahead)
        moved = read_at(values, there)
        back = read_at(moved, undoing_times(there, n))
        kept = np.isfinite(back)
        np.testing.assert_allclose(back[kept], values[kept], atol=1e-9)
        assert kept.sum() >= n - 2 * (np.ptp([0, *lags]) + 1)
        if causal:
            assert (there <= np.arange(n)).all()


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(-0.2, 0.2), lag=st.floats(-5, 5))
def test_a_drift_moves_back(slope, lag):
    values = np.arange(50.0)
    there = reading_times(50, lag, slope, np.zeros(1), np.zeros(1))
    back = read_at(read_at(values, there), undoing_times(there, 50))
    kept = np.isfinite(back)
    np.testing.assert_allclose(back[kept], values[kept], atol=1e-6)
    assert kept.sum() > 20


def test_inverse_transform_puts_the_lags_back():
    X = shifted(30)
    aligner = DelayAligner(max_lag=50).fit(X)
    again = aligner.inverse_transform(aligner.transform(X))
    kept = again.notna()
    assert kept.mean().min() > 0.97
    # Between rows a straight line is drawn twice, which smooths what is noise from row to row.
    assert (again - X)["late"].abs().max() < 1e-9
    assert np.corrcoef(again["early"][kept["early"]], X["early"][kept["early"]])[0, 1] > 0.9


def test_container_index_dtypes_and_other_columns_are_kept():
    X = shifted(10).astype("float32")
    X["count"] = np.arange(len(X))
    X["label"] = "a"
    X.index = pd.date_range("2024-01-01", periods=len(X), freq="s")
    before = X.copy(deep=True)
    streams = [("a", "early"), ("b", ["late"]), ("n", ["count"])]
    aligner = DelayAligner(streams[:2], max_lag=20)
    aligned = aligner.fit_transform(X)
    pd.testing.assert_frame_equal(X, before)
    pd.testing.assert_frame_equal(aligned[["count", "label"]], X[["count", "label"]])
    assert aligned.index.equals(X.index)
    assert aligned.dtypes.equals(X.dtypes)
    assert list(aligner.get_feature_names_out()) == list(X.columns)
    polars = aligner.fit_transform(pl.from_pandas(X.reset_index(drop=True)))
    assert isinstance(polars, pl.DataFrame)
    np.testing.assert_array_equal(polars["early"].to_numpy(), aligned["early"])
    with pytest.warns(DataWarning, match="stream 'n' tells nothing of 'a' within max_lag=20"):
        counted = clone(aligner).set_params(streams=streams).fit(X).transform(X)
    assert counted["count"].dtype == "float64" or counted["count"].equals(X["count"])


def test_sequences_come_back_as_cells():
    X = sequences([5] * 6)
    X.loc[2, "second"] = None
    X.index = list("abcdef")
    for frame in (
        X,
        pl.DataFrame({c: [None if v is None else v.tolist() for v in X[c]] for c in X}),
    ):
        aligned = DelayAligner(max_lag=12).fit_transform(frame)
        cell = np.array(aligned["first"].to_list()[0])
        assert cell.shape == X["first"].iloc[0].shape
        assert np.isnan(cell[:4]).all()
        assert np.isfinite(cell[8:]).all()
        assert aligned["second"].to_list()[2] is None
    assert DelayAligner(max_lag=12).fit_transform(X).index.equals(X.index)


# The future ----------------------------------------------------------------------------------


def test_no_row_holds_anything_of_a_later_one():
    X = shifted(-12).to_numpy()
    for lag_of in (DelayAligner(max_lag=50), DelayAligner(max_lag=50, reference="x1")):
        aligner = lag_of.fit(X)
        aligned = aligner.transform(X)
        for row in (100, 700):
            later = X.copy()
            later[row + 1 :] = 1e6
            np.testing.assert_array_equal(aligner.transform(later)[: row + 1], aligned[: row + 1])
            np.testing.assert_array_equal(aligner.transform(X[: row + 1]), aligned[: row + 1])


def test_no_row_of_a_later_fold_reaches_an_earlier_one():
    X = shifted(12).to_numpy()
    for causal in (True, False):
        for train, test in TimeSeriesSplit(3).split(X):
            aligner = DelayAligner(max_lag=50, causal=causal).fit(X[train])
            spoilt = X.copy()
            spoilt[test[0] :] = -1e6
            again = clone(aligner).fit(spoilt[train])
            assert again.lags_ == aligner.lags_
            np.testing.assert_array_equal(
                again.transform(spoilt[train]), aligner.transform(X[train])
            )
            # What is learned stays learned, and a fold is made of its own rows.
            lags = dict(aligner.lags_)
            moved = aligner.transform(X[test])
            assert aligner.lags_ == lags
            spoilt = X.copy()
            spoilt[: test[0]] = 1e6
            np.testing.assert_array_equal(aligner.transform(spoilt[test]), moved)


def test_a_pipeline_with_time_series_split_works():
    X = shifted(30, noise=0.2)
    # What is asked for follows the early stream by 30 rows, and the late one at once.
    y = X["late"].to_numpy() + 0.1 * np.random.default_rng(1).normal(size=len(X))
    X["late"] += np.random.default_rng(2).normal(size=len(X))
    regress = make_pipeline(SimpleImputer(), Ridge())
    score = {
        aligned: cross_val_score(model, X, y, cv=TimeSeriesSplit(4)).mean()
        for aligned, model in (
            (True, make_pipeline(DelayAligner(max_lag=50), regress)),
            (False, regress),
        )
    }
    assert score[True] > score[False] + 0.1


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    n=st.integers(60, 150),
    pole=st.sampled_from([0.0, 0.9, 0.99]),
    lag=st.integers(-40, 40),
    low=st.sampled_from([None, -5.0, 0.0, 1.5]),
    high=st.floats(3, 25),
)
def test_a_lag_lies_within_max_lag_and_within_its_interval(seed, n, pole, lag, low, high):
    signal = wave(n + 80, seed, pole)
    X = np.stack([signal[40 : 40 + n], signal[40 - lag : 40 - lag + n]], 1)
    X += 0.1 * np.random.default_rng(seed).normal(size=X.shape)
    max_lag = high if low is None else (low, high)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of lags that cannot be told
        aligner = DelayAligner(max_lag=max_lag).fit(X)
    first, last = aligner.lag_intervals_["x1"]
    least, most = (-high, high) if low is None else max_lag
    assert least <= first <= aligner.lags_["x1"] <= last <= most


@pytest.mark.parametrize("max_lag", [(2, 1), (1, 1), (0, np.nan), (0, 1, 2), -1, 0, np.inf, "1"])
def test_a_max_lag_that_makes_no_sense_is_refused(max_lag):
    with pytest.raises(ValueError, match="max_lag"):
        DelayAligner(max_lag=max_lag).fit(shifted(3, n=100))
    table = {"sequence": [*np.random.default_rng(0).normal(size=(20, 30, 2))]}
    mmae = MultimodalAutoencoder(max_lag=max_lag, max_epochs=0)
    with pytest.raises(ValueError, match="max_lag"):
        mmae.fit(pd.DataFrame(table | {"other": table["sequence"]}))


def test_a_lower_bound_says_which_stream_comes_later():
    rng = np.random.default_rng(0)
    X = shifted(20, n=1500, noise=0.2, signal=beats(2500, rng))  # also 60 earlier, a beat before
    assert DelayAligner(max_lag=(0, 70)).fit(X).lags_["late"] == pytest.approx(20, abs=1)
    assert DelayAligner(max_lag=(-70, 0)).fit(X).lags_["late"] == pytest.approx(-60, abs=3)


# scikit-learn --------------------------------------------------------------------------------

# The checks' columns have nothing to do with one another.
NOT_TOLD = pytest.mark.filterwarnings("ignore:stream .* its lag cannot be found")
CHECKED = [DelayAligner(), DelayAligner(causal=False, max_lag=2, method="features")]


@NOT_TOLD
@parametrize_with_checks(CHECKED)
def test_check_of_scikit_learn(estimator, check):
    check(estimator)


@NOT_TOLD
@pytest.mark.filterwarnings("ignore:X (does not have|has) .*feature names")
@pytest.mark.parametrize("check", LEFT_OUT)
def test_check_that_scikit_learn_leaves_out(check):
    getattr(estimator_checks, check)("DelayAligner", DelayAligner())


def test_clone_pickle_and_a_second_fit():
    X = shifted(10)
    aligner = DelayAligner(max_lag=30).fit(X)
    assert not hasattr(clone(aligner), "lags_")
    again = pickle.loads(pickle.dumps(aligner))
    pd.testing.assert_frame_equal(again.transform(X), aligner.transform(X))
    kept = dict(aligner.lags_)
    with pytest.raises(ValueError, match="too few"):
        aligner.fit(X[:20])
    assert aligner.lags_ == kept


def test_set_output():
    X = shifted(10)
    aligner = DelayAligner(max_lag=30).set_output(transform="polars").fit(X)
    assert isinstance(aligner.transform(X), pl.DataFrame)
    assert aligner.transform(X).columns == ["early", "late"]


# Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"max_lag": 0}, "max_lag"),
        ({"max_lag": -3}, "max_lag"),
        ({"max_lag": 1500}, r"X has 1500 sample\(s\) at most: too few .* up to 1500"),
        ({"reference": "lat"}, "reference='lat' is no stream. Did you mean 'late'"),
        ({"streams": [("a", "early"), ("b", "lte")]}, "stream 'b': X has no column 'lte'. Did you"),
        ({"streams": [("a", "early")]}, "1 stream has nothing to lag behind"),
        ({"streams": [("a", "early"), ("a", "late")]}, "two streams have one name"),
        ({"streams": [("a", "early"), ("b", [])]}, "stream 'b' has no columns"),
        ({"per_row": True}, "per_row=True is for cells that are sequences"),
        ({"drift": True, "per_row": True}, "one or the other"),
        ({"sampling_rate": 0}, "sampling_rate"),
        (
            {"streams": [("a", [0, 1]), ("b", "late")], "method": "correlation"},
            "stream 'b' has 1 channels, the reference 'a' 2",
        ),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters, problem):
    with pytest.raises(ValueError, match=problem):
        DelayAligner(**parameters).fit(shifted(3))


def test_cells_that_are_no_numbers_are_located():
    X = shifted(3).astype(object)
    X.loc[7, "late"] = "x"
    with pytest.raises(CellError, match=r"column 'late', row 7: 'x' is no number.*Give numbers"):
        DelayAligner().fit(X)
    cells = sequences([1] * 4)
    cells.at[2, "second"] = ["a", "b"]
    with pytest.raises(CellError, match=r"column 'second', row 2: .* is no number"):
        DelayAligner(max_lag=5).fit(cells)


def test_sequences_of_unequal_length_in_a_row_are_located():
    X = sequences([1] * 4)
    X.at[2, "second"] = X["second"][2][:-5]
    with pytest.raises(CellError, match=r"column 'second', row 2: .* steps.*one\s+sampling grid"):
        DelayAligner(max_lag=5).fit(X)
    X.at[2, "second"] = X["first"][2][:, :1]
    with pytest.raises(CellError, match=r"column 'second', row 2: 1 channels, but 2"):
        DelayAligner(max_lag=5).fit(X)


def test_constant_streams_and_short_sequences_are_warned_of():
    X = shifted(5)
    X["late"] = 3.0
    with pytest.warns(DataWarning, match="stream 'late' does not vary"):
        aligner = DelayAligner(max_lag=20).fit(X)
    assert aligner.lags_["late"] == 0
    assert aligner.lag_intervals_["late"] == (-20, 20)
    cells = sequences([3] * 6)
    for name in cells:
        cells.at[4, name] = cells[name][4][:10]
    with pytest.warns(DataWarning, match=r"stream 'second', rows 4: .*largest lag of 12"):
        aligner = DelayAligner(max_lag=12).fit(cells)
    assert abs(aligner.lags_["second"] - 3) < 0.5


@pytest.mark.parametrize("empty", [np.zeros((0, 2)), np.zeros(0), np.zeros((5, 0))])
def test_sequences_of_no_steps_are_located(empty):
    X = sequences([1] * 4)
    aligner = DelayAligner(max_lag=5).fit(X)
    X.at[2, "second"] = empty
    for work in (DelayAligner(max_lag=5).fit, aligner.transform):
        with pytest.raises(
            CellError, match=r"column 'second', row 2: .*nothing.*at least one step"
        ):
            work(X)


def test_a_table_shorter_than_its_lag_is_warned_of():
    X = shifted(30)
    aligner = DelayAligner(max_lag=50).fit(X)
    with pytest.warns(DataWarning, match=r"stream 'early', column 'early': X has 20 row\(s\)"):
        aligned = aligner.transform(X[:20])
    assert aligned["early"].isna().all()
    assert aligned["late"].notna().all()


def test_numbers_beside_sequences_are_refused():
    X = sequences([1] * 4)
    with pytest.raises(
        ValueError, match="columns first, second hold sequences, the others numbers"
    ):
        DelayAligner(max_lag=5).fit(X.assign(size=1.0))
    with pytest.raises(ValueError, match="not as in fit"):
        DelayAligner(max_lag=5).fit(X).transform(shifted(3).set_axis(list(X), axis=1))


def test_lags_of_single_rows_cannot_be_put_back():
    X = sequences([0] * 6)
    with pytest.raises(ValueError, match="cannot be found from the aligned row"):
        DelayAligner(max_lag=9, per_row=True).fit(X).inverse_transform(X)
