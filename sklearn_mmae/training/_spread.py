"""How far from the truth a prediction is expected to be: what makes intervals fit the row.

The spread of a cell is a product. One factor is read off the prediction, column by column: counts
and amounts are further off where they are large. Others are the row's: rows whose *other* cells are
reconstructed badly are far from what was learned, and so is the cell; and the more values are
missing, the less is known. All are learned from rows that do not calibrate, so that the guarantee
of conformal prediction stays what it is; how much each counts is chosen by likelihood, nothing at
all included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..statistics import Statistics
from ..statistics._questions import Sums

__all__ = ["KNOTS", "Cells", "Shape", "bounds", "far_off", "further_off", "learn_shape"]

KNOTS = 5  # predictions of a column at which its spread is known; straight lines between them
QUANTILES = np.arange(1, 2 * KNOTS) / (2 * KNOTS)  # knots, and the ends of bins between them
SHAPES = (0.0, 0.5, 1.0)  # powers of what the prediction tells
POWERS = (0.0, 0.25, 0.5)  # and of how far off the row is
SLOPES = (0.0, 0.5, 1.0, 2.0)  # of the log spread, in the share of missing values
FEWEST = 20  # cells of a column, to know more than its mean error
TRUST = 10.0  # cells in each bin that have the column's mean error
LEAST = 0.1  # of the mean error
USUAL = 5.0  # cells of a row that are as far off as usual
FURTHEST = 5.0  # times as far off as usual, that one cell counts at most
EDGE = 0.02  # share of the rows that tell where a column ends,
FEWEST_AT_EDGE = 10  # and rows at least


class Shape(NamedTuple):
    """How the spread of a group's cells goes with prediction and row; its geometric mean is 1.

    Attributes
    ----------
    knots, sizes : ndarray of shape (numbers, KNOTS), float32
        Predictions, and the spread there in a row that is as far off as usual.
    powers : ndarray of shape (2,), float32
        Of how far off the row is; and of e to the share of its values that are missing.
    """

    knots: np.ndarray
    sizes: np.ndarray
    powers: np.ndarray

    def at(self, predicted: np.ndarray, off: np.ndarray, holes: np.ndarray | None) -> np.ndarray:
        """Return the spread of cells, (rows, numbers), given what `Cells` has of them."""
        power, slope = self.powers
        found = _at(predicted, self.knots, self.sizes) * off**power
        return found if holes is None else found * np.exp(slope * holes)


def _at(predicted: np.ndarray, knots: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return what predictions tell of the spread."""
    found = np.broadcast_to(sizes[:, 0], predicted.shape)
    for k in range(KNOTS - 1):
        apart = np.maximum(knots[:, k + 1] - knots[:, k], np.float32(1e-9))
        along = np.clip((predicted - knots[:, k]) / apart, 0, 1)
        found = found + along * (sizes[:, k + 1] - sizes[:, k])
    return found


def far_off(
    errors: list[np.ndarray], seen: list[np.ndarray], typical: list[np.ndarray]
) -> list[np.ndarray]:
    """Return how far off the other cells of the row are, for each cell; 1 is as far as usual.

    Parameters
    ----------
    errors : list of ndarray, each of shape (..., rows, numbers)
        Distances of each table's numbers from their predictions.
    seen : list of ndarray of these shapes, bool
        Whether the number is known to who asks.
    typical : list of ndarray, each of shape (numbers,)
        The mean distance of each column; 0 where it does not count.
    """
    known = [there & (usual > 0) for there, usual in zip(seen, typical, strict=True)]
    each = [
        np.where(there, np.minimum(error / np.where(usual > 0, usual, 1), FURTHEST), 0)
        for error, there, usual in zip(errors, known, typical, strict=True)
    ]
    total = sum(one.sum(-1, keepdims=True) for one in each) + USUAL
    count = sum(there.sum(-1, keepdims=True) for there in known) + USUAL
    return [(total - one) / (count - there) for one, there in zip(each, known, strict=True)]


