"""`ImageModality`: images from files, bytes, PIL images, arrays or columns of pixels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib import Memory
from scipy.special import entr

from ..._core.errors import CellError, listing
from ..._core.typing import Array
from ..._core.values import are_text, dtype_from, is_positive, is_whole
from ...statistics import Statistics
from ...tables._cells import Cells, Values
from .._arrays import kind_of_arrays
from .._media import FileModality, are_means, are_units, is_count, looked_at, mostly
from .._pictures import (
    PictureFacts,
    check_size,
    decode,
    describe,
    learn_size,
    learn_units,
    looks_like_picture,
    warn_of_another_unit,
)
from .._private import ColumnSums
from .._shown import Pictures, where_present
from ._cells import LARGEST_NUMBER, as_dtype, compact, pixel_matrix
from ._network import SMALLEST_SHARE, ImageNetwork

__all__ = ["ImageModality"]

LARGEST = 64  # longer side of the pictures where size=None
LARGEST_PIXEL = 1.01 * float(LARGEST_NUMBER)  # in a file, after rounding
CHUNK = 256  # pixels converted to floats at a time
AUGMENTATIONS = ("shift", "light", "mirror")
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


class ImageModality(FileModality):
    """Images, all brought to one size and mode.

    A cell is a path, the bytes of a file, a PIL image, or an array (H, W) or (H, W, C) of 1, 3
    or 4 channels; a column may also be one array (rows, H, W[, C]). With `shape`, images are
    columns of pixels instead, as in many data sets of scikit-learn. Read are PNG, JPEG, WebP, BMP,
    GIF (first frame), TIFF (first page) and PPM, turned as their EXIF orientation says. Other
    proportions are stretched; what is transparent is laid over white, unless the mode is
    ``"RGBA"``.

    Parameters
    ----------
    size : int, tuple (height, width) or None, default=None
        Size in pixels to work at; an int is a square. None takes the size that all training
        images share, or else their median height and width, never more than 64 on the longer
        side: None never enlarges; ask for more by a size. Shrinking uses Lanczos' filter.
    mode : {"auto", "L", "RGB", "RGBA"}, default="auto"
        Grey, colour, or colour with transparency. ``"auto"`` takes ``"RGBA"`` if any training
        image is transparent anywhere, else ``"L"`` if all are grey, else ``"RGB"``.
    shape : tuple (height, width[, channels]) or None, default=None
        For columns of pixels, rows of pixels first, channels last: the shape of an image. The
        pixels may have any range, NaN where they are unknown, and come back as columns of the
        same dtypes. `size` and `mode` must then stay as they are.
    loss : {"squared", "cross-entropy"}, default="squared"
        ``"cross-entropy"`` reads a pixel as a share of the range; it suits drawings and digits,
        nearly black and white.
    augment : "auto", None or list of {"shift", "light", "mirror"}, default="auto"
        New images made of those of each step: shifted by up to an eighth of a side; of another
        contrast, light and tint; mirrored left to right. Only for images of more than 16 x 16
        pixels. ``"auto"`` takes all three for ``"RGB"``, which are mostly photographs, and no
        mirror for other modes, which may be writing.
    max_value : float or None, default=None
        The number that stands for white in images that do not say so: files and arrays of more
        than 8 bits, and floats. Black is 0, what is larger than white is white. None learns it,
        see the notes.
    root : str, path or None, default=None
        Folder that paths are relative to. Absolute paths, and paths that lead out of it, are
        then refused; give it wherever paths come from others.
    max_pixels : int, default=50_000_000
        A file of more pixels is refused before it is decoded; Pillow's own limit does not count.
    on_error : {"raise", "missing"}, default="raise"
        Whether a cell that cannot be read is an error, or a missing value that is warned of.
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps the pixels of files and bytes, for the next time that they are read in
        the same way, as in a grid search; a file that has changed is read anew. Pickles are kept
        there: let nobody else write to it.

    Attributes
    ----------
    size_ : tuple of int
        Height and width.
    mode_ : str or None
        Mode of the images; None with `shape`.
    mean_ : ndarray of shape (height * width * channels,), float32
        Mean image, flat.
    scale_ : float
        Root of the pixels' total variance; 1 where it is zero.
    low_, high_ : float
        Range of a pixel: 0 and 255, but for `shape` that of the training rows.
    units_ : dict of {"float", "integer", "16-bit"} to float
        The number that stands for white, for the kinds of numbers seen in training; with
        `max_value` for all.
    dtypes_ : list of str or None
        Of the pixel columns.
    null_deviance_ : float
        Cross-entropy of the mean image beyond the best, in nats; 1 for squared errors.

    Notes
    -----
    Images are kept as uint8. Floats within 0..1 are scaled by 255, and floats within 0..255 are
    taken as they are; which of the two, is decided once for all training images. In the same
    way images of 16 bits, files and arrays, and those of other integers are taken as 8, 10, 12,
    14 or 16 bits deep, the fewest that hold the brightest pixel of the training images: cameras
    and scanners of 12 bits use their range. Any other range is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import ImageModality
    >>> from sklearn_mmae.cells import Cells
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    >>> modality = ImageModality().fit(Cells(("photo",), (images,)))
    >>> modality.size_, modality.mode_
    ((8, 8), 'RGB')
    """

    noun = "image"
    otherwise = ", or shape=(height, width[, channels]) if the columns are pixels"

    size_: tuple[int, int]
    mode_: str | None
    mean_: np.ndarray
    scale_: float
    low_: float
    high_: float
    units_: dict[str, float]
    dtypes_: list[str] | None
    null_deviance_: float

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        *,
        mode: str = "auto",
        shape: tuple[int, ...] | None = None,
        loss: str = "squared",
        augment: str | Sequence[str] | None = "auto",
        max_value: float | None = None,
        root: str | os.PathLike | None = None,
        max_pixels: int = 50_000_000,
        on_error: str = "raise",
        memory: str | os.PathLike | Memory | None = None,
    ) -> None:
        self.size = size
        self.mode = mode
        self.shape = shape
        self.loss = loss
        self.augment = augment
        self.max_value = max_value
        self.root = root
        self.max_pixels = max_pixels
        self.on_error = on_error
        self.memory = memory

    @classmethod
    def accepts(cls, name: Any, column: np.ndarray) -> bool:
        """Whether most cells of a column are images, or paths of existing image files."""
        kind = kind_of_arrays(column)
        if kind is not None:
            return kind == "image"
        return mostly(looked_at(column, looks_like_picture))

    def check_public(self, cells: Cells) -> None:
        """Refuse images of which a private fit would have to find out how they are to be read."""
        self.check_parameters()
        name, _ = self._only_column(cells)
        given = self.size is not None and self.mode != "auto" and self.max_value is not None
        if not given or self.shape is not None or self.loss != "squared":
            raise CellError(
                "privacy needs a size, a mode and a number for white that are public, and the loss"
                " 'squared'",
                column=name,
                remedy="Give ImageModality(size=(height, width), mode='L', max_value=255), and"
                " columns of pixels a TabularModality(bounds=(0, 255))",
            )

    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        if statistics.is_private:
            return self._learn_privately(cells, statistics)
        if self.shape is None:
            statistics.once("looks", partial(self._learn_pictures, cells, statistics))
        else:
            self._learn_columns(cells, statistics)
        values = self.transform(cells)
        self._learn_pixels(values, statistics)
        return values

    def transform(self, cells: Cells) -> Values:
        """Return the pixels.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``pixels`` (rows, height * width * channels), 0 where missing: uint8, the input's own
            memory if that can be; float32 for pixel columns of other numbers than 0, 1, ..., 255.
            ``present`` (rows,) where an image is missing; ``observed``, shaped as the pixels,
            where only some of its pixels are.
        """
        if self.shape is None:
            pixels, present = self._decoded(cells)
            tensors = {"pixels": pixels}
        else:
            tensors, present = self._columns(cells)
        if not present.all():
            tensors["present"] = present
        return Values(tensors, present)

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return images.

        Parameters
        ----------
        predictions : ndarray of shape (rows, height * width * channels)
            In 0..255, or in the columns' own units.

        Returns
        -------
        list of ndarray of shape (rows,)
            One of uint8 arrays (height, width[, channels]), or the pixel columns.
        """
        if self.shape is not None:
            return [
                as_dtype(pixel, np.dtype(dtype), self.low_, self.high_)
                for pixel, dtype in zip(predictions.T, self.dtypes_, strict=True)
            ]
        channels = CHANNELS[self.mode_]
        pixels = np.rint(predictions).clip(0, 255).astype(np.uint8)
        shape = self.size_ if channels == 1 else (*self.size_, channels)
        pictures = np.empty(len(pixels), object)
        for i, picture in enumerate(pixels):
            pictures[i] = picture.reshape(shape)
        return [pictures]

    def output_names(self, names: Sequence) -> list[tuple[int, ...]]:
        """Return each pixel's row, column and, of several, channel; see `Modality`."""
        channels = len(self.mean_) // math.prod(self.size_)
        return list(np.ndindex(*self.size_, *([channels] if channels > 1 else [])))

    def network(self, n_components: int, width: int, dropout: float) -> ImageNetwork:
        """Build the network of the images; see `Modality.network`."""
        return ImageNetwork(
            (*self.size_, len(self.mean_) // math.prod(self.size_)),
            torch.tensor(self.mean_),
            scale=self.scale_,
            low=self.low_,
            high=self.high_,
            loss=self.loss,
            augment=self._augmentations(),
            null_deviance=self.null_deviance_,
            n_components=n_components,
            width=width,
            dropout=dropout,
        )

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        if not (
            isinstance(self.size_, tuple)
            and len(self.size_) == 2
            and all(map(is_whole, self.size_))
        ):
            return False
        channels = {**CHANNELS, None: math.prod((self.shape or ())[2:])}
        n_pixels = math.prod(self.size_) * channels.get(self.mode_, 0)
        return (
            min(self.size_) > 0
            and n_pixels > 0
            and (self.shape is None) == (self.mode_ is not None)
            and (self.shape is None or self.size_ == tuple(self.shape[:2]))
            and n_columns == (1 if self.shape is None else n_pixels)
            and are_means(self.mean_, n_pixels)
            and is_positive(self.scale_)
            and is_positive(self.null_deviance_)
            and isinstance(self.low_, float)
            and isinstance(self.high_, float)
            and -LARGEST_PIXEL < self.low_ <= self.high_ < LARGEST_PIXEL
            and are_units(self.units_)
            and (
                self.dtypes_ is None
                if self.shape is None
                else are_text(self.dtypes_)
                and len(self.dtypes_) == n_pixels
                and all(dtype_from(name).kind in "biuf" for name in self.dtypes_)
            )
        )

    def _augmentations(self) -> tuple[str, ...]:
        if self.augment is None:
            return ()
        if isinstance(self.augment, str):
            return AUGMENTATIONS if self.mode_ == "RGB" else AUGMENTATIONS[:2]
        return tuple(self.augment)

    def check_parameters(self) -> None:
        """Refuse values that make no sense, by the names of their parameters."""
        shape = self.shape
        check_size(self.size)
        self._check_choice("mode", ("auto", *CHANNELS))
        if not (shape is None or _is_shape(shape)):
            raise ValueError(f"shape={shape!r}: give None or (height, width[, channels]).")
        if shape is not None and not (self.size is None and self.mode == "auto"):
            raise ValueError("With shape, pixels are taken as they are: leave out size and mode.")
        self._check_choice("loss", ("squared", "cross-entropy"))
        listed = isinstance(self.augment, list | tuple) and set(self.augment) <= {*AUGMENTATIONS}
        if not (listed or self.augment is None or self.augment == "auto"):
            raise ValueError(
                f"augment={self.augment!r}: give 'auto', None or a list of some of"
                f" {listing(map(repr, AUGMENTATIONS))}."
            )
        self._check_number("max_value")
        self._check_count("max_pixels")
        self._check_reading()

    def _learn_pictures(self, cells: Cells, statistics: Statistics) -> None:
        """Learn size, mode and units, before images are decoded."""
        settings = {"max_value": self.max_value, "max_pixels": self.max_pixels}
        facts = self._facts(cells, describe, **settings).values()
        with statistics.together():
            kinds = statistics.frequent("kind", [fact.kind for fact in facts])
            self.mode_ = _learn_mode(facts, statistics) if self.mode == "auto" else self.mode
            self.size_ = learn_size(self.size, facts, LARGEST, statistics)
            self.units_ = learn_units(kinds, facts, statistics, self.max_value)
        if not kinds:
            raise self._nothing()
        self.low_, self.high_, self.dtypes_ = 0.0, 255.0, None

    def _learn_columns(self, cells: Cells, statistics: Statistics) -> None:
        """Learn the range of columns of pixels."""
        matrix, _ = pixel_matrix(cells, self.shape)
        low = float(statistics.quantile("smallest", np.fmin.reduce(matrix, 1), 0))
        high = float(statistics.quantile("largest", np.fmax.reduce(matrix, 1), 1))
        if math.isnan(low):
            raise CellError(
                "no pixel in any row", column=listing(cells.names), remedy="Leave the columns out"
            )
        self.size_, self.mode_, self.units_ = tuple(map(int, self.shape[:2])), None, {}
        self.dtypes_ = [str(column.dtype) for column in cells.columns]
        self.low_, self.high_ = (0.0, 255.0) if matrix.dtype == np.uint8 else (low, high)

    def _learn_pixels(self, values: Values, statistics: Statistics) -> None:
        """Learn the mean, the scale, and how far the mean image is from the training rows."""
        pixels, present = values.tensors["pixels"], values.present
        n_pixels = pixels.shape[1]
        mean, count, squares = np.zeros(n_pixels), np.zeros(n_pixels), 0.0
        with statistics.together():
            for columns, chunk in _by_columns(values):
                name = f"pixels {columns.start}"
                count[columns], mean[columns], variance = statistics.moments(name, chunk)
                squares += (variance * count[columns]).sum()
            (n_rows,), *_ = statistics.moments("rows", np.zeros((present.sum(), 1)))
        if not count.any():  # each looked whole at first
            raise self._nothing()
        # A pixel that was never observed is the average one.
        mean[count == 0] = np.average(mean, weights=count)
        self.mean_ = mean.astype(np.float32)
        self.scale_ = math.sqrt(squares / n_rows) or 1.0
        self.null_deviance_ = 1.0
        if self.loss == "cross-entropy":
            nats = self._nats_beyond(mean, values)
            _, (divergence,), _ = statistics.moments("null deviance", nats[:, None])
            self.null_deviance_ = float(divergence) or 1.0

    def _nats_beyond(self, mean: np.ndarray, values: Values) -> np.ndarray:
        """Return how far the mean image is from each row, (rows present,), in nats."""
        span = (self.high_ - self.low_) or 1.0
        nats = np.zeros(values.present.sum())
        for columns, chunk in _by_columns(values):
            share = ((chunk - np.float32(self.low_)) / np.float32(span)).clip(0, 1)
            null = (mean[columns] - self.low_) / span
            nats += _divergence(share, null.clip(SMALLEST_SHARE, 1 - SMALLEST_SHARE))
        return nats

    def _learn_privately(self, cells: Cells, statistics: Statistics) -> Values:
        """Learn the mean image and the scale from one sum of rows; the rest is public."""
        self.mode_, self.low_, self.high_, self.dtypes_ = self.mode, 0.0, 255.0, None
        self.size_ = learn_size(self.size, (), LARGEST, statistics)
        self.units_ = learn_units((), (), statistics, self.max_value)
        values = self.transform(cells)
        pixels = values.tensors["pixels"] / 127.5 - 1
        pixels[~values.present] = np.nan
        sums = ColumnSums.ask(pixels, [], statistics)
        self.mean_ = (127.5 * (sums.mean + 1)).astype(np.float32)
        self.scale_, self.null_deviance_ = 127.5 * math.sqrt(sums.variance.sum()), 1.0
        return values

    def _decoded(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels of a column of images, and where there is one.

        The column's own memory where nothing is to be done.
        """
        name, column = self._only_column(cells)
        channels = CHANNELS[self.mode_]
        as_it_is = (*self.size_, channels) if column.ndim == 4 else self.size_
        if (
            column.dtype == np.uint8
            and column.shape[1:] == as_it_is
            and (column.ndim == 4 or channels == 1)
            and self.mode_ != "RGBA"  # there may be colours behind what is transparent
            and column.flags.writeable  # torch warns of memory that it could write to, but must not
            and column.flags.c_contiguous
        ):
            return column.reshape(len(column), -1), np.ones(len(column), bool)
        pixels = np.zeros((len(column), math.prod(self.size_) * channels), np.uint8)
        present, odd_rows = np.zeros(len(column), bool), []
        settings = {
            **{"mode": self.mode_, "size": self.size_, "units": self.units_},
            **{"max_value": self.max_value, "max_pixels": self.max_pixels},
        }
        for row, (picture, odd) in self._read(cells, decode, **settings):
            pixels[row], present[row] = picture.reshape(-1), True
            if odd:
                odd_rows.append(row)
        warn_of_another_unit(name, odd_rows, "images")
        return pixels, present

    def _columns(self, cells: Cells) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the tensors of pixel columns, and where any pixel is observed."""
        matrix, there = pixel_matrix(cells, self.shape)
        pixels = compact(matrix, there)
        tensors, present = {"pixels": pixels}, np.ones(len(pixels), bool)
        if there is not None:
            present = there.any(1)
            if not there[present].all():
                tensors["observed"] = there
        if matrix.dtype != np.uint8:
            reach = max(-self.low_, self.high_)
            largest = np.maximum(pixels.max(1), -pixels.min(1).astype(np.float32))
            odd = (largest > 10 * reach) | ((largest > 0) & (largest <= 1) & (reach > 10))
            warn_of_another_unit(listing(cells.names), np.flatnonzero(odd), "images")
        return tensors, present

    def shown(self, cells: Cells, predicted: bool = False) -> Pictures:
        """Return images; columns of pixels as one, NaN where a pixel is not observed."""
        values = self.transform(cells)
        pixels = values.tensors["pixels"]
        if "observed" in values.tensors:
            pixels = np.where(values.tensors["observed"], pixels, np.nan)
        pictures = pixels.reshape(len(cells), *self.size_, -1)
        return Pictures(where_present(pictures, values.present), self.low_, self.high_)

    def as_numbers(self, values: Values) -> Array:
        """Return the pixels, 0 where one is not observed."""
        return values.tensors["pixels"].astype(np.float32)


def _by_columns(values: Values) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield some columns of pixels at a time, of the rows that are present; NaN where missing."""
    pixels, present = values.tensors["pixels"], values.present
    there = values.tensors.get("observed")
    for first in range(0, pixels.shape[1], CHUNK):
        columns = slice(first, first + CHUNK)
        chunk = pixels[:, columns] if present.all() else pixels[present, columns]
        if there is not None:
            chunk = np.where(there[present, columns], chunk, np.nan)
        yield columns, chunk


def _learn_mode(facts: Iterable[PictureFacts], statistics: Statistics) -> str:
    """Return the mode that holds all images."""
    if True in statistics.frequent("transparent", [fact.transparent for fact in facts]):
        return "RGBA"
    return "RGB" if False in statistics.frequent("grey", [fact.grey for fact in facts]) else "L"


def _divergence(share: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return the Kullback-Leibler divergence of each row of shares from one of them, in nats."""
    nats = -entr(share) - entr(1 - share) - share * np.log(null) - (1 - share) * np.log1p(-null)
    return np.nansum(nats, 1, dtype=np.float64)


def _is_shape(value: Any) -> bool:
    sides = isinstance(value, tuple | list) and len(value) in (2, 3)
    return sides and all(map(is_count, value))
