"""A fit of a Dask DataFrame in a cluster: a rank on each worker, with the rows that it computes."""

import os
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback
from test_growing import make, make_rows

from sklearn_mmae import CellError, TextModality
from sklearn_mmae.model import _gathered
from sklearn_mmae.training import _gradients

dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

QUIET = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}


@pytest.fixture(scope="module", autouse=True)
def environment():
    """What a cluster sets for the processes of its workers reaches no other test."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="module")
def rows():
    return make_rows()


@pytest.fixture(scope="module")
def threads():
    """Return a cluster whose workers are threads: quick."""
    with distributed.LocalCluster(processes=False, **QUIET) as cluster:
        yield cluster


@pytest.mark.parametrize("n_parts", [1, 5])
def test_a_fit_in_a_cluster_is_that_of_all_rows(rows, threads, n_parts):
    alone = make(max_epochs=1).fit(rows)
    with distributed.Client(threads):
        one = make(max_epochs=1).fit(dd.from_pandas(rows, npartitions=n_parts))
    assert_array_equal(one.transform(rows), alone.transform(rows))


def test_scales_are_of_all_rows_where_a_sample_is_kept(rows, threads, monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_ROWS", 100)
    ddf = dd.from_pandas(rows, npartitions=4)
    ddf["y"] = ddf["a"] - ddf["d"]
    with distributed.Client(threads):
        one = make(max_epochs=0, target_weight=1).fit(ddf[[*rows]], ddf["y"])
    y = rows["a"] - rows["d"]
    alone = make(max_epochs=0, target_weight=1).fit(rows, y)
    assert_allclose(one.modalities_[0][1].scale_, alone.modalities_[0][1].scale_, rtol=1e-9)
    assert_allclose(one.predict(rows), alone.predict(rows), rtol=1e-4, atol=1e-4)


def test_rows_weigh_in_a_cluster_what_they_weigh_in_one_process(rows, threads):
    weights = np.where(rows["a"] > 0, 2, 1)
    ddf = dd.from_pandas(rows.assign(weight=weights, y=rows["b"]), npartitions=3)
    options = {"max_epochs": 1, "target_weight": 1}
    alone = make(**options).fit(rows, rows["b"], weights)
    with distributed.Client(threads):
        one = make(**options).fit(ddf[[*rows]], ddf["y"], ddf["weight"])
    assert_array_equal(one.transform(rows), alone.transform(rows))


def test_what_is_wrong_is_said(rows, threads):
    texts = [("t", TextModality(), ["a"])]
    with distributed.Client(threads):
        with pytest.raises(CellError, match="'t', column 'a'"):
            make(modalities=texts).fit(dd.from_pandas(rows, npartitions=2))
        with pytest.raises(ValueError, match="y has other partitions than X"):
            make(target_weight=1).fit(dd.from_pandas(rows, npartitions=2), np.zeros(160))
        with pytest.raises(ValueError, match="sample_weight has other partitions than X"):
            make().fit(dd.from_pandas(rows, npartitions=2), None, np.ones(160))


@pytest.mark.parametrize("method", ["transform", "impute", "score_samples"])
def test_partitions_are_answered_where_they_are(rows, threads, method):
    mmae = make(max_epochs=0).set_output(transform="pandas").fit(rows)
    work = getattr(mmae, method)
    if method == "score_samples":
        work, meta = lambda part: pd.Series(mmae.score_samples(part), part.index), (None, "f8")
    else:
        meta = work(rows[:1])[:0]
    with distributed.Client(threads):
        found = dd.from_pandas(rows, npartitions=3).map_partitions(work, meta=meta).compute()
    wanted = work(rows)
    numbers = found.select_dtypes("number") if method == "impute" else found
    assert_allclose(numbers, wanted[[*numbers]] if method == "impute" else wanted, rtol=1e-5)


class Die(Callback):
    """End the second worker's process in the third epoch, of small batches that are shared."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        _gradients.LEAST_ROWS, _gradients.LEAST_WORK = 32, 0

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3 and distributed.get_worker().name == 1:
            os._exit(1)


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_in_an_error_and_what_was_learned_is_kept(rows):
    mmae = make(max_epochs=20, batch_size=64, callbacks=[Die()])
    with (
        distributed.LocalCluster(processes=True, **QUIET) as cluster,
        distributed.Client(cluster, timeout=60),
        pytest.raises(ConnectionError, match=r"rank \d is gone"),
    ):
        mmae.fit(dd.from_pandas(rows, npartitions=2))
    assert mmae.n_iter_ == 2
    assert np.isfinite(mmae.transform(rows)).all()
