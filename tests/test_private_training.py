"""Private networks: gradients of rows are cut one by one, noised, paid for, and worth it."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from test_privacy import (
    BOTH,
    MEDIA,
    SEEDED,
    TIMED,
    assert_alike,
    fit_with_constant_answers,
    make,
    make_frame,
    make_media,
    make_timed,
    modalities,
    odd,
    odd_timed,
)

import sklearn_mmae.model._learn as learning
import sklearn_mmae.privacy._steps as steps
from sklearn_mmae import (
    ImageModality,
    MultimodalAutoencoder,
    MultimodalVAE,
    Privacy,
    PrivacyError,
    SequenceModality,
    TabularModality,
    VideoModality,
    load,
)
from sklearn_mmae.fusion import FUSIONS, MeanFusion
from sklearn_mmae.objectives import Posterior
from sklearn_mmae.privacy._accountant import Release, spent_epsilon
from sklearn_mmae.privacy._gradients import PrivateGradients
from sklearn_mmae.privacy._statistics import PrivateStatistics
from sklearn_mmae.training._lesson import Lesson

pytestmark = SEEDED
SMALL = {"width": 8, "max_epochs": 1, "batch_size": 16, "seed": 0}


@pytest.fixture
def trained(monkeypatch):
    """Train networks, however few rows there are."""
    monkeypatch.setattr(steps, "LEAST", 0)


# Gradients of single rows ------------------------------------------------------------------------


class Exact(PrivateStatistics):
    """Releases without noise."""

    steps = None

    def __init__(self):
        pass

    def release(self, step, share, exact, norm):
        return exact, 0.0


def lesson_of(estimator, X, monkeypatch):
    """Return the network of a fit, its weights moved by chance, and its rows."""
    kept = []

    class Kept(Lesson):
        def learn(self):
            kept.append(self)
            return super().learn()

    monkeypatch.setattr(learning, "Lesson", Kept)
    estimator.fit(X)
    (lesson,) = kept
    generator = torch.Generator().manual_seed(0)
    lesson.network.guard(False)
    with torch.no_grad():
        for parameter in lesson.network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return lesson


def losses_of(network, generator, rows, shown):
    return network(rows, shown, 0.0, generator)


def gradients_by_row(lesson, gradients, batch, shown):
    """Return the gradient of each row's loss alone, (rows, parameters), one row after the other."""
    found = []
    for i in range(len(batch)):
        at = slice(i, i + 1)
        loss = losses_of(lesson.network, lesson.net.generator, batch.part(at), shown[:, at]).sum()
        own = torch.autograd.grad(
            loss, gradients.parameters, allow_unused=True, materialize_grads=True
        )
        found.append(torch.cat([piece.flatten() for piece in own]))
    return torch.stack(found)


def holed(n_rows):
    """Return columns of every kind, with missing cells, and rows without any."""
    parts = [make_frame(n_rows), make_media(n_rows, 0)[0], make_timed(n_rows, 0)[0]]
    frame = pd.concat(parts, axis=1)
    frame = frame.astype({"ripe": object})
    frame.iloc[:3] = None
    return frame


ALL = [
    *modalities(colour=["red", "green", "blue"], ripe=[False, True]),
    *MEDIA,
]


