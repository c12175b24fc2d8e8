"""What users of `MultimodalImputer`, and of `impute` for single cells, rely on."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from test_estimator_checks import LEFT_OUT, passes

from sklearn_mmae import (
    Chunks,
    DataWarning,
    ModelFileError,
    MultimodalAutoencoder,
    MultimodalImputer,
    Privacy,
    PrivacyError,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae.statistics import PLAIN
from sklearn_mmae.statistics import _gaussian as gaussian
from sklearn_mmae.statistics._cell_model import CrossFitted
from sklearn_mmae.statistics._trees import grow


@parametrize_with_checks([MultimodalImputer(add_indicator=True)])
def test_check_of_scikit_learn(estimator, check):
    passes(check, estimator)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("check", LEFT_OUT)
def test_check_that_scikit_learn_leaves_out(check):
    start = MultimodalAutoencoder(max_epochs=0)  # they ask for containers and names
    imputer = MultimodalImputer(start, add_indicator=True)
    passes(getattr(estimator_checks, check), "MultimodalImputer", imputer)


def rows_of(n, seed=0):
    """Return numbers, one of them a square, a category of these, one of nothing, and words."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    words = np.where(x > 0, "warm sunny day", "cold rainy night")
    return pd.DataFrame(
        {
            "x": x,
            "line": 3 * x + rng.normal(size=n) / 5,
            "square": x**2 + rng.normal(size=n) / 10,
            "sign": np.where(x > 0, "plus", "minus"),
            "noise": rng.normal(size=n),
            "text": [f"{some} {rng.integers(20)}" for some in words],
        }
    )


def with_holes(frame, rate=0.3, seed=1):
    hole = np.random.default_rng(seed).random(frame.shape) < rate
    hole[np.arange(len(frame)), np.arange(len(frame)) % frame.shape[1]] = False
    return frame.mask(pd.DataFrame(hole, frame.index, frame.columns), None)


MODALITIES = [
    ("table", TabularModality(), ["x", "line", "square", "sign", "noise"]),
    ("text", TextModality(), ["text"]),
]


def small(**parameters):
    return MultimodalAutoencoder(MODALITIES, n_components=3, max_epochs=0, **parameters)


@pytest.fixture(scope="module")
def fitted():
    return small(random_state=0).fit(with_holes(rows_of(300)))


def r2(filled, truth, holed, mean):
    hole = holed.isna()
    return 1 - ((filled - truth)[hole] ** 2).sum() / ((truth[hole] - mean) ** 2).sum()


def test_cells_are_told_by_lines_curves_and_words(fitted):
    truth = rows_of(400, seed=5)
    holed = with_holes(truth, seed=6)
    filled, train = fitted.impute(holed), with_holes(rows_of(300))
    explained = {c: r2(filled[c], truth[c], holed[c], train[c].mean()) for c in ("x", "square")}
    assert explained["x"] > 0.8
    assert explained["square"] > 0.5
    hole = holed["sign"].isna()
    assert (filled["sign"] == truth["sign"])[hole].mean() > 0.9
    told = fitted.impute(truth[["text"]])["sign"]
    assert (told == truth["sign"]).mean() > 0.9


def test_a_column_that_nothing_predicts_gets_its_mean(fitted):
    holed = with_holes(rows_of(200, seed=5), seed=6)
    mean = with_holes(rows_of(300))["noise"].mean()
    filled = fitted.impute(holed)["noise"][holed["noise"].isna()]
    np.testing.assert_allclose(filled, mean, atol=1e-3)


def test_a_row_is_filled_as_it_is_without_the_others(fitted):
    holed = with_holes(rows_of(60, seed=5))
    whole = fitted.impute(holed)
    pd.testing.assert_frame_equal(fitted.impute(holed.iloc[7:20]), whole.iloc[7:20])
    pd.testing.assert_frame_equal(fitted.impute(holed.iloc[::-1]), whole.iloc[::-1])


def test_files_and_pickles_keep_what_is_known_of_cells(fitted, tmp_path):
    holed = with_holes(rows_of(60, seed=5))
    fitted.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted))):
        pd.testing.assert_frame_equal(again.impute(holed), fitted.impute(holed))


