"""Bad input is refused by name, odd input is read, and what was fitted before stays.

The numbers in brackets are those of the list of abuse cases that this file goes through.
"""

import copy
import hashlib
import io
import os
import re
import signal
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from skorch.helper import SliceDict

from sklearn_mmae import (
    CellError,
    ConvergenceError,
    DataWarning,
    DelayAligner,
    ImageModality,
    MultimodalAutoencoder,
    MultimodalVAE,
    TabularModality,
    TextModality,
)
from sklearn_mmae._core.errors import CellTypeError

N = 20
NUMBERS = np.random.default_rng(0).normal(size=(N, 4))
MODALITIES = [
    ("table", TabularModality(), ["size", "count", "colour", "yes", "day"]),
    ("words", TextModality(), ["caption"]),
    ("photo", ImageModality(), ["photo"]),
]


def new(**options):
    options = {"n_components": 2, "width": 4, "max_epochs": 1, "random_state": 0} | options
    return MultimodalAutoencoder(**options)


def rows():
    rng = np.random.default_rng(0)
    photos = np.empty(N, object)
    photos[:] = list(rng.integers(0, 256, (N, 8, 8)).astype(np.uint8))
    return pd.DataFrame(
        {
            "size": rng.normal(size=N),
            "count": np.arange(N) % 7,
            "colour": ["red", "blue"] * (N // 2),
            "yes": [True, False] * (N // 2),
            "day": pd.date_range("2024-01-01", periods=N),
            "caption": [f"word{i % 3} other{i % 4}" for i in range(N)],
            "photo": photos,
        }
    )


def with_cell(column, cell, row=3):
    """Return the rows with one cell replaced; a number keeps its column one of numbers."""
    frame, cells = rows(), np.empty(N, object)
    cells[:] = frame[column].tolist()
    cells[row] = cell
    still_numbers = column == "size" and isinstance(cell, float)
    frame[column] = cells.astype(float) if still_numbers else pd.Series(cells, dtype=object)
    return frame


def with_column(**columns):
    return rows().assign(**columns)


@pytest.fixture(scope="module")
def of_rows():
    return new(modalities=MODALITIES).fit(rows())


@pytest.fixture(scope="module")
def of_numbers():
    return new().fit(NUMBERS)


def refuses(mmae, call, X, error, *parts, good):
    """Assert the error and all it names, and that the fitted estimator is as it was."""
    before, codes = dict(vars(mmae)), mmae.transform(good)
    weights = {name: w.clone() for name, w in mmae.net_.module_.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # a warning may come before the error
        with pytest.raises(error) as caught:
            getattr(mmae, call)(X)
    message = str(caught.value)
    for part in parts:
        assert re.search(part, message), f"{part!r} is not in {message!r}"
    after = vars(mmae)
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())
    for name, weight in mmae.net_.module_.state_dict().items():
        assert torch.equal(weight, weights[name])
    assert_array_equal(mmae.transform(good), codes)


def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def png_that_claims(width, height):
    """Return a small picture whose header lies about its size."""
    data = bytearray(png(Image.new("L", (1, 1))))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


# Cells of a table (2-14, 59) ---------------------------------------------------------------------

REFUSED_IN_FIT = {
    "inf": (with_cell("size", np.inf), CellError, "table", "size", "row 3", "finite number"),
    "-inf": (with_cell("size", -np.inf), CellError, "table", "size", "row 3", "finite number"),
    "1e39": (with_cell("size", 1e39), CellError, "size", "row 3", "1e.39, too large for float32"),
    "1e308": (with_cell("size", 1e308), CellError, "size", "row 3", "too large for float32"),
    "complex": (with_column(size=np.arange(N) + 1j), CellTypeError, "table", "size", "complex128"),
    "durations": (
        with_column(size=pd.to_timedelta(np.arange(N), "D")),
        CellTypeError,
        *("table", "size", "durations", "total_seconds"),
    ),
    "bytes": (with_column(size=[b"1"] * N), CellTypeError, "table", "size", "row 0", "bytes"),
    "numbers and words": (
        with_cell("size", "a"),
        CellTypeError,
        *("table", "size", "rows 0, 3", "mixes numbers and strings", "one kind"),
    ),
    "a dict": (with_cell("size", {}), CellTypeError, "table", "size", "row 3", "dict"),
    "a list": (with_cell("size", [1, 2]), CellTypeError, "table", "size", "row 3", "list"),
    "periods": (
        with_column(day=pd.period_range("2024", periods=N, freq="D")),
        CellTypeError,
        *("table", "day", "row 0", "Period"),
    ),
    "dates with and without a zone": (
        with_column(
            day=pd.Series([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)] * 10).astype(
                object
            )
        ),
        CellError,
        *("table", "day", "do not go together", "time zone"),
    ),
    "text as numbers": (with_column(caption=range(N)), CellTypeError, "words", "caption", "int64"),
    "no word": (with_column(caption=[""] * N), CellError, "words", "caption", "no word", "Leave"),
    "no text (41)": (with_column(caption=[None] * N), CellError, "words", "caption", "Leave"),
    "no picture (41)": (with_column(photo=[None] * N), CellError, "photo", "no image", "Leave"),
    "no table (41)": (
        with_column(size=np.nan, count=np.nan, colour=None, yes=None, day=pd.NaT),
        ValueError,
        *("modality 'table'", "no row has anything", "drop"),
    ),
}


@pytest.mark.parametrize("case", REFUSED_IN_FIT)
def test_cells_that_fit_refuses(case, of_rows):
    X, error, *parts = REFUSED_IN_FIT[case]
    refuses(of_rows, "fit", X, error, *parts, good=rows())


REFUSED_LATER = {
    "inf": (with_cell("size", np.inf), CellError, "table", "size", "row 3", "finite"),
    "1e39": (with_cell("size", 1e39), CellError, "table", "size", "row 3", "too large"),
    "digit strings (13)": (
        with_column(size=[str(i) for i in range(N)]),
        CellTypeError,
        *("table", "size", "rows 0, 1, 2", "holds strings, but was learned as numbers"),
    ),
    "one digit string (13)": (with_cell("size", "7"), CellTypeError, "size", "rows 0, 3", "mixes"),
    "strings for dates": (
        with_column(day=["some day"] * N),
        CellTypeError,
        *("table", "day", "strings, but was learned as dates", "Give dates"),
    ),
    "strings for dates, month or day first": (
        with_column(day=["03/04/2024"] * N),
        CellTypeError,
        *("table", "day", "rows 0, 1, 2", "month and day", "2024-01-31"),
    ),
    "numbers for dates (11)": (with_column(day=range(N)), CellTypeError, "day", "numbers", "dates"),
    "dates for numbers (11)": (
        with_column(size=pd.date_range("2024", periods=N)),
        CellTypeError,
        *("table", "size", "dates, but was learned as numbers"),
    ),
    "int in text (55)": (
        with_cell("caption", 7),
        CellTypeError,
        *("words", "caption", "row 3", "holds int", "str"),
    ),
    "bytes in text (14)": (with_cell("caption", b"ab"), CellTypeError, "caption", "row 3", "bytes"),
    "a list in text (60)": (with_cell("caption", ["a"]), CellTypeError, "caption", "row 3", "list"),
    "a number for a picture": (
        with_cell("photo", 5),
        CellTypeError,
        "photo",
        "row 3",
        "int",
        "path",
    ),
    "a signal for a picture": (
        with_cell("photo", np.zeros(8)),
        CellError,
        "photo",
        "row 3",
        "shape 8",
    ),
    "channels first": (
        with_cell("photo", np.zeros((3, 8, 8))),
        CellError,
        *("photo", "row 3", "3x8x8", "moveaxis"),
    ),
    "a picture of nan": (with_cell("photo", np.full((8, 8), np.nan)), CellError, "row 3", "NaN"),
    "a complex picture": (with_cell("photo", np.zeros((8, 8), complex)), CellTypeError, "complex"),
    "an empty file (47)": (with_cell("photo", b""), CellError, "photo", "row 3", "empty"),
    "a cut file (46)": (
        with_cell("photo", png(Image.effect_noise((40, 40), 50))[:600]),
        CellError,
        *("modality 'photo', column 'photo', row 3", "cannot be read", "None where"),
    ),
    "a bomb (49)": (
        with_cell("photo", png_that_claims(30_000, 30_000)),
        CellError,
        *("photo", "row 3", "pixels"),
    ),
    "a quiet bomb (49)": (
        with_cell("photo", png_that_claims(8_000, 8_000)),
        CellError,
        *("photo", "row 3", "8000 x 8000 pixels", "max_pixels"),
    ),
    "EPS (50)": (with_cell("photo", b"%!PS-Adobe-3.0 EPSF-3.0\n"), CellError, "vector", "PNG"),
    "SVG (50)": (with_cell("photo", b"<svg xmlns='x'/>"), CellError, "row 3", "vector", "PNG"),
    "a URL (52)": (with_cell("photo", "http://a.b/c.png"), CellError, "row 3", "URL", "Download"),
    "no such file (52)": (
        with_cell("photo", "nowhere/cat.png"),
        CellError,
        *("modality 'photo', column 'photo', row 3", "no such file", "existing path, or None"),
    ),
    "a folder (52)": (with_cell("photo", os.curdir), CellError, "photo", "row 3", "folder"),
}


@pytest.mark.parametrize("case", REFUSED_LATER)
@pytest.mark.parametrize("call", ["transform", "partial_fit"])
def test_cells_that_a_fitted_estimator_refuses(case, call, of_rows):
    X, error, *parts = REFUSED_LATER[case]
    refuses(of_rows, call, X, error, *parts, good=rows())


def test_files_that_are_none(tmp_path, of_rows):
    """A text file called .png (48), a pipe (52), and a path out of the root (52)."""
    (tmp_path / "text.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    for name, problem in (("text.png", "no image that can be read"), ("pipe.png", "pipe")):
        X = with_cell("photo", str(tmp_path / name))
        refuses(of_rows, "transform", X, CellError, "row 3", name, problem, good=rows())
    inside = new(modalities=[("photo", ImageModality(root=tmp_path), ["photo"])])
    with pytest.raises(CellError, match=r"row 3.*out of root.*inside root"):
        inside.fit(with_cell("photo", "../secret.png"))


READ = {
    "a hole (1)": with_cell("size", np.nan),
    "no text (54)": with_cell("caption", None),
    "NaN for text (54)": with_cell("caption", np.nan),
    "pd.NA for text (54)": with_cell("caption", pd.NA),
    "empty text (53)": with_cell("caption", ""),
    "spaces (53)": with_cell("caption", "   "),
    "unknown words (53)": with_cell("caption", "qqq zzz"),
    "a lone surrogate (56)": with_cell("caption", "a\ud800b"),
    "NUL (56)": with_cell("caption", "a\0b"),
    "right to left (56)": with_cell("caption", "\u05e9\u05dc\u05d5\u05dd"),
    "emoji (56)": with_cell("caption", "\U0001f600 word1"),
    "another size (44)": with_cell("photo", np.zeros((5, 9), np.uint8)),
    "other channels (44)": with_cell("photo", np.zeros((5, 9, 3), np.uint8)),
    "CMYK (51)": with_cell("photo", Image.new("CMYK", (9, 9))),
    "a palette (51)": with_cell("photo", Image.new("P", (9, 9))),
    "16 bits (51)": with_cell("photo", Image.new("I;16", (9, 9))),
    "bytes of a file": with_cell("photo", png(Image.new("L", (9, 9)))),
    "no picture in any row (43)": with_column(photo=None),
    "no column of pictures (39)": rows().drop(columns="photo"),
    "reordered (33)": rows()[rows().columns[::-1]],
    "one more (40)": with_column(more=1),
    "whole numbers as floats": with_column(count=np.arange(N) * 1.0),
    "dates of another unit": with_column(day=rows()["day"].astype("datetime64[s]")),
    "dates as strings": with_column(day=rows()["day"].dt.strftime("%Y-%m-%d")),
    "an index of its own": rows().set_index(np.arange(N) * 7 % 5),
}


@pytest.mark.parametrize("case", READ)
def test_cells_that_are_odd_but_read(case, of_rows):
    assert np.isfinite(of_rows.transform(READ[case])).all()
    assert np.isfinite(of_rows.score_samples(READ[case])).all()


WARNED = {
    "unseen category (59)": (
        with_cell("colour", "green"),
        "'table', column 'colour', row 3: 'green' not seen in training; read as missing",
    ),
    "a row of nothing (42)": (
        rows()
        .astype(object)
        .assign(**{name: [None, *rows()[name].tolist()[1:]] for name in rows()}),
        "row 0: nothing is observed",
    ),
    "10 MB of text (56)": (
        with_cell("caption", "word1 " * 1_700_000),
        "'caption', row 3: longer than 1,000,000 characters",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_cells_that_are_read_with_a_warning(case, of_rows):
    X, message = WARNED[case]
    with pytest.warns(DataWarning, match=message):
        codes = of_rows.transform(X)
    assert np.isfinite(codes).all()


def test_pictures_of_another_unit_are_warned_of():
    """(45) 0..1 after 0..255."""
    photos = np.empty(N, object)
    photos[:] = list(np.random.default_rng(0).uniform(0, 255, (N, 8, 8)))
    frame = pd.DataFrame({"photo": photos})
    mmae = new().fit(frame)
    photos[:] = [photo / 255 for photo in photos]
    with pytest.warns(DataWarning, match=r"'photo', column 'photo', rows 0.*0\.\.1 for 0\.\.255"):
        mmae.transform(pd.DataFrame({"photo": photos}))


def test_an_unseen_category_is_a_hole(of_rows):
    with pytest.warns(DataWarning, match="green"):
        unseen = of_rows.transform(with_cell("colour", "green"))
    assert_array_equal(unseen, of_rows.transform(with_cell("colour", None)))


def test_a_picture_is_turned_as_its_exif_says(of_rows):
    """(51)."""
    picture = Image.fromarray(np.repeat(np.arange(8, dtype=np.uint8) * 30, 8).reshape(8, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    turned = of_rows.transform(with_cell("photo", file.getvalue()))
    assert_array_equal(turned, of_rows.transform(with_cell("photo", picture.rotate(180))))


# Numbers that are odd but fine (6-9, 15, 18-21) --------------------------------------------------

LAYOUTS = {
    "big-endian": NUMBERS.astype(">f8"),
    "negative strides": NUMBERS[::-1, ::-1][::-1, ::-1],
    "Fortran": np.asfortranarray(NUMBERS),
    "objects": NUMBERS.astype(object),
    "lists": NUMBERS.tolist(),
    "tensor": torch.tensor(NUMBERS),
    "tensor with a gradient": torch.tensor(NUMBERS, requires_grad=True),
    "CSR matrix": sp.csr_matrix(NUMBERS),
    "CSR array": sp.csr_array(NUMBERS),
    "COO array": sp.coo_array(NUMBERS),
    "CSC array": sp.csc_array(NUMBERS),
    "DOK array": sp.dok_array(NUMBERS),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_the_same_numbers_gives_the_same_vectors(layout, of_numbers):
    again = new().fit(LAYOUTS[layout])
    assert_allclose(again.transform(NUMBERS), of_numbers.transform(NUMBERS), atol=1e-6)
    assert_array_equal(of_numbers.transform(LAYOUTS[layout]), of_numbers.transform(NUMBERS))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_read_only_numbers(dtype, order):
    X = np.array(NUMBERS, dtype, order=order)
    codes = new().fit_transform(X)
    X.flags.writeable = False
    assert_array_equal(new().fit_transform(X), codes)
    assert_array_equal(new().fit(X[::-1]).transform(X[::-1]), new().fit_transform(X[::-1].copy()))


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "longdouble", "int8", "uint8", "int64", "bool"]
)
def test_any_kind_of_numbers(dtype):
    X = np.abs(10 * NUMBERS).astype(dtype)
    mmae = new().fit(X)
    assert np.isfinite(mmae.transform(X)).all()
    assert mmae.inverse_transform(mmae.transform(X)).dtype == dtype


@pytest.mark.parametrize(
    "X",
    [
        np.where(np.eye(N, 4) > 0, 1e30, NUMBERS),
        np.ones((N, 3)),
        np.full((100, 3), 0.1),
        np.zeros((N, 3)),
        NUMBERS[:1],
        NUMBERS[:2],
    ],
    ids=["1e30", "constant", "nearly constant", "zero", "one row (24)", "two rows"],
)
def test_degenerate_numbers_fit(X):
    mmae = new().fit(X)
    codes = mmae.transform(X)
    assert np.isfinite(codes).all()
    assert np.isfinite(mmae.inverse_transform(codes)).all()


def test_what_is_masked_is_missing(of_numbers):
    """(15)."""
    masked = np.ma.masked_greater(NUMBERS, 1)
    holes = np.where(NUMBERS > 1, np.nan, NUMBERS)
    for array in (masked, masked.astype(object), masked.astype(np.float32)):
        assert_allclose(of_numbers.transform(array), of_numbers.transform(holes), atol=1e-5)
    rounded = np.ma.masked_greater(np.round(NUMBERS).astype(int), 1)
    as_holes = np.where(rounded.mask, np.nan, np.round(NUMBERS))
    assert_array_equal(of_numbers.transform(rounded), of_numbers.transform(as_holes))
    days = np.ma.array(rows()[["day"]].to_numpy(), mask=np.eye(N, 1))
    mmae = new().fit(days)
    assert mmae.modalities_[0][1].n_observed_ == N - 1
    cells = new().fit(SliceDict(a=masked)).transform(SliceDict(a=masked))
    assert_allclose(cells, new().fit(SliceDict(a=holes)).transform(SliceDict(a=holes)), atol=1e-5)


def test_dates_in_an_array_stay_dates():
    """(11)."""
    days = np.datetime64("2024-01-01") + np.arange(N)[:, None] * [1, 3]
    mmae = new(max_epochs=0).fit(days)
    back = mmae.inverse_transform(mmae.transform(days))
    assert back.dtype == days.dtype
    assert np.abs(back - days).max() <= np.timedelta64(1, "D")


def test_a_column_without_any_cell_is_warned_of_and_comes_back_empty():
    X = np.where(np.arange(4) == 1, np.nan, NUMBERS)
    with pytest.warns(DataWarning, match=r"'tabular', column 1: no cell is observed"):
        mmae = new().fit(X)
    codes = mmae.transform(X)
    assert np.isfinite(codes).all()
    assert_array_equal(np.isnan(mmae.inverse_transform(codes)).all(0), np.arange(4) == 1)


# Containers and shapes (10, 12, 14, 16, 17, 22-38) -----------------------------------------------

TWO_LEVELS = pd.MultiIndex.from_product([["a", "b"], ["x", "y"]])


class Dask:
    """Looks like a dask collection."""

    dask = {}

    def __len__(self):
        return N

    def compute(self):
        return NUMBERS


ROW = sp.coo_array(NUMBERS[:, 0])  # of two axes before SciPy 1.13
CONTAINERS = {
    "zero rows (22)": (NUMBERS[:0], ValueError, r"0 sample\(s\)", "minimum of 1"),
    "a frame of zero rows (22)": (rows()[:0], ValueError, r"0 sample\(s\)"),
    "zero columns (23)": (NUMBERS[:, :0], ValueError, r"0 feature\(s\)"),
    "an empty frame (23)": (pd.DataFrame(), ValueError, r"0 feature\(s\)"),
    "one dimension (25)": (NUMBERS[:, 0], ValueError, "Expected 2D array", "reshape"),
    "a Series (25)": (pd.Series(NUMBERS[:, 0]), ValueError, "Series", "DataFrame"),
    "a polars Series (25)": (pl.Series(NUMBERS[:, 0]), TypeError, "Series", r"to_frame\(\)"),
    "three dimensions (26)": (NUMBERS[None], ValueError, "dim 3"),
    "a number (27)": (3.0, TypeError, "float", "DataFrame"),
    "None (27)": (None, TypeError, "None", "DataFrame"),
    "text (27)": ("rows.csv", TypeError, "str", "DataFrame"),
    "a set (27)": ({1, 2}, TypeError, "set", "DataFrame"),
    "ragged rows (28)": (
        [[1, 2], [3]],
        ValueError,
        "different lengths",
        "None where one is missing",
    ),
    "a dict (29)": (
        {"a": NUMBERS, "b": [1, 2]},
        TypeError,
        *("dict", "'a': 20, 'b': 2", "as_frame", "SliceDict"),
    ),
    "a list of arrays (30)": ([NUMBERS, NUMBERS], TypeError, "list of 2 arrays", "SliceDict"),
    "a tuple of frames (30)": ((rows(), rows()), TypeError, "tuple of 2 arrays", "DataFrame"),
    "a list of dicts (30)": ([{"a": 1}] * N, TypeError, "list of dicts", r"pandas.DataFrame\(X\)"),
    "a generator (31)": ((row for row in NUMBERS), TypeError, "generator", "DataFrame"),
    "columns of one name (33)": (
        pd.DataFrame(NUMBERS, columns=list("aabc")),
        ValueError,
        *("'a'", "more than once", "Rename"),
    ),
    "two levels of names (34)": (
        pd.DataFrame(NUMBERS, columns=TWO_LEVELS),
        TypeError,
        *("MultiIndex", "Flatten", "X.columns ="),
    ),
    "names of two types": (
        pd.DataFrame(NUMBERS, columns=["a", "b", 1, 2]),
        TypeError,
        "astype.str",
    ),
    "a LazyFrame (35)": (
        pl.DataFrame({"a": [1.0]}).lazy(),
        TypeError,
        *("LazyFrame", r"\.collect\(\)"),
    ),
    "dask (36)": (Dask(), TypeError, "dask", r"\.compute\(\)"),
    "complex (10)": (NUMBERS + 1j, ValueError, "Complex data not supported"),
    "durations (12)": (np.full((N, 2), 3, "m8[D]"), TypeError, "timedelta64", "numbers"),
    "bytes (14)": (np.array([[b"1", b"2"]] * N), ValueError, "bytes", "Convert"),
    "bytes as objects (14)": (np.array([[b"1"]] * N, object), CellTypeError, "column 0", "bytes"),
    "a matrix (16)": (np.matrix(NUMBERS), TypeError, "np.matrix", "asarray"),
    "a structured array (17)": (
        np.zeros(N, [("a", float), ("b", int)]),
        TypeError,
        *("structured", r"pandas.DataFrame\(X\)"),
    ),
    **({"a sparse row (18)": (ROW, ValueError, "Expected 2D", "reshape")} if ROW.ndim == 1 else {}),
    "sparse inf (18)": (
        sp.csr_array(np.where(np.eye(N, 4) > 0, np.inf, NUMBERS)),
        CellError,
        *("'tabular', column 0, row 0", "inf", "finite"),
    ),
    "inf (2)": (
        np.where(np.eye(N, 4) > 0, np.inf, NUMBERS),
        CellError,
        "column 0, row 0",
        "finite",
    ),
    "float32 inf (2)": (
        np.where(np.eye(N, 4) > 0, -np.inf, NUMBERS).astype(np.float32),
        CellError,
        *("column 0, row 0", "finite"),
    ),
    "1e39 (4)": (np.where(np.eye(N, 4) > 0, 1e39, NUMBERS), CellError, "row 0", "too large"),
    "only NaN (41)": (np.full((N, 2), np.nan), ValueError, "'tabular'", "no row has anything"),
    "lists of words in cells (60)": (
        pd.DataFrame({"signal": [["up"] * (i + 1) for i in range(N)]}),
        CellTypeError,
        *("column 'signal', row 0", "list", "modalities="),
    ),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_containers_that_fit_refuses(case, of_numbers):
    X, error, *parts = CONTAINERS[case]
    refuses(of_numbers, "fit", X, error, *parts, good=NUMBERS)


NOT_AS_IN_FIT = {
    "narrower (32)": (NUMBERS[:, :3], ValueError, "3 features", "expecting 4"),
    "wider (32)": (np.c_[NUMBERS, NUMBERS], ValueError, "8 features", "expecting 4"),
    "zero rows (22)": (NUMBERS[:0], ValueError, r"0 sample\(s\)"),
    "strings": (NUMBERS.astype(str), CellTypeError, "column 0", "strings", "learned as numbers"),
    "dates": (
        np.full((3, 4), "2024-01-01", "M8[D]"),
        CellTypeError,
        *("column 0", "dates, but was learned as numbers"),
    ),
    "inf": (np.where(np.eye(N, 4) > 0, np.inf, NUMBERS), CellError, "column 0, row 0", "finite"),
}


@pytest.mark.parametrize("case", NOT_AS_IN_FIT)
def test_arrays_that_are_not_as_in_fit(case, of_numbers):
    X, error, *parts = NOT_AS_IN_FIT[case]
    refuses(of_numbers, "transform", X, error, *parts, good=NUMBERS)


COLUMNS_NOT_AS_IN_FIT = {
    "renamed (33)": (rows().rename(columns={"size": "sizes"}), "unseen.*sizes", "missing.*size"),
    "twice (33)": (pd.concat([rows(), rows()[["size"]]], axis=1), "'size'.*more than once"),
    "all others": (pd.DataFrame({"other": [1.0]}), "unseen.*other"),
}


@pytest.mark.parametrize("case", COLUMNS_NOT_AS_IN_FIT)
@pytest.mark.parametrize("call", ["transform", "impute", "score_samples", "partial_fit"])
def test_columns_that_are_not_as_in_fit(case, call, of_rows):
    X, *parts = COLUMNS_NOT_AS_IN_FIT[case]
    refuses(of_rows, call, X, ValueError, *(f"(?s){part}" for part in parts), good=rows())


def test_fit_again_with_other_columns_forgets_the_first(of_rows):
    """(67)."""
    mmae = new().fit(rows()[["size", "count"]])
    mmae.fit(NUMBERS)
    assert mmae.n_features_in_ == 4
    assert not hasattr(mmae, "feature_names_in_")
    assert_array_equal(mmae.transform(NUMBERS), new().fit_transform(NUMBERS))


@pytest.mark.parametrize("y", [[1, 2], np.full(N, np.nan), "y", rows()])
def test_y_is_not_looked_at(y, of_numbers):
    """(37)."""
    assert_array_equal(new().fit(NUMBERS, y).transform(NUMBERS), of_numbers.transform(NUMBERS))


def test_a_last_batch_of_one_row():
    """(38)."""
    assert np.isfinite(new(batch_size=N - 1, early_stopping=False).fit_transform(NUMBERS)).all()


# Parameters (61-66) ------------------------------------------------------------------------------

BAD_PARAMETERS = [
    ("n_components", 0, r"n_components.*\[1"),
    ("n_components", 2.5, "n_components.*int"),
    ("n_components", "8", "n_components.*int"),
    ("n_components", True, "n_components=True.*whole number"),
    ("n_components", 10**9, "n_components=1000000000.*GiB.*smaller"),
    ("width", 10**9, "width=1000000000.*GiB.*smaller"),
    ("width", True, "width=True.*whole number"),
    ("lr", -1, "lr"),
    ("lr", 0, "lr"),
    ("lr", np.nan, "lr.*nan"),
    ("lr", np.inf, "lr.*inf"),
    ("device", "gpu", "device='gpu'.*auto, cpu"),
    ("device", "cuda:99", "device='cuda:99'.*auto, cpu"),
    ("device", "meta", "device='meta'.*auto, cpu"),
    ("device", 7, "device"),
    ("random_state", -1, "random_state"),
    ("random_state", "a", "random_state"),
    ("fusion", "jiont", "fusion.*'joint'"),
    ("fusion", TabularModality(), "fusion"),
    ("init", "pca", "init.*'linear'"),
    ("extra_terms", {"agreement": -1}, "extra_terms.*'agreement': -1.*weight from 0"),
    ("extra_terms", "agree", "extra_terms.*no term 'agree'.*'agreement'"),
    ("modality_dropout", 1, "modality_dropout"),
    ("noise", -1, "noise"),
    ("noise", np.nan, "noise"),
    ("dropout", 1.0, "dropout"),
    ("max_epochs", -1, "max_epochs"),
    ("max_epochs", 1.5, "max_epochs"),
    ("batch_size", 0, "batch_size"),
    ("batch_size", -1, "batch_size"),
    ("optimizer", "adamm", "optimizer.*'adam'"),
    ("optimizer", dict, "optimizer=dict.*'adam'"),
    ("optimizer", torch.optim.LBFGS, "optimizer=LBFGS.*'adam'"),
    ("weight_decay", -1, "weight_decay"),
    ("early_stopping", "yes", "early_stopping"),
    ("validation_fraction", 1, "validation_fraction"),
    ("n_iter_no_change", 0, "n_iter_no_change"),
    ("callbacks", [print], "callbacks.*print.*skorch"),
    ("verbose", -1, "verbose"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_PARAMETERS)
def test_parameters_that_are_refused(name, value, message, of_numbers):
    fitted_value = getattr(of_numbers, name)
    of_numbers.set_params(**{name: value})
    try:
        refuses(of_numbers, "fit", NUMBERS, ValueError, message, good=NUMBERS)
    finally:
        of_numbers.set_params(**{name: fitted_value})


def test_more_components_than_columns():
    assert new(n_components=9).fit_transform(NUMBERS).shape == (N, 9)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda encodings, present: encodings, r"fusion <lambda> returned shape .*expected"),
        (lambda encodings, present: None, r"fusion <lambda> returned a NoneType"),
        (
            lambda encodings, present: (
                encodings.mean(-3).expand(*present.shape[:-2], -1, -1) * np.nan
            ),
            "not finite",
        ),
    ],
)
def test_a_fusion_that_gives_no_vectors(function, message):
    mmae = new(fusion=function)
    with pytest.raises(ValueError, match=message):
        mmae.fit(rows())
    assert not hasattr(mmae, "net_")


SIZE = ["size"]
BAD_LISTS = {
    "a wrong name": ([("a", TabularModality(), ["sise"])], "'a': no column 'sise'.*mean 'size'"),
    "no column": ([("a", TabularModality(), [])], "'a' matches no column.*'drop'"),
    "a callable of no column": ([("a", TabularModality(), lambda X: [])], "'a' matches no column"),
    "None": ([("a", TabularModality(), None)], "'a': columns=None"),
    "True": ([("a", TabularModality(), True)], "'a': columns=True"),
    "a position outside": ([("a", TabularModality(), [99])], "'a': position 99.*7 columns"),
    "a short mask": ([("a", TabularModality(), [True, False])], "'a': the mask has 2.*7"),
    "a wrong slice": ([("a", TabularModality(), slice("size", "x"))], "'a': no column 'x'"),
    "a name for a modality": ([("a", "tabular", SIZE)], r"'a': 'tabular'.*TabularModality\(\)"),
    "a class": ([("a", TabularModality, SIZE)], r"'a': TabularModality is a class"),
    "a number": ([("a", 3, SIZE)], "'a': a int is no Modality"),
    "a pair": ([("a", TabularModality())], r"modalities\[0\].*\(name, modality, columns\)"),
    "a name that is none": ([(3, TabularModality(), SIZE)], r"modalities\[0\]"),
    "an empty name": ([("", TabularModality(), SIZE)], r"modalities\[0\] has an empty name"),
    "one name twice (65)": (
        [("a", TabularModality(), SIZE), ("a", TabularModality(), ["count"])],
        "not unique.*'a'",
    ),
    "two underscores (65)": ([("a__b", TabularModality(), SIZE)], "a__b"),
    "the name of a parameter (65)": ([("noise", TabularModality(), SIZE)], "noise"),
    "a column in two": (
        [("a", TabularModality(), SIZE), ("b", TabularModality(), SIZE)],
        "'size' belongs to modality 'b' and to 'a'",
    ),
    "a column twice": ([("a", TabularModality(), SIZE * 2)], "'size' belongs.*'a' twice"),
    "nothing": ([], "modalities is empty"),
    "all dropped": ([("a", "drop", SIZE)], "nothing is left"),
    "numbers as text": ([("a", TextModality(), SIZE)], "'a', column 'size'.*str"),
    "two columns of text": (
        [("a", TextModality(), ["caption", "colour"])],
        "'a'.*one column, not 2",
    ),
    "text as pictures": (
        [("a", ImageModality(), ["caption"])],
        "'a', column 'caption', row 0: no such",
    ),
    "pictures as numbers": ([("a", TabularModality(), ["photo"])], "'a', column 'photo', row 0"),
    "a parameter of a table": (
        [("a", TabularModality(max_categories=1), SIZE)],
        "'a': max_categories=1.*at least 2",
    ),
    "a scale": ([("a", TabularModality(scale="colum"), SIZE)], "'a': scale='colum'.*'column'"),
    "a parameter of text": ([("a", TextModality(decoder="x"), ["caption"])], "'a': decoder='x'"),
    "a vocabulary of 0": (
        [("a", TextModality(max_features=0), ["caption"])],
        "'a': .*max_features",
    ),
    "a parameter of pictures": ([("a", ImageModality(size=0), ["photo"])], "'a': size=0"),
    "'automatic'": ("automatic", "'auto'"),
    "None for all": (None, "'auto'"),
    "a dict": ({"a": SIZE}, "'auto'.*list"),
}


@pytest.mark.parametrize("case", BAD_LISTS)
def test_modalities_that_are_refused(case, of_rows):
    modalities, message = BAD_LISTS[case]
    of_rows.set_params(modalities=modalities)
    try:
        refuses(of_rows, "fit", rows(), (ValueError, TypeError), message, good=rows())
    finally:
        of_rows.set_params(modalities=MODALITIES)


@pytest.mark.parametrize(
    ("modalities", "name", "message"),
    [
        (MODALITIES, "photo__sise", "'sise'.*'size'"),
        (MODALITIES, "phto__size", "(?s)'phto'.*'photo'"),
        (MODALITIES, "compnents", "(?s)'compnents'.*'n_components'"),
        ("auto", "photo__size", "(?s)'photo'.*modalities='auto'.*modalities_"),
    ],
)
def test_a_misspelt_parameter_lists_the_right_ones(modalities, name, message):
    """(66)."""
    with pytest.raises(ValueError, match=message):
        new(modalities=modalities).set_params(**{name: 3})


# Vectors and names of modalities (68, 69) --------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    ["transform", "inverse_transform", "impute", "reconstruct", "score", "score_samples"],
)
def test_nothing_is_done_before_fit(call):
    with pytest.raises(NotFittedError):
        getattr(new(), call)(NUMBERS)


def test_neither_translate_nor_save_before_fit(tmp_path):
    with pytest.raises(NotFittedError):
        new().translate(NUMBERS, to="table")
    with pytest.raises(NotFittedError):
        new().save(tmp_path / "model.mmae")


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros((3, 5)), "5 columns.*2.*transform"),
        (np.full((3, 2), np.nan), "NaN"),
        (np.full((3, 2), np.inf), "infinity"),
        (np.zeros(2), "Expected 2D"),
        (np.zeros((0, 2)), r"0 sample\(s\)"),
        ([["a", "b"]], "string"),
        (np.full((3, 2), 3.4e38), "row 0, 1, 2.*not finite"),
    ],
)
def test_vectors_that_do_not_come_back(Z, message, of_numbers):
    refuses(of_numbers, "inverse_transform", Z, ValueError, message, good=NUMBERS)


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("phto", "to='phto'.*Did you mean 'photo'.*'table', 'words', 'photo'"),
        (3, "to=3 is no modality"),
        ([], "Name at least one"),
        (["table", "words", "photo"], "leave at least one"),
    ],
)
def test_modalities_that_cannot_be_translated_to(to, message, of_rows):
    with pytest.raises(ValueError, match=message):
        of_rows.translate(rows(), to=to)


