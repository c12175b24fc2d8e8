"""`Looks`: embeddings of rows beside those of the same rows when less of them is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..statistics import Statistics
from ._batches import Batch, Rows
from ._holes import BINS, Fill, Tensors, bins_of, hide, observed_cells, without
from ._joint import JointNetwork

__all__ = ["MOST_NUMBERS", "Looks", "parts_to_learn"]

MOST_NUMBERS = 2**19  # in what is known of parts
BLOCK = 128  # rows encoded at a time


def parts_to_learn(
    network: JointNetwork, rows: Rows, k: int, statistics: Statistics
) -> list[tuple[int, int]]:
    """Return patterns, by their numbers, and bins that show a part of some rows."""
    patterns, index = network.patterns, rows.pattern
    index = index if rows.rows is None else index[rows.rows]
    counts = statistics.counts("patterns", index.cpu().numpy(), len(patterns))
    whole = patterns[torch.as_tensor(counts > 0, device=patterns.device)]
    within = (whole | ~patterns[:, None]).all(2)
    less = within & (whole != patterns[:, None]).any(2)
    tables = [m for m, part in enumerate(network.networks) if part.is_table]
    holey = within.any(1) & patterns[:, tables].any(1)
    seen = patterns.any(1)
    parts = [(int(i), 0) for i in (less.any(1) & seen).nonzero()[:, 0]]
    parts += [(int(i), bin_) for bin_ in range(1, len(BINS) + 2) for i in holey.nonzero()[:, 0]]
    # If there are too many, those of which least and most is seen.
    size = patterns.sum(1)
    extreme = torch.minimum(size, patterns.shape[1] - size).tolist()
    return sorted(parts, key=lambda part: extreme[part[0]])[: MOST_NUMBERS // (2 * k * k)]


class Looks:
    """Rows, their embeddings, and those of the same rows when less of them is seen.

    Attributes
    ----------
    codes : Tensor of shape (1 + parts, rows, components)
        As `transform` gives them: first of the rows as they are.
    there : Tensor of shape (1 + parts, rows), bool
        Whether the part shows less of the row, and as many missing values as its bin has.
    """

    def __init__(
        self,
        network: JointNetwork,
        rows: Rows,
        parts: list[tuple[int, int]],
        fills: Sequence[Fill],
    ):
        self.network, self.parts = network, parts
        self.batch = batch = Batch(rows.values, rows.pattern)
        self.codes = batch.pattern.new_zeros(1 + len(parts), len(batch), len(network.scale)).float()
        self.there = torch.ones(self.codes.shape[:2], dtype=torch.bool, device=self.codes.device)
        self.codes[0] = self._encode({}, batch.pattern[None])[0]
        whole, self.still = network.patterns[batch.pattern], {}
        generator = torch.Generator(self.codes.device).manual_seed(len(batch))
        for bin_ in sorted({bin_ for _, bin_ in parts}):
            places = [i for i, part in enumerate(parts) if part[1] == bin_]
            patterns = torch.tensor([parts[i][0] for i in places], device=self.codes.device)
            hidden, still = self._hidden(bin_, fills, generator)
            self.still[bin_] = still
            shown = patterns[:, None].expand(-1, len(batch))
            self.codes[[1 + i for i in places]] = self._encode(hidden, shown)
            for i, pattern in zip(places, network.patterns[patterns], strict=True):
                within = (whole | ~pattern).all(1)
                if bin_:
                    holes = bins_of(still, pattern.expand(len(batch), -1), None)
                    self.there[1 + i] = within & (holes == bin_)
                else:
                    self.there[1 + i] = within & (whole != pattern).any(1)

    def _encode(self, hidden: dict[int, Tensors], shown: Tensor) -> Tensor:
        """Return vectors of what patterns show of rows, given tables of which cells are hidden."""
        blocks = []
        for start in range(0, len(self.batch), BLOCK):
            own = slice(start, start + BLOCK)
            values = list(self.batch.part(own).values)
            for m, tensors in hidden.items():
                values[m] = {name: tensor[own] for name, tensor in tensors.items()}
            blocks.append(self.network.encode(self.network.views(values), shown[:, own]))
        return torch.cat(blocks, 1) * self.network.scale

    def _hidden(
        self, bin_: int, fills: Sequence[Fill], generator: torch.Generator
    ) -> tuple[dict[int, Tensors], dict[int, Tensor]]:
        """Return the tables with cells of them hidden, and which are still seen."""
        hidden, still = {}, {}
        if not bin_:
            return hidden, still
        low, high = (0.0, *BINS, 1.0)[bin_ - 1 : bin_ + 1]
        device = self.codes.device
        share = torch.rand(len(self.batch), 1, generator=generator, device=device)
        share = low + (high - low) * share
        for m, part in enumerate(self.network.networks):
            if part.is_table:
                values = self.batch.values[m]
                there = observed_cells(values, part)
                order = torch.rand(there.shape, generator=generator, device=device).argsort(1)
                still[m] = hide(there, order, share, 0.0)
                hidden[m] = without(values, part, still[m], fills[m])
        return hidden, still

    def blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield embeddings of rows beside those of their parts, and which of these there are."""
        there = self.there[..., None].expand_as(self.codes)
        yield tuple(a.movedim(0, 1).flatten(1) for a in (self.codes.double(), there))

    def unseen(self, i: int, m: int) -> Tensor:
        """Return which numbers of a table part i does not show of its rows, (rows, numbers)."""
        network = self.network
        part, (pattern, bin_) = network.networks[m], self.parts[i]
        known = observed_cells(self.batch.values[m], part)
        known &= network.patterns[self.batch.pattern, m][:, None]
        if network.patterns[pattern, m]:
            known = known & ~self.still[bin_][m] if bin_ else torch.zeros_like(known)
        return (known & self.there[1 + i][:, None])[:, : part.n_numbers]
