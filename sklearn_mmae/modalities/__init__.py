"""One class, one file per modality; each joins cells, networks and a deviance."""

from ._base import Modality, TimedModality
from .audio import AudioModality
from .image import ImageModality
from .sequence import SequenceModality
from .tabular import TabularModality
from .text import TextModality
from .video import VideoModality

__all__ = [
    "AudioModality",
    "ImageModality",
    "Modality",
    "SequenceModality",
    "TabularModality",
    "TextModality",
    "TimedModality",
    "VideoModality",
]
