"""Fusions that average over the modalities that are present."""

from __future__ import annotations

import torch

from ._base import Fusion, ModalityLinear

__all__ = ["MeanFusion", "PrecisionFusion"]


class MeanFusion(Fusion):
    """Each modality proposes a code; the present ones are averaged."""

    def build(self, n_modalities, width, n_components):
        """Make one linear head per modality."""
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)

    def forward(self, encodings, present, start):
        """Average the proposals of the present modalities."""
        there = present[..., None]
        total = torch.where(there, self.head(encodings), 0).sum(-3)
        return total / there.sum(-3).clamp_min(1)


class PrecisionFusion(Fusion):
    """A mean of the proposals, each component weighted by the precision its modality claims.

    The weights are those of a product of Gaussian experts, as in Wu & Goodman (2018), "Multimodal
    generative models for scalable weakly-supervised learning", NeurIPS.
    """

    def build(self, n_modalities, width, n_components):
        """Make one head per modality for proposals and one for log precisions."""
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)
        self.log_precision = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)

    def forward(self, encodings, present, start):
        """Average the proposals by precision over the present modalities."""
        there = present[..., None]
        # A softmax over the present ones; a row with none of them gets weights of 0, not NaN.
        score = self.log_precision(encodings).clamp(-10, 10)
        weight = torch.where(there, score.exp(), 0)
        total = (weight * self.head(encodings)).sum(-3)
        return total / weight.sum(-3).clamp_min(1e-6)
