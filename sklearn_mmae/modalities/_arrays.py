"""What arrays in cells are meant as: images, or signals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.errors import CellError
from .._core.holes import observed
from ._signals import as_numbers

__all__ = [
    *("LONGEST_SIGNAL", "describe_arrays", "is_picture_shape", "kind_of_arrays", "shape_of"),
    *("some_cells", "unwrapped", "unwrapping"),
]

LOOKED_AT = 50  # cells of a column
SMALLEST_SIDE = 8  # of a 2-D array that is taken for a picture
LARGEST_PIXEL = 65535
NEARLY_SQUARE = 3  # times the shorter side is the longer one of a picture, at most
AS_PHOTOGRAPHS = 1.5  # the same where the numbers may be no pixels
MANY_TIMES = 4  # as many steps as channels are more than in a picture
LONGEST_SIGNAL = 4096  # steps of a 1-D array that is surely no sound


def kind_of_arrays(column: np.ndarray) -> str | None:
    """Say what the arrays of a column are meant as, going by several of them.

    Parameters
    ----------
    column : ndarray of shape (rows, ...)

    Returns
    -------
    {"image", "signal", "unclear"} or None
        None where not all cells are arrays, or lists, of numbers.

    Notes
    -----
    (H, W, C) with 1, 3 or 4 channels are images. Of (n, m), bytes are images, but for a few
    channels of different lengths. Other numbers are signals where the first axis differs, is many
    times the second, or longer than that of a few channels; they are images where all have one
    shape, nearly square, and the range of pixels. Floats that are neither within 0..1 nor whole
    must be as square as photographs: spectrograms are positive, too, but longer.
    """
    cells = _some_arrays(column)
    if not cells or any(cell is None for cell in cells):
        return None
    dimensions = {cell.ndim for cell in cells}
    if max(dimensions) > 3:
        return None
    if 3 in dimensions:  # grey ones may be among them
        return "image" if all(is_picture_shape(cell.shape) for cell in cells) else None
    if len(dimensions) > 1:
        return "unclear"
    if dimensions == {1}:
        return "signal" if max(map(len, cells)) <= LONGEST_SIGNAL else "unclear"
    return _kind_of_tables(cells)


def describe_arrays(column: np.ndarray) -> str:
    """Return the shapes of a column's arrays in words, for an error."""
    shapes = dict.fromkeys(shape_of(cell) for cell in _some_arrays(column))
    return " and ".join(list(shapes)[:2])


def shape_of(array: np.ndarray) -> str:
    """Return the shape of an array in words."""
    return "x".join(map(str, array.shape))


def _kind_of_tables(cells: list[np.ndarray]) -> str:
    first, second = ({cell.shape[axis] for cell in cells} for axis in (0, 1))
    if all(cell.dtype == np.uint8 for cell in cells):
        few = max(second) < SMALLEST_SIDE and len(second) == 1
        return "signal" if few and len(first) > 1 else "image"
    shortest = min(min(cell.shape) for cell in cells)
    pixels = shortest >= SMALLEST_SIDE and all(map(_in_range_of_pixels, cells))
    ratio = max(max(cell.shape) / min(cell.shape) for cell in cells)
    counted = pixels and all(map(_counted_as_pixels, cells))
    if len(second) > 1:
        return "image" if counted or (pixels and ratio <= AS_PHOTOGRAPHS) else "unclear"
    channels = max(second)
    many_times = 1 if channels < SMALLEST_SIDE else MANY_TIMES
    if len(first) > 1 or min(first) > many_times * channels:
        return "signal"
    square = ratio <= (NEARLY_SQUARE if counted else AS_PHOTOGRAPHS)
    return "image" if pixels and square else "unclear"


def _in_range_of_pixels(cell: np.ndarray) -> bool:
    return bool(cell.min() >= 0 and cell.max() <= LARGEST_PIXEL)  # NaN is no pixel


def _counted_as_pixels(cell: np.ndarray) -> bool:
    """Whether numbers are whole or within 0..1; others may be spectra or distances, too."""
    return cell.dtype.kind != "f" or bool(cell.max() <= 1 or (cell == np.rint(cell)).all())


def is_picture_shape(shape: tuple[int, ...]) -> bool:
    """Whether a shape is (H, W) or (H, W, C) of 1, 3 or 4 channels."""
    return len(shape) in (2, 3) and shape[2:] in ((), (1,), (3,), (4,))


def unwrapped(cell: Any) -> tuple[Any, str]:
    """Return what is in a cell that wraps an array or a file, and how to get at it.

    Tensors, Series and whatever else numpy takes for an array, buffers, and the dictionaries of the
    package datasets; None and an empty string for any other cell.
    """
    if isinstance(cell, memoryview):
        return bytes(cell), "bytes(cell)"
    if isinstance(cell, dict):
        if {"array", "sampling_rate"} <= cell.keys():
            pair = cell["sampling_rate"], np.asarray(cell["array"])
            return pair, "(cell['sampling_rate'], numpy.asarray(cell['array']))"
        key = next((key for key in ("bytes", "path") if cell.get(key)), None)
        return (None, "") if key is None else (cell[key], f"cell[{key!r}]")
    if isinstance(cell, np.ndarray) or not callable(getattr(type(cell), "__array__", None)):
        return None, ""
    try:
        return np.asarray(cell), "numpy.asarray(cell)"
    except (TypeError, RuntimeError):  # of a tensor on another device, or with a gradient
        return None, "cell.numpy(force=True)"


def unwrapping(cell: Any) -> str:
    """Say how to get at what is in such a cell, a sentence; empty for any other."""
    how = unwrapped(cell)[1]
    return how and f"Give {how} instead of the {type(cell).__name__}"


def some_cells(column: np.ndarray) -> list:
    """Return the observed cells of some rows, spread over all of them."""
    rows = np.flatnonzero(observed(column))
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)]
    return [column[row] for row in some]


def _some_arrays(column: np.ndarray) -> list[np.ndarray | None]:
    """Return some observed cells as arrays of numbers, None for those that are no such thing."""
    if column.ndim == 1 and column.dtype.kind != "O":
        return []
    return [_as_numbers(cell) for cell in some_cells(column)]


def _as_numbers(cell: Any) -> np.ndarray | None:
    if not isinstance(cell, np.ndarray | list | tuple):
        return None
    try:
        array = as_numbers(cell, "signal")
    except CellError:
        return None
    return array if array.size else None
