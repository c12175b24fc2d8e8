"""`TabularModality`: numbers, bools, categories and dates."""

from __future__ import annotations

import warnings
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from .._core.errors import CellError, CellTypeError, DataWarning, did_you_mean, listing
from .._core.holes import observed
from .._core.statistics import BLOCK, category_counts, moments
from .._core.values import are_floats, are_text, are_values, is_positive
from ..cells._base import Values
from ..cells._dates import date_format, read_dates, write_dates
from ..cells._numbers import as_whole
from ..nn._tabular import TabularNetwork
from ._base import Modality

__all__ = ["TabularModality"]

FEW_VALUES = 40  # "auto" takes a column of strings with at most this many as a category
LARGEST = np.finfo(np.float32).max
MANY_ALIKE = 16  # so many columns of one range are taken for pixels or other counts of one unit
SCALES = ("auto", "column", "common")


class TabularModality(Modality):
    """Numbers, bools, categories and dates, with holes in any cell.

    Strings that all follow one format of dates, such as 2016-09-22 or 09/22/2016, are dates.
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
    max_categories : int, default=100
        The most categories that a column keeps. Rarer ones are read as holes, and never come
        back.

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
    shares_ : list of ndarray
        Their relative frequencies.
    weight_ : float
        Deviance of the column means per row: how many columns a row has observed on average, of
        those that vary at all.

    Notes
    -----
    Pixels of one picture must not be blown up where they rarely vary: a corner that is black in
    all pictures but one is noise, and dividing it by its own small deviation makes it weigh as
    much as the middle. So PCA of pixels is done without scaling, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.cells._base import Cells
    >>> from sklearn_mmae.modalities import TabularModality
    >>> colour = np.array(["red", "blue", None, "red"], dtype=object)
    >>> size = np.array([1.0, 2.0, 3.0, np.nan])
    >>> cells = Cells(("colour", "size"), (colour, size))
    >>> modality = TabularModality().fit(cells)
    >>> modality.kinds_, modality.categories_
    (['category', 'number'], [['blue', 'red']])
    """

    def __init__(self, max_categories=100, *, scale="auto"):
        self.max_categories = max_categories
        self.scale = scale

    @classmethod
    def accepts(cls, name, column):
        """Whether a column holds numbers, bools, dates, or strings of few values."""
        if column.ndim != 1:
            return False
        if column.dtype.kind in "biufM":
            return True
        if column.dtype.kind != "O":
            return False
        values = column[observed(column)]
        if not len(values):
            return True
        try:
            kind = _kind(column, None)
        except CellTypeError:
            return False
        if kind == "category":
            return len(set(values)) <= min(FEW_VALUES, max(2, len(values) // 2))
        return True

    def fit(self, cells):
        """Learn kinds, scales and categories.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        self
        """
        self._check_parameters()
        if cells.matrix is not None:
            self.kinds_ = ["number"] * len(cells.names)
            self.dtypes_ = [str(cells.matrix.dtype)] * len(cells.names)
        else:
            self.kinds_ = [
                _kind(column, name, cells.categories.get(name)) for name, column in cells
            ]
            self.dtypes_ = [
                _come_back_as(name, column, kind)
                for (name, column), kind in zip(cells, self.kinds_, strict=True)
            ]
        numbers = self._numbers(cells)
        self.n_observed_, self.mean_, variance = moments(numbers)
        self.scaling_, self.scale_ = self._learn_scale(numbers, variance)
        weight = (self.n_observed_ * variance / self.scale_**2).sum()
        present = (
            ~np.isnan(numbers).all(1)
            if (self.n_observed_ < len(numbers)).any()
            else np.full(len(numbers), numbers.shape[1] > 0)
        )
        names = self._names(cells, "number", "date")
        empty = [name for name, n in zip(names, self.n_observed_, strict=True) if not n]

        self.categories_, self.shares_ = [], []
        for name, column in self._coded(cells):
            values, n_observed = self._learn_categories(name, column, cells.categories.get(name))
            self.categories_.append(values)
            codes = _codes(column, values)[0]
            present |= codes >= 0
            counts = category_counts(codes, len(values))
            self.shares_.append(counts / max(counts.sum(), 1))
            weight += counts.sum() if (counts > 0).sum() > 1 else 0
            if not n_observed:
                empty.append(name)
        self.weight_ = float(weight) / max(present.sum(), 1) or 1.0
        if empty:
            warnings.warn(
                f"column {listing(map(repr, empty))}: no cell is observed. Nothing can be learned"
                " of it, and it will come back empty.",
                DataWarning,
                stacklevel=2,
            )
        return self

    def transform(self, cells):
        """Return standardised numbers and the codes of categories.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``raw`` (the input's own float32 memory, where it has no hole) or ``numbers``
            (standardised, 0 in the holes) with ``observed`` where there are holes; ``codes``
            (int32, -1 in the holes).
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
        codes = [
            self._encode_categories(name, column, values)
            for (name, column), values in zip(self._coded(cells), self.categories_, strict=True)
        ]
        if codes:
            tensors["codes"] = np.stack(codes, 1)
            there = (tensors["codes"] >= 0).any(1)
            present = there if present is None else present | there
        return Values(tensors, present)

    def inverse_transform(self, predictions):
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
                columns.append(_as_dtype(next(numbers), dtype))
                continue
            code, values = next(codes), next(categories)
            column = np.full(len(predictions), None, object)
            if code is not None:
                column[:] = np.array([*values, None], object)[:-1][code]
            columns.append(column.astype(bool) if dtype == "bool" else column)
        return columns

    def network(self, n_components, width, dropout):
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
            [torch.tensor(share, dtype=torch.float32) for share in self.shares_],
            self.weight_,
            n_components,
            width,
            dropout,
        )

    def _learned(self):
        """Return the names of what `fit` learns, for `load`."""
        return {
            *("kinds_", "dtypes_", "n_observed_", "mean_", "scale_", "scaling_"),
            *("categories_", "shares_", "weight_"),
        }

    def _is_sound(self, n_columns):
        """Whether what a file says was learned agrees with itself, for `load`."""
        numbers = sum(kind in ("number", "date") for kind in self.kinds_)
        coded = len(self.kinds_) - numbers
        return (
            isinstance(self.kinds_, list)
            and set(self.kinds_) <= {"number", "date", "bool", "category"}
            and len(self.kinds_) == n_columns
            and are_text(self.dtypes_)
            and len(self.dtypes_) == len(self.kinds_)
            and self.scaling_ in ("column", "common")
            and are_floats(self.n_observed_, numbers)
            and are_floats(self.mean_, numbers)
            and are_floats(self.scale_, numbers, above=0)
            and isinstance(self.categories_, list)
            and isinstance(self.shares_, list)
            and len(self.categories_) == len(self.shares_) == coded
            and all(are_values(values) for values in self.categories_)
            and all(
                are_floats(share, len(values)) and (share >= 0).all()
                for share, values in zip(self.shares_, self.categories_, strict=True)
            )
            and is_positive(self.weight_)
        )

    def _check_parameters(self):
        most = self.max_categories
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 2:
            raise ValueError(
                f"max_categories={most!r}: give a whole number of at least 2, such as 100."
            )
        if self.scale not in SCALES:
            raise ValueError(
                f"scale={self.scale!r}: give one of {listing(map(repr, SCALES))}."
                + did_you_mean(self.scale, SCALES)
            )

    def _learn_scale(self, numbers, variance):
        """Return the kind of scaling, and what each number or date is divided by."""
        is_number = np.array([k == "number" for k in self.kinds_ if k in ("number", "date")], bool)
        varies = is_number & (variance > 0)
        scaling = self.scale
        if scaling == "auto":
            scaling = "common" if _of_one_unit(numbers, varies) else "column"
        scale = np.sqrt(np.where(variance > 0, variance, 1))
        if scaling == "common" and varies.any():
            scale[is_number] = np.sqrt(variance[varies].mean())
        return scaling, scale

    def _names(self, cells, *kinds):
        return [n for n, kind in zip(cells.names, self.kinds_, strict=True) if kind in kinds]

    def _coded(self, cells):
        """Yield the name and cells of each bool or categorical column."""
        for (name, column), kind in zip(cells, self.kinds_, strict=True):
            if kind in ("bool", "category"):
                yield name, column

    def _numbers(self, cells):
        """Return the numbers and dates as one float array; the input's own memory if it can be."""
        if cells.matrix is not None:
            if any(kind != "number" for kind in self.kinds_):
                return self._numbers(type(cells)(cells.names, cells.columns))
            numbers = cells.matrix
            if numbers.dtype.kind != "f":
                numbers = numbers.astype(np.float64)
            _check_finite(numbers, cells.names)
            return numbers
        names, parts = [], []
        for (name, column), kind, dtype in zip(cells, self.kinds_, self.dtypes_, strict=True):
            if kind in ("number", "date"):
                names.append(name)
                parts.append(_as_floats(name, column, kind, dtype))
        numbers = np.stack(parts, 1) if parts else np.empty((len(cells), 0))
        _check_finite(numbers, names)
        return numbers

    def _standardise(self, numbers):
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

    def _learn_categories(self, name, column, declared):
        """Return a column's values in order of their codes, and how many cells are observed."""
        values = column[observed(column)].tolist()
        if declared is not None:
            known = list(declared)
        else:
            try:
                known = sorted(set(values))
            except TypeError:
                known = sorted(set(values), key=lambda value: (str(type(value)), str(value)))
        if len(known) > self.max_categories:
            frequent = pd.Series(values, dtype=object).value_counts(sort=True)
            kept = set(frequent.index[: self.max_categories])
            warnings.warn(
                f"column {name!r}: {len(known)} categories, of which the {self.max_categories} most"
                " frequent are kept; the others are read as holes. Raise max_categories, or make"
                " it a TextModality.",
                DataWarning,
                stacklevel=3,
            )
            known = [value for value in known if value in kept]
        return known, len(values)

    def _encode_categories(self, name, column, values):
        codes, unknown = _codes(column, values)
        if len(unknown) and len(values) < self.max_categories:
            unseen = dict.fromkeys(column[unknown[:1000]].tolist())
            warnings.warn(
                f"column {name!r}, row {listing(unknown, 3)}: {listing(map(repr, unseen), 3)} not"
                " seen in training; read as a hole.",
                DataWarning,
                stacklevel=3,
            )
        return codes


def _kind(column, name, declared=None):
    """Say what a column holds, by its dtype or else by its observed cells."""
    if declared is not None:
        return "category"
    kind = column.dtype.kind
    if kind == "b":
        return "bool"
    if kind in "iuf":
        return "number"
    if kind == "M":
        return "date"
    if kind in "UT":
        return "category"
    if kind == "m":
        raise CellTypeError(
            "holds durations (timedelta64)",
            column=name,
            remedy="Turn them into numbers, such as column.dt.total_seconds()",
        )
    if kind == "O":
        rows = np.flatnonzero(observed(column))
        found = {}
        for row in rows:
            found.setdefault(_kind_of_cell(column[row]), row)
        if None in found:
            row = found[None]
            raise CellTypeError(
                f"a {type(column[row]).__name__} is no number, bool, date or category: the"
                " argument must be a string, a date or a number",
                column=name,
                row=int(row),
                remedy="Give the column to another modality, or turn its cells into one of these",
            )
        if set(found) <= {"number", "bool"} and "number" in found:
            return "number"
        if len(found) > 1:
            first, second = list(found.items())[:2]
            raise CellTypeError(
                f"mixes {_PLURALS[first[0]]} and {_PLURALS[second[0]]}",
                column=name,
                row=[int(first[1]), int(second[1])],
                remedy="Make all its cells of one kind",
            )
        if "category" in found and date_format(column[rows].tolist()):
            return "date"
        return next(iter(found), "number")
    raise CellTypeError(
        f"dtype {column.dtype} is no number, bool, date or category",
        column=name,
        remedy="Turn it into real numbers, strings or dates",
    )


_PLURALS = {"number": "numbers", "bool": "bools", "date": "dates", "category": "strings"}


def _kind_of_cell(cell):
    if isinstance(cell, bool | np.bool_):
        return "bool"
    if isinstance(cell, int | float | np.integer | np.floating):
        return "number"
    if isinstance(cell, date | np.datetime64):
        return "date"
    return "category" if isinstance(cell, str) else None


def _come_back_as(name, column, kind):
    if kind == "date":
        form = _form_of(column)
        if form:
            return f"datetime64[s]|{form}"
        dates = _dates(name, column)
        there = dates[~np.isnat(dates)]
        whole = len(there) and (there == there.astype("datetime64[D]")).all()
        return f"{dates.dtype}|D" if whole else str(dates.dtype)
    if column.dtype.kind == "O":
        return {"number": "float64"}.get(kind, "object")
    return str(column.dtype)


def _as_dtype(numbers, dtype):
    """Return float64 numbers as the column's own dtype."""
    if dtype.startswith("datetime64"):
        dtype, _, whole = dtype.partition("|")
        dates = np.full(len(numbers), "NaT", dtype)
        finite = np.isfinite(numbers)
        dates[finite] = _as_dtype(numbers[finite], "int64").astype(dtype)
        if whole and "%H" not in whole:
            half = np.timedelta64(12, "h").astype(dtype.replace("datetime", "timedelta"))
            dates[finite] = (dates[finite] + half).astype("datetime64[D]").astype(dtype)
        return write_dates(dates, whole) if "%" in whole else dates
    if np.dtype(dtype).kind in "iu":
        return as_whole(numbers, dtype).astype(dtype)
    return numbers.astype(dtype)


def _form_of(column):
    """Return the format of a column of dates written as strings, else None."""
    if column.dtype.kind != "O":
        return None
    cells = column[observed(column)].tolist()
    return date_format(cells) if cells and isinstance(cells[0], str) else None


def _dates(name, column):
    """Return a column of dates as ``datetime64``."""
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]") if column.dtype == "datetime64" else column
    if form := _form_of(column):
        return read_dates(column, observed(column), form)
    try:
        dates = pd.to_datetime(pd.Series(column, dtype=object))
    except (TypeError, ValueError) as error:
        raise CellError(
            f"has dates that do not go together ({error})",
            column=name,
            remedy="Give all of them with a time zone, or all without one",
        ) from error
    return dates.to_numpy("datetime64[us]")


def _as_floats(name, column, kind, dtype):
    """Return one column of numbers or dates as float64, NaN in the holes."""
    found = _kind(column, name)
    there = observed(column)
    written = kind == "date" and "%" in dtype and found == "category"
    bools = kind == "number" and found == "bool"
    if found != kind and there.any() and not (written or bools):
        rows = np.flatnonzero(there)[:3].tolist()
        raise CellTypeError(
            f"holds {_PLURALS[found]}, but was learned as {_PLURALS[kind]}",
            column=name,
            row=rows,
            remedy=f"Give {_PLURALS[kind]}, as in fit",
        )
    if kind == "date":
        dtype, _, form = dtype.partition("|")
        if "%" in form:  # the format of fit, whatever these rows alone would suggest
            given = read_dates(column, there, form)
            wrong = there & np.isnat(given)
            if wrong.any():
                raise CellError(
                    f"dates that do not follow {form!r}, as those of fit do",
                    column=name,
                    row=np.flatnonzero(wrong).tolist(),
                    remedy="Write them alike, or None where the date is unknown",
                )
        else:
            if (found := _form_of(column)) and not found.startswith("%Y"):
                raise CellTypeError(
                    "holds dates as strings, in which month and day could be either way round",
                    column=name,
                    row=np.flatnonzero(there)[:3].tolist(),
                    remedy="Give real dates, as in fit, or strings such as 2024-01-31",
                )
            given = _dates(name, column)
        dates = given.astype(dtype)
        wrapped = there & (dates.astype(given.dtype) != given)  # numpy says nothing
        if np.can_cast(given.dtype, dates.dtype) and wrapped.any():
            raise CellError(
                f"dates outside of what {dates.dtype} can hold, the dtype of fit",
                column=name,
                row=np.flatnonzero(wrapped).tolist(),
                remedy="Use datetime64[s] or datetime64[us] in fit",
            )
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))
    if column.dtype.kind == "O":
        floats = np.full(len(column), np.nan)
        floats[there] = [float(cell) for cell in column[there]]
        return floats
    return column.astype(np.float64)


