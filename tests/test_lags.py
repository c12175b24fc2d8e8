"""Lags between the modalities of an estimator: found in fit, undone from then on."""

import pickle

import numpy as np
import pandas as pd
import pytest

import sklearn_mmae
from sklearn_mmae import (
    AudioModality,
    DataWarning,
    MultimodalAutoencoder,
    SequenceModality,
    TabularModality,
    VideoModality,
)
from sklearn_mmae.model._lags import _averaged

LAG = 7


def make_signals(lag=LAG, n_rows=60, seed=0):
    """Return rows of a force, and of a glow that follows it `lag` steps later."""
    rng = np.random.default_rng(seed)
    rows = []
    for length in rng.integers(90, 120, n_rows):
        force = np.convolve(rng.normal(size=length + abs(lag) + 5), np.ones(6), "valid")
        early, late = force[abs(lag) :, None], force[: len(force) - abs(lag), None]
        noise = rng.normal(size=late.shape)
        rows.append((early, late + noise) if lag >= 0 else (late, early + noise))
    return pd.DataFrame(rows, columns=["force", "glow"])


def make_estimator(max_lag=20, **parameters):
    modalities = [(name, SequenceModality(), [name]) for name in ("force", "glow")]
    defaults = {"n_components": 8, "max_epochs": 0, "random_state": 0}
    return MultimodalAutoencoder(modalities, max_lag=max_lag, **{**defaults, **parameters})


def r2(truth, found, skip):
    """Return how well sequences are told, past their first steps and before their last."""
    pairs = [
        (t[skip:n], f[skip:n])
        for t, f in zip(truth, found, strict=True)
        for n in [min(len(t), len(f)) - skip]
    ]
    truth, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return 1 - ((truth - found) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()


@pytest.mark.parametrize("lag", [-LAG, LAG])
def test_a_lag_is_found_with_an_interval_that_holds_it(lag):
    estimator = make_estimator().fit(make_signals(lag))
    assert estimator.lags_["force"] == 0
    assert abs(estimator.lags_["glow"] - lag) < 0.5
    low, high = estimator.lag_intervals_["glow"]
    assert low <= lag <= high
    assert high - low < 2


def test_a_lag_is_in_seconds_where_there_is_a_rate():
    modalities = [(n, SequenceModality(sampling_rate=50), [n]) for n in ("force", "glow")]
    estimator = make_estimator(max_lag=0.4).set_params(modalities=modalities)
    assert abs(estimator.fit(make_signals()).lags_["glow"] - LAG / 50) < 0.01


def test_without_a_lag_it_is_zero_and_nothing_changes():
    signals = make_signals(lag=0)
    estimator = make_estimator().fit(signals)
    assert estimator.lags_ == {"force": 0, "glow": 0}
    plain = make_estimator(max_lag=None).fit(signals)
    np.testing.assert_array_equal(estimator.transform(signals), plain.transform(signals))
    assert not hasattr(plain, "lags_")


@pytest.mark.parametrize("lag", [-LAG, LAG])
def test_undoing_a_lag_costs_nothing_in_translation(lag):
    def told(lag, max_lag):
        train, test = make_signals(lag, 150), make_signals(lag, 40, seed=1)
        estimator = make_estimator(max_lag, n_components=16).fit(train)
        return r2(test["glow"], estimator.translate(test[["force"]], to="glow")["glow"], 2 * LAG)

    assert told(lag, 20) > told(0, None) - 0.02


@pytest.mark.parametrize("lag", [-LAG, LAG])
def test_what_comes_back_stands_in_its_own_time(lag):
    signals = make_signals(lag)
    estimator = make_estimator(n_components=40).fit(signals)
    back = estimator.reconstruct(signals)
    for name in signals:
        assert [len(cell) for cell in back[name]] == [len(cell) for cell in signals[name]]
    assert r2(signals["glow"], back["glow"], 2 * LAG) > 0.5
    assert r2(signals["force"], back["force"], 2 * LAG) > 0.5


def test_new_rows_are_moved_as_those_of_fit_and_one_row_is_enough():
    signals = make_signals()
    estimator = make_estimator(max_epochs=3).fit(signals)
    codes = estimator.transform(signals)
    np.testing.assert_array_equal(estimator.transform(signals[3:4]), codes[3:4])
    changed = signals.copy()
    changed["glow"] = [cell.copy() for cell in signals["glow"]]
    for cell in changed["glow"]:
        cell[:LAG] = 1e3  # before anything of the force that goes with it
    np.testing.assert_array_equal(estimator.transform(changed), codes)


def test_lags_are_kept_in_a_file_and_in_a_pickle(tmp_path):
    signals = make_signals()
    estimator = make_estimator(max_epochs=2).fit(signals)
    estimator.save(tmp_path / "lag.mmae")
    for same in (
        sklearn_mmae.load(tmp_path / "lag.mmae"),
        pickle.loads(pickle.dumps(estimator)),
    ):
        assert same.lags_ == estimator.lags_
        assert same.lag_intervals_ == estimator.lag_intervals_
        np.testing.assert_array_equal(same.transform(signals), estimator.transform(signals))


def test_warm_start_and_partial_fit_keep_the_lag():
    signals = make_signals()
    estimator = make_estimator(max_epochs=1, warm_start=True).fit(signals)
    lags = estimator.lags_
    assert estimator.fit(signals).lags_ == lags
    assert estimator.partial_fit(signals).lags_ == lags
    assert np.isfinite(estimator.transform(signals)).all()


def test_sound_that_comes_after_the_picture_is_found():
    """A light goes on and off at random; a tone is as loud as it is bright, 0.2 s later."""
    rng, fps, rate = np.random.default_rng(0), 25, 8000
    clips, sounds = np.empty((2, 24), object)
    for row in range(24):
        light = np.repeat(rng.uniform(0.05, 1, 30), 3)
        clips[row] = (255 * np.broadcast_to(light[5:, None, None, None], (85, 8, 8, 3))).astype(
            "u1"
        )
        loud = np.repeat(light[: len(light) - 5], rate // fps)
        sounds[row] = (loud * rng.normal(0, 0.2, len(loud))).astype("f4")
    frame = pd.DataFrame({"film": clips, "sound": sounds})
    estimator = MultimodalAutoencoder(
        [
            ("film", VideoModality(rate=fps, fps=fps), ["film"]),
            ("sound", AudioModality(rate=rate), ["sound"]),
        ],
        n_components=4,
        max_lag=0.5,
        max_epochs=0,
        random_state=0,
    ).fit(frame)
    assert abs(estimator.lags_["sound"] - 0.2) < 0.04
    back = estimator.reconstruct(frame)
    for film, sound, given in zip(back["film"], back["sound"], frame["sound"], strict=True):
        assert film.shape == (85, 8, 8, 3)
        assert abs(len(sound) - len(given)) <= estimator.modalities_[1][1].hop_length_


def test_streams_that_tell_nothing_of_one_another_are_taken_as_they_are():
    signals, others = make_signals(), make_signals(seed=5)
    with pytest.warns(DataWarning, match=r"'glow' tells nothing .* 'force'"):
        estimator = make_estimator().fit(signals.assign(glow=others["glow"]))
    assert estimator.lags_["glow"] == 0


@pytest.mark.parametrize("still", ["force", "glow"])
def test_what_stands_still_has_no_lag(still):
    signals = make_signals(n_rows=20)
    signals[still] = [np.full_like(cell, row) for row, cell in enumerate(signals[still])]
    with pytest.warns(DataWarning, match=r"'glow' tells nothing .* 'force'.*taken to be 0"):
        estimator = make_estimator().fit(signals)
    assert estimator.lags_ == {"force": 0, "glow": 0}
    assert estimator.lag_intervals_["glow"] == (-20, 20)


def test_clips_that_stand_still_have_no_lag():
    signals = make_signals(n_rows=20)
    clips = [np.full((len(cell), 4, 4, 3), 9, np.uint8) for cell in signals["glow"]]
    parts = [
        ("force", SequenceModality(), ["force"]),
        ("film", VideoModality(rate=1, fps=1), ["film"]),
    ]
    estimator = make_estimator().set_params(modalities=parts)
    with pytest.warns(DataWarning, match="'film' tells nothing"):
        estimator.fit(signals.assign(film=clips))
    assert estimator.lags_["film"] == 0


def test_rows_shorter_than_the_largest_lag_have_no_say_and_are_moved():
    signals = make_signals()
    for name in signals:
        signals.at[3, name] = signals[name][3][:15]
    estimator = make_estimator().fit(signals)
    assert abs(estimator.lags_["glow"] - LAG) < 0.5
    assert np.isfinite(estimator.transform(signals[3:4])).all()
    back = estimator.reconstruct(signals[3:4])
    assert [len(back[name].iloc[0]) for name in signals] == [15, 15]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_lag": 0.5}, "max_lag=0.5 is less than a step"),
        ({"max_lag": 500}, "max_lag=500: no row goes on for 508 seconds"),
        ({"max_lag": 0}, "max_lag"),
        ({"max_lag": "auto"}, "max_lag"),
    ],
)
def test_a_max_lag_that_makes_no_sense_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_estimator(**parameters).fit(make_signals())


