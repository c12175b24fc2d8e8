"""A private fit tells of rows only what its ledger holds, and no more than was asked for."""

import gc
import inspect
import math
import pickle
import re
import warnings
from contextlib import suppress
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from test_parameters import ALTERNATIVES

import sklearn_mmae.model._learn as learning
from sklearn_mmae import (
    AudioModality,
    CellError,
    DataWarning,
    ImageModality,
    MultimodalAutoencoder,
    MultimodalVAE,
    Privacy,
    PrivacyError,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
    load,
)
from sklearn_mmae.privacy._accountant import Release, find_noise, spent_epsilon
from sklearn_mmae.privacy._statistics import Ledger, PrivateStatistics

SEEDED = pytest.mark.filterwarnings("ignore:random_state=:sklearn_mmae.DataWarning")
BOTH = pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
BOUNDS = {"size": (-4, 4), "weight": (-9, 9), "born": ("1990-01-01", "2010-01-01")}
COLOURS = ["red", "green", "blue"]


def make_frame(n_rows=300, seed=0):
    """Return two tables of rows in one frame, with holes, and some rows that lack one of them."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {
            "size": level + rng.normal(size=n_rows) / 3,
            "weight": 2 * level + rng.normal(size=n_rows),
            "born": np.datetime64("2000-01-01") + (500 * level).astype("timedelta64[D]"),
            "colour": np.array(COLOURS, object)[np.clip(level + 1, 0, 2).astype(int)],
            "ripe": level > 0.5,
        }
    )
    for name in ("size", "weight", "born", "colour"):
        frame.loc[rng.random(n_rows) < 0.15, name] = None
    return frame.astype({"colour": object})


def modalities(**categories):
    first = TabularModality(bounds={n: BOUNDS[n] for n in ("size", "weight")})
    second = TabularModality(
        bounds={"born": BOUNDS["born"]}, categories=categories or {"colour": COLOURS}
    )
    return [("body", first, ["size", "weight"]), ("life", second, ["born", "colour", "ripe"])]


def make(kind=MultimodalAutoencoder, epsilon=1.0, seed=None, **options):
    options = {"modalities": modalities(), "n_components": 2, **options}
    return kind(privacy=Privacy(epsilon), random_state=seed, **options)


# Nothing passes by the ledger --------------------------------------------------------------------


class Constant(PrivateStatistics):
    """Releases that say nothing of the rows; what would have been said is kept."""

    def release(self, step, share, exact, norm):
        self.told.append((exact, norm))
        self.pay(step, share)
        constant = np.random.default_rng(exact.size).uniform(0.2, 0.3, exact.shape)
        return constant * self.n_rows, 0.1 * self.n_rows**0.5


def fit_with_constant_answers(estimator, X, monkeypatch):
    """Return a fitted estimator, and what it would have released, with the norms of rows."""
    told, original = [], learning.statistics_of

    def constant(*arguments):
        statistics = original(*arguments)
        statistics.__class__ = Constant
        statistics.told = told
        return statistics

    monkeypatch.setattr(learning, "statistics_of", constant)
    fitted = estimator.fit(X)
    monkeypatch.setattr(learning, "statistics_of", original)
    return fitted, told


def odd(frame):
    """Return as many rows of the same columns that are otherwise as different as can be."""
    frame = make_frame(len(frame), seed=7)
    frame["size"] = 1e6 * frame["size"]
    frame.loc[3, "weight"] = np.inf
    frame["born"] = frame["born"].max()
    frame["colour"] = [None, 3, ("a", 1), "violet"] * (len(frame) // 4)
    frame["ripe"] = True
    frame.loc[10:, ["size", "weight"]] = np.nan
    return frame.astype({"colour": object})


# What an argument may be of a method that has no default for it.
ARGUMENTS = {"X": make_frame(9, seed=3), "among": make_frame(9, seed=4), "to": "life"}
LEARN = {"fit", "fit_transform", "partial_fit"}
# Files are compared, and programs are made of what is in them; a metadata request tells nothing.
KEPT_ELSEWHERE = {"save", "export", "set_callbacks"}


def everything_of(fitted, path):
    """Return all that a fitted estimator shows: file, pickle, attributes, answers of methods.

    Attributes and methods are found by themselves, so that those added later are among them.
    """
    fitted.save(path)
    shown = {"file": path.read_bytes(), "pickle": pickle.dumps(fitted), "html": html_of(fitted)}
    for name in dir(fitted):
        if name.startswith("_") or name == "net_":  # of which the file has all weights
            continue
        member = getattr(fitted, name, None)
        if callable(member) and name not in LEARN | KEPT_ELSEWHERE:
            if not name.startswith("set_"):
                shown[name] = answer_of(member)
        elif name.endswith("_") and not callable(member):
            shown[name] = pickle.dumps(member)
    return shown


def html_of(fitted):
    """Return the diagram without the numbers that scikit-learn gives to diagrams."""
    return re.sub(r"sk-[\w-]+-\d+", "", fitted._repr_html_())


def answer_of(method):
    """Return what a method answers to rows that are no training rows, or how it refuses them."""
    needed = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
    needed = [p.name for p in needed if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    given = {name: ARGUMENTS[name] for name in needed}
    if method.__name__ == "inverse_transform":
        given["X"] = np.zeros((2, 2))
    try:
        return pickle.dumps(method(**given))
    except (ValueError, PrivacyError) as error:
        return str(error)


def assert_alike(estimator, frames, monkeypatch, path):
    """Check that with constant answers these rows give estimators that show the same."""
    one, other = (
        everything_of(fit_with_constant_answers(estimator, X, monkeypatch)[0], path) for X in frames
    )
    assert {"transform", "components_", "privacy_spent_", "impute"} <= one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@SEEDED
@BOTH
def test_with_constant_answers_two_data_sets_give_one_estimator(kind, monkeypatch, tmp_path):
    frames = make_frame(), odd(make_frame())
    assert_alike(make(kind, seed=0), frames, monkeypatch, tmp_path / "file")


# Values of parameters that `test_parameters` has none for.
OTHERS = {
    "callbacks": [],
    "device": "cpu",
    "init": "random",
    "max_lag": 3.0,
    "max_time": 99.0,
    "memory": "folder",
    "modality_weights": {"life": 2.0},
    "target_cv": 2,
    "target_weight": 1.0,
    "verbose": 0,
    "warm_start": True,
}


@SEEDED
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in (MultimodalAutoencoder, MultimodalVAE)
        for name in inspect.signature(kind).parameters
        if name not in ("modalities", "n_components", "privacy", "random_state")
    ],
)
def test_so_it_is_whatever_the_parameters_or_they_are_refused(kind, name, monkeypatch, tmp_path):
    value = OTHERS[name] if name in OTHERS else ALTERNATIVES[name][0]
    frames = make_frame(60), odd(make_frame(60))
    with suppress(PrivacyError):
        assert_alike(make(kind, seed=0, **{name: value}), frames, monkeypatch, tmp_path / "file")


@SEEDED
@BOTH
def test_so_it_is_for_many_modalities(kind, monkeypatch):
    rng = np.random.default_rng(0)
    parts = [(f"part {i}", TabularModality(bounds=(-1, 1)), [i]) for i in range(8)]
    files = []
    for chance in (0.0, 0.7):
        X = np.where(rng.random((60, 8)) < chance, np.nan, rng.normal(size=(60, 8)))
        estimator = make(kind, seed=0, modalities=parts)
        files.append(pickle.dumps(fit_with_constant_answers(estimator, X, monkeypatch)[0]))
    assert files[0] == files[1]


@BOTH
def test_nothing_that_is_kept_has_as_many_rows(kind):
    n_rows, seen = 397, {}
    queue = [vars(make(kind).fit(make_frame(n_rows)))]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | str | bytes):
            continue
        seen[id(thing)] = thing
        shape = getattr(thing, "shape", ())
        assert n_rows not in (shape if isinstance(shape, tuple) else ()), thing
        if isinstance(thing, FunctionType):
            queue += [cell.cell_contents for cell in thing.__closure__ or ()]
        else:
            queue += gc.get_referents(thing)


@SEEDED
def test_so_it_is_for_an_array(monkeypatch, tmp_path):
    rng, files = np.random.default_rng(0), []
    table = TabularModality(bounds=(0, 1))
    for X in (rng.uniform(size=(60, 20)), np.full((60, 20), np.nan)):
        estimator = make(seed=0, modalities=[("table", table, slice(0, 20))])
        fitted, _ = fit_with_constant_answers(estimator, X, monkeypatch)
        fitted.save(tmp_path / "file")
        files.append((tmp_path / "file").read_bytes())
    assert files[0] == files[1]


cells = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
rows_of_frames = st.lists(
    st.tuples(cells, cells, st.sampled_from([None, *COLOURS, "violet"]), st.booleans()),
    min_size=3,
    max_size=12,
)


@SEEDED
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(rows=rows_of_frames, row=st.integers(0, 11))
def test_no_row_moves_a_sum_by_more_than_its_norm(monkeypatch, rows, row):
    X = pd.DataFrame(rows, columns=["size", "weight", "colour", "ripe"])
    X = X.astype({"size": float, "weight": float, "colour": object, "ripe": object})
    without = X.copy()
    without.iloc[row % len(X)] = None
    categories = {"colour": COLOURS, "ripe": [False, True]}
    table = TabularModality(bounds=(-4, 4), categories=categories)
    body, life = ("body", table, list(X)[:1]), ("life", table, list(X)[1:])
    body = ("body", TabularModality(bounds=(-4, 4)), ["size"])
    told = [
        fit_with_constant_answers(make(seed=0, modalities=[body, life]), some, monkeypatch)[1]
        for some in (X, without)
    ]
    for (sums, norm), (others, same) in zip(*told, strict=True):
        assert norm == same
        assert np.linalg.norm(sums - others) <= norm * (1 + 1e-9)


@BOTH
def test_nothing_is_said_of_cells(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(kind, epsilon=8.0).fit(odd(make_frame()))


def test_cells_that_cannot_be_read_are_not_quoted():
    X = make_frame(20)
    X["colour"] = [["a list"]] * 20
    with pytest.raises(PrivacyError, match=r"modality 'life'.*not said which") as caught:
        make().fit(X)
    assert "list" not in str(caught.value)
    assert caught.value.__cause__ is None


# What it costs -----------------------------------------------------------------------------------

# Of Google's dp-accounting 0.6.0, by privacy loss distributions, at delta=1e-5.
KNOWN = [
    (0.6, 0.001, 10_000, 2.45618),
    (1.0, 0.01, 1_000, 1.82824),
    (1.0, 0.01, 10_000, 6.18774),
    (0.8, 0.004, 5_000, 2.49912),
    (2.0, 0.1, 500, 5.55547),
    (5.0, 0.5, 300, 8.52721),
    (1.5, 0.05, 1, 0.34941),
    (0.7, 0.02, 100, 3.80710),
    (10.0, 1.0, 50, 2.94323),
    (3.0, 0.2, 50, 2.06077),
]


@pytest.mark.parametrize(("noise", "rate", "times", "epsilon"), KNOWN)
def test_releases_cost_what_others_say_within_a_percent(noise, rate, times, epsilon):
    release = Release("any", noise, rate, times)
    assert spent_epsilon([release], 1e-5) == pytest.approx(epsilon, rel=0.01)
    assert epsilon <= spent_epsilon([release], 1e-5, "rdp") <= 2 * epsilon


def test_the_noise_of_one_sum_is_that_of_the_analytic_gaussian_mechanism():
    noise = find_noise(lambda noise: spent_epsilon([Release("any", noise)], 1e-5), 1.0)
    assert noise == pytest.approx(3.730632, abs=1e-5)


def test_releases_of_all_rows_add_up_as_one():
    together = [Release("a", 5.0), Release("b", 5.0)]
    assert spent_epsilon(together, 1e-6) == pytest.approx(
        spent_epsilon([Release("both", 5 / 2**0.5)], 1e-6), rel=1e-9
    )
    sampled = Release("c", 2.0, 0.01, 100)
    assert spent_epsilon([*together, sampled], 1e-6) > spent_epsilon(together, 1e-6)


@given(epsilon=st.floats(0.05, 20), rows=st.integers(10, 10**7))
@settings(max_examples=30, deadline=None)
def test_a_fit_spends_what_it_may_and_no_more(epsilon, rows):
    statistics = PrivateStatistics(Privacy(epsilon), rows, 2, np.random.default_rng(0))
    for _ in range(2):
        statistics.release("columns", 0.5, np.zeros(1), 1.0)
    statistics.release("moments", 1.0, np.zeros(1), 1.0)
    assert 0.999 * epsilon < statistics.spent().epsilon <= epsilon * (1 + 1e-8)
    with pytest.raises(PrivacyError, match="'moments' would bring epsilon to"):
        statistics.release("moments", 0.1, np.zeros(1), 1.0)


def test_an_overdrawn_release_is_not_made():
    ledger = Ledger(Privacy(1.0, 1e-5), 100)
    with pytest.raises(PrivacyError, match="1 is all that may be spent"):
        ledger.spend(Release("moments", 0.1))
    assert ledger.spent().epsilon == 0


def test_shares_and_accountant_change_the_noise():
    def noise(**options):
        privacy = Privacy(1.0, 1e-5, **options)
        return PrivateStatistics(privacy, 100, 1, np.random.default_rng(0)).noise

    assert noise(shares={"columns": 0.9})["columns"] < noise()["columns"]
    assert noise(shares={"columns": 0.9})["moments"] > noise()["moments"]
    assert noise(accountant="rdp")["columns"] > noise()["columns"]


def test_what_was_spent_says_what_for_and_what_is_public():
    spent = make(epsilon=2.0).fit(make_frame()).privacy_spent_
    assert spent.epsilon == pytest.approx(2.0)
    assert spent.delta == pytest.approx(1 / 3000)
    assert set(spent.by_step) == {"columns", "moments"}
    assert all(0 < epsilon < 2 for epsilon in spent.by_step.values())
    assert "one row" in spent.neighbours
    assert any("number of rows" in fact for fact in spent.public)


# What it is worth --------------------------------------------------------------------------------


@SEEDED
@BOTH
def test_a_private_fit_of_many_rows_is_nearly_as_good(kind):
    X, others = make_frame(4000), make_frame(500, seed=1)
    plain = kind(modalities(), n_components=2, max_epochs=0).fit(X).score(others)
    private = make(kind, epsilon=1.0, seed=0).fit(X).score(others)
    assert private > plain - 0.1
    assert plain > 0.3


@SEEDED
def test_the_smaller_epsilon_the_more_noise():
    X, others = make_frame(300), make_frame(500, seed=1)
    scores = [
        np.mean([make(epsilon=e, seed=s).fit(X).score(others) for s in range(3)])
        for e in (0.02, 1.0, 50.0)
    ]
    assert scores[0] < scores[1] < scores[2]


def test_two_fits_have_noise_of_their_own():
    X = make_frame()
    assert not np.array_equal(make().fit(X).transform(X), make().fit(X).transform(X))


def test_holes_do_not_shrink_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 1)) @ np.ones((1, 4)) + rng.normal(size=(5000, 4)) / 3
    holes = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    table = [("table", TabularModality(bounds=(-5, 5)), slice(0, 4))]
    whole, private = (
        make(epsilon=20.0, n_components=1, modalities=table, max_epochs=0)
        .fit(some)
        .components_["table"]
        for some in (X, holes)
    )
    np.testing.assert_allclose(private, whole, atol=0.1)


@pytest.mark.filterwarnings("ignore:.*adds no noise:sklearn_mmae.DataWarning")
def test_without_noise_it_is_the_plain_start_of_rows_that_are_not_cut():
    rng = np.random.default_rng(0)
    X = np.sign(rng.normal(size=(400, 3))) @ rng.normal(size=(3, 6)) / 9
    table = [("table", TabularModality(bounds=(-1, 1), scale="column"), slice(0, 6))]
    private = make(epsilon=math.inf, n_components=3, modalities=table).fit(X)
    plain = MultimodalAutoencoder(table, n_components=3, max_epochs=0).fit(X)
    assert private.score(X) == pytest.approx(plain.score(X), abs=1e-3)


@SEEDED
@BOTH
def test_private_rows_are_drawn_and_searched(kind):
    X = make_frame(4000)
    fitted = make(kind, epsilon=20.0, seed=0, max_epochs=2, width=16).fit(X)
    assert fitted.n_iter_ == 2
    drawn = fitted.sample(2000)
    assert drawn["size"].corr(drawn["weight"]) == pytest.approx(0.85, abs=0.4)
    assert 0.7 < drawn["weight"].std() / X["weight"].std() < 1.1
    whole = X.dropna()[:300].reset_index(drop=True)
    given = whole.assign(size=np.nan, weight=np.nan)
    assert fitted.sample(1, given=given)["size"].corr(whole["size"]) > 0.4
    others, far = make_frame(50, seed=1), make_frame(50, seed=2)
    found = fitted.search(others, far, to="life", n=5).rows
    level = far["size"].to_numpy()[found]
    assert np.isfinite(fitted.search(others, far, to="life").scores).all()
    both = others["size"].notna().to_numpy()
    near = pd.Series(np.nanmean(level, 1))[both]
    assert near.corr(others["size"][both]) > 0.3


# Keeping and showing it --------------------------------------------------------------------------


@SEEDED
@BOTH
def test_files_keep_what_was_spent_and_no_seed(kind, tmp_path):
    X = make_frame()
    fitted = make(kind, seed=3).fit(X)
    fitted.save(tmp_path / "file")
    loaded = load(tmp_path / "file")
    assert loaded.privacy_spent_ == fitted.privacy_spent_
    assert loaded.privacy.get_params() == fitted.privacy.get_params()
    assert loaded.random_state is None
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_it_is_cloned_searched_and_drawn():
    estimator = make().set_params(privacy__epsilon=3.0)
    assert clone(estimator).privacy.epsilon == 3.0
    assert clone(estimator).privacy is not estimator.privacy
    fitted = estimator.fit(make_frame())
    assert "privacy" in fitted._repr_html_()
    assert "epsilon 3" in fitted._repr_html_()


def test_what_is_of_training_rows_is_absent_and_says_why():
    fitted = make().fit(make_frame())
    assert fitted.history_ == []
    assert not hasattr(fitted, "explained_deviance_")
    with pytest.raises(AttributeError, match="left out with privacy"):
        _ = fitted.explained_deviance_
    with pytest.raises(PrivacyError, match="held out, which a fit with privacy"):
        fitted.predict_interval(make_frame(10))
    with pytest.raises(AttributeError, match="no attribute 'nothing_'"):
        _ = fitted.nothing_


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("privacy", "message"),
    [
        (Privacy(0), "epsilon=0.*above 0"),
        (Privacy(-1.0), "epsilon=-1.0"),
        (Privacy(math.nan), "epsilon=nan"),
        (Privacy("much"), "epsilon='much'"),
        (Privacy(True), "epsilon=True"),
        (Privacy(1.0, max_grad_norm=0), "max_grad_norm=0.*above 0"),
        (Privacy(1, 1.0), "delta=1.0.*between 0 and 1"),
        (Privacy(1, 0.0), "delta=0.0"),
        (Privacy(1, accountant="prw"), "Did you mean 'prv'"),
        (Privacy(1, shares={"moment": 0.1}), "Did you mean 'moments'"),
        (Privacy(1, shares={"columns": 0.0}), "share above 0"),
        (Privacy(1, shares={"columns": 0.6, "moments": 0.6}), "sum to 1.2"),
        (Privacy(1, shares={"columns": 1.0}), "'moments' has none"),
    ],
)
def test_privacy_that_makes_no_sense(privacy, message):
    with pytest.raises(ValueError, match=message):
        make().set_params(privacy=privacy).fit(make_frame(20))


@pytest.mark.parametrize(
    ("privacy", "seed", "message"),
    [
        (Privacy(math.inf), None, "adds no noise"),
        (Privacy(1, 0.1), None, "above 1 / 40"),
        (Privacy(1), 0, "random_state=0.*take the noise away"),
        (Privacy(1), np.random.RandomState(0), "take the noise away"),
    ],
)
def test_privacy_that_protects_little_warns(privacy, seed, message):
    with pytest.warns(DataWarning, match=message):
        make(seed=seed).set_params(privacy=privacy).fit(make_frame(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": "auto"}, "Give modalities="),
        ({"modalities": [("a", TabularModality(bounds=(0, 1)), lambda X: ["size"])]}, "modalities"),
        ({"n_components": "auto"}, "Give a whole number"),
        ({"n_components": 0.9}, "Give a whole number"),
        ({"target_weight": 1.0}, "target_weight=1.0 has no privacy"),
        ({"max_lag": 3.0}, "max_lag"),
        ({"memory": "folder"}, "memory"),
        ({"callbacks": []}, "callbacks"),
        ({"warm_start": True}, "warm_start"),
        ({"init": "random"}, "init"),
        (
            {"modalities": [("a", ImageModality(memory="folder"), ["colour"])]},
            "modality 'a': memory='folder'",
        ),
    ],
)
def test_what_would_look_at_rows_is_refused(options, message):
    with pytest.raises(PrivacyError, match=message):
        make(**options).fit(make_frame(20), np.ones(20))


def test_a_subclass_has_to_say_itself_that_it_is_private():
    class Own(TabularModality):
        pass

    with pytest.raises(PrivacyError, match="Own cannot be fitted with privacy"):
        make(modalities=[("body", Own(bounds=(-4, 4)), ["size"])]).fit(make_frame(20))


def test_weights_and_parts_of_the_rows_are_refused():
    X = make_frame(20)
    with pytest.raises(PrivacyError, match="sample_weight"):
        make().fit(X, sample_weight=np.ones(20))
    with pytest.raises(PrivacyError, match="partial_fit"):
        make().partial_fit(X)
    with pytest.raises(PrivacyError, match="X is a list"):
        make(modalities=[("a", TabularModality(bounds=(0, 1)), [0])]).fit([[1.0], [2.0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "category"}, "'life', column 'size'.*categorical dtype.*categories="),
        ({"size": object}, "'life', column 'size'.*needs categories.*dtype of numbers"),
        ({}, r"'life', column 'size'.*needs bounds.*bounds=\{'size': \(low, high\)\}"),
    ],
)
def test_a_public_fact_that_is_missing_is_named(change, message):
    X = make_frame(20)[["size"]].astype(change)
    with pytest.raises(CellError, match=message):
        make(modalities=[("life", TabularModality(), ["size"])]).fit(X)


WORDS = ["red", "green", "blue", "sky", "sea"]
PUBLIC_TEXT = {"vocabulary": WORDS, "vectorizer": None}
PUBLIC_PICTURE = {"size": 4, "mode": "L", "max_value": 255}


@pytest.mark.parametrize(
    "modality",
    [
        TextModality(vectorizer=None),
        *(TextModality(**PUBLIC_TEXT | {"vectorizer": v}) for v in ("auto", "subwords")),
        TextModality(**PUBLIC_TEXT, decoder="sequence"),
        *(ImageModality(**PUBLIC_PICTURE | {name: None}) for name in ("size", "max_value")),
        ImageModality(**PUBLIC_PICTURE | {"mode": "auto"}),
        ImageModality(**PUBLIC_PICTURE, loss="cross-entropy"),
        ImageModality(shape=(1, 1)),
    ],
)
def test_texts_and_pictures_need_public_facts(modality):
    kind = "TextModality" if isinstance(modality, TextModality) else "ImageModality"
    with pytest.raises(CellError, match=rf"'a', column 'colour': privacy needs .*Give {kind}\("):
        make(modalities=[("a", modality, ["colour"])]).fit(make_frame(20))


@pytest.mark.parametrize("given", [[], (0, 1), [(1, 0)], [(0, np.inf)], [(0, 1, 2)], ["ab"], "ab"])
def test_bounds_of_channels_that_make_no_sense(given):
    signal = SequenceModality(bounds=given)
    with pytest.raises(ValueError, match=r"bounds=.*list of \(low, high\) for each channel"):
        MultimodalAutoencoder([("a", signal, ["wave"])]).fit(make_timed(9, 0)[0])


@pytest.mark.parametrize("given", [[], "red", ["red", "red"], ["Red"], [3]])
def test_a_vocabulary_that_makes_no_sense(given):
    with pytest.raises(ValueError, match="list of different words, in lower case"):
        MultimodalAutoencoder([("a", TextModality(vocabulary=given), ["colour"])]).fit(make_frame())


@pytest.mark.parametrize("more", [{"decoder": "sequence"}, {"max_features": None}])
def test_what_hashes_cannot_do(more):
    text = TextModality(vocabulary="hash", **more)
    with pytest.raises(ValueError, match="vocabulary='hash': give decoder='words' and max_f"):
        MultimodalAutoencoder([("a", text, ["colour"])]).fit(make_frame())


def make_media(n_rows, seed, width=4):
    """Return texts and pictures that go together, of which some are missing."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n_rows)
    frame = pd.DataFrame({"note": [["red sea", "blue sky and sky"][k] for k in kind]}, dtype=object)
    light = 60 + 120 * kind[:, None, None] + rng.normal(size=(n_rows, width, width)) * 9
    frame["photo"] = list(light.astype(np.uint8))
    for name in frame:
        frame.loc[rng.random(n_rows) < 0.1, name] = None
    return frame, kind


