"""`partial_fit` learns from all rows so far: what it learns is merged, chunk by chunk."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skorch.helper import SliceDict
from test_statistics import assert_same

from sklearn_mmae import CellError, MultimodalAutoencoder, MultimodalVAE, load
from sklearn_mmae.model import _gathered

pl = pytest.importorskip("polars")
sparse = pytest.importorskip("scipy.sparse")

WORDS = np.array(["warm", "cold", "young", "wide", "calm", "deep"])


def make_rows(n_rows=160):
    """Return rows whose scales, categories and words change from one end to the other."""
    rng = np.random.default_rng(0)
    grows = np.linspace(1, 9, n_rows)
    frame = pd.DataFrame(
        rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 4)) * grows[:, None], columns=[*"abcd"]
    )
    frame["kind"] = np.where(grows < 5, "early", np.where(frame["a"] > 0, "high", "low"))
    frame["note"] = [" ".join(rng.choice(WORDS[: 2 + int(g / 2)], 3)) for g in grows]
    frame.loc[::7, "b"] = np.nan
    return frame


@pytest.fixture(scope="module")
def rows():
    return make_rows()


def chunks_of(rows, n):
    size = len(rows) // n
    return [rows[i * size : (i + 1) * size] for i in range(n)]


def make(kind=MultimodalAutoencoder, **options):
    return kind(**{"n_components": 2, "width": 8, "random_state": 0, **options})


UNSEEN = pytest.mark.filterwarnings("ignore:.*not seen in training")


@UNSEEN
@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_whenever_rows_have_doubled_the_model_is_that_of_a_fit(rows, kind):
    growing, chunks = make(kind), chunks_of(rows, 4)
    for call, chunk in enumerate(chunks, 1):
        growing.partial_fit(chunk)
        assert growing.n_iter_ == len(growing.history_) == call
        if call != 3:
            seen = rows[: 40 * call]
            whole = make(kind, early_stopping=False, max_epochs=call).fit(seen)
            assert_array_equal(growing.transform(seen), whole.transform(seen))
            assert_same(growing.modalities_[0][1], whole.modalities_[0][1], 0)


def containers(rows):
    numbers = rows[[*"abcd"]].fillna(0)
    return {
        "pandas": rows,
        "polars": pl.from_pandas(rows),
        "array": numbers.to_numpy(),
        "sparse": sparse.csr_array(numbers.to_numpy()),
        "slicedict": SliceDict(first=numbers.to_numpy(), second=numbers["a"].to_numpy()),
    }


@pytest.mark.parametrize("name", ["pandas", "polars", "array", "sparse", "slicedict"])
def test_the_start_alone_is_that_of_all_rows_after_each_call(rows, name):
    given = containers(rows)[name]
    growing = make(max_epochs=0)
    for some in (slice(0, 40), slice(40, 60), slice(60, 160)):
        growing.partial_fit(given[some])
    assert_array_equal(growing.transform(given), make(max_epochs=0).fit(given).transform(given))
    assert growing.n_iter_ == 0


def test_a_target_is_gathered_with_its_rows(rows):
    for y in (np.where(rows["a"] > 0, "up", "down"), (rows["a"] - rows["d"]).to_numpy()):
        growing = make(max_epochs=0, target_weight=1)
        for i in range(0, 160, 80):
            growing.partial_fit(rows[i : i + 80], y[i : i + 80])
        whole = make(max_epochs=0, target_weight=1).fit(rows, y)
        assert_array_equal(growing.predict(rows), whole.predict(rows))
        with pytest.raises(ValueError, match="y has 3 rows, but X has 160"):
            growing.partial_fit(rows, y[:3])


def test_of_many_rows_a_sample_of_all_is_kept(monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_ROWS", 400)
    rows, growing = make_rows(1200), make(max_epochs=0)
    for chunk in chunks_of(rows, 4):
        growing.partial_fit(chunk)
        assert growing._model.gathered.n_kept <= 400
    found, whole = growing.modalities_[0][1], make(max_epochs=0).fit(rows).modalities_[0][1]
    assert [*map(list, found.categories_)] == [*map(list, whole.categories_)]
    assert_allclose(found.scale_, whole.scale_, rtol=0.2)


@UNSEEN
def test_a_pickle_goes_on_and_a_file_holds_no_rows(rows, tmp_path):
    first, second = chunks_of(rows, 2)
    growing = make().partial_fit(first)
    growing.save(tmp_path / "model.mmae")
    loaded = load(tmp_path / "model.mmae")
    again = pickle.loads(pickle.dumps(growing)).partial_fit(second)
    assert_array_equal(again.transform(rows), growing.partial_fit(second).transform(rows))
    before = loaded.modalities_[0][1].scale_.copy()
    assert_array_equal(loaded.partial_fit(second).modalities_[0][1].scale_, before)


def test_rows_that_do_not_go_with_those_before_change_nothing(rows):
    first, second = chunks_of(rows, 2)
    growing = make().partial_fit(first)
    before = growing.transform(first)
    broken = second.astype({"a": object})
    broken.iloc[5, 0] = 1j
    for other, error, problem in (
        (pl.from_pandas(second), ValueError, "came as pandas before, and now as polars"),
        (second.drop(columns=["a", "note"]), ValueError, "column 'a' was there before"),
        (second.rename(columns={"a": "z"}), ValueError, "feature names"),
        (broken, CellError, "column 'a', row 5"),
    ):
        with pytest.raises(error, match=problem):
            growing.partial_fit(other)
        assert_array_equal(growing.transform(first), before)
    turned = growing.partial_fit(second[second.columns[::-1]]).transform(rows)
    assert_array_equal(turned, make().partial_fit(first).partial_fit(second).transform(rows))
