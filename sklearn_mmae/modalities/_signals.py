"""Signals in, steps on one grid out: numbers checked, and resampled with their missing values."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from .._core.errors import CellError, CellTypeError, locate
from .._core.holes import is_hole, observed

__all__ = ["Signal", "as_numbers", "from_grid", "read_signals", "to_grid"]

LARGEST_NUMBER = float(np.finfo(np.float32).max)
LARGEST_SIGNAL = 2**24  # numbers of a cell
LIGHTEST = 1e-6  # share of a sample that a step must have to be known by it
NEAR = 0.5  # steps from a sample within which a step is known by it, however long the gap
MISSING = "None where the signal is missing"


class Signal(NamedTuple):
    """A row as it was read.

    Attributes
    ----------
    numbers : ndarray of shape (T,) or (T, channels)
        NaN where missing; NaN only, (T,), where just the times are known.
    times : ndarray of shape (T,), float64, or None
    """

    numbers: np.ndarray
    times: np.ndarray | None

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 1 if self.numbers.ndim == 1 else self.numbers.shape[1]

    @property
    def is_empty(self) -> bool:
        """Whether there is no number at all."""
        return self.numbers.dtype.kind == "f" and bool(np.isnan(self.numbers).all())


def read_signals(
    name: Any, column: np.ndarray, time_name: Any = None, times: np.ndarray | None = None
) -> dict[int, Signal]:
    """Read a column of signals, and perhaps one of their times.

    Returns
    -------
    dict of int to Signal
        Of the rows in which anything is known.
    """
    numbers, signals = {}, {}
    for row in np.flatnonzero(observed(column)).tolist():
        with locate(column=name, row=row):
            numbers[row] = _read_numbers(column[row])
    if times is None:
        return {row: Signal(array, None) for row, array in numbers.items()}
    timed = np.flatnonzero(observed(times)).tolist()
    for row in sorted(numbers.keys() | set(timed)):
        with locate(column=time_name, row=row):
            n_steps = len(numbers[row]) if row in numbers else None
            own = _read_times(times[row], n_steps)
            signals[row] = Signal(numbers.get(row, np.full(len(own), np.nan)), own)
    return signals


def _read_numbers(cell: Any) -> np.ndarray:
    """Return a cell as an array (T,) or (T, channels) of numbers, NaN where missing.

    The array is the cell's own memory, if that can be.
    """
    array = as_numbers(cell, "signal")
    shape = "x".join(map(str, array.shape))
    if array.ndim not in (1, 2):
        raise CellError(
            f"an array of shape {shape} is not a signal",
            remedy="Give an array (T, channels), or (T,) for one channel",
        )
    if not array.size:
        raise CellError(
            f"the signal of shape {shape} has no {'channels' if len(array) else 'steps'}",
            remedy=f"Give at least one step, or {MISSING}",
        )
    if array.size > LARGEST_SIGNAL:
        raise CellError(
            f"the signal has {array.size} numbers, more than {LARGEST_SIGNAL}",
            remedy="Cut it into windows, one per row",
        )
    if array.dtype.kind != "b" and max(-_least(array), _most(array)) > LARGEST_NUMBER:
        raise CellError(
            "the signal has numbers that are infinite, or too large for float32",
            remedy="Replace them by finite numbers, or by NaN where they are unknown",
        )
    return array


def _read_times(cell: Any, n_steps: int | None) -> np.ndarray:
    """Return the times of a signal of `n_steps`, None where it is missing: (T,) float64."""
    if is_hole(cell):
        raise CellError(
            "the signal is there, but its times are missing",
            remedy=f"Give an array (T,) of times, or {MISSING}",
        )
    array = as_numbers(cell, "times")
    if not array.size or array.shape != (len(array) if n_steps is None else n_steps,):
        shape = "x".join(map(str, array.shape))
        signal = "a signal" if n_steps is None else f"a signal of {n_steps} steps"
        raise CellError(
            f"times of shape {shape} for {signal}",
            remedy="Give an array (T,) with the time of each step",
        )
    times = array.astype(np.float64)
    if not np.isfinite(times).all():
        raise CellError(
            "the times have missing values, or are infinite",
            remedy="Leave out the steps whose time is not known",
        )
    if not (np.diff(times) > 0).all():
        raise CellError(
            "the times do not increase from step to step",
            remedy="Sort the steps by time, and keep one for each time",
        )
    return times


def to_grid(signal: np.ndarray, places: np.ndarray, n_steps: int, longest_gap: float) -> np.ndarray:
    """Resample a signal to whole steps.

    Where samples lie closer together than steps, they are averaged with weights that fall
    linearly to 0 one step away, which keeps fast oscillations from turning up as slow ones
    (aliasing). Between averages, linear interpolation; a straight line stays one.

    Parameters
    ----------
    signal : ndarray of shape (T, channels), float64
        NaN where missing.
    places : ndarray of shape (T,), float64
        Where the samples lie, in steps, increasing within 0 and ``n_steps - 1``.
    n_steps : int
    longest_gap : float
        Steps between two averages up to which the line is drawn; steps in longer gaps are missing.

    Returns
    -------
    ndarray of shape (n_steps, channels), float64
        NaN where missing.
    """
    there = ~np.isnan(signal)
    filled = np.where(there, signal, 0)
    lower = places.astype(np.int64)
    share = (places - lower)[:, None]
    weight, total, moment = np.zeros((3, n_steps + 1, signal.shape[1]))
    for at, part in ((lower, 1 - share), (lower + 1, share)):
        part = part * there
        np.add.at(weight, at, part)
        np.add.at(total, at, part * filled)
        np.add.at(moment, at, part * places[:, None])
    known = weight > LIGHTEST
    weight = np.where(known, weight, 1)
    steps = np.empty((n_steps, signal.shape[1]))
    for channel, own in enumerate(known.T):
        at, values = ((a / weight)[own, channel] for a in (moment, total))
        steps[:, channel] = _lines(at, values, n_steps, longest_gap)
    return steps


def from_grid(steps: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return steps, (n_steps, channels), at other places, (T,), by linear interpolation.

    Beyond the last step its value is kept.
    """
    whole = np.arange(len(steps))
    return np.stack([np.interp(places, whole, channel) for channel in steps.T], 1)


