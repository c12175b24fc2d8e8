"""`AudioModality`: cells, modality and network."""

from ._modality import AudioModality

__all__ = ["AudioModality"]