def _codes(column, values):
    """Return int32 codes, -1 where the value is a hole or not known, and rows of the unknown."""
    place = {value: i for i, value in enumerate(values)}
    there = observed(column)
    codes = np.full(len(column), -1, np.int32)
    codes[there] = [place.get(value, -1) for value in column[there].tolist()]
    return codes, np.flatnonzero(there & (codes < 0))


def _check_finite(numbers, names):
    for start in range(0, len(numbers), BLOCK):
        block = numbers[start : start + BLOCK]
        if block.min(initial=0) >= -LARGEST and block.max(initial=0) <= LARGEST:
            continue  # no NaN either: it would have been the minimum
        with np.errstate(invalid="ignore"):
            bad = np.abs(block) > LARGEST
        if bad.any():
            rows, columns = np.nonzero(bad)
            row, column = rows[0] + start, columns[0]
            value = numbers[row, column]
            what = "infinity (inf)" if np.isinf(value) else f"{value:g}, too large for float32"
            raise CellError(
                f"Input X contains {what}",
                column=names[column],
                row=(rows[columns == column] + start).tolist(),
                remedy="Replace it by a finite number, or by NaN where it is unknown",
            )


def _of_one_unit(numbers, varies):
    """Whether many columns vary, and most of these have the same minimum and maximum."""
    if varies.sum() < MANY_ALIKE:
        return False
    ends = np.stack([np.fmin.reduce(numbers), np.fmax.reduce(numbers)])[:, varies]
    return np.unique(ends, axis=1, return_counts=True)[1].max() > varies.sum() / 2


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
