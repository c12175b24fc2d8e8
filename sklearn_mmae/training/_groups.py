"""`Groups`: what is known of a table's residuals, by what was seen of the row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core.plain import check, fields
from ..nn._modality import ModalityNetwork
from ._spread import KNOTS

__all__ = ["LEVELS", "Groups", "Measured", "joined"]

# Stored quantiles; those between them are interpolated.
LEVELS = np.r_[
    *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.875, 0.9, 0.92, 0.94),
    *(0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999),
]
MOST_GROUPS = 1024  # in a file
MOST_POWER = 4.0


# What the rows of one group say: the arrays of `Groups` from `half_widths` to `offsets`, of it.
Measured = tuple[np.ndarray, ...]


class Groups(NamedTuple):
    """What is known of one table's residuals.

    Attributes
    ----------
    patterns : ndarray of shape (groups, modalities), bool
        Which modalities are present.
    bins : ndarray of shape (groups,), int64
        Of the share of missing values, see `bins_of`.
    seen : ndarray of shape (groups,), bool
        Whether the cells themselves are seen.
    half_widths : ndarray of shape (groups, numbers, levels), float32
        Of the intervals at `LEVELS`, in standardised units, where the spread is 1; infinite where
        there were too few rows.
    knots, sizes : ndarray of shape (groups, numbers, KNOTS), float32
        Predictions, and the spread there; see `Shape`.
    powers : ndarray of shape (groups, 2), float32
        Of what else the spread goes by; see `Shape`.
    doubts : ndarray of shape (groups, categorical columns, levels), float32
        One minus the probability, scaled as follows, below which a category is left out of a set
        at `LEVELS`; infinite where there were too few rows.
    slopes : ndarray of shape (groups, categories of all columns), float32
        What logits are multiplied by, centred in each row.
    offsets : ndarray of shape (groups, categories of all columns), float32
        What is then added to them.
    typical : ndarray of shape (numbers,), float32
        How far from the truth numbers that are seen are on average; 0 where that says nothing.
    low, high : ndarray of shape (numbers,), float32
        Between what they lie; see `bounds`.
    """

    patterns: np.ndarray
    bins: np.ndarray
    seen: np.ndarray
    half_widths: np.ndarray
    knots: np.ndarray
    sizes: np.ndarray
    powers: np.ndarray
    doubts: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray
    typical: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def chain(self, pattern: np.ndarray, bin_: int, seen: bool) -> np.ndarray:
        """Return the groups that can speak for a cell, ever more cautious ones.

        Parameters
        ----------
        pattern : ndarray of shape (modalities,), bool
        bin_ : int
        seen : bool

        Returns
        -------
        ndarray of int
            The cell's own group, if there is one; then those with more missing values and with
            fewer modalities; then cells not seen; last, the rows of which nothing was seen.
        """
        within = ~(self.patterns & ~pattern).any(1)
        size = self.patterns.sum(1)
        usable = np.flatnonzero(within & ((self.bins >= bin_) | (size == 0)) & (seen | ~self.seen))
        order = np.lexsort((self.bins[usable], -size[usable], self.seen[usable] != seen))
        return usable[order]

    def to_plain(self) -> dict[str, np.ndarray]:
        """Return the groups as plain values and arrays."""
        return self._asdict()

    @classmethod
    def from_plain(cls, node: Any, n_modalities: int, part: ModalityNetwork) -> Groups:
        """Return the groups that `to_plain` gave, checked against the table's network."""
        arrays = fields(node, *cls._fields)
        check(all(isinstance(array, np.ndarray) for array in arrays), "its calibration")
        groups = cls(*arrays)
        check(groups.is_sound(n_modalities, part.n_numbers, part.sizes), "its calibration")
        return groups

    def is_sound(self, n_modalities: int, n_numbers: int, sizes: Sequence[int]) -> bool:
        """Whether what was measured agrees with itself."""
        n, most = len(self.bins), MOST_GROUPS + 16 * n_modalities
        of_numbers = (n, n_numbers)
        shapes = [
            *((self.patterns, "b", (n, n_modalities)), (self.bins, "i", (n,))),
            *((self.seen, "b", (n,)), (self.half_widths, "f", (*of_numbers, len(LEVELS)))),
            *((self.knots, "f", (*of_numbers, KNOTS)), (self.sizes, "f", (*of_numbers, KNOTS))),
            *((self.powers, "f", (n, 2)), (self.doubts, "f", (n, len(sizes), len(LEVELS)))),
            *((a, "f", (n, sum(sizes))) for a in (self.slopes, self.offsets)),
            *((a, "f", (n_numbers,)) for a in (self.typical, self.low, self.high)),
        ]
        return (
            0 < n <= most
            and all(a.dtype.kind == kind and a.shape == shape for a, kind, shape in shapes)
            and bool((~self.patterns.any(1) & (self.bins == 0) & ~self.seen).any())
            and all(bool((a >= 0).all()) for a in (self.half_widths, self.doubts))  # NaN is not
            and all(bool((np.isfinite(a) & (a > 0)).all()) for a in (self.sizes, self.slopes))
            and all(bool(np.isfinite(a).all()) for a in (self.knots, self.offsets))
            and bool(((self.powers >= 0) & (self.powers <= MOST_POWER)).all())
            and bool((np.isfinite(self.typical) & (self.typical >= 0)).all())
            and bool((self.low <= self.high).all())
        )


def joined(
    groups: Sequence[tuple[np.ndarray, int, bool, Measured]],
    of_table: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Groups:
    """Return the groups of a table, gaps filled by ever more cautious ones.

    Parameters
    ----------
    groups : sequence of tuple
        Pattern, bin, whether cells are seen, and what was measured.
    of_table : tuple of ndarray
        `typical`, `low` and `high`.
    """
    # widths, doubts   (groups, columns, levels): inf = gap, taken from the next group of the chain
    # slopes, offsets  (groups, categories of all): nan = gap, the same way
    patterns, bins, seen, measured = zip(*groups, strict=True)
    found = Groups(
        np.stack(patterns),
        np.array(bins, np.int64),
        np.array(seen, bool),
        *(
            np.stack([np.asarray(a, np.float32) for a in same])
            for same in zip(*measured, strict=True)
        ),
        *(np.asarray(a, np.float32) for a in of_table),
    )
    widths, doubts = found.half_widths.copy(), found.doubts.copy()
    slopes, offsets = found.slopes.copy(), found.offsets.copy()
    for g in range(len(bins)):
        for other in found.chain(found.patterns[g], bins[g], seen[g])[1:]:
            gaps, unsure, unscaled = np.isinf(widths[g]), np.isinf(doubts[g]), np.isnan(slopes[g])
            # Wider intervals are still right; the doubts of rows of which nothing was seen are not.
            unscaled &= found.patterns[other].any()
            if not gaps.any() and not unsure.any() and not unscaled.any():
                break
            widths[g][gaps] = found.half_widths[other][gaps]
            doubts[g][unsure] = found.doubts[other][unsure]
            slopes[g][unscaled] = found.slopes[other][unscaled]
            offsets[g][unscaled] = found.offsets[other][unscaled]
    return found._replace(
        half_widths=np.maximum.accumulate(widths, 2),
        doubts=np.maximum.accumulate(doubts, 2),
        slopes=np.nan_to_num(slopes, nan=1.0),
        offsets=np.nan_to_num(offsets, nan=0.0),
    )
