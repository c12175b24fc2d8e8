"""Rows that are not in memory at once: what was fitted is used part by part, as on all of them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sklearn_mmae import MultimodalAutoencoder

dd = pytest.importorskip("dask.dataframe")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)) @ rng.normal(size=(3, 4)), columns=list("abcd"))
    frame["kind"] = np.where(frame["a"] > 0, "high", "low")
    frame.loc[::7, "b"] = np.nan
    frame.loc[3::9, "kind"] = None
    return frame


@pytest.fixture(scope="module")
def mmae(rows):
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=1, random_state=0)
    return mmae.set_output(transform="pandas").fit(rows)


@pytest.mark.parametrize("n_parts", [1, 5])
@pytest.mark.parametrize("method", ["transform", "impute", "reconstruct"])
def test_partitions_of_dask_give_what_all_rows_give(rows, mmae, method, n_parts):
    work = getattr(mmae, method)
    parts = dd.from_pandas(rows, npartitions=n_parts).map_partitions(work, meta=work(rows[:1])[:0])
    found = parts.compute(scheduler="synchronous")
    pd.testing.assert_frame_equal(found, work(rows), rtol=1e-6)
    assert list(parts.dtypes) == list(found.dtypes)


def test_partitions_of_dask_are_scored(rows, mmae):
    def score(part):
        return pd.Series(mmae.score_samples(part), part.index)

    parts = dd.from_pandas(rows, npartitions=4).map_partitions(score, meta=(None, "f8"))
    found = parts.compute(scheduler="synchronous")
    assert_allclose(found, mmae.score_samples(rows), rtol=1e-5)
