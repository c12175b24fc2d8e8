"""What users of intervals and of probabilities of categories rely on."""

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.helper import SliceDict
from test_ecosystem import to_polars

from sklearn_mmae import (
    Chunks,
    DataWarning,
    ModelFileError,
    MultimodalAutoencoder,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae._core.later import Later
from sklearn_mmae.statistics import PLAIN
from sklearn_mmae.statistics._cell_model import CrossFitted
from sklearn_mmae.statistics._samples import SampledRows
from sklearn_mmae.training import _lesson
from sklearn_mmae.training._groups import LEVELS
from sklearn_mmae.training._scaling import Scaling, as_sure, scaling
from sklearn_mmae.training._spread import further_off

LEFT, RIGHT = ["a", "b", "c"], ["d", "e", "f"]
TWO_TABLES = [("left", TabularModality(), LEFT), ("right", TabularModality(), RIGHT)]


def simulated(n, seed=0):
    """Return numbers whose noise grows with what they have in common, and a category of it."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    noise = rng.normal(size=(n, 6)) * np.exp(common / 2)[:, None] / 2
    numbers = common[:, None] * [1, 2, -1, 3, 1, -2] + noise
    frame = pd.DataFrame(numbers, columns=[*LEFT, *RIGHT])
    frame["kind"] = np.where(common + rng.normal(size=n) / 3 > 0, "large", "small")
    return frame


def numbers_of(n, seed=0):
    return simulated(n, seed).drop(columns="kind")


def small(**parameters):
    return MultimodalAutoencoder(
        **{"n_components": 2, "max_epochs": 0, "random_state": 0} | parameters
    )


@cache
def of_two_tables():
    return small(modalities=TWO_TABLES).fit(numbers_of(8000))


@cache
def of_one_table():
    return small().fit(simulated(3000))


def coverage(interval, truth):
    low, high = (np.asarray(end) for end in interval)
    return (low <= truth) & (truth <= high)


def hide(frame, share, seed=0):
    rng = np.random.default_rng(seed)
    holes = rng.random(frame.shape) < share
    holes[holes.all(1), 0] = False  # something of each row
    return frame.mask(holes)


# What intervals hold ------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_hold_the_share_that_they_say(level):
    new = numbers_of(4000, seed=1)
    held = coverage(of_two_tables().predict_interval(new, level), new.to_numpy())
    standard_error = np.sqrt(level * (1 - level) / 1000)  # of the quantiles of 1,000 held-out rows
    assert abs(held.mean() - level) < 3 * standard_error


def test_intervals_of_an_absent_modality_hold_it_too():
    new, seen, absent = numbers_of(2000, seed=1), [], []
    for seed in range(6):  # what is held out is a matter of luck
        mmae = small(modalities=TWO_TABLES).fit(numbers_of(2000, seed=10 + seed))
        held = coverage(mmae.predict_interval(new[LEFT], 0.8), new.to_numpy())
        seen.append(held[:, :3].mean())
        absent.append(held[:, 3:].mean())
    assert abs(np.mean(seen) - 0.8) < 0.02
    assert abs(np.mean(absent) - 0.8) < 0.02


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8])
def test_intervals_of_holes_hold_what_was_there(share):
    mmae = small(modalities=[("table", TabularModality(), [*LEFT, *RIGHT])]).fit(numbers_of(8000))
    new = numbers_of(3000, seed=1)
    holey = hide(new, share)
    held = coverage(mmae.predict_interval(holey, 0.9), new.to_numpy())
    hole = holey.isna().to_numpy()
    assert abs(held[hole].mean() - 0.9) < 0.02
    assert abs(held[~hole].mean() - 0.9) < 0.02


def test_few_rows_all_calibrate():
    new, held = numbers_of(500, seed=99), []
    for seed in range(5):  # of 40 rows 12 are held out, which would be too few for 0.95
        mmae = small(modalities=TWO_TABLES, random_state=seed).fit(numbers_of(40, seed))
        low, high = mmae.predict_interval(new[RIGHT], 0.95)
        assert np.isfinite(high - low).all(axis=None)
        held.append(coverage((low, high), new.to_numpy()).mean())
    assert abs(np.mean(held) - 0.95) < 0.02


def test_more_columns_than_rows_have_finite_intervals():
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(3, 140))
    X = rng.normal(size=(230, 3)) @ axes + rng.normal(size=(230, 140))
    tables = [
        ("genes", TabularModality(), slice(0, 120)),
        ("fats", TabularModality(), slice(120, 140)),
    ]
    mmae = small(n_components=3, modalities=tables).fit(X[:30])
    shown = X[30:].copy()
    shown[::2, 120:] = np.nan
    low, high = mmae.predict_interval(shown, 0.95)
    assert np.isfinite(high - low).all()
    assert abs(coverage((low, high), X[30:]).mean() - 0.95) < 0.03


def test_each_kind_of_row_has_what_the_level_says():
    new = numbers_of(4000, seed=1)
    kind = pd.qcut(new["d"], 5, labels=False)  # noise grows with it, from 0.2 to 1.2
    wide = []
    for shown, columns in ((new, LEFT + RIGHT), (new[RIGHT], LEFT)):
        low, high = of_two_tables().predict_interval(shown, 0.9)
        held = pd.DataFrame(coverage((low, high), new.to_numpy()), columns=new.columns)
        by_kind = held[columns].mean(axis=1).groupby(kind).mean()
        assert (by_kind - 0.9).abs().max() < 0.05
        wide.append((high - low)[columns].mean(axis=1).groupby(kind).mean())
    assert all(width[4] > 1.5 * width[0] for width in wide)


def test_intervals_end_where_the_column_does():
    rng = np.random.default_rng(0)
    rate = np.exp(rng.normal(size=(2000, 1)))
    counts = rng.poisson(rate * [0.3, 1.0, 3.0, 10.0]).astype(float)
    mmae = small(n_components=1).fit(counts[:1000])
    low, high = mmae.predict_interval(counts[1000:], 0.9)
    said = mmae.reconstruct(counts[1000:])
    assert (low > np.minimum(said, 0) - 1e-3).all()
    assert ((low <= said) & (said <= high)).all()
    assert abs(((low <= counts[1000:]) & (counts[1000:] <= high)).mean() - 0.9) < 0.04


def test_rows_trained_on_do_not_make_intervals_narrow():
    # Networks of many parameters on noise: what they learn by heart says nothing of new rows.
    rng = np.random.default_rng(0)
    noise, new = rng.normal(size=(150, 12)), rng.normal(size=(1000, 12))
    mmae = MultimodalAutoencoder(
        n_components=6, max_epochs=40, tol=0, init="random", noise=0, dropout=0, random_state=0
    )
    low, high = mmae.fit(noise).predict_interval(new, 0.9)
    assert 0.88 < ((low <= new) & (new <= high)).mean() < 0.96


def test_intervals_are_around_what_the_model_says_of_the_cell():
    mmae, new = of_two_tables(), hide(numbers_of(200, seed=1), 0.3)
    low, high = mmae.predict_interval(new)
    middle, there = (low + high) / 2, new.notna().to_numpy()
    for cells, said in ((there, mmae.reconstruct(new)), (~there, mmae.impute(new))):
        said, cut = said.to_numpy()[cells], cut_off(mmae, low, high)[cells]
        np.testing.assert_allclose(middle.to_numpy()[cells][~cut], said[~cut])
    whole = numbers_of(200, seed=1)
    low, high = mmae.predict_interval(whole[LEFT])
    cut = cut_off(mmae, low, high)[:, 3:]
    translated = mmae.translate(whole, to="right").to_numpy()
    np.testing.assert_allclose(((low + high) / 2)[RIGHT].to_numpy()[~cut], translated[~cut])


def test_what_is_imputed_is_in_its_interval_and_the_likeliest_category():
    mmae, new = of_one_table(), simulated(300, seed=1)
    new = new.where(np.random.default_rng(0).random(new.shape) > 0.3)
    filled, numbers = mmae.impute(new), [*LEFT, *RIGHT]
    hole, said = new[numbers].isna().to_numpy(), filled[numbers].to_numpy()
    for level in (0.05, 0.9):
        low, high = (end.to_numpy() for end in mmae.predict_interval(new, level))
        assert ((low <= said) & (said <= high))[hole].all()
    hole = new["kind"].isna()
    shares, sets = mmae.category_probabilities(new)["kind"], mmae.category_sets(new, 0.9)["kind"]
    assert (shares.idxmax(axis=1) == filled["kind"])[hole].all()
    assert np.where(filled["kind"] == "large", sets["large"], sets["small"])[hole].all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_intervals_of_missing_cells_hold_what_they_say(share):
    truth = simulated(8000, seed=3)
    hole, numbers = np.random.default_rng(0).random(truth.shape) < share, [*LEFT, *RIGHT]
    hole[hole.all(1)] = False
    new = truth.mask(hole)
    low, high = (end.to_numpy() for end in of_one_table().predict_interval(new, 0.9))
    held = (low <= truth[numbers]) & (truth[numbers] <= high)
    for place in range(len(numbers)):
        assert abs(held.to_numpy()[hole[:, place], place].mean() - 0.9) < 0.06
    sets = of_one_table().category_sets(new, 0.9)["kind"]
    held = np.where(truth["kind"] == "large", sets["large"], sets["small"])
    assert held[hole[:, -1]].mean() > 0.87


def test_rows_that_calibrate_are_judged_by_what_has_not_seen_them():
    def rows(n, seed):
        x = np.random.default_rng(seed).normal(size=(n, 6))
        x[:, 0] = np.abs(x[:, 1]) * np.sign(x[:, 2]) + x[:, 0] / 2  # for trees
        return x, np.where(np.arange(6) == 0, np.nan, x)

    (train, shown), (new, new_shown) = rows(300, 0), rows(3000, 1)
    fitted = CrossFitted.learn(SampledRows(train, np.ones(len(train))), [1] * 6)
    assert fitted.model.first[0] is not None
    by_heart = (fitted.model.expected(shown) - train)[:, 0].std()
    honest = (fitted.expected(shown, np.arange(len(train))) - train)[:, 0].std()
    really = (fitted.model.expected(new_shown) - new)[:, 0].std()
    assert by_heart < 0.9 * really
    assert abs(honest / really - 1) < 0.1


def cut_off(mmae, low, high):
    """Return which intervals end where their column does."""
    ends = [
        np.concatenate([getattr(groups, end) for groups in mmae._model.calibration().values()])
        for end in ("low", "high")
    ]
    tables = [part.modality for part in mmae._model.parts]
    mean, scale = (
        np.concatenate([getattr(t, name) for t in tables]) for name in ("mean_", "scale_")
    )
    first, last = (end * scale + mean for end in ends)
    cut = (low.to_numpy() <= first + 1e-3) | (high.to_numpy() >= last - 1e-3)
    assert cut.mean() < 0.02
    return cut


# Wider where less was seen ------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [["b"], ["c", "e"], RIGHT])
def test_taking_cells_away_hardly_narrows_the_intervals_of_others_on_average(columns):
    new = numbers_of(500, seed=1)
    new["a"] = np.nan
    less = new.copy()
    less[columns] = np.nan
    low, high = of_two_tables().predict_interval(new)
    low_less, high_less = of_two_tables().predict_interval(less)
    assert (high_less - low_less)["a"].mean() > 0.9 * (high - low)["a"].mean()


def test_the_less_is_seen_the_wider_intervals_are():
    new, mmae = numbers_of(300, seed=1), of_two_tables()

    def width(frame, column):
        low, high = mmae.predict_interval(frame)
        return (high - low)[column].mean()

    hole, holes = new.assign(a=np.nan), new.assign(a=np.nan, b=np.nan)
    with pytest.warns(DataWarning, match="nothing is observed"):
        nothing = width(new * np.nan, "a")
    assert width(new, "a") < width(hole, "a") < width(holes, "a")
    assert width(new, "a") < width(new[RIGHT], "a") < nothing


def test_higher_levels_are_wider():
    new, mmae = hide(simulated(100, seed=1), 0.3), of_one_table()
    before = 0
    for level in (0.001, 0.04, 0.33, 0.5, 0.77, *LEVELS[LEVELS > 0.8][:-2]):
        low, high = mmae.predict_interval(new, level)
        assert (high - low >= before).all(axis=None)
        before = high - low


# Containers ---------------------------------------------------------------------------------------


def test_intervals_are_frames_of_the_numbers_alone():
    frame = simulated(300)
    frame["count"], frame["flag"] = np.arange(300) % 7, frame["a"] > 0
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300) % 9, "D")
    frame.index = [f"row {i}" for i in range(300)]
    low, high = small().fit(frame).predict_interval(frame)
    for end in (low, high):
        assert end.columns.tolist() == [*LEFT, *RIGHT, "count"]
        assert (end.dtypes == "float64").all()
        assert end.index.equals(frame.index)
    assert (low < high).all(axis=None)


def test_columns_keep_their_order_whatever_the_tables():
    tables = [("one", TabularModality(), ["f", "a"]), ("two", TabularModality(), ["c", "b", "d"])]
    new = numbers_of(300)
    low, high = small(modalities=tables).fit(new).predict_interval(new)
    assert low.columns.tolist() == ["a", "b", "c", "d", "f"]
    assert coverage((low, high), new[low.columns].to_numpy()).mean() > 0.8


def test_arrays_come_back_as_arrays():
    X = numbers_of(300).to_numpy()
    low, high = small().fit(X).predict_interval(X)
    assert low.shape == high.shape == X.shape
    assert 0.8 < ((low <= X) & (high >= X)).mean() < 0.98


def test_blocks_of_a_slicedict_come_back_as_blocks():
    X = numbers_of(300).to_numpy(np.float32)
    rows = SliceDict(left=X[:, :4], right=X[:, 4:])
    low, high = small().fit(rows).predict_interval(rows)
    assert low["left"].shape == (300, 4)
    assert 0.8 < coverage((low["right"], high["right"]), X[:, 4:]).mean() < 0.98


def test_polars_gives_what_pandas_gives():
    frame = hide(simulated(300), 0.1)
    as_polars = to_polars(frame)
    ours, theirs = small().fit(frame), small().fit(as_polars)
    for end, other in zip(
        ours.predict_interval(frame), theirs.predict_interval(as_polars), strict=True
    ):
        assert isinstance(other, pl.DataFrame)
        assert end.columns.tolist() == other.columns
        np.testing.assert_array_equal(end, other)
    shares = theirs.category_probabilities(as_polars)["kind"]
    assert isinstance(shares, pl.DataFrame)
    np.testing.assert_array_equal(ours.category_probabilities(frame)["kind"], shares)


# Probabilities ------------------------------------------------------------------------------------


def test_probabilities_of_hidden_categories_come_true():
    new = simulated(4000, seed=1)
    mmae = small(n_components=1).fit(simulated(3000))
    shares = mmae.category_probabilities(new.assign(kind=None))["kind"]
    assert shares.columns.tolist() == ["large", "small"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    large = (new["kind"] == "large").to_numpy()
    groups = np.minimum((shares["large"].to_numpy() * 10).astype(int), 9)
    error = np.bincount(groups, shares["large"] - large, 10)
    assert np.abs(error).sum() / len(new) < 0.05


def test_probabilities_of_seen_categories_are_those_of_the_reconstruction():
    new = simulated(300, seed=1)
    shares = of_one_table().category_probabilities(new)["kind"]
    assert (shares.idxmax(axis=1) == of_one_table().reconstruct(new)["kind"]).all()


def test_bools_have_probabilities_by_their_values():
    frame = numbers_of(300)
    frame["large"] = frame["a"] > 0
    shares = small().fit(frame).category_probabilities(frame)
    assert list(shares) == ["large"]
    assert shares["large"].columns.tolist() == [False, True]


@cache
def of_a_table_and_a_kind():
    modalities = [("numbers", TabularModality(), LEFT + RIGHT), ("kind", TabularModality(), "kind")]
    return small(modalities=modalities).fit(simulated(3000))


@pytest.mark.parametrize("alone", [False, True])
def test_no_other_slope_makes_probabilities_come_true(alone):
    model = of_a_table_and_a_kind() if alone else of_one_table()
    mmae = pickle.loads(pickle.dumps(model))
    new = simulated(3000, seed=1)
    truth = (new["kind"] == "large").to_numpy()

    def surprise():
        shares = mmae.category_probabilities(new.assign(kind=None))["kind"]["large"].to_numpy()
        return -np.log(np.where(truth, shares, 1 - shares)).mean()

    found, model = surprise(), mmae._model
    known = model.calibration() if alone else model.cells.groups()
    for factor in (0.5, 2.0):
        changed = Later.known(
            {key: groups._replace(slopes=groups.slopes * factor) for key, groups in known.items()}
        )
        if alone:
            model.calibration = changed
        else:
            model.cells = model.cells._replace(groups=changed)
        assert found < surprise()


def test_categories_that_are_all_the_same_to_the_network_have_their_shares():
    draw = torch.Generator().manual_seed(0)
    clear = torch.rand(600, generator=draw) < 0.3
    noise = 1.5 * torch.randn(600, 2, generator=draw)  # of which of two others it is
    logits = torch.cat([8.0 * clear[:, None] - 4, noise], 1)
    others = 1 + (torch.rand(600, generator=draw) < 0.25).long()
    found = scaling(logits, torch.where(clear, 0, others), PLAIN)
    shares = found.shares(logits - logits.mean(1, keepdim=True))
    assert shares[clear, 0].mean() > 0.9
    assert (shares[~clear].argmax(1) == 1).float().mean() > 0.95  # the more frequent of the two


def test_a_network_that_became_surer_is_cooled_to_what_it_was():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 3, generator=draw)
    known = Scaling(torch.tensor([0.7, 0.8, 0.9]), torch.tensor([0.5, 0, -0.5]))
    for times in (0.4, 1, 2.5):
        found = as_sure(logits, times * logits, known, PLAIN)
        np.testing.assert_allclose(found.slopes, known.slopes / times, rtol=0.05)
        np.testing.assert_array_equal(found.offsets, known.offsets)
    assert as_sure(logits[:5], 2 * logits[:5], known, PLAIN) is known  # too few to tell
    unknown = Scaling(*torch.full((2, 3), torch.nan))
    assert as_sure(logits, 2 * logits, unknown, PLAIN) is unknown


def test_a_network_that_became_worse_has_wider_intervals_and_one_that_became_better_no_narrower():
    draw = np.random.default_rng(0)
    before = draw.exponential(size=(200, 3))
    after, there = before * [1.5, 1, 0.5], draw.random((200, 3)) < 0.7
    after[~there] = 100
    np.testing.assert_allclose(further_off(before, after, there, PLAIN), [1.5, 1, 1])
    assert (further_off(before, after, there & (np.arange(200) < 9)[:, None], PLAIN) == 1).all()
    assert (further_off(0 * before, after, there, PLAIN) == 1).all()


def rings(n, seed=0):
    """Return numbers that go round together, which no linear model follows."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    numbers = np.column_stack([f(k * angle) for k in (1, 2) for f in (np.cos, np.sin)])
    return pd.DataFrame(numbers + rng.normal(size=(n, 4)) / 10, columns=list("abcd"))


def test_what_the_last_epochs_make_worse_is_covered_too(monkeypatch):
    def spoil(lesson, epochs):
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weights in lesson.network.networks.parameters():
                noise = torch.randn(weights.shape, generator=draw)
                weights += noise * weights.std(correction=0) / 4

    monkeypatch.setattr(_lesson.Lesson, "_learn_on", spoil)
    mmae = small(n_components=2, max_epochs=8).fit(rings(800))
    assert mmae.n_iter_  # the networks were kept
    new = rings(1000, seed=1)
    low, high = mmae.predict_interval(new, 0.9)
    assert ((new >= low) & (new <= high)).to_numpy().mean() > 0.85


# Sets of categories -------------------------------------------------------------------------------


def of_three_kinds(n, seed=0):
    frame = numbers_of(n, seed)
    noise = np.random.default_rng(seed + 100).normal(size=n)
    cuts = [-np.inf, -0.5, 0.5, np.inf]
    frame["kind"] = pd.cut(frame["b"] / 2 + noise / 2, cuts, labels=list("xyz")).astype(str)
    return frame


@cache
def of_kinds():
    return small(n_components=1).fit(of_three_kinds(4000))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_sets_hold_the_share_that_they_say_or_the_likeliest_category(level):
    new = of_three_kinds(4000, seed=1)
    sets = of_kinds().category_sets(new.assign(kind=None), level)["kind"]
    assert sets.columns.tolist() == ["x", "y", "z"]
    assert (sets.dtypes == "bool").all()
    held = sets.to_numpy()[np.arange(len(new)), sets.columns.get_indexer(new["kind"])]
    best = of_kinds().category_probabilities(new.assign(kind=None))["kind"].idxmax(axis=1)
    least = max(level, (best == new["kind"]).mean())  # a set is never empty
    assert abs(held.mean() - least) < 0.04
    assert sets.any(axis=1).all()


def test_higher_levels_and_less_seen_make_larger_sets():
    new, before = of_three_kinds(400, seed=1), 0
    for level in (0.3, 0.61, 0.9, 0.93, 0.99):
        sets = of_kinds().category_sets(new.assign(kind=None), level)["kind"]
        assert (sets >= before).all(axis=None)
        before = sets
    seen = of_kinds().category_sets(new)["kind"].sum(axis=1).mean()
    hidden = of_kinds().category_sets(new.assign(kind=None))["kind"].sum(axis=1).mean()
    fewer = of_kinds().category_sets(new.assign(kind=None, **dict.fromkeys("bcdef", np.nan)))
    assert seen < hidden < fewer["kind"].sum(axis=1).mean()


def test_too_few_rows_for_a_level_leave_every_category():
    mmae = small(n_components=1).fit(of_three_kinds(40))
    assert mmae.category_sets(of_three_kinds(9, seed=1), 0.99)["kind"].all(axis=None)


# Promises -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits():
    frame = hide(simulated(200), 0.1)
    first, again = (small(max_epochs=2).fit(frame) for _ in range(2))
    for end, other in zip(
        first.predict_interval(frame), again.predict_interval(frame), strict=True
    ):
        pd.testing.assert_frame_equal(end, other, check_exact=True)


def test_a_row_does_not_depend_on_those_beside_it():
    mmae, new = of_one_table(), hide(simulated(40, seed=1), 0.4)
    together, shares = mmae.predict_interval(new), mmae.category_probabilities(new)["kind"]
    for i in (0, 7, 39):
        alone = mmae.predict_interval(new.iloc[[i]])
        for end, other in zip(together, alone, strict=True):
            pd.testing.assert_frame_equal(end.iloc[[i]], other, check_exact=True)
        own = mmae.category_probabilities(new.iloc[[i]])["kind"]
        pd.testing.assert_frame_equal(shares.iloc[[i]], own, check_exact=True)


@pytest.mark.parametrize("keep", ["file", "pickle"])
def test_what_was_learned_is_kept_to_the_bit(keep, tmp_path):
    mmae, new = of_one_table(), hide(simulated(100, seed=1), 0.3)
    if keep == "file":
        mmae.save(tmp_path / "model.mmae")
        again = load(tmp_path / "model.mmae")
    else:
        again = pickle.loads(pickle.dumps(mmae))
    for level in (0.8, 0.93):
        for end, other in zip(
            mmae.predict_interval(new, level), again.predict_interval(new, level), strict=True
        ):
            pd.testing.assert_frame_equal(end, other, check_exact=True)
    ours, theirs = (m.category_probabilities(new)["kind"] for m in (mmae, again))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_what_was_learned_is_small(tmp_path):
    mmae = of_two_tables()
    mmae.save(tmp_path / "with.mmae")
    size = sum(array.nbytes for groups in mmae._model.calibration().values() for array in groups)
    assert size < 20_000
    assert size < (tmp_path / "with.mmae").stat().st_size / 10


def edited(key, change, path):
    """Write a model whose calibration is changed, and load it."""
    of_one_table().save(path)
    tree = archive.read(path, kind="estimator")
    (table,) = tree["calibration"].values()
    table[key] = change(table[key])
    archive.write(path, tree, kind="estimator")
    return load(path)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("half_widths", lambda a: a[:, :, 1:]),
        ("half_widths", lambda a: a[1:]),
        ("half_widths", lambda a: -a),
        ("half_widths", lambda a: a * np.nan),
        ("half_widths", lambda a: a.tolist()),
        ("knots", lambda a: a * np.nan),
        ("knots", lambda a: a[:, :, 1:]),
        ("sizes", lambda a: a * 0),
        ("sizes", lambda a: a - np.inf),
        ("powers", lambda a: a - 1),
        ("powers", lambda a: a + 99),
        ("powers", lambda a: a[:, :1]),
        ("typical", lambda a: -1 - a),
        ("low", lambda a: a + 99),
        ("high", lambda a: a * np.nan),
        ("doubts", lambda a: a[:, :, 1:]),
        ("doubts", lambda a: a - 2),
        ("doubts", lambda a: a * np.nan),
        ("slopes", lambda a: a * 0),
        ("slopes", lambda a: a * np.inf),
        ("slopes", lambda a: a.astype(int)),
        ("offsets", lambda a: a - np.inf),
        ("offsets", lambda a: a[:, :0]),
        ("patterns", lambda a: np.ones_like(a)),
        ("patterns", lambda a: np.concatenate([a, a], 1)),
        ("bins", lambda a: a + 1),
        ("bins", lambda a: a.astype(float)),
        ("seen", lambda a: ~a),
    ],
)
def test_a_file_with_a_wrong_calibration_is_refused(key, change, tmp_path):
    with pytest.raises(ModelFileError, match="calibration"):
        edited(key, change, tmp_path / "model.mmae")


