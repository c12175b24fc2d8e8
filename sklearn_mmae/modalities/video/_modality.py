"""`VideoModality`: clips from files, bytes or arrays, their frames chosen in time."""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager

import numpy as np
import torch

from ..._core.errors import CellError, DataWarning, listing, locate, warn
from ..._core.holes import observed
from ..._core.progress import progress_bar
from ..._core.values import are_floats, check_share, is_positive, is_whole
from ...statistics import PLAIN
from ...tables._cells import Cells, Values
from .._base import TimedModality
from .._files import find_memory, read_each, remembered
from .._pictures import smallest_unit
from .._shown import Clips
from ._cells import decode, describe, is_moving, looks_like_clip
from ._network import VideoNetwork

__all__ = ["VideoModality"]

LARGEST = 32  # longer side of the frames where size=None
MOST_FRAMES = 16  # of the longest training clip where fps=None
LOOKED_AT = 50  # cells that "auto" looks at
CHUNK = 4096  # numbers of a frame converted to floats at a time
CHANNELS = {"L": 1, "RGB": 3}


class VideoModality(TimedModality):
    """Clips, all brought to one size and rate, each as long as it is.

    A cell is a path or the bytes of a file, or an array (T, H, W) or (T, H, W, C) of 1, 3 or 4
    channels. Read are MP4, WebM, MPEG, AVI, OGG and GIF, turned as their metadata say; other
    proportions are stretched, what is transparent is laid over white, and sound is left aside:
    `AudioModality` reads it from a file of sound. Needs PyAV for files: ``pip install
    'sklearn-mmae[video]'``.

    Parameters
    ----------
    size : int, tuple (height, width) or None, default=None
        Size in pixels to work at; an int is a square. None takes the median height and width of
        the training clips, never more than 32 on the longer side.
    mode : {"auto", "L", "RGB"}, default="auto"
        Grey or colour. ``"auto"`` takes ``"L"`` if all training clips are grey.
    fps : float or None, default=None
        Frames a second to work at: those on the screen at 0, 1 / fps, 2 / fps, ... seconds. None
        takes 16 frames of the longest training clip, or the median rate if that is less.
    max_seconds : float or None, default=None
        What lasts longer is cut off, and not decoded. None takes the longest training clip.
    rate : float or None, default=None
        Frames a second of cells that are arrays. None counts time in their frames, which is
        refused where there are files too.
    root : str, path or None, default=None
        Folder that paths are relative to. Absolute paths, and paths that lead out of it, are
        then refused; give it wherever paths come from others.
    max_pixels : int, default=50_000_000
        A file of more pixels a frame is refused before it is decoded.
    on_error : {"raise", "missing"}, default="raise"
        Whether a cell that cannot be read is an error, or a hole that is warned of.
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps the frames of files and bytes, for the next time that they are read in
        the same way, as in a grid search; a file that has changed is read anew. Pickles are kept
        there: let nobody else write to it.
    mask : float, default=0.0
        Share of the frames, in one stretch, 0 to below 1, that the encoder does not see in a step
        of training, elsewhere in each. Without effect where the estimator's `noise` is 0.
    verbose : int, default=0
        1 shows how far reading is, by a bar in a terminal or a notebook; 2 also where standard
        error leads to a file.

    Attributes
    ----------
    size_ : tuple of int
        Height and width.
    mode_ : str
    fps_ : float
    step_seconds_ : float
        ``1 / fps_``.
    rate_ : float or None
        Frames a second of arrays.
    n_frames_ : int
        Of the longest clip.
    mean_ : ndarray of shape (`n_frames_` * height * width * channels,), float32
        Mean clip, flat.
    scale_ : float
        Root of the frames' total variance; 1 where it is zero.
    log_length_, log_length_scale_ : float
        Mean and standard deviation of the logarithm of the number of frames.
    units_ : dict of {"float", "integer"} to float
        The number that stands for white, for the kinds of arrays seen in training.

    Notes
    -----
    Decoding keeps no frame but those wanted, already brought to size: memory is that of the uint8
    result. Clips come back as uint8 arrays (T, height, width, channels) at `fps_`, each of its own
    predicted length.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import VideoModality
    >>> from sklearn_mmae.cells import Cells
    >>> clips = np.empty(3, object)
    >>> for row, n_frames in enumerate([5, 9, 7]):
    ...     clips[row] = np.full((n_frames, 8, 8, 3), 80 * row, np.uint8)
    >>> modality = VideoModality(rate=10.0).fit(Cells(("clip",), (clips,)))
    >>> modality.size_, modality.fps_, modality.n_frames_
    ((8, 8), 10.0, 9)
    """

    def __init__(
        self,
        size=None,
        *,
        mode="auto",
        fps=None,
        max_seconds=None,
        rate=None,
        root=None,
        max_pixels=50_000_000,
        on_error="raise",
        memory=None,
        mask=0.0,
        verbose=0,
    ):
        self.size = size
        self.mode = mode
        self.fps = fps
        self.max_seconds = max_seconds
        self.rate = rate
        self.root = root
        self.max_pixels = max_pixels
        self.on_error = on_error
        self.memory = memory
        self.mask = mask
        self.verbose = verbose

    entries_per_step_ = 1  # frame

    @property
    def n_steps_(self):
        """The most frames of a clip."""
        return self.n_frames_

    @classmethod
    def accepts(cls, name, column):
        """Whether a column holds clips, or paths of existing files; one moving GIF is enough."""
        if column.ndim == 5:
            return bool(
                column.dtype.kind in "buif" and column.size and column.shape[4] in (1, 3, 4)
            )
        if column.ndim != 1 or column.dtype.kind not in "OU":
            return False
        rows = np.flatnonzero(observed(column))
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)]
        moving = []
        for row in some:
            moving.append(looks_like_clip(column[row]) or is_moving(column[row]))
            if moving[-1] is None:
                return False
        return any(moving)

    def fit(self, cells, statistics=PLAIN):
        """Learn size, rate, lengths, mean clip and scale.

        Parameters
        ----------
        cells : Cells
            One column of clips.
        statistics : Statistics, default=PLAIN
            What is asked about the rows.

        Returns
        -------
        self

        Raises
        ------
        CellError
            Naming the column and row of what cannot be read.
        """
        self.fit_transform(cells, statistics)
        return self

    def fit_transform(self, cells, statistics=PLAIN):
        """Fit, and return the same cells as `Values`, each decoded once."""
        self.check_parameters()
        name, column = self._only_column(cells)
        self._learn_settings(name, column)
        values = self.transform(cells)
        if not values.present.any():
            raise _nothing(name)
        length = values.tensors["length"]
        self.n_frames_ = int(length.max())
        values.tensors["steps"] = values.tensors["steps"][:, : self.n_frames_]
        self.learn_steps(values, statistics)
        return values

    def transform(self, cells):
        """Return the frames.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``steps`` (rows, n_frames, height * width * channels), uint8, and ``length`` (rows,),
            how many of the frames are the row's own; 0 where the clip is missing.
        """
        name, column = self._only_column(cells)
        shape = (self.n_frames_, *self.size_, CHANNELS[self.mode_])
        frames = np.zeros((len(column), *shape), np.uint8)
        length, odd_rows = np.zeros(len(column), np.int64), []
        with self._reading(column, name) as rows:
            found = read_each(
                name,
                column,
                lambda cell: self._decoded(cell, frames[next(rows)]),
                self.on_error,
            )
            for row, (n_frames, odd) in found:
                length[row] = n_frames
                if odd:
                    odd_rows.append(row)
        present = length > 0
        frames[observed(column) & ~present] = 0  # what was read of a damaged file
        if odd_rows:
            warn(
                f"column {name!r}, row{'s' if len(odd_rows) > 1 else ''}"
                f" {listing(odd_rows, most=5)}: the pixels suggest another unit than in training,"
                " such as 0..1 for 0..255. Scale all clips alike."
            )
        steps = frames.reshape(len(column), self.n_frames_, -1)
        return Values({"steps": steps, "length": length}, present)

    def inverse_transform(self, predictions):
        """Return clips.

        Parameters
        ----------
        predictions : ndarray of shape (rows, n_frames * height * width * channels + 1)
            Numbers in 0..255, and last the number of frames.

        Returns
        -------
        list of one ndarray of shape (rows,)
            Of uint8 arrays (T, height, width, channels).
        """
        shape = (self.n_frames_, *self.size_, CHANNELS[self.mode_])
        lengths = np.rint(predictions[:, -1]).clip(1, self.n_frames_).astype(int)
        clips = np.empty(len(predictions), object)
        for row, length in enumerate(lengths):
            frames = predictions[row, :-1].reshape(shape)[:length]
            clips[row] = np.rint(frames).clip(0, 255).astype(np.uint8)
        return [clips]

    def with_length_of(self, predictions, tensors):
        """Return predictions as long as the clips that they are the reconstructions of.

        Parameters
        ----------
        predictions : ndarray, rows first
        tensors : dict of str to ndarray

        Returns
        -------
        ndarray
        """
        length = np.asarray(tensors["length"])
        last = np.where(length > 0, length, predictions[:, -1])
        return np.concatenate([predictions[:, :-1], last[:, None]], 1).astype(predictions.dtype)

    def network(self, n_components, width, dropout):
        """Build the network of the clips.

        Parameters
        ----------
        n_components, width : int
        dropout : float

        Returns
        -------
        ModalityNetwork
        """
        return VideoNetwork(
            torch.tensor(self.mean_).reshape(self.n_frames_, -1),
            size=self.size_,
            scale=self.scale_,
            log_length=self.log_length_,
            log_length_scale=self.log_length_scale_,
            mask=float(self.mask),
            n_components=n_components,
            width=width,
            dropout=dropout,
        )

    def learned(self):
        """Return the names of what `fit` learns, for `load`."""
        return {
            *("size_", "mode_", "fps_", "step_seconds_", "rate_", "n_frames_", "mean_", "scale_"),
            *("log_length_", "log_length_scale_", "units_"),
        }

    def is_sound(self, n_columns):
        """Whether what a file says was learned agrees with itself, for `load`."""
        counts = (*self.size_, self.n_frames_) if isinstance(self.size_, tuple) else ()
        return (
            len(counts) == 3
            and all(is_whole(count) and count > 0 for count in counts)
            and self.mode_ in CHANNELS
            and n_columns == 1
            and are_floats(self.mean_, math.prod(counts) * CHANNELS[self.mode_])
            and self.mean_.dtype == np.float32
            and all(map(is_positive, (self.fps_, self.scale_)))
            and self.step_seconds_ == 1 / self.fps_
            and (self.rate_ is None or is_positive(self.rate_))
            and isinstance(self.log_length_, float)
            and 0 <= self.log_length_ <= math.log(self.n_frames_) + 1e-9
            and isinstance(self.log_length_scale_, float)
            and 0 <= self.log_length_scale_ < math.inf
            and isinstance(self.units_, dict)
            and self.units_.keys() <= {"float", "integer"}
            and all(map(is_positive, self.units_.values()))
        )

    def check_parameters(self):
        size = self.size
        pair = isinstance(size, tuple | list) and len(size) == 2 and all(map(_is_count, size))
        if not (size is None or _is_count(size) or pair):
            raise ValueError(f"size={size!r}: give None, a number of pixels, or (height, width).")
        if self.mode not in ("auto", *CHANNELS):
            raise ValueError(f"mode={self.mode!r}: give one of {listing(['auto', *CHANNELS])}.")
        for name in ("fps", "max_seconds", "rate"):
            number = getattr(self, name)
            if number is not None and not is_positive(number):
                raise ValueError(f"{name}={number!r}: give None, or a number above 0.")
        if not _is_count(self.max_pixels):
            raise ValueError(f"max_pixels={self.max_pixels!r}: give a whole number above 0.")
        check_share("mask", self.mask)
        if self.on_error not in ("raise", "missing"):
            raise ValueError(f"on_error={self.on_error!r}: give 'raise' or 'missing'.")
        find_memory(self.memory)  # raises for what is no memory

    def _only_column(self, cells):
        if len(cells.names) != 1:
            raise CellError(
                f"{len(cells.names)} columns for one clip",
                column=listing(cells.names),
                remedy="Give each column of clips a modality of its own",
            )
        return cells.names[0], cells.columns[0]

    def _learn_settings(self, name, column):
        """Learn all that must be known before frames are kept."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # reading the frames warns of the same
            found = list(read_each(name, column, self._described, self.on_error))
        facts = [fact for _, fact in found]
        if not facts:
            raise _nothing(name)
        self.mode_ = self.mode
        if self.mode == "auto":
            self.mode_ = "L" if all(fact.grey for fact in facts) else "RGB"
        self.size_ = self._size_of(facts)
        self.rate_ = None if self.rate is None else float(self.rate)
        if self.rate is None and all(fact.rate is None for fact in facts):
            self.rate_ = 1.0
        seconds, rates = [], []
        for row, fact in found:
            if fact.rate is None and self.rate_ is None:
                raise CellError(
                    "an array does not say how many frames a second it has",
                    column=name,
                    row=row,
                    remedy="Say so: VideoModality(rate=...)",
                )
            rates.append(fact.rate or self.rate_)
            seconds.append(fact.n_frames / rates[-1] if fact.seconds is None else fact.seconds)
        longest = max(seconds)
        if self.max_seconds is not None:
            longest = min(longest, float(self.max_seconds))
        fps = min(float(np.median(rates)), MOST_FRAMES / longest) if self.fps is None else self.fps
        self.fps_, self.step_seconds_ = float(fps), 1 / float(fps)
        # Headers round: a frame more than they say may come.
        more = 0 if self.max_seconds is not None and self.max_seconds <= longest else 1
        self.n_frames_ = max(1, math.ceil(longest * self.fps_ - 1e-6) + more)
        self.units_ = {}
        for kind in sorted({fact.kind for fact in facts} - {None}):
            low = min(fact.low for fact in facts if fact.kind == kind)
            high = max(fact.high for fact in facts if fact.kind == kind)
            with locate(column=name):
                self.units_[kind] = smallest_unit(kind, low, high)

    def _size_of(self, facts):
        if self.size is not None:
            height, width = (self.size, self.size) if _is_count(self.size) else self.size
            return int(height), int(width)
        sides = np.median([(fact.height, fact.width) for fact in facts], axis=0)
        shrink = min(1, LARGEST / sides.max())
        return tuple(max(1, round(float(side * shrink))) for side in sides)

    def _described(self, cell):
        read = remembered(_facts, self.memory, self.root)
        return read(cell, max_pixels=self.max_pixels)

    def _decoded(self, cell, frames):
        """Write the frames of a cell; return how many, and whether their unit is odd."""
        settings = {
            **{"mode": self.mode_, "fps": self.fps_, "rate": self.rate_, "units": self.units_},
            "max_pixels": self.max_pixels,
        }
        if self.memory is None:
            return decode(cell, frames, root=self.root, **settings)
        read = remembered(_frames, self.memory, self.root)
        kept, odd = read(cell, shape=frames.shape, **settings)
        frames[: len(kept)] = kept
        return len(kept), odd

    @contextmanager
    def _reading(self, column, name):
        """Yield the rows to be read, one after the other, and show how far it is."""
        rows = np.flatnonzero(observed(column))
        bar = progress_bar(len(rows), f"reading {name}", "clip", self.verbose)
        if bar is None:
            yield iter(rows)
            return

        def count(row):
            bar.update()
            return row

        try:
            yield map(count, rows)
        finally:
            bar.close()

    def shown(self, cells: Cells, predicted: bool = False) -> Clips:
        """Return frames at the times that are looked at; those that came back are."""
        if predicted:
            clips = list(cells.columns[0])
        else:
            tensors = self.transform(cells).tensors
            clips = [
                frames[:n].reshape(n, *self.size_, -1) if n else None
                for frames, n in zip(tensors["steps"], tensors["length"], strict=True)
            ]
        in_frames = self.rate is None and self.rate_ is not None
        return Clips(clips, None if in_frames else self.step_seconds_)


def _facts(cell, root, *, stamp, max_pixels):
    """Return the facts of a cell; a function of its own, as the next one, for `remembered`."""
    return describe(cell, root=root, max_pixels=max_pixels)


def _frames(cell, root, *, stamp, shape, **settings):
    """Return the frames of a cell, and whether their unit is odd."""
    frames = np.zeros(shape, np.uint8)
    length, odd = decode(cell, frames, root=root, **settings)
    return frames[:length], odd


def _nothing(name):
    return CellError("no clip in any row", column=name, remedy="Leave this column out")


def _is_count(number):
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and number > 0