# Training (70-80) --------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("X", [NUMBERS, rows()], ids=["numbers", "rows"])
def test_training_that_diverges_says_when_and_where(X, early_stopping):
    """(70, 71)."""
    mmae = new(lr=1e6, max_epochs=30, early_stopping=early_stopping, optimizer="sgd")
    with pytest.raises(
        ConvergenceError, match=r"loss of modality '.*' is nan in epoch \d+.*Lower lr"
    ):
        mmae.fit(X)
    assert not hasattr(mmae, "net_")


def test_diverging_again_keeps_the_first_fit(of_numbers):
    of_numbers.set_params(lr=1e30, max_epochs=30)
    try:
        refuses(of_numbers, "fit", NUMBERS, ConvergenceError, "epoch", good=NUMBERS)
    finally:
        of_numbers.set_params(lr=2e-3, max_epochs=1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_search_survives_a_candidate_that_diverges():
    """(70)."""
    mmae = new(optimizer="sgd", max_epochs=10)
    search = GridSearchCV(mmae, {"lr": [1e-3, 1e30]}, cv=2, error_score=np.nan).fit(NUMBERS)
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [False, True])
    assert search.best_params_ == {"lr": 1e-3}


class Raises(Callback):
    """Raises in an epoch."""

    def __init__(self, error, epoch=2):
        self.error, self.epoch = error, epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) >= self.epoch:
            raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("mine"), MemoryError(), KeyboardInterrupt(), OSError(28, "full")]
)
def test_an_interrupted_refit_keeps_the_first_fit(error, of_numbers):
    """(72, 73, 75)."""
    of_numbers.set_params(callbacks=[Raises(error)], max_epochs=5)
    try:
        refuses(of_numbers, "fit", NUMBERS, type(error), good=NUMBERS)
    finally:
        of_numbers.set_params(callbacks=None, max_epochs=1)


