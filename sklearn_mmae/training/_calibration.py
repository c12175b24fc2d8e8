"""How far predictions are from the truth on held-out rows: learned in `fit`, looked up later.

Split conformal: whatever the network, of n + 1 exchangeable residuals the last one is among the
``ceil((n + 1) * level)`` smallest with a chance of at least `level`. Rows of which less was seen
have larger residuals, so each *group* of cells has residuals of its own: by which modalities are
present, by the share of the table's cells that are missing, and by whether the cell itself is seen.
The held-out rows say what it is like to see less: modalities and cells of them are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._core.plain import check, fields
from .._core.threads import one_thread
from ..nn._modality import ModalityNetwork
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Sums
from ._batches import Batch, Rows
from ._holes import BINS, Fill, Tensors, bins_of, hide, observed_cells, without

if TYPE_CHECKING:
    from ._direct import Direct
    from ._joint import JointNetwork

__all__ = ["LEVELS", "Groups", "calibrate"]

# Stored quantiles; those between them are interpolated.
LEVELS = np.r_[
    *(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.875, 0.9, 0.92, 0.94),
    *(0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999),
]
TURNS = (8, 4, 4)  # times that cells are hidden in each other bin, others each time
MOST_ROWS = 1000  # held-out rows looked at
MOST_CODES = 2**16  # (row, pattern, turn), in all of the passes in which cells are hidden
MOST_CELLS = 2**21  # rows times columns of a table, in one of those passes
MOST_PATTERNS = 8  # up to which each of them is seen with holes, too
MOST_GROUPS = 1024  # in a file
BLOCK = 128  # rows encoded at a time, and (row, pattern)s times 8
FEWEST_TO_SCALE = 20  # cells
TRUST = 1.0  # in logits as they are: a standard normal prior of 1 / temperature - 1 and offsets
HOTTEST = 8.0  # the highest temperature, and one over the lowest


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
        Of the intervals at `LEVELS`, in standardised units; infinite where there were too few rows.
    doubts : ndarray of shape (groups, categorical columns, levels), float32
        One minus the probability, scaled as follows, below which a category is left out of a set
        at `LEVELS`; infinite where there were too few rows.
    temperatures : ndarray of shape (groups, categorical columns), float32
        What logits are divided by.
    offsets : ndarray of shape (groups, categories of all columns), float32
        What is then added to them.
    """

    patterns: np.ndarray
    bins: np.ndarray
    seen: np.ndarray
    half_widths: np.ndarray
    doubts: np.ndarray
    temperatures: np.ndarray
    offsets: np.ndarray

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
        shapes = [
            *((self.patterns, "b", (n, n_modalities)), (self.bins, "i", (n,))),
            *((self.seen, "b", (n,)), (self.half_widths, "f", (n, n_numbers, len(LEVELS)))),
            (self.doubts, "f", (n, len(sizes), len(LEVELS))),
            *((self.temperatures, "f", (n, len(sizes))), (self.offsets, "f", (n, sum(sizes)))),
        ]
        return (
            0 < n <= most
            and all(a.dtype.kind == kind and a.shape == shape for a, kind, shape in shapes)
            and bool((~self.patterns.any(1) & (self.bins == 0) & ~self.seen).any())
            and bool((self.half_widths >= 0).all())  # NaN is not
            and bool((self.doubts >= 0).all())
            and bool((np.isfinite(self.temperatures) & (self.temperatures > 0)).all())
            and bool(np.isfinite(self.offsets).all())
        )


