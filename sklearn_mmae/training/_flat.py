"""All weights of a network as a few long tensors, so that a step costs no bookkeeping."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["FlatWeights"]

YOUNG = 16  # steps in which each counts
EVERY = 4  # steps between two looks at the weights: the means are none the worse, and cost less


class FlatWeights:
    """Views: each parameter and its gradient become a piece of one long tensor per group.

    An optimiser, a norm, a running mean then work on one tensor instead of dozens, which at small
    batches is most of a step's time. Load or move the module before, not after.

    Parameters
    ----------
    groups : list of list of torch.nn.Parameter
        Which parameters share a tensor; they become views of it, of equal value.
    """

    def __init__(self, groups):
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

    def copy(self):
        """Return a copy of the weights."""
        return [flat.detach().clone() for flat in self.parameters]

    @torch.no_grad()
    def set(self, weights):
        """Set the weights to what `copy` returned."""
        for flat, values in zip(self.parameters, weights, strict=True):
            flat.copy_(values)

    def differentiate(self, loss, gradients):
        """Write the gradient of a loss into tensors like the long ones; touch no other.

        Parameters
        ----------
        loss : Tensor of shape ()
        gradients : list of Tensor
            One per group: those of the weights themselves, or a shard's own.
        """
        taught = [p for group in self.groups for p in group if p.requires_grad]
        found = torch.autograd.grad(loss, taught, allow_unused=True, materialize_grads=True)
        found = dict(zip(taught, found, strict=True))
        for group, gradient in zip(self.groups, gradients, strict=True):
            pieces = [found[p] if p in found else torch.zeros_like(p) for p in group]
            torch.cat([piece.flatten() for piece in pieces], out=gradient)

    def clip_gradients(self, largest):
        """Scale the gradients down to a joint norm of at most `largest`."""
        norm = torch.stack([flat.grad.norm() for flat in self.parameters]).norm()
        factor = (largest / (norm + 1e-6)).clamp_max(1.0)
        for flat in self.parameters:
            flat.grad.mul_(factor)

    @torch.no_grad()
    def average(self, memory):
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

    def swap(self):
        """Exchange the weights for their running means, or back."""
        weights = self.copy()
        self.set(self.averages)
        self.averages = weights
