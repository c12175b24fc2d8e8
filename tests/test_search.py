"""Searches: what candidates share is read once, workers share the cores, and so do clusters."""

import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import make_frame
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from test_determinism import make_sharded

from sklearn_mmae import AudioModality, ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.modalities.audio import _modality as _audio
from sklearn_mmae.modalities.image import _modality as _image

N_ROWS = 18
FOLDS = 2


def make_search(memory, n_candidates, modalities):
    for _, modality, _ in modalities:
        modality.set_params(memory=memory)
    estimator = MultimodalAutoencoder(modalities, width=8, max_epochs=1, random_state=0)
    grid = {"n_components": list(range(1, 1 + n_candidates))}
    return GridSearchCV(estimator, grid, cv=FOLDS, refit=False, error_score="raise")


def files(folder):
    """Return rows of the path of a picture, the bytes of a sound, and a text."""
    rng = np.random.default_rng(0)
    rows = []
    for row in range(N_ROWS):
        picture, sound = folder / f"{row}.png", folder / f"{row}.wav"
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(picture)
        soundfile.write(sound, rng.uniform(-1, 1, 800), 8000)
        words = " ".join(rng.choice(["sea", "sky", "sun"], 4))
        rows.append((str(picture), sound.read_bytes(), words))
    return pd.DataFrame(rows, columns=["photo", "sound", "note"])


def of_files():
    return [
        ("photo", ImageModality(), ["photo"]),
        ("sound", AudioModality(), ["sound"]),
        ("note", TextModality(), ["note"]),
    ]


@pytest.fixture
def counts(monkeypatch):
    """Counts, by what is read, how many cells are."""
    found = dict.fromkeys(["pictures", "sounds", "texts"], 0)

    def count(what, function, n_cells):
        def counted(*args, **kwargs):
            found[what] += n_cells(*args)
            return function(*args, **kwargs)

        return counted

    for what, module in (("pictures", _image), ("sounds", _audio)):
        monkeypatch.setattr(module, "decode", count(what, module.decode, lambda cell: 1))
    monkeypatch.setattr(
        CountVectorizer,
        "_count_vocab",
        count("texts", CountVectorizer._count_vocab, lambda counter, texts, *_: len(texts)),
    )
    return found


def test_candidates_that_share_an_encoding_share_the_reading(tmp_path, counts):
    X = files(tmp_path)
    alone = make_search(None, 1, of_files()).fit(X)
    by_one = dict(counts)
    # In each fold all rows are looked at, some to learn from and the others to score.
    assert by_one["pictures"] == by_one["sounds"] == FOLDS * N_ROWS
    assert by_one["texts"] == 2 * FOLDS * N_ROWS  # their words, and the parts of words

    counts |= dict.fromkeys(counts, 0)
    remembering = make_search(tmp_path / "memory", 2, of_files()).fit(X)
    assert counts == {"pictures": N_ROWS, "sounds": N_ROWS, "texts": by_one["texts"]}
    found, expected = (search.cv_results_["mean_test_score"] for search in (remembering, alone))
    assert found[0] == expected[0]

    make_search(tmp_path / "memory", 1, of_files()).fit(X)  # another day
    assert counts == {"pictures": N_ROWS, "sounds": N_ROWS, "texts": by_one["texts"]}


class WatchingThreads(Callback):
    """Writes down how many threads a fit has at work."""

    def on_train_begin(self, net, **kwargs):
        self.most = torch.get_num_threads()
        self.before = threading.active_count()

    def on_batch_end(self, net, **kwargs):
        helpers = threading.active_count() - self.before
        self.most = max(self.most, torch.get_num_threads() + helpers)


def threads_at_work(estimator, X, y=None):
    """Return the most threads that fit, and what comes after it, compute with."""
    return max(estimator.callbacks[0].most, torch.get_num_threads())


def test_threads_are_counted_rightly():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        estimator, X = make_sharded()
        estimator.set_params(callbacks=[WatchingThreads()]).fit(X)
        assert estimator.callbacks[0].most == 2  # as many as there are shards
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_workers_have_no_more_threads_than_there_are_cores(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    n_workers = min(2, joblib.cpu_count())
    estimator, X = make_sharded()
    estimator.set_params(callbacks=[WatchingThreads()])
    search = GridSearchCV(
        estimator,
        {"n_components": [2, 3]},
        cv=2,
        n_jobs=n_workers,
        scoring=threads_at_work,
        refit=False,
        error_score="raise",
    ).fit(X)
    most = max(search.cv_results_[f"split{i}_test_score"].max() for i in range(2))
    assert most >= 1
    assert most * n_workers <= joblib.cpu_count()


@pytest.mark.slow
def test_a_dask_cluster_finds_what_one_process_finds():
    distributed = pytest.importorskip("distributed")
    X = make_frame(holes=True)[["size", "note"]]
    estimator = MultimodalAutoencoder(n_components=2, width=8, max_epochs=2, random_state=0)
    search = GridSearchCV(estimator, {"fusion": ["joint", "mean"]}, cv=2, error_score="raise")
    here = search.fit(X)
    alone, best, codes = here.cv_results_, here.best_params_, here.transform(X)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        search.fit(X)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], alone[name])
    assert search.best_params_ == best
    np.testing.assert_array_equal(search.transform(X), codes)