# Those that are read by convolutions.
LARGE = [
    (
        "photo",
        ImageModality(size=(36, 8), mode="L", max_value=255, augment=None),
        ["photo"],
    ),
    ("wave", SequenceModality(bounds=[(-9, 9), (-9, 9)], max_steps=140), ["wave"]),
    ("clip", VideoModality(size=(36, 4), mode="L", fps=1, max_seconds=2, max_value=255), ["clip"]),
]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {"modalities": ALL}) for kind in (MultimodalAutoencoder, MultimodalVAE)),
        *((kind, {"modalities": ALL[:1]}) for kind in (MultimodalAutoencoder, MultimodalVAE)),
        *((MultimodalAutoencoder, {"modalities": ALL[1:], "fusion": name}) for name in FUSIONS),
        (MultimodalVAE, {"modalities": ALL[1:], "objective": "mopoe"}),
        *((kind, {"modalities": TIMED}) for kind in (MultimodalAutoencoder, MultimodalVAE)),
        *((kind, {"modalities": LARGE}) for kind in (MultimodalAutoencoder, MultimodalVAE)),
    ],
)
def test_a_batch_has_the_gradient_of_rows_cut_one_by_one(kind, options, monkeypatch):
    monkeypatch.setattr(
        Posterior, "sample", lambda self, _: self.place(torch.full_like(self.mean, 0.5))
    )
    if options.get("fusion") == "mixture":
        monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.ones(shape))
    X = holed(24)
    lesson = lesson_of(make(kind, width=8, seed=0, dropout=0.0, **options), X, monkeypatch)
    network, weights = lesson.network, lesson.net.weights_
    batch = lesson.rows.take(torch.arange(24))
    shown = network.draw(batch.pattern, lesson.net.generator)
    gradients = PrivateGradients(network, lesson.net.generator, weights, 24, Exact(), 1.0)
    gradients.train(True)
    assert not any(part.may_estimate for part in network.decoders)  # by what other rows have
    rows = gradients_by_row(lesson, gradients, batch, shown)
    norms = rows.norm(dim=1)
    assert (norms[:3] == 0).all()  # nothing is observed there
    assert norms[3:].min() > 0
    gradients.largest = float(norms.quantile(0.6))
    gradients.teach(losses_of, batch, shown)
    cut = rows * (gradients.largest / norms.clamp_min(gradients.largest))[:, None]
    found = torch.cat([p.grad.flatten() for p in gradients.parameters])
    torch.testing.assert_close(found, cut.mean(0), rtol=1e-5, atol=1e-5 * float(cut.abs().max()))


# Nothing passes by the ledger --------------------------------------------------------------------


@BOTH
def test_with_constant_answers_two_data_sets_give_one_estimator(
    kind, trained, monkeypatch, tmp_path
):
    frames = make_frame(60), odd(make_frame(60))
    assert_alike(make(kind, **SMALL), frames, monkeypatch, tmp_path / "file")


@BOTH
def test_so_it_is_for_texts_and_pictures(kind, trained, monkeypatch):
    frame, _ = make_media(60, 0)
    other, _ = make_media(60, 1, width=9)
    other["note"] = np.array(["", "words of which none is known", None] * 20, object)
    fits = [
        fit_with_constant_answers(make(kind, modalities=MEDIA, **SMALL), X, monkeypatch)[0]
        for X in (frame, other.astype({"note": object}))
    ]
    assert pickle.dumps(fits[0]) == pickle.dumps(fits[1])


@BOTH
def test_so_it_is_for_signals_sounds_and_clips(kind, trained, monkeypatch):
    fits = [
        fit_with_constant_answers(make(kind, modalities=TIMED, **SMALL), X, monkeypatch)[0]
        for X in (make_timed(60, 0)[0], odd_timed(60))
    ]
    assert pickle.dumps(fits[0]) == pickle.dumps(fits[1])


@BOTH
@pytest.mark.parametrize("row", [0, 7])
def test_no_row_moves_a_step_by_more_than_its_norm(kind, row, trained, monkeypatch):
    X = odd(make_frame(20)).astype({"ripe": object})
    without = X.copy()
    without.iloc[row] = None
    own = modalities(colour=["red", "green", "blue"], ripe=[False, True])
    told = [
        fit_with_constant_answers(make(kind, modalities=own, **SMALL), some, monkeypatch)[1]
        for some in (X, without)
    ]
    assert len(told[0]) == len(told[1]) == 6 + steps.STEPS
    for (sums, norm), (others, same) in zip(*told, strict=True):
        assert norm == same
        assert np.linalg.norm(sums - others) <= norm * (1 + 1e-5)


def planned(epsilon=2.0, **options):
    statistics = PrivateStatistics(
        Privacy(epsilon, 1e-5, **options), 50_000, 1, np.random.default_rng(0)
    )
    statistics.plan(3, 2, 500)
    return statistics


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
def test_all_steps_cost_what_is_left_and_one_more_is_refused(accountant):
    statistics = planned(accountant=accountant)
    for step in ("columns", "moments"):
        statistics.release(step, 1.0, np.zeros(1), 1.0)
    statistics.begin_steps()
    for _ in range(2 * steps.STEPS):
        statistics.release("networks", 1.0, np.zeros(1), 1.0)
    spent = statistics.spent()
    assert 1.99 < spent.epsilon <= 2.0
    own = Release("networks", statistics.noise["networks"], 0.01, 2 * steps.STEPS)
    assert spent.by_step["networks"] == spent_epsilon([own], 1e-5, accountant)
    with pytest.raises(PrivacyError, match="'networks' would bring epsilon to"):
        statistics.release("networks", 1.0, np.zeros(1), 1.0)


