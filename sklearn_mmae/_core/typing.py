"""What signatures say of rows, arrays and figures, whatever of it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy.typing as npt

__all__ = ["Array", "ArrayLike", "Axes", "Figure", "Names", "PathLike", "Rows", "SameContainer"]

Array: TypeAlias = npt.NDArray[Any]
ArrayLike: TypeAlias = npt.ArrayLike
Names: TypeAlias = str | Sequence[str]  # one, or some
PathLike: TypeAlias = str | os.PathLike[str]
SameContainer: TypeAlias = Any  # rows in the container of `fit`: type checkers cannot know which

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from scipy.sparse import sparray, spmatrix
    from skorch.helper import SliceDict

    class ReadInParts(Protocol):
        """Rows that are read part by part, as `Chunks` are."""

        def named(self) -> Iterator[tuple[str, Any]]:
            """Read the rows once, chunk by chunk, each with its name."""

    # A Series, too: what pandas selects by a list of names may be one to type checkers.
    Rows: TypeAlias = (
        pd.DataFrame
        | pd.Series
        | pl.DataFrame
        | SliceDict
        | ReadInParts
        | sparray
        | spmatrix
        | ArrayLike
    )
else:
    Axes = Figure = Rows = Any
