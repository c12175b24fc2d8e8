"""PCA for messy, multimodal rows: tables, texts, images, sounds, video clips and signals."""

from typing import TYPE_CHECKING

from . import modalities
from ._core.errors import CellError, ConvergenceError, DataWarning, ModelFileError, PrivacyError
from .estimators import MultimodalAutoencoder, MultimodalImputer, MultimodalVAE, load
from .fusion import Fusion
from .modalities import *  # noqa: F403
from .objectives import Objective
from .privacy import Privacy
from .tables import Chunks

__version__ = "0.1.0"

__all__ = [
    "CellError",
    "Chunks",
    "ConvergenceError",
    "DataWarning",
    "DelayAligner",
    "Fusion",
    "ModelFileError",
    "MultimodalAutoencoder",
    "MultimodalImputer",
    "MultimodalVAE",
    "Objective",
    "Privacy",
    "PrivacyError",
    "__version__",
    "load",
]
__all__ += modalities.__all__

if TYPE_CHECKING:  # what type checkers and editors see of what is imported late
    from . import datasets as datasets
    from . import displays as displays
    from . import metrics as metrics
    from .alignment import DelayAligner
else:

    def __getattr__(name: str):
        """Import what takes long when it is first asked for."""
        from importlib import import_module

        if name in ("datasets", "displays", "metrics"):
            return import_module(f".{name}", __name__)
        if name == "DelayAligner":
            return import_module(".alignment", __name__).DelayAligner
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is there, imported or not."""
    return sorted({*globals(), *__all__, "datasets", "displays", "metrics"})
