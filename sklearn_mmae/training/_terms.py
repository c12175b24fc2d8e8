"""The extra terms of the loss that pull modalities together, by their names."""

from __future__ import annotations

from ._agreement import agreement
from ._contrastive import contrastive

__all__ = ["EXTRA_TERMS", "USUAL_WEIGHT"]

EXTRA_TERMS = {"agreement": agreement, "contrastive": contrastive}
USUAL_WEIGHT = 0.05  # of a term given by its name
