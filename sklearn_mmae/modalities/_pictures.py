"""Images in, uint8 pixels out: files, bytes, Pillow images and arrays, each checked first."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core.errors import CellError, CellTypeError
from ..statistics import Statistics
from ._arrays import is_picture_shape, unwrapping
from ._files import label_of, looks_like_file, regular_file, warn_of_rows
from ._media import is_count

__all__ = [
    "PictureFacts",
    "check_size",
    "decode",
    "describe",
    "learn_size",
    "learn_units",
    "looks_like_picture",
    "open_picture",
    "warn_of_another_unit",
]

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Pillow is imported in the functions that need it: tables without pictures need not wait for it.

# No EPS, which would start Ghostscript, nor any format that few use and nobody attacks for us.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SIGNATURE = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|RIFF....WEBP|BM|GIF8[79]a|II\*\0|MM\0\*|P[1-6]\s", re.DOTALL
)
PNG_HEAD = 8  # bytes, and then chunks
VECTOR = re.compile(rb"<svg|%!PS|\xc5\xd0\xd3\xc6|%PDF")
GREY = ("1", "L", "LA", "La", "I", "F")
DEPTHS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of 8, 10, 12, 14 and 16 bits
UNITS = {"float": (1.0, 255.0), "integer": DEPTHS, "16-bit": DEPTHS}
SLACK = 0.01  # share of the range by which resampled pictures may overshoot; cut off
MISSING = "None where the image is missing"
ANOTHER = f"Give an image, or {MISSING}"


class PictureFacts(NamedTuple):
    """What `describe` finds out about an image.

    Attributes
    ----------
    height, width : int
    grey, transparent : bool
        Transparent: some pixel really is.
    kind : {"float", "integer", "16-bit"} or None
        Kind of number that needs a unit; None for those that say themselves what is white.
    low, high : float
        Smallest and largest number, where there is a kind.
    """

    height: int
    width: int
    grey: bool
    transparent: bool
    kind: str | None = None
    low: float = 0.0
    high: float = 255.0


def describe(
    cell: Any,
    *,
    max_value: float | None = None,
    root: str | os.PathLike | None = None,
    max_pixels: int,
) -> PictureFacts:
    """Return the `PictureFacts` of a cell, reading no more of a file than needed.

    Parameters
    ----------
    cell : str, path, bytes, PIL image or ndarray
    max_value : float, optional
        What stands for white in numbers that do not say so, if that is known.
    root : path, optional
        Folder that paths are relative to, and must not leave.
    max_pixels : int
        A file of more pixels is refused before it is decoded.

    Raises
    ------
    CellError
        Where it cannot be read, or its numbers are in no unit of pixels.
    """
    from PIL import ExifTags, Image

    with _opened(cell, root, max_pixels) as picture:
        if isinstance(picture, Image.Image) and _is_wide(picture):
            picture = _numbers(picture)
        if isinstance(picture, np.ndarray):
            facts = _describe_array(picture)
            if facts.kind is not None:
                _smallest_unit(facts.kind, facts.low, facts.high, max_value)
            return facts
        width, height = picture.size
        # Pillow turns TIFF itself, and says so in its size already.
        if picture.format != "TIFF" and _exif(picture).get(ExifTags.Base.Orientation, 1) > 4:
            width, height = height, width
        transparent = picture.has_transparency_data and (
            picture.convert("RGBA").getextrema()[3][0] < 255
        )
        return PictureFacts(height, width, _is_grey(picture), transparent)


def decode(
    cell: Any,
    *,
    mode: str,
    size: tuple[int, int],
    units: dict[str, float],
    max_value: float | None = None,
    root: str | os.PathLike | None = None,
    max_pixels: int,
) -> tuple[np.ndarray, bool]:
    """Return a cell as pixels of one mode and size.

    Parameters
    ----------
    cell : str, path, bytes, PIL image or ndarray
    mode : {"L", "RGB", "RGBA"}
        What is transparent is laid over white where the mode has no transparency.
    size : tuple of int
        Height and width; resampled with Lanczos' filter, widened to the step when shrinking.
    units : dict of kind to float
        The number that stands for white, for each kind of number seen in training.
    max_value, root, max_pixels
        As in `describe`.

    Returns
    -------
    pixels : ndarray of shape (height, width[, channels]), uint8
    odd : bool
        Whether the image's numbers suggest another unit than the one in `units`.

    Raises
    ------
    CellError
        Where it cannot be read.
    """
    from PIL import Image

    odd = False
    height, width = size
    with _opened(cell, root, max_pixels) as picture:
        if isinstance(picture, Image.Image):
            if picture is not cell:
                # A JPEG is decoded at a half, quarter or eighth, but never below twice the size.
                picture.draft(None, (2 * max(size), 2 * max(size)))
            picture = _numbers(picture) if _is_wide(picture) else _upright(picture)
        if isinstance(picture, np.ndarray):
            picture, odd = _as_uint8(picture, units, max_value)
            picture = Image.fromarray(picture)
        if mode != "RGBA" and picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        picture = picture.convert(mode)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        pixels = np.asarray(picture)
        if mode == "RGBA":  # no colour is behind what is transparent, as resampling has it, too
            pixels = np.where(pixels[..., 3:] > 0, pixels, 0)
        return pixels, odd


def looks_like_picture(cell: Any) -> bool:
    """Whether a cell is meant as an image, going by its type, first bytes or name."""
    from PIL import Image

    if isinstance(cell, Image.Image):
        return True
    if isinstance(cell, np.ndarray):  # beside files; of arrays alone, see `kind_of_arrays`
        return cell.dtype.kind in "buif" and cell.size > 0 and is_picture_shape(cell.shape)
    return looks_like_file(cell, SIGNATURE, "image")


def check_size(size: Any) -> None:
    """Refuse a size that images cannot have."""
    pair = isinstance(size, tuple | list) and len(size) == 2 and all(map(is_count, size))
    if not (size is None or is_count(size) or pair):
        raise ValueError(f"size={size!r}: give None, a number of pixels, or (height, width).")


def learn_size(
    asked: int | Sequence[int] | None, facts: Iterable[Any], largest: int, statistics: Statistics
) -> tuple[int, int]:
    """Return the height and width asked for, or the median ones, shrunk to `largest`."""
    if asked is not None:
        height, width = np.broadcast_to(asked, 2).tolist()
        return height, width
    sizes = np.array([(fact.height, fact.width) for fact in facts], float).reshape(-1, 2)
    medians = np.nan_to_num(statistics.quantile("size", sizes, 0.5), nan=1.0)  # of no image
    shrink = min(1, largest / medians.max())
    height, width = (max(1, round(median)) for median in (medians * shrink).tolist())
    return height, width


def learn_units(
    kinds: Iterable[str | None],
    facts: Iterable[Any],
    statistics: Statistics,
    max_value: float | None = None,
) -> dict[str, float]:
    """Return the number that stands for white, for the kinds of numbers that need a unit."""
    if max_value is not None:
        return dict.fromkeys(UNITS, float(max_value))
    units = {}
    for kind in sorted(set(kinds) - {None}):
        own = [fact for fact in facts if fact.kind == kind]
        low = statistics.quantile(f"smallest {kind}", [fact.low for fact in own], 0)
        high = statistics.quantile(f"largest {kind}", [fact.high for fact in own], 1)
        units[kind] = _smallest_unit(kind, low, high)
    return units


def warn_of_another_unit(name: Any, rows: Sequence[int], what: str) -> None:
    """Warn of rows whose numbers suggest another unit than that of training."""
    if len(rows):
        warn_of_rows(
            name,
            rows,
            "the pixels suggest another unit than in training, such as 0..1 for 0..255, or are"
            f" brighter than white. Scale all {what} alike.",
        )


def _smallest_unit(kind: str, low: float, high: float, max_value: float | None = None) -> float:
    """Return the number that stands for white: the smallest unit of a kind that holds the range.

    Floats count to 1 or to 255, integers other than uint8 to what 8 to 16 bits hold. What is above
    a `max_value` is white.
    """
    for unit in UNITS[kind] if max_value is None else (max_value,):
        if low >= -SLACK * unit and (high <= (1 + SLACK) * unit or unit == max_value):
            return unit
    raise CellError(
        f"{kind} pixels from {low:g} to {high:g}",
        remedy="Give floats in 0..1 or 0..255, integers in 0..255 or 0..65535, uint8, or say what"
        " is white: ImageModality(max_value=...), where black is 0",
    )


def open_picture(source: IO[bytes]) -> Picture:
    """Return an open file as a Pillow image, its pixels not yet decoded.

    As `PIL.Image.open`, without its limit of pixels: that is a global, and the user's.
    """
    from PIL import Image, UnidentifiedImageError

    head = source.read(16)
    for name in FORMATS:
        if name not in Image.OPEN:
            Image.init()
        factory, accept = Image.OPEN[name]
        accepted = accept(head)
        if accepted and not isinstance(accepted, str):  # which says what Pillow was built without
            source.seek(0)
            try:
                return factory(source, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise UnidentifiedImageError


@contextmanager
def _opened(
    cell: Any, root: str | os.PathLike | None, max_pixels: int
) -> Iterator[Picture | np.ndarray]:
    """Yield a Pillow image, its pixels not yet decoded, or a checked array."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(cell, np.ndarray):
        yield _checked(cell)
        return
    label, head = "image", b""
    if isinstance(cell, bytes | bytearray | str | os.PathLike):
        label = label_of(cell)
    elif not isinstance(cell, Image.Image):
        raise CellTypeError(
            f"a {type(cell).__name__} is not an image",
            remedy=unwrapping(cell)
            or f"Give a path, bytes, a PIL image or an array (H, W[, C]), or {MISSING}",
        )
    try:
        if isinstance(cell, Image.Image):
            _check_size(cell.size, label, max_pixels)
            yield cell
            return
        with _source(cell, root) as source:
            head = source.read(512)
            if not head:
                raise CellError(f"{label} is empty: 0 bytes", remedy=ANOTHER)
            source.seek(0)
            with open_picture(source) as picture:
                _check_size(picture.size, label, max_pixels)
                yield picture
    except CellError:
        raise
    except UnidentifiedImageError:
        vector = VECTOR.search(head)
        what = (
            "is a vector drawing (SVG, EPS or PDF), which is not read"
            if vector
            else f"is no image that can be read ({', '.join(FORMATS)})"
        )
        raise CellError(
            f"{label} {what}", remedy="Convert it to PNG" if vector else ANOTHER
        ) from None
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise CellError(f"{label} cannot be read ({error})", remedy=ANOTHER) from error