def test_max_lag_needs_two_modalities_that_go_on_in_time():
    signals = make_signals().assign(size=np.arange(60.0))
    estimator = make_estimator().set_params(
        modalities=[
            ("size", TabularModality(), ["size"]),
            ("force", SequenceModality(), ["force"]),
        ]
    )
    with pytest.raises(ValueError, match=r"two modalities that go on in time.*'size', 'force'"):
        estimator.fit(signals)


def test_times_of_their_own_and_a_max_lag_do_not_go_together():
    signals = make_signals()
    signals["clock"] = [np.arange(len(cell)) * 0.1 for cell in signals["glow"]]
    estimator = make_estimator().set_params(
        modalities=[
            ("force", SequenceModality(), ["force"]),
            ("glow", SequenceModality(time="clock"), ["glow", "clock"]),
        ]
    )
    with pytest.raises(ValueError, match="'glow' has times of its own"):
        estimator.fit(signals)


def test_averages_over_wider_steps_keep_the_mean():
    steps = np.random.default_rng(0).normal(size=(40, 2))
    np.testing.assert_allclose(_averaged(steps, 4), steps.reshape(10, 4, 2).mean(1))
    np.testing.assert_allclose(_averaged(steps, 2.5).mean(0), steps.mean(0))


def test_a_file_cannot_ask_for_more_than_its_rows_last(tmp_path):
    estimator = make_estimator().fit(make_signals())
    estimator.lags_["glow"] = 1e6
    estimator.save(tmp_path / "far.mmae")
    with pytest.raises(sklearn_mmae.ModelFileError, match="its lags"):
        sklearn_mmae.load(tmp_path / "far.mmae")
