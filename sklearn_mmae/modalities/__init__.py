"""One class, one file per modality; each joins cells, networks and a deviance."""

from ._base import Modality
from ._image import ImageModality
from ._tabular import TabularModality
from ._text import TextModality
from ._video import VideoModality

__all__ = ["ImageModality", "Modality", "TabularModality", "TextModality", "VideoModality"]
