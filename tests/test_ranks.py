"""Ranks: processes that learn together, each from rows of its own, end with one model.

Here they are threads, which is all the same to gloo; one test has processes.
"""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import numpy as np
import pytest
import torch.distributed as dist
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback
from test_growing import make, make_rows
from test_large_data import chunks_of
from test_statistics import Recording, assert_same

from sklearn_mmae import (
    CellError,
    Chunks,
    MultimodalAutoencoder,
    MultimodalVAE,
    Privacy,
    TabularModality,
    load,
)
from sklearn_mmae._core.ranks import Ranks
from sklearn_mmae.model import _gathered, _ranks
from sklearn_mmae.statistics import _merged
from sklearn_mmae.training import _gradients

PATIENCE = timedelta(seconds=30)


@pytest.fixture(scope="module")
def rows():
    return make_rows().sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture(autouse=True)
def small_batches_are_shared(monkeypatch):
    monkeypatch.setattr(_gradients, "LEAST_ROWS", 32)
    monkeypatch.setattr(_gradients, "LEAST_WORK", 0)


@pytest.fixture
def few_are_kept(monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_ROWS", 100)


def together(work, size=2):
    """Return what ``work(rank, ranks)`` returns or raises in each of some ranks."""
    store = dist.HashStore()

    def run(rank):
        ranks = Ranks(dist.ProcessGroupGloo(store, rank, size, PATIENCE))
        try:
            return work(rank, ranks)
        except Exception as error:
            ranks.tell_of(error)
            return error

    with ThreadPoolExecutor(size) as pool:
        return [*pool.map(run, range(size))]


def fit_together(make_one, parts, labels=None, weights=None):
    """Return the estimators of ranks, each fitted with one of the parts of the rows."""

    def work(rank, ranks):
        y, own = (None if given is None else given[rank] for given in (labels, weights))
        return make_one(rank)._fit(parts[rank], y, own, ranks)

    found = together(work, len(parts))
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found


# The same model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_two_ranks_have_the_bits_of_one(rows, kind):
    options = {"max_epochs": 3, "batch_size": 64}
    alone = make(kind, **options).fit(rows)
    for one in fit_together(lambda _: make(kind, **options), [rows[:60], rows[60:]]):
        assert_array_equal(one.transform(rows), alone.transform(rows))
        losses = [[e["train_loss"] for e in fitted.history_] for fitted in (one, alone)]
        assert losses[0] == losses[1]


def test_three_ranks_have_the_start_of_one_and_end_alike(rows):
    parts = [rows[:50], rows[50:60], rows[60:]]
    start = make(max_epochs=0).fit(rows).transform(rows)
    for one in fit_together(lambda _: make(max_epochs=0), parts):
        assert_array_equal(one.transform(rows), start)
    # Without a seed they learn from that of the first.
    drawn = fit_together(lambda _: make(random_state=None, max_epochs=1), parts)
    for other in drawn[1:]:
        assert_array_equal(other.transform(rows), drawn[0].transform(rows))


@pytest.mark.parametrize("high", [3, 0.9])
def test_rows_weigh_in_ranks_what_they_weigh_in_one(rows, high):
    weights = np.where(rows["a"] > 0, high, 1)
    y = rows["b"].to_numpy()
    options = {"max_epochs": 1, "batch_size": 64, "target_weight": 1}
    alone = make(**options).fit(rows, y, weights)
    parts = np.array_split(np.arange(len(rows)), [60])
    given = [[values[part] for part in parts] for values in (y, weights)]
    for one in fit_together(lambda _: make(**options), [rows.iloc[p] for p in parts], *given):
        assert_array_equal(one.transform(rows), alone.transform(rows))
        assert_array_equal(one.predict(rows), alone.predict(rows))


def test_one_clock_ends_all_ranks_at_the_same_step(rows, monkeypatch):
    """However the clocks of others go: the second one's says that it is over from the beginning."""
    ticks = {rank: count(rank * 1e9, 1) for rank in (0, 1)}
    of_thread = threading.local()

    def work(rank, ranks):
        of_thread.rank = rank
        options = {"max_epochs": 50, "batch_size": 64, "max_time": 10, "early_stopping": False}
        return make(**options)._fit([rows[:60], rows[60:]][rank], None, None, ranks)

    monkeypatch.setattr(_ranks, "monotonic", lambda: next(ticks[of_thread.rank]))
    one, other = together(work)
    assert 0 < len(one.history_) == len(other.history_) < 50
    assert_array_equal(one.transform(rows), other.transform(rows))


def test_what_is_learned_from_all_rows_is_merged(rows, few_are_kept, monkeypatch):
    kept = {}

    class Kept(_merged.Ranked):
        def answer(self, name, question, rows):
            answer = kept[name] = super().answer(name, question, rows)
            return answer

    monkeypatch.setattr(sys.modules["sklearn_mmae.model._learn"], "Ranked", Kept)
    alone, recording = make(max_epochs=1), Recording()
    parts = (
        sys.modules["sklearn_mmae.model._learn"]
        .learn_model(alone, rows, None, alone._build_network, alone._look_at, statistics=recording)[
            0
        ]
        .parts
    )
    given = [chunks_of(rows[:70], 40), rows[70:]]
    first, second = fit_together(lambda _: make(max_epochs=1), given)
    for name in ("views", "completed views"):
        wanted = recording.answers[f"training: start: {name}"][0]
        found = kept[f"training: start: {name}"][0]
        assert_allclose(found, wanted, rtol=0, atol=1e-9 * float(wanted.abs().max()))
    for (_, modality, _), part in zip(first.modalities_, parts, strict=True):
        assert_same(modality, part.modality, 1e-9)
    assert_array_equal(first.transform(rows), second.transform(rows))


def test_labels_go_with_their_rows(rows, few_are_kept):
    y = (rows["a"] - rows["d"]).to_numpy()
    options = {"max_epochs": 0, "target_weight": 1}
    alone = make(**options).fit(rows, y).predict(rows)
    parts, labels = [rows[:100], rows[100:]], [y[:100], y[100:]]
    for one in fit_together(lambda _: make(**options), parts, labels):
        assert_allclose(one.predict(rows), alone, rtol=1e-4, atol=1e-4)


# What cannot go together -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "change", "problem"),
    [
        ({"n_components": 3}, None, "rank 1: parameter 'n_components' is 3, but 2 on ranks before"),
        ({"max_time": 5}, None, "rank 1: parameter 'max_time'"),
        ({}, lambda X: X[:0], "rank 1 has no rows"),
        (
            {},
            lambda X: X.rename(columns={"a": "z"}),
            "rank 1: column 0 is z, but a on ranks before",
        ),
        (
            {},
            lambda X: X.drop(columns="note"),
            "rank 1: column 5 is none, but note on ranks before",
        ),
        (
            {},
            lambda X: X.assign(a="red"),
            "rank 1: column 'a' is strings, but numbers on ranks before",
        ),
    ],
)
def test_ranks_that_do_not_agree_are_named_on_all(rows, options, change, problem):
    rows = rows.assign(b=np.where(rows.index < 100, np.nan, rows["b"]))  # of no kind on rank 0
    parts = [rows[:100], rows[100:] if change is None else change(rows[100:])]

    def work(rank, ranks):
        return make(**options if rank else {})._fit(parts[rank], None, None, ranks)

    for error in together(work):
        assert type(error) is ValueError
        assert problem in str(error)


