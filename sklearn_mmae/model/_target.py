"""`Target`: what `y` is, as a table that embeddings are decoded to and never made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd

from .._core.errors import CellError
from .._core.plain import check, fields
from ..modalities import TabularModality
from ..statistics import Statistics
from ..tables._cells import Cells, Column, Values, objects
from ._parts import Part

__all__ = ["Target"]

NAME = "y"
DTYPES = ("bool", "object", "int64")  # of classes
MOST_CLASSES = 20  # whole numbers of at most so many values are classes
N_STEPS = 5  # a number is also told by which of so many equal shares of the rows it is in


@dataclass
class Target:
    """The columns of `y`: numbers, each with its quantile beside it, and classes.

    That a number lies in the upper fifth is often shown by other things than how high it is
    there; so steps of it steer embeddings, too.

    Attributes
    ----------
    names : list
        Of the columns; None for one without a name.
    is_flat : bool
        Whether `y` was one-dimensional.
    classes : list of ndarray or None
        The classes of each column, in order; None for numbers.
    steps : list of ndarray or None
        Where the shares of each number begin.
    modality : TabularModality
        Of the columns, steps after numbers.
    """

    names: list
    is_flat: bool
    classes: list[np.ndarray | None] = field(default_factory=list)
    steps: list[np.ndarray | None] = field(default_factory=list)
    modality: TabularModality = field(default_factory=TabularModality)

    @classmethod
    def learn(cls, y: Any, n_rows: int, statistics: Statistics) -> tuple[Target, Values]:
        """Return the target of a fit, and its values.

        Raises
        ------
        ValueError
            If `y` is of another length, has a column without two different labels, or what is no
            number, bool or class.
        """
        frame, is_flat = _frame(y, n_rows)
        target = cls(list(frame), is_flat)
        for name, column in frame.items():
            classes = _classes(name, column)
            target.classes.append(classes)
            target.steps.append(None if classes is not None else _steps(name, column, statistics))
        cells = target._cells(frame)
        most = max([N_STEPS, *(len(classes) for classes in target.classes if classes is not None)])
        target.modality.set_params(max_categories=most)
        return target, target.modality.fit_transform(cells, statistics)

    def read(self, y: Any, n_rows: int) -> Values:
        """Return the values of other labels; raises ValueError as `learn`."""
        frame, _ = _frame(y, n_rows)
        if len(frame.columns) != len(self.names):
            raise ValueError(
                f"y has {len(frame.columns)} column(s), but that of fit has {len(self.names)}."
            )
        for (name, column), classes in zip(frame.items(), self.classes, strict=True):
            if classes is not None:
                known = column.isna() | column.isin(classes.tolist())
                if not known.all():
                    raise _error(name, "a class that fit has not seen", rows=~known)
        return self.modality.transform(self._cells(frame))

    def _cells(self, frame: pd.DataFrame) -> Cells:
        names, columns = [], []
        for place, (classes, steps) in enumerate(zip(self.classes, self.steps, strict=True)):
            column = frame.iloc[:, place]
            if classes is not None:
                columns.append(Column(_objects(column), classes.tolist()))
            else:
                numbers = column.to_numpy(np.float64, na_value=np.nan)
                columns.append(Column(numbers))
                if len(steps):
                    step = objects(np.searchsorted(steps, numbers, "right").tolist())
                    step[np.isnan(numbers)] = None
                    columns.append(Column(step, list(range(len(steps) + 1))))
            names += [(place, i) for i in range(len(columns) - len(names))]
        return Cells.of_columns(names, columns)

    @property
    def has_classes(self) -> bool:
        """Whether any column has classes."""
        return any(classes is not None for classes in self.classes)

    @property
    def all_classes(self) -> np.ndarray | list[np.ndarray]:
        """The classes; of a `y` of several columns a list of them, of those that have classes."""
        known = [classes for classes in self.classes if classes is not None]
        return known[0] if self.is_flat else known

    @property
    def _is_step(self) -> list[bool]:
        """Which columns of the modality are steps."""
        return [
            is_step
            for steps in self.steps
            for is_step in ([False] if steps is None or not len(steps) else [False, True])
        ]

    def write(self, outputs: np.ndarray) -> np.ndarray:
        """Return predicted labels, (rows,) or (rows, columns)."""
        columns = self.modality.inverse_transform(outputs)
        own = [c for c, step in zip(columns, self._is_step, strict=True) if not step]
        made = [
            column if classes is None else column.astype(classes.dtype)
            for column, classes in zip(own, self.classes, strict=True)
        ]
        return made[0] if self.is_flat else np.stack(made, 1)

    def probabilities(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Return the probabilities of the classes of each column, (rows, classes) each."""
        sizes = np.cumsum([len(self.modality.mean_), *map(len, self.modality.categories_)])
        coded = [
            step
            for step, kind in zip(self._is_step, self.modality.kinds_, strict=True)
            if kind == "category"
        ]
        return [
            _softmax(outputs[:, first:last])
            for (first, last), step in zip(pairwise(sizes), coded, strict=True)
            if not step
        ]

    # In a file -------------------------------------------------------------------------------

    def to_plain(self) -> dict:
        """Return the target as plain values."""
        part = Part(NAME, self.modality, [], self.names)
        dtypes = [None if classes is None else str(classes.dtype) for classes in self.classes]
        return {
            "part": part.to_plain(),
            "is_flat": self.is_flat,
            "classes": self.classes,
            "dtypes": dtypes,
            "steps": self.steps,
        }

    @classmethod
    def from_plain(cls, node: Any, classes: dict[str, type]) -> Self:
        """Return the target that `to_plain` gave, having checked all that a file says of it."""
        described, is_flat, known, dtypes, steps = fields(
            node, "part", "is_flat", "classes", "dtypes", "steps"
        )
        lists = all(isinstance(found, list) for found in (known, dtypes, steps))
        check(lists and len(known) == len(dtypes) == len(steps) > 0, "its target")
        check(type(is_flat) is bool and (len(known) == 1 or not is_flat), "its target")
        labels = [_labels(*pair) for pair in zip(known, dtypes, strict=True)]
        for label, step in zip(labels, steps, strict=True):
            check((label is None) == isinstance(step, np.ndarray), "its target")
            check(label is not None or (step.ndim == 1 and step.dtype == float), "its steps")
        target = cls([], is_flat, labels, steps)
        names = described.get("columns") if isinstance(described, dict) else None
        check(isinstance(names, list) and len(names) == len(known), "the columns of its target")
        n = len(target._is_step)
        part = Part.from_plain(described, [0] * len(names), n, classes)
        check(type(part.modality) is TabularModality, "its target")
        target.names, target.modality = part.columns, part.modality
        values = [
            list(range(len(step) + 1)) if label is None else label.tolist()
            for label, step in zip(labels, steps, strict=True)
            if label is not None or len(step)
        ]
        check(part.modality.categories_ == values, "the classes of its target")
        return target


