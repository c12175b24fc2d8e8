"""What a modality of your own is made of: the cells it gets, the values it hands over."""

from ._core.holes import observed
from .tables._cells import Cells, Values

__all__ = ["Cells", "Values", "observed"]
