"""Fusions that average over the modalities that are present."""

from __future__ import annotations

from ._base import Fusion, ModalityLinear, selected

__all__ = ["MeanFusion", "PrecisionFusion"]


class MeanFusion(Fusion):
    """Each modality proposes a code; the present ones are averaged."""

    def build(self, n_modalities, width, n_components):
        """Make one linear head per modality."""
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)

    def forward(self, encodings, present, start):
        """Average the proposals of the present modalities."""
        there = present[..., None]
        total = selected(there, self.head(encodings)).sum(-3)
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
        return precision_weighted(self.head(encodings), self.log_precision(encodings), there)


def precision_weighted(proposals, log_precision, there):
    """Return the mean of the proposals that are there, weighted by precision; 0 where none is."""
    # A softmax over the present ones; a row with none of them gets weights of 0, not NaN.
    weight = selected(there, log_precision.clamp(-10, 10).exp())
    total = selected(there, weight * proposals).sum(-3)
    return total / weight.sum(-3).clamp_min(1e-6)
