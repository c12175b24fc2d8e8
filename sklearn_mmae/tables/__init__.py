"""Containers of rows, read and written: pandas, polars, arrays, sparse matrices, SliceDict."""

from .._core.holes import observed
from ._cells import Cells, Values
from ._chunks import Chunks
from ._columns import Columns
from ._table import Table, count_rows, read, read_schema

__all__ = [
    "Cells",
    "Chunks",
    "Columns",
    "Table",
    "Values",
    "count_rows",
    "observed",
    "read",
    "read_schema",
]
