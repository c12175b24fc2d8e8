"""What the encoder sees in training is spoiled as befits its kind, and only there."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_mmae import (
    AudioModality,
    ImageModality,
    MultimodalAutoencoder,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from sklearn_mmae.nn._sparse import as_tensors
from sklearn_mmae.tables._cells import Cells

FAINT = 1e-9  # noise: masks are of their own strength
N_ROWS = 200


def corrupted(modality, columns, noise=FAINT):
    """Return the view of some columns, the corrupted one, and the network."""
    cells = Cells(tuple(columns), tuple(columns.values()))
    values = modality.fit_transform(cells)
    network = modality.network(4, 8, 0.0)
    tensors = {name: tensor[:] for name, tensor in as_tensors(values.tensors).items()}
    view = network.view(tensors)
    seen = network.corrupt(view, noise, torch.Generator().manual_seed(0))
    return view.to_dense(), seen.to_dense(), network


def table():
    rng = np.random.default_rng(0)
    colours = rng.choice(["red", "green", "blue"], N_ROWS).astype(object)
    return {"size": rng.normal(size=N_ROWS), "colour": colours}


def column(cells):
    filled = np.empty(len(cells), object)
    filled[:] = cells
    return filled


def test_whole_cells_of_a_table_are_masked():
    view, seen, _ = corrupted(TabularModality(mask=0.25), table())
    shown = torch.isclose(seen, view, atol=1e-6)
    hidden = (seen.abs() < 1e-6) & ~shown
    assert (hidden | shown).all()
    number, *colours = hidden.T
    assert abs(number.float().mean() - 0.25) < 0.1
    # A category is hidden as a whole.
    assert all(torch.equal(colours[0], other) for other in colours[1:])
    assert abs(colours[0].float().mean() - 0.25) < 0.1
    assert not torch.equal(number, colours[0])


def spans(hidden):
    """Return where each row's True entries begin and how many they are; they must be one run."""
    first, n = hidden.int().argmax(1), hidden.sum(1)
    place = torch.arange(hidden.shape[1])
    run = (place >= first[:, None]) & (place < (first + n)[:, None])
    assert torch.equal(hidden, run)
    return first, n


def test_one_stretch_of_a_signal_is_masked():
    rng = np.random.default_rng(0)
    waves = column([rng.normal(size=(20 + i % 3, 2)) for i in range(N_ROWS)])
    view, seen, network = corrupted(SequenceModality(mask=0.25), {"wave": waves})
    steps = (seen != view)[:, :-1].unflatten(1, (network.n_steps, 2))
    hidden = ((seen[:, :-1].abs() < 1e-6) & (view[:, :-1].abs() > 1e-6)).unflatten(1, (-1, 2))
    assert (hidden[:, :20].all(2) == hidden[:, :20].any(2)).all(), "all channels at once"
    first, n = spans(hidden[:20].any(2)[:, :20])
    assert (n <= round(0.25 * network.n_steps)).all()
    assert first.float().std() > 2, "elsewhere in each row"
    assert steps.any()
    torch.testing.assert_close(seen[:, -1], view[:, -1])  # how long it is may be known


def test_a_stretch_of_time_and_one_of_frequencies_of_a_sound_are_masked():
    rng = np.random.default_rng(0)
    sounds = column([rng.normal(0, 0.1, 4000).astype(np.float32) for _ in range(40)])
    modality = AudioModality(rate=8000, n_mels=16, mask=0.25)
    view, seen, network = corrupted(modality, {"sound": sounds})
    changed = ((seen.abs() < 1e-6) & (view.abs() > 1e-6))[:, :-1].unflatten(1, (-1, 16))
    for axis, length in ((2, network.n_steps), (1, 16)):
        whole = changed.float().mean(axis) > 0.7
        _, n = spans(whole)
        assert (n == round(0.25 * length)).all()


def test_some_frames_of_a_clip_are_masked():
    rng = np.random.default_rng(0)
    clips = column([rng.integers(0, 256, (8, 6, 6, 3)).astype(np.uint8) for _ in range(20)])
    view, seen, _ = corrupted(VideoModality(mask=0.25), {"clip": clips})
    changed = ((seen.abs() < 1e-6) & (view.abs() > 1e-6))[:, :-1].unflatten(1, (8, -1))
    _, n = spans(changed.float().mean(2) > 0.9)
    assert (n == 2).all()


def test_words_are_dropped():
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(30)]
    texts = column([" ".join(rng.choice(words, 10, replace=False)) for _ in range(N_ROWS)])
    view, seen, network = corrupted(TextModality(), {"note": texts}, noise=0.4)
    there = (view + network.mean).abs() > 1e-6
    kept = (seen + network.mean).abs() > 1e-6
    assert (kept <= there).all(), "no word is added"
    assert abs(1 - kept.sum() / there.sum() - 0.4) < 0.05


def test_a_rectangle_of_a_large_picture_is_blotted_out():
    rng = np.random.default_rng(0)
    pictures = column([rng.integers(0, 256, (32, 24)).astype(np.uint8) for _ in range(30)])
    view, seen, _ = corrupted(ImageModality(), {"photo": pictures}, noise=1.0)
    hidden = ((seen == 0) & (view != 0)).unflatten(1, (32, 24))
    for axis, length in ((2, 16), (1, 12)):
        _, n = spans(hidden.any(axis))
        assert (n == length).all()


@pytest.mark.parametrize(
    ("modality", "cells"),
    [
        (TabularModality(mask=1.0), np.arange(9.0)),
        (TabularModality(mask="all"), np.arange(9.0)),
        (SequenceModality(mask=-0.1), column([np.arange(5.0)] * 9)),
        (AudioModality(rate=8000, mask=True), column([np.ones(800, np.float32)] * 9)),
        (VideoModality(mask=2), column([np.ones((3, 4, 4), np.uint8)] * 9)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_mask_that_is_no_share_is_refused(modality, cells):
    X = pd.DataFrame({"cell": cells})
    with pytest.raises(ValueError, match=r"modality 'part'.*mask=.*share, from 0 to below 1"):
        MultimodalAutoencoder([("part", modality, ["cell"])]).fit(X)
