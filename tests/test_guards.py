"""Networks are kept where they help, and a fit takes no longer than it has to."""

import copy
import logging
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from skorch.callbacks import Callback
from skorch.history import History

from sklearn_mmae import MultimodalAutoencoder, TabularModality, load
from sklearn_mmae.statistics import PLAIN
from sklearn_mmae.training import _guard, _progress
from sklearn_mmae.training._best import BestEpoch
from sklearn_mmae.training._net import StopTraining

CURVE, NOISE = list("abcd"), list("efghijklmnopqrstuvwx")
TWO = [("curve", TabularModality(), CURVE), ("chance", TabularModality(), NOISE)]


def curve_and_noise(n=400, seed=0):
    """Return a curve in four dimensions, beside columns that say nothing at all."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-3, 3, n)
    curve = np.stack([np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)], 1)
    numbers = np.concatenate([curve, rng.normal(size=(n, len(NOISE)))], 1)
    return pd.DataFrame(numbers, columns=[*CURVE, *NOISE])


def estimator(**parameters):
    return MultimodalAutoencoder(
        **{"modalities": TWO, "n_components": 2, "random_state": 0} | parameters
    )


@pytest.fixture(scope="module")
def of_two():
    return estimator().fit(curve_and_noise())


def guards_of(mmae):
    *decoders, encoder, held = mmae.net_.module_.guards.tolist()
    return decoders, encoder, held


@pytest.fixture(scope="module")
def linear_of_two():
    return estimator(max_epochs=0).fit(curve_and_noise())


def test_codes_of_modalities_that_say_nothing_of_one_another_are_free(of_two):
    # What linear readers find there is chance, and so is a share of it.
    for mmae in (of_two, estimator(random_state=1).fit(curve_and_noise(600, 10))):
        assert not guards_of(mmae)[2]


FALLING, RISING = np.linspace(1, 0.5, 8), 1.05 ** np.arange(8)


@pytest.mark.parametrize(
    ("train", "held_out", "n_epochs", "best"),
    [
        (FALLING, RISING, 4, 1),  # it is overfitting, and stops before patience ends
        (RISING, RISING, 6, 1),  # large steps shake both
        (RISING, [*RISING[:4], *FALLING[:4] / 2], 8, 8),  # from which they recover
        (FALLING, [1, 1.0001, 1.0002, 1.0003, 0.5, 0.5, 0.5, 0.5], 8, 5),  # hardly worse
        (FALLING, FALLING, 8, 8),
    ],
)
def test_training_stops_where_held_out_rows_lose_by_what_others_gain(
    train, held_out, n_epochs, best
):
    net = SimpleNamespace(history=History())
    net.weights_ = SimpleNamespace(copy=list, averages=[])
    stop = BestEpoch(patience=5, tol=1e-3, statistics=PLAIN)
    stop.on_train_begin(net)
    for losses in zip(train, held_out, strict=True):
        net.history.new_epoch()
        for name, loss in zip(("train_loss", "valid_loss"), losses, strict=True):
            net.history.record(name, loss)
        try:
            stop.on_epoch_end(net)
        except StopTraining:
            break
    assert (len(net.history), stop.epoch_) == (n_epochs, best)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_learning_rate_is_lowered_where_only_the_first_epoch_helped(seed):
    rng = np.random.default_rng(seed)
    rows = np.tanh(2 * rng.normal(size=(150, 3)) @ rng.normal(size=(3, 30)))
    high, linear = (
        MultimodalAutoencoder(n_components=3, random_state=0, **given).fit(rows[:90])
        for given in ({"lr": 0.1}, {"max_epochs": 0})
    )
    assert high.score(rows[90:]) > linear.score(rows[90:]) + 0.03
    assert high.n_iter_ <= high.max_epochs


# Where networks help ------------------------------------------------------------------------------


def test_a_decoder_that_learns_noise_is_linear_and_the_other_is_kept(of_two, linear_of_two):
    new, linear = curve_and_noise(seed=1), linear_of_two
    decoders, encoder, _ = guards_of(of_two)
    assert decoders == [False, True]
    assert not encoder
    assert guards_of(linear) == ([True, True], True, False)
    assert of_two.score(new) > linear.score(new) + 0.05


def test_decoders_of_a_table_that_is_linear_are_left_out_and_said_so(caplog):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(400, 6))
    with caplog.at_level(logging.INFO, "sklearn_mmae"):
        mmae = MultimodalAutoencoder(n_components=2, max_epochs=5, random_state=0).fit(X)
    assert guards_of(mmae) == ([True], True, False)
    assert "left out" in caplog.text


def test_what_refused_networks_leave_is_the_linear_start_to_the_bit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 800)) + rng.normal(size=(300, 800))
    modalities = [
        ("narrow", TabularModality(), slice(10)),
        ("wide", TabularModality(), slice(10, None)),  # reduced from a random start
    ]
    refused, linear = (
        MultimodalAutoencoder(
            modalities, n_components=2, max_epochs=n, lr=1e-9, width=8, random_state=0
        ).fit(X)
        for n in (2, 0)
    )
    assert guards_of(refused)[1]
    assert_array_equal(refused.transform(X), linear.transform(X))


def test_codes_that_linear_readers_lose_are_held_near_the_linear_ones(monkeypatch):
    less = count(0, -1)  # at every look
    monkeypatch.setattr(_guard.LinearReaders, "_found", lambda readers: float(next(less)))
    frame = curve_and_noise(400)
    held = estimator(n_components=4, max_epochs=25).fit(frame)
    linear = estimator(n_components=4, max_epochs=0).fit(frame)
    assert guards_of(held)[2]
    codes, before = held.transform(frame), linear.transform(frame)
    assert LinearRegression().fit(codes, before).score(codes, before) > 0.9
    assert held.score(frame) > linear.score(frame)


@pytest.mark.parametrize("of", ["of_two", "linear_of_two"])
def test_what_is_left_out_is_kept_in_a_file(tmp_path, of, request):
    frame, mmae = curve_and_noise(), request.getfixturevalue(of)
    mmae.save(tmp_path / "a.mmae")
    again = load(tmp_path / "a.mmae")
    assert guards_of(again) == guards_of(mmae)
    assert_array_equal(again.transform(frame), mmae.transform(frame))
    pd.testing.assert_frame_equal(again.reconstruct(frame), mmae.reconstruct(frame))


def test_networks_that_were_left_out_can_still_learn(linear_of_two):
    frame, before = curve_and_noise(), linear_of_two.score(curve_and_noise())
    by_epoch, warm = copy.deepcopy(linear_of_two), copy.deepcopy(linear_of_two)
    for _ in range(8):
        by_epoch.partial_fit(frame)
    assert guards_of(by_epoch) == ([False, False], False, False)
    assert by_epoch.score(frame) > before + 0.01
    warm.set_params(max_epochs=15, warm_start=True).fit(frame)
    assert warm.score(frame) > before + 0.05


# A fair start -------------------------------------------------------------------------------------


def test_a_wide_view_has_its_part_in_the_start():
    rng = np.random.default_rng(0)
    theme, fact = rng.normal(size=(2, 2000))
    words = rng.normal(size=(2000, 300))
    words[:, :30] += 2 * theme[:, None]
    facts = fact[:, None] + 0.1 * rng.normal(size=(2000, 4))
    modalities = [
        ("facts", TabularModality(), slice(4)),
        ("words", TabularModality(), slice(4, None)),
    ]
    X = np.concatenate([facts, words], 1)
    mmae = MultimodalAutoencoder(modalities, n_components=2, max_epochs=0, random_state=0).fit(X)
    found = LinearRegression().fit(mmae.transform(X), np.stack([theme, fact], 1))
    assert found.score(mmae.transform(X), np.stack([theme, fact], 1)) > 0.95


# What a fit costs ---------------------------------------------------------------------------------


class CountRows(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rows = []

    def on_epoch_begin(self, net, **kwargs):
        self.rows.append(0)

    def on_batch_end(self, net, batch, training, **kwargs):
        self.rows[-1] += len(batch) if training else 0


@pytest.mark.parametrize(("n_rows", "of_an_epoch"), [(3000, 3000), (6000, 4096)])
def test_an_epoch_of_many_rows_takes_some_of_them(n_rows, of_an_epoch):
    X, count = np.random.default_rng(0).normal(size=(n_rows, 3)), CountRows()
    parameters = {"n_components": 2, "width": 4, "early_stopping": False}
    MultimodalAutoencoder(max_epochs=2, callbacks=[count], **parameters).fit(X)
    assert count.rows == [of_an_epoch] * 2


def test_the_learning_rate_rises_and_falls_once_and_is_then_as_given():
    class Watch(Callback):
        rates = ()

        def on_batch_begin(self, net, batch, training, **kwargs):
            if training:
                self.rates += (net.optimizer_.param_groups[0]["lr"],)

    watch = Watch()
    X = load_digits().data[:320]
    mmae = MultimodalAutoencoder(
        n_components=2, width=4, max_epochs=10, lr=0.02, early_stopping=False, callbacks=[watch]
    ).fit(X)
    # A batch is announced before its step sets the rate: the first one is that of the parameter.
    rates = np.array(watch.rates[1:])
    top = rates.argmax()
    assert rates[top] == pytest.approx(0.02, rel=0.01)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 0.001
    assert_allclose([group["lr"] for group in mmae.net_.optimizer_.param_groups], 0.02)


def test_a_long_fit_is_announced_with_the_remedy(monkeypatch, caplog):
    X = np.random.default_rng(0).normal(size=(60, 3))
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=2)
    mmae.fit(X)
    assert not caplog.records
    monkeypatch.setattr(_progress, "LONG", 0)
    mmae.fit(X)
    (record,) = caplog.records
    assert "max_time=60" in record.getMessage()
    assert record.name == "sklearn_mmae"
