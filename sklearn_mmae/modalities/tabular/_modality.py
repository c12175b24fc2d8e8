"""`TabularModality`: numbers, bools, categories and dates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch

from ..._core.errors import did_you_mean, listing, locate, warn
from ..._core.typing import Array
from ..._core.values import (
    are_floats,
    are_text,
    are_values,
    check_share,
    dtype_from,
    is_positive,
    is_whole,
)
from ...statistics import PLAIN, Statistics
from ...statistics._factors import MOST_FACTORS, Expectation
from ...statistics._questions import BLOCK
from ...tables._cells import Cells, Column, Values, is_zone
from .._base import Modality
from .._private import ColumnSums
from .._shown import Tables, where_present
from ._cells import (
    as_dtype,
    as_floats,
    check_bools,
    check_finite,
    codes_of,
    come_back_as,
    is_tabular,
    kind_of,
)
from ._dates import parse
from ._formats import DATE_FORM, SPECIFICATION
from ._network import TabularNetwork
from ._public import bounds_of, check_columns, check_given, public_dtype, public_kind

__all__ = ["TabularModality"]

MANY_ALIKE = 16  # so many columns of one range are taken for pixels or other counts of one unit
SCALES = ("auto", "column", "common")
KINDS = {"number": "numbers", "date": "dates", "bool": "bools", "category": "categories"}


class TabularModality(Modality):
    """Numbers, bools, categories and dates; any cell may be missing.

    Strings that all follow one format of dates, such as 2016-09-22, 09/22/2016, Sep 22, 2016 or
    2016-09-22T10:30:00Z, are dates, and strings such as -6.64 or 1,234 are numbers. They come back
    as strings of that format, times of several zones in UTC; an empty string among them is missing,
    though `impute` leaves it as it was given.
    Whole numbers as strings are categories where there are few, or where one begins with 0.
    Numbers and dates are standardised and learned by squared error, bools and categories by
    cross-entropy. Every column weighs the same: a squared error counts in units of the column's
    variance, a cross-entropy in units of its entropy. Only where numbers share one scale, a column
    that varies more weighs more.

    Parameters
    ----------
    scale : {"auto", "column", "common"}, default="auto"
        What numbers are divided by, after centring. "column": each column by its own standard
        deviation. "common": all by one, the root mean variance of the columns that vary. "auto"
        takes "common" where the columns are of one unit, as pixels are: if at least 16 of them
        vary, and more than half of these have both the same minimum and the same maximum.
    max_categories : int, default=200
        The most categories that a column keeps. Where it has more, the last one, "other", is shared
        by all rarer values and those never seen: such a cell comes back as the most frequent of
        them. In a column without it, a value never seen is read as missing.
    bounds : (low, high), or dict of column to it, default=None
        Between which numbers lie, or dates, as strings such as "2020-01-01": cells beyond are read
        as the nearest bound. A pair alone is of all numbers, or of all dates. None takes cells as
        they are. A private fit needs bounds of every number and date.
    categories : dict of column to list, default=None
        Columns that hold categories, and which: other cells are read as missing. A private fit
        needs them of every column that holds neither numbers, bools nor dates, by its dtype.
    mask : float, default=0.0
        Share of the cells, 0 to below 1, that the encoder does not see in a step of training, other
        ones in each. Without effect where the estimator's `noise` is 0.

    Attributes
    ----------
    kinds_ : list of {"number", "date", "bool", "category"}
        What each column holds.
    dtypes_ : list of str
        The numpy dtypes in which columns come back.
    scaling_ : {"column", "common"}
        How numbers are scaled; dates always by column.
    mean_, scale_ : ndarray of shape (numbers and dates,)
        Dates count in their own unit since 1970.
    n_observed_ : ndarray of shape (numbers and dates,)
        Cells observed. A column without any comes back as NaN.
    categories_ : list of list
        The values of each bool or categorical column, in the order of their codes.
    shared_ : list of int
        The position in `categories_` of the one that rarer values share, -1 where there is none.
    counts_ : list of ndarray
        How often each of them was observed.
    weight_ : float
        Deviance of the column means per row: how many columns a row has observed on average, of
        those that vary at all.
    loadings_ : ndarray of shape (numbers, dates and categories of all columns, factors)
    noise_ : ndarray of shape (numbers, dates and categories of all columns,)
        Of the factor analysis, by which the encoder gets for a missing cell what the row's others
        make likely.

    Notes
    -----
    Pixels of one image must not be scaled up where they rarely vary: a corner that is black in
    all images but one is noise, and dividing it by its own small deviation makes it weigh as
    much as the middle. So PCA of pixels is done without scaling, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.cells import Cells
    >>> from sklearn_mmae.modalities import TabularModality
    >>> colour = np.array(["red", "blue", None, "red"], dtype=object)
    >>> size = np.array([1.0, 2.0, 3.0, np.nan])
    >>> cells = Cells(("colour", "size"), (colour, size))
    >>> modality = TabularModality().fit(cells)
    >>> modality.kinds_, modality.categories_
    (['category', 'number'], [['blue', 'red']])
    """

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

    def __init__(
        self,
        max_categories: int = 200,
        *,
        scale: str = "auto",
        bounds: tuple | dict[Any, tuple] | None = None,
        categories: dict[Any, list] | None = None,
        mask: float = 0.0,
    ) -> None:
        self.max_categories = max_categories
        self.scale = scale
        self.bounds = bounds
        self.categories = categories
        self.mask = mask

    @property
    def shares_(self) -> list[np.ndarray]:
        """Relative frequency of each category, per categorical column."""
        return [counts / max(counts.sum(), 1) for counts in self.counts_]

    @classmethod
    def accepts(cls, name: str, column: np.ndarray | Column) -> bool:
        """Whether a column holds numbers, bools, dates, or strings that are categories."""
        return is_tabular(Column.of(column))

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

    def check_public(self, cells: Cells) -> None:
        """Refuse columns of which a private fit would have to find out what they hold."""
        self.check_parameters()
        check_columns(self.bounds, self.categories, cells.names)
        for name, column in zip(cells.names, cells.looked_at, strict=True):
            public_kind(name, column, self.bounds, self.categories)

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

    def _bounds(self, names: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of numbers and dates, infinite where there are none."""
        found = [
            bounds_of(self.bounds, name, kind, dtype) or (-np.inf, np.inf)
            for name, kind, dtype in zip(names, self.kinds_, self.dtypes_, strict=True)
            if kind in ("number", "date")
        ]
        low, high = np.array(found, np.float64).reshape(-1, 2).T
        return low, high

    def transform(self, cells: Cells) -> Values:
        """Return standardised numbers and the codes of categories.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``raw`` (the input's own float32 memory, if nothing is missing) or ``numbers``
            (standardised, the expected value if missing) with ``observed`` if any are missing;
            ``codes`` (int32, -1 if missing) with ``expected`` if any are missing (the
            indicators of all categories that are expected there).
        """
        tensors, present = {}, None
        numbers = self._numbers(cells)
        if numbers.shape[1]:
            if _usable_as_it_is(numbers) and not _any_nan(numbers):
                tensors["raw"] = numbers
            else:
                there = ~np.isnan(numbers)
                tensors["numbers"] = self._standardise(numbers)
                if not there.all():
                    tensors["observed"] = there
                    present = there.any(1)
            if present is None:
                present = np.ones(len(numbers), bool)
        codes = self._codes(cells)
        if codes is not None:
            tensors["codes"] = codes
            there = (tensors["codes"] >= 0).any(1)
            present = there if present is None else present | there
        return Values(self.fill(tensors), present)

    def numbers_and_codes(self, cells: Cells) -> tuple[np.ndarray, np.ndarray | None]:
        """Return numbers and dates in their units, NaN where missing, and codes, -1 where missing.

        Codes are None where no column has any.
        """
        return self._numbers(cells), self._codes(cells)

    def _codes(self, cells: Cells) -> np.ndarray | None:
        codes = self._encode_categories(cells)
        return np.stack(codes, 1) if codes else None

    def fill(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the tensors of rows, 0 and -1 if missing, with what is likely there."""
        return Expectation(self.shares_, self.loadings_, self.noise_).fill(tensors)

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return numbers in their units, and the most likely category.

        Parameters
        ----------
        predictions : ndarray of shape (rows, numbers + categories of all columns)
            Standardised numbers, then logits.

        Returns
        -------
        list of ndarray of shape (rows,)
        """
        n = len(self.mean_)
        numbers = predictions[:, :n] * self.scale_ + self.mean_
        numbers = iter(np.where(self.n_observed_ > 0, numbers, np.nan).T)
        sizes = np.cumsum([n, *map(len, self.categories_)])
        codes = iter(
            predictions[:, first:last].argmax(1) if last > first else None
            for first, last in pairwise(sizes)
        )
        categories = iter(self.categories_)
        columns = []
        for kind, dtype in zip(self.kinds_, self.dtypes_, strict=True):
            if kind in ("number", "date"):
                columns.append(as_dtype(next(numbers), dtype))
                continue
            code, values = next(codes), next(categories)
            column = np.full(len(predictions), None, object)
            if code is not None:
                column[:] = np.array([*values, None], object)[:-1][code]
            columns.append(column.astype(bool) if dtype == "bool" and code is not None else column)
        return columns

    def network(self, n_components: int, width: int, dropout: float) -> TabularNetwork:
        """Build the network of the table.

        Parameters
        ----------
        n_components, width : int
        dropout : float

        Returns
        -------
        ModalityNetwork
        """
        return TabularNetwork(
            torch.tensor(self.mean_, dtype=torch.float32),
            torch.tensor(self.scale_, dtype=torch.float32),
            [torch.tensor(counts, dtype=torch.float32) for counts in self.counts_],
            self.weight_,
            float(self.mask),
            n_components,
            width,
            dropout,
        )

    def learned(self) -> set[str]:
        """Return the names of what `fit` learns, for `load`."""
        return {
            *("kinds_", "dtypes_", "n_observed_", "mean_", "scale_", "scaling_"),
            *("categories_", "shared_", "counts_", "weight_", "loadings_", "noise_"),
        }

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        numbers = sum(kind in ("number", "date") for kind in self.kinds_)
        coded = len(self.kinds_) - numbers
        return (
            isinstance(self.kinds_, list)
            and set(self.kinds_) <= KINDS.keys()
            and len(self.kinds_) == n_columns
            and are_text(self.dtypes_)
            and len(self.dtypes_) == len(self.kinds_)
            and all(map(_is_sound_dtype, self.dtypes_))
            and self.scaling_ in ("column", "common")
            and are_floats(self.n_observed_, numbers)
            and are_floats(self.mean_, numbers)
            and are_floats(self.scale_, numbers, above=0)
            and isinstance(self.categories_, list)
            and isinstance(self.counts_, list)
            and len(self.categories_) == len(self.counts_) == coded
            and all(are_values(values) for values in self.categories_)
            and isinstance(self.shared_, list)
            and len(self.shared_) == coded
            and all(
                is_whole(shared) and -1 <= shared < len(values)
                for shared, values in zip(self.shared_, self.categories_, strict=True)
            )
            and all(
                are_floats(counts, len(values)) and (counts >= 0).all()
                for counts, values in zip(self.counts_, self.categories_, strict=True)
            )
            and is_positive(self.weight_)
            and are_floats(self.noise_, numbers + sum(map(len, self.categories_)), above=0)
            and isinstance(self.loadings_, np.ndarray)
            and self.loadings_.ndim == 2
            and len(self.loadings_) == len(self.noise_)
            and self.loadings_.shape[1] <= MOST_FACTORS
            and are_floats(self.loadings_.ravel(), self.loadings_.size)
        )

    def check_parameters(self) -> None:
        """Refuse parameters that make no sense; raises ValueError."""
        most = self.max_categories
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 2:
            raise ValueError(
                f"max_categories={most!r}: give a whole number of at least 2, such as 200."
            )
        check_share("mask", self.mask)
        check_given(self.bounds, self.categories)
        if self.scale not in SCALES:
            raise ValueError(
                f"scale={self.scale!r}: give one of {listing(map(repr, SCALES))}."
                + did_you_mean(self.scale, SCALES)
            )

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

    def _standardise(self, numbers: np.ndarray) -> np.ndarray:
        standardised = np.empty(numbers.shape, np.float32)
        for start in range(0, len(numbers), BLOCK):
            block = numbers[start : start + BLOCK]
            if numbers.dtype == np.float32:
                # To the bit what the network makes of "raw": which of the two a row takes
                # depends on the holes of others.
                scale = self.scale_.astype(np.float32)
                block = (block - self.mean_.astype(np.float32)) * (np.float32(1) / scale)
            else:
                block = (block.astype(np.float64) - self.mean_) / self.scale_
            standardised[start : start + BLOCK] = np.where(np.isnan(block), 0, block)
        return standardised

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

    def _encode_categories(self, cells: Cells) -> list[np.ndarray]:
        """Return the codes of each column; warn once of what `fit` has not seen."""
        found, unseen = [], []
        for (name, column), *known in zip(
            self._coded(cells), self.categories_, self.shared_, strict=True
        ):
            codes, unknown = codes_of(column, *known)
            found.append(codes)
            if len(unknown):
                values = dict.fromkeys(column.values[unknown[:1000]].tolist())
                of_fit, now = ({isinstance(v, str) for v in some} for some in (known[0], values))
                known_as = f" (in fit: {listing(map(repr, known[0]), 3)})"
                unseen.append(
                    f"column {name!r}, row {listing(unknown, 3)}: {listing(map(repr, values), 3)}"
                    f"{known_as if of_fit.isdisjoint(now) else ''}"
                )
        if unseen:
            warn(f"{'; '.join(unseen)} not seen in training; read as missing.")
        return found

    def labels(self) -> list[list]:
        """Return `categories_`, with "other" for the one that rarer values share."""
        found = [list(values) for values in self.categories_]
        for values, shared in zip(found, self.shared_, strict=True):
            if shared >= 0:
                values[shared] = "other" if "other" not in values else "other values"
        return found

    def explain(self, names: Sequence) -> str:
        """Say what each column is taken for; see `Modality.explain`."""
        if len(names) < len(self.kinds_):  # a block of numbers in a SliceDict
            return "numbers"
        found: dict[str, list[str]] = {}
        categories = zip(self.categories_, self.shared_, strict=True)
        for name, kind, dtype in zip(names, self.kinds_, self.dtypes_, strict=True):
            values, shared = next(categories) if kind in ("bool", "category") else ((), -1)
            form = dtype.partition("|")[2]
            detail = (
                f"like {form}" if "%" in form else "strings" if kind == "number" and form else ""
            )
            if kind == "category":
                detail = f"{len(values)} values" + " with other" * (shared >= 0)
            found.setdefault(KINDS[kind], []).append(f"{name} ({detail})" if detail else str(name))
        return "; ".join(f"{kind}: {listing(some)}" for kind, some in found.items())

    def output_names(self, names: Sequence) -> list:
        """Return names of numbers and dates, then ``column=category``; see `Modality`."""
        if len(names) < len(self.kinds_):  # a block of numbers in a SliceDict
            names = [f"{names[0]}[{i}]" for i in range(len(self.kinds_))]
        by_kind = list(zip(names, self.kinds_, strict=True))
        coded = [name for name, kind in by_kind if kind in ("bool", "category")]
        return [name for name, kind in by_kind if kind in ("number", "date")] + [
            f"{name}={value}"
            for name, values in zip(coded, self.labels(), strict=True)
            for value in values
        ]

    def shown(self, cells: Cells, predicted: bool = False) -> Tables:
        """Return standardised numbers, NaN where values are missing, and names of categories."""
        values, n_rows = self.transform(cells), len(cells)
        tensors = values.tensors
        numbers = tensors.get("numbers", np.zeros((n_rows, 0)))
        if "raw" in tensors:
            numbers = (tensors["raw"] - self.mean_) / self.scale_
        if "observed" in tensors:
            numbers = np.where(tensors["observed"], numbers, np.nan)
        known = self.labels()
        categories = [
            [str(known[i][code]) if code >= 0 else None for i, code in enumerate(codes)]
            for codes in tensors.get("codes", np.zeros((n_rows, 0), int))
        ]
        rows = zip(numbers.astype(np.float64), categories, strict=True)
        return Tables(
            where_present(rows, values.present),
            [str(name) for name in self._names(cells, "number", "date")],
            [str(name) for name in self._names(cells, "bool", "category")],
        )

    def as_numbers(self, values: Values) -> Array:
        """Return numbers and indicators as the network sees them, missing values as means."""
        tensors = {name: array for name, array in values.tensors.items() if name != "expected"}
        return super().as_numbers(Values(tensors, values.present))


def _sorted(values: list) -> list:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (str(type(value)), str(value)))


