"""How far missing cells are from what a `CellModel` expects of them.

All rows it was learned from calibrate, each by what has not seen it (cross-conformal prediction,
see `_folds`): the normals of other folds, and the trees whose bootstrap samples lack the row. Cells
and modalities are hidden at random. A score is a residual in units of the spread: that goes by what
the normal says of it, and by the prediction; see `_spread`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .._core.threads import one_thread
from ..statistics import PLAIN
from ..statistics._cell_model import CrossFitted
from ..training._groups import LEVELS, Groups, Measured, joined
from ..training._holes import BINS, binned, hide, share_of_holes
from ..training._scaling import doubts, scaling
from ..training._spread import KNOTS, Cells, bounds, learn_shape
from ._cell_columns import CellColumns, OfTable

__all__ = ["calibrate_cells"]

TURNS = (8, 3, 1)  # times that cells are hidden in each bin, others each time
MOST_ROWS = 512
MOST_CELLS = 2**14  # rows times targets
MOST_WORK = 5 * 10**8  # rows times columns cubed
FEWEST_ROWS = 100
PARTS = 3  # of the rows, the spread in each of which the others tell
POWERS = (0.0, 0.5, 1.0)  # of what the normal says of the spread


@one_thread(helpers=False)
@torch.no_grad()
def calibrate_cells(
    fitted: CrossFitted, columns: CellColumns, n_modalities: int
) -> dict[int, Groups]:
    """Measure residuals on the rows of the sample of a model of cells.

    Parameters
    ----------
    fitted : CrossFitted
    columns : CellColumns
    n_modalities : int

    Returns
    -------
    dict of int to Groups
        By the positions of the tables among the modalities. Each has a group per bin of the share
        of missing values: for rows that have all modalities, and for others; and a last one, of
        which nothing is seen.
    """
    presence = (True,) if n_modalities == 1 else (True, False)
    kinds = [(bin_, whole) for whole in presence for bin_ in range(1, len(BINS) + 2)]
    looks = [_Look(fitted, columns, n_modalities, *kind) for kind in [*kinds, (0, False)]]
    found = {}
    for table in columns.tables:
        numbers = fitted.sample.rows[:, table.numbers]
        of_table = np.zeros(table.n_numbers), *bounds(numbers, PLAIN)
        groups = []
        for look in looks:
            pattern = np.full(n_modalities, look.whole)
            pattern[table.m] = look.bin > 0
            groups.append((pattern, look.bin, False, look.measure(table, of_table[1:])))
        found[table.m] = joined(groups, of_table)
    return found


class _Look:
    """Rows with some more cells hidden, and what is expected of these; in bin 0, of all of them.

    Attributes
    ----------
    bin : int
        Of the share of missing values.
    whole : bool
        Whether all modalities are present. Else half of the others are hidden.
    rows : ndarray of shape (rows, columns)
        As they are.
    expected, spread : ndarray of shape (turns * rows, columns of all targets)
    hidden : dict of int to ndarray of shape (turns, rows, cells), bool
        Which cells of each table are hidden, in rows that come into this bin.
    holes : ndarray of shape (turns * rows,)
        The share of missing values in the tables of each row.
    """

    def __init__(
        self,
        fitted: CrossFitted,
        columns: CellColumns,
        n_modalities: int,
        bin_: int,
        whole: bool,
    ):
        self.bin, self.whole = bin_, whole
        sample = fitted.sample
        most = min(MOST_WORK // columns.n_columns**3, MOST_CELLS // len(columns.sizes))
        most = min(max(most, FEWEST_ROWS), MOST_ROWS)
        places = _even(sample.weights, min(len(sample.rows), most))
        self.rows = sample.rows[places]
        self.n_turns = TURNS[bin_ - 1] if bin_ else 1
        generator = torch.Generator().manual_seed(bin_)
        known = {t.m: torch.from_numpy(_observed(self.rows, t)) for t in columns.tables}
        still = {m: self._still(there, generator) for m, there in known.items()}
        present = self._present(columns, known, n_modalities, generator)
        shown = _shown(np.tile(self.rows, (self.n_turns, 1)), columns, still, present.numpy())
        again = np.tile(places, self.n_turns)
        self.expected, self.spread = fitted.expected(shown, again), fitted.spread(shown, again)
        holes = share_of_holes(still, present, None)
        self.hidden, self.holes = {}, holes.numpy()
        for m, there in known.items():
            own = there.repeat(self.n_turns, 1) & ~still[m]
            if bin_:
                own &= (present[:, m] & (binned(holes) == bin_))[:, None]
            self.hidden[m] = own.unflatten(0, (self.n_turns, -1)).numpy()

    def _still(self, there: Tensor, generator: torch.Generator) -> Tensor:
        """Return which cells of a table are still seen, (turns * rows, cells), bool."""
        if not self.bin:
            return torch.zeros_like(there)
        low, high = (0.0, *BINS, 1.0)[self.bin - 1 : self.bin + 1]
        # The same share in all tables of a row.
        same = torch.Generator().manual_seed(self.bin)
        share = low + (high - low) * torch.rand(len(there), 1, generator=same)
        order = torch.rand(there.shape, generator=generator).argsort(1)
        turns = [turn / self.n_turns for turn in range(self.n_turns)]
        return torch.cat([hide(there, order, share, turn) for turn in turns])

    def _present(
        self,
        columns: CellColumns,
        known: dict[int, Tensor],
        n_modalities: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Return which modalities are seen, (turns * rows, modalities), bool."""
        there = {m: cells.any(1) for m, cells in known.items()}
        for m, own in columns.others():
            there[m] = torch.from_numpy(~np.isnan(self.rows[:, own]).any(1))
        present = torch.stack([there[m] for m in range(n_modalities)], 1)
        present = present.repeat(self.n_turns, 1)
        if self.whole:
            return present & present.all(1, keepdim=True)
        seen = 0.5 if self.bin else 0.0
        return present & (torch.rand(present.shape, generator=generator) < seen)

    def measure(self, table: OfTable, ends: tuple[np.ndarray, np.ndarray]) -> Measured:
        """Return what the hidden cells of a table say, as arrays of `Groups`.

        Parameters
        ----------
        table : OfTable
        ends : tuple of ndarray of shape (numbers,)
            Between what numbers lie.
        """
        n, hidden = table.n_numbers, self.hidden[table.m]
        # Each counts once, as in its first turn: no more scores than rows, exchangeable ones.
        first = hidden.argmax(0) * len(self.rows) + np.arange(len(self.rows))[:, None]
        widths = [1] * n + [len(column.kept) for column in table.categorical]
        outputs = table.outputs(self.expected)
        outputs = np.take_along_axis(outputs, np.repeat(first, widths, 1), 0)
        numbers, *logits = np.split(outputs, np.cumsum([n, *widths[n:]])[:-1], 1)
        spread = np.take_along_axis(self.spread[:, table.numbers], first[:, :n], 0)
        counted = hidden.any(0)
        errors = np.abs(np.clip(numbers, *ends) - self.rows[:, table.numbers])
        known = counted[:, :n] & ~np.isnan(errors)
        holes = self.holes[first[:, :n]]
        cells = Cells(np.clip(numbers, *ends), errors, spread, holes, known)
        return *_of_numbers(cells), *self._of_categories(table, logits, counted[:, n:])

    def _of_categories(
        self, table: OfTable, logits: list[np.ndarray], counted: np.ndarray
    ) -> Measured:
        """Return doubts, slopes and offsets."""
        random = np.random.RandomState(self.bin)
        left_open, scalings = [np.empty((len(self.rows), 0))], []
        pairs = zip(table.indicators(), logits, counted.T, strict=True)
        for (column, own), of_column, there in pairs:
            codes = column.codes(self.rows[:, own], random)
            there = torch.from_numpy(there & ~np.isnan(of_column[:, 0]))
            terms, truth = torch.from_numpy(of_column), torch.from_numpy(codes)
            # One slope for all: the likeliest category is the one that is imputed.
            scalings.append(scaling(terms[there], truth[there], PLAIN, common=True))
            of_truth = doubts([terms], truth[:, None], scalings[-1:])
            left_open.append(np.where(there[:, None], of_truth, np.nan))
        levels = PLAIN.quantile("doubts", np.hstack(left_open), LEVELS, method="conformal")
        slopes, offsets = (
            torch.cat([torch.empty(0), *same]).numpy()
            for same in ([s.slopes for s in scalings], [s.offsets for s in scalings])
        )
        return levels, slopes, offsets


