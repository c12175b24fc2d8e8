"""Numpy in, numpy out: files, bytes and cells of any kind to arrays and back. Knows no torch."""

from .._core.holes import observed
from ._base import Cells, Values

__all__ = ["Cells", "Values", "observed"]
