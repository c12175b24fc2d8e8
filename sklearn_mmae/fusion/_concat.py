"""Fusions in which the modalities see one another."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..nn._blocks import layer
from ._base import Fusion, ModalityLinear
from ._mean import PrecisionFusion

__all__ = ["ConcatFusion", "JointFusion"]


class ConcatFusion(Fusion):
    """A hidden layer over the concatenated encodings, absent ones masked, and the linear code.

    Knows which modalities are present, so that it can learn what to make of each subset.
    """

    def build(self, n_modalities, width, n_components):
        """Make the hidden layer, as a sum over modalities, and the head."""
        self.hidden = ModalityLinear(n_modalities, width, width)
        self.from_start = layer(nn.Linear, n_components, width)
        self.head = layer(nn.Linear, width, n_components)
        self.head.starts_at_zero = True

    def forward(self, encodings, present, start):
        """Map the present encodings and the linear code through the hidden layer."""
        # The bias of each modality's layer tells the hidden units which ones are present.
        total = torch.where(present[..., None], self.hidden(encodings), 0).sum(-3)
        return self.head(F.gelu(total + self.from_start(start)))


class JointFusion(Fusion):
    """The precision-weighted mean, corrected by a hidden layer that sees all modalities."""

    def build(self, n_modalities, width, n_components):
        """Build both parts."""
        self.mean, self.correction = PrecisionFusion(), ConcatFusion()
        self.mean.build(n_modalities, width, n_components)
        self.correction.build(n_modalities, width, n_components)

    def forward(self, encodings, present, start):
        """Add both parts."""
        return self.mean(encodings, present, start) + self.correction(encodings, present, start)
