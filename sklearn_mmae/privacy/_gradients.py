"""`PrivateGradients`: gradients of single rows, each cut to a norm, and their sum with noise.

That of a linear layer is the product of what goes into it and of the slope of the loss by what
comes out, so that both say how long it is, and, once they are scaled, what the sum is [1]_: it need
not be written down. A convolution is a linear layer of what each place sees [3]_.

References
----------
.. [1] Goodfellow (2015), "Efficient per-example gradient computations", arXiv:1510.01799.
.. [2] Abadi et al. (2016), "Deep learning with differential privacy", CCS.
.. [3] Bu, Mao & Xu (2022), "Scalable and efficient training of large convolutional neural networks
   with differential privacy", NeurIPS.
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
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, *TRANSPOSED)
NORMS = (nn.LayerNorm, nn.GroupNorm)

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

    Of dense layers, convolutions and their norms: the linear path, which the linear start has
    bought, stays as it is. A row of which nothing is observed has no gradient.

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
            if isinstance(part, (nn.Linear, *CONVOLUTIONS, *NORMS)) and id(part.weight) in taught
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
    vectors: dict[nn.Parameter, Tensor] = {}  # gradients of rows, (rows, numbers)
    factors: dict[nn.Parameter, list[tuple[Tensor, Tensor]]] = {}  # of which they are products
    for (layer, given, _), slope in zip(calls, slopes, strict=True):
        given = given.detach()
        own = {} if layer.bias is None else {layer.bias: slope}
        if isinstance(layer, NORMS):
            own[layer.weight] = slope * _normalised(layer, given)
        else:
            pair = (_by_row(part, n_rows) for part in _factors(layer, given, slope))
            factors.setdefault(layer.weight, []).append(tuple(pair))
        for parameter, parts in own.items():
            gradient = _by_row(_at_places(layer, parts), n_rows).sum(0)
            vectors[parameter] = vectors.get(parameter, 0) + gradient
    joined = {p: tuple(map(torch.cat, zip(*own, strict=True))) for p, own in factors.items()}
    squares = sum(gradient.square().sum(1) for gradient in vectors.values())
    squares = squares + sum(_squares(*pair) for pair in joined.values())
    scale = largest / squares.sqrt().clamp_min(largest)
    sums = {parameter: scale @ gradient for parameter, gradient in vectors.items()}
    for parameter, (left, right) in joined.items():
        sums[parameter] = (left * scale[:, None]).flatten(0, 1).T @ right.flatten(0, 1)
    return sums


def _factors(layer: nn.Module, given: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tensors (rows, places, numbers), the product of which is a weight's gradient."""
    if isinstance(layer, TRANSPOSED):
        return _at_places(layer, given), _seen(layer, slope)
    given = _seen(layer, given) if isinstance(layer, CONVOLUTIONS) else _at_places(layer, given)
    return _at_places(layer, slope), given


def _seen(layer: nn.Module, values: Tensor) -> Tensor:
    """Return what each place of a convolution sees, (rows, places, numbers)."""
    options = layer.kernel_size, (1,) * len(layer.kernel_size), layer.padding, layer.stride
    if values.dim() == 3:  # of one dimension: an image of one line
        values = values[:, :, None]
        options = [(first, *one) for first, one in zip((1, 1, 0, 1), options, strict=True)]
    return F.unfold(values, *options).mT


def _at_places(layer: nn.Module, values: Tensor) -> Tensor:
    """Return what goes into a layer or comes out, (rows, places, numbers)."""
    if isinstance(layer, (nn.GroupNorm, *CONVOLUTIONS)):
        return values.flatten(2).mT
    return values.reshape(-1, 1, values.shape[-1])


def _by_row(values: Tensor, n_rows: int) -> Tensor:
    """Return values as (calls and places, rows, numbers), those of a row in one place.

    A layer may be called for several subsets or draws, of which each has all rows.
    """
    return values.unflatten(0, (-1, n_rows)).transpose(1, 2).flatten(0, 1)


def _normalised(layer: nn.Module, given: Tensor) -> Tensor:
    """Return what a norm makes of its inputs, before its weight and its bias."""
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(given, layer.normalized_shape, eps=layer.eps)
    return F.group_norm(given, layer.num_groups, eps=layer.eps)


def _squares(left: Tensor, right: Tensor) -> Tensor:
    """Return the squared norm of each row's gradient, (rows,), of two factors of it."""
    left, right = left.transpose(0, 1), right.transpose(0, 1)
    if left.shape[1] ** 2 > left.shape[2] * right.shape[2]:  # smaller than products of places
        return (left.mT @ right).square().sum((1, 2))
    # |sum_i l_i r_i'|^2 = sum_ij (l_i . l_j) (r_i . r_j), over the calls and places i and j.
    return ((left @ left.mT) * (right @ right.mT)).sum((1, 2))
