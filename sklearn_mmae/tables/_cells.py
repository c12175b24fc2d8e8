"""What the two ends of a modality exchange: `Cells` from the user, `Values` for the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy import sparse

from .._core.compat import cached_property
from .._core.errors import CellError
from .._core.holes import observed

__all__ = ["Cells", "Column", "Values", "is_zone", "objects", "sort_of"]

Answer = TypeVar("Answer")

_SORTS = (
    ("bool", (bool, np.bool_)),
    ("number", (int, float, np.integer, np.floating, Decimal)),
    ("date", (date, np.datetime64)),
    ("category", (str,)),
)


def sort_of(kind: type) -> str | None:
    """Say what cells of a type are: "bool", "number", "date" or "category"; None for others."""
    return next((sort for sort, types in _SORTS if issubclass(kind, types)), None)


def objects(cells: list) -> np.ndarray:
    """Return cells as an array of objects; slice assignment would unpack lists of equal length."""
    column = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return column


class Column:
    """The cells of one column, and what a look at them has told: each is looked at once.

    Parameters
    ----------
    values : ndarray of shape (rows, ...)
    categories : list, optional
        The values in order, where the input itself declares them.
    zone : str, optional
        Of ``datetime64`` that are instants (in UTC), where the input shows them.
    """

    def __init__(
        self, values: np.ndarray, categories: list | None = None, zone: str | None = None
    ) -> None:
        self.values = values
        self.categories = categories
        self._zone = zone
        self._answers: dict[tuple, Any] = {}

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def observed(self) -> np.ndarray:
        """Where the column holds something, (rows,) bool."""
        return observed(self.values)

    @cached_property
    def types(self) -> frozenset[type]:
        """The types of the observed objects; none for an array of numbers, bools or dates."""
        if self.values.dtype.kind not in "OUT" or self.values.ndim > 1:
            return frozenset()
        return frozenset(map(type, self.values[self.observed].tolist()))

    @cached_property
    def zone(self) -> str | None:
        """The time zone of instants, also of objects; None for days and times of no zone."""
        if any(issubclass(kind, datetime) for kind in self.types):
            return self._zone_of_objects()
        return self._zone

    def _zone_of_objects(self) -> str | None:
        rows = np.flatnonzero(self.observed)
        zones = [getattr(cell, "tzinfo", None) for cell in self.values[rows].tolist()]
        with_zone = np.array([zone is not None for zone in zones])
        if not with_zone.any():
            return None
        if not with_zone.all():
            raise CellError(
                "times with a time zone and without one do not go together",
                row=sorted([int(rows[with_zone.argmax()]), int(rows[with_zone.argmin()])]),
                remedy="Give all of them with a time zone, or all without one",
            )
        names = {str(zone) for zone in zones}
        return names.pop() if len(names) == 1 and is_zone(next(iter(names))) else "UTC"

    @classmethod
    def of(cls, column: Column | np.ndarray) -> Column:
        """Return a column, also of a plain array."""
        return column if isinstance(column, cls) else cls(np.asarray(column))

    def once(self, question: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return what a function makes of this column; of the same arguments only once."""
        asked = (question, *arguments)
        if asked not in self._answers:
            self._answers[asked] = question(self, *arguments)
        return self._answers[asked]


def is_zone(name: str) -> bool:
    """Whether a text names a time zone to pandas; files and the machine's own zone do not."""
    if name.startswith(("dateutil", "tzlocal")):
        return False
    try:
        pd.Timestamp(0, tz="UTC").tz_convert(name)
    except Exception:  # each maker of time zones raises its own
        return False
    return True


@dataclass(frozen=True)
class Cells:
    """The columns of one modality.

    Attributes
    ----------
    names : tuple
        Column names, or positions where the input had none.
    columns : tuple of ndarray, each of shape (rows, ...)
        One array per column: numbers, bools, ``datetime64`` (instants in UTC), objects (str, paths,
        PIL images, arrays, None) or, for images in memory, an array (rows, height, width[,
        channels]).
    matrix : ndarray of shape (rows, columns) or None
        The same numbers as one block, where the input was one: a view of the user's memory,
        never to be written to.
    categories : dict of name to list
        Columns that the input itself declares categorical, with their values in order.
    """

    names: tuple
    columns: tuple[np.ndarray, ...]
    matrix: np.ndarray | None = None
    categories: dict[Any, list] = field(default_factory=dict)

    @classmethod
    def of_matrix(cls, names: Any, matrix: np.ndarray) -> Cells:
        """Wrap a block of numbers without copying it."""
        return cls(tuple(names), tuple(matrix.T), matrix)

    @classmethod
    def of_columns(cls, names: Any, columns: list[Column]) -> Cells:
        """Wrap columns, with what is already known of them."""
        known = zip(names, columns, strict=True)
        categories = {name: c.categories for name, c in known if c.categories is not None}
        cells = cls(tuple(names), tuple(c.values for c in columns), categories=categories)
        vars(cells)["looked_at"] = tuple(columns)
        return cells

    def __len__(self) -> int:
        return len(self.columns[0] if self.matrix is None else self.matrix)

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray]]:
        return zip(self.names, self.columns, strict=True)

    @cached_property
    def looked_at(self) -> tuple[Column, ...]:
        """The columns as `Column`: each finds what is asked of it once."""
        return tuple(Column(values, self.categories.get(name)) for name, values in self)

    @property
    def observed(self) -> tuple[np.ndarray, ...]:
        """Where each column holds something, (rows,) bool."""
        return tuple(column.observed for column in self.looked_at)


@dataclass(frozen=True)
class Values:
    """Cells as compact arrays, one row each.

    Attributes
    ----------
    tensors : dict of str to ndarray of shape (rows, ...) or csr_array of shape (rows, columns)
        Finite numbers only, also where missing; as small as they come (images stay uint8). To the
        network a sparse array is two, padded with 0 to the batch's longest row: its numbers, under
        its name, and their columns, under the same with ``_at``.
    present : ndarray of shape (rows,), bool
        Rows in which anything at all of the modality was observed.
    """

    tensors: dict[str, np.ndarray | sparse.csr_array]
    present: np.ndarray

    @property
    def nbytes(self) -> int:
        """What the arrays take."""
        arrays = []
        for array in self.tensors.values():
            arrays += [array.data, array.indices] if sparse.issparse(array) else [array]
        return sum(array.nbytes for array in arrays)

    def take(self, rows: np.ndarray) -> Values:
        """Return some rows, by their numbers."""
        tensors = {name: array[rows] for name, array in self.tensors.items()}
        return Values(tensors, self.present[rows])
