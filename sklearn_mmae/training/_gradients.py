"""`Gradients`: what turns a batch into the gradient of a step.

The loop draws batches, asks for gradients and lets the optimizer step; how a batch's gradient comes
about is for an object to say that it is handed. `PlainGradients` cut a batch in shards, so that
threads can share a step and its bits stay the same: the bits of a sum depend on how many threads
share it. So each shard is computed by one thread, the shards' gradients are added in their order,
and how a batch is cut depends on nothing but its size and the network's.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._core.ranks import Ranks
from .._core.threads import side_by_side
from ._batches import Batch, BatchIterator

__all__ = [
    *("FlatWeights", "Gradients", "LossesOf", "MakeGradients", "PlainGradients", "RankGradients"),
]

N_SHARDS = 2  # with more, one thread alone would take much longer than for the batch as a whole
LEAST_ROWS = 256  # in a batch: below that, what a step costs beside its rows is most of it, ...
LEAST_WORK = 50_000_000  # ... and also below this product of rows and weights
LARGEST_GRADIENT = 0.5
YOUNG = 16  # steps in which each counts
EVERY = 4  # steps between two looks at the weights: the means are none the worse, and cost less

# ``losses_of(network, generator, rows, shown)`` returns the mean losses over some rows, (losses,).
LossesOf = Callable[[nn.Module, torch.Generator, Batch, Tensor], Tensor]


class FlatWeights:
    """Views: each parameter and its gradient become a piece of one long tensor per group.

    An optimiser, a norm, a running mean, a sum over processes then work on one tensor instead of
    dozens, which at small batches is most of a step's time. Load or move the module before, not
    after.

    Parameters
    ----------
    groups : list of list of torch.nn.Parameter
        Which parameters share a tensor; they become views of it, of equal value.

    Attributes
    ----------
    parameters : list of torch.nn.Parameter
        The long tensors; `gradients` are theirs.
    averages : list of Tensor
        Their running means.
    """

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]]):
        self.groups, self.parameters = groups, []
        for group in groups:
            flat = nn.Parameter(torch.cat([p.detach().flatten() for p in group]))
            flat.grad = torch.zeros_like(flat)
            place = 0
            for parameter in group:
                piece = slice(place, place + parameter.numel())
                parameter.data = flat.data[piece].view_as(parameter)
                parameter.grad = flat.grad[piece].view_as(parameter)
                place = piece.stop
            self.parameters.append(flat)
        self.averages = self.copy()
        self.n_steps = 0

    @property
    def gradients(self) -> list[Tensor]:
        """Return the gradients that the next step takes."""
        return [flat.grad for flat in self.parameters]

    def copy(self) -> list[Tensor]:
        """Return a copy of the weights."""
        return [flat.detach().clone() for flat in self.parameters]

    @torch.no_grad()
    def set(self, weights: Sequence[Tensor]) -> None:
        """Set the weights to what `copy` returned."""
        for flat, values in zip(self.parameters, weights, strict=True):
            flat.copy_(values)

    def restart(self, weights: Sequence[Tensor]) -> None:
        """Set the weights, and let their means begin anew."""
        self.set(weights)
        self.averages, self.n_steps = self.copy(), 0

    def differentiate(self, loss: Tensor, gradients: Sequence[Tensor]) -> None:
        """Write the gradient of a loss into tensors like the long ones; touch no other.

        Parameters
        ----------
        loss : Tensor of shape ()
        gradients : list of Tensor
            One per group: those of the weights themselves, or others of the same shapes.
        """
        taught = [p for group in self.groups for p in group if p.requires_grad]
        slopes = torch.autograd.grad(loss, taught, allow_unused=True, materialize_grads=True)
        slope_of = dict(zip(taught, slopes, strict=True))
        for group, gradient in zip(self.groups, gradients, strict=True):
            pieces = [slope_of[p] if p in slope_of else torch.zeros_like(p) for p in group]
            torch.cat([piece.flatten() for piece in pieces], out=gradient)

    @torch.no_grad()
    def average(self, memory: float) -> None:
        """Move the running means towards the weights, after every few steps.

        Young means forget faster, or the start would linger in them.
        """
        self.n_steps += 1
        every = EVERY if self.n_steps > YOUNG else 1
        if self.n_steps % every:
            return
        keep = min(memory, self.n_steps / (self.n_steps + 10)) ** every
        for mean, flat in zip(self.averages, self.parameters, strict=True):
            mean.lerp_(flat, 1 - keep)

    def swap(self) -> None:
        """Exchange the weights for their running means, or back."""
        weights = self.copy()
        self.set(self.averages)
        self.averages = weights


@dataclass(eq=False)
class Gradients(ABC):
    """The gradient of each batch, written where the optimizer takes it from.

    Made anew for every stretch of epochs. Subclass it to make gradients in another way, by row or
    in several processes, and hand the class, or any function of its four arguments, to `Lesson`;
    what is to outlast a stretch, such as an account of noise, is kept by that function.

    Parameters
    ----------
    network : torch.nn.Module
    generator : torch.Generator
        Of its noise and dropout, on its device.
    weights : FlatWeights
        Of the network.
    batch_size : int
        The most rows of a batch.
    """

    network: nn.Module
    generator: torch.Generator
    weights: FlatWeights
    batch_size: int

    def __post_init__(self):
        self.modules = [self.network]  # and its copies, if there are any

    def train(self, training: bool) -> None:
        """Set the mode of all modules."""
        for module in self.modules:
            module.train(training)

    def batches(self, batches: BatchIterator) -> BatchIterator:
        """Return the batches of an epoch: those that are given, or others of the same rows.

        Parameters
        ----------
        batches : BatchIterator
        """
        return batches

    @abstractmethod
    def teach(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Write the gradient of a batch's summed losses into `FlatWeights.gradients`.

        As the step is to take it: limited, noised, or summed over processes.

        Parameters
        ----------
        losses_of : callable
            ``losses_of(network, generator, rows, shown)`` returns mean losses over some rows.
        batch : Batch
        shown : Tensor of shape (subsets, rows)
            What of each row the encoder may see.

        Returns
        -------
        Tensor of shape (losses,)
            What the history records of the batch.
        """

    @abstractmethod
    def look(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Return the losses of a batch, as `teach` does, and leave all gradients alone."""


MakeGradients = Callable[[nn.Module, torch.Generator, FlatWeights, int], Gradients]


@dataclass(frozen=True)
class _Shard:
    """What a part of a batch is computed with."""

    module: nn.Module  # the network, or a copy that shares its parameters and buffers
    generator: torch.Generator  # of noise and of the module's dropout
    gradients: list[Tensor]  # where its gradient goes, one like each of `FlatWeights.gradients`


Work = Callable[[_Shard, Batch, Tensor], Tensor]  # of a shard, its rows, and what they show


class PlainGradients(Gradients):
    """The gradient of the mean over all rows of a batch, limited as a whole.

    The network, and copies of it that share its weights, compute parts of a batch side by side;
    the copies have generators that are seeded by the network's.
    """

    def __post_init__(self):
        super().__post_init__()
        network, generator, weights = self.network, self.generator, self.weights
        self.shards = [_Shard(network, generator, weights.gradients)]
        shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
        while len(self.shards) < self._count(self.batch_size):
            own = torch.Generator(generator.device)
            own.manual_seed(int(torch.randint(2**63 - 1, (), generator=generator)))
            twin = copy.deepcopy(network, {**shared, id(generator): own})
            gradients = [torch.zeros_like(gradient) for gradient in weights.gradients]
            self.shards.append(_Shard(twin, own, gradients))
            self.modules.append(twin)

    @property
    def most(self) -> int:
        """The most parts of a batch; a GPU computes all rows at once anyway."""
        return N_SHARDS if self.weights.parameters[0].device.type == "cpu" else 1

    def _count(self, n_rows: int) -> int:
        """Return into how many parts to cut so many rows."""
        sizes = [flat.numel() for flat in self.weights.parameters]
        worth = n_rows >= LEAST_ROWS and n_rows * sum(sizes) >= LEAST_WORK
        return self.most if worth else 1

    def teach(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Write the gradient of a batch; return its losses."""

        def work(shard: _Shard, rows: Batch, seen: Tensor) -> Tensor:
            share = len(rows) / len(batch)
            losses = share * losses_of(shard.module, shard.generator, rows, seen)
            self.weights.differentiate(losses.sum(), shard.gradients)
            return losses.detach()

        losses = self._each(work, batch, shown, teaches=True)
        for shard in self.shards[1 : len(losses)]:
            torch._foreach_add_(self.shards[0].gradients, shard.gradients)
        # One row with an outlier must not undo what many have taught.
        limit(self.weights.gradients, LARGEST_GRADIENT)
        return sum(losses)

    def look(self, losses_of: LossesOf, batch: Batch, shown: Tensor) -> Tensor:
        """Return the losses of a batch."""

        def work(shard: _Shard, rows: Batch, seen: Tensor) -> Tensor:
            with torch.no_grad():  # holds for the thread that enters it
                share = len(rows) / len(batch)
                return share * losses_of(shard.module, shard.generator, rows, seen)

        return sum(self._each(work, batch, shown, teaches=False))

    def _each(self, work: Work, batch: Batch, shown: Tensor, *, teaches: bool) -> list[Tensor]:
        """Return what ``work(shard, rows, shown)`` makes of each part of a batch."""
        n, n_parts = len(batch), self._count(len(batch))
        if n_parts == 1:
            return [work(self.shards[0], batch, shown)]

        def work_on(i: int) -> Tensor:
            at = slice(i * n // n_parts, (i + 1) * n // n_parts)
            return work(self.shards[i], batch.part(at), shown[:, at])

        return self._share(work_on, n_parts, teaches=teaches)

    def _share(
        self, work_on: Callable[[int], Tensor], n_parts: int, *, teaches: bool
    ) -> list[Tensor]:
        """Return what is made of each part, by its number."""
        return side_by_side(work_on, range(n_parts))


@dataclass(eq=False)
class RankGradients(PlainGradients):
    """The same gradient, of which each of several processes computes a part.

    All of them hold all rows that networks learn from, and draw the same batches. They exchange
    the shards' gradients, and each adds all of them, in their order: so the weights stay the same
    everywhere, and two processes have the bits of one.

    Parameters
    ----------
    network, generator, weights, batch_size
        As of `Gradients`.
    ranks : Ranks
    """

    ranks: Ranks

    @property
    def most(self) -> int:
        """The most parts of a batch: one for each process at least."""
        return max(super().most, self.ranks.size)

    def _share(
        self, work_on: Callable[[int], Tensor], n_parts: int, *, teaches: bool
    ) -> list[Tensor]:
        """Compute this process's parts, and fetch those of the others."""
        ranks = self.ranks
        mine = range(ranks.rank, n_parts, ranks.size)
        losses = dict(zip(mine, side_by_side(work_on, mine), strict=True))
        losses |= {i: torch.empty_like(losses[mine[0]]) for i in range(n_parts) if i not in losses}
        # The first generator serves batches of one part, too, which every process computes.
        state = self.shards[0].generator.get_state()

        def parts_of(rank: int) -> list[Tensor]:
            shards = range(rank, n_parts, ranks.size)
            parts = [losses[i] for i in shards]
            parts += [g for i in shards for g in self.shards[i].gradients if teaches]
            return [*parts, state] if rank == 0 else parts

        told = ranks.exchange("gradient", _packed(parts_of(ranks.rank)))
        for rank in ranks.others:
            _unpack(told[rank], parts_of(rank))
        self.shards[0].generator.set_state(state)
        return [losses[i] for i in range(n_parts)]


def _packed(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors as bytes."""
    return torch.cat([tensor.cpu().contiguous().view(torch.uint8).flatten() for tensor in tensors])


def _unpack(told: Tensor, tensors: Sequence[Tensor]) -> None:
    """Write bytes into tensors."""
    sizes = [tensor.nbytes for tensor in tensors]
    for tensor, part in zip(tensors, told.split(sizes), strict=True):
        tensor.copy_(part.view(tensor.dtype).view_as(tensor))


def limit(gradients: Sequence[Tensor], largest: float) -> None:
    """Scale gradients down to a joint norm of at most `largest`."""
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    factor = (largest / (norm + 1e-6)).clamp_max(1.0)
    if factor.device.type == "cpu" and factor == 1:
        return  # elsewhere the program would wait for the device
    for gradient in gradients:
        gradient.mul_(factor)
