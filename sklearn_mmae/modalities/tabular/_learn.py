"""`LearnsColumns`: what the columns of a table are taken for, and what is learned of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from ..._core.errors import listing, locate, warn
from ...statistics import PLAIN, Statistics
from ...statistics._factors import Expectation
from ...statistics._questions import BLOCK
from ...tables._cells import Cells, Column
from .._base import Modality
from .._private import ColumnSums
from ._cells import as_floats, check_bools, check_finite, codes_of, come_back_as, kind_of
from ._public import bounds_of, check_columns, public_dtype, public_kind

__all__ = ["LearnsColumns", "any_nan"]

MANY_ALIKE = 16  # so many columns of one range are taken for pixels or other counts of one unit


class LearnsColumns(Modality):
    """A modality that finds kinds, scales and categories of columns; see `TabularModality`."""

    max_categories: int
    scale: str
    bounds: tuple | dict[Any, tuple] | None
    categories: dict[Any, list] | None

    kinds_: list[str]
    dtypes_: list[str]
    scaling_: str
    mean_: np.ndarray
    scale_: np.ndarray
    n_observed_: np.ndarray
    categories_: list[list]
    shared_: list[int]
    counts_: list[np.ndarray]
    weight_: float
    loadings_: np.ndarray
    noise_: np.ndarray

    @property
    def shares_(self) -> list[np.ndarray]:
        """Relative frequency of each category, per categorical column."""
        return [counts / max(counts.sum(), 1) for counts in self.counts_]

    def fit(self, cells: Cells, statistics: Statistics = PLAIN) -> Self:
        """Learn kinds, scales and categories.

        Parameters
        ----------
        cells : Cells
        statistics : Statistics, default=PLAIN
            What is asked about the rows.

        Returns
        -------
        self
        """
        self.check_parameters()
        check_columns(self.bounds, self.categories, cells.names)
        if statistics.is_private:
            return self._fit_privately(cells, statistics)
        self._find_kinds(cells)
        found = tuple(self.kinds_), tuple(self.dtypes_)
        self.kinds_, self.dtypes_ = map(list, statistics.agreed("kinds", found))
        numbers, coded = self._numbers(cells), list(self._coded(cells))
        present = _present(numbers)
        with statistics.together():
            self.n_observed_, self.mean_, variance = statistics.moments("numbers", numbers)
            ranges = self._ranges(numbers, statistics)
            frequent = [
                self._frequent(name, column, cells.categories.get(name), statistics)
                for name, column in coded
            ]
            n_of_rows = None if coded else _count(present, statistics)
        self.scaling_, self.scale_ = self._learn_scale(variance, ranges)
        weight = (self.n_observed_ * variance / self.scale_**2).sum()
        names = self._names(cells, "number", "date")
        empty = [name for name, n in zip(names, self.n_observed_, strict=True) if not n]

        known = [
            self._learn_categories(name, values, cells.categories.get(name))
            for (name, _), values in zip(coded, frequent, strict=True)
        ]
        self.categories_, self.shared_ = (
            [values for values, _ in known],
            [last for _, last in known],
        )
        codes = [
            codes_of(column, *found)[0] for (_, column), found in zip(coded, known, strict=True)
        ]
        present |= np.any([code >= 0 for code in codes], 0)
        with statistics.together():
            self.counts_ = [
                statistics.counts(f"{name}: categories", code, len(values))
                for (name, _), code, (values, _) in zip(coded, codes, known, strict=True)
            ]
            n_absent, n_present = _count(present, statistics) if coded else n_of_rows
        weight += sum(counts.sum() for counts in self.counts_ if (counts > 0).sum() > 1)
        empty += [
            name for (name, _), counts in zip(coded, self.counts_, strict=True) if not counts.any()
        ]
        self.weight_ = float(weight) / max(n_present, 1) or 1.0
        codes = np.stack(codes, 1) if codes else np.empty((len(cells), 0), np.int32)
        n_rows = int(n_absent + n_present)
        observed = [*self.n_observed_, *(counts.sum() for counts in self.counts_)]
        has_holes = min(observed, default=n_rows) < n_rows
        about = self.mean_, self.scale_, self.shares_, n_rows, has_holes
        learned = Expectation.learn(numbers, codes, *about, statistics)
        self.loadings_, self.noise_ = learned.loadings, learned.noise
        if empty:
            warn(
                f"column {listing(map(repr, empty))}: no cell is observed. Nothing can be learned"
                " of it, and it will come back empty."
            )
        return self

    def _find_kinds(self, cells: Cells) -> None:
        """Look at what each column holds, and as what it comes back."""
        if cells.matrix is not None and not self.categories:
            self.kinds_ = ["number"] * len(cells.names)
            self.dtypes_ = [str(cells.matrix.dtype)] * len(cells.names)
            return
        self.kinds_, self.dtypes_ = [], []
        for name, column in zip(cells.names, cells.looked_at, strict=True):
            with locate(column=name):
                given = name in (self.categories or {})
                self.kinds_.append("category" if given else column.once(kind_of))
                self.dtypes_.append(come_back_as(column, self.kinds_[-1]))

    def _fit_privately(self, cells: Cells, statistics: Statistics) -> Self:
        """Learn scales and shares of categories from one sum of rows; the rest is public."""
        known = list(zip(cells.names, cells.looked_at, strict=True))
        self.kinds_ = [public_kind(*each, self.bounds, self.categories) for each in known]
        self.dtypes_ = [public_dtype(c, k) for (_, c), k in zip(known, self.kinds_, strict=True)]
        low, high = self._bounds(cells.names)
        middle, half = (low + high) / 2, (high - low) / 2
        numbers = (self._numbers(cells).astype(np.float64) - middle) / half
        self.categories_ = [
            [False, True] if kind == "bool" else list(self.categories[name])
            for name, kind in zip(cells.names, self.kinds_, strict=True)
            if kind in ("bool", "category")
        ]
        indicators = [
            codes_of(column, values)[0][:, None] == np.arange(len(values))
            for (_, column), values in zip(self._coded(cells), self.categories_, strict=True)
        ]
        sums = ColumnSums.ask(numbers, indicators, statistics)
        variance = sums.variance * half**2
        self.n_observed_, self.mean_ = sums.counts, middle + half * sums.mean
        self.shared_ = [-1] * len(self.categories_)
        sizes = np.cumsum([len(values) for values in self.categories_])[:-1]
        self.counts_ = np.split(sums.categories, sizes) if indicators else []
        self.scaling_, self.scale_ = self._learn_scale(variance, np.stack([low, high], 1))
        weight = (sums.counts * variance / self.scale_**2).sum()
        weight += sum(counts.sum() for counts in self.counts_ if len(counts) > 1)
        self.weight_ = float(weight / sums.n_present)
        width = len(middle) + sum(map(len, self.categories_))
        self.loadings_, self.noise_ = np.zeros((width, 0)), np.ones(width)
        return self

    @property
    def _is_number(self) -> np.ndarray:
        """Which of the numbers and dates are numbers."""
        return np.array([k == "number" for k in self.kinds_ if k in ("number", "date")], bool)

    def _ranges(self, numbers: np.ndarray, statistics: Statistics) -> np.ndarray | None:
        """Return the smallest and the largest of each, where they are to decide how to scale."""
        if self.scale != "auto" or self._is_number.sum() < MANY_ALIKE:
            return None
        return statistics.quantile("ranges", numbers, np.array([0, 1]))

    def _learn_scale(
        self, variance: np.ndarray, ranges: np.ndarray | None
    ) -> tuple[str, np.ndarray]:
        """Return the kind of scaling, and what each number or date is divided by."""
        is_number = self._is_number
        varies = is_number & (variance > 0)
        scaling = self.scale
        if scaling == "auto":
            scaling = "column" if ranges is None or not _are_alike(ranges[varies]) else "common"
        scale = np.sqrt(np.where(variance > 0, variance, 1))
        if scaling == "common" and varies.any():
            scale[is_number] = np.sqrt(variance[varies].mean())
        return scaling, scale

    def _frequent(
        self, name: Any, column: Column, declared: list | None, statistics: Statistics
    ) -> list:
        """Return the values of a column, the most frequent first; none if few are declared."""
        given = name in (self.categories or {})
        if given or (declared is not None and len(declared) <= self.max_categories):
            return []
        values = column.values[column.observed].tolist()
        return list(statistics.frequent(f"{name}: values", values))

    def _learn_categories(
        self, name: Any, frequent: list, declared: list | None
    ) -> tuple[list, int]:
        """Return a column's values in order of their codes, and which of them rarer ones share."""
        if name in (self.categories or {}):
            return list(self.categories[name]), -1
        if declared is not None and len(declared) <= self.max_categories:
            return list(declared), -1
        known = _sorted(frequent) if declared is None else list(declared)
        if len(known) <= self.max_categories:
            return known, -1
        kept = set(frequent[: self.max_categories])
        known = [value for value in known if value in kept]
        if len(frequent) <= self.max_categories:
            return known, -1
        warn(
            f"column {name!r}: {len(frequent)} categories, of which the {len(kept) - 1} most"
            " frequent are kept, and the others share one. Raise max_categories, or make it a"
            " TextModality."
        )
        return known, known.index(frequent[self.max_categories - 1])

    def _bounds(self, names: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of numbers and dates, infinite where there are none."""
        found = [
            bounds_of(self.bounds, name, kind, dtype) or (-np.inf, np.inf)
            for name, kind, dtype in zip(names, self.kinds_, self.dtypes_, strict=True)
            if kind in ("number", "date")
        ]
        low, high = np.array(found, np.float64).reshape(-1, 2).T
        return low, high

    def _names(self, cells: Cells, *kinds: str) -> list:
        return [n for n, kind in zip(cells.names, self.kinds_, strict=True) if kind in kinds]

    def _coded(self, cells: Cells) -> Iterator[tuple[Any, Column]]:
        """Yield the name and cells of each bool or categorical column."""
        for name, column, kind in zip(cells.names, cells.looked_at, self.kinds_, strict=True):
            if kind == "bool":
                with locate(column=name):
                    check_bools(column)
            if kind in ("bool", "category"):
                yield name, column

    def _numbers(self, cells: Cells) -> np.ndarray:
        """Return the numbers and dates as one float array; the input's own memory if it can be."""
        if cells.matrix is not None:
            if any(kind != "number" for kind in self.kinds_):
                return self._numbers(type(cells)(cells.names, cells.columns))
            numbers = cells.matrix
            if numbers.dtype.kind != "f":
                numbers = numbers.astype(np.float64)
            numbers = self._within_bounds(numbers, cells.names)
            check_finite(numbers, cells.names)
            return numbers
        names, parts = [], []
        columns = zip(cells.names, cells.looked_at, self.kinds_, self.dtypes_, strict=True)
        for name, column, kind, dtype in columns:
            if kind in ("number", "date"):
                names.append(name)
                with locate(column=name):
                    parts.append(column.once(as_floats, kind, dtype))
        numbers = np.stack(parts, 1) if parts else np.empty((len(cells), 0))
        numbers = self._within_bounds(numbers, cells.names)
        check_finite(numbers, names)
        return numbers

    def _within_bounds(self, numbers: np.ndarray, names: Sequence) -> np.ndarray:
        """Return numbers moved to the nearest bound, if there are any; NaN is a missing value."""
        if self.bounds is None:
            return numbers
        low, high = self._bounds(names)
        return np.clip(numbers, low.astype(numbers.dtype), high.astype(numbers.dtype))


def _sorted(values: list) -> list:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (str(type(value)), str(value)))


def _are_alike(ranges):
    """Whether many columns vary, and most of these have the same minimum and maximum."""
    if len(ranges) < MANY_ALIKE:
        return False
    return np.unique(ranges, axis=0, return_counts=True)[1].max() > len(ranges) / 2


def _present(numbers: np.ndarray) -> np.ndarray:
    """Return which rows have a number, (rows,) bool."""
    if any_nan(numbers):
        return ~np.isnan(numbers).all(1)
    return np.full(len(numbers), numbers.shape[1] > 0)


def _count(present: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return of how many rows nothing is observed, and of how many something."""
    return statistics.counts("rows", present.astype(np.int8), 2)


def any_nan(numbers: np.ndarray) -> bool:
    """Whether a number is NaN."""
    # The minimum is NaN if one number is; no mask is allocated.
    return any(
        np.isnan(numbers[start : start + BLOCK].min(initial=0))
        for start in range(0, len(numbers), BLOCK)
    )
