"""`TabularModality`: numbers, bools, categories and dates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from ..._core.errors import did_you_mean, listing, warn
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
from ...statistics._factors import MOST_FACTORS, Expectation
from ...statistics._questions import BLOCK
from ...tables._cells import Cells, Column, Values, is_zone
from .._shown import Tables, where_present
from ._cells import (
    as_dtype,
    codes_of,
    is_tabular,
)
from ._dates import parse
from ._formats import DATE_FORM, SPECIFICATION
from ._learn import LearnsColumns, any_nan
from ._network import TabularNetwork
from ._public import check_columns, check_given, public_kind

__all__ = ["TabularModality"]

SCALES = ("auto", "column", "common")
KINDS = {"number": "numbers", "date": "dates", "bool": "bools", "category": "categories"}


class TabularModality(LearnsColumns):
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

    @classmethod
    def accepts(cls, name: str, column: np.ndarray | Column) -> bool:
        """Whether a column holds numbers, bools, dates, or strings that are categories."""
        return is_tabular(Column.of(column))

    def check_public(self, cells: Cells) -> None:
        """Refuse columns of which a private fit would have to find out what they hold."""
        self.check_parameters()
        check_columns(self.bounds, self.categories, cells.names)
        for name, column in zip(cells.names, cells.looked_at, strict=True):
            public_kind(name, column, self.bounds, self.categories)

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
            if _usable_as_it_is(numbers) and not any_nan(numbers):
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


def _is_sound_dtype(dtype: str) -> bool:
    """Whether a dtype that a file names has a time zone and a format that can be used."""
    plain, _, form = dtype.partition("|")
    if not plain.startswith("datetime64"):
        dtype_from(plain)
        return not form or SPECIFICATION.fullmatch(form) is not None
    unit, zone, _ = parse(dtype)
    dtype_from(unit)
    return (zone is None or is_zone(zone)) and DATE_FORM.fullmatch(form) is not None


def _usable_as_it_is(numbers):
    """Whether torch can read the memory itself: float32, native, writeable, no step backwards."""
    return (
        numbers.dtype == np.float32
        and numbers.dtype.isnative
        and numbers.flags.writeable
        and all(stride >= 0 for stride in numbers.strides)
    )
