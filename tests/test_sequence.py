"""Signals: any length, holes, irregular times; what comes back is as it was."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from skorch.helper import SliceDict

from sklearn_mmae import (
    CellError,
    DataWarning,
    ImageModality,
    MultimodalAutoencoder,
    SequenceModality,
    load,
)
from sklearn_mmae.modalities._signals import from_grid, to_grid
from sklearn_mmae.tables._cells import Cells

QUICK = {"max_epochs": 2, "n_components": 4, "width": 32, "random_state": 0}


def column(cells):
    made = np.empty(len(cells), object)
    made[:] = cells
    return made


def cells(*columns, names=("signal", "time")):
    return Cells(names[: len(columns)], tuple(map(column, columns)))


def waves(n=60, longest=40, shortest=20, seed=0):
    """Sines of any phase, and of a second channel in other units; length follows the phase."""
    rng = np.random.default_rng(seed)
    found = []
    for phase in rng.uniform(0, 1, n):
        t = np.arange(round(shortest + phase * (longest - shortest)))
        angle = 6 * phase + t / 4
        found.append(np.stack([np.sin(angle), 5000 + 900 * np.cos(angle)], 1))
    return found


def fitted(signals, modality=None, **settings):
    X = pd.DataFrame({"signal": column(signals)})
    mmae = MultimodalAutoencoder(
        [("signal", modality or SequenceModality(), ["signal"])], **(QUICK | settings)
    )
    return mmae.fit(X), X


# What comes back ---------------------------------------------------------------------------------


FORMS = {
    "float64": lambda s: s,
    "float32": lambda s: s.astype(np.float32),
    "float16": lambda s: s.astype(np.float16),
    "whole numbers": lambda s: np.rint(s).astype(np.int16),
    "unsigned": lambda s: np.rint(np.abs(s)).astype(np.uint16),
    "one channel": lambda s: s[:, :1],
    "no channel axis": lambda s: s[:, 0],
    "bools": lambda s: s > 0,
    "columns first in memory": np.asfortranarray,
    "read only": lambda s: np.broadcast_to(s, s.shape),
}


@pytest.mark.parametrize("form", FORMS)
def test_signals_come_back_with_their_dtype_axes_and_length(form):
    signals = [FORMS[form](signal) for signal in waves()]
    mmae, X = fitted(signals)
    for back in (mmae.reconstruct(X), mmae.impute(X)):
        for cell, signal in zip(back["signal"], signals, strict=True):
            assert (cell.dtype, cell.shape) == (signal.dtype, signal.shape)
    predicted = mmae.inverse_transform(mmae.transform(X))["signal"]
    assert {(cell.dtype, cell.shape[1:]) for cell in predicted} == {
        (signals[0].dtype, signals[0].shape[1:])
    }


def test_the_length_is_learned_where_nothing_tells_it():
    signals = waves(150)
    mmae, X = fitted(signals, max_epochs=30)
    back = mmae.inverse_transform(mmae.transform(X))["signal"]
    off = [abs(len(b) - len(s)) for b, s in zip(back, signals, strict=True)]
    assert np.mean(off) < 1.5
    assert {len(cell) for cell in mmae.inverse_transform(np.zeros((1, 4)))["signal"]} < {*range(41)}


def test_signals_of_one_length_come_back_at_that_length_whatever_the_vector():
    mmae, _ = fitted([wave[:20] for wave in waves()])
    wild = 50 * np.random.default_rng(0).normal(size=(20, 4))
    assert {cell.shape for cell in mmae.inverse_transform(wild)["signal"]} == {(20, 2)}


def test_what_comes_back_is_near():
    mmae, X = fitted(waves(150), max_epochs=30)
    assert mmae.score(X) > 0.95
    error = np.concatenate(list(mmae.reconstruct(X)["signal"] - X["signal"]))
    assert (error.std(0) < [0.2, 180]).all()


def test_each_channel_has_a_unit_of_its_own():
    signals = waves()
    mmae, X = fitted(signals)
    other = [signal * [1e-3, 1e3] + [7, -1e6] for signal in signals]
    again, Y = fitted(other)
    np.testing.assert_allclose(mmae.transform(X), again.transform(Y), atol=1e-3)


def test_lists_and_masked_arrays_are_signals():
    signals = waves()
    lists = [signal.tolist() for signal in signals]
    masked = [np.ma.masked_greater(signal, 1e9) for signal in signals]
    objects = [signal.astype(object) for signal in signals]
    values = SequenceModality().fit_transform(cells(signals)).tensors["steps"]
    for other in (lists, masked, objects):
        got = SequenceModality().fit_transform(cells(other)).tensors["steps"]
        assert np.array_equal(got, values)


def test_a_slicedict_of_one_array_comes_back_as_one_array():
    array = np.stack([wave[:20] for wave in waves()]).astype(np.float32)
    X = SliceDict(signal=array, y=np.arange(len(array)))
    mmae = MultimodalAutoencoder(**QUICK).fit(X)
    assert [type(m).__name__ for _, m, _ in mmae.modalities_] == [
        "TabularModality",
        "SequenceModality",
    ]
    back = mmae.reconstruct(X)["signal"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    holes = array.copy()
    holes[3, 4:6, 0], holes[5] = np.nan, np.nan
    filled = mmae.impute(SliceDict(signal=holes, y=X["y"]))["signal"]
    assert np.isfinite(filled).all()
    assert np.array_equal(filled[~np.isnan(holes)], array[~np.isnan(holes)])


def test_lists_and_arrays_of_polars_come_back_as_such():
    pl = pytest.importorskip("polars")
    signals = waves()
    ragged = [signal[:, 0].tolist() for signal in signals]
    ragged[3], ragged[4][2] = None, None
    X = pl.DataFrame(
        [
            pl.Series("ragged", ragged, dtype=pl.List(pl.Float32)),
            pl.Series("nested", [signal.tolist() for signal in signals]),
            pl.Series("even", np.stack([signal[:20] for signal in signals])),
        ]
    )
    mmae = MultimodalAutoencoder(**QUICK).fit(X)
    assert {type(m) for _, m, _ in mmae.modalities_} == {SequenceModality}
    for back in (mmae.reconstruct(X), mmae.impute(X), mmae.inverse_transform(mmae.transform(X))):
        assert back.schema == X.schema
    filled = mmae.impute(X)["ragged"]
    assert not filled.null_count()
    assert not filled[4].null_count()
    assert filled[4][3] == X["ragged"][4][3]


# Holes -------------------------------------------------------------------------------------------


def test_holes_have_no_say_and_are_filled():
    signals = waves(150)
    rng = np.random.default_rng(1)
    holed = [np.where(rng.random(s.shape) < 0.2, np.nan, s) for s in signals]
    mmae, X = fitted(holed, max_epochs=30)
    assert np.isfinite(mmae.transform(X)).all()
    filled = mmae.impute(X)["signal"]
    for cell, given in zip(filled, holed, strict=True):
        assert np.array_equal(cell[~np.isnan(given)], given[~np.isnan(given)])
    errors, spread = [], []
    for cell, given, truth in zip(filled, holed, signals, strict=True):
        errors.append((cell - truth)[np.isnan(given[:, 0]), 0])
        spread.append(truth[:, 0])
    assert np.concatenate(errors).std() < 0.5 * np.concatenate(spread).std()


def test_filling_leaves_what_is_known_to_the_last_bit():
    mmae, _ = fitted([signal.astype(np.float32) for signal in waves()])
    given = np.pi * waves()[0]
    given[3, 1] = np.nan
    for cell in (given, given.astype(object), given.tolist()):
        filled = mmae.impute(pd.DataFrame({"signal": column([cell])}))["signal"][0]
        assert filled.dtype == np.float64
        assert np.array_equal(np.isnan(given), filled != given)


def test_a_signal_of_nothing_but_holes_is_a_missing_row_of_known_length():
    signals = waves()
    signals[3] = np.full((33, 2), np.nan)
    mmae, X = fitted(signals)
    with pytest.warns(DataWarning, match="row 3: nothing is observed"):
        filled = mmae.impute(X)["signal"][3]
    assert filled.shape == (33, 2)
    assert np.isfinite(filled).all()


def test_a_row_may_lack_one_of_two_streams():
    signals = waves(80)
    X = pd.DataFrame({"a": column([s[:, 0] for s in signals]), "b": column(signals)})
    X.loc[::5, "a"] = None
    mmae = MultimodalAutoencoder(**QUICK).fit(X)
    assert np.isfinite(mmae.transform(X)).all()
    got = mmae.translate(X[["b"]], to="a")["a"]
    assert all(cell.ndim == 1 and np.isfinite(cell).all() for cell in got)
    assert all(isinstance(cell, np.ndarray) for cell in mmae.impute(X)["a"])


def test_a_channel_that_is_never_observed_comes_back_finite():
    signals = [np.column_stack([wave[:, 0], np.full(len(wave), np.nan)]) for wave in waves()]
    mmae, X = fitted(signals)
    assert all(np.isfinite(cell).all() for cell in mmae.impute(X)["signal"])


def test_constant_channels_and_a_single_row_can_be_learned():
    constant = [np.column_stack([wave[:, 0], np.full(len(wave), 7.0)]) for wave in waves()]
    mmae, X = fitted(constant)
    assert all(np.allclose(cell[:, 1], 7, atol=1e-3) for cell in mmae.reconstruct(X)["signal"])
    one = SequenceModality()
    values = one.fit_transform(cells([np.arange(5.0)]))
    network = one.network(2, 8, 0.0)
    tensors = {name: torch.from_numpy(array) for name, array in values.tensors.items()}
    assert not network.view(tensors).any()
    assert one.inverse_transform(network.predict(torch.zeros(1, 6)).numpy())[0][0].shape == (5,)


# Long signals ------------------------------------------------------------------------------------


def resampled(signal, n_steps):
    places = np.linspace(0, n_steps - 1, len(signal))
    return to_grid(signal[:, None], places, n_steps, 1.5)[:, 0], places


def test_resampling_keeps_lines_and_slow_waves_and_drops_fast_ones():
    t = np.arange(1000.0)
    line, places = resampled(3 * t - 5, 137)
    np.testing.assert_allclose(from_grid(line[:, None], places)[:, 0], 3 * t - 5, atol=1e-6)
    slow = np.sin(t / 50)
    steps, places = resampled(slow, 137)
    assert np.abs(from_grid(steps[:, None], places)[:, 0] - slow).max() < 0.02
    # Of a period of 8 samples: picking each 7.35th would make a slow wave of it.
    assert np.abs(resampled(np.sin(2 * np.pi * t / 8), 137)[0][1:-1]).max() < 0.08


def test_whole_steps_are_taken_as_they_are():
    signal = np.random.default_rng(0).normal(size=(30, 2))
    signal[4:6, 0] = np.nan
    steps = to_grid(signal, np.arange(30.0), 30, 1.5)
    assert np.array_equal(steps, signal, equal_nan=True)


def test_holes_longer_than_a_step_stay_holes():
    signal = np.sin(np.arange(1000.0) / 50)
    signal[400:500] = np.nan
    hole = np.isnan(resampled(signal, 100)[0])
    assert hole.any()
    assert set(np.flatnonzero(hole)) <= set(range(39, 51))


def test_rows_longer_than_max_steps_come_back_at_their_own_length():
    signals = waves(40, longest=400, shortest=200)
    modality = SequenceModality(max_steps=50)
    mmae, X = fitted([np.repeat(s, 2, 0) for s in signals], modality, max_epochs=15)
    learned = mmae.modalities_[0][1]
    assert (learned.n_steps_, learned.step_) == (50, pytest.approx(799 / 49, rel=0.05))
    for back, given in zip(mmae.reconstruct(X)["signal"], X["signal"], strict=True):
        assert back.shape == given.shape


def test_one_very_long_row_does_not_take_the_detail_from_the_others():
    signals = [np.sin(np.arange(60.0)) for _ in range(40)] + [np.zeros(100_000)]
    modality = SequenceModality(max_steps=100)
    with pytest.warns(DataWarning, match=r"'signal', row 40.*windows.*max_steps"):
        modality.fit(cells(signals))
    assert modality.step_ < 2


def test_a_later_row_that_is_longer_is_cut_with_a_warning_and_comes_back_whole():
    mmae, X = fitted(waves())
    longer = pd.DataFrame({"signal": column([*X["signal"][:3], np.ones((70, 2))])})
    with pytest.warns(DataWarning, match="'signal', column 'signal', row 3: longer than the 40"):
        codes = mmae.transform(longer)
    assert np.array_equal(codes[:3], mmae.transform(X[:3]))
    with pytest.warns(DataWarning, match="row 3"):
        back = mmae.reconstruct(longer)["signal"]
    assert back[3].shape == (70, 2)
    assert (back[3][45:] == back[3][44]).all()


# Times -------------------------------------------------------------------------------------------


def irregular(n=80, seed=0, start=1.7e9):
    rng = np.random.default_rng(seed)
    signals, times = [], []
    for _ in range(n):
        t = np.sort(rng.uniform(0, 20, rng.integers(60, 90)))
        signals.append(np.sin(rng.uniform(0, 6) + t)[:, None])
        times.append(start + np.unique(t))
    return signals, times


@pytest.mark.parametrize("order", [["s", "t"], ["t", "s"]])
def test_irregular_rows_come_back_on_their_own_times(order):
    signals, times = irregular()
    X = pd.DataFrame({"s": column(signals), "t": column(times)})
    mmae = MultimodalAutoencoder(
        [("s", SequenceModality(time="t"), order)], n_components=4, max_epochs=20, random_state=0
    ).fit(X)
    back = mmae.reconstruct(X)
    for row in range(len(X)):
        assert np.array_equal(back["t"][row], times[row])
        assert back["s"][row].shape == signals[row].shape
    error = np.concatenate(list(back["s"] - X["s"]))
    assert error.std() < 0.35
    predicted = mmae.inverse_transform(mmae.transform(X))
    step = mmae.modalities_[0][1].step_seconds_
    assert 0.1 < step < 0.4
    for s, t in zip(predicted["s"], predicted["t"], strict=True):
        np.testing.assert_allclose(t, step * np.arange(len(s)))


def test_steps_in_long_gaps_of_irregular_times_are_holes():
    times = np.concatenate([np.arange(20.0), np.arange(40.0, 60.0), [63.0, 64.0]])
    modality = SequenceModality(time="time")
    tensors = modality.fit_transform(cells([times[:, None], times[:, None]], [times] * 2)).tensors
    there = tensors["observed"][0, :, 0]
    assert set(np.flatnonzero(~there)) == set(range(20, 40))
    known = tensors["steps"][0, :, 0] * modality.channel_scale_ + modality.channel_mean_
    np.testing.assert_allclose(known[there], np.arange(65.0)[there], atol=1e-4)


def test_a_missing_signal_of_known_times_is_filled_at_these_times():
    signals, times = irregular(30)
    signals[3] = None
    X = pd.DataFrame({"s": column(signals), "t": column(times)})
    mmae = MultimodalAutoencoder([("s", SequenceModality(time="t"), ["s", "t"])], **QUICK).fit(X)
    with pytest.warns(DataWarning, match="row 3: nothing is observed"):
        filled = mmae.impute(X)
    assert filled["s"][3].shape == (len(times[3]), 1)
    assert np.array_equal(filled["t"][3], times[3])


def test_only_differences_of_times_matter():
    signals, times = irregular(20, start=0)
    one, other = (SequenceModality(time="time") for _ in range(2))
    values = one.fit_transform(cells(signals, times)).tensors
    moved = other.fit_transform(cells(signals, [t + 1000 * i for i, t in enumerate(times)])).tensors
    np.testing.assert_allclose(moved["steps"], values["steps"], atol=1e-4)


def test_regular_times_and_none_are_the_same():
    signals = waves()
    values = SequenceModality().fit_transform(cells(signals)).tensors
    times = [5 + np.arange(len(s)) / 125 for s in signals]
    timed = SequenceModality(time="time", sampling_rate=125).fit_transform(cells(signals, times))
    np.testing.assert_allclose(timed.tensors["steps"], values["steps"], atol=1e-5)
    assert np.array_equal(timed.tensors["length"], values["length"])


def test_times_of_whole_numbers_come_back_as_such():
    signals = waves(20)
    modality = SequenceModality(time="time").fit(
        cells(signals, [10 * np.arange(len(s)) for s in signals])
    )
    network = modality.network(2, 8, 0.0)
    back = modality.inverse_transform(network.predict(torch.zeros(1, network.n_outputs)).numpy())
    assert back[1][0].dtype == np.int64
    assert np.array_equal(back[1][0], 10 * np.arange(len(back[0][0])))


def test_a_step_lasts_as_long_as_the_rate_says():
    signals = waves()
    assert SequenceModality().fit(cells(signals)).step_seconds_ == 1
    assert SequenceModality(sampling_rate=125).fit(cells(signals)).step_seconds_ == 1 / 125
    coarse = SequenceModality(sampling_rate=10, max_steps=14).fit(cells(signals))
    assert coarse.step_seconds_ == pytest.approx(0.3)


# Learning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [50, 300])
def test_never_below_pca_on_signals_of_one_length(n_steps):
    rng = np.random.default_rng(0)
    low_rank = rng.normal(size=(250, 6)) @ rng.normal(size=(6, 2 * n_steps))
    flat = low_rank + rng.normal(size=low_rank.shape)
    signals = flat.reshape(250, n_steps, 2) * [1, 50]
    train, test = signals[:200], signals[200:]
    units = StandardScaler().fit(train.reshape(-1, 2))
    flat, flat_test = (
        units.transform(part.reshape(-1, 2)).reshape(len(part), -1) for part in (train, test)
    )
    pca = PCA(4).fit(flat)
    error = flat_test - pca.inverse_transform(pca.transform(flat_test))
    linear = 1 - (error**2).sum() / ((flat_test - pca.mean_) ** 2).sum()
    mmae, _ = fitted(list(train), max_epochs=5)
    assert mmae.score(pd.DataFrame({"signal": column(list(test))})) > linear - 0.01


def test_one_signal_tells_the_other():
    signals = waves(200)
    X = pd.DataFrame(
        {"a": column([s[:, :1] for s in signals]), "b": column([s[:, 1:] for s in signals])}
    )
    mmae = MultimodalAutoencoder(**QUICK | {"max_epochs": 15}).fit(X[:150])
    known = X[150:].reset_index(drop=True)
    got = mmae.translate(known[["a"]], to="b")["b"]
    pairs = [
        (g[: min(len(g), len(k))], k[: min(len(g), len(k))])
        for g, k in zip(got, known["b"], strict=True)
    ]
    error = np.concatenate([g - k for g, k in pairs])
    assert error.std() < 0.3 * np.concatenate([k for _, k in pairs]).std()


@pytest.mark.parametrize("longest", [40, 400])
def test_nothing_beyond_the_end_or_in_a_hole_reaches_the_network(longest):
    modality = SequenceModality()
    values = modality.fit_transform(cells([w[:, 0] for w in waves(12, longest)]))
    tensors = {name: torch.from_numpy(array) for name, array in values.tensors.items()}
    network = modality.network(2, 8, 0.0)
    view = network.view(tensors)
    beyond = torch.arange(modality.n_steps_) >= tensors["length"][:, None]
    tensors["observed"] = ~beyond[..., None]
    tensors["observed"][:, 3] = False
    spoilt = torch.where(tensors["observed"], tensors["steps"], torch.nan)
    seen = network.view(tensors | {"steps": spoilt})
    assert seen.isfinite().all()
    view[:, 3] = 0
    assert torch.equal(seen, view)
    outputs = torch.zeros_like(view).requires_grad_()
    network.deviance(outputs, tensors | {"steps": spoilt}).sum().backward()
    assert outputs.grad.isfinite().all()
    assert not outputs.grad[:, :-1][beyond].any()
    assert not outputs.grad[:, 3].any()


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timed", [False, True])
def test_saved_and_loaded_it_gives_the_same(tmp_path, timed):
    signals, times = irregular(40)
    X = pd.DataFrame({"s": column(signals), "t": column(times)})
    modality = SequenceModality("t" if timed else None, max_steps=60)
    columns = ["s", "t"] if timed else ["s"]
    mmae = MultimodalAutoencoder([("s", modality, columns)], **QUICK).fit(X[columns])
    mmae.save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    assert np.array_equal(again.transform(X[columns]), mmae.transform(X[columns]))
    one, other = (m.reconstruct(X[columns])["s"] for m in (again, mmae))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


UNSOUND = {
    "n_steps_": [0, -1, 2.0, 10**9, True],
    "n_channels_": [0, 3, 1.0],
    "step_": [1e9, 0.0, -1.0, np.nan, np.inf, "1"],
    "channel_mean_": [np.zeros(3), np.full(2, np.nan), [0.0, 0.0]],
    "channel_scale_": [np.zeros(2), np.full(2, -1.0), None],
    "mean_": [np.zeros(3, np.float32), None],
    "scale_": [0.0, np.inf],
    "log_length_": [-1.0, 99.0, np.nan, None],
    "log_length_scale_": [-1.0, 99.0, np.nan],
    "dtype_": ["object", "U8", 3],
    "time_dtype_": ["float64", None],
    "flat_": [True, 0, None],
    "time_first_": [0, None],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in UNSOUND.items() for value in values]
)
def test_what_a_file_says_is_checked(name, value):
    modality = SequenceModality().fit(cells(waves(20)))
    assert vars(modality).keys() - modality.get_params().keys() == modality.learned()
    assert modality.is_sound(1)
    assert not modality.is_sound(2)
    setattr(modality, name, value)
    assert not modality.is_sound(1)


# What "auto" makes of arrays ---------------------------------------------------------------------

rng = np.random.default_rng(0)


def arrays(*shapes, low=-1.0, high=1.0, dtype=float):
    return column([rng.uniform(low, high, shape).astype(dtype) for shape in shapes * 5])


AUTO = {
    "different lengths": (arrays((30, 2), (25, 2)), SequenceModality),
    "many channels of different lengths": (arrays((30, 20), (25, 20)), SequenceModality),
    "bytes of different lengths": (
        arrays((30, 3), (25, 3), high=255, low=0, dtype=np.uint8),
        SequenceModality,
    ),
    "one length, few channels": (arrays((30, 2)), SequenceModality),
    "one length, twelve channels": (arrays((500, 12)), SequenceModality),
    "one axis": (arrays((30,)), SequenceModality),
    "lists": (column([[1.0, 2.0, None], [2.0, 3.0]] * 5), SequenceModality),
    "lists of lists": (column([[[1, 2], [2, 3], [3, 3]], [[2, 3]]] * 5), SequenceModality),
    "with holes": (column([None, np.array([[1.0, np.nan]] * 9)] * 5), SequenceModality),
    "one array": (rng.normal(size=(10, 50, 3)), SequenceModality),
    "square": (arrays((16, 16), low=0), ImageModality),
    "oblong, of several sizes": (arrays((16, 24), (12, 18), low=0), ImageModality),
    "bytes": (arrays((6, 5), low=0, high=255, dtype=np.uint8), ImageModality),
    "digits": (rng.uniform(0, 16, (10, 8, 8)), ImageModality),
    "colour and grey": (arrays((9, 9, 3), (9, 9), low=0), ImageModality),
    "colour": (arrays((16, 16, 3), low=0), ImageModality),
}


@pytest.mark.parametrize("case", AUTO)
def test_auto_tells_signals_from_pictures(case):
    signals, expected = AUTO[case]
    X = SliceDict(x=signals)
    ((_, modality, _),) = MultimodalAutoencoder(**QUICK | {"max_epochs": 0}).fit(X).modalities_
    assert type(modality) is expected


@pytest.mark.parametrize(
    "signals",
    [
        arrays((16, 16)),  # nearly square, but no pixels
        arrays((40, 12), low=0),  # pixels, but not square
        arrays((2, 100)),  # channels first
        arrays((10_000,)),  # sound?
        column([np.ones(5), np.ones((5, 2))] * 5),
    ],
)
def test_where_arrays_are_unclear_the_error_says_what_to_write(signals):
    with pytest.raises(TypeError, match=r"'x'.*SequenceModality\(\).*AudioModality\(rate=...\)"):
        MultimodalAutoencoder(**QUICK).fit(SliceDict(x=signals))


@pytest.mark.parametrize("cell", [np.array(3.0), np.ones((0, 2)), [], [["a"]], [[1], [2, 3]]])
def test_what_is_no_signal_is_not_taken_for_one(cell):
    assert not SequenceModality.accepts("x", column([cell] * 5))
    assert not SequenceModality.accepts("x", column([np.ones((9, 2)), cell] * 5))


# Bad input ---------------------------------------------------------------------------------------

GOOD = np.ones((5, 2)) * np.arange(5)[:, None]
BAD = {
    "other channels": (np.ones((5, 3)), "row 3.*3 channels.*others have 2"),
    "turned round": (np.ones((2, 5)), "row 3.*5 channels.*cell.T"),
    "no channel axis": (np.ones(5), "row 3.*1 channels.*2"),
    "strings": (np.array([["a", "b"]]), "row 3.*array of <U1 is not a signal.*real numbers"),
    "numbers as strings": (np.array([["1", "2"]], object), "row 3.*array of str"),
    "objects": (np.array([[object(), 1]]), "row 3.*object"),
    "a string": ("beat.csv", "row 3.*a str is not"),
    "a number": (7.0, "row 3.*a float is not"),
    "a dict": ({"a": 1}, "row 3.*dict"),
    "complex": (GOOD + 1j, "row 3.*complex128"),
    "dates": (np.zeros((5, 2), "M8[s]"), "row 3.*datetime64"),
    "infinite": (np.where(GOOD > 2, np.inf, GOOD), "row 3.*infinite.*NaN where"),
    "minus infinite": (np.where(GOOD > 2, -np.inf, GOOD), "row 3.*infinite"),
    "beyond float32": (GOOD * 1e39, "row 3.*too large for float32"),
    "no steps": (np.ones((0, 2)), "row 3.*no steps.*None where"),
    "no channels": (np.ones((5, 0)), "row 3.*no channels"),
    "too many numbers": (np.broadcast_to(1.0, (2**24 + 1, 2)), "row 3.*windows"),
    "three axes": (np.ones((5, 2, 2)), r"row 3.*5x2x2.*\(T, channels\)"),
    "ragged lists": ([[1, 2], [3]], "row 3.*different lengths"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_cells_are_named_in_fit_and_later(case):
    bad, words = BAD[case]
    signals = [GOOD, GOOD + 1, GOOD * 2, bad]
    modality = SequenceModality().fit(cells(signals[:3]))
    for work in (SequenceModality().fit, modality.transform):
        with pytest.raises(CellError, match=f"(?s)column 'signal', {words}"):
            work(cells(signals))


STEP_TIMES = np.arange(5.0)
BAD_TIMES = {
    "not increasing": (STEP_TIMES[::-1], "do not increase.*Sort"),
    "twice the same": (np.floor(STEP_TIMES / 2), "do not increase"),
    "NaN": (np.where(STEP_TIMES == 2, np.nan, STEP_TIMES), "missing values"),
    "infinite": (np.where(STEP_TIMES == 4, np.inf, STEP_TIMES), "infinite"),
    "another length": (np.arange(4.0), "shape 4 for a signal of 5 steps"),
    "two axes": (np.ones((5, 1)), "shape 5x1"),
    "strings": (np.array(list("abcde")), "<U1 is not a times"),
    "dates": (np.arange(5).astype("M8[s]"), "seconds"),
    "missing": (None, "times are missing"),
    "NaN for all": (np.nan, "times are missing"),
}


@pytest.mark.parametrize("case", BAD_TIMES)
def test_bad_times_are_named(case):
    bad, words = BAD_TIMES[case]
    with pytest.raises(CellError, match=f"column 'time', row 2: .*{words}"):
        SequenceModality(time="time").fit(cells([GOOD] * 3, [STEP_TIMES, STEP_TIMES + 9, bad]))


def test_columns_that_do_not_fit_are_named():
    signals = [GOOD] * 3
    with pytest.raises(CellError, match=r"2 columns for one signal.*time="):
        SequenceModality().fit(cells(signals, signals))
    with pytest.raises(CellError, match=r"time='tine' is none.*Did you mean 'time'"):
        SequenceModality(time="tine").fit(cells(signals, [STEP_TIMES] * 3))
    with pytest.raises(CellError, match="1 columns for one signal"):
        SequenceModality(time="signal").fit(cells(signals))
    with pytest.raises(CellError, match=r"3 columns of numbers.*SliceDict"):
        SequenceModality().fit(Cells.of_matrix(("a", "b", "c"), np.ones((4, 3))))
    with pytest.raises(CellError, match="no signal in any row"):
        SequenceModality().fit(cells([None, np.full((4, 2), np.nan)]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("sampling_rate", rate) for rate in (0, -1.0, np.nan, np.inf, "125", True)],
        *[("max_steps", most) for most in (1, 0, -5, 2.5, None, True)],
        *[("time", time) for time in (1.5, ["t"], np.arange(3))],
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        SequenceModality(**{name: value}).fit(cells([GOOD] * 3))


def test_numbers_far_outside_of_training_are_an_error_not_nan():
    mmae, _ = fitted([wave * 1e-3 for wave in waves()])
    with pytest.raises(ValueError, match="row 0: the vector is not finite"):
        mmae.transform(pd.DataFrame({"signal": column([np.full((20, 2), 3e38)])}))
