"""`Posterior`: Gaussians over the embedding, one per row and subset of modalities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Posterior"]

LOG_TWO_PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Posterior:
    """Gaussians ``N(mean, L diag(exp(log_scale))^2 L')`` over the embedding of each row.

    ``L`` belongs to the set of modalities that the row is seen through. The linear start sets it
    to a root of the exact posterior covariance of a linear-Gaussian model; what the networks learn
    is the mean and how much wider or narrower each row is along its columns.

    Attributes
    ----------
    mean, log_scale : Tensor of shape (..., rows, components)
    pattern : Tensor of shape (..., rows), int64
        Which of the roots is the row's.
    roots, inverses : Tensor of shape (patterns, components, components)
        Lower triangular ``L``, and its inverse.
    """

    mean: Tensor
    log_scale: Tensor
    pattern: Tensor
    roots: Tensor
    inverses: Tensor

    def __getitem__(self, subset: int | slice) -> Posterior:
        """Return the posterior given one or some of the leading subsets."""
        return Posterior(
            self.mean[subset],
            self.log_scale[subset],
            self.pattern[subset],
            self.roots,
            self.inverses,
        )

    def place(self, noise: Tensor) -> Tensor:
        """Return the embeddings at standard normal numbers, (..., rows, components) both."""
        return self.mean + _times(self.roots[self.pattern], self.log_scale.exp() * noise)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Return one embedding per row, differentiable in mean and scale."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.place(noise)

    def log_density(self, code: Tensor) -> Tensor:
        """Return the log density at embeddings, in nats; leading dimensions broadcast."""
        return self._density(code, self.mean, self.log_scale)

    def frozen_log_density(self, code: Tensor) -> Tensor:
        """Return the log density at embeddings, of a mean and scale that do not learn from it."""
        return self._density(code, self.mean.detach(), self.log_scale.detach())

    def _density(self, code: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        distance = _times(self.inverses[self.pattern], code - mean) * (-log_scale).exp()
        k = code.shape[-1]
        return -0.5 * (distance.square().sum(-1) + k * LOG_TWO_PI) - self._log_root(log_scale)

    def variance(self) -> Tensor:
        """Return the variance of each component, (..., rows, components)."""
        return _times(self.roots.square()[self.pattern], (2 * self.log_scale).exp())

    def divergence(self) -> Tensor:
        """Return the Kullback-Leibler divergence from the prior N(0, I), in nats per row."""
        k = self.mean.shape[-1]
        squares = (self.variance() + self.mean.square()).sum(-1)
        return 0.5 * (squares - k) - self._log_root(self.log_scale)

    def divergence_by_component(self) -> Tensor:
        """Return the divergence of each component's own distribution from N(0, 1)."""
        variance = self.variance()
        return 0.5 * (variance + self.mean.square() - 1 - variance.log())

    def divergence_from(self, other: Posterior) -> Tensor:
        """Return ``KL(self || other)`` per row, in nats; leading dimensions broadcast."""
        inverse = other.inverses[other.pattern]
        turned = inverse @ self.roots[self.pattern]
        turned = turned * (self.log_scale[..., None, :] - other.log_scale[..., :, None]).exp()
        apart = _times(inverse, self.mean - other.mean) * (-other.log_scale).exp()
        squares = turned.square().sum((-1, -2)) + apart.square().sum(-1)
        volume = other._log_root(other.log_scale) - self._log_root(self.log_scale)
        return 0.5 * (squares - self.mean.shape[-1]) + volume

    def detached(self):
        """Return the same distributions, from which nothing is learned."""
        return Posterior(
            self.mean.detach(), self.log_scale.detach(), self.pattern, self.roots, self.inverses
        )

    def _log_root(self, log_scale: Tensor) -> Tensor:
        """Return half the log determinant of the covariance."""
        log_det = self.roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return log_det[self.pattern] + log_scale.sum(-1)


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return each row's matrix times its vector, or its many vectors where they lead."""
    n_more = vectors.dim() - matrices.dim() + 1
    if n_more <= 0:
        return (matrices * vectors[..., None, :]).sum(-1)  # batched products are slow, one by one
    several = vectors.flatten(0, n_more - 1).movedim(0, -1)
    return (matrices @ several).movedim(-1, 0).unflatten(0, vectors.shape[:n_more])
