"""What a private fit learns of single columns, and of lengths: from sums of rows, with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..statistics import Statistics

__all__ = ["OF_LENGTHS", "ColumnSums", "private_lengths"]

# How much of a number's part in a sum is whether it is there, and its square.
OF_PRESENCE, OF_SQUARE = 0.3, 0.3
FIRST_LOOK = 0.5  # of the budget: the rest is for a closer one, in units that the first has found
SURE = 2.0  # standard deviations of the noise: units too small would cut all rows
SMALLEST = 1e-9  # variance, so that a constant column has a unit
LEAST_THERE = 0.05  # share of the rows
OF_LENGTHS = 0.1  # of the budget of what goes on in time
USUAL_SQUARES = 3.0  # mean fourth power of a standardised number, beyond which rows are cut


@dataclass(frozen=True)
class ColumnSums:
    """Counts, means and variances of numbers, and counts of categories.

    Attributes
    ----------
    counts, mean, variance : ndarray of shape (numbers,)
        Of observed cells, as the bounds are -1 and 1; counts from 1, variances above 0.
    categories : ndarray of shape (categories of all columns,)
        How often each occurs, above 0.
    n_present : float
        Rows in which anything is observed, from 1.
    """

    counts: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    categories: np.ndarray
    n_present: float

    @classmethod
    def ask(
        cls,
        numbers: np.ndarray,
        codes: list[np.ndarray],
        statistics: Statistics,
        *,
        share: float = 1.0,
    ) -> Self:
        """Ask for the sum of rows.

        Parameters
        ----------
        numbers : ndarray of shape (rows, numbers)
            From -1 to 1; NaN where missing.
        codes : list of ndarray of shape (rows, categories), bool
            Indicators of each categorical column.
        statistics : Statistics
        share : float, default=1.0
            Of what a modality may ask.
        """
        n_rows, n = numbers.shape
        seen, filled = ~np.isnan(numbers), np.nan_to_num(numbers)
        rows = np.hstack([OF_PRESENCE * seen, filled, OF_SQUARE * filled**2, *codes])
        rows = np.hstack([rows, rows.any(1, keepdims=True)])
        norm = ((OF_PRESENCE**2 + 1 + OF_SQUARE**2) * n + len(codes) + 1) ** 0.5
        sums, noise = statistics.sums("columns", rows, norm, share=FIRST_LOOK * share)
        noise = noise / n_rows  # of means over all rows
        there, first, second, categories, present = np.split(
            sums / n_rows, [n, 2 * n, 3 * n, len(sums) - 1]
        )
        there = _present(there / OF_PRESENCE, noise / OF_PRESENCE)
        mean = np.clip(_shrunk(first / there, noise), -1, 1)
        variance = _shrunk(second / OF_SQUARE / there - mean**2, noise / OF_SQUARE)
        least = max(SURE * noise / OF_SQUARE / max(n, 1) ** 0.5, SMALLEST)
        variance = np.clip(variance, min(least, 1), 1)
        closer = share * (1 - FIRST_LOOK)
        mean, variance = _looked_closer(numbers, there, (mean, variance), statistics, closer)
        return cls(
            there * n_rows,
            np.clip(mean, -1, 1),
            np.clip(variance, SMALLEST, 1),
            np.clip(categories, min(max(noise, 1 / n_rows), 1), 1) * n_rows,
            float(_present(present, noise)[0]) * n_rows,
        )


def _looked_closer(
    numbers: np.ndarray,
    there: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    statistics: Statistics,
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance from a sum in units that are about those of the numbers.

    Bounds are loose, so that what they allow is much more than what there is.
    """
    (n_rows, n), (mean, variance) = numbers.shape, found
    scale = np.sqrt(variance)
    standardised = np.nan_to_num((numbers - mean) / scale)
    rows = np.hstack([standardised, OF_SQUARE * standardised**2])
    norm = ((1 + OF_SQUARE**2 * USUAL_SQUARES) * n) ** 0.5
    sums, noise = statistics.sums("columns, closer", rows, norm, share=share)
    noise = noise / n_rows
    first, second = np.split(sums / n_rows, 2)
    away = _shrunk(first / there, noise)
    squares = _shrunk(second / OF_SQUARE / there - away**2, noise / OF_SQUARE)
    # What the noise hides counts as variance: scaled up, it would drown the other columns.
    squares = np.maximum(squares, noise / OF_SQUARE)
    return mean + scale * away, variance * squares


def private_lengths(
    length: np.ndarray, most: int, n_present: float, statistics: Statistics
) -> tuple[float, float]:
    """Return mean and standard deviation of the log of lengths, from a sum of rows.

    What the noise hides is taken to be as usual: rows are as long as they may be, and alike.

    Parameters
    ----------
    length : ndarray of shape (rows,)
        From 1 to `most`; 0 where a row is missing.
    most : int
    n_present : float
        Rows that are not missing, about.
    statistics : Statistics
    """
    short = np.where(length > 0, 1 - np.log(np.maximum(length, 1)) / math.log(max(most, 2)), 0)
    rows = np.stack([short, short**2], 1)
    sums, noise = statistics.sums("lengths", rows, 2**0.5, share=OF_LENGTHS)
    mean, square = np.clip(sums / n_present, 0, 1)
    noise = noise / n_present
    mean = _surely(mean, noise)
    deviation = _surely(max(square - mean**2, 0.0), SURE * noise) ** 0.5
    return float((1 - mean) * math.log(most)), float(deviation * math.log(most))


def _surely(value: float, noise: float) -> float:
    """Return a value of 0 or more, moved to 0 by as much as the noise may hide."""
    if value <= noise:
        return 0.0
    return value**3 / (value**2 + noise**2)


def _present(share: np.ndarray, noise: float) -> np.ndarray:
    """Return shares of what is there, moved to 1 by as much as the noise may hide."""
    missing = 1 - share
    missing = missing**3 / (missing**2 + noise**2 + np.finfo(np.float64).tiny)
    return np.clip(1 - missing, LEAST_THERE, 1)


def _shrunk(values: np.ndarray, noise: float) -> np.ndarray:
    """Return means moved to their common one, as James and Stein do [1]_.

    References
    ----------
    .. [1] Efron & Morris (1973), "Stein's estimation rule and its competitors: an empirical Bayes
       approach", JASA 68.
    """
    if len(values) < 4:
        return values
    common = values.mean()
    apart = ((values - common) ** 2).sum() / (len(values) - 3)
    return common + max(0.0, 1 - noise**2 / max(apart, 1e-300)) * (values - common)
