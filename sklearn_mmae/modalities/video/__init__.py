"""`VideoModality`: cells, modality and network."""

from ._modality import VideoModality

__all__ = ["VideoModality"]
