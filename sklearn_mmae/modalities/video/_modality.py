"""`VideoModality`: clips from files, bytes or arrays, their frames chosen in time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib import Memory

from ..._core.errors import CellError
from ..._core.holes import observed
from ..._core.progress import progress_bar
from ..._core.values import check_share, is_positive, is_whole
from ...nn._steps import PaddedNetwork
from ...statistics import Statistics
from ...tables._cells import Cells, Values
from .._media import (
    FileModality,
    TimedMediaModality,
    are_means,
    are_units,
    looked_at,
    mostly,
    with_lengths,
)
from .._pictures import check_size, learn_size, learn_units, warn_of_another_unit
from .._shown import Clips
from ._cells import ClipFacts, decode, describe, is_moving, looks_like_clip
from ._network import clip_layers

__all__ = ["VideoModality"]

LARGEST = 32  # longer side of the frames where size=None
MOST_FRAMES = 16  # of the longest training clip where fps=None
CHANNELS = {"L": 1, "RGB": 3}


class VideoModality(TimedMediaModality, FileModality):
    """Video clips, all brought to one size and rate, each with its own length.

    A cell is a path or the bytes of a file, or an array (T, H, W) or (T, H, W, C) of 1, 3 or 4
    channels. Read are MP4, WebM, MPEG, AVI, OGG and GIF, turned and mirrored as they say; other
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
        refused where there are files too; with privacy it is `fps`.
    max_value : float or None, default=None
        The number that stands for white in arrays of other numbers than uint8. Black is 0, what is
        larger than white is white. None learns it.
    root : str, path or None, default=None
        Folder that paths are relative to. Absolute paths, and paths that lead out of it, are
        then refused; give it wherever paths come from others.
    max_pixels : int, default=50_000_000
        A file of more pixels a frame is refused before it is decoded.
    on_error : {"raise", "missing"}, default="raise"
        Whether a cell that cannot be read is an error, or a missing value that is warned of.
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps the frames of files and bytes, for the next time that they are read in
        the same way, as in a grid search; a file that has changed is read anew. Pickles are kept
        there: let nobody else write to it.
    mask : float, default=0.0
        Share of the frames, in one stretch, 0 to below 1, that the encoder does not see in a step
        of training, elsewhere in each. Without effect where the estimator's `noise` is 0.
    verbose : int, default=0
        1 shows how far reading is, by a bar, but not in workers of joblib; 2 also in these.

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
    units_ : dict of {"float", "integer", "16-bit"} to float
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

    noun = "clip"
    entries_per_step_ = 1  # frame

    size_: tuple[int, int]
    mode_: str
    fps_: float
    step_seconds_: float
    rate_: float | None
    n_frames_: int
    units_: dict[str, float]

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        *,
        mode: str = "auto",
        fps: float | None = None,
        max_seconds: float | None = None,
        rate: float | None = None,
        max_value: float | None = None,
        root: str | os.PathLike | None = None,
        max_pixels: int = 50_000_000,
        on_error: str = "raise",
        memory: str | os.PathLike | Memory | None = None,
        mask: float = 0.0,
        verbose: int = 0,
    ) -> None:
        self.size = size
        self.mode = mode
        self.fps = fps
        self.max_seconds = max_seconds
        self.rate = rate
        self.max_value = max_value
        self.root = root
        self.max_pixels = max_pixels
        self.on_error = on_error
        self.memory = memory
        self.mask = mask
        self.verbose = verbose

    @property
    def n_steps_(self) -> int:
        """The most frames of a clip."""
        return self.n_frames_

    @classmethod
    def accepts(cls, name: Any, column: np.ndarray) -> bool:
        """Whether most cells are video clips, or paths of files; one moving GIF is enough."""
        if column.ndim == 5:
            return bool(
                column.dtype.kind in "buif" and column.size and column.shape[4] in (1, 3, 4)
            )
        answers = looked_at(column, lambda cell: looks_like_clip(cell) or is_moving(cell))
        return any(answers) and mostly([answer is not None for answer in answers])

    def check_public(self, cells: Cells) -> None:
        """Refuse clips of which a private fit would have to find out how they are to be read."""
        self.check_parameters()
        name, _ = self._only_column(cells)
        needed = (self.size, self.fps, self.max_seconds, self.max_value)
        if self.mode == "auto" or any(value is None for value in needed):
            raise CellError(
                "privacy needs a size, a mode, a rate, a length and a number for white that are"
                " public, not taken from the rows",
                column=name,
                remedy="Give VideoModality(size=(height, width), mode='L', fps=4, max_seconds=2.0,"
                " max_value=255)",
            )

    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        if statistics.is_private:
            return self._learn_privately(cells, statistics)
        statistics.once("looks", partial(self._learn_settings, cells, statistics))
        values = self.transform(cells)
        steps, length = values.tensors["steps"], values.tensors["length"]
        longest = statistics.quantile("length", length[values.present], 1)
        if math.isnan(longest):
            raise self._nothing()
        self.n_frames_ = min(int(longest), self.n_frames_)
        length = np.minimum(length, self.n_frames_)
        values = Values({"steps": steps[:, : self.n_frames_], "length": length}, values.present)
        self.learn_steps(values, statistics)
        return values

    def _learn_privately(self, cells: Cells, statistics: Statistics) -> Values:
        """Learn the mean clip, the scale and lengths from sums of rows; the rest is public."""
        self.mode_, self.size_ = self.mode, learn_size(self.size, (), LARGEST, statistics)
        self.fps_, self.rate_ = float(self.fps), float(self.rate or self.fps)
        self.step_seconds_ = 1 / self.fps_
        self.n_frames_ = max(1, math.ceil(self.max_seconds * self.fps_ - 1e-6))
        self.units_ = learn_units((), (), statistics, self.max_value)
        values = self.transform(cells)
        steps, length = values.tensors["steps"], values.tensors["length"]
        known = (np.arange(self.n_frames_) < length[:, None])[:, :, None]
        levels = np.where(known, steps, np.float32(np.nan)).reshape(len(steps), -1)
        self.mean_ = self._learn_levels(levels, length, statistics)
        return values

    def transform(self, cells: Cells) -> Values:
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
        settings = {
            **{"mode": self.mode_, "fps": self.fps_, "rate": self.rate_, "units": self.units_},
            **{"max_value": self.max_value, "shape": shape, "max_pixels": self.max_pixels},
        }
        clips = self._read(cells, _frames, **settings)
        for row, (clip, odd) in self._shown(name, observed(column), clips):
            frames[row, : len(clip)], length[row] = clip, len(clip)
            if odd:
                odd_rows.append(row)
        warn_of_another_unit(name, odd_rows, "clips")
        steps = frames.reshape(len(column), self.n_frames_, -1)
        return Values({"steps": steps, "length": length}, length > 0)

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
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

    def with_length_of(self, predictions: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """Return predictions as long as the clips that they are the reconstructions of."""
        return with_lengths(predictions, tensors)

    def network(self, n_components: int, width: int, dropout: float) -> PaddedNetwork:
        """Build the network of the clips; see `Modality.network`."""
        shape = (self.n_frames_, *self.size_, CHANNELS[self.mode_])
        mean = torch.tensor(self.mean_).reshape(self.n_frames_, -1)
        layers = clip_layers(shape, n_components, width, dropout)
        return PaddedNetwork(mean, *layers, **self._steps_settings())

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        counts = (*self.size_, self.n_frames_) if isinstance(self.size_, tuple) else ()
        return (
            len(counts) == 3
            and all(is_whole(count) and count > 0 for count in counts)
            and self.mode_ in CHANNELS
            and n_columns == 1
            and are_means(self.mean_, math.prod(counts) * CHANNELS[self.mode_])
            and all(map(is_positive, (self.fps_, self.scale_)))
            and self.step_seconds_ == 1 / self.fps_
            and (self.rate_ is None or is_positive(self.rate_))
            and self._lengths_are_sound(self.n_frames_)
            and are_units(self.units_)
        )

    def check_parameters(self) -> None:
        """Refuse values that make no sense, by the names of their parameters."""
        check_size(self.size)
        self._check_choice("mode", ("auto", *CHANNELS))
        for name in ("fps", "max_seconds", "rate", "max_value"):
            self._check_number(name)
        self._check_count("max_pixels")
        check_share("mask", self.mask)
        if not isinstance(self.verbose, int | np.integer) or self.verbose < 0:
            raise ValueError(f"verbose={self.verbose!r}: give 0, 1 or 2.")
        self._check_reading()

    def _learn_settings(self, cells: Cells, statistics: Statistics) -> None:
        """Learn all that must be known before frames are kept."""
        settings = {"max_value": self.max_value, "max_pixels": self.max_pixels}
        facts = self._facts(cells, describe, **settings)
        with statistics.together():
            kinds = statistics.frequent("kind", [fact.kind for fact in facts.values()])
            self.mode_ = self.mode
            if self.mode == "auto":
                grey = statistics.frequent("grey", [fact.grey for fact in facts.values()])
                self.mode_ = "RGB" if False in grey else "L"
            self.size_ = learn_size(self.size, facts.values(), LARGEST, statistics)
            self.units_ = learn_units(kinds, facts.values(), statistics, self.max_value)
            if self.rate is None:
                timed = statistics.frequent("timed", [f.rate is not None for f in facts.values()])
                self.rate_ = None if True in timed else 1.0
            else:
                self.rate_ = float(self.rate)
        if not kinds:
            raise self._nothing()
        self._learn_times(facts, statistics)

    def _learn_times(self, facts: dict[int, ClipFacts], statistics: Statistics) -> None:
        """Learn the rate to work at, and the most frames."""
        seconds, rates = [], []
        for row, fact in facts.items():
            if fact.rate is None and self.rate_ is None:
                raise CellError(
                    "an array does not say how many frames a second it has",
                    row=row,
                    remedy="Say so: VideoModality(rate=...)",
                )
            rates.append(fact.rate or self.rate_)
            seconds.append(fact.n_frames / rates[-1] if fact.seconds is None else fact.seconds)
        with statistics.together():
            longest = float(statistics.quantile("seconds", seconds, 1))
            usual = self.fps or statistics.quantile("rate", rates, 0.5)
        if self.max_seconds is not None:
            longest = min(longest, float(self.max_seconds))
        self.fps_ = float(self.fps or min(usual, MOST_FRAMES / longest))
        self.step_seconds_ = 1 / self.fps_
        # Headers round: a frame more than they say may come.
        more = 0 if self.max_seconds is not None and self.max_seconds <= longest else 1
        self.n_frames_ = max(1, math.ceil(longest * self.fps_ - 1e-6) + more)

    def _shown(
        self, name: Any, present: np.ndarray, clips: Iterator[tuple[int, Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Yield clips as they are read, and show how far it is."""
        bar = progress_bar(int(present.sum()), f"reading {name}", "clip", self.verbose)
        if bar is None:
            yield from clips
            return
        place = present.cumsum()
        with bar:
            for row, clip in clips:
                bar.update(place[row] - bar.n)
                yield row, clip
            bar.update(place[-1] - bar.n)

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


def _frames(
    cell: Any, *, root: str | os.PathLike | None, shape: tuple[int, ...], **settings: Any
) -> tuple[np.ndarray, bool]:
    """Return the frames of a cell, and whether their unit is odd."""
    frames = np.zeros(shape, np.uint8)
    length, odd = decode(cell, frames, root=root, **settings)
    return frames[:length], odd
