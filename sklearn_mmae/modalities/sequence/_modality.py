"""`SequenceModality`: signals of some channels, each as long as it is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch

from ..._core.errors import CellError
from ..._core.values import are_floats, check_share, dtype_from, is_positive, is_whole
from ...nn._steps import PaddedNetwork, temporal_layers
from ...tables._cells import Cells, Values
from ...tables._numbers import as_whole
from .._arrays import kind_of_arrays
from .._media import are_means, is_count
from .._shown import Signals
from .._signals import LARGEST_NUMBER, LARGEST_SIGNAL, from_grid
from ._learn import LearnsSignals, places_within

__all__ = ["SequenceModality"]


class SequenceModality(LearnsSignals):
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
        steps, farther apart, by one and the same factor; with privacy longer rows are cut instead.
    bounds : list of (low, high) or None, default=None
        Of each channel; numbers beyond are moved to the nearest bound. None takes the channels as
        they are; a fit with privacy has to be given bounds, wide enough and not taken from the
        rows.
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

    def __init__(
        self,
        time: str | int | None = None,
        *,
        sampling_rate: float | None = None,
        max_steps: int = 512,
        bounds: list[tuple[float, float]] | None = None,
        mask: float = 0.0,
    ) -> None:
        self.time = time
        self.sampling_rate = sampling_rate
        self.max_steps = max_steps
        self.bounds = bounds
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
        self._check_channels(cells, rows, self.n_channels_)
        return self._on_grid(cells, rows)

    def with_length_of(self, predictions: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """Return predictions as long as the rows they are of, at these rows' times."""
        own = tensors["own_length"]
        grid_length = np.where(own > 0, (own - 1) / self.step_ + 1, predictions[:, -1])
        predictions = np.column_stack([predictions[:, :-1], grid_length])
        if self.time is None:
            return predictions
        times = np.where(places_within(own, tensors["times"]), tensors["times"].view(float), np.nan)
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
        if not (self.bounds is None or _are_bounds(self.bounds)):
            raise ValueError(
                f"bounds={self.bounds!r}: give None, or a list of (low, high) for each channel, two"
                " finite numbers, the lower one first."
            )

    def check_public(self, cells: Cells) -> None:
        """Refuse signals of which a private fit would have to find channels, range or rate."""
        self.check_parameters()
        at = self._column_of_signals(cells)
        rate = "" if self.time is None else ", sampling_rate=..."
        if self.bounds is None or (rate and self.sampling_rate is None):
            raise CellError(
                "privacy needs bounds of each channel, a most number of steps, and for irregular"
                " times a rate, that are public, not taken from the rows",
                column=cells.names[at],
                remedy=f"Give SequenceModality(bounds=[(low, high), ...], max_steps=...{rate})",
            )

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


def _are_bounds(bounds: Any) -> bool:
    """Whether a parameter is a list of two numbers each, the lower one first."""
    try:
        pairs = np.array(bounds, np.float64)
    except (TypeError, ValueError):
        return False
    sound = isinstance(bounds, list) and pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs)
    return bool(sound and np.isfinite(pairs).all() and (pairs[:, 0] < pairs[:, 1]).all())
