"""`AudioModality`: sounds from files, bytes or arrays, learned as log-mel spectrograms."""

from __future__ import annotations

import dataclasses
import math
import warnings
from numbers import Real

import numpy as np
import torch

from ..._core.errors import CellError, DataWarning, listing, warn
from ..._core.holes import observed
from ..._core.values import are_floats, check_share, is_positive, is_whole
from ...statistics import PLAIN
from ...tables._cells import Cells, Values
from .._base import TimedModality
from .._files import read_each, remembered
from .._shown import Sounds
from ._cells import HIGHEST_RATE, decode, describe, looks_like_sound
from ._network import AudioNetwork, stretch
from ._spectrogram import FLOOR, STEP, MelSpectrogram

__all__ = ["AudioModality"]

LARGEST_RATE = 22_050  # where sampling_rate=None
LARGEST_SECONDS = 10.0  # where max_seconds=None
SHARE_WHOLE = 0.99  # of the training sounds, where max_seconds=None
STEP_SECONDS = 0.01  # of a hop, where hop_length=None
WINDOW_SECONDS = 0.04  # of n_fft, at least, where it is None
MOST_STEPS = 256  # that hop_length=None makes of the longest sound
LARGEST_WINDOW = 2**14
LARGEST_SPECTROGRAM = 2**24  # steps times n_fft
MOST_MELS = 512
MOST_STRETCHED = 64  # steps that the network sees of a sound
SMALLEST_VARIANCE = 1e-6  # of the levels, in their units; less is rounding
BANDS, BLOCK = 8, 256  # bands and rows stretched at a time
LOOKED_AT = 50  # cells that "auto" looks at


