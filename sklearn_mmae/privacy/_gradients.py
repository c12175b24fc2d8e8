"""`PrivateGradients`: gradients of single rows, each cut to a norm, and their sum with noise.

No gradient of a single row is ever written down. That of a linear layer is the product of what
goes into it and of the slope of the loss by what comes out, so that both say how long it is, and,
once they are scaled, what the sum is [1]_.

References
----------
.. [1] Goodfellow (2015), "Efficient per-example gradient computations", arXiv:1510.01799.
.. [2] Abadi et al. (2016), "Deep learning with differential privacy", CCS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..training._batches import Batch, BatchIterator, Rows
from ..training._gradients import Gradients, LossesOf
from ._statistics import PrivateStatistics
from ._steps import STEPS

__all__ = ["PrivateGradients", "clipped_sums", "watched"]

TOGETHER = 512  # rows whose gradients are computed at a time

Call = tuple[nn.Module, Tensor, Tensor]  # a layer, what went in, what came out


class SampledBatches:
    """The batches of an epoch, in which each row is by chance (Poisson sampling).

    Parameters
    ----------
    rows : Rows
    statistics : PrivateStatistics
        Which says which rows.
    """

    def __init__(self, rows: Rows, statistics: PrivateStatistics):
        self.rows, self.statistics = rows, statistics

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(STEPS):
            index = torch.from_numpy(self.statistics.rows_of_step())
            yield self.rows.take(index.to(self.rows.pattern.device))


@dataclass(eq=False)
class PrivateGradients(Gradients):
    """The sum of the rows' gradients, each cut to a norm, with noise [2]_.

    Of the dense layers and their norms: the linear path, which the linear start has bought, and
    convolutions stay as they are. A row of which nothing is observed has no gradient.

    Parameters
    ----------
    network, generator, weights, batch_size
        See `Gradients`; the size is the one that is expected.
    statistics : PrivateStatistics
        Answers with noise, and pays.
    largest : float
        The norm to which the gradient of a row is cut.
    """

    statistics: PrivateStatistics
    largest: float

    def __post_init__(self):
        super().__post_init__()
        for part in self.network.decoders:
            part.may_estimate = False  # by other rows
        *_, networks = self.weights.groups
        taught = {id(parameter) for parameter in networks}
        self.layers = [
            part
            for part in self.network.modules()
            if isinstance(part, nn.Linear | nn.LayerNorm) and id(part.weight) in taught
        ]
        self.parameters = [p for part in self.layers for p in part.parameters()]
        self.nothing = torch.zeros(len(self.network.loss_names([""] * len(self.network.networks))))
        if self.statistics.steps is not None:
            self.statistics.begin_steps()

    def batches(self, batches: BatchIterator) -> SampledBatches:
        """Return batches of rows that are sampled by chance."""
        return SampledBatches(batches.dataset, self.statistics)

    def teach(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Write the gradient of a batch; return zeros, for losses are of rows."""
        exact = torch.zeros(sum(p.numel() for p in self.parameters), dtype=torch.float64)
        for first in range(0, len(batch), TOGETHER):
            at = slice(first, first + TOGETHER)
            rows = batch.part(at)
            with watched(self.layers) as calls:
                losses = losses_of(self.network, self.generator, rows, shown[:, at])
            # The loss is a mean over rows.
            sums = clipped_sums(calls, losses.sum() * len(rows), len(rows), self.largest)
            exact += torch.cat([sums[p].flatten() for p in self.parameters]).double().cpu()
        noisy, _ = self.statistics.release("networks", 1.0, exact.numpy(), self.largest)
        mean = torch.from_numpy(noisy / self.batch_size).to(self.weights.gradients[0])
        sizes = [p.numel() for p in self.parameters]
        for p, piece in zip(self.parameters, mean.split(sizes), strict=True):
            p.grad.copy_(piece.view_as(p))
        return self.nothing

    def look(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Return nothing: rows are not held out, and losses are of rows."""
        return self.nothing


@contextmanager
def watched(layers: list[nn.Module]) -> Iterator[list[Call]]:
    """Write down what goes into layers and what comes out, call by call."""
    calls: list[Call] = []
    hooks = [
        part.register_forward_hook(
            lambda part, given, out: calls.append((part, given[0].to_dense(), out))
        )
        for part in layers
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def clipped_sums(
    calls: list[Call], loss: Tensor, n_rows: int, largest: float
) -> dict[nn.Parameter, Tensor]:
    """Return the sum of the gradients of rows, each cut to a norm, for each parameter.

    Parameters
    ----------
    calls : list of (layer, inputs, outputs)
        Of all that counts as the gradient of a row; (..., rows, columns).
    loss : Tensor of shape ()
        The sum of the rows' losses, each of that row alone.
    n_rows : int
    largest : float
    """
    slopes = torch.autograd.grad(loss, [out for *_, out in calls], materialize_grads=True)
    parts: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}
    for (layer, given, _), slope in zip(calls, slopes, strict=True):
        given = given.detach()
        if isinstance(layer, nn.LayerNorm):
            given = F.layer_norm(given, layer.normalized_shape, eps=layer.eps)
        # Where a layer is called for several subsets or draws, rows are next to the last.
        pair = (given, slope)
        parts.setdefault(layer, []).append(tuple(x.reshape(-1, n_rows, x.shape[-1]) for x in pair))
    joined = {layer: tuple(map(torch.cat, zip(*own, strict=True))) for layer, own in parts.items()}
    squares = sum(_squares(layer, *pair) for layer, pair in joined.items())
    scale = largest / squares.sqrt().clamp_min(largest)
    sums = {}
    for layer, (given, slope) in joined.items():
        slope = slope * scale[:, None]
        if layer.bias is not None:
            sums[layer.bias] = slope.sum((0, 1))
        if isinstance(layer, nn.LayerNorm):
            sums[layer.weight] = (slope * given).sum((0, 1))
        else:
            sums[layer.weight] = slope.flatten(0, 1).T @ given.flatten(0, 1)
    return sums


def _squares(layer: nn.Module, given: Tensor, slope: Tensor) -> Tensor:
    """Return the squared norm of each row's gradient, (rows,), from (calls, rows, columns)."""
    bias = 0 if layer.bias is None else slope.sum(0).square().sum(1)
    if isinstance(layer, nn.LayerNorm):
        return bias + (slope * given).sum(0).square().sum(1)
    # |sum_i s_i g_i'|^2 = sum_ij (s_i . s_j) (g_i . g_j), over the calls i and j.
    given, slope = given.transpose(0, 1), slope.transpose(0, 1)
    return bias + ((given @ given.mT) * (slope @ slope.mT)).sum((1, 2))