def test_what_ranks_cannot_have_is_said(rows):
    parts = [rows[:100], rows[100:]]
    private = {"privacy": Privacy(epsilon=1), "random_state": None}
    private["modalities"] = [("table", TabularModality(bounds=(-9, 9)), ["a", "b"])]
    with pytest.raises(ValueError, match=r"privacy=.* is not for ranks"):
        fit_together(lambda _: make(**private), parts)
    with pytest.raises(ValueError, match="rank 1 has no sample_weight, but rank 0 has"):
        fit_together(lambda _: make(), parts, weights=[np.ones(100), None])
    with pytest.raises(ValueError, match="sample_weight has shape"):
        fit_together(lambda _: make(), parts, weights=[np.ones(10), np.ones(60)])
    with pytest.raises(ValueError, match="sample_weight is zero in all rows"):
        fit_together(lambda _: make(), parts, weights=[np.zeros(100), np.zeros(60)])


def test_a_cell_that_cannot_be_read_is_found_in_its_rank(rows):
    broken = rows[[*"abcd"]].astype({"a": object})
    broken.iloc[103, 0] = 1j
    modalities = [("t", TabularModality(), [*"abcd"])]

    def work(rank, ranks):
        part = [broken[:100], broken[100:]][rank]
        return make(modalities=modalities)._fit(part, None, None, ranks)

    for error in together(work):
        assert isinstance(error, CellError)
        assert "column 'a', row 3: " in str(error)
        assert "(rank 1)" in str(error)


