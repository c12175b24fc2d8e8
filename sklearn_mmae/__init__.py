"""PCA for messy, multimodal rows: tables, texts, pictures, sounds, clips, signals, with holes."""

from ._autoencoder import MultimodalAutoencoder
from ._core.errors import CellError, ConvergenceError, DataWarning, ModelFileError
from ._persistence import load
from .alignment import DelayAligner
from .fusion import Fusion
from .modalities import (
    AudioModality,
    ImageModality,
    Modality,
    SequenceModality,
    TabularModality,
    TextModality,
    TimedModality,
    VideoModality,
)

__version__ = "0.1.0"

__all__ = [
    "AudioModality",
    "CellError",
    "ConvergenceError",
    "DataWarning",
    "DelayAligner",
    "Fusion",
    "ImageModality",
    "Modality",
    "ModelFileError",
    "MultimodalAutoencoder",
    "SequenceModality",
    "TabularModality",
    "TextModality",
    "TimedModality",
    "VideoModality",
    "__version__",
    "load",
]


def __getattr__(name):
    """Import `sklearn_mmae.datasets` when it is first asked for: it brings scikit-learn's own."""
    if name == "datasets":
        from importlib import import_module

        return import_module(".datasets", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
