"""What the two ends of a modality exchange: `Cells` from the user, `Values` for the network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Cells", "Values"]


@dataclass(frozen=True)
class Cells:
    """The columns of one modality.

    Attributes
    ----------
    names : tuple
        Column names, or positions where the input had none.
    columns : tuple of ndarray, each of shape (rows, ...)
        One array per column: numbers, bools, ``datetime64``, objects (str, paths, PIL pictures,
        arrays, None) or, for pictures in memory, an array (rows, height, width[, channels]).
    matrix : ndarray of shape (rows, columns) or None
        The same numbers as one block, where the input was one: a view of the user's memory,
        never to be written to.
    categories : dict of name to list
        Columns that the input itself declares categorical, with their values in order.
    """

    names: tuple
    columns: tuple
    matrix: np.ndarray | None = None
    categories: dict = field(default_factory=dict)

    @classmethod
    def of_matrix(cls, names, matrix):
        """Wrap a block of numbers without copying it."""
        return cls(tuple(names), tuple(matrix.T), matrix)

    def __len__(self):
        return len(self.columns[0] if self.matrix is None else self.matrix)

    def __iter__(self):
        return zip(self.names, self.columns, strict=True)


@dataclass(frozen=True)
class Values:
    """Cells as compact arrays, one row each.

    Attributes
    ----------
    tensors : dict of str to ndarray of shape (rows, ...)
        Finite numbers only, also in the holes; as small as they come (pictures stay uint8).
    present : ndarray of shape (rows,), bool
        Rows in which anything at all of the modality was observed.
    """

    tensors: dict
    present: np.ndarray