def _lines(at: np.ndarray, values: np.ndarray, n_steps: int, longest_gap: float) -> np.ndarray:
    """Return the values of lines between points at whole steps, NaN in long gaps."""
    whole = np.arange(n_steps)
    if not len(at):
        return np.full(n_steps, np.nan)
    after = np.searchsorted(at, whole).clip(0, len(at) - 1)
    before = np.where(at[after] > whole, after - 1, after).clip(0)
    near = np.minimum(np.abs(at[after] - whole), np.abs(whole - at[before])) <= NEAR
    inside = (at[before] <= whole) & (whole <= at[after]) & (at[after] - at[before] <= longest_gap)
    steps = np.interp(whole, at, values)
    # The averages at both ends lie within: the line goes on to the last step, but no farther.
    ends = np.zeros(n_steps, bool)
    for end, next_, beyond in ((0, 1, whole < at[0]), (-1, -2, whole > at[-1])):
        distance = whole - at[end]
        beyond = beyond & (np.abs(distance) < 1)
        ends |= beyond
        run = at[next_] - at[end] if len(at) > 1 else 0.0
        if NEAR <= abs(run) <= longest_gap:
            slope = (values[next_] - values[end]) / run
            steps[beyond] = values[end] + slope * distance[beyond]
    return np.where(near | inside | ends, steps, np.nan)


def as_numbers(cell: Any, what: str) -> np.ndarray:
    """Return a cell as an array of real numbers, NaN where missing.

    Lists may hold None for missing values, and object arrays any spelling of them; errors say
    `what` the cell should be.
    """
    if isinstance(cell, np.ma.MaskedArray):
        cell = cell.astype(np.result_type(cell.dtype, np.float32)).filled(np.nan)
    remedy = "Give an array (T, channels) of real numbers"
    try:
        array = np.asarray(cell)
    except ValueError:
        raise CellError(
            f"the rows of the {what} have different lengths",
            remedy="Give every step as many channels, NaN where one is unknown",
        ) from None
    if array.ndim == 0:
        raise CellTypeError(f"a {type(cell).__name__} is not a {what}", remedy=remedy)
    if array.dtype.kind == "O":
        flat, numbers = array.ravel(), np.full(array.size, np.nan)
        there = observed(flat)
        wrong = {type(n).__name__ for n in flat[there] if not isinstance(n, Real)}
        if wrong:
            raise CellTypeError(f"an array of {min(wrong)} is not a {what}", remedy=remedy)
        numbers[there] = flat[there]
        return numbers.reshape(array.shape)
    if array.dtype.kind not in "biuf":
        if array.dtype.kind in "mM" and what == "times":
            remedy = "Give seconds: (times - times[0]) / numpy.timedelta64(1, 's')"
        raise CellTypeError(f"an array of {array.dtype} is not a {what}", remedy=remedy)
    return array


def _least(array: np.ndarray) -> float:
    return float(np.fmin.reduce(array, None))


def _most(array: np.ndarray) -> float:
    return float(np.fmax.reduce(array, None))
