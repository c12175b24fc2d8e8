"""How far predictions are from the truth on held-out rows: learned in `fit`, looked up later.

Split conformal: whatever the network, of n + 1 exchangeable scores the last one is among the
``ceil((n + 1) * level)`` smallest with a chance of at least `level`. A score is a residual in units
of the spread that `_spread` expects of it. Rows of which less was seen have larger residuals, so
each *group* of cells has scores of its own: by which modalities are present, by the share of the
table's cells that are missing, and by whether the cell itself is seen. The held-out rows say what
it is like to see less: modalities and cells of them are hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._core.compat import cached_property
from .._core.threads import one_thread
from ..nn._modality import ModalityNetwork
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Sums
from ._batches import Batch, Rows
from ._folds import Folds
from ._groups import LEVELS, Groups, Measured, joined
from ._holes import BINS, Fill, binned, hide, observed_cells, share_of_holes, without
from ._joint import JointNetwork
from ._scaling import as_sure, doubts, scaling
from ._spread import KNOTS, Cells, bounds, far_off, further_off, learn_shape

__all__ = ["MOST_TAUGHT", "calibrate"]

TURNS = (8, 4, 4)  # times that cells are hidden in each other bin, others each time
MOST_ROWS = 1000  # held-out rows looked at
MOST_TAUGHT = 300  # rows that the spread is learned from
MOST_CODES = 2**16  # (row, pattern, turn), in all of the passes in which cells are hidden
MOST_CELLS = 2**21  # rows times columns of a table, in one of those passes
MOST_PATTERNS = 8  # up to which each of them is seen with holes, too
PARTS = 3  # of the rows of several folds, each of whose spread the others tell
BLOCK = 128  # rows encoded at a time, and (row, pattern)s times 8
LEAST_ERROR = 1e-3  # in standard deviations: what is nearer is as good as exact


# Of each number of a table: how far off it is on average, and between what it lies; see `Groups`.
OfTable = tuple[np.ndarray, np.ndarray, np.ndarray]


@one_thread(helpers=False)
@torch.no_grad()
def calibrate(
    folds: Folds, fills: Sequence[Fill], statistics: Statistics = PLAIN
) -> dict[int, Groups]:
    """Measure residuals on rows that networks were not trained on.

    Parameters
    ----------
    folds : Folds
    fills : list of callable
        `Modality.fill` of each modality: how it sees rows of which cells are hidden.
    statistics : Statistics, default=PLAIN
        What is asked about the residuals.

    Returns
    -------
    dict of int to Groups
        By the positions of the tables among the modalities.
    """
    network = folds.networks[0]
    for one in folds.networks:
        one.eval()
    tables = [m for m, part in enumerate(network.networks) if part.is_table]
    if not tables:
        return {}
    places = _some(folds.fold, MOST_TAUGHT, MOST_ROWS)
    generator = torch.Generator(places.device).manual_seed(int((folds.fold >= 0).sum()))
    measure = _calibrate_whole(_Sample(folds, places, fills, tables), statistics)
    patterns = _patterns_with_holes(network, tables)
    columns = max(network.networks[m].n_outputs for m in tables)
    n_rows = min(MOST_CODES // sum(TURNS) // max(len(patterns), 1), MOST_CELLS // columns)
    n_rows = max(n_rows, 1)
    places = places[_some(folds.fold[places], n_rows, n_rows)]
    measure = measure._replace(sample=_Sample(folds, places, fills, tables))
    for bin_ in range(1, len(TURNS) + 1):
        _calibrate_with_holes(measure, patterns, bin_, generator)
    return {m: joined(groups, measure.of_tables[m]) for m, groups in measure.groups.items()}


def _some(fold: Tensor, n_taught: int, n_held: int) -> Tensor:
    """Return the places of some rows, evenly spread over those that calibrate and over others."""
    found = []
    for which, most in ((fold < 0, n_taught), (fold >= 0, n_held)):
        places = which.nonzero()[:, 0]
        even = torch.linspace(0, len(places) - 1, min(len(places), most), device=places.device)
        found.append(places[even.long()])
    return torch.cat(found)


class _Sample:
    """Some rows, and what the networks that have not seen them make of them.

    Attributes
    ----------
    tables : list of int
    batch : Batch
        The tables of the rows, nothing of other modalities.
    known : dict of int to Tensor of shape (rows, cells), bool
        Which cells of each table are observed.
    fold : ndarray of shape (rows,)
    """

    def __init__(self, folds: Folds, places: Tensor, fills: Sequence[Fill], tables: Sequence[int]):
        self.folds, self.places, self.fills, self.tables = folds, places, fills, tables
        self.network = folds.networks[0]
        rows = folds.rows
        values = [tensors if m in tables else {} for m, tensors in enumerate(rows.values)]
        self.batch: Batch = Rows(values, rows.pattern, rows.rows).take(places)
        self.known = {m: observed_cells(self.batch.values[m], self.part(m)) for m in tables}
        fold = folds.fold[places]
        self.fold = fold.cpu().numpy()
        self._own = [(fold.clamp_min(0) == f).nonzero()[:, 0] for f in range(len(folds.networks))]

    def part(self, m: int) -> ModalityNetwork:
        """Return the network of a modality, for what all folds have in common."""
        return self.network.networks[m]

    def contain(self, pattern: Tensor) -> Tensor:
        """Return which rows have all modalities of a pattern."""
        return ~(pattern & ~self.network.patterns[self.batch.pattern]).any(1)

    def encode(
        self, patterns: Tensor, n_turns: int = 1, shown: dict[int, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return how rows are seen.

        Parameters
        ----------
        patterns : Tensor of int64
            Numbers of patterns.
        n_turns : int, default=1
        shown : dict of int to Tensor of shape (turns, rows, cells), bool, optional
            Which cells of each table are left, in turn. Default: those that are observed.

        Returns
        -------
        codes : Tensor of shape (patterns, turns, rows, components)
            As each of the patterns would show them.
        reduced : Tensor of shape (turns, rows, columns)
            What regressions beside the embeddings look at.
        """
        n_rows = len(self.places)
        still = {m: cells.flatten(0, 1) for m, cells in (shown or {}).items()}
        first = n_rows * torch.arange(n_turns, device=self.places.device)[:, None]
        blocks, seen, order = [], [], []
        for network, own in zip(self.folds.networks, self._own, strict=True):
            for some in (first + own).flatten().split(BLOCK):
                batch = self.folds.rows.take(self.places[some % n_rows])
                values = list(batch.values)
                for m, cells in still.items():
                    values[m] = without(values[m], self.part(m), cells[some], self.fills[m])
                views = network.views(values)
                seen.append(network.reduce(views))
                codes = [
                    network.encode(views, one[:, None].expand(-1, len(batch)))
                    for one in patterns.split(8)
                ]
                blocks.append(torch.cat(codes))
                order.append(some)
        order = torch.cat(order).argsort()
        codes, reduced = torch.cat(blocks, 1)[:, order], torch.cat(seen)[order]
        return codes.unflatten(1, (n_turns, -1)), reduced.unflatten(0, (n_turns, -1))

    def outputs(self, code: Tensor, reduced: Tensor, pattern: Tensor) -> dict[int, Tensor]:
        """Return the outputs of each table, given what a pattern shows.

        Parameters
        ----------
        code : Tensor of shape (turns, rows, components)
        reduced : Tensor of shape (turns, rows, columns)
        pattern : Tensor of shape (modalities,), bool

        Returns
        -------
        dict of int to Tensor of shape (turns, rows, outputs)
        """
        found = {m: code.new_empty(*code.shape[:2], self.part(m).n_outputs) for m in self.tables}
        absent = [m for m in self.tables if not pattern[m]]
        for network, own in zip(self.folds.networks, self._own, strict=True):
            beside = network.beside(pattern, absent)
            for m, outputs in found.items():
                outputs[:, own] = network.outputs(code[:, own], m, reduced[:, own], beside.get(m))
        return found

    def numbers(self, outputs: Tensor, m: int, of_table: OfTable) -> tuple[np.ndarray, np.ndarray]:
        """Return predicted numbers within their bounds, and how far from the truth they are."""
        predicted = np.clip(outputs[..., : self.part(m).n_numbers].cpu().numpy(), *of_table[1:])
        return predicted, np.abs(predicted - self.truth(m))

    def truth(self, m: int) -> np.ndarray:
        """Return the numbers of a table, (rows, numbers)."""
        part = self.part(m)
        if not part.n_numbers:
            return np.empty((len(self.fold), 0), np.float32)
        return part.numbers(self.batch.values[m]).cpu().numpy()

    @cached_property
    def finished(self) -> _Sample | None:
        """The first rows, which training has seen, for the network that training has ended."""
        network, taught = self.folds.finished, self.places[self.folds.fold[self.places] < 0]
        if network is None or not len(taught):
            return None
        network.eval()
        folds = Folds([network], self.folds.rows, self.folds.fold)
        return _Sample(folds, taught, self.fills, self.tables)

    def later(
        self, patterns: Tensor, n_turns: int = 1, shown: dict[int, Tensor] | None = None
    ) -> list[dict[int, Tensor | None]]:
        """Return, for each pattern, the outputs of the finished network for the first rows."""
        again = self.finished
        if again is None:
            return [dict.fromkeys(self.tables)] * len(patterns)
        if shown is not None:
            shown = {m: cells[:, : len(again.places)] for m, cells in shown.items()}
        codes, reduced = again.encode(patterns, n_turns, shown)
        own = zip(codes, again.network.patterns[patterns], strict=True)
        return [again.outputs(code, reduced, pattern) for code, pattern in own]

    @property
    def n_parts(self) -> int:
        """In how many parts the spread is learned, each from the others; see `learn_shape`."""
        return 1 if len(self.folds.networks) == 1 else PARTS

    @property
    def part_of(self) -> np.ndarray:
        """The part of each row, -1 for those that do not calibrate."""
        return np.where(self.fold < 0, -1, self.fold % self.n_parts)


