"""Rows that are not in memory at once: chunk by chunk a fit learns, and answers, as of all rows."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from test_statistics import Recording, assert_same

import sklearn_mmae
from sklearn_mmae import CellError, Chunks, MultimodalAutoencoder, MultimodalVAE, TabularModality
from sklearn_mmae.model import _gathered
from sklearn_mmae.model._learn import learn_model
from sklearn_mmae.tables import _chunks

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")
pl = pytest.importorskip("polars")
dataset = pytest.importorskip("pyarrow.dataset")

WORDS = np.array(["warm", "cold", "young", "wide", "calm", "deep"])


def make_rows(n_rows):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, 4)), columns=[*"abcd"])
    frame["kind"] = np.where(frame["a"] > 0, "high", "low")
    frame["count"] = rng.integers(0, 9, n_rows)
    frame["note"] = [" ".join(rng.choice(WORDS, 3)) for _ in range(n_rows)]
    frame.loc[::7, "b"] = np.nan
    frame.loc[3::9, "kind"] = None
    frame.loc[5::11, "note"] = None
    return frame


@pytest.fixture(scope="module")
def rows():
    return make_rows(900)


@pytest.fixture(scope="module")
def mmae(rows):
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=1, random_state=0)
    return mmae.set_output(transform="pandas").fit(rows)


@pytest.fixture
def few_are_kept(monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_ROWS", 400)


def chunks_of(frame, size):
    return Chunks(lambda: (frame[i : i + size] for i in range(0, len(frame), size)))


# Sources -----------------------------------------------------------------------------------------


def sources(rows, folder):
    half = len(rows) // 2
    for i, part in enumerate([rows[:half], rows[half:]]):
        part.to_parquet(folder / f"rows-{i}.parquet", index=False)
        part.to_csv(folder / f"rows-{i}.csv", index=False)
    return {
        "a path": folder / "rows-0.parquet",
        "paths": [folder / "rows-0.parquet", str(folder / "rows-1.csv")],
        "a pattern": folder / "rows-*.parquet",
        "pyarrow": dataset.dataset(folder / "rows-1.parquet"),
        "polars": pl.scan_parquet(folder / "rows-*.parquet"),
        "dask": dd.from_pandas(rows, npartitions=3),
        "a callable": lambda: iter([rows[:10], rows[10:]]),
    }


def test_any_source_is_read_as_often_as_asked(rows, tmp_path):
    for name, source in sources(rows, tmp_path).items():
        chunks = Chunks(source, columns=["c", "kind"])
        once, again = (list(chunks) for _ in range(2))
        assert len(once) == len(again), name
        frames = [c.to_pandas() if name == "polars" else c for c in once]
        found = pd.concat(frames, ignore_index=True)
        half = len(rows) // 2
        wanted = {"a path": rows[:half], "pyarrow": rows[half:]}.get(name, rows)
        wanted = wanted[["c", "kind"]].reset_index(drop=True)
        found, wanted = (frame.fillna({"kind": "none"}) for frame in (found, wanted))
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_how_many_rows_there_are_is_known_of_any_source(rows, tmp_path):
    for source in sources(rows, tmp_path).values():
        for columns in (None, ["c", "kind"]):
            chunks = Chunks(source, columns)
            read = pd.concat([pd.DataFrame(chunk) for chunk in chunks])
            names = list(rows) if columns is None else columns
            assert chunks.measured() == (len(read), names)


def test_what_can_be_read_but_once_is_no_source(rows):
    with pytest.raises(TypeError, match=r"ends after one reading.*lambda"):
        Chunks(iter([rows]))
    once = iter([rows[:700], rows[700:]])
    with pytest.raises(ValueError, match="no rows"):
        MultimodalAutoencoder().fit(Chunks(lambda: (c for c in once if c is None)))


def test_what_cannot_be_written_is_said(rows, mmae, tmp_path):
    path = tmp_path / "filled.parquet"
    with pytest.raises(ValueError, match="no rows"):
        mmae.impute(Chunks(lambda: iter([])), to=path)
    images = pd.DataFrame({"image": [np.zeros((4, 4), np.uint8), None] * 10, "n": range(20)})
    pictured = MultimodalAutoencoder(n_components=1, max_epochs=0, random_state=0).fit(images)
    with pytest.raises(ValueError, match=r"filled\.parquet' is not written.*Leave `to` out"):
        pictured.impute(Chunks(lambda: iter([images])), to=path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", ["a callable", "a path"])
def test_a_misspelt_column_is_named(rows, tmp_path, kind):
    with pytest.raises(ValueError, match=r"columns='kindd' is no column.*Did you mean 'kind'"):
        list(Chunks(sources(rows, tmp_path)[kind], columns=["c", "kindd"]))


def test_what_is_no_source_is_refused(rows, tmp_path):
    with pytest.raises(TypeError, match="DataFrame is no source"):
        Chunks(rows)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Chunks(tmp_path / "nowhere-*.parquet")
    (tmp_path / "rows.txt").touch()
    with pytest.raises(ValueError, match=r"rows\.txt"):
        Chunks(tmp_path / "rows.txt")


def test_a_source_that_changes_between_passes_is_an_error(rows, few_are_kept, tmp_path):
    once = iter([rows[:600], rows[600:]])
    estimator = MultimodalAutoencoder(max_epochs=0)
    with pytest.raises(ValueError, match="900 rows when it was read first, and 0 now"):
        estimator.fit(Chunks(lambda: once))
    for i, part in enumerate([rows[:600], rows[600:]]):
        part.to_parquet(tmp_path / f"{i}.parquet")
    chunks = Chunks(tmp_path / "*.parquet")
    assert len(list(chunks)) == 2
    (tmp_path / "1.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.parquet.* gone"):
        estimator.fit(chunks)
    assert not hasattr(estimator, "net_")


def test_chunks_that_do_not_fit_the_first_one_are_named(rows):
    estimator = MultimodalAutoencoder(max_epochs=0)
    for other, problem in (
        (rows.rename(columns={"a": "z"}), "chunk 1: the columns are 'z'"),
        (rows[[*"bacd", "kind", "count", "note"]], "chunk 1: the columns are 'b', 'a'"),
        (rows.assign(a="red"), "chunk 1: column 'a' holds strings, and numbers"),
        (rows["a"], "chunk 1: a Series is no table"),
    ):
        with pytest.raises((TypeError, ValueError), match=problem):
            estimator.fit(Chunks(lambda other=other: iter([rows, other])))


def test_a_cell_that_cannot_be_read_is_found_in_its_chunk(rows, few_are_kept):
    broken = rows.astype({"a": object})
    broken.loc[800, "a"] = 1j
    with pytest.raises(CellError, match="column 'a'"):
        MultimodalAutoencoder([("t", TabularModality(), ["a", "b"])], max_epochs=0).fit(
            chunks_of(broken, 500)
        )


def test_empty_chunks_are_left_out(rows, mmae):
    chunks = Chunks(lambda: iter([rows[:0], rows[:5], rows[:0], rows[5:8]]))
    assert [len(codes) for codes in mmae.transform(chunks)] == [5, 3]


# Learning ----------------------------------------------------------------------------------------


def test_few_rows_are_learned_from_as_in_memory_to_the_bit(rows):
    estimator = MultimodalAutoencoder(n_components=2, max_epochs=2, random_state=0)
    codes = estimator.fit(rows[:200]).transform(rows)
    for size in (70, 1000):
        assert_array_equal(estimator.fit(chunks_of(rows[:200], size)).transform(rows), codes)


def learned(X, estimator, y=None):
    recording = Recording()
    build, look_at = estimator._build_network, estimator._look_at
    model, _ = learn_model(estimator, X, y, build, look_at, statistics=recording)
    names = ("views", "completed views")
    return model, [recording.answers[f"training: start: {name}"][0] for name in names]


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_the_start_does_not_depend_on_the_size_of_chunks(rows, few_are_kept, kind):
    estimator = kind(n_components=2, max_epochs=1, random_state=0)
    model, moments = learned(rows, estimator)
    weights = model.weights()
    for size in (90, 500, 900):
        other, same_moments = learned(chunks_of(rows, size), estimator)
        for part, again in zip(model.parts, other.parts, strict=True):
            assert_same(part.modality, again.modality, 1e-9)
        for one, again in zip(moments, same_moments, strict=True):
            assert_allclose(again, one, rtol=0, atol=1e-9 * float(one.abs().max()))
        assert model.names == other.names == ["tabular", "note"]
        same = other.weights()
        for name, values in weights.items():
            tolerance = 1e-4 * np.abs(values).max(initial=0)
            assert_allclose(same[name], values, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_rows_are_read_no_more_often_where_some_are_held_out(rows, few_are_kept, kind):
    read = {False: 0, True: 0}
    starts = []
    for early_stopping in read:

        def source(early_stopping=early_stopping):
            read[early_stopping] += 1
            return iter([rows])

        options = {"max_epochs": 0, "early_stopping": early_stopping, "random_state": 0}
        mmae = kind(n_components=2, **options).fit(Chunks(source))
        starts.append(mmae.transform(rows))
    assert read[True] == read[False]
    assert_allclose(*starts, rtol=0, atol=0.05 * np.abs(starts[0]).max())  # of the same rows


def test_a_target_is_learned_with_chunks(rows, few_are_kept):
    y = rows["a"] - rows["d"]
    estimator = MultimodalAutoencoder(n_components=2, max_epochs=0, target_weight=1, random_state=0)
    wanted = estimator.fit(rows, y).predict(rows)
    chunks = chunks_of(rows, 400)
    assert_allclose(np.concatenate([*estimator.fit(chunks, y).predict(chunks)]), wanted, atol=1e-5)
    with pytest.raises(ValueError, match="y has 10 rows, but X has 900"):
        estimator.fit(chunks, y[:10])


def test_a_warm_start_goes_on_with_chunks(rows, few_are_kept):
    estimator = MultimodalAutoencoder(
        n_components=2, max_epochs=1, warm_start=True, random_state=0
    ).fit(rows)
    estimator.fit(chunks_of(rows, 400))
    assert np.isfinite(estimator.transform(rows)).all()


def test_pictures_are_read_some_at_a_time(monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_BYTES", 2**14)

    def source():
        draw = np.random.default_rng(0)
        for _ in range(4):
            yield pd.DataFrame({"photo": list(draw.integers(0, 255, (100, 8, 8), np.uint8))})

    seen, fit = [], sklearn_mmae.ImageModality.fit
    monkeypatch.setattr(
        sklearn_mmae.ImageModality,
        "fit",
        lambda self, cells, statistics: (seen.append(len(cells)), fit(self, cells, statistics))[1],
    )
    estimator = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    estimator.fit(Chunks(source))
    assert max(seen) < 200
    whole = pd.concat([*source()], ignore_index=True)
    mean = np.mean([*whole["photo"]], 0)
    assert_allclose(estimator.modalities_[0][1].mean_.reshape(8, 8), mean, rtol=1e-6)


def write_images(folder, n_rows):
    """Write images and return a Parquet file of their paths."""
    draw, paths = np.random.default_rng(0), []
    for i in range(n_rows):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(draw.integers(0, 255, (8, 8), np.uint8)).save(paths[-1])
    pd.DataFrame({"photo": paths}).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def test_files_of_images_are_learned_from_as_in_memory(tmp_path):
    path = write_images(tmp_path, 60)
    frame, chunks = pd.read_parquet(path), Chunks(path)
    one, other = (
        MultimodalAutoencoder(n_components=2, max_epochs=1, random_state=0).fit(X)
        for X in (frame, chunks)
    )
    assert_array_equal(one.transform(frame), np.concatenate([*other.transform(chunks)]))


def test_a_file_that_cannot_be_read_is_named_in_its_chunk(tmp_path, monkeypatch):
    path = write_images(tmp_path, 300)
    monkeypatch.setattr(_gathered, "MOST_BYTES", 2**13)
    (tmp_path / "281.png").write_bytes(b"no image")
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    with pytest.raises(CellError, match=r"column 'photo', row 281: .*rows\.parquet.*Give an image"):
        mmae.fit(Chunks(path))
    monkeypatch.setattr(_chunks, "N_ROWS", 200)
    with pytest.raises(CellError, match=r"row 81: .*\(rows\.parquet from row 200 on\)"):
        mmae.fit(Chunks(path))


def test_weights_of_rows_are_refused(rows):
    with pytest.raises(ValueError, match="Chunks take no sample_weight"):
        MultimodalAutoencoder().fit(chunks_of(rows, 500), sample_weight=np.ones(900))


def test_partial_fit_takes_one_chunk_at_a_time(rows):
    with pytest.raises(TypeError, match="one chunk at a time"):
        MultimodalAutoencoder().partial_fit(chunks_of(rows, 500))


# Answering ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["transform", "impute", "reconstruct"])
def test_chunks_give_what_all_rows_give(rows, mmae, method, tmp_path):
    work, chunks = getattr(mmae, method), chunks_of(rows, 400)
    found, wanted = pd.concat(work(chunks)), work(rows)
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-5, atol=1e-6)
    path = tmp_path / "found.parquet"
    assert work(chunks, to=path) is None
    pd.testing.assert_frame_equal(pd.read_parquet(path), found, check_dtype=False)


def test_translations_scores_and_probabilities_come_by_chunk(rows, mmae, tmp_path):
    chunks = chunks_of(rows, 400)
    found = pd.concat(mmae.translate(chunks, to="note"))
    assert_array_equal(found["note"], mmae.translate(rows, to="note")["note"])
    scores = mmae.score_samples(rows)
    assert_allclose(np.concatenate([*mmae.score_samples(chunks)]), scores, rtol=1e-5)
    assert_allclose(mmae.score(chunks), mmae.score(rows), rtol=1e-6)
    mmae.score_samples(chunks, to=tmp_path / "scores.parquet")
    assert_allclose(
        pd.read_parquet(tmp_path / "scores.parquet")["score_samples"], scores, rtol=1e-5
    )
    assert len(list(mmae.category_probabilities(chunks))) == 3
    with pytest.raises(TypeError, match="several tables"):
        mmae.predict_interval(chunks, to=tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()
    codes = mmae.transform(chunks)
    back = mmae.inverse_transform(Chunks(lambda: mmae.transform(chunks)))
    assert sum(map(len, codes)) == sum(map(len, back)) == 900


def test_arrays_are_chunks_too():
    X = np.random.default_rng(0).normal(size=(90, 3))
    mmae = MultimodalAutoencoder(n_components=1, max_epochs=0, random_state=0)
    codes = np.concatenate([*mmae.fit_transform(chunks_of(X, 40))])
    assert_array_equal(codes, mmae.fit_transform(X))


# Dask --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_parts", [1, 5])
@pytest.mark.parametrize("method", ["transform", "impute", "reconstruct"])
def test_partitions_of_dask_give_what_all_rows_give(rows, mmae, method, n_parts):
    rows, work = rows[:120], getattr(mmae, method)
    parts = dd.from_pandas(rows, npartitions=n_parts).map_partitions(work, meta=work(rows[:1])[:0])
    found = parts.compute(scheduler="synchronous")
    pd.testing.assert_frame_equal(found, work(rows), rtol=1e-6)
    assert list(parts.dtypes) == list(found.dtypes)


def test_a_frame_of_dask_is_chunks(rows):
    ddf = dd.from_pandas(rows[:120], npartitions=3)
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    with dask.config.set(scheduler="synchronous"):
        vectors = np.concatenate(list(mmae.fit(ddf).transform(ddf)))
        scores = mmae.score(ddf)
    assert_allclose(vectors, mmae.fit(rows[:120]).transform(rows[:120]), rtol=1e-6)
    assert_allclose(scores, mmae.score(rows[:120]), rtol=1e-6)
    with pytest.raises(TypeError, match="one chunk at a time"):
        mmae.partial_fit(ddf)


def test_partitions_of_dask_are_scored(rows, mmae):
    rows = rows[:120]

    def score(part):
        return pd.Series(mmae.score_samples(part), part.index)

    parts = dd.from_pandas(rows, npartitions=4).map_partitions(score, meta=(None, "f8"))
    found = parts.compute(scheduler="synchronous")
    assert_allclose(found, mmae.score_samples(rows), rtol=1e-5)