def test_cells_are_learned_when_they_are_asked_for_and_no_row_is_kept_longer(monkeypatch):
    holed = with_holes(rows_of(150))
    learned, learn = [], CrossFitted.learn

    def noted(*given):
        learned.append(given)
        return learn(*given)

    monkeypatch.setattr(CrossFitted, "learn", noted)
    mmae = small(random_state=0).fit(holed)
    mmae.transform(holed)
    assert not learned
    with ThreadPoolExecutor(4) as pool:
        one, *others = pool.map(mmae.impute, [holed] * 4)
    for other in others:
        pd.testing.assert_frame_equal(one, other)
    learned.clear()  # threads that ask at once may each learn the same
    pd.testing.assert_frame_equal(mmae.impute(holed), one)
    assert not learned
    again = pickle.loads(pickle.dumps(small(random_state=0).fit(holed)))
    assert len(learned) == 1
    pd.testing.assert_frame_equal(again.impute(holed), one)
    MultimodalImputer(small(random_state=0)).fit(holed)
    assert len(learned) == 2


def test_a_private_estimator_is_refused():
    modalities = [("table", TabularModality(bounds=(0, 1)), [0, 1])]
    private = MultimodalAutoencoder(modalities, n_components=1, privacy=Privacy(1.0))
    with pytest.raises(PrivacyError, match="impute of the estimator"):
        MultimodalImputer(private).fit(np.random.default_rng(0).uniform(size=(200, 2)))


def test_chunks_are_for_the_estimator_itself():
    chunks = Chunks(lambda: iter([pd.DataFrame({"a": [1.0, 2.0]})]))
    with pytest.raises(TypeError, match=r"fit\(chunks\)"):
        MultimodalImputer().fit(chunks)


def _last_child_is_itself(cells):
    trees = next(some for some in cells["model"]["first"] if some is not None)
    trees["right"] = np.where(trees["column"] >= 0, 0, trees["right"]).astype(np.int32)


@pytest.mark.parametrize(
    "damage",
    [
        _last_child_is_itself,
        lambda cells: cells["model"].update(weights=-cells["model"]["weights"]),
        lambda cells: cells["model"].update(covariances=-cells["model"]["covariances"]),
        lambda cells: cells["model"].update(sizes=cells["model"]["sizes"] + 1),
        lambda cells: cells["model"].update(first=[]),
        lambda cells: cells["model"].update(low=cells["model"]["high"] + 1),
        lambda cells: cells.update(bases={}),
        lambda cells: cells.update(bases=[basis[1:] for basis in cells["bases"]]),
        lambda cells: cells.update(bases=[basis * np.nan for basis in cells["bases"]]),
        lambda cells: cells.update(groups=[]),
        lambda cells: cells["groups"][0].update(sizes=-cells["groups"][0]["sizes"]),
    ],
)
def test_a_file_that_is_wrong_about_cells_is_refused(fitted, tmp_path, damage):
    path = tmp_path / "model"
    fitted.save(path)
    tree = archive.read(path, kind="estimator")
    damage(tree["cells"])
    archive.write(path, tree, kind="estimator")
    with pytest.raises(ModelFileError):
        load(path)


def test_partial_fit_and_warm_starts_fill_cells_too():
    holed = with_holes(rows_of(120))
    growing = small(random_state=0).partial_fit(holed).partial_fit(holed)
    warm = small(random_state=0, warm_start=True).fit(holed).fit(holed)
    for mmae in (growing, warm):
        assert mmae.impute(holed).notna().all(axis=None)


def test_wide_tables_and_rows_without_a_table_are_filled_as_before():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(60, 120))
    wide[rng.random(wide.shape) < 0.1] = np.nan
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0).fit(wide)
    filled = mmae.impute(wide)
    hole = np.isnan(wide)
    np.testing.assert_array_equal(filled[hole], mmae.reconstruct(wide)[hole])
    texts = rows_of(50)[["text"]].assign(text=lambda f: f["text"].where(f.index != 3))
    with pytest.warns(DataWarning, match="row 3: nothing is observed"):
        assert MultimodalImputer().fit_transform(texts)["text"].notna().all()


# The parts --------------------------------------------------------------------------------------


def test_a_normal_completes_rows_as_its_formula_says():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    normal = gaussian.Gaussian(rng.normal(size=5), root @ root.T + np.eye(5))
    rows = rng.normal(size=(40, 5))
    rows[rng.random(rows.shape) < 0.3] = np.nan
    completed = normal.complete(rows)
    targets = [slice(0, 1), slice(1, 3)]
    without = normal.complete_without(rows, targets)
    for t, own in enumerate(targets):
        hidden = rows.copy()
        hidden[:, own] = np.nan
        np.testing.assert_allclose(without[t], normal.complete(hidden), atol=2e-4)
    row, seen = rows[0], ~np.isnan(rows[0])
    gain = normal.covariance[:, seen] @ np.linalg.inv(normal.covariance[np.ix_(seen, seen)])
    expected = normal.mean + gain @ (row - normal.mean)[seen]
    np.testing.assert_allclose(completed[0], np.where(seen, row, expected), atol=1e-4)