def test_ctrl_c_keeps_the_best_epoch_of_a_first_fit(ctrl_c):
    """(72)."""

    class PressesCtrlC(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                signal.raise_signal(signal.SIGINT)

    mmae = new(callbacks=[PressesCtrlC()], max_epochs=10)
    with pytest.raises(KeyboardInterrupt):
        mmae.fit(NUMBERS)
    assert np.isfinite(mmae.transform(NUMBERS)).all()
    assert mmae.n_iter_ < 10


def test_ctrl_c_stops_a_search():
    """(72)."""
    search = GridSearchCV(
        new(callbacks=[Raises(KeyboardInterrupt(), 1)]), {"noise": [0, 0.1]}, cv=2
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(NUMBERS)


def test_any_other_error_of_a_callback_leaves_nothing_behind():
    """(75)."""
    mmae = new(callbacks=[Raises(RuntimeError("mine"))], max_epochs=5)
    with pytest.raises(RuntimeError, match="mine"):
        mmae.fit(NUMBERS)
    assert not [name for name in vars(mmae) if name.endswith("_")]


def test_fits_in_threads_give_the_same_bits(of_numbers):
    """(77, 78): four fits at once, while another estimator transforms."""
    done, odd = threading.Event(), []
    codes = of_numbers.transform(NUMBERS)

    def transform_all_the_while():
        while not done.is_set():
            if not np.array_equal(of_numbers.transform(NUMBERS), codes):
                odd.append(1)

    watcher = threading.Thread(target=transform_all_the_while)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            fitted = list(
                pool.map(lambda _: new(max_epochs=3, dropout=0.5).fit_transform(NUMBERS), range(4))
            )
    finally:
        done.set()
        watcher.join()
    assert not odd
    for other in fitted[1:]:
        assert_array_equal(other, fitted[0])


def test_nothing_of_the_callers_is_changed():
    """(79, 80)."""

    def state():
        return (
            torch.get_rng_state().numpy().tobytes(),
            np.random.get_state()[1].tobytes(),
            __import__("random").getstate(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            hashlib.sha256(X.tobytes()).hexdigest(),
            pd.util.hash_pandas_object(frame.drop(columns="photo")).sum(),
            b"".join(photo.tobytes() for photo in frame["photo"]),
        )

    X, frame = NUMBERS.astype(np.float32), rows()
    before = state()
    for table in (X, frame):
        mmae = new(random_state=None, max_epochs=2).fit(table)
        mmae.partial_fit(table)
        mmae.set_params(warm_start=True).fit(table)
        mmae.inverse_transform(mmae.transform(table))
        mmae.impute(table)
        mmae.score(table)
    assert state() == before


class KillsItsProcess(Callback):
    """Dies as a worker does that runs out of memory."""

    def on_epoch_begin(self, net, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_worker_is_an_error():
    """(74)."""
    with pytest.raises(TerminatedWorkerError):
        Parallel(n_jobs=2)([delayed(new(callbacks=[KillsItsProcess()]).fit)(NUMBERS)])


@pytest.mark.parametrize(
    "use",
    [
        lambda mmae, X: mmae.transform(X),
        lambda mmae, X: mmae.set_output(transform="pandas").transform(X),
        lambda mmae, X: mmae.reconstruct(X),
        lambda mmae, X: mmae.impute(X),
        lambda mmae, X: mmae.translate(X, to="right"),
        lambda mmae, X: mmae.score(X),
        lambda mmae, X: mmae.score_samples(X),
        lambda mmae, X: mmae.predict_interval(X),
        lambda mmae, X: mmae.posterior(X),
        lambda mmae, X: mmae.sample(given=X),
        lambda mmae, X: mmae.translate(X, to="right", n_draws=2),
        lambda mmae, X: mmae.impute(X, n_draws=2),
        lambda mmae, X: mmae.score_samples(X, by_modality=True),
        lambda mmae, X: make_pipeline(mmae).transform(X),
        lambda mmae, X: cross_val_score(mmae, X, cv=2),
        lambda mmae, X: clone(mmae).fit(X),
        lambda mmae, X: DelayAligner(max_lag=2).fit(np.c_[X[:, 2], np.ones(N)]),
    ],
)
def test_a_warning_points_at_the_line_of_the_caller(use, a_vae):
    X = NUMBERS.copy()
    X[3] = np.nan
    X[:, 1] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use(copy.deepcopy(a_vae), X)
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}


@pytest.fixture(scope="module")
def a_vae():
    halves = [("left", TabularModality(), [0, 1]), ("right", TabularModality(), [2, 3])]
    return MultimodalVAE(halves, 2, width=4, max_epochs=1, random_state=0).fit(NUMBERS)
