"""Pictures: read from anything, refused with a reason, learned, and brought back."""

import io
import os
import struct
import warnings
import zlib
from contextlib import contextmanager, suppress
from time import process_time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sklearn_mmae._core.errors import CellError, CellTypeError, DataWarning
from sklearn_mmae.modalities._pictures import decode, describe
from sklearn_mmae.modalities.image._modality import ImageModality
from sklearn_mmae.nn._blocks import initialise
from sklearn_mmae.tables._cells import Cells


def column(*cells):
    array = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        array[i] = cell
    return Cells(("photo",), (array,))


def stacked(pictures):
    return Cells(("photo",), (pictures,))


def random_pictures(n_rows, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n_rows, *shape)).astype(np.uint8)


def encoded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_header(width, height):
    """Return a PNG whose header promises a size, and whose data are missing."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def read(modality, cells):
    """Fit, transform, and give back the pictures as arrays."""
    values = modality.fit(cells).transform(cells)
    return modality.inverse_transform(values.tensors["pixels"].astype(np.float32))[0]


def build(modality, seed=0, **options):
    options = {"n_components": 4, "width": 16, "dropout": 0.0} | options
    network = modality.network(**options)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def as_tensors(values):
    return {name: torch.from_numpy(array) for name, array in values.tensors.items()}


# Reading


def test_every_way_to_give_a_picture_reads_the_same(tmp_path):
    array = random_pictures(1, 9, 7, 3)[0]
    picture = Image.fromarray(array)
    path = tmp_path / "a.png"
    picture.save(path)
    cells = column(str(path), path, path.read_bytes(), bytearray(path.read_bytes()), picture, array)
    modality = ImageModality()
    for back in read(modality, cells):
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, array)
    assert (modality.size_, modality.mode_) == ((9, 7), "RGB")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG"])
def test_every_format(kind):
    array = np.full((6, 5, 3), (250, 40, 10), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    back = read(ImageModality(mode="RGB"), column(encoded(Image.fromarray(array), kind, **options)))
    np.testing.assert_allclose(back[0].astype(int), array, atol=3)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "L"),
        ("L", "L"),
        ("LA", "L"),
        ("P", "RGB"),
        ("RGB", "RGB"),
        ("RGBA", "RGB"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("HSV", "RGB"),
        ("I", "L"),
        ("F", "L"),
        ("I;16", "L"),
    ],
)
def test_every_pillow_mode(mode, expected):
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[:, :4] = (255, 0, 0) if expected == "RGB" else 255
    if mode == "I;16":
        picture = Image.fromarray(colour[..., 0] * np.uint16(257))
    else:
        picture = Image.fromarray(colour).convert(mode)
    modality = ImageModality()
    back = read(modality, column(picture))[0]
    assert modality.mode_ == expected
    expected = colour if expected == "RGB" else colour[..., 0]
    np.testing.assert_allclose(back.astype(int), expected, atol=mode == "YCbCr")


def test_transparency_counts_only_where_it_is_used():
    half = np.full((4, 4, 4), 255, np.uint8)
    half[:2, :, 3] = 0
    palette = Image.fromarray(half).quantize(4)
    for transparent in (half, encoded(Image.fromarray(half)), palette):
        modality = ImageModality()
        back = read(modality, column(transparent))[0]
        assert modality.mode_ == "RGBA"
        np.testing.assert_array_equal(back[..., 3], half[..., 3])
    half[..., :3] = 0
    over_white = read(ImageModality(mode="L"), column(half))[0]
    np.testing.assert_array_equal(over_white, 255 - half[..., 3])


def test_a_picture_is_turned_as_its_exif_says():
    array = np.zeros((8, 16, 3), np.uint8)
    array[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    for kind in ("PNG", "TIFF"):
        modality = ImageModality()
        back = read(modality, column(encoded(Image.fromarray(array), kind, exif=exif)))[0]
        assert modality.size_ == (16, 8)
        np.testing.assert_array_equal(back, np.rot90(array, -1))
    jpeg = encoded(Image.fromarray(array), "JPEG", exif=exif, quality=100)
    assert ImageModality().fit(column(jpeg)).size_ == (16, 8)


def test_a_first_look_decodes_no_pixels_and_sees_what_comes_after_them():
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(Image.fromarray(np.zeros((20, 30, 3), np.uint8)), "PNG")
    chunk = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    late = plain[:-12] + chunk + plain[-12:]  # before the end, after the pixels
    for picture, size in ((plain, (20, 30)), (late, (30, 20))):
        assert describe(picture, max_pixels=10**6)[:2] == size
    assert not (Image.open(io.BytesIO(late)).info.get("exif"))  # Pillow does not know it yet
    at = plain.index(b"IDAT") + 4
    broken = plain[:at] + b"\0" * 8 + plain[at + 8 :]
    assert describe(broken, max_pixels=10**6)[:2] == (20, 30)
    with pytest.raises(CellError, match="cannot be read"):
        decode(broken, mode="RGB", size=(20, 30), units={}, max_pixels=10**6)


def test_the_first_frame_of_a_gif():
    frames = [Image.new("L", (4, 4), value) for value in (200, 10)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (read(ImageModality(), column(gif))[0] == 200).all()


@pytest.mark.parametrize(
    "scaled",
    [
        lambda p: p / 255,
        lambda p: (p / 255).astype(np.float32),
        lambda p: p.astype(np.float64),
        lambda p: p.astype(np.int64),
        lambda p: p.astype(np.uint16) * 257,
        lambda p: p[..., None],
    ],
)
def test_arrays_of_other_ranges_are_brought_to_uint8(scaled):
    pictures = random_pictures(3, 9, 6)
    pictures[0, 0, 0] = 255
    for cells in (stacked(scaled(pictures)), column(*scaled(pictures))):
        np.testing.assert_array_equal(np.stack(read(ImageModality(), cells)), pictures)


def test_bools_are_black_and_white():
    picture = np.eye(5, dtype=bool)
    np.testing.assert_array_equal(read(ImageModality(), column(picture))[0], picture * 255)


@pytest.mark.parametrize(("before", "after"), [(255, 1), (1, 255)])
def test_another_range_than_in_fit_warns_once_and_names_the_rows(before, after):
    pictures = np.random.default_rng(0).random((6, 9, 9))
    modality = ImageModality().fit(stacked(pictures * before))
    mixed = pictures * before
    mixed[[2, 5]] = pictures[[2, 5]] * after
    mixed[0] = 0  # black is black in any range
    with pytest.warns(DataWarning, match=r"'photo', rows 2, 5") as caught:
        modality.transform(stacked(mixed))
    assert len(caught) == 1


def test_a_wild_range_is_refused():
    with pytest.raises(CellError, match=r"'photo'.*-5 to 900.*0\.\.255"):
        ImageModality().fit(column(np.linspace(-5, 900, 64).reshape(8, 8)))
    modality = ImageModality().fit(stacked(np.random.default_rng(0).random((2, 8, 8))))
    with pytest.raises(CellError, match=r"row 1.*1e\+06"):
        modality.transform(column(np.zeros((8, 8)), np.full((8, 8), 1e6)))


def test_size():
    pictures = [np.zeros(shape, np.uint8) for shape in ((10, 20), (20, 30), (30, 40))]
    assert ImageModality().fit(column(*pictures)).size_ == (20, 30)
    assert ImageModality().fit(column(np.zeros((480, 640), np.uint8))).size_ == (48, 64)
    assert ImageModality().fit(column(np.zeros((5, 3), np.uint8))).size_ == (5, 3)
    assert ImageModality(12).fit(column(*pictures)).size_ == (12, 12)
    assert ImageModality((12, 90)).fit(column(*pictures)).size_ == (12, 90)


def test_fit_transform_is_fit_then_transform():
    cells = column(*random_pictures(4, 100, 80, 3), None)
    together, apart = ImageModality(), ImageModality().fit(cells)
    first, second = together.fit_transform(cells), apart.transform(cells)
    for name in ("pixels", "present"):
        np.testing.assert_array_equal(first.tensors[name], second.tensors[name])
    np.testing.assert_array_equal(together.mean_, apart.mean_)


def test_shrinking_averages():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = read(ImageModality(8), column(board))[0]
    np.testing.assert_allclose(small.astype(int), 127, atol=4)
    large = Image.fromarray(board).resize((1024, 1024)).convert("RGB")
    small = read(ImageModality(8), column(encoded(large, "JPEG")))[0]
    np.testing.assert_allclose(small.astype(int), 127, atol=4)


# Units of more than 8 bits


def as_tiff(array):
    return encoded(Image.fromarray(array), "TIFF")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("give", [encoded, as_tiff, np.asarray], ids=["PNG", "TIFF", "array"])
def test_pictures_use_the_range_of_their_bits(bits, give):
    white = 2**bits - 1
    pictures = [np.full((8, 8), level, np.uint16) for level in (0, white // 2, white)]
    cells = [give(Image.fromarray(p)) if give is encoded else give(p) for p in pictures]
    modality = ImageModality()
    back = read(modality, column(*cells, None))
    assert modality.units_ == {"16-bit": white}
    assert [picture.max() for picture in back[:3]] == [0, 127, 255]
    with warnings_as_errors():  # a dark picture is no other unit
        modality.transform(column(cells[1], cells[0]))
    brighter = np.full((8, 8), min(2 * white, 65535), np.uint16)
    if bits < 16:
        with pytest.warns(DataWarning, match="row 0: .*brighter than white"):
            modality.transform(column(as_tiff(brighter)))


@contextmanager
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_max_value_is_white_in_every_kind_of_number():
    levels = np.linspace(0, 2000, 64).reshape(8, 8)
    expected = np.rint(levels * (255 / 1000)).clip(0, 255)
    modality = ImageModality(max_value=1000)
    for kind in (np.uint16, np.int64, np.float32):
        whole = levels.astype(kind)
        found = read(modality, column(whole, np.zeros((8, 8), np.uint8)))[0]
        np.testing.assert_allclose(found.astype(float), expected, atol=1)
    file = modality.transform(column(as_tiff(levels.astype(np.uint16)))).tensors["pixels"]
    np.testing.assert_allclose(file.reshape(8, 8).astype(float), expected, atol=1)
    with pytest.raises(CellError, match=r"row 0: float pixels from -20 to 40.*max_value"):
        ImageModality().fit(column(np.linspace(-20, 40, 64).reshape(8, 8)))


def test_units_of_each_kind_of_file_are_their_own():
    thermal = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    depth = np.full((8, 8), 1000, np.uint16)
    modality = ImageModality().fit(
        column(as_tiff(thermal), as_tiff(depth), random_pictures(1, 8, 8)[0])
    )
    assert modality.units_ == {"16-bit": 1023.0, "float": 1.0}


@pytest.mark.parametrize("size", [None, 10])
def test_colours_behind_what_is_transparent_are_not_seen(size):
    picture = random_pictures(1, 20, 20, 4)[0]
    picture[5:, :, 3] = 0
    other = picture.copy()
    other[5:, :, :3] = 255 - other[5:, :, :3]
    for give in (np.asarray, lambda p: encoded(Image.fromarray(p))):
        first, second = read(ImageModality(size), column(give(picture), give(other)))
        np.testing.assert_array_equal(first, second)
    for pictures in (stacked(np.stack([picture, other])),):
        pixels = ImageModality(size).fit_transform(pictures).tensors["pixels"]
        np.testing.assert_array_equal(*pixels)


def test_pixels_that_are_nan_are_named_in_files_as_in_arrays():
    broken = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    broken[0, 0] = np.nan
    refused(as_tiff(broken), "pixels that are NaN or infinite")
    refused(broken, "pixels that are NaN or infinite")


# Holes


def test_cells_that_cannot_be_read_are_holes_where_asked_for():
    whole = encoded(Image.fromarray(random_pictures(1, 64, 64, 3)[0]), "JPEG")
    cells = column(whole, whole[: len(whole) // 2], "gone.png", np.full((4, 4), np.nan), None, 3)
    modality = ImageModality(8, on_error="missing")
    with pytest.warns(DataWarning, match=r"rows 1, 2, 3, 5: 4 cells cannot be read.*truncated"):
        values = modality.fit_transform(cells)
    assert values.present.tolist() == [True] + [False] * 5
    np.testing.assert_array_equal(modality.mean_, values.tensors["pixels"][0])
    for nothing in (column("gone.png"), column(whole[: len(whole) // 2])):
        with (
            pytest.raises(CellError, match="no image in any row"),
            warnings.catch_warnings(action="ignore"),
        ):
            ImageModality(8, on_error="missing").fit(nothing)


def test_holes_are_zeros_that_are_not_present():
    picture = random_pictures(1, 4, 4)[0]
    cells = column(None, picture, np.nan, pd.NA)
    modality = ImageModality().fit(cells)
    values = modality.transform(cells)
    np.testing.assert_array_equal(values.present, [False, True, False, False])
    np.testing.assert_array_equal(values.tensors["present"], values.present)
    assert not values.tensors["pixels"][~values.present].any()
    np.testing.assert_array_equal(modality.mean_, picture.ravel())
    assert "present" not in modality.transform(column(picture)).tensors


def test_nothing_but_holes():
    with pytest.raises(CellError, match=r"'photo': no image in any row\. Leave"):
        ImageModality().fit(column(None, np.nan))
    modality = ImageModality().fit(column(np.zeros((4, 4), np.uint8)))
    assert not modality.transform(column(None, None)).present.any()
    assert modality.transform(column()).tensors["pixels"].shape == (0, 16)


# Memory


def test_pictures_in_memory_are_not_copied():
    for shape in ((9, 9), (9, 9, 1), (9, 9, 3)):
        pictures = random_pictures(5, *shape)
        modality = ImageModality().fit(stacked(pictures))
        pixels = modality.transform(stacked(pictures)).tensors["pixels"]
        assert np.shares_memory(pixels, pictures)
        pictures.flags.writeable = False  # torch would warn
        pixels = modality.transform(stacked(pictures)).tensors["pixels"]
        assert not np.shares_memory(pixels, pictures)
        np.testing.assert_array_equal(pixels, pictures.reshape(5, -1))


# What is refused


def refused(cell, match, **options):
    good = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(CellError, match=match) as caught:
        ImageModality(**options).fit(column(good, cell))
    assert (caught.value.column, caught.value.row) == ("photo", 1)
    assert caught.value.remedy
    with pytest.raises(CellError, match=match):
        ImageModality(**options).fit(column(good)).transform(column(cell))


def test_damaged_files(tmp_path):
    whole = encoded(Image.fromarray(random_pictures(1, 64, 64, 3)[0]), "JPEG")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole[: len(whole) // 2])
    modality = ImageModality(8).fit(column(whole))
    with pytest.raises(CellError, match=r"'photo', row 0.*cut\.jpg.*truncated"):
        modality.transform(column(cut))
    with pytest.raises(CellError, match=r"'photo', row 1.*truncated"):
        ImageModality(8).fit(column(whole, cut))
    refused(b"", "0 bytes")
    empty = tmp_path / "empty.png"
    empty.touch()
    refused(empty, "empty.png' is empty")
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    refused(str(text), "text.png' is no image that can be read")
    refused(whole[:20], "no image|cannot be read")


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of odd metadata
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_damaged_bytes_raise_a_cell_error_or_nothing(kind):
    random = np.random.default_rng(0)
    picture = Image.fromarray(random_pictures(1, 12, 12, 3)[0])
    modality = ImageModality().fit(column(picture))
    whole = np.frombuffer(encoded(picture, kind), np.uint8)
    for _ in range(40):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 4)] = random.integers(0, 256, 4)
        with suppress(CellError):
            assert modality.transform(column(damaged.tobytes())).tensors["pixels"].shape == (1, 432)


def test_bombs_are_refused_before_decoding():
    start = process_time()
    refused(png_header(30_000, 30_000), "pixels")
    refused(png_header(10_000, 10_000), "pixels")  # of which Pillow only warns
    refused(png_header(8_000, 7_000), "8000 x 7000 pixels, more than max_pixels=50000000")
    small = encoded(Image.new("L", (11, 10)))
    refused(small, "11 x 10 pixels", max_pixels=100)
    refused(Image.open(io.BytesIO(small)), "11 x 10 pixels", max_pixels=100)
    assert process_time() - start < 2


def test_max_pixels_is_the_only_limit_of_pixels(monkeypatch):
    large = encoded(Image.new("1", (300, 200)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # it warns above, and raises above twice
    refused(large, "max_pixels=59999", max_pixels=59_999)
    with warnings_as_errors():
        modality = ImageModality(8, max_pixels=60_000).fit(column(large, large))
        assert modality.transform(column(large)).present.all()
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_vector_drawings_are_refused():
    refused(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG.*to PNG")
    refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS.*to PNG")


def test_paths_that_lead_nowhere(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "cat_17.png")
    refused(tmp_path / "cat_71.png", "no such file.*None where.*Did you mean 'cat_17.png'")
    refused(str(tmp_path / "no" / "cat.png"), "no such file")
    refused(tmp_path, "is a folder")
    refused("https://example.org/a.png", "is a URL, and nothing is fetched. Download")
    refused("", "folder|no such file")
    refused("a\0.png", "cannot be read")
    fifo = tmp_path / "pipe.png"
    os.mkfifo(fifo)
    refused(fifo, "pipe")
    refused("/dev/zero", "device")


def test_root_keeps_paths_inside(tmp_path):
    root = tmp_path / "pictures"
    (root / "a").mkdir(parents=True)
    for path in (root / "a" / "x.png", tmp_path / "secret.png"):
        Image.new("L", (4, 4), 7).save(path)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    assert (read(ImageModality(root=root), column("a/x.png", "a/../a/x.png"))[1] == 7).all()
    refused("../secret.png", "leads out of root", root=str(root))
    refused("link.png", "leads out of root", root=root)
    refused(str(root / "a" / "x.png"), "is absolute", root=root)


def test_cells_of_another_kind():
    refused(3, "a int is not an image")
    refused(np.zeros(5), "shape 5 is not an image")
    refused(np.zeros((3, 9, 9), np.uint8), "channels last: np.moveaxis")
    refused(np.zeros((0, 9), np.uint8), "shape 0x9")
    refused(np.zeros((2, 2), complex), "complex128")
    refused(np.full((4, 4), np.nan), "NaN or infinite")
    with pytest.raises(TypeError):
        ImageModality().fit(column([1, 2]))
    two = Cells(("a", "b"), (np.zeros((3, 4, 4), np.uint8),) * 2)
    with pytest.raises(CellError, match=r"2 columns for one image.*shape="):
        ImageModality().fit(two)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 0},
        {"size": True},
        {"size": (4,)},
        {"mode": "grey"},
        {"loss": "mse"},
        {"shape": 8},
        {"shape": (2, 2), "size": 4},
        {"shape": (2, 2), "mode": "L"},
        {"max_pixels": 0},
    ],
)
def test_parameters_are_checked(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ImageModality(**options).fit(stacked(np.zeros((2, 2, 2), np.uint8)))


# Columns of pixels


def pixel_cells(matrix):
    return Cells.of_matrix([f"p{i}" for i in range(matrix.shape[1])], matrix)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float32"])
def test_pixel_columns_come_back_as_they_were(dtype):
    digits = np.random.default_rng(0).integers(0, 17, (30, 8 * 6)).astype(dtype)
    modality = ImageModality(shape=(8, 6)).fit(pixel_cells(digits))
    values = modality.transform(pixel_cells(digits))
    assert values.tensors["pixels"].dtype == np.uint8
    assert (modality.low_, modality.high_) == ((0, 255) if dtype == "uint8" else (0, 16))
    columns = modality.inverse_transform(values.tensors["pixels"].astype(np.float32) + 0.1)
    assert [c.dtype for c in columns] == [digits.dtype] * 48
    np.testing.assert_allclose(np.stack(columns, 1), digits, atol=0.11)
    if dtype == "uint8":
        assert np.shares_memory(values.tensors["pixels"], digits)


def test_pixel_columns_of_a_frame_keep_their_own_dtypes():
    cells = Cells(("a", "b"), (np.array([0, 9]), np.array([0.5, np.nan])))
    modality = ImageModality(shape=(1, 2)).fit(cells)
    back = modality.inverse_transform(np.array([[1.6, 0.25]]))
    assert [(c.dtype.kind, c[0]) for c in back] == [("i", 2), ("f", 0.25)]


def test_standardised_pixels_keep_their_range():
    matrix = np.random.default_rng(0).normal(size=(40, 12))
    modality = ImageModality(shape=(2, 2, 3)).fit(pixel_cells(matrix))
    pixels = modality.transform(pixel_cells(matrix)).tensors["pixels"]
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, matrix, rtol=1e-6)
    assert (modality.low_, modality.high_) == (matrix.min(), matrix.max())


def test_unknown_pixels_are_masked():
    matrix = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    holes = matrix.copy()
    holes[np.random.default_rng(1).random(matrix.shape) < 0.3] = np.nan
    holes[7] = np.nan
    cells = pixel_cells(holes)
    modality = ImageModality(shape=(2, 2)).fit(cells)
    np.testing.assert_allclose(modality.mean_, np.nanmean(holes, 0), rtol=1e-5)
    values = modality.transform(cells)
    assert not values.present[7]
    np.testing.assert_array_equal(values.tensors["observed"], ~np.isnan(holes))
    network, tensors = build(modality), as_tensors(values)
    deviance = network.deviance(network.null_outputs.expand(200, -1), tensors)
    assert deviance[7] == 0
    assert deviance[values.present].mean() == pytest.approx(1, abs=1e-5)
    assert not network.view(tensors)[~network.observed(tensors)].any()
    assert network.observed({"pixels": tensors["pixels"]}) is None


def test_pixel_columns_are_checked():
    modality = ImageModality(shape=(2, 2))
    with pytest.raises(CellError, match=r"3 columns for the 4 pixels"):
        modality.fit(pixel_cells(np.zeros((5, 3))))
    bad = np.zeros((5, 4))
    bad[3, 1] = np.inf
    with pytest.raises(CellError, match=r"'p1', row 3: .*infinite"):
        modality.fit(pixel_cells(bad))
    with pytest.raises(CellTypeError, match=r"'b'.*not pixels"):
        ImageModality(shape=(1, 2)).fit(Cells(("a", "b"), (np.zeros(1), np.array(["7"], object))))
    with pytest.raises(CellError, match="no pixel in any row"):
        modality.fit(pixel_cells(np.full((5, 4), np.nan)))
    matrix = np.random.default_rng(0).uniform(0, 255, (9, 4))
    modality.fit(pixel_cells(matrix))
    matrix[4] /= 255
    with pytest.warns(DataWarning, match="row 4: the pixels suggest another unit"):
        modality.transform(pixel_cells(matrix))


# "auto"


def test_accepts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Image.new("RGB", (4, 4))
    picture.save("a.PNG")

    def accepts(*cells):
        return ImageModality.accepts("photo", column(*cells).columns[0])

    assert accepts("a.PNG", None, tmp_path / "a.PNG", np.nan)
    assert accepts(picture, encoded(picture), encoded(picture, "JPEG"), encoded(picture, "WEBP"))
    assert accepts(np.zeros((3, 3), np.uint8), np.zeros((9, 9)), np.zeros((2, 2, 3)))
    assert ImageModality.accepts("photo", np.array(["a.PNG"] * 3))
    assert accepts("a.PNG", "a.PNG", "b.png")  # one that is missing is an error, or a hole
    assert accepts(*["a.PNG"] * 4, "a.PNG ", "", " ", "a.heic", b"")
    assert not accepts("a.PNG", "b.png")
    assert not accepts("a.txt", "some words")
    assert not accepts(b"RIFF....WAVE")
    assert not accepts(np.zeros((90, 2)))  # a signal of two channels
    assert not accepts(np.zeros((9, 9, 9, 3), np.uint8))
    assert not accepts(None, None)
    assert not accepts(3)
    for shape, dtype, answer in [
        ((5, 9, 9), float, True),
        ((5, 90, 2), float, False),
        ((5, 3, 3), np.uint8, True),
        ((5, 3, 3, 3), float, True),
        ((5, 3, 3, 7), float, False),
        ((5, 4, 9, 9, 3), np.uint8, False),
        ((5,), float, False),
        ((5, 3), np.uint8, False),
    ]:
        assert ImageModality.accepts("photo", np.zeros(shape, dtype)) is answer


# The network


SHAPES = [(8, 8), (5, 7, 3), (33, 20, 3), (64, 64, 3), (3, 300)]


@pytest.mark.parametrize("shape", SHAPES)
def test_view_is_centred_with_total_variance_one(shape):
    pictures = random_pictures(50, *shape)
    cells = column(None, *pictures)
    modality = ImageModality(shape[:2]).fit(cells)
    view = build(modality).view(as_tensors(modality.transform(cells)))
    assert not view[0].any()
    torch.testing.assert_close(view[1:].mean(0), torch.zeros(view.shape[1]), atol=1e-6, rtol=0)
    assert view[1:].var(0, correction=0).sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize("shape", SHAPES)
def test_deviance_of_the_mean_picture_is_one(shape, loss):
    pictures = random_pictures(40, *shape)
    pictures[:, :2] = 0  # pixels that never change
    cells = column(*pictures, None)
    modality = ImageModality(shape[:2], loss=loss).fit(cells)
    network, tensors = build(modality), as_tensors(modality.transform(cells))
    null = network.null_outputs
    deviance = network.deviance(null.expand(41, -1), tensors)
    assert deviance[:40].mean().item() == pytest.approx(1, abs=1e-4)
    assert deviance[40] == 0
    mean = network.predict(null[None]).detach()[0]
    np.testing.assert_allclose(mean, modality.mean_, atol=0.05)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_deviance_of_the_truth_is_zero(loss):
    pictures = random_pictures(6, 4, 4)
    modality = ImageModality(loss=loss).fit(stacked(pictures))
    network, tensors = build(modality), as_tensors(modality.transform(stacked(pictures)))
    truth = network.view(tensors)
    if loss == "cross-entropy":
        truth = (tensors["pixels"].double() / 255).logit(1e-9).float()
    assert network.deviance(truth, tensors).abs().max() < 1e-4
    np.testing.assert_allclose(network.predict(truth), pictures.reshape(6, -1), atol=1e-3)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize("shape", SHAPES)
def test_codes_may_have_leading_dimensions(shape, loss):
    pictures = random_pictures(3, *shape)
    modality = ImageModality(shape[:2], loss=loss).fit(column(*pictures))
    network, tensors = build(modality), as_tensors(modality.transform(column(*pictures)))
    assert network.encode(network.view(tensors)).shape == (3, 16)
    initialise(network, torch.Generator().manual_seed(1), residuals_at_zero=False)
    codes = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    outputs = network.decode(codes)
    assert outputs.shape == (5, 3, network.n_outputs)
    torch.testing.assert_close(outputs[2], network.decode(codes[2]), atol=1e-5, rtol=1e-4)
    deviance = network.deviance(outputs, tensors)
    torch.testing.assert_close(deviance[2], network.deviance(outputs[2], tensors))


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize("shape", [(8, 8), (20, 20, 3)])
def test_absent_rows_give_finite_gradients_that_they_do_not_change(shape, loss):
    pictures = random_pictures(4, *shape)
    cells = column(*pictures[:3], None)
    modality = ImageModality(loss=loss).fit(cells)
    network, tensors = build(modality), as_tensors(modality.transform(cells))
    code = torch.ones(4, 4, requires_grad=True)
    network.deviance(network.decode(code), tensors).sum().backward()
    assert code.grad.isfinite().all()
    assert not code.grad[3].any()
    assert code.grad[:3].any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("size", [10, 40])
def test_the_linear_start_is_principal_components(size):
    random = np.random.default_rng(0)
    codes, axes = random.normal(size=(60, 4)), random.normal(size=(4, size * size))
    pictures = (127 + 9 * codes @ axes).clip(0, 255).astype(np.uint8).reshape(60, size, size)
    modality = ImageModality().fit(stacked(pictures))
    network, tensors = build(modality), as_tensors(modality.transform(stacked(pictures)))
    view = network.view(tensors)
    _, _, basis = torch.linalg.svd(view, full_matrices=False)
    network.start(basis[:4].T)
    outputs = network.decode(view @ basis[:4].T)
    torch.testing.assert_close(outputs, view @ basis[:4].T @ basis[:4], atol=1e-5, rtol=1e-4)
    assert network.deviance(outputs, tensors).mean() < 0.01
    np.testing.assert_allclose(network.predict(outputs).detach(), pictures.reshape(60, -1), atol=3)


def test_the_linear_start_of_logits_explains_most():
    random = np.random.default_rng(0)
    codes, axes = random.normal(size=(60, 4)), random.normal(size=(4, 100))
    pictures = (127 + 20 * codes @ axes).clip(0, 255).astype(np.uint8).reshape(60, 10, 10)
    modality = ImageModality(loss="cross-entropy").fit(stacked(pictures))
    network, tensors = build(modality), as_tensors(modality.transform(stacked(pictures)))
    assert network.has_link
    view = network.view(tensors)
    basis = torch.linalg.svd(view, full_matrices=False).Vh[:4]
    network.start(basis.T)
    assert network.deviance(network.decode(view @ basis.T), tensors).mean() < 0.2
    network.gain.zero_()
    network.start(basis.T)
    torch.testing.assert_close(network.decode(view @ basis.T)[0], network.null_outputs)


def test_predictions_stay_within_the_range():
    pictures = random_pictures(6, 4, 4)
    network = build(ImageModality().fit(stacked(pictures)))
    wild = network.predict(torch.full((1, 16), 1e3) * torch.tensor([1.0, -1.0] * 8))
    assert wild.unique().tolist() == [0, 255]


def test_constant_pictures_are_learned():
    pictures = np.full((5, 4, 4), 9, np.uint8)
    for loss in ("squared", "cross-entropy"):
        modality = ImageModality(loss=loss).fit(stacked(pictures))
        network, tensors = build(modality), as_tensors(modality.transform(stacked(pictures)))
        assert not network.view(tensors).any()
        assert network.deviance(network.null_outputs.expand(5, -1), tensors).isfinite().all()


@pytest.mark.parametrize("size", [16, 64])
def test_training_reduces_the_deviance_below_principal_components(size):
    where = np.random.default_rng(0).uniform(0.2, 0.8, (64, 2))
    grid = np.linspace(0, 1, size)
    discs = [np.hypot(grid[:, None] - y, grid - x) < 0.2 for y, x in where]
    cells = column(*discs)
    modality = ImageModality().fit(cells)
    network, tensors = build(modality, width=64), as_tensors(modality.transform(cells))
    view = network.view(tensors)
    _, spread, basis = torch.linalg.svd(view, full_matrices=False)
    code = (view @ basis[:4].T) / spread[:4] * 8
    network.start(basis[:4].T * spread[:4] / 8)
    before = network.deviance(network.decode(code), tensors).mean().item()
    optimizer = torch.optim.AdamW(network.decoder.parameters(), lr=2e-3)
    for _ in range(30):
        loss = network.deviance(network.decode(code), tensors).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.9 * before


@pytest.mark.parametrize("name", ["shift", "light", "mirror"])
def test_augmented_pictures_are_pictures_of_the_same_range(name):
    pictures = random_pictures(64, 24, 20, 3) // 2
    modality = ImageModality(augment=[name]).fit(stacked(pictures))
    network, tensors = build(modality), as_tensors(modality.transform(stacked(pictures)))
    augmented = network.augment(tensors, torch.Generator().manual_seed(0))["pixels"]
    assert augmented.shape == tensors["pixels"].shape
    assert augmented.min() >= 0
    assert augmented.max() <= 255
    changed = (augmented != tensors["pixels"]).any(1).float().mean()
    assert 0.2 < changed < 0.95  # some pictures stay as they are
    if name == "mirror":
        new = augmented.unflatten(1, network.shape)
        mirrored = (new == tensors["pixels"].unflatten(1, network.shape).flip(2)).flatten(1).all(1)
        assert bool((mirrored == (augmented != tensors["pixels"]).any(1)).all())


def test_holes_move_with_the_pixels_around_them():
    pixels = np.random.default_rng(0).uniform(0, 255, (64, 20 * 18))
    pixels[:, ::7] = np.nan
    modality = ImageModality(shape=(20, 18), augment=["shift", "mirror"])
    columns = Cells(tuple(map(str, range(20 * 18))), tuple(pixels.T))
    network, tensors = build(modality.fit(columns)), as_tensors(modality.transform(columns))
    augmented = network.augment(tensors, torch.Generator().manual_seed(0))
    assert bool((augmented["pixels"][~augmented["observed"]] == 0).all())
    assert bool((augmented["pixels"][augmented["observed"]] != 0).all())


def test_small_pictures_and_those_without_augmentation_stay_as_they_are():
    for pictures, augment in (
        (random_pictures(5, 8, 8), "auto"),
        (random_pictures(5, 24, 20), None),
    ):
        modality = ImageModality(augment=augment).fit(stacked(pictures))
        tensors = as_tensors(modality.transform(stacked(pictures)))
        assert build(modality).augment(tensors, torch.Generator()) is tensors


def test_noise_blots_one_rectangle_out_of_a_large_picture():
    pictures = stacked(random_pictures(16, 24, 20, 3))
    modality = ImageModality().fit(pictures)
    network = build(modality)
    view = network.view(as_tensors(modality.transform(pictures)))
    erased = network.corrupt(view, 1.0, torch.Generator().manual_seed(0)) != view
    erased = erased.unflatten(1, network.shape).any(3)
    assert erased.any(2).sum(1).tolist() == [12] * 16  # a quarter of the picture: half of a side
    assert erased.any(1).sum(1).tolist() == [10] * 16
    assert erased.flatten(1).sum(1).tolist() == [120] * 16
    assert len(erased.unique(dim=0)) > 8  # in another place of each


def test_a_wrong_augmentation_is_named():
    with pytest.raises(ValueError, match=r"'turn'.*'shift', 'light', 'mirror'"):
        ImageModality(augment=["turn"]).fit(stacked(random_pictures(3, 4, 4)))


def test_building_leaves_the_random_state_alone():
    modality = ImageModality().fit(stacked(random_pictures(3, 40, 40)))
    state = torch.get_rng_state()
    first, second = build(modality, dropout=0.1), build(modality, dropout=0.1)
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()
