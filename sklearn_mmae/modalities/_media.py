"""`MediaModality`: what images, sounds, clips and signals have in common.

Their cells are things of their own, dear to read: each is described first (its size, rate, length),
which says how all of them are to be read.
"""

from __future__ import annotations

import inspect
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from joblib import Memory

from .._core.errors import CellError, listing, locate
from .._core.values import are_floats, is_positive
from ..statistics import PLAIN, Statistics
from ..tables._cells import Cells, Values
from ._arrays import some_cells
from ._base import Modality, TimedModality
from ._files import find_memory, read_each, read_facts, remembered
from ._private import OF_LENGTHS, ColumnSums, private_lengths

__all__ = [
    "FileModality",
    "MediaModality",
    "TimedMediaModality",
    "are_means",
    "are_units",
    "is_count",
    "looked_at",
    "mostly",
    "with_lengths",
]

BYTE = 127.5  # half of what a byte may hold


class MediaModality(Modality):
    """A modality whose cells are described, and then read, one by one.

    Attributes
    ----------
    noun : str
        What a cell is, for errors.
    """

    noun: ClassVar[str]

    def fit(self, cells: Cells, statistics: Statistics = PLAIN) -> Self:
        """Learn how cells are to be read, their mean and their spread; see `Modality.fit`."""
        self.fit_transform(cells, statistics)
        return self

    def fit_transform(self, cells: Cells, statistics: Statistics = PLAIN) -> Values:
        """Fit, and return the same cells as `Values`, each read once."""
        self.check_parameters()
        with locate(column=cells.names[0] if len(cells.names) == 1 else listing(cells.names)):
            return self._learn(cells, statistics)

    @abstractmethod
    def _learn(self, cells: Cells, statistics: Statistics) -> Values:
        """Set what is learned of the rows, and return them; errors need not name the column."""

    def learned(self) -> set[str]:
        """Return the names of what `fit` learns, for `load`: attributes that classes declare."""
        declared = {name for cls in type(self).__mro__ for name in inspect.get_annotations(cls)}
        return {name for name in declared - {*dir(type(self))} if name.endswith("_")}

    def _nothing(self) -> CellError:
        return CellError(f"no {self.noun} in any row", remedy="Leave this column out")

    def _check_count(self, name: str) -> None:
        """Refuse a parameter that is no whole number above 0."""
        value = getattr(self, name)
        if not is_count(value):
            raise ValueError(f"{name}={value!r}: give a whole number above 0.")

    def _check_number(self, name: str) -> None:
        """Refuse a parameter that is neither None nor a number above 0."""
        value = getattr(self, name)
        if not (value is None or is_positive(value)):
            raise ValueError(f"{name}={value!r}: give None, or a number above 0.")

    def _check_choice(self, name: str, choices: Sequence[str]) -> None:
        """Refuse a parameter that is none of some strings."""
        value = getattr(self, name)
        if value not in choices:
            raise ValueError(f"{name}={value!r}: give one of {listing(map(repr, choices))}.")


class FileModality(MediaModality):
    """A `MediaModality` of one column, whose cells may be files.

    Attributes
    ----------
    otherwise : str
        What else may be done about several columns, the end of a sentence.
    """

    otherwise: ClassVar[str] = ""
    root: str | os.PathLike | None
    memory: str | os.PathLike | Memory | None
    on_error: str = "raise"

    def _only_column(self, cells: Cells) -> tuple[Any, np.ndarray]:
        """Return the name and the cells of the one column."""
        if len(cells.names) != 1:
            raise CellError(
                f"{len(cells.names)} columns for one {self.noun}",
                column=listing(cells.names),
                remedy=f"Give each column of {self.noun}s a modality of its own{self.otherwise}",
            )
        return cells.names[0], cells.columns[0]

    def _facts(self, cells: Cells, describe: Callable[..., Any], **settings: Any) -> dict[int, Any]:
        """Return what a first look at each cell says, by row."""
        read = remembered(describe, self.memory, self.root)
        named = self._only_column(cells)
        return read_facts(*named, lambda cell: read(cell, **settings), self.on_error)

    def _read(
        self, cells: Cells, decode: Callable[..., Any], **settings: Any
    ) -> Iterator[tuple[int, Any]]:
        """Yield the row and what it holds, of each cell that is observed and can be read."""
        read = remembered(decode, self.memory, self.root)
        named = self._only_column(cells)
        return read_each(*named, lambda cell: read(cell, **settings), self.on_error)

    def _check_reading(self) -> None:
        """Refuse parameters that say nothing about how to read."""
        self._check_choice("on_error", ("raise", "missing"))
        if not (self.root is None or isinstance(self.root, str | os.PathLike)):
            raise ValueError(f"root={self.root!r}: give None or the path of a folder.")
        find_memory(self.memory)  # raises for what is no memory