def test_trees_say_the_same_as_scikit_learns():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4)).astype(np.float32)
    values = np.stack([rows[:, 0] * rows[:, 1], np.sign(rows[:, 2])], 1)
    trees, _, left_out = grow(rows, values, np.ones(200), 20, 0)
    assert trees.is_sound(4, 2)
    said = trees.predict(rows)
    assert 1 - ((said - values) ** 2).mean() / values.var() > 0.8
    assert 0.3 < 1 - np.nanmean((left_out - values) ** 2) / values.var() < 0.95


def test_what_is_learned_does_not_depend_on_the_order_of_blocks():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 4)) @ rng.normal(size=(4, 4))
    rows[rng.random(rows.shape) < 0.2] = np.nan

    def learned(rows):
        def blocks():
            for part in np.array_split(rows, 7):
                yield np.nan_to_num(part), ~np.isnan(part)

        answer = PLAIN.second_moments("cells", blocks, products=False, most_rows=2000)
        return CrossFitted.learn(answer.sample, [1] * 4).model

    one, other = learned(rows), learned(rows[::-1])
    np.testing.assert_array_equal(one.expected(rows[:50]), other.expected(rows[:50]))


# As a step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame, np.asarray])
def test_observed_cells_stay_and_indicators_follow(container):
    numbers = with_holes(rows_of(80)[["x", "line", "noise"]]).assign(noise=rows_of(80)["noise"])
    X = container(numbers)
    imputer = MultimodalImputer(add_indicator=True).fit(X)
    filled = imputer.transform(X)
    assert type(filled) is type(X)
    found, given = np.asarray(filled), numbers.to_numpy()
    names = imputer.get_feature_names_out().tolist()
    assert found.shape[1] == len(names) == 5  # "noise" has no hole, so no indicator
    seen = ~np.isnan(given)
    np.testing.assert_array_equal(found[:, :3][seen], given[seen])
    np.testing.assert_array_equal(found[:, 3:].astype(bool), np.isnan(given)[:, :2])
    if container is not np.asarray:
        assert list(filled.columns) == names
        assert names[-2:] == ["missingindicator_x", "missingindicator_line"]


def test_it_is_a_step_of_pipelines_and_searches():
    frame = with_holes(rows_of(90)[["x", "line", "noise", "sign"]])
    numbers, y = frame[["x", "line", "noise"]], np.arange(90) % 2
    inner = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    both = ColumnTransformer([("fill", MultimodalImputer(inner), ["x", "line", "noise"])])
    pipe = make_pipeline(both.set_output(transform="pandas"), LogisticRegression())
    grid = {"columntransformer__fill__estimator__n_components": [1, 2]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(numbers, y)
    assert search.best_estimator_[:-1].transform(numbers).notna().all(axis=None)
    mixed = clone(MultimodalImputer(inner)).set_output(transform="pandas").fit_transform(frame)
    assert mixed["sign"].notna().all()


def test_what_cannot_be_filled_is_said_by_name():
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "empty": np.nan})
    with (
        pytest.raises(ValueError, match="column 'empty': no cell is observed"),
        pytest.warns(DataWarning),
    ):
        MultimodalImputer().fit(X)
    with pytest.warns(DataWarning, match="column 'empty': no cell is observed"):
        mmae = MultimodalAutoencoder(max_epochs=0, random_state=0).fit(X)
    with pytest.warns(DataWarning, match="column 'empty': no cell was observed in fit"):
        mmae.impute(X)
    known = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 4.0, 6.0, 8.0]})
    imputer = MultimodalImputer().fit(known)
    with pytest.warns(DataWarning, match="row 1: nothing is observed"):
        filled = imputer.transform(known.mask(known["a"] == 2))
    np.testing.assert_allclose(filled.loc[1], [2.5, 5.0], atol=1e-3)
    with pytest.raises(ValueError, match="'estimator' parameter"):
        MultimodalImputer(LogisticRegression()).fit(known)
    with pytest.raises(ValueError, match="'add_indicator' parameter"):
        MultimodalImputer(add_indicator="yes").fit(known)
