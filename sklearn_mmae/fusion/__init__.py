"""Fusions: from the encodings of the modalities that are present to one embedding."""

from ._attention import AttentionFusion
from ._base import CallableFusion, Fusion
from ._concat import ConcatFusion, JointFusion
from ._mean import MeanFusion, MixtureFusion, PrecisionFusion

__all__ = [
    "FUSIONS",
    "AttentionFusion",
    "CallableFusion",
    "ConcatFusion",
    "Fusion",
    "JointFusion",
    "MeanFusion",
    "MixtureFusion",
    "PrecisionFusion",
]

FUSIONS = {
    "mean": MeanFusion,
    "precision": PrecisionFusion,
    "concat": ConcatFusion,
    "joint": JointFusion,
    "mixture": MixtureFusion,
    "attention": AttentionFusion,
}
