"""`AudioModality`: sounds from files, bytes or arrays, learned as log-mel spectrograms."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from joblib import Memory

from ..._core.errors import CellError, warn
from ..._core.values import check_share, is_positive, is_whole
from ...nn._steps import temporal_layers
from ...statistics import Statistics
from ...tables._cells import Cells, Values
from .._base import learn_lengths
from .._files import warn_of_rows
from .._media import (
    FileModality,
    TimedMediaModality,
    are_means,
    is_count,
    looked_at,
    mostly,
    with_lengths,
)
from .._shown import Sounds
from ._cells import HIGHEST_RATE, SoundFacts, decode, describe, looks_like_sound
from ._network import AudioNetwork, stretch
from ._spectrogram import FLOOR, STEP, MelSpectrogram

__all__ = ["AudioModality"]

LARGEST_RATE = 22_050  # where sampling_rate=None
LARGEST_SECONDS = 10.0  # where max_seconds=None
SHARE_WHOLE = 0.99  # of the training sounds, where max_seconds=None
LOUDEST = 255  # level: what is above has no other one
STEP_SECONDS = 0.01  # of a hop, where hop_length=None
WINDOW_SECONDS = 0.04  # of n_fft, at least, where it is None
MOST_STEPS = 256  # that hop_length=None makes of the longest sound
LARGEST_WINDOW = 2**14
LARGEST_SPECTROGRAM = 2**24  # steps times n_fft
MOST_OVERLAP = 32  # windows over one sample: more cost time, and say no more of it
MOST_MELS = 512
MOST_STRETCHED = 64  # steps that the network sees of a sound
SMALLEST_VARIANCE = 1e-6  # of the levels, in their units; less is rounding
BANDS, BLOCK = 8, 256  # bands and rows stretched at a time


class AudioModality(TimedMediaModality, FileModality):
    """Sounds, resampled to one rate, learned as log-mel spectrograms.

    A cell is a path, the bytes of a file, an array of samples at `rate`, or a pair of both, either
    ``(rate, samples)`` as from `scipy.io.wavfile.read` or ``(samples, rate)`` as from
    `soundfile.read`. Arrays have the shape (n,) or (n, channels); whole numbers are scaled by their
    dtype, floats count from -1 to 1. Read are WAV, FLAC, OGG, MP3, AIFF, AU and CAF. Of several
    channels the mean power is taken, so that those in opposite phase do not cancel. Sounds come
    back as arrays of samples at `sampling_rate`, their phases by Griffin and Lim's algorithm [1]_.

    Parameters
    ----------
    sampling_rate : int or None, default=None
        Samples a second to work at, and of what comes back. None takes `rate`, or else the median
        rate of the training sounds, at most 22,050.
    rate : int or None, default=None
        Samples a second of arrays that come without a rate. None takes `sampling_rate`. Where both
        are given and differ, what comes back is not what the modality takes an array for: give it
        back as ``(sampling_rate, samples)``.
    max_seconds : float or None, default=None
        What comes later in a sound is not read. None takes what holds 99 % of the training sounds
        whole, at most 10 seconds; sounds that are longer are then warned of.
    n_mels : int, default=64
        Frequency bands.
    n_fft : int or None, default=None
        Samples per window, an even number. None takes the power of two that lasts 40 ms or longer.
    hop_length : int or None, default=None
        Samples from one window to the next, at most half of `n_fft`. None takes 10 ms, or a 256th
        of the longest sound where that is longer.
    f_min : float, default=20
        Lower end of the lowest band, in hertz.
    f_max : float or None, default=None
        Upper end of the highest band, in hertz; None is half the sampling rate.
    root : str, path or None, default=None
        Folder that paths are relative to. Absolute paths, and paths that lead out of it, are
        then refused; give it wherever paths come from others.
    on_error : {"raise", "missing"}, default="raise"
        Whether a cell that cannot be read is an error, or a missing value that is warned of.
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps the spectrograms of files and bytes, for the next time that they are
        read in the same way, as in a grid search; a file that has changed is read anew. Pickles
        are kept there: let nobody else write to it.
    mask : float, default=0.0
        Share of the steps and of the bands, in one stretch of either, 0 to below 1, that the
        encoder does not see in a step of training, elsewhere in each [2]_. Without effect where
        the estimator's `noise` is 0.

    Attributes
    ----------
    sampling_rate_ : int
        Samples a second of what comes back.
    max_seconds_ : float
        Length of the longest sound that is read whole.
    step_seconds_ : float
        Seconds from one step of the spectrogram to the next.
    n_fft_, hop_length_ : int
        Samples per window, and from one to the next.
    frequencies_ : ndarray of shape (n_mels,)
        Middles of the bands, in hertz.
    mean_ : ndarray of shape (stretched, n_mels), float32
        Of the spectrograms in their units of 0.4 dB, each stretched to as many steps as the
        median sound has, with privacy as `max_seconds` have; at most 64.
    scale_ : float
        Root of the mean over the sounds of their squared distances from the mean.
    log_length_, log_length_scale_ : float
        Mean and standard deviation of the logarithm of the number of steps.

    References
    ----------
    .. [1] Griffin & Lim (1984), "Signal estimation from modified short-time Fourier transform",
       IEEE Trans. ASSP 32(2).
    .. [2] Park et al. (2019), "SpecAugment: a simple data augmentation method for automatic speech
       recognition", Interspeech.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import AudioModality
    >>> from sklearn_mmae.cells import Cells
    >>> tones = np.empty(5, object)
    >>> for i in range(5):
    ...     tones[i] = np.sin(np.arange(4000) * (i + 1) / 10).astype(np.float32)
    >>> modality = AudioModality(rate=8000).fit(Cells(("tone",), (tones,)))
    >>> modality.sampling_rate_, modality.max_seconds_, modality.step_seconds_
    (8000, 0.5, 0.01)
    """

    noun = "sound"
    otherwise = "; one array of samples is one cell"

    sampling_rate_: int
    max_seconds_: float
    step_seconds_: float
    n_fft_: int
    hop_length_: int

    def __init__(
        self,
        sampling_rate: int | None = None,
        *,
        rate: int | None = None,
        max_seconds: float | None = None,
        n_mels: int = 64,
        n_fft: int | None = None,
        hop_length: int | None = None,
        f_min: float = 20.0,
        f_max: float | None = None,
        root: str | os.PathLike | None = None,
        on_error: str = "raise",
        memory: str | os.PathLike | Memory | None = None,
        mask: float = 0.0,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.rate = rate
        self.max_seconds = max_seconds
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.f_min = f_min
        self.f_max = f_max
        self.root = root
        self.on_error = on_error
        self.memory = memory
        self.mask = mask

    @classmethod
    def accepts(cls, name: Any, column: np.ndarray) -> bool:
        """Whether most cells are sounds with their rates, or paths of existing sound files."""
        return mostly(looked_at(column, looks_like_sound))

    @property
    def n_steps_(self) -> int:
        """Steps of the longest sound."""
        samples = max(1, round(self.max_seconds_ * self.sampling_rate_))
        return -(-samples // self.hop_length_)

    @property
    def entries_per_step_(self) -> int:
        """Samples to a step."""
        return self.hop_length_

    @property
    def frequencies_(self) -> np.ndarray:
        """Middles of the bands in hertz, (n_mels,)."""
        return self._spectrogram().centres

    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        if statistics.is_private:
            return self._learn_privately(cells, statistics)
        statistics.once("looks", partial(self._learn_times, cells, statistics))
        values = self.transform(cells)
        self.learn_steps(values, statistics)
        return values

    def _learn_privately(self, cells: Cells, statistics: Statistics) -> Values:
        """Learn the mean sound, the scale and lengths from sums of rows; the rest is public."""
        self._take_times()
        values = self.transform(cells)
        n_steps = min(self.n_steps_, MOST_STRETCHED)
        levels = _stretch(values.tensors["steps"], values.tensors["length"], n_steps)
        levels[~values.present] = np.nan
        mean = self._learn_levels(levels, values.tensors["length"], statistics)
        self.mean_ = mean.reshape(n_steps, -1)
        return values

    def check_public(self, cells: Cells) -> None:
        """Refuse sounds of which a private fit would have to find the rate or the length."""
        self.check_parameters()
        name, _ = self._only_column(cells)
        if (self.sampling_rate or self.rate) is None or self.max_seconds is None:
            raise CellError(
                "privacy needs a sampling rate and a length that are public, not taken from the"
                " rows",
                column=name,
                remedy="Give AudioModality(sampling_rate=8000, max_seconds=2.0)",
            )
        self._take_times()  # refuses bands that the rate does not have

    def transform(self, cells: Cells) -> Values:
        """Return the spectrograms.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``steps`` (rows, steps, n_mels), uint8 in units of 0.4 dB above -96 dB, 0 where a sound
            has ended; ``length`` (rows,), the steps of each sound, 0 where it is missing.
        """
        name, column = self._only_column(cells)
        steps = np.zeros((len(column), self.n_steps_, self.n_mels), np.uint8)
        length = np.zeros(len(column), np.int64)
        sounds = self._read(
            cells,
            _levels,
            spectrogram=self._spectrogram(),
            rate=self.rate or self.sampling_rate_,
            n_steps=self.n_steps_,
        )
        longer, louder = [], []
        for row, (levels, ended) in sounds:
            steps[row, : len(levels)], length[row] = levels, len(levels)
            if not ended:
                longer.append(row)
            if levels.max() == LOUDEST:
                louder.append(row)
        if longer and self.max_seconds is None:
            # The same words whichever rows it is, so that a search over folds says it once.
            warn(
                f"column {name!r}: sounds that last longer than {LARGEST_SECONDS:.0f} s, or than"
                f" {SHARE_WHOLE:.0%} of those in training, are cut. Give max_seconds, of the length"
                " to keep."
            )
        if louder:
            warn_of_rows(
                name,
                louder,
                "more than 6 dB above full scale, which is as loud as levels go. Divide floats by"
                " the largest number that a sample can be.",
            )
        return Values({"steps": steps, "length": length}, length > 0)

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return sounds.

        Parameters
        ----------
        predictions : ndarray of shape (rows, stretched * n_mels + 1)
            Levels in units of 0.4 dB above -96 dB, stretched, and last the number of steps that
            the sound has.

        Returns
        -------
        list of ndarray of shape (rows,)
            One, of float32 arrays of samples at `sampling_rate_`, -1 to 1.
        """
        spectrogram = self._spectrogram()
        sounds = np.empty(len(predictions), object)
        for row, prediction in enumerate(predictions):
            stretched = prediction[None, :-1].reshape(1, -1, self.n_mels)
            levels = _stretch(stretched, [len(self.mean_)], int(prediction[-1]))
            levels = levels.reshape(-1, self.n_mels)
            sounds[row] = spectrogram.samples(levels.clip(0, 255))
        return [sounds]

    def with_length_of(self, predictions: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """Return predictions as long as the sounds that they are the reconstructions of."""
        return with_lengths(predictions, tensors)

    def network(self, n_components: int, width: int, dropout: float) -> AudioNetwork:
        """Build the network of the sounds; see `Modality.network`."""
        mean = torch.tensor(self.mean_)
        layers = temporal_layers(self.mean_.shape, n_components, width, dropout)
        return AudioNetwork(mean, *layers, **self._steps_settings())

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        if not (
            n_columns == 1
            and all(map(is_whole, (self.sampling_rate_, self.n_fft_, self.hop_length_)))
            and all(map(is_positive, (self.max_seconds_, self.step_seconds_, self.scale_)))
            and isinstance(self.mean_, np.ndarray)
        ):
            return False
        return (
            0 < self.sampling_rate_ <= HIGHEST_RATE
            and 2 <= self.n_fft_ <= LARGEST_WINDOW
            and self.n_fft_ % 2 == 0
            and 1 <= self.hop_length_ <= self.n_fft_ // 2
            and self.n_fft_ <= MOST_OVERLAP * self.hop_length_
            and math.isclose(self.step_seconds_, self.hop_length_ / self.sampling_rate_)
            and self.n_steps_ * self.n_fft_ <= LARGEST_SPECTROGRAM
            and self.mean_.ndim == 2
            and 0 < len(self.mean_) <= MOST_STRETCHED
            and self.mean_.shape[1] == self.n_mels
            and are_means(self.mean_.ravel(), self.mean_.size)
            and self._lengths_are_sound(LARGEST_SPECTROGRAM)
        )

    def check_parameters(self) -> None:
        """Refuse values that make no sense, by the names of their parameters."""
        for name in ("sampling_rate", "rate"):
            value = getattr(self, name)
            if not (value is None or (is_count(value) and value <= HIGHEST_RATE)):
                raise ValueError(
                    f"{name}={value!r}: give None or whole hertz, at most {HIGHEST_RATE:,}."
                )
        self._check_number("max_seconds")
        if not (is_count(self.n_mels) and self.n_mels <= MOST_MELS):
            raise ValueError(f"n_mels={self.n_mels!r}: give a whole number, at most {MOST_MELS}.")
        n_fft, hop = self.n_fft, self.hop_length
        if not (n_fft is None or (is_count(n_fft) and not n_fft % 2 and n_fft <= LARGEST_WINDOW)):
            raise ValueError(
                f"n_fft={n_fft!r}: give None or an even number, at most {LARGEST_WINDOW}."
            )
        if not (hop is None or (is_count(hop) and hop <= (n_fft or LARGEST_WINDOW) // 2)):
            raise ValueError(
                f"hop_length={hop!r}: give None or a whole number, at most half of n_fft={n_fft}."
            )
        if n_fft is not None and hop is not None and n_fft > MOST_OVERLAP * hop:
            raise ValueError(
                f"hop_length={hop!r}: give at least {math.ceil(n_fft / MOST_OVERLAP)}."
            )
        if not (isinstance(self.f_min, Real) and 0 <= self.f_min < HIGHEST_RATE):
            raise ValueError(f"f_min={self.f_min!r}: give hertz, 0 or more.")
        if not (self.f_max is None or (is_positive(self.f_max) and self.f_max > self.f_min)):
            raise ValueError(f"f_max={self.f_max!r}: give None or hertz above f_min={self.f_min}.")
        check_share("mask", self.mask)
        self._check_reading()

    def _spectrogram(self) -> MelSpectrogram:
        f_max = self.sampling_rate_ / 2 if self.f_max is None else self.f_max
        return MelSpectrogram(
            self.sampling_rate_, self.n_fft_, self.hop_length_, self.n_mels, self.f_min, f_max
        )

    def _learn_times(self, cells: Cells, statistics: Statistics) -> None:
        """Learn rate and length from the headers alone, and window and hop from these."""
        facts = self._facts(cells, describe, rate=self.rate or self.sampling_rate)
        # Where no length is given, a few sounds that are very long do not count.
        share = SHARE_WHOLE if self.max_seconds is None else 1.0
        seconds = [fact.seconds for fact in facts.values()]
        with statistics.together():
            longest = statistics.quantile("seconds", seconds, share, method="higher")
            rate = self.sampling_rate or self.rate or _usual_rate(facts.values(), statistics)
        if math.isnan(longest):
            raise self._nothing()
        self.sampling_rate_ = int(rate)
        self.max_seconds_ = float(min(longest, self.max_seconds or LARGEST_SECONDS))
        self._learn_windows()

    def _take_times(self) -> None:
        """Take rate and length as they are given, and window and hop from these."""
        self.sampling_rate_ = int(self.sampling_rate or self.rate)
        self.max_seconds_ = float(self.max_seconds)
        self._learn_windows()

    def _learn_windows(self) -> None:
        """Learn window and hop of the rate and the length."""
        rate = self.sampling_rate_
        nyquist = rate / 2
        if self.f_min >= nyquist or (self.f_max or 0) > nyquist:
            raise ValueError(
                f"f_min={self.f_min}, f_max={self.f_max}: a sampling rate of {rate} has frequencies"
                f" up to {nyquist:g} only. Give lower ones, or a higher sampling_rate."
            )
        hop = self.hop_length
        if hop is None:
            hop = max(round(STEP_SECONDS * rate), math.ceil(self.max_seconds_ * rate / MOST_STEPS))
        if self.n_fft is None:
            window = max(WINDOW_SECONDS * rate, 2 * hop, 2)
            most = min(LARGEST_WINDOW, MOST_OVERLAP * hop)
            self.n_fft_ = min(2 ** math.ceil(math.log2(window)), 2 ** int(math.log2(most)))
        else:
            self.n_fft_ = int(self.n_fft)
        hop = max(hop, math.ceil(self.n_fft_ / MOST_OVERLAP))
        self.hop_length_ = int(min(hop, self.n_fft_ // 2))
        self.step_seconds_ = self.hop_length_ / rate
        if self.n_steps_ * self.n_fft_ > LARGEST_SPECTROGRAM:
            raise ValueError(
                f"{self.max_seconds_:.3g} s at a sampling rate of {rate} take {self.n_steps_}"
                " steps, which are too many. Give a lower max_seconds, or a larger hop_length."
            )

    def learn_steps(self, values: Values, statistics: Statistics) -> None:
        """Learn the mean and the scale of the stretched levels, and those of the length."""
        length = values.tensors["length"][values.present]
        median = statistics.quantile("length", length, 0.5)
        if math.isnan(median):
            raise self._nothing()
        n_steps = min(max(1, int(median)), MOST_STRETCHED)
        self.mean_ = np.empty((n_steps, self.n_mels), np.float32)
        total = 0.0
        with statistics.together():
            for first in range(0, self.n_mels, BANDS):
                bands = slice(first, first + BANDS)
                steps = values.tensors["steps"][values.present, :, bands]
                flat = _stretch(steps, length, n_steps)
                _, mean, variance = statistics.moments(f"levels {first}", flat)
                self.mean_[:, bands] = mean.reshape(n_steps, -1)
                total += float(variance.sum())
            _, self.log_length_, self.log_length_scale_ = learn_lengths(length, statistics)
        self.scale_ = math.sqrt(total) if total > SMALLEST_VARIANCE else 1.0

    def shown(self, cells: Cells, predicted: bool = False) -> Sounds:
        """Return spectrograms in decibels, also of the samples that came back."""
        if predicted:  # at `sampling_rate_`, whatever `rate` says of the user's samples
            sounds = np.empty(len(cells), object)
            for row, samples in enumerate(cells.columns[0]):
                sounds[row] = (self.sampling_rate_, samples)
            cells = Cells(cells.names, (sounds,))
        tensors = self.transform(cells).tensors
        levels = [
            steps[:n] * STEP + FLOOR if n else None
            for steps, n in zip(tensors["steps"], tensors["length"], strict=True)
        ]
        return Sounds(levels, self.step_seconds_, self.frequencies_)


def _stretch(steps: np.ndarray, length: Sequence[int], n_steps: int) -> np.ndarray:
    """Return rows stretched to a number of steps, as the network does, and flat."""
    stretched = np.empty((len(steps), n_steps, steps.shape[2]), np.float32)
    for first in range(0, len(steps), BLOCK):  # what it computes with is larger than the rows
        rows = slice(first, first + BLOCK)
        some = torch.from_numpy(steps[rows]).float()
        stretched[rows] = stretch(some, torch.as_tensor(length[rows]), n_steps).numpy()
    return stretched.reshape(len(steps), n_steps * steps.shape[2])


def _usual_rate(facts: Iterable[SoundFacts], statistics: Statistics) -> float:
    """Return the median rate, of two the higher one, if it is not too high to work at."""
    rates = [fact.rate for fact in facts]
    return min(statistics.quantile("rate", rates, 0.5, method="higher"), LARGEST_RATE)


def _levels(
    cell: Any,
    *,
    root: str | os.PathLike | None,
    spectrogram: MelSpectrogram,
    rate: int,
    n_steps: int,
) -> tuple[np.ndarray, bool]:
    """Return levels, and whether the sound ends within them."""
    most = n_steps * spectrogram.hop_length
    samples = decode(
        cell,
        sampling_rate=spectrogram.sampling_rate,
        max_seconds=(most + 1) / spectrogram.sampling_rate,  # to see whether there is more
        rate=rate,
        root=root,
    )
    return spectrogram.levels(samples[:most]), len(samples) <= most