class TimedMediaModality(MediaModality, TimedModality):
    """A `MediaModality` whose cells go on in time, for a `StepsNetwork`."""

    mask: float

    def shortest(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions of one step each, which their last column says."""
        return np.column_stack([predictions[:, :-1], np.ones(len(predictions))])

    def _ask_of_steps(
        self, steps: np.ndarray, length: np.ndarray, statistics: Statistics
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Learn lengths privately; return mean and variance of each number, and in which share.

        Parameters
        ----------
        steps : ndarray of shape (rows, numbers)
            From -1 to 1; NaN where missing.
        length : ndarray of shape (rows,)
            0 where the row is missing.
        statistics : Statistics
        """
        sums = ColumnSums.ask(steps, [], statistics, share=1 - OF_LENGTHS)
        lengths = private_lengths(length, self.n_steps_, sums.n_present, statistics)
        self.log_length_, self.log_length_scale_ = lengths
        return sums.mean, sums.variance, np.minimum(sums.counts / sums.n_present, 1)

    def _learn_levels(
        self, levels: np.ndarray, length: np.ndarray, statistics: Statistics
    ) -> np.ndarray:
        """Learn lengths and scale of rows of levels from 0 to 255 privately; return their mean."""
        mean, variance, share = self._ask_of_steps(levels / BYTE - 1, length, statistics)
        self.scale_ = BYTE * math.sqrt((share * variance).sum())
        return (BYTE * (mean + 1)).astype(np.float32)

    def _steps_settings(self) -> dict[str, Any]:
        """Return what a `StepsNetwork` is told of the data."""
        return {
            "longest": self.n_steps_,
            "scale": self.scale_,
            "log_length": self.log_length_,
            "log_length_scale": self.log_length_scale_,
            "mask": float(self.mask),
        }

    def _lengths_are_sound(self, most: float) -> bool:
        """Whether mean and deviation of the log of the lengths can be those of 1 to `most`."""
        numbers = (self.log_length_, self.log_length_scale_)
        return all(isinstance(x, float) and 0 <= x <= math.log(most) + 1e-6 for x in numbers)


def looked_at(column: np.ndarray, question: Callable[[Any], bool | None]) -> list[bool | None]:
    """Ask a question of some cells of a column of objects or paths; none of any other.

    Strings of nothing are not asked: they may be meant as missing values.
    """
    if column.ndim != 1 or column.dtype.kind not in "OU":
        return []
    cells = some_cells(column)
    return [question(c) for c in cells if not (isinstance(c, str) and not c.strip())]


def mostly(answers: Sequence[bool | None]) -> bool:
    """Whether most of some answers are yes: the others are then cells that cannot be read."""
    return 2 * sum(map(bool, answers)) > len(answers)


def with_lengths(predictions: np.ndarray, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return predictions whose last column is the length of the row, where there is one."""
    predictions, length = predictions.copy(), np.asarray(tensors["length"])
    predictions[length > 0, -1] = length[length > 0]
    return predictions


def is_count(value: Any) -> bool:
    """Whether a parameter is a whole number above 0."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0


def are_means(value: Any, n: int) -> bool:
    """Whether a value from a file is an array of `n` means."""
    return are_floats(value, n) and value.dtype == np.float32


def are_units(value: Any) -> bool:
    """Whether a value from a file says what stands for white in some kinds of numbers."""
    kinds = {"float", "integer", "16-bit"}
    return (
        isinstance(value, dict) and value.keys() <= kinds and all(map(is_positive, value.values()))
    )