class Cells(NamedTuple):
    """The cells of a group, one of each row and column at most.

    Attributes
    ----------
    predicted, errors : ndarray of shape (rows, numbers)
        Predictions, and their distances from the truth.
    off : ndarray of shape (rows, numbers)
        See `far_off`.
    holes : ndarray of shape (rows, numbers), or None
        The share of values that are missing. None where none are.
    there : ndarray of shape (rows, numbers), bool
        Which cells belong to the group.
    """

    predicted: np.ndarray
    errors: np.ndarray
    off: np.ndarray
    holes: np.ndarray | None
    there: np.ndarray

    def of(self, rows: np.ndarray) -> Cells:
        """Return those of some rows."""
        return Cells(*(None if a is None else a[rows] for a in self))


def learn_shape(
    cells: Cells,
    part_of: np.ndarray,
    n_parts: int,
    statistics: Statistics,
    powers: tuple[float, ...] = POWERS,
) -> tuple[Shape, np.ndarray]:
    """Learn the shape of the spread of a group's cells.

    Parameters
    ----------
    cells : Cells
    part_of : ndarray of shape (rows,)
        Of several parts of the rows, the spread in one is what the others tell. Of one part, number
        0, it is what rows without a part tell, number -1.
    n_parts : int
    statistics : Statistics
    powers : tuple of float, optional
        Of how far off the row is, of which one is chosen.

    Returns
    -------
    shape : Shape
    spread : ndarray of shape (rows, numbers)
    """
    # Of each column, predictions in order:  --x----|----x----|----x--   knots x, ends | of bins
    teaching = part_of < 0 if n_parts == 1 else part_of >= 0
    taught = cells.of(teaching)
    shown = np.where(taught.there, taught.predicted, np.nan)
    places = statistics.quantile("predictions", shown, QUANTILES)
    knots, ends = np.nan_to_num(places[:, ::2]), places[:, 1::2]
    sums = _sums_by_bin(taught, ends, part_of[teaching], n_parts)
    sums = statistics.ask("errors", Sums(), sums[None])
    whole = sums.sum(0)
    of_parts = [_sizes(whole - part if n_parts > 1 else whole) for part in sums]
    sizes, useful = _sizes(whole), (whole[1].sum(-1) >= FEWEST) & (whole[0].sum(-1) > 0)
    told = _at(taught.predicted, knots, sizes)
    chosen, mean = _powers(taught, told, useful, statistics, powers)
    unit = np.where(useful, mean, 1)[:, None]
    shape, *of_parts = (
        Shape(*(np.float32(a) for a in (knots, own ** chosen[0] / unit, chosen[1:])))
        for own in (sizes, *of_parts)
    )
    spread = np.ones(cells.errors.shape)
    for p, own in enumerate(of_parts):
        rows = cells.of(part_of == p)
        spread[part_of == p] = own.at(rows.predicted, rows.off, rows.holes)
    return shape, spread


def _sums_by_bin(cells: Cells, ends: np.ndarray, part_of: np.ndarray, n_parts: int) -> np.ndarray:
    """Return sums of errors and numbers of cells, (parts, 2, numbers, KNOTS)."""
    found = np.zeros((n_parts, 2, len(ends), KNOTS))
    place = sum((cells.predicted > end).astype(int) for end in ends.T)
    for k in range(KNOTS):
        member = cells.there & (place == k)
        errors = np.where(member, cells.errors, 0)
        for p in range(n_parts):
            rows = part_of == p if n_parts > 1 else slice(None)
            found[p, :, :, k] = errors[rows].sum(0, np.float64), member[rows].sum(0)
    return found


def _sizes(sums: np.ndarray) -> np.ndarray:
    """Return spreads at knots, given sums of errors and numbers of cells, (2, numbers, KNOTS)."""
    total, count = sums
    n = count.sum(-1, keepdims=True)
    mean = total.sum(-1, keepdims=True) / np.maximum(n, 1)
    usual = np.where(mean > 0, mean, 1)
    sizes = np.maximum((total + TRUST * usual) / (count + TRUST) / usual, LEAST)
    return np.where((n >= FEWEST) & (mean > 0), sizes, 1).astype(np.float32)