class _Measure(NamedTuple):
    """What is looked at, and the groups of each table so far."""

    sample: _Sample
    statistics: Statistics
    of_tables: dict[int, OfTable]
    groups: dict[int, list[tuple[np.ndarray, int, bool, Measured]]]

    def off(self, outputs: dict[int, Tensor], shown: dict[int, Tensor]) -> dict[int, np.ndarray]:
        """Return how far off the other cells of the rows are, see `far_off`.

        Parameters
        ----------
        outputs : dict of int to Tensor of shape (turns, rows, outputs)
        shown : dict of int to Tensor of shape (turns, rows, cells), bool
        """
        errors, seen = [], []
        for m, own in outputs.items():
            errors.append(self.sample.numbers(own, m, self.of_tables[m])[1])
            seen.append(shown[m][..., : errors[-1].shape[-1]].cpu().numpy())
        typical = [self.of_tables[m][0] for m in outputs]
        return dict(zip(outputs, far_off(errors, seen, typical), strict=True))

    def add(
        self,
        m: int,
        pattern: Tensor,
        bin_: int,
        seen: bool,
        outputs: tuple[Tensor, Tensor | None],
        causes: tuple[np.ndarray, Tensor | None],
        valid: Tensor,
    ) -> None:
        """Add a group of cells of a table."""
        members = "".join("01"[there] for there in pattern.tolist())
        statistics = self.statistics.of(f"modality {m} of {members}, bin {bin_}, {seen}")
        measured = _measure(self, m, outputs, causes, valid, statistics)
        self.groups[m].append((pattern.cpu().numpy(), bin_, seen, measured))