def test_more_modalities_than_have_patterns_of_their_own():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(1200, 1))
    X = common + rng.normal(size=(1200, 8)) / 2
    tables = [(f"m{i}", TabularModality(), [i]) for i in range(8)]
    mmae = small(modalities=tables).fit(X[:800])
    new = X[800:].copy()
    new[:, [1, 4, 6]] = np.nan  # a pattern that is not among those calibrated
    low, high = mmae.predict_interval(new)
    held = (low <= X[800:]) & (X[800:] <= high)
    assert held[:, [1, 4, 6]].mean() > 0.89
    assert np.isfinite(high).all()


# Bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, -0.5, 90, np.nan, "0.9", None, True])
def test_a_level_outside_of_0_to_1_is_refused(level):
    with pytest.raises(ValueError, match=r"level=.*above 0 and below 1, such as 0\.9"):
        of_two_tables().predict_interval(numbers_of(5), level)
    with pytest.raises(ValueError, match=r"level=.*above 0 and below 1, such as 0\.9"):
        of_one_table().category_sets(simulated(5), level)


@pytest.mark.parametrize("method", ["predict_interval", "category_probabilities", "category_sets"])
def test_before_fit_there_is_no_interval(method):
    with pytest.raises(NotFittedError):
        getattr(small(), method)(numbers_of(5))