def _labels(known: Any, dtype: Any) -> np.ndarray | None:
    """Return the classes that a file says a column of a target has."""
    if known is None:
        return None
    check(dtype in DTYPES and isinstance(known, list | np.ndarray), "the classes of its target")
    labels = objects(list(known)) if dtype == "object" else np.array(known, dtype)
    check(labels.ndim == 1 and len(labels) > 1, "the classes of its target")
    return labels


def _frame(y: Any, n_rows: int) -> tuple[pd.DataFrame, bool]:
    """Return the columns of y, and whether it was one-dimensional."""
    if type(y).__module__.partition(".")[0] == "polars":
        flat = type(y).__name__ == "Series"
        made = pd.DataFrame((y.to_frame() if flat else y).to_dict(as_series=False))
    else:
        try:
            n_dimensions = np.ndim(y)
        except ValueError:  # of lists of several lengths
            raise ValueError("the rows of y are not of one length. Give labels alike.") from None
        flat = n_dimensions == 1
        if not flat and n_dimensions != 2:
            raise ValueError(f"y has {n_dimensions} dimensions. Give (rows,) or (rows, columns).")
        made = pd.DataFrame(y)
    if len(made) != n_rows:
        raise ValueError(f"y has {len(made)} rows, but X has {n_rows}. Give a label for each row.")
    return made, flat


def _classes(name: Any, column: pd.Series) -> np.ndarray | None:
    """Return the classes of a column, in order, or None for numbers."""
    labels = column.dropna().infer_objects()
    if not len(labels):
        raise _error(name, "no row has a label", "Give some, or target_weight=0")
    if labels.dtype.kind in "iuf":
        if np.isinf(labels.to_numpy(np.float64)).any():
            raise _error(name, "infinity is no label", rows=column.isin([np.inf, -np.inf]))
        if not _are_counted(labels, has_holes=len(labels) < len(column)):
            return None
        values = np.unique(labels.to_numpy(np.int64))
    else:
        values = list(pd.unique(labels))
        for value in values:
            if not isinstance(value, str | bool | np.bool_ | int | np.integer):
                raise _error(
                    name, f"a {type(value).__name__} is no label", "Give numbers, bools or strings"
                )
        values = sorted(values, key=lambda value: (isinstance(value, str), value))
        are_bools = all(isinstance(value, bool | np.bool_) for value in values)
        values = np.array(values) if are_bools else objects(values)
    if len(values) < 2:
        raise _error(name, f"all labels are {values[0]!r}", "Give at least two classes")
    if len(values) == len(labels) > 2:
        raise _error(name, "no class occurs twice", "Give numbers as numbers, or fewer classes")
    return values


def _are_counted(numbers: pd.Series, has_holes: bool) -> bool:
    """Whether numbers are classes: whole ones of few values.

    Floats are meant as numbers, unless they are whole ones that missing values have made floats.
    """
    if not pd.api.types.is_integer_dtype(numbers) and not has_holes:
        return False
    values = np.unique(numbers.to_numpy(np.float64))
    return len(values) <= MOST_CLASSES and bool((values == np.round(values)).all())


def _steps(name: Any, column: pd.Series, statistics: Statistics) -> np.ndarray:
    """Return where the upper shares of a column of numbers begin, those that differ."""
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    shares = np.arange(N_STEPS) / N_STEPS
    low, *edges = statistics.quantile(f"{name}: steps", numbers, shares)
    edges = np.unique(edges)
    return edges[edges > low]


def _objects(column: pd.Series) -> np.ndarray:
    """Return cells as objects, None where missing."""
    cells = column.astype(object).to_numpy(copy=True)
    cells[column.isna()] = None
    return cells


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return exponential / exponential.sum(1, keepdims=True)


def _error(name: Any, problem: str, remedy: str = "", rows: Any = None) -> ValueError:
    column = None if name is None or name == 0 else name
    where = None if rows is None else np.flatnonzero(rows).tolist()
    return CellError(f"y: {problem}", remedy=remedy, column=column, row=where)