class AudioModality(TimedModality):
    """Sounds, resampled to one rate, mixed down to one channel, learned as log-mel spectrograms.

    A cell is a path, the bytes of a file, an array of samples at `rate`, or a pair of both, either
    ``(rate, samples)`` as from `scipy.io.wavfile.read` or ``(samples, rate)`` as from
    `soundfile.read`. Arrays have the shape (n,) or (n, channels); whole numbers are scaled by their
    dtype, floats count from -1 to 1. Read are WAV, FLAC, OGG, MP3, AIFF, AU and CAF. Sounds come
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
        Whether a cell that cannot be read is an error, or a hole that is warned of.
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
        median sound has, at most 64.
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

    def __init__(
        self,
        sampling_rate=None,
        *,
        rate=None,
        max_seconds=None,
        n_mels=64,
        n_fft=None,
        hop_length=None,
        f_min=20.0,
        f_max=None,
        root=None,
        on_error="raise",
        memory=None,
        mask=0.0,
    ):
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
    def accepts(cls, name, column):
        """Whether a column holds sounds with their rates, or paths of existing sound files."""
        if column.ndim != 1 or column.dtype.kind not in "OU":
            return False
        rows = np.flatnonzero(observed(column))
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)]
        return len(some) > 0 and all(looks_like_sound(column[row]) for row in some)

    @property
    def n_steps_(self):
        """Steps of the longest sound."""
        samples = max(1, round(self.max_seconds_ * self.sampling_rate_))
        return -(-samples // self.hop_length_)

    @property
    def entries_per_step_(self):
        """Samples to a step."""
        return self.hop_length_

    @property
    def frequencies_(self):
        """Middles of the bands in hertz, (n_mels,)."""
        return self._spectrogram().centres

    def fit(self, cells, statistics=PLAIN):
        """Learn rate, length, the mean spectrogram and its scale.

        Parameters
        ----------
        cells : Cells
            One column of sounds.
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
        """Fit, and return the same cells as `Values`, without decoding them again."""
        self.check_parameters()
        self._learn_times(cells)
        values = self.transform(cells)
        if not values.present.any():
            name, _ = self._only_column(cells)
            raise CellError("no sound in any row", column=name, remedy="Leave this column out")
        self.learn_steps(values, statistics)
        return values

    def transform(self, cells):
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
        spectrogram = self._spectrogram()
        levels_of = remembered(_levels, self.memory, self.root, ignore=["spectrogram"])
        settings = {
            "rate": self.rate or self.sampling_rate_,
            "n_steps": self.n_steps_,
            "key": dataclasses.astuple(spectrogram),
        }

        def read(cell):
            return levels_of(cell, spectrogram=spectrogram, **settings)

        longer = []
        for row, (levels, ended) in read_each(name, column, read, self.on_error):
            steps[row, : len(levels)], length[row] = levels, len(levels)
            if not ended:
                longer.append(row)
        if longer and self.max_seconds is None:
            warn(
                f"column {name!r}, row {listing(longer, most=5)}: {len(longer)} sounds last longer"
                f" than {self.max_seconds_:.3g} s, and are cut. Give max_seconds, of the length to"
                " keep."
            )
        return Values({"steps": steps, "length": length}, length > 0)

    def inverse_transform(self, predictions):
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
            (levels,) = _stretch(stretched, [len(self.mean_)], int(prediction[-1]))
            sounds[row] = spectrogram.samples(levels.clip(0, 255))
        return [sounds]

    def with_length_of(self, predictions, tensors):
        """Return predictions as long as the sounds that they are the reconstructions of."""
        predictions, length = predictions.copy(), tensors["length"]
        predictions[length > 0, -1] = length[length > 0]
        return predictions

    def network(self, n_components, width, dropout):
        """Build the network of the sounds.

        Parameters
        ----------
        n_components, width : int
        dropout : float

        Returns
        -------
        ModalityNetwork
        """
        return AudioNetwork(
            self.n_steps_,
            torch.tensor(self.mean_),
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
            *("sampling_rate_", "max_seconds_", "step_seconds_", "n_fft_", "hop_length_"),
            *("mean_", "scale_", "log_length_", "log_length_scale_"),
        }

    def is_sound(self, n_columns):
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
            and math.isclose(self.step_seconds_, self.hop_length_ / self.sampling_rate_)
            and self.n_steps_ * self.n_fft_ <= LARGEST_SPECTROGRAM
            and self.mean_.ndim == 2
            and 0 < len(self.mean_) <= MOST_STRETCHED
            and self.mean_.shape[1] == self.n_mels
            and self.mean_.dtype == np.float32
            and are_floats(self.mean_.ravel(), self.mean_.size)
            and isinstance(self.log_length_, float)
            and 0 <= self.log_length_ <= math.log(LARGEST_SPECTROGRAM)
            and isinstance(self.log_length_scale_, float)
            and 0 <= self.log_length_scale_ < math.inf
        )

    def check_parameters(self):
        """Refuse values that make no sense, by the names of their parameters."""
        for name in ("sampling_rate", "rate"):
            value = getattr(self, name)
            if not (value is None or (_is_whole(value) and value <= HIGHEST_RATE)):
                raise ValueError(
                    f"{name}={value!r}: give None or whole hertz, at most {HIGHEST_RATE:,}."
                )
        if not (self.max_seconds is None or is_positive(self.max_seconds)):
            raise ValueError(f"max_seconds={self.max_seconds!r}: give None or a number above 0.")
        if not (_is_whole(self.n_mels) and self.n_mels <= MOST_MELS):
            raise ValueError(f"n_mels={self.n_mels!r}: give a whole number, at most {MOST_MELS}.")
        n_fft, hop = self.n_fft, self.hop_length
        if not (n_fft is None or (_is_whole(n_fft) and not n_fft % 2 and n_fft <= LARGEST_WINDOW)):
            raise ValueError(
                f"n_fft={n_fft!r}: give None or an even number, at most {LARGEST_WINDOW}."
            )
        if not (hop is None or (_is_whole(hop) and hop <= (n_fft or LARGEST_WINDOW) // 2)):
            raise ValueError(
                f"hop_length={hop!r}: give None or a whole number, at most half of n_fft={n_fft}."
            )
        if not (isinstance(self.f_min, Real) and 0 <= self.f_min < HIGHEST_RATE):
            raise ValueError(f"f_min={self.f_min!r}: give hertz, 0 or more.")
        if not (self.f_max is None or (is_positive(self.f_max) and self.f_max > self.f_min)):
            raise ValueError(f"f_max={self.f_max!r}: give None or hertz above f_min={self.f_min}.")
        check_share("mask", self.mask)
        if self.on_error not in ("raise", "missing"):
            raise ValueError(f"on_error={self.on_error!r}: give 'raise' or 'missing'.")

    def _only_column(self, cells):
        if len(cells.names) != 1:
            raise CellError(
                f"{len(cells.names)} columns for one sound",
                column=listing(cells.names),
                remedy="Give each column of sounds a modality of its own; one array of samples is"
                " one cell",
            )
        return cells.names[0], cells.columns[0]

    def _spectrogram(self):
        f_max = self.sampling_rate_ / 2 if self.f_max is None else self.f_max
        return MelSpectrogram(
            self.sampling_rate_, self.n_fft_, self.hop_length_, self.n_mels, self.f_min, f_max
        )

    def _learn_times(self, cells):
        """Learn rate and length from the headers alone, and window and hop from these."""
        name, column = self._only_column(cells)
        rate = self.rate or self.sampling_rate
        facts_of = remembered(_facts, self.memory, self.root)

        def read(cell):
            return facts_of(cell, rate=rate)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # transform says it again, and all of it
            facts = [fact for _, fact in read_each(name, column, read, self.on_error)]
        if not facts:
            raise CellError("no sound in any row", column=name, remedy="Leave this column out")
        rates = sorted(fact.rate for fact in facts)
        self.sampling_rate_ = int(
            self.sampling_rate or self.rate or min(rates[len(rates) // 2], LARGEST_RATE)
        )
        seconds = [fact.seconds for fact in facts]
        if self.max_seconds is None:
            whole = float(np.quantile(seconds, SHARE_WHOLE, method="higher"))
            self.max_seconds_ = min(whole, LARGEST_SECONDS)
        else:
            self.max_seconds_ = float(min(max(seconds), self.max_seconds))
        self._learn_windows()

    def _learn_windows(self):
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
            self.n_fft_ = min(2 ** math.ceil(math.log2(window)), LARGEST_WINDOW)
        else:
            self.n_fft_ = int(self.n_fft)
        self.hop_length_ = int(min(max(hop, 1), self.n_fft_ // 2))
        self.step_seconds_ = self.hop_length_ / rate
        if self.n_steps_ * self.n_fft_ > LARGEST_SPECTROGRAM:
            raise ValueError(
                f"{self.max_seconds_:.3g} s at a sampling rate of {rate} take {self.n_steps_}"
                " steps, which are too many. Give a lower max_seconds, or a larger hop_length."
            )

    def learn_steps(self, values, statistics):
        """Learn the mean and the scale of the stretched levels, and those of the length."""
        length = values.tensors["length"][values.present]
        n_steps = min(max(1, int(np.median(length))), MOST_STRETCHED)
        self.mean_ = np.empty((n_steps, self.n_mels), np.float32)
        total = 0.0
        for first in range(0, self.n_mels, BANDS):
            bands = slice(first, first + BANDS)
            steps = values.tensors["steps"][values.present, :, bands]
            stretched = _stretch(steps, length, n_steps)
            _, mean, variance = statistics.moments(
                f"levels {first}", stretched.reshape(len(length), -1)
            )
            self.mean_[:, bands] = mean.reshape(n_steps, -1)
            total += float(variance.sum())
        self.scale_ = math.sqrt(total) if total > SMALLEST_VARIANCE else 1.0
        self._learn_lengths(length, statistics)

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


def _stretch(steps, length, n_steps):
    """Return rows stretched to a number of steps, as the network does."""
    stretched = np.empty((len(steps), n_steps, steps.shape[2]), np.float32)
    for first in range(0, len(steps), BLOCK):  # what it computes with is larger than the rows
        rows = slice(first, first + BLOCK)
        some = torch.from_numpy(steps[rows]).float()
        stretched[rows] = stretch(some, torch.as_tensor(length[rows]), n_steps).numpy()
    return stretched


def _facts(cell, root, *, stamp, rate):
    """Return the facts of a cell; a function of its own, as the next one, for `remembered`."""
    return describe(cell, rate=rate, root=root)


def _levels(cell, root, *, stamp, spectrogram, rate, n_steps, key):
    """Return levels, and whether the sound ends within them; `key` tells of the spectrogram."""
    most = n_steps * spectrogram.hop_length
    samples = decode(
        cell,
        sampling_rate=spectrogram.sampling_rate,
        max_seconds=(most + 1) / spectrogram.sampling_rate,  # to see whether there is more
        rate=rate,
        root=root,
    )
    return spectrogram.levels(samples[:most]), len(samples) <= most


def _is_whole(number):
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and number > 0