def _of_tables(sample: _Sample, codes: Tensor, statistics: Statistics) -> dict[int, OfTable]:
    """Return the bounds of numbers, and how far off they are where all of a row is seen."""
    own = codes[sample.batch.pattern, torch.arange(codes.shape[1], device=codes.device)]
    network, found = sample.network, {}
    teaching = sample.part_of < 0 if sample.n_parts == 1 else sample.part_of >= 0
    every = torch.ones_like(network.patterns[0])
    outputs = sample.outputs(own[None], own.new_empty(1, len(own), 0), every)
    for m in sample.tables:
        asked, n = statistics.of(f"modality {m}"), sample.part(m).n_numbers
        there = (sample.known[m] & network.patterns[sample.batch.pattern, m][:, None]).cpu().numpy()
        low, high = bounds(np.where(there[:, :n], sample.truth(m), np.nan), asked)
        errors, there = sample.numbers(outputs[m][0], m, (low, low, high))[1], there[:, :n]
        terms = np.stack([np.where(there, errors, 0), there], 1, dtype=np.float64)
        total, count = asked.ask("errors", Sums(), terms[teaching])
        typical = total / np.maximum(count, 1)
        found[m] = np.where(typical > LEAST_ERROR, typical, 0).astype(np.float32), low, high
    return found