def test_without_columns_of_the_kind_it_says_so():
    words = pd.DataFrame({"text": ["red sky", "blue sea", "green hill"] * 10})
    mmae = small(modalities=[("text", TextModality(), "text")]).fit(words)
    with pytest.raises(ValueError, match=r"no column of numbers .*'text'"):
        mmae.predict_interval(words)
    with pytest.raises(ValueError, match="no categorical column"):
        of_two_tables().category_probabilities(numbers_of(5))


def fitted_once_more():
    mmae = small().fit(simulated(60))
    return mmae.partial_fit(simulated(60))


WITHOUT_HELD_OUT_ROWS = {
    "early_stopping=False": lambda: small(early_stopping=False).fit(simulated(60)),
    "partial_fit": lambda: small().partial_fit(simulated(60)),
    "partial_fit after fit": fitted_once_more,
    "warm_start": lambda: small(warm_start=True).fit(simulated(60)).fit(simulated(60)),
}


@pytest.mark.parametrize("how", WITHOUT_HELD_OUT_ROWS)
def test_without_held_out_rows_it_names_the_remedy(how, tmp_path):
    mmae = WITHOUT_HELD_OUT_ROWS[how]()
    mmae.save(tmp_path / "model.mmae")
    for method in ("predict_interval", "category_probabilities", "category_sets"):
        for fitted in (mmae, load(tmp_path / "model.mmae")):
            with pytest.raises(ValueError, match=rf"{method} needs rows .*early_stopping=True"):
                getattr(fitted, method)(simulated(5))


