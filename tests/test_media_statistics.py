"""What a modality of media learns of the rows, it asks: the answers alone say what it becomes."""

import io
import warnings

import numpy as np
import pytest
import soundfile
from PIL import Image
from test_statistics import Recording, Replaying

from sklearn_mmae import (
    AudioModality,
    CellError,
    ImageModality,
    SequenceModality,
    VideoModality,
)
from sklearn_mmae.cells import Cells
from sklearn_mmae.statistics import Statistics


class Merging(Statistics):
    """Answers from the partial answers of the first and the other rows, in either order."""

    def __init__(self, order):
        self.order = order

    def answer(self, name, question, rows):
        third = len(rows) // 3
        parts = [question.partial(some) for some in (rows[:third], rows[third:])]
        return question.finish(question.merge(*parts[:: self.order]))


# Two sets of rows for each case, as unlike as one kind of cell can be -----------------------------


def column(cells):
    made = np.empty(len(cells), object)
    made[:] = cells
    return Cells(("cell",), (made,))


def pictures(seed, sides, channels, high):
    """Return noise of all sizes between two, as floats, and one picture that is missing."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(*sides, (9, 2))
    return [high * rng.random((*size, channels)) for size in sizes] + [None]


def encoded(pictures, kind):
    """Return pictures as the bytes of files, and floats above 0 and 1 as white."""
    files = []
    for picture in pictures[:-1]:
        file = io.BytesIO()
        Image.fromarray((255 * picture.clip(0, 1)).astype(np.uint8).squeeze()).save(file, kind)
        files.append(file.getvalue())
    return [*files, None]


def pixels(seed, low, high, share_missing=0.0):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(low, high, (40, 12))
    matrix[rng.random(matrix.shape) < share_missing] = np.nan
    return Cells.of_matrix([f"p{i}" for i in range(12)], matrix)


def sounds(seed, rates, seconds):
    rng = np.random.default_rng(seed)
    made = []
    for rate in rng.choice(rates, 12):
        samples = rng.uniform(-0.5, 0.5, round(rate * rng.uniform(*seconds)))
        made.append((int(rate), samples.astype(np.float32)))
    return [*made, None]


def waves_in_files(sounds):
    files = []
    for rate, samples in sounds[:-1]:
        file = io.BytesIO()
        soundfile.write(file, samples, rate, format="WAV")
        files.append(file.getvalue())
    return [*files, None]


def clips(seed, n_frames, size, channels):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(*n_frames, 6)
    shapes = [(n, *size, channels) for n in lengths]
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes] + [None]


def moving(clips, milliseconds):
    files = []
    for clip in clips[:-1]:
        first, *others = map(Image.fromarray, clip)
        file = io.BytesIO()
        first.save(file, "GIF", save_all=True, append_images=others, duration=milliseconds)
        files.append(file.getvalue())
    return [*files, None]


def signals(seed, steps, scale, shape, dtype):
    rng = np.random.default_rng(seed)
    cells = [
        (scale * rng.normal(1, 1, (n, *shape))).astype(dtype) for n in rng.integers(*steps, 20)
    ]
    return [*cells, None]


def timed(seed, signals, interval):
    rng = np.random.default_rng(seed)
    times = [np.cumsum(rng.uniform(0.5, 1.5, len(signal))) * interval for signal in signals[:-1]]
    cells = column(signals)
    return Cells(("signal", "clock"), (*cells.columns, *column([*times, None]).columns))


CASES = {
    "pictures": (
        ImageModality(),
        column(pictures(0, (5, 9), 3, 1.0)),
        column(pictures(1, (12, 90), 4, 255.0)),
    ),
    "pictures by cross-entropy": (
        ImageModality(size=(6, 4), loss="cross-entropy"),
        column(pictures(0, (5, 9), 1, 1.0)),
        column(pictures(1, (12, 90), 4, 200.0)),
    ),
    "files of pictures": (
        ImageModality(),
        column(encoded(pictures(0, (5, 9), 1, 1.0), "PNG")),
        column(encoded(pictures(1, (12, 90), 4, 0.5), "WEBP")),
    ),
    "columns of pixels": (
        ImageModality(shape=(3, 4), loss="cross-entropy"),
        pixels(0, 0, 16),
        pixels(1, -5, 30, 0.2),
    ),
    "sounds": (
        AudioModality(),
        column(sounds(0, [8000, 11_025], (0.05, 0.2))),
        column(sounds(1, [16_000, 6000], (0.3, 0.9))),
    ),
    "files of sounds": (
        AudioModality(max_seconds=0.5),
        column(waves_in_files(sounds(0, [8000], (0.05, 0.2)))),
        column(waves_in_files(sounds(1, [16_000, 6000], (0.3, 0.9)))),
    ),
    "clips": (
        VideoModality(rate=10.0),
        column(clips(0, (3, 6), (6, 8), 1)),
        column(clips(1, (5, 30), (20, 14), 3)),
    ),
    "clips without a rate": (
        VideoModality(),
        column([None if clip is None else clip / 255 for clip in clips(0, (3, 6), (6, 8), 1)]),
        column([None if clip is None else clip * 1.0 for clip in clips(1, (5, 9), (5, 5), 3)]),
    ),
    "files of clips": (
        VideoModality(),
        column(moving(clips(0, (3, 6), (8, 8), 3), 100)),
        column(moving(clips(1, (5, 12), (20, 14), 3), 40)),
    ),
    "signals": (
        SequenceModality(max_steps=30),
        column(signals(0, (5, 25), 1, (), np.float32)),
        column(signals(1, (9, 80), 100, (1,), np.int64)),
    ),
    "signals of three channels": (
        SequenceModality(),
        column(signals(0, (5, 25), 1, (3,), np.float64)),
        column(signals(1, (9, 80), 100, (3,), np.float16)),
    ),
    "signals with times": (
        SequenceModality("clock", max_steps=16),
        timed(0, signals(0, (5, 25), 1, (2,), np.float64), 0.1),
        timed(1, signals(1, (9, 80), 100, (2,), np.float32), 3.0),
    ),
}


def learned(modality, cells, statistics):
    """Return what a modality learns of the rows."""
    modality = type(modality)(**modality.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that are unlike those that answered
        values = modality.fit_transform(cells, statistics)
    assert all(np.isfinite(tensor).all() for tensor in values.tensors.values())
    state = {name: value for name, value in vars(modality).items() if name.endswith("_")}
    assert state.keys() == modality.learned()
    return state


@pytest.mark.parametrize("case", CASES)
def test_other_rows_and_the_same_answers_make_the_same_modality(case):
    modality, cells, others = CASES[case]
    recording = Recording()
    expected = learned(modality, cells, recording)
    np.testing.assert_equal(learned(modality, others, Replaying(recording.answers)), expected)
    apart = learned(modality, others, Statistics())
    differing = [name for name in expected if repr(apart[name]) != repr(expected[name])]
    assert {"mean_", "scale_"} <= {*differing}, "the two sets of rows are to be unlike"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("case", CASES)
def test_answers_of_some_rows_and_of_the_others_merge(case, order):
    modality, *sets = CASES[case]
    for cells in sets:
        merged = learned(modality, cells, Merging(order))
        for name, value in learned(modality, cells, Statistics()).items():
            if isinstance(value, np.ndarray | float):
                # float32 is rounded to from what agrees to 1e-9.
                single = np.asarray(value).dtype == np.float32
                np.testing.assert_allclose(merged[name], value, rtol=2e-7 if single else 1e-9)
            else:
                assert merged[name] == value


@pytest.mark.parametrize("case", CASES)
def test_without_any_answer_nothing_is_learned(case):
    modality, cells, _ = CASES[case]
    nothing = [np.full(np.shape(c)[:1], None, object) for c in cells.columns]
    if modality.get_params().get("shape"):
        nothing = [np.full(len(c), np.nan) for c in cells.columns]
    with pytest.raises(CellError, match=r"no (image|pixel|sound|clip|signal) in any row"):
        modality.fit(Cells(cells.names, tuple(nothing)))