def _of_numbers(cells: Cells) -> Measured:
    """Return half-widths, and the shape of the spread."""
    if not cells.errors.shape[1]:
        return np.empty((0, len(LEVELS))), *np.empty((2, 0, KNOTS)), np.zeros(2)
    part_of = np.arange(len(cells.errors)) % PARTS
    shape, spread = learn_shape(cells, part_of, PARTS, PLAIN, POWERS)
    scores = np.where(cells.there, cells.errors / spread, np.nan).astype(np.float32)
    return PLAIN.quantile("scores", scores, LEVELS, method="conformal"), *shape


def _observed(rows: np.ndarray, table: OfTable) -> np.ndarray:
    """Return which cells of a table are observed, (rows, cells), bool."""
    starts = table.start + np.cumsum([0, *table.sizes])[:-1]
    return ~np.isnan(rows[:, starts])


def _shown(
    rows: np.ndarray, columns: CellColumns, still: dict[int, Tensor], present: np.ndarray
) -> np.ndarray:
    """Return rows with all but some cells missing, and all but some modalities."""
    seen = [
        np.repeat(still[table.m].numpy() & present[:, table.m, None], table.sizes, 1)
        for table in columns.tables
    ]
    seen += [np.repeat(present[:, m, None], own.stop - own.start, 1) for m, own in columns.others()]
    return np.where(np.hstack(seen), rows, np.nan)


def _even(weights: np.ndarray, n: int) -> np.ndarray:
    """Return the places of n rows, each as often as it weighs."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, (np.arange(n) + 0.5) / n * ends[-1])
