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

__all__ = ["KNOTS", "Shape", "bounds", "far_off", "learn_shape", "spread_of"]

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
EDGE, FEWEST_AT_EDGE = 0.02, 10  # share of the rows, and rows at least, by which a column's end goes


class Shape(NamedTuple):
    """How the spread of a group's cells goes with prediction and row; its mean is 1.

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


def spread_of(
    shape: Shape, predicted: np.ndarray, off: np.ndarray, holes: np.ndarray | None
) -> np.ndarray:
    """Return the spread of cells, (rows, numbers), given what `learn_shape` is given."""
    power, slope = shape.powers
    found = _at(predicted, shape.knots, shape.sizes) * off**power
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


def learn_shape(
    predicted: np.ndarray,
    errors: np.ndarray,
    off: np.ndarray,
    holes: np.ndarray | None,
    valid: np.ndarray,
    statistics: Statistics,
) -> Shape:
    """Learn the shape of the spread of a group's cells.

    Parameters
    ----------
    predicted, errors : ndarray of shape (rows, numbers)
        Predictions, and their distances from the truth.
    off : ndarray of shape (rows, numbers)
        See `far_off`.
    holes : ndarray of shape (rows, numbers), or None
        The share of values that are missing. None where none are.
    valid : ndarray of shape (rows, numbers), bool
        Which cells belong to the group.
    statistics : Statistics
    """
    # Of each column  --x----|----x----|----x--   predictions in order: knots x between ends | of bins
    places = statistics.quantile("predictions", np.where(valid, predicted, np.nan), QUANTILES)
    knots, ends = np.nan_to_num(places[:, ::2]), places[:, 1::2]
    member = (predicted[..., None] > ends).sum(-1)[..., None] == np.arange(KNOTS)
    member &= valid[..., None]
    terms = np.stack([np.where(member, errors[..., None], 0), member], 1, dtype=np.float64)
    total, count = statistics.ask("errors", Sums(), terms)
    n, mean = count.sum(-1), total.sum(-1) / np.maximum(count.sum(-1), 1)
    useful = (n >= FEWEST) & (mean > 0)
    usual = np.where(useful, mean, 1)[:, None]
    sizes = np.maximum((total + TRUST * usual) / (count + TRUST) / usual, LEAST)
    sizes = np.where(useful[:, None], sizes, 1)
    useful_cells = valid & useful
    powers, causes = (0.0, 0.0, 0.0), [np.log(_at(predicted, knots, sizes)), np.log(off), holes]
    stages = [[(shape, power, 0.0) for shape in SHAPES for power in POWERS]]
    if holes is not None:
        stages.append([(0.0, 0.0, slope) for slope in SLOPES])
    for stage, more in enumerate(stages):
        options = [tuple(a + b for a, b in zip(powers, some, strict=True)) for some in more]
        asked = statistics.of(f"stage {stage}")
        powers, mean = _likeliest(options, causes, errors, useful_cells, n * useful, asked)
    sizes = sizes ** powers[0] / np.where(useful, mean, 1)[:, None]
    return Shape(knots.astype(np.float32), sizes.astype(np.float32), np.float32(powers[1:]))


def _likeliest(
    options: list[tuple[float, ...]],
    causes: list[np.ndarray | None],
    errors: np.ndarray,
    valid: np.ndarray,
    n: np.ndarray,
    statistics: Statistics,
) -> tuple[tuple[float, ...], np.ndarray]:
    """Return the powers of causes by which errors are likeliest, and the mean spread they give.

    As those of a Laplace distribution, whose best scale is the mean of what it scales.
    """
    terms = np.empty((len(options), len(errors), 3, errors.shape[1]))
    for option, of_option in zip(options, terms, strict=True):
        each = [power * cause for power, cause in zip(option, causes, strict=True) if power]
        log_spread = sum(each) if each else np.zeros_like(errors)
        spread = np.exp(log_spread)
        for j, term in enumerate((errors / spread, spread, log_spread)):
            of_option[:, j] = np.where(valid, term, 0)
    sums = statistics.ask("scaled errors", Sums(), terms.swapaxes(0, 1))
    scaled, spreads, log_spreads = sums.swapaxes(0, 1)
    scale = np.log(np.where(n > 0, scaled, 1) / np.maximum(n, 1))
    # What the shape owes to having been learned from these very cells.
    owed = np.array([option[0] * (KNOTS - 1) for option in options])[:, None] * (n > 0)
    best = int((log_spreads + n * scale + owed).sum(1).argmin())
    return options[best], spreads[best] / np.maximum(n, 1)


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