def test_rows_are_sampled_one_by_one():
    statistics = planned()
    sizes = [len(statistics.rows_of_step()) for _ in range(200)]
    assert np.mean(sizes) == pytest.approx(500, abs=8)
    assert np.var(sizes) == pytest.approx(500, rel=0.4)


# What it is worth --------------------------------------------------------------------------------


def make_bent(n_rows, seed=0):
    """Return rows along a parabola, of which a line explains half."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, n_rows)
    return np.stack([t, 1.5 * t**2 - 0.75, t], 1) + rng.normal(size=(n_rows, 3)) / 20


BENT = [("table", TabularModality(bounds=(-2, 2)), [0, 1, 2])]


@BOTH
def test_networks_gain_where_there_are_many_rows(kind, tmp_path):
    X, others = make_bent(2500), make_bent(500, 1)
    estimator = make(kind, epsilon=8.0, seed=0, modalities=BENT, n_components=1, width=16)
    start = estimator.set_params(max_epochs=0).fit(X).score(others)
    fitted = estimator.set_params(max_epochs=8).fit(X)
    assert fitted.score(others) > start + 0.02
    assert fitted.n_iter_ == 8
    assert fitted.history_ == []
    assert set(fitted.privacy_spent_.by_step) == {"columns", "moments", "networks"}
    fitted.save(tmp_path / "file")
    np.testing.assert_array_equal(
        load(tmp_path / "file").transform(others), fitted.transform(others)
    )


@pytest.mark.parametrize(
    "options", [{"max_epochs": 0}, {"shares": {"columns": 0.2, "moments": 0.8}}, {"epsilon": 0.5}]
)
def test_a_rule_keeps_networks_off(options):
    options = dict(options)
    privacy = Privacy(options.pop("epsilon", 8.0), shares=options.pop("shares", None))
    estimator = MultimodalAutoencoder(BENT, 1, privacy=privacy, random_state=0, **options)
    fitted = estimator.fit(make_bent(1000))
    assert fitted.n_iter_ == 0
    assert set(fitted.privacy_spent_.by_step) == {"columns", "moments"}
    assert 0.999 * privacy.epsilon < fitted.privacy_spent_.epsilon <= privacy.epsilon


def test_the_rule_counts_the_cells_of_a_row():
    fitted = make(modalities=ALL, max_epochs=0).fit(holed(60))
    cells = [part.n_cells for part in fitted.net_.module_.networks]
    assert cells == [2, 3, 3, 16]  # numbers, columns of a table, a text, pixels


@pytest.mark.filterwarnings("ignore:.*adds no noise:sklearn_mmae.DataWarning")
def test_without_noise_they_are_trained_all_the_same(trained):
    fitted = make(epsilon=math.inf, modalities=BENT, **SMALL).fit(make_bent(100))
    assert fitted.n_iter_ == 1


def test_max_grad_norm_changes_the_fit(trained):
    def codes(norm):
        estimator = make(modalities=BENT, **SMALL)
        return estimator.set_params(privacy__max_grad_norm=norm).fit(make_bent(100)).transform(X)

    X = make_bent(5, 1)
    assert not np.array_equal(codes(0.1), codes(10.0))


class Own(MeanFusion):
    """One that might look at other rows."""


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (MultimodalAutoencoder, {"extra_terms": "agreement"}, "extra_terms='agreement'"),
        (MultimodalAutoencoder, {"fusion": Own()}, "fusion="),
        (MultimodalAutoencoder, {"fusion": lambda e, p: e.sum(-3)}, "fusion="),
        (MultimodalVAE, {"free_bits": 0.1}, "free_bits=0.1"),
        (MultimodalAutoencoder, {"batch_size": 99}, "batch_size=99: there are 60 rows"),
    ],
)
def test_what_mixes_rows_is_refused(kind, options, message, trained):
    with pytest.raises(ValueError, match=message + "[^']*"):
        make(kind, **{**SMALL, **options}).fit(make_frame(60))