def _powers(
    cells: Cells,
    told: np.ndarray,
    useful: np.ndarray,
    statistics: Statistics,
    of_rows: tuple[float, ...],
) -> tuple[tuple[float, ...], np.ndarray]:
    """Return how much each cause counts, and the geometric mean of each column's spread."""
    causes = [np.log(told), np.log(cells.off)]
    stages = [[(shape, power, 0.0) for shape in SHAPES for power in of_rows]]
    if cells.holes is not None:
        causes.append(np.broadcast_to(cells.holes, told.shape))
        stages.append([(0.0, 0.0, slope) for slope in SLOPES])
    there = cells.there & useful
    terms = [np.where(there, cause, 0).sum(0, np.float64) for cause in (*causes, 1)]
    *of_causes, n = statistics.ask("causes", Sums(), np.stack(terms)[None])
    powers = 0.0, 0.0, 0.0
    for stage, more in enumerate(stages):
        options = [tuple(a + b for a, b in zip(powers, some, strict=True)) for some in more]
        asked = statistics.of(f"stage {stage}")
        scaled = _scaled(options, causes, np.where(there, cells.errors, 0), asked)
        # Errors are likely as those of a Laplace distribution, whose best scale is their mean. And
        # what the shape owes to having been learned from these very cells counts against it.
        logs = np.array([_weighted(option, of_causes) for option in options])
        logs += n * np.log(np.where(n > 0, scaled, 1) / np.maximum(n, 1))
        logs += np.array([option[0] * (KNOTS - 1) for option in options])[:, None] * (n > 0)
        powers = options[int(logs.sum(1).argmin())]
    return powers, np.exp(_weighted(powers, of_causes) / np.maximum(n, 1))


def _scaled(
    options: list[tuple[float, ...]],
    causes: list[np.ndarray],
    errors: np.ndarray,
    statistics: Statistics,
) -> np.ndarray:
    """Return sums of errors in units of the spread, (options, numbers)."""
    scaled = [(errors * np.exp(-_weighted(some, causes))).sum(0, np.float64) for some in options]
    return statistics.ask("scaled errors", Sums(), np.stack(scaled)[None])


def _weighted(powers: tuple[float, ...], causes: list[np.ndarray]) -> np.ndarray:
    """Return the log spread, or a sum of it."""
    parts = [np.float32(p) * cause for p, cause in zip(powers, causes, strict=False) if p]
    return sum(parts) if parts else np.zeros_like(causes[0])


def bounds(values: np.ndarray, statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
    """Return between what the numbers of columns lie, (numbers,) each.

    As far from the outermost value as that is from those next to it: where many are as small as
    the smallest, none is smaller; where they thin out, more room is left.

    Parameters
    ----------
    values : ndarray of shape (rows, numbers)
        NaN where missing.
    statistics : Statistics
    """
    n = max(int(statistics.ask("rows", Sums(), np.ones(len(values)))), 1)
    edge = min(max(EDGE, FEWEST_AT_EDGE / n), 0.5)
    ends = statistics.quantile("bounds", values, np.array([0, edge, 1 - edge, 1]))
    low, lower, upper, high = ends.T
    none = np.isnan(low)
    low = np.where(none, -np.inf, 2 * low - lower)
    return low.astype(np.float32), np.where(none, np.inf, 2 * high - upper).astype(np.float32)


def further_off(
    before: np.ndarray, after: np.ndarray, there: np.ndarray, statistics: Statistics
) -> np.ndarray:
    """Return how many times as far off a network became in each column, at least 1.

    Parameters
    ----------
    before, after, there : ndarray of shape (rows, numbers)
        How far off the same cells were and are, and which of them count.
    statistics : Statistics
    """
    terms = np.stack([np.where(there, before, 0), np.where(there, after, 0), there], 1)
    was, now, count = statistics.ask("further off", Sums(), terms.astype(np.float64))
    known = (count >= FEWEST) & (was > 0)
    return np.where(known, np.maximum(now / np.where(known, was, 1), 1), 1)
