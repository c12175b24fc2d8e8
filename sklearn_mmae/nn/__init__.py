"""Building blocks of the networks: tensors only, no frames, no scikit-learn."""

from ._blocks import LinearResidual, Seeded, SeededDropout, decoder, encoder, initialise, layer, mlp
from ._modality import ModalityNetwork

__all__ = [
    "LinearResidual",
    "ModalityNetwork",
    "Seeded",
    "SeededDropout",
    "decoder",
    "encoder",
    "initialise",
    "layer",
    "mlp",
]
