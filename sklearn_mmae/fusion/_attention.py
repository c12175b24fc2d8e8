"""A fusion in which a query looks at the modalities that are present."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nn._blocks import layer
from ._base import Fusion, ModalityLinear, selected
from ._concat import Correction

__all__ = ["AttentionFusion"]


class AttentionFusion(Fusion):
    """Attention over the present modalities, with the linear embedding as the query.

    The features of each modality make a key and a value, by weights of their own. The query is
    learned, and depends on the linear embedding.
    Attention is that of Vaswani et al. (2017), "Attention is all you need", NeurIPS; pooling a set
    by a query that of Lee et al. (2019), "Set transformer", ICML.

    Parameters
    ----------
    n_heads : int, default=8
        Queries, each with a share of the values; has to divide the estimator's ``width``, or the
        next smaller number that does is taken.
    """

    def __init__(self, n_heads: int = 8) -> None:
        super().__init__()
        self.n_heads = n_heads

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make keys and values per modality, the query, and the head."""
        if isinstance(self.n_heads, bool) or not isinstance(self.n_heads, int) or self.n_heads < 1:
            raise ValueError(f"n_heads={self.n_heads!r}: give a whole number from 1, such as 8.")
        self.n_used = max(n for n in range(1, self.n_heads + 1) if width % n == 0)
        self.width = width
        self.key_and_value = ModalityLinear(n_modalities, width, 2 * width)
        self.query = layer(nn.Linear, n_components, width)
        self.correction = Correction(width, n_components)

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Pool the values of the present modalities, and map them to an embedding."""
        key, value = self.key_and_value(encodings).split(self.width, -1)
        query = self.query(start).unflatten(-1, (self.n_used, -1))
        key, value = (part.unflatten(-1, (self.n_used, -1)) for part in (key, value))
        there = present[..., None]
        # (..., modality, row, head)
        fit = (query[..., None, :, :, :] * selected(there[..., None], key)).sum(-1)
        fit = torch.where(there, fit * query.shape[-1] ** -0.5, -torch.inf)
        # Where nothing is present, weights of nothing: not the NaN of a softmax over -inf.
        fit = torch.where(there.any(-3, keepdim=True), fit, 0)
        weight = selected(there, fit.softmax(-3))
        pooled = (weight[..., None] * selected(there[..., None], value)).sum(-4)
        return self.correction(pooled.flatten(-2), start)
