"""What is learned from rows is asked of `Statistics`; its answers are made of parts that merge."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_mmae import (
    AudioModality,
    ImageModality,
    Modality,
    MultimodalAutoencoder,
    MultimodalVAE,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from sklearn_mmae.cells import Cells
from sklearn_mmae.model._learn import learn_model
from sklearn_mmae.statistics import PLAIN, SecondMoments, Statistics
from sklearn_mmae.statistics._questions import (
    Choice,
    Counts,
    Extremes,
    Frequent,
    Moments,
    Products,
    Quantile,
    Sums,
)
from sklearn_mmae.statistics._samples import Sample, SampledProducts
from sklearn_mmae.training.start._linear import fit_linear_start

# Rows are read by what others have taught, which some do not fit.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_mmae.DataWarning")

# Statistics of other kinds -----------------------------------------------------------------------


class Recording(Statistics):
    """Plain answers, kept by name; a name twice in one fit is an error."""

    def __init__(self):
        self.answers = {}

    def answer(self, name, question, rows):
        assert name not in self.answers, f"two questions of one fit are called {name!r}"
        self.answers[name] = super().answer(name, question, rows)
        return self.answers[name]


class Replaying(Statistics):
    """The answers of another fit, whatever the rows."""

    def __init__(self, answers):
        self.answers = answers

    def answer(self, name, question, rows):
        return self.answers[name]


TABLE = ("number", "number", "category", "bool"), ("float64", "float64", "object", "bool")
VALUES = {
    "kinds": [TABLE],
    **{"colour: values": ["red", "blue"], "ripe: values": [True, False], "kind": [None]},
    **{"transparent": [False], "grey": [True], "channels": [2], "axes": [2], "dtype": ["float64"]},
    "timed": [False],
}


class Constant(Statistics):
    """Answers made up, whatever the rows; only the number of columns is looked at."""

    def moments(self, name, matrix):
        return np.full((3, matrix.shape[1]), [[20.0], [0.25], [2.0]])

    def counts(self, name, codes, n):
        return np.arange(n) + 5.0

    def frequent(self, name, values, most=None):
        return dict.fromkeys(VALUES.get(name, ["warm", "cold", "young"]), 3)

    def quantile(self, name, values, share, *, method="linear"):
        shape = np.shape(values)[1:] + np.shape(share)
        return np.full(shape, 4.0) if shape else 4.0

    def second_moments(self, name, blocks, *, along=None, products=True, most_rows=0):
        rows, _ = next(iter(blocks()))
        columns = rows.shape[1]
        product = 10.0 * (np.eye(columns) + 1 / np.arange(1, columns + 1))
        product = product + product.T
        if isinstance(rows, torch.Tensor):
            product = torch.from_numpy(product)
        product = product if along is None else product @ along
        return SecondMoments(product, None, 10, None)

    def choose(self, name, losses, *, margin=None, usual=0):
        return 1


class InParts(Statistics):
    """Answers merged from parts of the rows, cut anywhere and merged in any order."""

    def __init__(self, seed, only=""):
        self.rng, self.only = np.random.default_rng(seed), only

    def answer(self, name, question, rows):
        if not name.startswith(self.only):
            return super().answer(name, question, rows)
        parts = [question.partial(part) for part in self.split(question, rows)]
        while len(parts) > 1:
            one, other = (parts.pop(self.rng.integers(len(parts))) for _ in range(2))
            parts.append(question.merge(one, other))
        return question.finish(parts[0])

    def split(self, question, rows):
        if callable(rows):
            return self._split_blocks(rows)
        if isinstance(rows, dict):
            keys = list(rows)
            return [{keys[i]: rows[keys[i]] for i in some} for some in self._some(len(keys))]
        if isinstance(question, Choice):
            return [rows[:, some] for some in self._some(rows.shape[1])]
        if isinstance(rows, list):
            return [[rows[i] for i in some] for some in self._some(len(rows))]
        return [rows[some] for some in self._some(rows.shape[0])]

    def _some(self, n):
        """Return the numbers of rows in some parts, none of them empty, in any order."""
        cuts = np.sort(self.rng.integers(0, n + 1, self.rng.integers(0, 4)))
        parts = [part for part in np.split(self.rng.permutation(n), cuts) if len(part)]
        return parts or [np.arange(n)]

    def _split_blocks(self, blocks):
        pairs = list(zip(*blocks(), strict=True))
        join = torch.cat if isinstance(pairs[0][0], torch.Tensor) else np.concatenate
        rows, observed = map(join, pairs)

        def part_of(some):
            def part():
                for here in np.array_split(some, max(1, len(some) // 100)):
                    yield rows[here], observed[here]

            return part

        return [part_of(some) for some in self._some(len(rows))]


# Data --------------------------------------------------------------------------------------------

WORDS = "warm bright ripe sweet cherry cold deep wide calm ocean fresh young".split()  # noqa: SIM905


def column_of(cells):
    column = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return column


def make_frame(n_rows, seed):
    """Return rows of all six modalities, with holes in cells and whole modalities missing."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_rows)
    wave = np.sin(np.arange(240) / 5)
    frame = pd.DataFrame(
        {
            "size": level + rng.normal(size=n_rows),
            "weight": 2 * level + rng.normal(size=n_rows) * (1 + seed),
            "colour": rng.choice(["red", "blue", "green"], n_rows, p=rng.dirichlet([9, 9, 9])),
            "ripe": rng.random(n_rows) < 0.5,
            "note": [" ".join(rng.choice(WORDS, rng.integers(1, 6))) for _ in range(n_rows)],
        }
    )
    frame["photo"] = column_of(list(rng.integers(seed, 255, (n_rows, 8, 8), np.uint8)))
    frame["sound"] = column_of(
        [(a * wave[: rng.integers(160, 240)]).astype("f4") for a in rng.uniform(0.2, 1, n_rows)]
    )
    frame["film"] = column_of(
        [rng.integers(0, 255, (rng.integers(4, 7), 4, 4, 3), np.uint8) for _ in range(n_rows)]
    )
    frame["signal"] = column_of(
        [rng.normal(size=(rng.integers(8, 12), 2)) + seed for _ in range(n_rows)]
    )
    frame["colour"] = frame["colour"].astype(object)
    for name in ("size", "weight", "colour", "note", "photo", "sound"):
        frame.loc[rng.random(n_rows) < 0.15, name] = None
    return frame


