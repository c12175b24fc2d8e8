"""`SequenceModality`: signals of some channels, each as long as it is."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from ..._core.errors import CellError, did_you_mean, listing, locate
from ..._core.values import are_floats, check_share, dtype_from, is_positive, is_whole
from ...nn._steps import PaddedNetwork, temporal_layers
from ...statistics import Statistics
from ...tables._cells import Cells, Values
from ...tables._numbers import as_whole
from .._arrays import kind_of_arrays
from .._files import warn_of_rows
from .._media import TimedMediaModality, are_means, is_count
from .._shown import Signals
from .._signals import LARGEST_NUMBER, LARGEST_SIGNAL, Signal, from_grid, read_signals, to_grid

__all__ = ["SequenceModality"]

LONGEST_GAP = 5.0  # steps between samples of irregular times that are bridged
NO_GAP = 1.5  # the same for regular ones, where a hole is meant as a hole
OUTLYING = 2  # times the 95th percentile of lengths: what lasts longer is cut


class SequenceModality(TimedMediaModality):
    """Signals and time series: some channels, measured step by step; rows may differ in length.

    A cell is an array (T, channels), or (T,) for one channel, as are lists of numbers; a column
    may also be one array (rows, T, channels). T may differ from row to row. NaN is missing, in any
    number of places; a signal of nothing else is a missing row. Channels have units of their own:
    each is standardised.

    Parameters
    ----------
    time : str, int or None, default=None
        Of the modality's two columns the one that holds each row's times, an array (T,) of
        increasing numbers, in seconds. They may be irregular, and begin anywhere. None for one
        column, of steps that are equally far apart.
    sampling_rate : float or None, default=None
        In Hz. Without `time` the rate of the steps, which makes `step_seconds_` seconds; with
        `time` the rate to work at, None for the median interval between the training rows' times.
    max_steps : int, default=512
        The most steps to work at. If a training row is longer, all rows are brought to fewer
        steps, farther apart, by one and the same factor.
    mask : float, default=0.0
        Share of the steps, in one stretch, 0 to below 1, that the encoder does not see in a step
        of training, elsewhere in each. Without effect where the estimator's `noise` is 0.

    Attributes
    ----------
    n_steps_, n_channels_ : int
        Of the grid that rows are brought to: the steps of the longest training row, if
        `max_steps` allows.
    step_ : float
        Distance of two steps of the grid: in a row's own steps, or with `time` in its unit.
    channel_mean_, channel_scale_ : ndarray of shape (`n_channels_`,)
        Mean and standard deviation, 1 where it is zero.
    mean_ : ndarray of shape (`n_steps_` * `n_channels_`,), float32
        The mean sequence, standardised, flat.
    scale_ : float
        Root of the total variance of the standardised numbers; 1 where it is zero.
    log_length_, log_length_scale_ : float
        Mean and standard deviation of the logarithm of the number of steps.
    dtype_, time_dtype_ : str
        To come back as; ``time_dtype_`` is "" without `time`.
    flat_ : bool
        Whether signals come back as (T,), as all of the training rows were.

    Notes
    -----
    A longer signal is resampled, not cut, because its end would else be lost: averages over two
    steps of the grid, with weights that fall off linearly, keep fast oscillations from turning up
    as slow ones; back again it is interpolated linearly. To keep the detail, raise `max_steps`,
    or cut the signals into windows. What lasts more than twice as long as 95 % of the training
    rows, or a later row longer than all of them, is cut, with a warning, and comes back constant
    from there on.

    Irregular times are brought to a regular grid in the same way. Values are interpolated between
    samples up to 5 steps apart; steps in longer gaps are missing. Reconstructed rows come back at
    their own times, predicted ones at those of the grid, beginning at 0.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_mmae import MultimodalAutoencoder, SequenceModality
    >>> rng = np.random.default_rng(0)
    >>> waves = [np.sin(rng.uniform(0, 6) + np.arange(n) / 3) for n in rng.integers(20, 30, 50)]
    >>> X = pd.DataFrame({"wave": waves})
    >>> mmae = MultimodalAutoencoder(
    ...     [("wave", SequenceModality(), ["wave"])], n_components=4, max_epochs=3, random_state=0
    ... )
    >>> again = mmae.fit(X).reconstruct(X)
    >>> len(again["wave"][0]) == len(waves[0])
    True
    """

    noun = "signal"

    n_steps_: int
    n_channels_: int
    step_: float
    channel_mean_: np.ndarray
    channel_scale_: np.ndarray
    dtype_: str
    time_dtype_: str
    flat_: bool
    time_first_: bool

    def __init__(
        self,
        time: str | int | None = None,
        *,
        sampling_rate: float | None = None,
        max_steps: int = 512,
        mask: float = 0.0,
    ) -> None:
        self.time = time
        self.sampling_rate = sampling_rate
        self.max_steps = max_steps
        self.mask = mask

    @classmethod
    def accepts(cls, name: Any, column: np.ndarray) -> bool:
        """Whether a column holds arrays, or lists, of numbers that look like signals."""
        return kind_of_arrays(column) == "signal"

    @property
    def step_seconds_(self) -> float:
        """Seconds between two steps of the grid; the row's own steps where there is no rate."""
        return self.step_ / (self.sampling_rate if self.sampling_rate and self.time is None else 1)

    @property
    def entries_per_step_(self) -> float:
        """The row's own steps to a step of the grid."""
        return self.step_

    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        rows = self._read(cells)
        self._learn_units(cells, rows, statistics)
        self._learn_grid(rows, statistics)
        values = self._on_grid(cells, rows)
        self.learn_steps(values, statistics)
        return values

    def transform(self, cells: Cells) -> Values:
        """Return the steps.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``steps`` (rows, `n_steps_`, `n_channels_`) float32, standardised, 0 if missing and
            beyond the end; ``length`` (rows,), how many of them are the row's own, 0 where it is
            missing; ``observed``, shaped as the steps, where some of these are missing;
            ``own_length`` (rows,), before resampling; with `time` the ``times`` (rows, T), the
            bits of float64 as int64, which every device holds.
        """
        rows = self._read(cells)
        for row, sequence in rows.items():
            if sequence.n_channels != self.n_channels_ and not sequence.is_empty:
                raise self._of_other_channels(cells, row, sequence.n_channels, self.n_channels_)
        return self._on_grid(cells, rows)

    def with_length_of(self, predictions: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """Return predictions as long as the rows they are of, at these rows' times."""
        own = tensors["own_length"]
        grid_length = np.where(own > 0, (own - 1) / self.step_ + 1, predictions[:, -1])
        predictions = np.column_stack([predictions[:, :-1], grid_length])
        if self.time is None:
            return predictions
        times = np.where(_places(own, tensors["times"]), tensors["times"].view(float), np.nan)
        return np.column_stack([predictions, times])

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return signals.

        Parameters
        ----------
        predictions : ndarray of shape (rows, `n_steps_` * `n_channels_` + 1)
            Standardised steps, and last the number of steps; from `with_length_of` with `time`
            also the times, NaN beyond the end.

        Returns
        -------
        list of ndarray of shape (rows,)
            One of arrays (T, `n_channels_`), or (T,); with `time` also one of arrays (T,).
        """
        n_numbers = self.n_steps_ * self.n_channels_
        signals, times = np.empty((2, len(predictions)), object)
        for row, prediction in enumerate(predictions.astype(np.float64)):
            steps = prediction[:n_numbers].reshape(self.n_steps_, -1)
            length, own = prediction[n_numbers], prediction[n_numbers + 1 :]
            own = own[~np.isnan(own)]
            if len(own):
                times[row] = own
            elif self.time is not None:
                times[row] = np.arange(round(length)) * self.step_
            else:
                times[row] = np.arange(round((length - 1) * self.step_) + 1)
            places = (times[row] - times[row][0]) / self.step_
            signal = from_grid(steps, places) * self.channel_scale_ + self.channel_mean_
            signals[row] = _as_dtype(signal[:, 0] if self.flat_ else signal, self.dtype_)
            times[row] = _as_dtype(times[row], self.time_dtype_ or "float64")
        if self.time is None:
            return [signals]
        return [times, signals] if self.time_first_ else [signals, times]

    def network(self, n_components: int, width: int, dropout: float) -> PaddedNetwork:
        """Build the network of the steps; see `Modality.network`."""
        mean = torch.tensor(self.mean_).view(self.n_steps_, self.n_channels_)
        layers = temporal_layers(tuple(mean.shape), n_components, width, dropout)
        return PaddedNetwork(mean, *layers, **self._steps_settings())

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        return (
            n_columns == 1 + (self.time is not None)
            and is_whole(self.n_steps_)
            and is_whole(self.n_channels_)
            and 0 < self.n_steps_ <= self.max_steps
            and self.n_channels_ > 0
            and is_positive(self.step_)
            and (self.time is not None or self._most_numbers() <= LARGEST_SIGNAL)
            and are_floats(self.channel_mean_, self.n_channels_)
            and are_floats(self.channel_scale_, self.n_channels_, above=0)
            and are_means(self.mean_, self.n_steps_ * self.n_channels_)
            and is_positive(self.scale_)
            and self._lengths_are_sound(self.n_steps_)
            and _is_dtype(self.dtype_)
            and (self.time_dtype_ == "" if self.time is None else _is_dtype(self.time_dtype_))
            and type(self.flat_) is bool
            and (not self.flat_ or self.n_channels_ == 1)
            and type(self.time_first_) is bool
        )

    def _most_numbers(self) -> float:
        """Return the numbers of the longest signal that can come back without times."""
        return ((self.n_steps_ - 1) * self.step_ + 1) * self.n_channels_

    def check_parameters(self) -> None:
        """Refuse values that make no sense, by the names of their parameters."""
        self._check_number("sampling_rate")
        if not (is_count(self.max_steps) and self.max_steps > 1):
            raise ValueError(f"max_steps={self.max_steps!r}: give a whole number, 2 or more.")
        check_share("mask", self.mask)
        if self.time is not None and not isinstance(self.time, str | int | np.integer):
            raise ValueError(f"time={self.time!r}: give None, or the name of the column of times.")

    # Reading ---------------------------------------------------------------------------------

    def _read(self, cells: Cells) -> dict[int, Signal]:
        """Return the `Signal` of each row that is known by its signal or its times."""
        at = self._column_of_signals(cells)
        timed = () if self.time is None else (self.time, cells.columns[1 - at])
        return read_signals(cells.names[at], cells.columns[at], *timed)

    def _column_of_signals(self, cells: Cells) -> int:
        """Return the place of the column of signals among the modality's columns."""
        names = list(cells.names)
        if cells.matrix is not None:
            raise CellError(
                f"{len(names)} columns of numbers for one signal",
                column=listing(names),
                remedy="Give a column of arrays (T, channels); an array (rows, T) in a SliceDict"
                " as array[:, :, None]",
            )
        if self.time is not None and self.time not in names:
            raise CellError(
                f"time={self.time!r} is none of the modality's columns"
                f"{did_you_mean(self.time, names)}",
                column=listing(names),
                remedy="Give the name of the column that holds the times",
            )
        if len(names) != 1 + (self.time is not None):
            raise CellError(
                f"{len(names)} columns for one signal",
                column=listing(names),
                remedy="Give each column of signals a modality of its own, or stack those that"
                " belong together as channels; if one column holds the times, say"
                " SequenceModality(time=...)",
            )
        return int(self.time is not None and names.index(self.time) == 0)

    def _of_other_channels(self, cells: Cells, row: int, n: int, expected: int) -> CellError:
        at = self._column_of_signals(cells)
        shape = np.shape(cells.columns[at][row])
        turned = " The time comes first: is it cell.T?" if shape[0] == expected else ""
        return CellError(
            f"the signal has {n} channels, where others have {expected}",
            column=cells.names[at],
            row=row,
            remedy="Give every row as many channels, NaN in those that are not known." + turned,
        )

    # Learning --------------------------------------------------------------------------------

    def _learn_units(self, cells: Cells, rows: dict[int, Signal], statistics: Statistics) -> None:
        """Learn channels, their means and standard deviations, and the form to come back in."""
        at = self._column_of_signals(cells)
        filled = {row: signal for row, signal in rows.items() if not signal.is_empty}
        arrays = [signal.numbers for signal in filled.values()]
        usual = statistics.frequent("channels", [s.n_channels for s in filled.values()], 1)
        if not usual:
            with locate(column=cells.names[at]):
                raise self._nothing()
        (self.n_channels_,) = usual
        # The odd one out is the row to be looked at, not all others.
        for row, signal in filled.items():
            if signal.n_channels != self.n_channels_:
                raise self._of_other_channels(cells, row, signal.n_channels, self.n_channels_)
        self.flat_ = 2 not in statistics.frequent("axes", [array.ndim for array in arrays])
        self.time_first_ = bool(at)
        self.dtype_ = _common_dtype("dtype", arrays, statistics)
        self.time_dtype_ = ""
        if self.time is not None:
            times = [np.asarray(cells.columns[1 - at][row]) for row in rows]
            self.time_dtype_ = _common_dtype("dtype of times", times, statistics)
        nothing = np.empty((0, self.n_channels_), self.dtype_)
        joined = np.concatenate([nothing, *(a.reshape(-1, self.n_channels_) for a in arrays)])
        _, self.channel_mean_, variance = statistics.moments("numbers", joined)
        self.channel_scale_ = np.where(variance > 0, np.sqrt(variance), 1)

    def _learn_grid(self, rows: dict[int, Signal], statistics: Statistics) -> None:
        """Learn how far the steps of the grid are apart, and how many there are."""
        signals = rows.values()
        if self.time is None:
            unit, lasting = 1.0, [len(signal.numbers) - 1 for signal in signals]
        else:
            unit = self._learn_unit([signal.times for signal in signals], statistics)
            lasting = [signal.times[-1] - signal.times[0] for signal in signals]
        most, longest = (self.max_steps - 1) * unit, statistics.quantile("lasting", lasting, 1)
        if longest > most:  # a few very long rows must not take the detail from all others
            usual = statistics.quantile("usually lasting", lasting, 0.95)
            longest = min(longest, max(most, OUTLYING * usual))
        self.step_ = float(max(unit, longest / (self.max_steps - 1)))
        self.n_steps_ = min(_n_steps(longest / self.step_), int(self.max_steps))

    def _learn_unit(self, times: list[np.ndarray], statistics: Statistics) -> float:
        """Return the least time between two steps of the grid."""
        if self.sampling_rate is not None:
            return 1 / self.sampling_rate
        intervals = np.concatenate([np.empty(0), *map(np.diff, times)])
        median = float(statistics.quantile("interval", intervals, 0.5))
        return 1.0 if math.isnan(median) else median

    # To the grid -----------------------------------------------------------------------------

    def _on_grid(self, cells: Cells, rows: dict[int, Signal]) -> Values:
        """Return the rows as `Values`."""
        n_rows = len(cells)
        steps = np.full((n_rows, self.n_steps_, self.n_channels_), np.nan, np.float32)
        length, own_length = np.zeros((2, n_rows), np.int64)
        cut = []
        for row, sequence in rows.items():
            own_length[row] = len(sequence.numbers)
            if sequence.is_empty:
                continue
            signal = sequence.numbers.reshape(-1, self.n_channels_)
            signal = (signal - self.channel_mean_) / self.channel_scale_
            signal = signal.clip(-LARGEST_NUMBER, LARGEST_NUMBER)
            if self.time is None and self.step_ == 1:
                own, n = signal[: self.n_steps_], len(signal)
            else:
                own, n = self._resampled(signal, sequence.times)
            steps[row, : len(own)] = own
            if n > self.n_steps_:
                cut.append(row)
            length[row] = min(n, self.n_steps_)
        if cut:
            at = self._column_of_signals(cells)
            warn_of_rows(
                cells.names[at],
                cut,
                f"longer than the {self.n_steps_} steps of {self.step_seconds_:g} that are looked"
                " at. What comes after them is left out; cut such signals into windows, or raise"
                " max_steps.",
            )
        there = ~np.isnan(steps)
        length[~there.any((1, 2))] = 0
        tensors = {"steps": np.where(there, steps, 0), "length": length, "own_length": own_length}
        if not (there | ~_places(length, steps)[..., None]).all():
            tensors["observed"] = there
        if self.time is not None:
            times = np.zeros((n_rows, own_length.max(initial=1)))
            for row, sequence in rows.items():
                times[row, : len(sequence.times)] = sequence.times
            tensors["times"] = times.view(np.int64)
        return Values(tensors, length > 0)

    def _resampled(self, signal: np.ndarray, times: np.ndarray | None) -> tuple[np.ndarray, int]:
        """Return a standardised signal on the grid, and the steps that it would have taken."""
        if times is None:
            places, longest_gap = np.arange(len(signal)) / self.step_, NO_GAP
        else:
            places, longest_gap = (times - times[0]) / self.step_, LONGEST_GAP
        within = places <= self.n_steps_ - 1 + 1e-6
        n_steps = _n_steps(float(places[within][-1]))
        places = places[within].clip(0, n_steps - 1)
        steps = to_grid(signal[within], places, n_steps, longest_gap)
        return steps, n_steps if within.all() else self.n_steps_ + 1

    def shown(self, cells: Cells, predicted: bool = False) -> Signals:
        """Return the numbers as they are, at their times."""
        signals = [None] * len(cells)
        for row, signal in self._read(cells).items():
            numbers = signal.numbers.reshape(len(signal.numbers), -1).astype(np.float64)
            steps = np.arange(len(numbers)) / (self.sampling_rate or 1)
            times = steps if signal.times is None else signal.times
            if not signal.is_empty:
                signals[row] = times, numbers
        return Signals(signals, self.time is not None or self.sampling_rate is not None)


def _common_dtype(name: str, arrays: list[np.ndarray], statistics: Statistics) -> str:
    """Return the dtype that holds the numbers of all arrays."""
    return str(np.result_type(*statistics.frequent(name, [str(array.dtype) for array in arrays])))


def _n_steps(longest: float) -> int:
    """Return how many whole steps hold places from 0 to the longest, up to rounding."""
    return math.ceil(longest - 1e-6) + 1


def _places(length: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Return which places on the second axis of an array are within the length of each row."""
    return np.arange(array.shape[1]) < length[:, None]


def _as_dtype(numbers: np.ndarray, dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return numbers >= 0.5
    if kind in "iu":
        return as_whole(numbers, dtype).astype(dtype)
    return numbers.clip(-LARGEST_NUMBER, LARGEST_NUMBER).astype(dtype)


def _is_dtype(name: Any) -> bool:
    with suppress(ValueError):
        return dtype_from(name).kind in "biuf"
    return False
