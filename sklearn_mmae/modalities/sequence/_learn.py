"""`LearnsSignals`: what a sequence modality learns of its training rows, and how they are read."""

from __future__ import annotations

import math

import numpy as np

from ..._core.errors import CellError, did_you_mean, listing, locate
from ...statistics import Statistics
from ...tables._cells import Cells, Values
from .._files import warn_of_rows
from .._media import TimedMediaModality
from .._signals import LARGEST_NUMBER, Signal, read_signals, to_grid

__all__ = ["LearnsSignals", "places_within"]

LONGEST_GAP = 5.0  # steps between samples of irregular times that are bridged
NO_GAP = 1.5  # the same for regular ones, where a hole is meant as a hole
OUTLYING = 2  # times the 95th percentile of lengths: what lasts longer is cut


class LearnsSignals(TimedMediaModality):
    """A modality that learns channels and a grid of steps; see `SequenceModality`."""

    noun = "signal"

    time: str | int | None
    sampling_rate: float | None
    max_steps: int
    bounds: list[tuple[float, float]] | None

    n_steps_: int
    n_channels_: int
    step_: float
    channel_mean_: np.ndarray
    channel_scale_: np.ndarray
    dtype_: str
    time_dtype_: str
    flat_: bool
    time_first_: bool

    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        rows = self._read(cells)
        if statistics.is_private:
            return self._learn_privately(cells, rows, statistics)
        self._learn_units(cells, rows, statistics)
        self._learn_grid(rows, statistics)
        values = self._on_grid(cells, rows)
        self.learn_steps(values, statistics)
        return values

    # Reading ---------------------------------------------------------------------------------

    def _read(self, cells: Cells) -> dict[int, Signal]:
        """Return the `Signal` of each row that is known by its signal or its times."""
        at = self._column_of_signals(cells)
        timed = () if self.time is None else (self.time, cells.columns[1 - at])
        rows = read_signals(cells.names[at], cells.columns[at], *timed)
        if self.bounds is None:
            return rows
        self._check_channels(cells, rows, len(self.bounds))
        return {row: self._within_bounds(signal) for row, signal in rows.items()}

    def _within_bounds(self, signal: Signal) -> Signal:
        """Return a signal whose numbers beyond the bounds are moved to these."""
        if signal.is_empty:
            return signal
        low, high = np.array(self.bounds, np.float64).T
        numbers = signal.numbers.reshape(-1, len(low)).clip(low, high)
        numbers = numbers.reshape(signal.numbers.shape).astype(signal.numbers.dtype)
        return signal._replace(numbers=numbers)

    def _check_channels(self, cells: Cells, rows: dict[int, Signal], expected: int) -> None:
        """Refuse rows that have another number of channels."""
        for row, signal in rows.items():
            if signal.n_channels != expected and not signal.is_empty:
                raise self._of_other_channels(cells, row, signal.n_channels, expected)

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
        self._check_channels(cells, filled, self.n_channels_)
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

    def _learn_privately(
        self, cells: Cells, rows: dict[int, Signal], statistics: Statistics
    ) -> Values:
        """Learn units of channels, mean sequence and lengths from sums of rows; the rest is public.

        One channel comes back as (T,).
        """
        low, high = np.array(self.bounds, np.float64).T
        half = (high - low) / 2
        self.n_channels_, self.n_steps_ = len(low), int(self.max_steps)
        self.step_ = 1.0 if self.time is None else 1 / self.sampling_rate
        self.flat_, self.time_first_ = len(low) == 1, bool(self._column_of_signals(cells))
        self.dtype_, self.time_dtype_ = "float64", "" if self.time is None else "float64"
        self.channel_mean_, self.channel_scale_ = low + half, half
        tensors = self._on_grid(cells, rows).tensors  # from -1 to 1
        steps, length = tensors["steps"], tensors["length"]
        known = places_within(length, steps)[:, :, None] & tensors.get("observed", True)
        flat = np.where(known, steps, np.nan).reshape(len(steps), -1)
        mean, variance, share = (
            column.reshape(self.n_steps_, -1)
            for column in self._ask_of_steps(flat, length, statistics)
        )
        middle = np.average(mean, 0, share)
        spread = np.average(variance + (mean - middle) ** 2, 0, share)
        self.channel_mean_ = self.channel_mean_ + half * middle
        self.channel_scale_ = half * np.sqrt(spread)
        self.mean_ = ((mean - middle) / np.sqrt(spread)).astype(np.float32).ravel()
        self.scale_ = math.sqrt((share * variance / spread).sum())
        return self._on_grid(cells, rows)

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
        if not (there | ~places_within(length, steps)[..., None]).all():
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


def _common_dtype(name: str, arrays: list[np.ndarray], statistics: Statistics) -> str:
    """Return the dtype that holds the numbers of all arrays."""
    return str(np.result_type(*statistics.frequent(name, [str(array.dtype) for array in arrays])))


def _n_steps(longest: float) -> int:
    """Return how many whole steps hold places from 0 to the longest, up to rounding."""
    return math.ceil(longest - 1e-6) + 1


def places_within(length: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Return which places on the second axis of an array are within the length of each row."""
    return np.arange(array.shape[1]) < length[:, None]