def test_a_rank_that_fails_says_so_to_the_others(rows):
    def source():
        yield rows[100:]
        raise OSError("disk full")

    def work(rank, ranks):
        return make()._fit([rows[:100], Chunks(source)][rank], None, None, ranks)

    told, own = together(work)
    assert isinstance(own, OSError)
    assert isinstance(told, ConnectionError)
    assert "rank 1 has failed, and with it this fit: OSError: disk full" in str(told)


# A rank that is lost -----------------------------------------------------------------------------


class Leave(Callback):
    """Leave the others alone in an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise MemoryError("too large")


@pytest.mark.parametrize("kept", [100, 2**17])
@pytest.mark.parametrize("epoch", [1, 2])
def test_without_a_rank_what_was_learned_so_far_is_kept(rows, monkeypatch, epoch, kept):
    monkeypatch.setattr(_gathered, "MOST_ROWS", kept)
    rows = rows[[*"abcd"]]
    estimators = [make(max_epochs=8, batch_size=64) for _ in range(2)]
    estimators[1].set_params(callbacks=[Leave(epoch)])

    def work(rank, ranks):
        return estimators[rank]._fit([rows[:100], rows[100:]][rank], None, None, ranks)

    told, own = together(work)
    assert isinstance(own, MemoryError)
    assert isinstance(told, ConnectionError)
    assert "rank 1" in str(told)
    assert not hasattr(estimators[1], "net_")
    assert np.isfinite(estimators[0].transform(rows)).all()
    assert estimators[0].score(rows) > 0.1
    assert estimators[0].n_iter_ == epoch - 1


SCRIPT = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from skorch.callbacks import Callback
    from test_growing import make, make_rows

    from sklearn_mmae.training import _gradients
    _gradients.LEAST_WORK = 0

    class Die(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                os._exit(1)

    rank, rows = int(os.environ["RANK"]), make_rows(320)
    mmae = make(max_epochs=5, width=64, batch_size=256)
    mmae.fit(rows[:100] if rank else rows[100:])
    mmae.save(f"{{sys.argv[1]}}/{{rank}}.mmae")
    if rank:
        mmae.set_params(callbacks=[Die()])
    try:
        mmae.__class__(**mmae.get_params(deep=False)).fit(rows)
    except ConnectionError as error:
        print(error)
"""


@pytest.mark.slow
def test_processes_find_one_another_and_one_that_dies_is_named(tmp_path):
    (tmp_path / "script.py").write_text(
        textwrap.dedent(SCRIPT.format(tests=os.path.dirname(__file__)))
    )
    port = str(20_000 + os.getpid() % 20_000)
    at = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    with ThreadPoolExecutor(2) as pool:
        done, _ = pool.map(
            lambda rank: subprocess.run(
                command, env={**at, "RANK": rank}, capture_output=True, text=True, timeout=240
            ),
            "01",
        )
    assert "rank 1 is gone" in done.stdout, done.stderr
    rows = make_rows()
    first, second = (load(tmp_path / f"{rank}.mmae").transform(rows) for rank in (0, 1))
    assert_array_equal(first, second)