def parts():
    return [
        ("table", TabularModality(), ["size", "weight", "colour", "ripe"]),
        ("note", TextModality(), ["note"]),
        ("photo", ImageModality(), ["photo"]),
        ("sound", AudioModality(rate=80, sampling_rate=80), ["sound"]),
        ("film", VideoModality(rate=5, fps=5), ["film"]),
        ("signal", SequenceModality(), ["signal"]),
    ]


def learned(X, statistics, estimator=None, y=None):
    """Return the modalities and the linear start of a fit."""
    if estimator is None:
        estimator = MultimodalAutoencoder(
            parts(), n_components=3, max_epochs=0, early_stopping=False, random_state=0
        )
    build, look_at = estimator._build_network, estimator._look_at
    model, _ = learn_model(estimator, X, y, build, look_at, statistics=statistics)
    return {part.name: part.modality for part in model.parts}, model.network.state_dict()


def assert_same(one, other, tolerance=0.0):
    """Check that two modalities or their attributes are equal."""
    assert type(one) is type(other)
    if isinstance(one, Modality):
        one, other = vars(one), vars(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), [other[key] for key in one]
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b, tolerance)
    elif isinstance(one, np.ndarray | float | np.floating) and tolerance:
        # Of float32 the last bit may be another one.
        tolerance = 2e-7 if np.asarray(one).dtype == np.float32 else tolerance
        assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    elif isinstance(one, np.ndarray):
        assert_array_equal(one, other)
    else:
        assert one == other


def assert_same_start(one, other, *, exactly):
    """Check that two networks begin alike; to the last bit, or to that of their float32."""
    assert one.keys() == other.keys()
    for name, weights in one.items():
        if not exactly and name.startswith(("direct.basis", "direct.covariance")):
            continue  # directions of equal variance may be turned: what they span is checked below
        inexact = weights.is_floating_point() and weights.numel() and not exactly
        tolerance = 3e-7 * float(weights.abs().max()) if inexact else 0.0
        assert_allclose(weights.numpy(), other[name].numpy(), atol=tolerance, rtol=0, err_msg=name)
    if "direct.covariance" in one:
        spectra = [np.linalg.eigvalsh(some["direct.covariance"].double()) for some in (one, other)]
        assert_allclose(*spectra, atol=1e-6 * spectra[0][-1])


# Nothing passes by the object --------------------------------------------------------------------


def vae(**options):
    return MultimodalVAE(
        parts(), n_components=3, max_epochs=0, early_stopping=False, random_state=0, **options
    )