def _calibrate_whole(sample: _Sample, statistics: Statistics) -> _Measure:
    """Return the groups of rows with no more missing values than they have."""
    network, tables = sample.network, sample.tables
    every = torch.arange(len(network.patterns), device=sample.places.device)
    codes, reduced = sample.encode(every)
    of_tables = _of_tables(sample, codes[:, 0], statistics)
    measure = _Measure(sample, statistics, of_tables, {m: [] for m in tables})
    later = sample.later(every)
    for pattern, code, then in zip(network.patterns, codes, later, strict=True):
        contain = sample.contain(pattern)
        outputs = sample.outputs(code, reduced, pattern)
        off = measure.off(outputs, {m: (sample.known[m] & pattern[m])[None] for m in tables})
        for m in tables:
            holes = share_of_holes(sample.known, pattern.expand(len(contain), -1), m)[None]
            valid = sample.known[m] & (contain & (binned(holes) == 0))[..., None]
            both, causes = (outputs[m], then[m]), (off[m], None)
            measure.add(m, pattern, 0, bool(pattern[m]), both, causes, valid)
    return measure


def _calibrate_with_holes(
    measure: _Measure, patterns: Tensor, bin_: int, generator: torch.Generator
) -> None:
    """Add the groups of rows in which a share of the cells is hidden."""
    if not len(patterns):
        return
    sample, n_turns = measure.sample, TURNS[bin_ - 1]
    network, tables, known = sample.network, sample.tables, sample.known
    low, high = (0.0, *BINS, 1.0)[bin_ - 1 : bin_ + 1]
    device = sample.places.device
    share = low + (high - low) * torch.rand(
        len(sample.places), 1, generator=generator, device=device
    )
    order = {
        m: torch.rand(there.shape, generator=generator, device=device).argsort(1)
        for m, there in known.items()
    }
    turns = [turn / n_turns for turn in range(n_turns)]
    still = {
        m: torch.stack([hide(there, order[m], share, turn) for turn in turns])
        for m, there in known.items()
    }
    codes, reduced = sample.encode(patterns, n_turns, still)
    later = sample.later(patterns, n_turns, still)
    for pattern, code, then in zip(network.patterns[patterns], codes, later, strict=True):
        contain, present = sample.contain(pattern), pattern.expand(len(sample.places), -1)
        outputs = sample.outputs(code, reduced, pattern)
        shown = {m: still[m] & pattern[m] for m in tables}
        off = measure.off(outputs, shown)
        for m in tables:
            holes = share_of_holes(still, present, m)
            valid = known[m] & (contain & (binned(holes) == bin_))[..., None]
            for seen in (True, False) if pattern[m] else (False,):
                cells = valid & (shown[m] == seen)
                both, causes = (outputs[m], then[m]), (off[m], holes)
                measure.add(m, pattern, bin_, seen, both, causes, cells)


def _patterns_with_holes(network: JointNetwork, tables: list[int]) -> Tensor:
    """Return the numbers of the patterns that are looked at with cells hidden."""
    patterns = network.patterns
    useful = patterns[:, tables].any(1)
    if len(patterns) > MOST_PATTERNS:
        size = patterns.sum(1)
        useful = useful & ((size == 1) | (size >= patterns.shape[1] - 1))
    return useful.nonzero()[:, 0]