def test_too_few_rows_for_a_level_give_an_infinite_interval_and_say_so():
    frame = numbers_of(15)
    mmae = small().fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = mmae.predict_interval(frame, 0.9)
    assert np.isfinite(high - low).all(axis=None)
    with pytest.warns(DataWarning, match=r"'a'.*too few rows .*validation_fraction"):
        low, high = mmae.predict_interval(frame, 0.95)
    assert (low == -np.inf).all(axis=None)
    assert (high == np.inf).all(axis=None)


def test_rows_in_chunks_have_the_same_intervals():
    frame = hide(numbers_of(300), 0.1)
    chunks = Chunks(lambda: iter([frame[:100], frame[100:]]))
    whole, parts = (small(modalities=TWO_TABLES).fit(X) for X in (frame, chunks))
    for end, other in zip(
        whole.predict_interval(frame), parts.predict_interval(frame), strict=True
    ):
        np.testing.assert_allclose(end, other, rtol=1e-3, atol=1e-3)


def test_a_column_never_observed_has_an_infinite_interval():
    frame = numbers_of(100)
    frame["b"] = np.nan
    with pytest.warns(DataWarning, match="no cell is observed"):
        mmae = small().fit(frame)
    low, high = mmae.predict_interval(frame)
    assert (low["b"] == -np.inf).all()
    assert (high["b"] == np.inf).all()
    assert np.isfinite((high - low).drop(columns="b")).all(axis=None)


def test_a_constant_column_is_inside_its_interval():
    frame = numbers_of(100).assign(b=0.1)
    low, high = small().fit(frame).predict_interval(frame)
    assert ((low["b"] <= 0.1) & (high["b"] >= 0.1)).all()
    assert (high - low)["b"].max() < 1e-4
