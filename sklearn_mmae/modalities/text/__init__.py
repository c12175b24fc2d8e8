"""`TextModality`: cells, modality and network."""

from ._modality import TextModality

__all__ = ["TextModality"]
