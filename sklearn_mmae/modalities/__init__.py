"""One class, one file per modality; each joins cells, networks and a deviance."""

from ._audio import AudioModality
from ._base import Modality, TimedModality
from ._image import ImageModality
from ._sequence import SequenceModality
from ._tabular import TabularModality
from ._text import TextModality
from ._video import VideoModality

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
