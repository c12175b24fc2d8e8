"""Columns of pixels, a number in each cell: read as one array, and written."""

from __future__ import annotations

import math

import numpy as np

from ..._core.errors import CellError, CellTypeError, listing
from ...tables._cells import Cells

__all__ = ["LARGEST_NUMBER", "as_dtype", "compact", "pixel_matrix"]

LARGEST_NUMBER = np.finfo(np.float32).max


def pixel_matrix(cells: Cells, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return columns of pixels as one array, and where they are observed; None where all are."""
    n_pixels = math.prod(shape)
    if len(cells.names) != n_pixels:
        raise CellError(
            f"{len(cells.names)} columns for the {n_pixels} pixels of shape={shape}",
            column=listing(cells.names),
            remedy="Give a column for each pixel, or leave out shape for whole images",
        )
    for name, column in cells:
        if column.ndim != 1 or column.dtype.kind not in "buif":
            raise CellTypeError(
                f"cells of {column.dtype} are not pixels",
                column=name,
                remedy="Give numbers, with NaN where they are unknown",
            )
    matrix = np.stack(cells.columns, 1) if cells.matrix is None else cells.matrix
    if _largest_size(matrix) > LARGEST_NUMBER:
        with np.errstate(invalid="ignore"):
            bad = np.abs(matrix) > LARGEST_NUMBER
        column = np.flatnonzero(bad.any(0))[0]
        raise CellError(
            "pixels that are infinite, or too large for float32",
            column=cells.names[column],
            row=np.flatnonzero(bad[:, column]).tolist(),
            remedy="Replace them by finite numbers, or by NaN where they are unknown",
        )
    # A sum of finite numbers is NaN only if one of them is; no mask is allocated.
    whole = not np.isnan(matrix.sum(dtype=np.float64))
    return matrix, None if whole else ~np.isnan(matrix)


def _largest_size(numbers: np.ndarray) -> float:
    """Return the largest absolute number, NaN left aside; NaN of none."""
    if not len(numbers):
        return np.nan
    return max(-float(np.fmin.reduce(numbers, None)), float(np.fmax.reduce(numbers, None)))


def compact(matrix: np.ndarray, there: np.ndarray | None) -> np.ndarray:
    """Return pixel columns as uint8 where that loses nothing, else as float32; 0 where missing."""
    if matrix.dtype == np.uint8:
        usable = matrix.flags.writeable and all(stride > 0 for stride in matrix.strides)
        return matrix if usable else matrix.copy()
    if there is not None:
        matrix = np.where(there, matrix, 0)
    if matrix.min(initial=0) >= 0 and matrix.max(initial=0) <= 255:
        bytes_ = matrix.astype(np.uint8)
        if np.array_equal(bytes_, matrix):
            return bytes_
    return matrix.astype(np.float32)


def as_dtype(pixels: np.ndarray, dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """Return predicted numbers of a column in its dtype, whole ones within a range."""
    if dtype.kind == "f":
        return pixels.astype(dtype)
    if dtype.kind == "b":
        return pixels >= 0.5
    limits = np.iinfo(dtype)
    low, high = max(low, limits.min), min(high, limits.max)
    return np.rint(pixels).clip(low, high).astype(dtype)