def _measure(
    measure: _Measure,
    m: int,
    outputs: tuple[Tensor, Tensor | None],
    causes: tuple[np.ndarray, Tensor | None],
    valid: Tensor,
    statistics: Statistics,
) -> Measured:
    """Return what one group of cells of a table says.

    Parameters
    ----------
    measure : _Measure
    m : int
    outputs : tuple of Tensor of shape (turns, rows, outputs)
        For the same rows, other cells hidden in each turn; and, of the first rows, those of the
        finished network, if they are asked for.
    causes : tuple of ndarray of shape (turns, rows, numbers) and Tensor of shape (turns, rows)
        How far off the other cells of the rows are, and the share of missing values, if there are.
    valid : Tensor of shape (turns, rows, cells), bool
        Which cells belong to the group. Each counts once, as in its first turn: so that there are
        no more scores than rows, and they are exchangeable.
    statistics : Statistics
    """
    sample = measure.sample
    part = sample.part(m)
    n, counted = part.n_numbers, valid.any(0)
    sizes = torch.tensor([1] * n + list(part.sizes), device=valid.device)
    first = valid.byte().argmax(0)
    turn_of_output = first.repeat_interleave(sizes, 1)
    outputs, later = (
        None if some is None else some.gather(0, turn_of_output[None, : some.shape[1]])[0]
        for some in outputs
    )
    off, holes = causes
    turn = first[None, :, :n].cpu().numpy()
    off = np.take_along_axis(off, turn, 0)[0]
    if holes is not None:
        holes = np.take_along_axis(holes[..., None].cpu().numpy(), turn, 0)[0]
    there = counted.cpu().numpy()
    both = outputs, later
    of_numbers = _of_numbers(measure, m, both, (off, holes), there[:, :n], statistics)
    held = torch.as_tensor(sample.fold >= 0, device=valid.device)
    codes = sample.batch.values[m].get("codes")
    of_categories = _of_categories(part, codes, both, counted, held, statistics)
    return *of_numbers, *of_categories


def _of_numbers(
    measure: _Measure,
    m: int,
    outputs: tuple[Tensor, Tensor | None],
    causes: tuple[np.ndarray, np.ndarray | None],
    there: np.ndarray,
    statistics: Statistics,
) -> tuple[np.ndarray, ...]:
    """Return the half-widths and the shape of the spread of one group."""
    sample, of_table, (outputs, later) = measure.sample, measure.of_tables[m], outputs
    predicted, errors = sample.numbers(outputs, m, of_table)
    if not predicted.shape[1]:
        return np.empty((0, len(LEVELS))), *np.empty((2, 0, KNOTS)), np.zeros(2)

    cells = Cells(predicted, errors, *causes, there)
    shape, spread = learn_shape(cells, sample.part_of, sample.n_parts, statistics)
    # The score of one more row is below the quantile with a chance of the level.
    if len(sample.folds.networks) > 1:
        # A row's own share of the columns' means brings it nearer to them: there are few rows.
        errors = errors * (len(errors) / max(len(errors) - 1, 1))
    scores = np.where(there & (sample.fold >= 0)[:, None], errors / spread, np.nan)
    scores = scores.astype(np.float32)
    half_widths = statistics.quantile("scores", scores, LEVELS, method="conformal")
    if later is not None:
        _, finished = sample.finished.numbers(later, m, of_table)
        first = slice(len(finished))
        times = further_off(errors[first], finished, there[first], statistics)
        half_widths = half_widths * times[:, None]
    return half_widths, *shape


def _of_categories(
    part: ModalityNetwork,
    codes: Tensor,
    outputs: tuple[Tensor, Tensor | None],
    counted: Tensor,
    held: Tensor,
    statistics: Statistics,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the doubts, slopes and offsets of one group."""
    if not part.sizes:
        return np.empty((0, len(LEVELS))), np.empty(0), np.empty(0)
    n, counted = part.n_numbers, counted[:, part.n_numbers :]
    logits, later = (None if some is None else some[:, n:].split(part.sizes, 1) for some in outputs)
    asked = [statistics.of(f"column {i}") for i in range(len(part.sizes))]
    scores = counted & held[:, None]
    columns = zip(logits, codes.T, scores.T, asked, strict=True)
    scalings = [
        scaling(own[there], of_column[there].long(), ask) for own, of_column, there, ask in columns
    ]
    left_open = doubts(logits, codes, scalings)
    left_open = np.where(scores.cpu().numpy(), left_open, np.nan)
    left_open = statistics.quantile("doubts", left_open, LEVELS, method="conformal")
    if later is not None:
        taught = counted[: len(later[0])]
        columns = zip(logits, later, taught.T, scalings, asked, strict=True)
        scalings = [
            as_sure(before[: len(there)][there], after[there], scaled, ask)
            for before, after, there, scaled, ask in columns
        ]
    slopes, offsets = (torch.cat(same).cpu().numpy() for same in zip(*scalings, strict=True))
    return left_open, slopes, offsets
