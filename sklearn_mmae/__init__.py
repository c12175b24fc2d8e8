"""PCA for messy, multimodal rows: tables, texts, pictures, sounds, clips, signals, with holes."""

from ._autoencoder import MultimodalAutoencoder
from ._core.errors import CellError, ConvergenceError, DataWarning, ModelFileError
from ._persistence import load
from ._vae import MultimodalVAE
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
from .objectives import Objective

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
    "MultimodalVAE",
    "Objective",
    "SequenceModality",
    "TabularModality",
    "TextModality",
    "TimedModality",
    "VideoModality",
    "__version__",
    "load",
]


def __getattr__(name):
    """Import what takes long when it is first asked for."""
    from importlib import import_module

    if name in ("datasets", "metrics"):
        return import_module(f".{name}", __name__)
    if name == "DelayAligner":
        return import_module(".alignment", __name__).DelayAligner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