MEDIA = [
    ("note", TextModality(**PUBLIC_TEXT), ["note"]),
    ("photo", ImageModality(**PUBLIC_PICTURE), ["photo"]),
]


def make_timed(n_rows, seed, longest=8):
    """Return signals, sounds and clips that go together, of which some are missing."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_rows)
    length = rng.integers(longest // 2, longest + 1, n_rows)
    wave, tone, clip = np.empty((3, n_rows), object)
    for i, (height, n) in enumerate(zip(level, length, strict=True)):
        wave[i] = np.stack([height * np.arange(n), rng.normal(size=n)], 1) / 4
        wave[i][rng.random((n, 2)) < 0.1] = np.nan
        tone[i] = np.exp(height / 2) * np.sin(np.arange(64 * n)) / 9
        clip[i] = np.clip(np.full((n // 2, 3, 3), 128 + 40 * height), 0, 255).astype(np.uint8)
    frame = pd.DataFrame({"wave": wave, "tone": tone, "clip": clip})
    for name in frame:
        frame.loc[rng.random(n_rows) < 0.1, name] = None
    return frame, level


PUBLIC_SIGNAL = {"bounds": [(-9, 9), (-9, 9)], "max_steps": 8}
PUBLIC_SOUND = {"sampling_rate": 640, "max_seconds": 0.8}
PUBLIC_CLIP = {"size": 2, "mode": "L", "fps": 1, "max_seconds": 4, "max_value": 255}
TIMED = [
    ("wave", SequenceModality(**PUBLIC_SIGNAL), ["wave"]),
    ("tone", AudioModality(**PUBLIC_SOUND, n_mels=4, n_fft=128, hop_length=64), ["tone"]),
    ("clip", VideoModality(**PUBLIC_CLIP), ["clip"]),
]


def odd_timed(n_rows):
    """Return rows of the same columns that are otherwise as different as can be."""
    frame, _ = make_timed(n_rows, 1, longest=40)
    frame["wave"] = [None, np.full((1, 2), 1e30), np.zeros((30, 2), int)] * (n_rows // 3)
    frame["tone"] = [None, (8000, np.ones((9, 2), np.int16)), np.zeros(1)] * (n_rows // 3)
    frame["clip"] = [None, np.full((9, 5, 4, 3), 0.5), np.zeros((1, 1, 1), bool)] * (n_rows // 3)
    return frame


@SEEDED
@BOTH
def test_signals_sounds_and_clips_pass_the_ledger(kind, monkeypatch, tmp_path):
    files = []
    for X in (make_timed(60, 0)[0], odd_timed(60)):
        estimator = make(kind, seed=0, modalities=TIMED)
        fitted, _ = fit_with_constant_answers(estimator, X, monkeypatch)
        fitted.save(tmp_path / "file")
        files.append(((tmp_path / "file").read_bytes(), pickle.dumps(fitted)))
    assert files[0] == files[1]


@SEEDED
@pytest.mark.parametrize("row", range(3))
def test_no_signal_sound_or_clip_moves_a_sum_by_more_than_its_norm(row, monkeypatch):
    X = pd.concat([odd_timed(3), make_timed(9, 0)[0]], ignore_index=True)
    without = X.copy()
    without.iloc[row] = None
    told = [
        fit_with_constant_answers(make(seed=0, modalities=TIMED), some, monkeypatch)[1]
        for some in (X, without)
    ]
    for (sums, norm), (others, same) in zip(*told, strict=True):
        assert norm == same
        assert np.linalg.norm(sums - others) <= norm * (1 + 1e-9)


@SEEDED
@BOTH
def test_private_signals_sounds_and_clips_go_together(kind, tmp_path):
    X, _ = make_timed(1200, 0)
    others, level = make_timed(100, 1)
    fitted = make(kind, epsilon=20.0, seed=0, n_components=1, modalities=TIMED).fit(X)
    told = others[["wave", "tone"]].notna().all(axis=1).to_numpy()
    clips = fitted.translate(others.assign(clip=None)[told], to="clip")["clip"]
    light = [clip.mean() for clip in clips]
    assert np.corrcoef(light, level[told])[0, 1] > 0.8
    drawn = fitted.sample(50)
    assert {len(wave) for wave in drawn["wave"]} <= set(range(1, 9))
    wave = fitted.modalities_[0][1]
    assert np.exp(wave.log_length_) == pytest.approx(5.8, abs=0.6)
    fitted.save(tmp_path / "file")
    loaded = load(tmp_path / "file")
    np.testing.assert_array_equal(loaded.transform(others[told]), fitted.transform(others[told]))


def test_irregular_signals_are_brought_to_a_public_rate():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"at": [np.sort(rng.uniform(0, 10, 30)) for _ in range(99)]})
    X["wave"] = [np.sin(times) for times in X["at"]]
    modality = SequenceModality("at", sampling_rate=0.5, max_steps=6, bounds=[(-1, 1)])
    fitted = make(modalities=[("wave", modality, ["at", "wave"])]).fit(X)
    assert fitted.modalities_[0][1].step_ == 2.0
    back = fitted.reconstruct(X)
    assert [len(times) for times in back["at"]] == [30] * 99
    assert fitted.sample(3)["wave"][0].ndim == 1


@pytest.mark.parametrize(
    ("modality", "given"),
    [
        (SequenceModality(max_steps=8), r"bounds=\[\(low, high\), ...\], max_steps"),
        (AudioModality(max_seconds=1.0), "sampling_rate=8000"),
        (AudioModality(rate=8000), "max_seconds=2.0"),
        *((VideoModality(**PUBLIC_CLIP | {name: None}), name) for name in ("size", "fps")),
        *(
            (VideoModality(**PUBLIC_CLIP | {name: None}), name)
            for name in PUBLIC_CLIP
            if name[:3] == "max"
        ),
        (VideoModality(**PUBLIC_CLIP | {"mode": "auto"}), "mode='L'"),
    ],
)
def test_signals_sounds_and_clips_need_public_facts(modality, given):
    kind = type(modality).__name__
    with pytest.raises(
        CellError, match=rf"'a', column 'colour': privacy needs .*{kind}\(.*{given}"
    ):
        make(modalities=[("a", modality, ["colour"])]).fit(make_frame(20))


def test_irregular_signals_need_a_public_rate():
    modality = SequenceModality("at", bounds=[(0, 1)])
    X = pd.DataFrame({"at": [np.arange(3.0)] * 9, "wave": [np.ones(3)] * 9})
    with pytest.raises(CellError, match=r"column 'wave': privacy needs .*sampling_rate="):
        make(modalities=[("a", modality, ["at", "wave"])]).fit(X)


def test_rows_that_are_too_wide_are_refused():
    picture = ImageModality(size=101, mode="L", max_value=255)
    with pytest.raises(PrivacyError, match=r"has 10201 numbers.*smaller sizes"):
        make(modalities=[("photo", picture, ["photo"])]).fit(make_media(9, 0)[0])


def test_bands_that_the_rate_does_not_have_are_named():
    sound = AudioModality(**PUBLIC_SOUND, f_max=400.0)
    with pytest.raises(ValueError, match=r"'a': f_min=20.*f_max=400"):
        make(modalities=[("a", sound, ["tone"])]).fit(make_timed(9, 0)[0])


@SEEDED
@BOTH
def test_texts_and_pictures_pass_the_ledger(kind, monkeypatch):
    frame, _ = make_media(60, 0)
    other, _ = make_media(60, 1, width=9)
    other["note"] = np.array(["", "words of which none is known", None] * 20, object)
    other = other.astype({"note": object})
    pickles = [
        pickle.dumps(
            fit_with_constant_answers(make(kind, seed=0, modalities=MEDIA), X, monkeypatch)[0]
        )
        for X in (frame, other)
    ]
    assert pickles[0] == pickles[1]


@SEEDED
@pytest.mark.parametrize("row", range(6))
def test_no_text_or_picture_moves_a_sum_by_more_than_its_norm(row, monkeypatch):
    X, _ = make_media(6, 0)
    X.loc[row, "note"] = "red green blue sky sea " * 99
    X.at[row, "photo"] = np.full((4, 4), 255, np.uint8)
    without = X.copy()
    without.iloc[row] = None
    told = [
        fit_with_constant_answers(make(seed=0, modalities=MEDIA), some, monkeypatch)[1]
        for some in (X, without)
    ]
    for (sums, norm), (others, same) in zip(*told, strict=True):
        assert norm == same
        assert np.linalg.norm(sums - others) <= norm * (1 + 1e-9)


@BOTH
def test_files_keep_private_texts_and_pictures(kind, tmp_path):
    X = make_media(60, 0)[0].dropna()
    fitted = make(kind, modalities=MEDIA).fit(X)
    fitted.save(tmp_path / "file")
    loaded = load(tmp_path / "file")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.get_params()["note__vocabulary"] == WORDS


@BOTH
@pytest.mark.parametrize("modality", range(2))
def test_files_keep_one_private_text_or_picture(kind, modality, tmp_path):
    X = make_media(60, 0)[0].dropna()
    fitted = make(kind, modalities=[MEDIA[modality]]).fit(X)
    fitted.save(tmp_path / "file")
    np.testing.assert_array_equal(load(tmp_path / "file").transform(X), fitted.transform(X))


def test_words_that_nobody_knows_are_hashed():
    X = make_media(2000, 0)[0].dropna()
    hashed = TextModality(vocabulary="hash", max_features=16, vectorizer=None)
    fitted = make(epsilon=8.0, modalities=[("note", hashed, ["note"])], n_components=1).fit(X)
    words = {*" ".join(fitted.reconstruct(X)["note"]).split()}
    assert words <= {f"#{i}" for i in range(16)}
    assert fitted.score(X) > 0.5


def test_a_vocabulary_may_be_wide():
    X = make_media(60, 0)[0].dropna()
    words = [*WORDS, *(f"word{i}" for i in range(800))]
    text = ("note", TextModality(vocabulary=words, vectorizer=None), ["note"])
    fitted = make(modalities=[text, MEDIA[1]], epsilon=50.0).fit(X)
    assert set(" ".join(fitted.reconstruct(X)["note"]).split()) <= {*words}


@SEEDED
@BOTH
def test_private_texts_and_pictures_go_together(kind):
    X, _ = make_media(4000, 0)
    others, truth = make_media(200, 1)
    others["photo"] = None
    fitted = make(kind, epsilon=3.0, seed=0, n_components=1, modalities=MEDIA).fit(X)
    told = others["note"].notna().to_numpy()
    light = [photo.mean() > 128 for photo in fitted.translate(others[told], to="photo")["photo"]]
    assert np.mean(light == truth[told].astype(bool)) > 0.95


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bounds": (1, 0)}, r"bounds: \(1, 0\)"),
        ({"bounds": (0, math.inf)}, "two finite numbers"),
        ({"bounds": {"size": 3}}, "bounds of column 'size': 3"),
        ({"bounds": {"siz": (0, 1)}}, "Did you mean 'size'"),
        ({"bounds": ("2010", "soon")}, "bounds"),
        ({"bounds": {"size": ("2000-01-01", "2010-01-01")}}, "the column holds numbers"),
        ({"categories": {"colour": []}}, "list of different"),
        ({"categories": {"colour": ["a", "a"]}}, "list of different"),
        ({"categories": {"color": ["a"]}}, "Did you mean 'colour'"),
    ],
)
def test_public_facts_that_make_no_sense(given, message):
    table = TabularModality(**given)
    with pytest.raises(ValueError, match=message):
        MultimodalAutoencoder([("table", table, ["size", "colour"])]).fit(make_frame(20))


# Public facts without privacy --------------------------------------------------------------------


def test_numbers_beyond_the_bounds_of_a_channel_are_read_as_the_nearest_one():
    wave = np.array([[0.5, 9.0], [np.nan, -9.0], [2.0, 0.0]])
    X = pd.DataFrame({"wave": [wave, wave.clip(-1, 4), None] * 9})
    fitted = MultimodalAutoencoder(
        [("wave", SequenceModality(bounds=[(0, 1), (-1, 4)]), ["wave"])], 1, max_epochs=0
    ).fit(X)
    assert fitted.modalities_[0][1].channel_mean_ == pytest.approx([0.75, 1.0])
    codes = fitted.transform(X[:2])
    np.testing.assert_array_equal(codes[0], codes[1])
    with pytest.raises(CellError, match=r"row 1.*has 1 channels"):
        fitted.transform(pd.DataFrame({"wave": [wave, wave[:, 0]]}))


def test_cells_beyond_bounds_are_read_as_the_nearest_one():
    X = np.array([[-9.0], [0.5], [np.inf], [np.nan], [0.2]] * 8)
    table = [("table", TabularModality(bounds=(0, 1)), [0])]
    fitted = MultimodalAutoencoder(table, n_components=1, max_epochs=0, random_state=0).fit(X)
    assert fitted.modalities_[0][1].mean_ == pytest.approx((0 + 0.5 + 1 + 0.2) / 4)
    np.testing.assert_array_equal(fitted.transform(X[:1]), fitted.transform([[0.0]]))


def test_categories_that_are_given_are_all_there_are():
    X = pd.DataFrame({"colour": ["red", "blue", "violet", "1"] * 10, "count": [1, 2, 3, 4] * 10})
    table = TabularModality(categories={"colour": ["blue", "red"], "count": [4, 3, 2, 1]})
    estimator = MultimodalAutoencoder([("table", table, list(X))], n_components=2, max_epochs=0)
    with pytest.warns(DataWarning, match="'violet'"):
        fitted = estimator.fit(X)
    assert fitted.modalities_[0][1].categories_ == [["blue", "red"], [4, 3, 2, 1]]
    assert set(fitted.reconstruct(X[:2])["count"]) <= {1, 2, 3, 4}
