"""A folder for each modality, which joins cells, networks and a deviance; and the list of them."""

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

# The order in which "auto" offers a column. A moving GIF is a clip, any other a picture.
BUILTIN = (
    *(VideoModality, ImageModality, AudioModality, SequenceModality),
    *(TabularModality, TextModality),
)
