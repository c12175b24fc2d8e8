"""`TabularModality`: cells, modality and network."""

from ._modality import TabularModality

__all__ = ["TabularModality"]
