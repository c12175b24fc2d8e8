"""A batch in shards, so that threads can share a step and its bits stay the same.

The bits of a sum depend on how many threads share it. So each shard is computed by one thread, the
shards' gradients are added in their order, and how a batch is cut depends on nothing but its size
and the network's.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from .._core.threads import side_by_side

__all__ = ["Shards"]

N_SHARDS = 2  # with more, one thread alone would take much longer than for the batch as a whole
LEAST_ROWS = 128  # in a batch: below that, what a step costs beside its rows is most of it, ...
LEAST_WORK = 50_000_000  # ... and also below this product of rows and weights


@dataclass(frozen=True)
class _Shard:
    """What a part of a batch is computed with.

    Attributes
    ----------
    module : torch.nn.Module
        The network, or a copy of it that shares its parameters and buffers.
    generator : torch.Generator
        Of noise and of the module's dropout.
    gradients : list of Tensor
        Where its gradient goes, one like each of `FlatWeights.parameters`.
    """

    module: nn.Module
    generator: torch.Generator
    gradients: list


class Shards:
    """The network, and copies of it that share its weights, for the parts of a batch.

    Parameters
    ----------
    module : torch.nn.Module
    generator : torch.Generator
        Of its noise and dropout; the copies have generators seeded by it.
    weights : FlatWeights
        Of the module.
    batch_size : int
        The most rows of a batch.
    """

    def __init__(self, module, generator, weights, batch_size):
        self.weights = weights
        self.shards = [_Shard(module, generator, [flat.grad for flat in weights.parameters])]
        shared = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
        while len(self.shards) < self._count(batch_size):
            own = torch.Generator()
            own.manual_seed(int(torch.randint(2**63 - 1, (), generator=generator)))
            twin = copy.deepcopy(module, {**shared, id(generator): own})
            gradients = [torch.zeros_like(flat.grad) for flat in weights.parameters]
            self.shards.append(_Shard(twin, own, gradients))

    def _count(self, n_rows):
        """Return into how many parts to cut so many rows."""
        sizes = [flat.numel() for flat in self.weights.parameters]
        worth = n_rows >= LEAST_ROWS and n_rows * sum(sizes) >= LEAST_WORK
        # A GPU computes all rows at once anyway.
        return N_SHARDS if worth and self.weights.parameters[0].device.type == "cpu" else 1

    def train(self, training):
        """Set the mode of all modules."""
        for shard in self.shards:
            shard.module.train(training)

    def teach(self, losses_of, batch, shown):
        """Write the gradient of a batch's losses into that of the weights; return the losses.

        Parameters
        ----------
        losses_of : callable
            ``losses_of(module, generator, rows, shown)`` returns mean losses over some rows.
        batch : Batch
        shown : Tensor of shape (subsets, rows)

        Returns
        -------
        Tensor of shape (modality,)
        """

        def work(shard, rows, seen):
            share = len(rows) / len(batch)
            losses = share * losses_of(shard.module, shard.generator, rows, seen)
            self.weights.differentiate(losses.sum(), shard.gradients)
            return losses.detach()

        losses = self._each(work, batch, shown)
        for shard in self.shards[1 : len(losses)]:
            torch._foreach_add_(self.shards[0].gradients, shard.gradients)
        return sum(losses)

    def look(self, losses_of, batch, shown):
        """Return the losses of a batch, as `teach` does, and leave all gradients alone."""

        def work(shard, rows, seen):
            with torch.no_grad():  # holds for the thread that enters it
                share = len(rows) / len(batch)
                return share * losses_of(shard.module, shard.generator, rows, seen)

        return sum(self._each(work, batch, shown))

    def _each(self, work, batch, shown):
        """Return what ``work(shard, rows, shown)`` makes of each part of a batch."""
        n, n_parts = len(batch), self._count(len(batch))
        if n_parts == 1:
            return [work(self.shards[0], batch, shown)]

        def work_on(i):
            at = slice(i * n // n_parts, (i + 1) * n // n_parts)
            return work(self.shards[i], batch.part(at), shown[:, at])

        return side_by_side(work_on, range(n_parts))
