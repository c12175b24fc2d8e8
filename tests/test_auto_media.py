"""What `modalities="auto"` makes of columns of files, and of cells that wrap an array or a file."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image
from sklearn.model_selection import KFold

from sklearn_mmae import CellError, DataWarning, MultimodalAutoencoder
from sklearn_mmae.modalities._detect import detect
from sklearn_mmae.tables import read
from sklearn_mmae.tables._cells import objects

N = 30
RNG = np.random.default_rng(0)


def found(cells):
    """Return what a column beside one of numbers is taken for, and what is said of it."""
    frame = pd.DataFrame({"x": objects(list(cells)), "n": np.arange(len(cells)) / 7})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kinds = {name: type(modality).__name__ for name, modality, _ in detect(read(frame, None))}
    return kinds.get("x", "none"), " ".join(str(warning.message) for warning in caught)


def write_pictures(ending):
    names = [f"p{i}{ending}" for i in range(N)]
    for name in names:
        Image.fromarray(RNG.integers(0, 255, (8, 8, 3), np.uint8)).save(name, "PNG")
    return names


def write_sounds(ending):
    names = [f"s{i}{ending}" for i in range(N)]
    for name in names:
        soundfile.write(name, RNG.normal(size=800) / 9, 8000, format="WAV")
    return names


def write_clips(ending):
    names = [f"c{i}{ending}" for i in range(N)]
    frames = [Image.new("L", (8, 8), level) for level in (0, 99)]
    for name in names:
        frames[0].save(name, "GIF", save_all=True, append_images=frames[1:])
    return names


FILES = {
    "ImageModality": (write_pictures, ".png", ".heic"),
    "AudioModality": (write_sounds, ".wav", ".m4a"),
    "VideoModality": (write_clips, ".gif", ".flv"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("place", [0, 1, N - 1])
def test_some_files_that_cannot_be_read_do_not_make_text_of_the_others(
    kind, place, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write, ending, unread = FILES[kind]
    names = write(ending)
    Path("here" + unread).touch()
    for odd in (f"gone{ending}", f"gone{unread}", "here" + unread, names[3] + " ", "", b"", 7.0):
        assert found([*names[:place], odd, *names[place:]]) == (kind, "")
    third = [f"gone{i}{ending}" for i in range(N // 3)]
    assert found([*third, *names, None, *[""] * 3 * N]) == (kind, "")


def test_a_column_says_which_of_its_files_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"photo": [*write_pictures(".png"), "p31.png"], "n": range(N + 1)})
    with pytest.raises(
        CellError, match=r"'photo', row 30: no such file 'p31.png'.*mean 'p\d+.png'"
    ):
        MultimodalAutoencoder(n_components=2, max_epochs=0).fit(frame)


@pytest.mark.parametrize("kind", ["ImageModality", "AudioModality"])
@pytest.mark.parametrize("ending", ["", ".dat"])
def test_files_whose_names_say_nothing_are_known_by_their_first_bytes(
    kind, ending, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert found(FILES[kind][0](ending)) == (kind, "")


@pytest.mark.parametrize(
    "name", ["no/{}.png", "{}.HEIC", "https://x.org/{}.jpg", "{}.m4a", "{}.flv"]
)
@pytest.mark.parametrize("repeated", [1, 10])
def test_names_of_files_that_are_not_there_are_warned_of(name, repeated):
    names = [name.format(f"IMG{i // repeated}") for i in range(120)]
    kind, said = found(names)
    assert kind in ("none", "TextModality")  # or a category, in the table
    assert "'x': names of " in said
    assert ("nothing is fetched" if "http" in name else f"no such file {names[0]!r}") in said
    assert "Modality(root=...)" in said
    alone = names if repeated == 1 else list(map(Path, names))
    with pytest.raises(CellError, match=r"'x'.*: names of .* not learned as such"):
        detect(read(pd.DataFrame({"x": alone}), None))


WRAPPED = {
    "tensors": (lambda: torch.rand(9, 9, 3), r"numpy.asarray\(cell\).*taken for ImageModality"),
    "with gradient": (
        lambda: torch.rand(9, 9, 3, requires_grad=True),
        r"cell\.numpy\(force=True\)",
    ),
    "channels first": (lambda: torch.rand(3, 9, 9), r"moveaxis\(cell, 0, -1\), for ImageModality"),
    "Series": (lambda: pd.Series(RNG.normal(size=30)), r"asarray.*taken for SequenceModality\(\)"),
    "buffers": (
        lambda: memoryview(b"\x89PNG\r\n.."),
        r"bytes\(cell\).*taken for ImageModality\(\)",
    ),
    "bytes in a dict": (lambda: {"bytes": b"\xff\xd8\xff", "path": None}, r"cell\['bytes'\]"),
    "sounds in a dict": (
        lambda: {"array": np.zeros(9000), "sampling_rate": 8000},
        r"\(cell\['sampling_rate'\], .*taken for AudioModality\(\)",
    ),
    "clips, channels first": (lambda: RNG.random((7, 3, 9, 9)), r"moveaxis.*for VideoModality\(\)"),
    "grey clips": (lambda: RNG.random((7, 9, 9)), r"shape 7x9x9.*grey clips: .*VideoModality\(\)"),
    "signals, channels first": (lambda: RNG.normal(size=(9, 128)), r"map\(numpy\.transpose\)"),
    "spectrograms": (lambda: 80 * RNG.random((40, 100)), "SequenceModality.*ImageModality"),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_the_remedy_names_what_to_give_and_the_right_class(case):
    make, remedy = WRAPPED[case]
    with pytest.raises(TypeError, match=f"'x'.*{remedy}"):
        found([make() for _ in range(5)])


def test_a_modality_that_is_given_says_the_same_of_a_single_cell():
    cells = objects([*np.zeros((2, 8, 8, 3), np.uint8), torch.zeros(8, 8, 3)])
    with pytest.raises(CellError, match=r"row 2: a Tensor is not an image\. Give numpy.asarray"):
        MultimodalAutoencoder(n_components=1, max_epochs=0).fit(pd.DataFrame({"x": cells}))


def frame_of_sounds():
    """Return sounds of which one is longer than 99 % of them."""
    sounds = [
        RNG.normal(size=n).astype(np.float32) / 9 for n in [3000, *RNG.integers(100, 900, 299)]
    ]
    return pd.DataFrame({"s": [(8000, sound) for sound in sounds]})


def test_a_warning_is_shown_once_for_a_line_of_the_user():
    frame, mmae = frame_of_sounds(), MultimodalAutoencoder(n_components=2, max_epochs=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for train, test in KFold(3).split(frame):  # each fit and transform warns
            mmae.fit(frame.iloc[train]).transform(frame.iloc[test])
    assert [warning.filename for warning in caught] == [__file__]
    assert "modality 's', column 's': sounds that last longer" in str(caught[0].message)


def test_filters_of_the_user_still_count():
    frame, mmae = frame_of_sounds(), MultimodalAutoencoder(n_components=2, max_epochs=0)
    for _ in range(2):
        with pytest.warns(DataWarning, match="sounds that last longer"):
            mmae.fit(frame)
