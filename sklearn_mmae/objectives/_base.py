"""`Objective`: what a variational autoencoder makes as large as it can."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ._posterior import Posterior

__all__ = ["ALL", "RANDOM", "Evidence", "Objective", "Penalty", "each_alone"]

ALL = "all"  # all that is present in a row
RANDOM = "random"  # a random part of it


def each_alone(n_modalities: int) -> list[int]:
    """Return the subsets of one modality, as `Objective.subsets` names them."""
    return list(range(n_modalities))


@dataclass(frozen=True)
class Penalty:
    """How much a divergence from the prior costs.

    Attributes
    ----------
    beta : float
        Its weight, as in Higgins et al. (2017), "beta-VAE".
    free_bits : float
        Nats per component, on average over rows, below which a divergence costs nothing more, as
        in Kingma et al. (2016), "Improved variational inference with inverse autoregressive flow".
    """

    beta: float = 1.0
    free_bits: float = 0.0

    def of(self, posterior: Posterior) -> Tensor:
        """Return what the divergences of a posterior from the prior cost, (..., rows)."""
        divergence = posterior.divergence()
        if self.free_bits:
            own = posterior.divergence_by_component().mean(-2, keepdim=True)
            divergence = divergence + (self.free_bits - own).clamp_min(0).sum(-1)
        return self.beta * divergence


@dataclass(frozen=True)
class Evidence:
    """What an objective is made of, for the rows of a step.

    Attributes
    ----------
    posterior : Posterior
        Given each subset that the objective asks for: its first dimension.
    seen : Tensor of shape (modality, subset, rows), bool
        What each subset has of a row.
    present : Tensor of shape (modality, rows), bool
    log_likelihood : callable
        Embeddings (..., rows, components) to nats, (modality, ..., rows), 0 where it is absent.
    penalty : Penalty
    generator : torch.Generator
    private : Tensor of shape (modality, components), bool, or None
        Components that only this modality's decoder hears of; of objectives that have such.
    """

    posterior: Posterior
    seen: Tensor
    present: Tensor
    log_likelihood: Callable[[Tensor], Tensor]
    penalty: Penalty
    generator: torch.Generator
    private: Tensor | None = None

    def sample(self, posterior: Posterior | None = None) -> Tensor:
        """Sample an embedding per row from the posteriors of all subsets, or from a given one."""
        return (self.posterior if posterior is None else posterior).sample(self.generator)


class Objective(ABC):
    """A bound on the evidence, or a close relative: log-likelihoods of samples minus a divergence.

    An objective says through which subsets of its modalities each row is seen, and what their
    posteriors are to make large. What the posteriors are, the fusion says. Subclass it for an
    objective of your own; keep hyper-parameters in ``__init__``.
    """

    private: float = 0.0  # share of the components that belong to single modalities
    # Whether the networks are kept where the bound of the joint posterior is better than that of
    # factor analysis; else where this objective is.
    judged_by_evidence: bool = True

    @abstractmethod
    def subsets(self, n_modalities: int) -> list[str | int]:
        """Return through which subsets each row is seen in a step.

        Parameters
        ----------
        n_modalities : int

        Returns
        -------
        list
            Of `ALL`, `RANDOM`, or the number of a modality that is seen alone; a row without that
            modality is seen as a whole, and `Evidence.present` says so.
        """

    @abstractmethod
    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides of the objective.

        Parameters
        ----------
        evidence : Evidence

        Returns
        -------
        likelihood : Tensor of shape (modality, rows)
            To be made large.
        divergence : Tensor of shape (rows,)
            To be made small, weighted by `Penalty.beta`; their difference is the objective.
        """


def mean_over(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean over the first dimension of what counts, (subset, rows) to (rows,)."""
    total = torch.where(counted, values, 0).sum(0)
    return total / counted.sum(0).clamp_min(1)
