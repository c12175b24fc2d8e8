"""`SequenceModality`: cells, modality and network."""

from ._modality import SequenceModality

__all__ = ["SequenceModality"]
