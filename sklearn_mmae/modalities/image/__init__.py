"""`ImageModality`: cells, modality and network."""

from ._modality import ImageModality

__all__ = ["ImageModality"]
