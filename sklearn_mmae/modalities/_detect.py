"""``modalities="auto"``: which kind each column is, asked of each built-in one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.errors import CellError, listing, warn
from ..tables._cells import Column, sort_of
from ..tables._table import Table
from . import BUILTIN, TabularModality, TextModality
from ._arrays import LOOKED_AT
from ._base import Modality
from ._doubts import cannot_tell, unread_files
from .tabular._cells import are_identifiers, find_doubt

__all__ = ["detect"]

OF_TABLES = (TabularModality, TextModality)
NO_MEDIA = {"number", "bool", "date"}


def detect(table: Table) -> list[tuple[str, Modality, list[int]]]:
    """Decide the modality of each column.

    Parameters
    ----------
    table : Table

    Returns
    -------
    list of (str, Modality, list of int)
        All columns of a table as one modality, each other column as one of its own. Strings that
        name their rows, such as hashes, are left out.

    Raises
    ------
    CellTypeError
        For a column that no modality accepts, with what to write instead.
    ValueError
        If no column is left.

    Warns
    -----
    DataWarning
        For a column that is left out, or that may be another thing than it is taken for, such as
        names of files that are not there.
    """
    if table.matrix is not None:
        return [("tabular", TabularModality(), list(range(len(table.names))))]
    places, single, left_out, unread = [], [], [], {}
    for place, name in enumerate(table.names):
        column = table.column(place)
        if column.values.ndim == 2 and column.values.dtype.kind in "biuf":  # in a SliceDict
            single.append((str(name), TabularModality(), [place]))
            continue
        accepting = _accepting(name, column)
        files = unread_files(name, column) if accepting in OF_TABLES else ""
        if files:
            unread[name] = files
        elif accepting in OF_TABLES:
            _say_doubt(name, column)
        if accepting in OF_TABLES and _names_rows(column):
            left_out += [] if files else [name]
        elif accepting is TabularModality:
            places.append(place)
        else:
            single.append((str(name), accepting(), [place]))
    found = [("tabular", TabularModality(), places)] if places else []
    _say_unread(unread, bool(found or single))
    _say_left_out(left_out, bool(found or single))
    return found + single


def _names_rows(column: Column) -> bool:
    """Whether cells are strings that tell rows apart, and nothing else of them."""
    strings = column.categories is None and {sort_of(t) for t in column.types} == {"category"}
    return strings and column.once(are_identifiers)


def _say_doubt(name: Any, column: Column) -> None:
    doubt = column.once(find_doubt) if column.categories is None else ""
    if doubt:
        warn(f"column {name!r}: {doubt}.")


def _say_unread(unread: dict[Any, str], any_left: bool) -> None:
    for name, problem in unread.items():
        if not any_left:
            raise CellError(problem, column=name)
        warn(f"column {name!r}: {problem}.")


def _say_left_out(names: list, any_left: bool) -> None:
    if not names:
        return
    told = (
        f"column {listing(map(repr, names))}: strings of one word that hardly repeat, as those that"
        " name the rows,"
    )
    remedy = (
        f" modalities=[..., ({str(names[0])!r}, TextModality(), [{names[0]!r}])], in which all"
        " columns to be used are listed."
    )
    if not any_left:
        raise ValueError(
            f"{told} and no other column to learn from. To learn from them all the"
            f" same, give{remedy}"
        )
    warn(f"{told} are left out. To keep them, give{remedy}")


def _accepting(name: Any, column: Column) -> type[Modality]:
    """Return the class that a column is for."""
    if column.categories is not None:
        return TabularModality
    asked = BUILTIN
    if column.values.ndim == 1 and {sort_of(kind) for kind in column.types} <= NO_MEDIA:
        asked = OF_TABLES
    accepting = next((m for m in asked if m.accepts(name, _shown(column, m))), None)
    if accepting is None:
        raise cannot_tell(name, column)
    return accepting


def _shown(column: Column, modality: type[Modality]) -> Column | np.ndarray:
    """Return what a class is asked about: for media some cells, which is as many as it looks at."""
    if modality in OF_TABLES:
        return column
    if column.values.ndim > 1:
        return column.values
    rows = np.flatnonzero(column.observed)
    some = np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)
    return column.values[rows[some]]
