"""Building blocks of the networks: tensors only, no frames, no scikit-learn."""

from ._blocks import LinearResidual, SeededDropout, decoder, encoder, initialise, layer, mlp
from ._modality import ModalityNetwork

__all__ = [
    "LinearResidual",
    "ModalityNetwork",
    "SeededDropout",
    "decoder",
    "encoder",
    "initialise",
    "layer",
    "mlp",
]