@pytest.mark.parametrize("make", [lambda: None, vae], ids=["autoencoder", "vae"])
def test_what_is_learned_depends_on_answers_alone(make):
    one, other = make_frame(60, 0), make_frame(45, 1)
    recording = Recording()
    modalities, start = learned(one, recording, make())
    again, same_start = learned(other, Replaying(recording.answers), make())
    assert_same(modalities, again)
    assert_same_start(start, same_start, exactly=True)


def test_constant_answers_give_one_model():
    one, other = make_frame(60, 0), make_frame(45, 1)
    modalities, start = learned(one, Constant())
    again, same_start = learned(other, Constant())
    assert_same(modalities, again)
    assert_same_start(start, same_start, exactly=True)


def test_every_question_of_a_fit_has_a_name_of_its_own():
    estimator = MultimodalAutoencoder(
        parts()[:2], n_components=3, max_epochs=1, early_stopping=True, random_state=0
    )
    recording = Recording()
    learned(make_frame(200, 0), recording, estimator)
    for expected in (
        "table: colour: categories",
        "note: words: vocabulary",
        "training: start: views",
        "training: networks",
    ):
        assert expected in recording.answers
    assert any(name.startswith("calibration: ") for name in recording.answers)


def waves(seed, lag, n_rows):
    """Return a signal, and clips and another one that come later than it."""
    rng, rows = np.random.default_rng(seed), []
    for length in rng.integers(60, 70, n_rows):
        force = np.convolve(rng.normal(size=length + lag + 5), np.ones(6), "valid")
        light = force[:length, None] + rng.normal(size=(length, 12)) / 9
        rows.append((force[lag : lag + length, None], light, light[:, :1]))
    return pd.DataFrame(rows, columns=["force", "light", "glow"])


def lags_of(X, statistics):
    names = list(X)
    estimator = MultimodalAutoencoder(
        [(name, SequenceModality(), [name]) for name in names], max_lag=12, max_epochs=0
    )
    build, look_at = estimator._build_network, estimator._look_at
    lags = learn_model(estimator, X, None, build, look_at, statistics=statistics)[0].lags
    return [(lags.seconds[name], *lags.intervals[name]) for name in names]


def test_lags_are_asked_and_made_of_parts_too():
    recording = Recording()
    lags = lags_of(waves(0, 4, 40), recording)
    assert abs(lags[1][0] - 4) < 0.5
    assert lags_of(waves(1, 4, 35), Replaying(recording.answers)) == lags
    merged = lags_of(waves(0, 4, 40), InParts(0, only="lags"))
    assert_allclose(merged, lags, rtol=1e-6, atol=1e-6)


class Plain(Modality):
    """One of a user's own, which asks nobody."""

    def fit(self, cells):
        self.inner_ = TabularModality().fit(cells)
        return self

    def transform(self, cells):
        return self.inner_.transform(cells)

    def inverse_transform(self, predictions):
        return self.inner_.inverse_transform(predictions)

    def network(self, n_components, width, dropout):
        return self.inner_.network(n_components, width, dropout)


def test_a_modality_of_the_users_own_may_ask_nobody():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    estimator = MultimodalAutoencoder(
        [("own", Plain(), list("abc"))], n_components=2, max_epochs=1, random_state=0
    ).fit(X)
    assert np.isfinite(estimator.transform(X)).all()


# Parts of the rows -------------------------------------------------------------------------------


def test_parts_of_the_rows_make_what_all_rows_make():
    frame = make_frame(60, 0)
    modalities, start = learned(frame, PLAIN)
    for seed in range(2):
        merged, _ = learned(frame, InParts(seed))
        assert_same(modalities, merged, 1e-9)
        # The last bits of their means, of float32, have a say in what is left of sixty wide rows.
        _, merged_start = learned(frame, InParts(seed, only="training"))
        assert_same_start(start, merged_start, exactly=False)


@pytest.mark.parametrize("make", [lambda: None, vae], ids=["autoencoder", "vae"])
def test_so_it_is_with_wide_views_and_many_rows_of_which_some_lack_a_modality(make):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(900, 3))
    wide = codes @ rng.normal(size=(3, 720)) + rng.normal(size=(900, 720))
    narrow = codes @ rng.normal(size=(3, 4)) + rng.normal(size=(900, 4))
    narrow[rng.random(narrow.shape) < 0.2] = np.nan
    wide[rng.random(900) < 0.2] = np.nan
    X = np.hstack([wide, narrow])
    estimator = make() or MultimodalAutoencoder(
        n_components=3, max_epochs=0, early_stopping=False, random_state=0
    )
    table = TabularModality()
    estimator.set_params(modalities=[("wide", table, slice(0, 720)), ("narrow", table, [720, 722])])
    modalities, start = learned(X, PLAIN, estimator)
    merged, merged_start = learned(X, InParts(1), estimator)
    assert_same(modalities, merged, 1e-9)
    assert_same_start(start, merged_start, exactly=False)