@one_thread(helpers=False)
@torch.no_grad()
def calibrate(
    network: JointNetwork,
    rows: Rows,
    fills: Sequence[Fill],
    statistics: Statistics = PLAIN,
) -> dict[int, Groups]:
    """Measure residuals on rows that the network was not trained on.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
        On the network's device.
    fills : list of callable
        `Modality.fill` of each modality: how it sees rows of which cells are hidden.
    statistics : Statistics, default=PLAIN
        What is asked about the residuals.

    Returns
    -------
    dict of int to Groups
        By the positions of the tables among the modalities.
    """
    network.eval()
    tables = [m for m, part in enumerate(network.networks) if part.is_table]
    if not tables:
        return {}
    device = rows.pattern.device
    places = torch.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS), device=device).long()
    generator = torch.Generator(device).manual_seed(len(rows))
    measure = _Measure(network, rows, fills, statistics, {m: [] for m in tables})
    _calibrate_whole(measure, places)
    patterns = _patterns_with_holes(network, tables)
    columns = max(network.networks[m].n_outputs for m in tables)
    n_rows = min(MOST_CODES // sum(TURNS) // max(len(patterns), 1), MOST_CELLS // columns)
    n_rows = max(n_rows, 1)
    some = places[torch.linspace(0, len(places) - 1, min(len(places), n_rows)).long().to(device)]
    for bin_ in range(1, len(TURNS) + 1):
        _calibrate_with_holes(measure, some, patterns, bin_, generator)
    return {m: _joined(groups, network.networks[m].sizes) for m, groups in measure.groups.items()}


class _Measure(NamedTuple):
    """What is looked at, and the groups of each table so far."""

    network: JointNetwork
    rows: Rows
    fills: Sequence[Fill]
    statistics: Statistics
    groups: dict[int, list]

    def beside(self, pattern: Tensor) -> dict[int, Direct]:
        """Return what predicts the tables that a pattern lacks beside the embedding."""
        return self.network.beside(pattern, [m for m in self.groups if not pattern[m]])

    def add(
        self,
        m: int,
        pattern: Tensor,
        bin_: int,
        seen: bool,
        outputs: Tensor,
        values: Tensors,
        valid: Tensor,
    ) -> None:
        """Add a group of cells of a table."""
        members = "".join("01"[there] for there in pattern.tolist())
        statistics = self.statistics.of(f"modality {m} of {members}, bin {bin_}, {seen}")
        measured = _measure(self.network.networks[m], outputs, values, valid, statistics)
        self.groups[m].append((pattern, bin_, seen, *measured))


def _calibrate_whole(measure: _Measure, places: Tensor) -> None:
    """Add the groups of rows with no more missing values than they have."""
    network, tables = measure.network, measure.groups
    patterns = torch.arange(len(network.patterns), device=places.device)
    codes, reduced = _encode(measure, places, patterns)
    batch = _tables_of(measure.rows, places, tables)
    known = {m: observed_cells(batch.values[m], network.networks[m]) for m in tables}
    for p, code in zip(patterns.tolist(), codes, strict=True):
        pattern = network.patterns[p]
        contain = _contain(network, batch.pattern, pattern)
        beside = measure.beside(pattern)
        for m in tables:
            bins = bins_of(known, pattern.expand(len(places), -1), m)
            valid = known[m] & (contain & (bins == 0))[:, None]
            outputs = network.outputs(code, m, reduced, beside.get(m))[None]
            measure.add(m, pattern, 0, bool(pattern[m]), outputs, batch.values[m], valid[None])


def _calibrate_with_holes(
    measure: _Measure, places: Tensor, patterns: Tensor, bin_: int, generator: torch.Generator
) -> None:
    """Add the groups of rows in which a share of the cells is hidden."""
    if not len(patterns):
        return
    network, tables = measure.network, measure.groups
    batch = _tables_of(measure.rows, places, tables)
    known = {m: observed_cells(batch.values[m], network.networks[m]) for m in tables}
    n_turns = TURNS[bin_ - 1]
    low, high = (0.0, *BINS, 1.0)[bin_ - 1 : bin_ + 1]
    share = low + (high - low) * torch.rand(
        len(places), 1, generator=generator, device=batch.pattern.device
    )
    order = {
        m: torch.rand(there.shape, generator=generator, device=there.device).argsort(1)
        for m, there in known.items()
    }
    turns = [
        {m: hide(there, order[m], share, turn / n_turns) for m, there in known.items()}
        for turn in range(n_turns)
    ]
    encoded = [_encode(measure, places, patterns, shown) for shown in turns]
    codes = torch.stack([code for code, _ in encoded], 1)
    reduced = torch.stack([reduced for _, reduced in encoded])
    still = {m: torch.stack([shown[m] for shown in turns]) for m in known}
    for p, code in zip(patterns.tolist(), codes, strict=True):
        pattern = network.patterns[p]
        contain = _contain(network, batch.pattern, pattern)
        present, beside = pattern.expand(len(places), -1), measure.beside(pattern)
        for m in tables:
            bins = bins_of(still, present, m)
            valid = known[m] & (contain & (bins == bin_))[..., None]
            shown = still[m] & pattern[m]
            outputs = network.outputs(code, m, reduced, beside.get(m))
            for seen in (True, False) if pattern[m] else (False,):
                cells = valid & (shown == seen)
                measure.add(m, pattern, bin_, seen, outputs, batch.values[m], cells)


def _patterns_with_holes(network: JointNetwork, tables: list[int]) -> Tensor:
    """Return the numbers of the patterns that are looked at with cells hidden."""
    patterns = network.patterns
    useful = patterns[:, tables].any(1)
    if len(patterns) > MOST_PATTERNS:
        size = patterns.sum(1)
        useful = useful & ((size == 1) | (size >= patterns.shape[1] - 1))
    return useful.nonzero()[:, 0]


def _contain(network: JointNetwork, index: Tensor, pattern: Tensor) -> Tensor:
    """Return which rows have all modalities of a pattern."""
    return ~(pattern & ~network.patterns[index]).any(1)


def _tables_of(rows: Rows, places: Tensor, tables: dict[int, list]) -> Batch:
    """Return the tables of some rows as a `Batch`, nothing of the other modalities."""
    values = [tensors if m in tables else {} for m, tensors in enumerate(rows.values)]
    return type(rows)(values, rows.pattern, rows.rows).take(places)


def _encode(
    measure: _Measure, places: Tensor, patterns: Tensor, shown: dict[int, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return how rows are seen.

    Returns
    -------
    codes : Tensor of shape (patterns, rows, components)
        As each of some patterns would show them.
    reduced : Tensor of shape (rows, columns)
        What regressions beside the embeddings look at.
    """
    network, blocks, seen = measure.network, [], []
    for start in range(0, len(places), BLOCK):
        batch = measure.rows.take(places[start : start + BLOCK])
        values = list(batch.values)
        for m, still in (shown or {}).items():
            still = still[start : start + BLOCK]
            values[m] = without(values[m], network.networks[m], still, measure.fills[m])
        views = network.views(values)
        seen.append(network.reduce(views))
        blocks.append(
            torch.cat(
                [
                    network.encode(views, some[:, None].expand(-1, len(batch)))
                    for some in patterns.split(8)
                ]
            )
        )
    return torch.cat(blocks, 1), torch.cat(seen)


def _measure(
    part: ModalityNetwork,
    outputs: Tensor,
    tensors: Tensors,
    valid: Tensor,
    statistics: Statistics,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the half-widths, doubts, temperatures and offsets of one group.

    Parameters
    ----------
    part : ModalityNetwork
    outputs : Tensor of shape (turns, rows, outputs)
        For the same rows, other cells hidden in each turn.
    tensors : dict of Tensor
    valid : Tensor of shape (turns, rows, cells), bool
        Which cells belong to the group. Each counts once, as in its first turn: so that there are
        no more scores than rows, and they are exchangeable.
    statistics : Statistics
    """
    n, counted = part.n_numbers, valid.any(0)
    sizes = torch.tensor([1] * n + list(part.sizes), device=valid.device)
    first = valid.byte().argmax(0).repeat_interleave(sizes, 1)
    outputs = outputs.gather(0, first[None])[0]
    half_widths, doubts = np.empty((2, 0, len(LEVELS)), np.float32)
    if n:
        scores = (outputs[:, :n] - part.numbers(tensors)).abs()
        # The residual of one more row is below the quantile with a chance of the level.
        residuals = torch.where(counted[:, :n], scores, torch.nan).cpu().numpy()
        half_widths = statistics.quantile("residuals", residuals, LEVELS, method="conformal")
    scalings = [
        _scaling(logits[there], codes_of[there].long(), statistics.of(f"column {i}"))
        for i, (logits, codes_of, there) in enumerate(
            zip(
                outputs[:, n:].split(part.sizes, 1) if part.sizes else (),
                tensors["codes"].T if part.sizes else (),
                counted[:, n:].T,
                strict=True,
            )
        )
    ]
    temperatures, offsets = zip(*scalings, strict=True) if scalings else ((), ())
    if part.sizes:
        logits = outputs[:, n:].split(part.sizes, 1)
        scores = _doubts(logits, tensors["codes"], temperatures, offsets)
        scores = np.where(counted[:, n:].cpu().numpy(), scores, np.nan)
        doubts = statistics.quantile("doubts", scores, LEVELS, method="conformal")
    offsets = np.concatenate([np.empty(0), *offsets]).astype(np.float32)
    return half_widths, doubts, np.array(temperatures, np.float32), offsets


def _doubts(
    logits: Sequence[Tensor],
    codes: Tensor,
    temperatures: Sequence[float],
    offsets: Sequence[np.ndarray],
) -> np.ndarray:
    """Return one minus the probability of each true category, (rows, categorical columns).

    Infinite in columns of which too little is known to scale their logits.
    """
    doubts = np.full(codes.shape, np.inf, np.float32)
    for i, own in enumerate(codes.T):
        if np.isfinite(temperatures[i]):
            added = torch.as_tensor(offsets[i], dtype=logits[i].dtype, device=codes.device)
            shares = (logits[i] / temperatures[i] + added).softmax(1)
            of_truth = shares.gather(1, own.long().clamp_min(0)[:, None])[:, 0]
            doubts[:, i] = (1 - of_truth).cpu().numpy()
    return doubts


def _scaling(logits: Tensor, codes: Tensor, statistics: Statistics) -> tuple[float, np.ndarray]:
    """Return what logits are to be divided by and what is then added, by penalised likelihood.

    NaN for too few cells. Of 20 steps each is Newton's: in the inverse of the temperature, then in
    the offsets one by one, half as far, for they move together.
    """
    n = logits.shape[1]
    counts = statistics.counts("codes", codes.cpu().numpy(), n)
    if counts.sum() < FEWEST_TO_SCALE or n < 2:
        return np.nan, np.full(n, np.nan)

    def total(name: str, terms: Tensor) -> Tensor:
        return statistics.ask(name, Sums(), terms)

    logits = logits - logits.mean(1, keepdim=True)
    of_truth = total("logits of the truth", logits.gather(1, codes[:, None])[:, 0])
    counts = logits.new_tensor(counts)
    inverse, offsets = logits.new_ones(()), logits.new_zeros(n)
    for step in range(20):
        share = (inverse * logits + offsets).softmax(1)
        mean = (share * logits).sum(1)
        curves = (share * logits.square()).sum(1) - mean.square()
        slope = total(f"slope {step}", mean) - of_truth + TRUST * (inverse - 1)
        curve = total(f"curve {step}", curves) + TRUST
        inverse = inverse - (slope / curve).clamp(-inverse / 2, inverse)
        inverse = inverse.clamp(1 / HOTTEST, HOTTEST)
        share = (inverse * logits + offsets).softmax(1)
        slope = total(f"shares {step}", share) - counts + TRUST * offsets
        curve = total(f"variances {step}", share * (1 - share)) + TRUST
        offsets = offsets - slope / curve / 2
    return float(1 / inverse), offsets.cpu().numpy()


def _joined(groups: list[tuple], sizes: Sequence[int]) -> Groups:
    """Return the groups of a table, gaps filled by ever more cautious ones.

    Intervals of cells that are not seen are made at least as wide as those of every group that saw
    more: so they never get narrower when something is taken away, and hold no less than they say.
    """
    # groups           (pattern, bin, seen, half_widths, doubts, ...), one a row of Groups
    # widths, doubts   (groups, columns, levels): inf = gap, taken from the next group of the chain
    # heat, offsets    (groups, columns), (groups, categories of all): nan = gap, the same way
    patterns, bins, seen, *measured = zip(*groups, strict=True)
    joined = Groups(
        torch.stack(patterns).cpu().numpy(),
        np.array(bins, np.int64),
        np.array(seen, bool),
        *map(np.stack, measured),
    )
    widths, doubts, heat, offsets = (array.copy() for array in joined[3:])
    of_outputs = np.repeat(np.arange(heat.shape[1]), sizes)
    for g in range(len(bins)):
        for other in joined.chain(joined.patterns[g], bins[g], seen[g])[1:]:
            gaps, unsure, cold = np.isinf(widths[g]), np.isinf(doubts[g]), np.isnan(heat[g])
            # Wider intervals are still right; the doubts of rows of which nothing was seen are not.
            cold &= joined.patterns[other].any()
            if not gaps.any() and not unsure.any() and not cold.any():
                break
            widths[g][gaps] = joined.half_widths[other][gaps]
            doubts[g][unsure] = joined.doubts[other][unsure]
            heat[g][cold] = joined.temperatures[other][cold]
            offsets[g][cold[of_outputs]] = joined.offsets[other][cold[of_outputs]]
    widths = np.maximum.accumulate(widths, 2)
    filled = widths.copy()
    for g in np.flatnonzero(~joined.seen):
        saw_more = ~(joined.patterns[g] & ~joined.patterns).any(1)
        saw_more &= (joined.bins <= bins[g]) & ~joined.seen
        widths[g] = filled[saw_more].max(0)
    return joined._replace(
        half_widths=widths,
        doubts=np.maximum.accumulate(doubts, 2),
        temperatures=np.nan_to_num(heat, nan=1.0),
        offsets=np.nan_to_num(offsets, nan=0.0),
    )