def _source(cell: str | os.PathLike | bytes | bytearray, root: str | os.PathLike | None) -> IO:
    if isinstance(cell, bytes | bytearray):
        return BytesIO(cell)
    return regular_file(os.fsdecode(cell), root, "image").open("rb")


def _check_size(size: tuple[int, int], label: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise CellError(
            f"{label} has {width} x {height} pixels, more than max_pixels={max_pixels}",
            remedy="Give a smaller image, or raise max_pixels if you trust its source",
        )
    if not width * height:
        raise CellError(f"{label} has no pixels ({width} x {height})", remedy=ANOTHER)


def _checked(array: np.ndarray) -> np.ndarray:
    """Return an array as (H, W) or (H, W, 2 to 4), if it is an image."""
    shape = "x".join(map(str, array.shape))
    if array.dtype.kind not in "buif":
        raise CellTypeError(
            f"an array of {array.dtype} is not an image", remedy="Give an array of real numbers"
        )
    if array.ndim not in (2, 3) or not array.size or (array.ndim == 3 and array.shape[2] > 4):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise CellError(
            f"an array of shape {shape} is not an image",
            remedy="Move the channels last: np.moveaxis(image, 0, -1)"
            if first
            else "Give an array (H, W) or (H, W, C) of 1, 3 or 4 channels",
        )
    _check_finite(array)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _check_finite(array: np.ndarray) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CellError(
            "the image has pixels that are NaN or infinite",
            remedy=f"Fill them in, or give {MISSING}",
        )


def _numbers(picture: Picture) -> np.ndarray:
    """Return an upright image of more than 8 bits as an array."""
    array = np.asarray(_upright(picture))
    _check_finite(array)
    return array


def _describe_array(array: np.ndarray) -> PictureFacts:
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    kind = _kind(array)
    # In whichever unit, fully opaque is one of the numbers that can stand for white.
    opaque = (255,) if kind is None else (1, *DEPTHS)
    transparent = channels in (2, 4) and float(array[..., -1].min()) not in opaque
    facts = PictureFacts(height, width, channels < 3, transparent, kind)
    if kind is None:
        return facts
    return facts._replace(low=float(array.min()), high=float(array.max()))


def _as_uint8(
    array: np.ndarray, units: dict[str, float], max_value: float | None
) -> tuple[np.ndarray, bool]:
    """Return an array as uint8, and whether its numbers suggest another unit than `units` has."""
    if array.dtype == np.uint8:
        return array, False
    if array.dtype == bool:
        return array * np.uint8(255), False
    kind, high = _kind(array), float(array.max())
    smallest = UNITS[kind][0]
    own = _smallest_unit(kind, float(array.min()), high, max_value)
    known = units.get(kind, own)
    # Beyond the smallest unit there is another one; beyond the others there is white.
    unit = max(own, known) if known == smallest else known
    pixels = np.rint(array.astype(np.float64) * (255 / unit)).clip(0, 255).astype(np.uint8)
    dark = own < known and (own > smallest or kind == "16-bit" or high <= 0)
    return pixels, own != known and not dark


def _kind(array: np.ndarray) -> str | None:
    if array.dtype == np.uint8 or array.dtype == bool:
        return None
    if array.dtype.kind == "f":
        return "float"
    return "16-bit" if array.dtype.itemsize == 2 else "integer"


def _is_wide(picture: Picture) -> bool:
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _exif(picture: Picture) -> Any:
    """Return the EXIF data of an image, whose pixels are decoded only if some may come later."""
    from PIL import Image

    if picture.format != "PNG" or picture.fp is None or not _ends_with_pixels(picture.fp):
        return picture.getexif()
    return Image.Image.getexif(picture)  # that of PNG files decodes all of them


def _ends_with_pixels(source: IO[bytes]) -> bool:
    """Whether nothing comes after the pixels of a PNG file; the place in it stays."""
    before, name = source.tell(), b"IDAT"
    try:
        source.seek(PNG_HEAD)
        inside = False
        while name == b"IDAT" or not inside:
            length, name = struct.unpack(">I4s", source.read(8))
            inside |= name == b"IDAT"
            source.seek(length + 4, os.SEEK_CUR)
        return name == b"IEND"
    except struct.error:  # it is cut short, of which decoding tells
        return False
    finally:
        source.seek(before)


def _upright(picture: Picture) -> Picture:
    """Return a decoded copy, turned the way that its EXIF data say."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _is_grey(picture: Picture) -> bool:
    if picture.mode == "P":
        red, green, blue = np.reshape(picture.getpalette("RGB"), (-1, 3)).T
        return bool((red == green).all() and (green == blue).all())
    return picture.mode in GREY
