"""Fusions: from the encodings of the modalities that are present to one code."""

from ._base import CallableFusion, Fusion
from ._concat import ConcatFusion, JointFusion
from ._mean import MeanFusion, PrecisionFusion

__all__ = [
    "FUSIONS",
    "CallableFusion",
    "ConcatFusion",
    "Fusion",
    "JointFusion",
    "MeanFusion",
    "PrecisionFusion",
]

FUSIONS = {
    "mean": MeanFusion,
    "precision": PrecisionFusion,
    "concat": ConcatFusion,
    "joint": JointFusion,
}
