"""Fusions that average over the modalities that are present."""

from __future__ import annotations

import torch
from torch import Tensor

from ..nn._blocks import Seeded
from ._base import Fusion, ModalityLinear, selected

__all__ = ["MeanFusion", "MixtureFusion", "PrecisionFusion"]


class _Proposals(Fusion):
    """Each modality proposes an embedding, by a linear head."""

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make one linear head per modality."""
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)

    def _mean(self, encodings: Tensor, members: Tensor) -> Tensor:
        """Average the proposals of some modalities, (..., modality, row) bool."""
        there = members[..., None]
        total = selected(there, self.head(encodings)).sum(-3)
        return total / there.sum(-3).clamp_min(1)


class MeanFusion(_Proposals):
    """Each modality proposes an embedding; the present ones are averaged."""

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Average the proposals of the present modalities."""
        return self._mean(encodings, present)


class MixtureFusion(Seeded, _Proposals):
    """In training each row takes the proposal of one of its modalities; in use, their mean.

    So each modality's proposal has to do without the others'. One is sampled for every row and
    subset, with equal probability: the mixture of experts of Shi et al. (2019), "Variational
    mixture-of-experts autoencoders for multi-modal deep generative models", NeurIPS. The linear
    embedding, to which it is added, is of all that are present either way.
    """

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Pick a proposal of the present modalities in training, else average them."""
        if not self.training:
            return self._mean(encodings, present)
        lot = torch.rand(present.shape, generator=self.generator, device=present.device)
        lot = torch.where(present, lot, -1)
        picked = present & (lot == lot.amax(-2, keepdim=True))
        return self._mean(encodings, picked)


class PrecisionFusion(Fusion):
    """A mean of the proposals, each component weighted by the precision its modality predicts.

    The weights are those of a product of Gaussian experts, as in Wu & Goodman (2018), "Multimodal
    generative models for scalable weakly-supervised learning", NeurIPS.
    """

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make one head per modality for proposals and one for log precisions."""
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)
        self.log_precision = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Average the proposals by precision over the present modalities."""
        there = present[..., None]
        return precision_weighted(self.head(encodings), self.log_precision(encodings), there)


def precision_weighted(proposals: Tensor, log_precision: Tensor, there: Tensor) -> Tensor:
    """Return the mean of the proposals that are there, weighted by precision; 0 where none is."""
    # A softmax over the present ones; a row with none of them gets weights of 0, not NaN.
    weight = selected(there, log_precision.clamp(-10, 10).exp())
    total = selected(there, weight * proposals).sum(-3)
    return total / weight.sum(-3).clamp_min(1e-6)
