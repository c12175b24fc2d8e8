"""Rows of chunks are read by a thread while those before are worked on, and it never shows."""

import shutil
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from sklearn_mmae import (
    CellError,
    Chunks,
    DataWarning,
    ImageModality,
    MultimodalAutoencoder,
    VideoModality,
)
from sklearn_mmae._core.threads import ahead, end_if_unwanted
from sklearn_mmae.model import _gathered, _passes
from sklearn_mmae.training.start import _begin

N_ROWS, CHUNK = 900, 300


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


# Pieces ------------------------------------------------------------------------------------------


def test_pieces_come_in_order_and_two_are_made_ahead():
    made, ours = [], threading.current_thread()

    def pieces():
        for i in range(5):
            assert threading.current_thread() is ours  # as a data base may ask
            yield i

    def work(i):
        assert threading.current_thread() is not ours
        made.append(i)
        return i * i

    used = []
    for square in ahead(work, pieces()):
        used.append(square)
        assert len(made) <= len(used) + 2
    assert used == [0, 1, 4, 9, 16]
    assert sorted(made) == [0, 1, 2, 3, 4]
    assert list(ahead(work, [])) == []
    assert not readers()


def test_an_error_comes_where_its_piece_is_asked_for():
    def work(i):
        if i == 2:
            raise ValueError("no such piece")
        return i

    pieces = ahead(work, range(4))
    assert [next(pieces), next(pieces)] == [0, 1]
    with pytest.raises(ValueError, match="no such piece"):
        next(pieces)
    assert not readers()


def test_who_leaves_does_not_wait_for_what_nobody_wants():
    begun = threading.Event()

    def work(i):
        while i:  # for ever, unless it is ended
            begun.set()
            end_if_unwanted()

    pieces = ahead(work, range(3))
    next(pieces)
    assert begun.wait(60)
    assert readers()
    pieces.close()
    assert not readers()


# Fits --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images in a folder, and the frame of their paths."""
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [str(folder / f"{i}.png") for i in range(N_ROWS)]
    for path in paths:
        Image.fromarray(draw.integers(0, 255, (8, 8), np.uint8)).save(path)
    return pd.DataFrame({"photo": paths, "number": draw.normal(size=N_ROWS)})


@pytest.fixture
def few_are_kept(monkeypatch):
    monkeypatch.setattr(_gathered, "MOST_BYTES", 2**15)


def chunks_of(frame):
    return Chunks(lambda: (frame[i : i + CHUNK] for i in range(0, len(frame), CHUNK)))


def fitted(frame, **options):
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0, **options)
    return mmae.fit(chunks_of(frame))


def test_what_is_learned_is_the_same_to_the_bit(folder, few_are_kept, monkeypatch):
    ahead_of_us = fitted(folder).transform(folder)
    assert not readers()
    monkeypatch.setattr(_passes, "ahead", map)
    assert_array_equal(fitted(folder).transform(folder), ahead_of_us)


def test_a_file_that_vanishes_is_named(folder, few_are_kept, monkeypatch, tmp_path):
    gone, rest = tmp_path / "gone.png", _passes.Passes.rest
    photos = folder["photo"].tolist()
    photos[700] = shutil.copy(photos[700], gone)

    def rest_without_it(*args):
        gone.unlink()
        return rest(*args)

    monkeypatch.setattr(_passes, "drawn", lambda rows, halvings: rows < 100)
    monkeypatch.setattr(_passes.Passes, "rest", rest_without_it)
    with pytest.raises(CellError, match=r"'photo', row 100: no such file .*gone.*\(chunk 2\)"):
        fitted(folder.assign(photo=photos))
    assert not readers()


@pytest.mark.parametrize("reason", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_fit_leaves_no_thread(folder, few_are_kept, monkeypatch, reason):
    calls, seen_views = [], _begin.seen_views

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise reason
        return seen_views(*args)

    monkeypatch.setattr(_begin, "seen_views", interrupted)
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    with pytest.raises(reason) as kept:
        mmae.fit(chunks_of(folder))
    for thread in readers():  # what holds the error may hold the reader, whose thread ends alone
        thread.join(60)
    assert kept.traceback
    assert not readers()
    assert not hasattr(mmae, "net_")


def test_warnings_of_what_is_read_ahead_point_at_the_users_line(
    folder, few_are_kept, monkeypatch, tmp_path
):
    monkeypatch.setattr(_passes, "drawn", lambda rows, halvings: rows < 100)
    photos = folder["photo"].tolist()
    photos[700] = str(tmp_path / "nowhere.png")
    modalities = [("photo", ImageModality(on_error="missing"), ["photo"])]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted(folder.assign(photo=photos), modalities=modalities)
    told = [w for w in told if issubclass(w.category, DataWarning)]
    assert {w.filename for w in told} == {__file__}
    assert "modality 'photo', column 'photo', row" in str(told[-1].message)


# Passes ------------------------------------------------------------------------------------------


def sounds(draw, n):
    for _ in range(n):
        yield 8000, np.sin(np.arange(400) * draw.uniform(0.1, 1)).astype(np.float32)


def clips(draw, n):
    yield from draw.integers(0, 255, (n, 4, 8, 8, 3), np.uint8)


def images(draw, n):
    yield from draw.integers(0, 255, (n, 20, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("make", "modality", "most"),
    [(images, None, 3), (sounds, None, 4), (clips, VideoModality(rate=2.0), 5)],
)
def test_media_are_read_once_for_all_questions(make, modality, most, monkeypatch):
    column = np.empty(120, object)
    for i, cell in enumerate(make(np.random.default_rng(0), 120)):
        column[i] = cell
    frame, passes = pd.DataFrame({"cell": column}), []
    pieces = _passes.Passes.pieces
    monkeypatch.setattr(_gathered, "MOST_BYTES", 2**14)
    monkeypatch.setattr(_passes.Passes, "pieces", lambda self: passes.append(1) or pieces(self))
    learn_from = _passes.learn_from

    def counted(*args):
        learn_from(*args)
        assert 1 < len(passes) <= most

    monkeypatch.setattr("sklearn_mmae.model._learn.learn_from", counted)
    parts = "auto" if modality is None else [("cell", modality, ["cell"])]
    MultimodalAutoencoder(parts, n_components=2, max_epochs=0, random_state=0).fit(
        Chunks(lambda: iter([frame[:60], frame[60:]]))
    )
    assert passes
