"""Networks are kept where they help: each decoder by itself, the encoder if codes stay readable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._core.errors import ConvergenceError
from ..statistics import Statistics
from ._batches import Batch, BatchIterator, Rows
from ._joint import JointNetwork, NewGenerator
from ._net import AutoencoderNet, StopTraining, held_out_generator

__all__ = ["LinearReaders", "held_out_losses", "judge_decoders"]

SOME_ROWS = 1024  # to measure linear readers and decoders by
BLOCK = 256
EVERY = 5  # epochs between two looks at what linear readers find
LEAST_READABLE = 0.88  # share of the linear code that a linear reader has to find in a code
RIDGE = 1e-4  # of a code's variance


class LinearReaders(Callback):
    """Stop training once codes tell linear readers much less than the linear start did.

    Networks that are free to may pack a row so tightly, its categories above all, that more comes
    back, but less of it can be read by a linear model or a tree. What counts is how much of the
    linear code a linear map finds in the codes of some training rows.

    Parameters
    ----------
    network : JointNetwork
        As training begins.
    rows : Rows
    statistics : Statistics
        Asked to choose.

    Attributes
    ----------
    lost_ : bool
        Whether training was stopped.
    """

    def __init__(self, network: JointNetwork, rows: Rows, statistics: Statistics):
        self.network, self.rows, self.statistics = network, _some(rows), statistics
        self.before_, self.lost_ = _codes_of(network, self.rows), False

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Look every few epochs."""
        epoch = len(net.history)
        if epoch % EVERY:
            return
        net.weights_.swap()
        share = _readable_share(self.before_, _codes_of(self.network, self.rows))
        net.weights_.swap()
        losses = torch.tensor([1 - share, 1 - LEAST_READABLE])
        if self.statistics.choose(f"linear readers, epoch {epoch}", losses):
            self.lost_ = True
            raise StopTraining


def _readable_share(before: Tensor, after: Tensor) -> float:
    """Return how much of the variance of some codes a linear map finds in others."""
    before, after = (codes.double() - codes.double().mean(0) for codes in (before, after))
    found = after @ _least_squares(after.T @ after, after.T @ before)
    return 1 - float((before - found).square().sum() / before.square().sum().clamp_min(1e-12))


def _least_squares(moments: Tensor, products: Tensor) -> Tensor:
    small = RIDGE * moments.diagonal().mean() + 1e-12
    return torch.linalg.solve(moments + small * torch.eye(len(moments)).to(moments), products)


def _some(rows: Rows) -> Rows:
    """Return some rows, spread over all of them."""
    n, device = len(rows), rows.pattern.device
    places = torch.linspace(0, n - 1, min(n, SOME_ROWS), device=device).long()
    return rows.subset(places if rows.rows is None else rows.rows[places])


@torch.no_grad()
def _codes_of(network: JointNetwork, rows: Rows) -> Tensor:
    """Return codes as `transform` scales them, (rows, components)."""
    network.eval()
    codes = [
        network.encode(network.views(batch.values), batch.pattern)
        for batch in BatchIterator(rows, BLOCK)
    ]
    return torch.cat(codes) * network.scale


@torch.no_grad()
def held_out_losses(rows: Rows, losses_of: Callable[[Batch, NewGenerator], Tensor]) -> Tensor:
    """Return losses of held-out rows, as epochs measure them, (..., rows) float64.

    Parameters
    ----------
    rows : Rows
    losses_of : callable
        ``losses_of(batch, new_generator)``, rows last.

    Raises
    ------
    ConvergenceError
        If a loss is not finite.
    """
    batches = BatchIterator(rows, BLOCK)
    losses = torch.cat(
        [losses_of(batch, partial(held_out_generator, batch)) for batch in batches], -1
    )
    if not losses.isfinite().all():
        raise ConvergenceError("the loss of held-out rows is not finite: look for outliers.")
    return losses.double()


@torch.no_grad()
def judge_decoders(
    network: JointNetwork, train: Rows, held_out: Rows, statistics: Statistics
) -> None:
    """Let each decoder that does not help be linear, for the codes as they are now.

    Parameters
    ----------
    network : JointNetwork
        As trained. A decoder that is better without its network gets a linear path by least
        squares.
    train, held_out : Rows
    statistics : Statistics
        Asked to choose.
    """
    rows = _some(train)
    codes = _codes_of(network, rows) / network.scale
    by_modality = partial(held_out_losses, held_out, network.decoder_losses)
    as_trained = by_modality()
    kept = [{k: v.clone() for k, v in part.state_dict().items()} for part in network.networks]
    for m, part in enumerate(network.networks):
        moments, products = 0, 0
        for batch, code in zip(BatchIterator(rows, BLOCK), codes.split(BLOCK), strict=True):
            code = torch.where(network.patterns[batch.pattern, m, None], code, 0)
            moments = moments + code.T @ code
            products = products + (part.view(batch.values[m]).T @ code).T
        part.start(_least_squares(moments, products).T.contiguous())
    network.guard([True] * len(kept), is_held=network.is_held)
    as_linear, is_linear = by_modality(), []
    for m, losses in enumerate(torch.stack([as_linear, as_trained], 1)):
        is_linear.append(statistics.choose(f"decoder of modality {m}", losses) == 0)
        if not is_linear[m]:
            network.networks[m].load_state_dict(kept[m])
    network.guard(is_linear, is_held=network.is_held)
