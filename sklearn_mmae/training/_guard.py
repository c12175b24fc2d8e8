"""Networks are kept where they help: each decoder by itself, the encoder if codes stay readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

SOME_ROWS = 1024  # from which linear readers and decoders are learned
BLOCK = 256
EVERY = 5  # epochs, at least, between two looks at what linear readers find
# What linear readers may lose, as a share of what they found at first, and of the variance: where
# they found next to nothing, a share of that is chance.
MOST_LOST, LEAST_LOST = 0.05, 0.01
RIDGE = 1e-4  # of a code's variance


class LinearReaders(Callback):
    """Stop training once embeddings tell linear readers less of what they have not seen.

    Networks that are free to may pack a row so tightly, its categories above all, that more comes
    back, but a linear model or a tree makes less of the embedding. What they would find of a target
    is judged by what nobody has to give: each modality, predicted by least squares from the
    embeddings of rows that lack it.

    Parameters
    ----------
    network : JointNetwork
        As training begins; of at least two modalities.
    train, held_out : Rows
        To learn to read from, and to read.
    is_best : callable
        ``is_best(net)`` returns whether the last epoch is the best so far: others are not kept.
    statistics : Statistics
        Asked to choose.

    Attributes
    ----------
    lost_ : bool
        Whether training was stopped.
    """

    def __init__(
        self,
        network: JointNetwork,
        train: Rows,
        held_out: Rows,
        is_best: Callable[[AutoencoderNet], bool],
        statistics: Statistics,
    ):
        self.network, self.is_best, self.statistics = network, is_best, statistics
        self.train, self.held_out = _some(train), held_out
        patterns = network.patterns
        one_less = patterns.shape[1] - 1
        absent = ~patterns[patterns.sum(1) == one_less]
        place = absent.int().argmax(1).argsort()
        self.without = (patterns.sum(1) == one_less).nonzero()[place]  # (modalities, 1)
        self.before_, self.looked_, self.lost_ = self._found(), 0, False

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any) -> None:
        """Look every few epochs."""
        epoch = len(net.history)
        if epoch < self.looked_ + EVERY or not self.is_best(net):
            return
        self.looked_ = epoch
        net.weights_.swap()
        found = self._found()
        net.weights_.swap()
        least = self.before_ - max(MOST_LOST * self.before_, LEAST_LOST)
        losses = torch.tensor([1 - found, 1 - least])
        if self.statistics.choose(f"linear readers, epoch {epoch}", losses):
            self.lost_ = True
            raise StopTraining

    @torch.no_grad()
    def _found(self) -> float:
        """Return the share of a view's variance that is predicted, averaged over modalities."""
        network = self.network.eval()
        readers = _fit_readers(network, self.train, self.without)
        wrong, all_ = torch.zeros(2, len(readers), device=self.without.device)
        for codes, views in _read(network, self.held_out, self.without):
            for m, (code, view, reader) in enumerate(zip(codes, views, readers, strict=True)):
                wrong[m] += (view - code @ reader).square().sum()
                all_[m] += view.square().sum()
        found = (1 - wrong / all_.clamp_min(1e-12)).mean()
        return max(float(found), 0.0)  # who finds less than nothing has found nothing


def _read(
    network: JointNetwork, rows: Rows, subsets: Tensor
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Yield embeddings to read each modality from, (modality, rows, components), and the views.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
    subsets : Tensor of shape (modalities or 1, 1), int64
        Rows of `JointNetwork.patterns`: of what each modality is read; with a target one for all.
    """
    for batch in BatchIterator(rows, BLOCK):
        views = network.views(batch.values)
        codes = network.encode(views, network.meet[batch.pattern, subsets])
        if network.target is not None:
            views.append(network.target.view(batch.values[-1]))
        present = network.present(batch).T[..., None]
        yield torch.where(present, codes, 0), [view.to_dense() for view in views]


def _fit_readers(network: JointNetwork, rows: Rows, subsets: Tensor) -> list[Tensor]:
    """Return how each view is read from embeddings by least squares, (components, columns) each."""
    moments, products = 0, [0] * len(network.decoders)
    for codes, views in _read(network, rows, subsets):
        moments = moments + codes.mT @ codes
        products = [p + c.T @ view for p, c, view in zip(products, codes, views, strict=True)]
    return [_least_squares(m, p) for m, p in zip(moments, products, strict=True)]


def _least_squares(moments: Tensor, products: Tensor) -> Tensor:
    small = RIDGE * moments.diagonal().mean() + 1e-12
    return torch.linalg.solve(moments + small * torch.eye(len(moments)).to(moments), products)


def _some(rows: Rows) -> Rows:
    """Return some rows, spread over all of them."""
    n, device = len(rows), rows.pattern.device
    places = torch.linspace(0, n - 1, min(n, SOME_ROWS), device=device).long()
    return rows.subset(places)


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
    """Let each decoder that does not help be linear, for the embeddings as they are now.

    Parameters
    ----------
    network : JointNetwork
        As trained. A decoder that is better without its network gets a linear path by least
        squares.
    train, held_out : Rows
    statistics : Statistics
        Asked to choose.
    """
    network.eval()
    by_modality = partial(held_out_losses, held_out, network.decoder_losses)
    as_trained = by_modality()
    kept = [{k: v.clone() for k, v in part.state_dict().items()} for part in network.decoders]
    everything = torch.full((1, 1), len(network.patterns) - 1, device=network.patterns.device)
    readers = _fit_readers(network, _some(train), everything)
    for part, reader in zip(network.decoders, readers, strict=True):
        part.start(reader.T.contiguous())
    network.guard(True, is_held=network.is_held)
    as_linear, is_linear = by_modality(), []
    for m, losses in enumerate(torch.stack([as_linear, as_trained], 1)):
        is_linear.append(statistics.choose(f"decoder {m}", losses) == 0)
        if not is_linear[m]:
            network.decoders[m].load_state_dict(kept[m])
    network.guard(is_linear, is_held=network.is_held)