@pytest.mark.parametrize("seed", range(3))
def test_the_start_of_parts_is_that_of_all_rows_to_nine_digits(seed):
    """Of a wide view, of one with missing cells, and of one that is missing in some rows."""
    rng = np.random.default_rng(0)
    codes, n = rng.normal(size=(600, 5)), 600
    views = [codes @ rng.normal(size=(5, k)) + rng.normal(size=(n, k)) for k in (30, 12, 760)]
    views = [torch.tensor(v / np.sqrt((v**2).sum(1).mean()), dtype=torch.float32) for v in views]
    seen, present = torch.tensor(rng.random((n, 12)) > 0.2), torch.ones(n, 3, dtype=torch.bool)
    present[:100, 0], views[0][:100], views[1] = False, 0, torch.where(seen, views[1], 0)

    def blocks():
        for rows in torch.arange(n).split(128):
            yield [view[rows] for view in views], [None, seen[rows], None], present[rows]

    whole, parts = (
        fit_linear_start(
            blocks, 4, torch.Generator().manual_seed(0), rotate=True, statistics=statistics
        )
        for statistics in (PLAIN, InParts(seed))
    )
    for name in ("moments", "targets", "spread"):
        expected = getattr(whole, name)
        apart = (getattr(parts, name) - expected).abs().max()
        assert apart <= 1e-9 * expected.abs().max()


def test_a_target_is_learned_from_parts_as_from_all_rows():
    rng = np.random.default_rng(0)
    words = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnprstvx"]
    X = pd.DataFrame({"note": [" ".join(rng.choice(words, 9)) for _ in range(300)]})
    y = rng.normal(size=300)
    estimator = MultimodalAutoencoder(
        [("note", TextModality(), ["note"])],
        n_components=3,
        target_weight=1,
        max_epochs=0,
        early_stopping=False,
        random_state=0,
    )
    modalities, start = learned(X, PLAIN, estimator, y)
    merged, merged_start = learned(X, InParts(0), estimator, y)
    assert modalities["note"].vectorizer == ["subwords", "phrases"]
    assert_same(modalities, merged, 1e-9)
    assert_same_start(start, merged_start, exactly=False)


def test_a_large_table_with_holes_is_learned_from_the_same_rows_whatever_their_order():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(6000, 5))
    X[rng.random(X.shape) < 0.2] = np.nan
    X[1000:2000] = X[0]  # many times the same row
    modality, merged = (
        TabularModality().fit(Cells.of_matrix(list("abcde"), X), statistics)
        for statistics in (PLAIN, InParts(0))
    )
    assert_same(modality, merged, 1e-9)


table_cells = st.one_of(st.none(), st.floats(-1e3, 1e3, width=32))
rows_of_tables = st.lists(
    st.tuples(
        table_cells, table_cells, st.sampled_from([None, "a", "b", "c"]), st.sampled_from(WORDS)
    ),
    min_size=4,
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=rows_of_tables, seed=st.integers(0, 2**32 - 1))
def test_any_parts_of_any_rows_make_the_same_modalities(rows, seed):
    x, y, colour, note = (np.array(column, object) for column in zip(*rows, strict=True))
    table = Cells(("x", "y", "colour"), (x, y, colour))
    for modality, cells in (
        (TabularModality(), table),
        (TextModality(), Cells(("note",), (note,))),
    ):
        plain, merged = (
            type(modality)().fit(cells, statistics) for statistics in (PLAIN, InParts(seed))
        )
        assert_same(plain, merged, 1e-9)


def blocks_of(rows):
    observed = ~np.isnan(rows)
    return lambda: iter([(np.nan_to_num(rows), observed)])


