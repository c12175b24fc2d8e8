"""What a modality of your own is made of: cells it gets, values it hands over, what it shows."""

from .modalities._shown import Clips, Pictures, Shown, Signals, Sounds, Tables, Texts, Words
from .tables import Cells, Values, observed

__all__ = [
    "Cells",
    "Clips",
    "Pictures",
    "Shown",
    "Signals",
    "Sounds",
    "Tables",
    "Texts",
    "Values",
    "Words",
    "observed",
]