def _is_sound_dtype(dtype: str) -> bool:
    """Whether a dtype that a file names has a time zone and a format that can be used."""
    plain, _, form = dtype.partition("|")
    if not plain.startswith("datetime64"):
        dtype_from(plain)
        return not form or SPECIFICATION.fullmatch(form) is not None
    unit, zone, _ = parse(dtype)
    dtype_from(unit)
    return (zone is None or is_zone(zone)) and DATE_FORM.fullmatch(form) is not None


def _are_alike(ranges):
    """Whether many columns vary, and most of these have the same minimum and maximum."""
    if len(ranges) < MANY_ALIKE:
        return False
    return np.unique(ranges, axis=0, return_counts=True)[1].max() > len(ranges) / 2


def _present(numbers: np.ndarray) -> np.ndarray:
    """Return which rows have a number, (rows,) bool."""
    if _any_nan(numbers):
        return ~np.isnan(numbers).all(1)
    return np.full(len(numbers), numbers.shape[1] > 0)


def _count(present: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return of how many rows nothing is observed, and of how many something."""
    return statistics.counts("rows", present.astype(np.int8), 2)


def _any_nan(numbers):
    # The minimum is NaN if one number is; no mask is allocated.
    return any(
        np.isnan(numbers[start : start + BLOCK].min(initial=0))
        for start in range(0, len(numbers), BLOCK)
    )


def _usable_as_it_is(numbers):
    """Whether torch can read the memory itself: float32, native, writeable, no step backwards."""
    return (
        numbers.dtype == np.float32
        and numbers.dtype.isnative
        and numbers.flags.writeable
        and all(stride >= 0 for stride in numbers.strides)
    )
