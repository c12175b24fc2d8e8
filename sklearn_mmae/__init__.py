"""PCA for messy, multimodal rows: numbers, categories, texts and pictures, with holes."""

from ._autoencoder import MultimodalAutoencoder
from ._core.errors import CellError, ConvergenceError, DataWarning, ModelFileError
from ._persistence import load
from .fusion import Fusion
from .modalities import ImageModality, Modality, TabularModality, TextModality

__version__ = "0.1.0"

__all__ = [
    "CellError",
    "ConvergenceError",
    "DataWarning",
    "Fusion",
    "ImageModality",
    "Modality",
    "ModelFileError",
    "MultimodalAutoencoder",
    "TabularModality",
    "TextModality",
    "__version__",
    "load",
]
