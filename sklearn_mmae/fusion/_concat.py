"""Fusions in which the modalities see one another."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..nn._blocks import layer
from ._base import Fusion, ModalityLinear, selected
from ._mean import precision_weighted

__all__ = ["ConcatFusion", "JointFusion"]


class Correction(nn.Module):
    """The hidden layer's second half: with the linear vector, through a GELU, to the components."""

    def __init__(self, width: int, n_components: int):
        super().__init__()
        self.from_start = layer(nn.Linear, n_components, width)
        self.head = layer(nn.Linear, width, n_components)
        self.head.starts_at_zero = True

    def forward(self, total: Tensor, start: Tensor) -> Tensor:
        """Return what to add to the embedding."""
        return self.head(F.gelu(total + self.from_start(start)))


class ConcatFusion(Fusion):
    """A hidden layer over the concatenated encodings and the linear embedding.

    Encodings of absent modalities are masked. The layer knows which are present, so it can learn
    each subset.
    """

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make the hidden layer, as a sum over modalities, and the head."""
        self.hidden = ModalityLinear(n_modalities, width, width)
        self.correction = Correction(width, n_components)

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Map the present encodings and the linear embedding through the hidden layer."""
        # The bias of each modality's layer tells the hidden units which ones are present.
        total = selected(present[..., None], self.hidden(encodings)).sum(-3)
        return self.correction(total, start)


class JointFusion(Fusion):
    """The precision-weighted mean, corrected by a hidden layer that sees all modalities.

    The sum of `PrecisionFusion` and `ConcatFusion`, their products taken together.
    """

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make the heads of the mean, and the hidden layer of the correction."""
        self.width = width
        self.head = ModalityLinear(n_modalities, width, n_components, starts_at_zero=True)
        self.others = ModalityLinear(n_modalities, width, width + n_components)
        self.correction = Correction(width, n_components)

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Add the weighted mean and its correction."""
        there = present[..., None]
        hidden, log_precision = self.others(encodings).split_with_sizes(
            [self.width, start.shape[-1]], -1
        )
        mean = precision_weighted(self.head(encodings), log_precision, there)
        return mean + self.correction(selected(there, hidden).sum(-3), start)
