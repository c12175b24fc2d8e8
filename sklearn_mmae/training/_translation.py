"""What is predicted of absent modalities: by the embedding, and by regressions beside it.

It is a weighted mean of both outputs, the weights chosen on rows that neither was fitted on
(stacking [1]_ [2]_).

References
----------
.. [1] Wolpert (1992), "Stacked generalization", Neural Networks 5(2).
.. [2] Breiman (1996), "Stacked regressions", Machine Learning 24(1).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..nn._modality import ModalityNetwork
from ..statistics import Statistics
from ..statistics._questions import Sums
from ._batches import Rows
from ._direct import Direct
from ._holes import observed_cells
from ._joint import JointNetwork
from ._patterns import MOST_ENUMERATED, Solved
from ._products import TILE

__all__ = ["Translation", "translation", "weigh"]

MOST_ROWS = 512  # held-out rows by which the weights are chosen,
MOST_CELLS = 2**22  # and numbers of outputs, in all
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
SPREAD = 0.25  # of the weights of a table's columns about the table's own


class Translation:
    """What is predicted of one modality in the rows that lack it; see `translation`."""

    def __init__(self, network: JointNetwork, rows: Rows, which: Tensor, m: int, patterns: Tensor):
        self.network, self.rows, self.which, self.m = network, rows, which, m
        self.patterns, self.solved = patterns, Solved()

    def outputs(self, code: Tensor, index: Tensor) -> Tensor:
        """Return the outputs for the embeddings of these rows, (rows, n_outputs)."""
        outputs = self.network.outputs(code, self.m)
        which = self.which[index]
        batch = self.rows.take(index).to(code.device)
        reduced = self.network.reduce(self.network.views(batch.values))
        for i in which[which >= 0].unique().tolist():
            part = self.solved.get(i, self._solve)
            # As many rows at a time, whatever their number: a row's bits are then its own.
            for some in (which == i).nonzero()[:, 0].split(TILE):
                place = torch.arange(TILE).clamp_max(len(some) - 1)
                tile = some[place].to(code.device)
                blended = self.network.blended(outputs[tile], reduced[tile], self.m, part)
                outputs[tile[: len(some)]] = blended[: len(some)]
        return outputs

    def _solve(self, i: int) -> Direct:
        return self.network.direct.given(self.patterns[i], [self.m])[self.m]


def translation(
    network: JointNetwork, rows: Rows, present: np.ndarray, m: int
) -> Translation | None:
    """Return what predicts a modality where it is absent, or None for the embeddings alone.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
        On the CPU.
    present : ndarray of shape (rows, modalities), bool
    m : int
    """
    absent = ~present[:, m] & present.any(1)
    if network.direct is None or not network.direct.counts_for(m) or not absent.any():
        return None
    patterns, inverse = np.unique(present[absent], axis=0, return_inverse=True)
    which = torch.full((len(present),), -1)
    which[torch.from_numpy(absent)] = torch.from_numpy(inverse.ravel())
    return Translation(network, rows, which, m, torch.from_numpy(patterns))


@torch.no_grad()
def weigh(network: JointNetwork, rows: Rows, statistics: Statistics) -> None:
    """Choose how much the network's outputs count beside the regressions.

    Parameters
    ----------
    network : JointNetwork
        With regressions that have learned from other rows, as it has itself.
    rows : Rows
    statistics : Statistics
        Asked to choose, and for sums.
    """
    network.eval()
    direct, parts = network.direct, network.networks
    most = min(MOST_ROWS, MOST_CELLS // max(part.n_outputs for part in parts))
    device = rows.pattern.device
    batch = rows.take(torch.linspace(0, len(rows) - 1, min(len(rows), most), device=device).long())
    views, present = network.views(batch.values), network.patterns[batch.pattern]
    reduced = direct.reduce(views)
    for row, source, targets in _sources(len(parts)):
        number = (network.patterns == source.to(device)).all(1).nonzero()[0]
        codes = network.encode(views, number.expand(len(batch)))
        there = present[:, source].all(1)
        for m, beside in direct.given(source, targets).items():
            outputs = network.outputs(codes, m)
            predicted = parts[m].link(direct.view(reduced, beside, m)[0])
            if predicted is not None:
                own = statistics.of(f"modality {m} from {row}")
                shares = _shares(
                    parts[m], batch.values[m], outputs, predicted, there & present[:, m], own
                )
                direct.weight[row, direct.shares[m]] = shares
    if len(parts) == 2 or len(parts) > MOST_ENUMERATED:
        direct.weight[:-1] = direct.weight[-1]


def _sources(n: int) -> Iterator[tuple[int, Tensor, list[int]]]:
    """Yield rows of `DirectRegressions.weight`, what is present, and what is to be predicted."""
    every = torch.arange(n)
    for m in range(n):
        yield n, every != m, [m]
    if 2 < n <= MOST_ENUMERATED:
        for m in range(n):
            yield m, every == m, [other for other in range(n) if other != m]


def _shares(
    part: ModalityNetwork,
    tensors: dict[str, Tensor],
    outputs: Tensor,
    predicted: Tensor,
    valid: Tensor,
    statistics: Statistics,
) -> Tensor:
    """Return how much outputs should count beside predicted ones, (numbers of a table + 1,).

    A number's own weight is that of least squares, drawn towards the modality's the more the less
    it is known (empirical Bayes: normal with a deviation of `SPREAD` between columns).
    """
    losses = [
        torch.where(valid, part.deviance(torch.lerp(predicted, outputs, share), tensors), 0)
        for share in SHARES
    ]
    share = outputs.new_tensor(SHARES[statistics.choose("weight", torch.stack(losses))])
    if not part.is_table or not part.n_numbers:
        return share[None]
    n = part.n_numbers
    apart, wanted = (outputs - predicted)[:, :n], part.numbers(tensors) - predicted[:, :n]
    there = observed_cells(tensors, part)[:, :n] & valid[:, None]
    products = torch.stack([apart * wanted, apart**2, wanted**2, torch.ones_like(apart)], 1)
    products = torch.where(there[:, None], products, 0).double()
    towards, size, squares, count = statistics.ask("weights of columns", Sums(), products)
    size, count = size.clamp_min(1e-12), count.clamp_min(1)
    own = towards / size
    variance = (squares - towards * own).clamp_min(0) / count / size
    own = torch.lerp(own, share.double(), variance / (variance + SPREAD**2))
    return torch.cat([own.clamp(0, 1).to(share), share[None]])