rng = np.random.default_rng(0)
holey = np.where(rng.random((50, 3)) < 0.2, np.nan, rng.normal(size=(50, 3)))
QUESTIONS = {
    "moments": (Moments(), lambda rows: rows),
    "moments of sparse rows": (Moments(), lambda rows: sparse.csr_array(np.nan_to_num(rows))),
    "counts": (Counts(4), lambda rows: np.arange(len(rows)) % 5 - 1),
    "frequent": (Frequent(3), lambda rows: np.round(rows[:, 0]).astype(str).tolist()),
    "extremes": (Extremes(), lambda rows: rows),
    "quantile": (Quantile(np.array([0.1, 0.5]), "linear"), lambda rows: rows),
    "conformal": (Quantile(np.array([0.1, 0.999]), "conformal"), lambda rows: rows),
    "sums": (Sums(), np.nan_to_num),
    "products": (Products(), blocks_of),
    "products along": (Products(np.ones((3, 2))), blocks_of),
    "sample": (Sample(10), blocks_of),
    "sample of all": (Sample(100), blocks_of),
    "products and a sample": (SampledProducts(None, 10), blocks_of),
    "choice": (Choice(None), lambda rows: np.nan_to_num(rows.T)),
    "choice by a margin": (Choice(1.0), lambda rows: np.nan_to_num(rows.T)),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_parts_merge_in_any_order(name):
    question, rows_of = QUESTIONS[name]
    one, two, three = (question.partial(rows_of(some)) for some in np.split(holey, [10, 30]))
    merge = question.merge
    answers = [
        question.finish(part)
        for part in (
            question.partial(rows_of(holey)),
            merge(merge(one, two), three),
            merge(one, merge(two, three)),
            merge(three, merge(two, one)),
            merge(merge(three, one), two),
        )
    ]
    for answer in answers[1:]:
        if name == "counts":  # these codes are of the place among the rows of a part
            answers[0] = answers[1]
        for whole, merged in zip(_flat(answers[0]), _flat(answer), strict=True):
            assert_allclose(merged, whole, rtol=1e-12, atol=1e-12)


def _flat(answer):
    """Return the arrays of an answer, in an order that only it decides."""
    if isinstance(answer, dict):
        return [np.array([*answer], float), np.array([*answer.values()])]
    if isinstance(answer, tuple):
        return [array for part in answer for array in _flat(part)]
    return [np.asarray(answer)]


def test_quantiles_are_those_of_numpy_to_the_last_bit():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 50):
        values = rng.normal(size=n)
        assert PLAIN.quantile("middle", values, 0.5) == np.median(values)
        for share in (0, 0.05, 0.33, 0.95, 1):
            assert PLAIN.quantile("low", values, share) == np.quantile(values, share)
            higher = PLAIN.quantile("high", values, share, method="higher")
            assert higher == np.quantile(values, share, method="higher")


def test_many_values_are_known_less_precisely_but_the_same_whatever_the_order():
    values = np.random.default_rng(0).normal(size=(60_000, 1)) + 5
    question = Quantile(np.array([0.05, 0.5]), "linear")
    parts = [question.partial(some) for some in np.split(values, 6)]
    merged, other = parts[0], parts[-1]
    for part, last in zip(parts[1:], parts[-2::-1], strict=True):
        merged, other = question.merge(merged, part), question.merge(last, other)
    assert len(merged[0]) <= 2**14
    assert_array_equal(question.finish(merged), question.finish(other))
    assert_allclose(question.finish(merged)[0], np.quantile(values, [0.05, 0.5]), rtol=1e-3)


def test_conformal_quantiles_hold_one_more_value_as_often_as_they_say():
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(9, 4000))
    bound = PLAIN.quantile("residuals", values, np.array([0.5, 0.8, 0.95]), method="conformal")
    held = (rng.exponential(size=(4000, 1)) <= bound).mean(0)
    assert_allclose(held[:2], [0.5, 0.8], atol=0.03)
    assert np.isinf(bound[:, 2]).all()  # nine are too few


def test_a_later_option_has_to_beat_the_first_one_clearly():
    rng = np.random.default_rng(0)
    first = rng.normal(size=200)
    noise = rng.normal(size=200)
    little, clear = first - 0.01 + noise - noise.mean(), first - 0.3 + noise / 10
    assert PLAIN.choose("any", np.stack([first, little, clear])) == 2
    assert PLAIN.choose("clear", np.stack([first, little]), margin=1.0) == 0
    assert PLAIN.choose("clear", torch.tensor(np.stack([first, clear])), margin=1.0) == 1
    assert PLAIN.choose("few", np.stack([first, clear])[:, :1], margin=1.0) == 0


def test_sampled_rows_stand_for_all_of_them():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(9000, 2)), np.full((3000, 2), 4.0)])
    observed = np.ones(rows.shape, bool)
    sampled = PLAIN.second_moments(
        "rows", lambda: [(rows, observed)], products=False, most_rows=2000
    ).sample
    assert len(sampled.rows) == 2000
    weights = sampled.weights / sampled.weights.sum()
    often = (sampled.rows == 4).all(1)
    assert not often.any() or abs(weights[often].sum() - 0.25) < 1e-9
    assert_allclose(weights[~often] @ sampled.rows[~often], 0, atol=0.1)
