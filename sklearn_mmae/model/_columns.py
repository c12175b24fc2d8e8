"""Stands in until tables bring their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._core.plain import LARGEST, check, fields
from .._core.values import are_values, is_whole
from ..tables import _frame as _frames
from ..tables._cells import Cells


@dataclass(frozen=True)
class Columns:
    kind: str
    names: list
    schema: list
    is_block: bool
    is_double: bool

    @classmethod
    def of(cls, frame):
        block = frame.matrix is not None
        double = block and frame.matrix.dtype != np.float32
        return cls(frame.kind, list(frame.names), frame.schema, block, double)

    def is_wide(self, place):
        """Whether a column is a block of numbers, several to a row."""
        return "width" in self.schema[place]

    def width(self, place):
        return self.schema[place].get("width", 1)

    def place(self, places, predicted):
        """Return predicted columns by their positions; those of a block of numbers as one."""
        if self.is_wide(places[0]):
            predicted = [np.stack(predicted, 1)]
        return dict(zip(places, predicted, strict=True))

    def holes(self, places, n_rows):
        """Return the cells of columns that are missing altogether."""
        names = [self.names[place] for place in places]
        width = self.schema[places[0]].get("width")
        if self.is_block or width is not None:
            names = names if width is None else names * width
            block = np.broadcast_to(np.float32(np.nan), (n_rows, len(names)))
            return Cells.of_matrix(names, block)
        hole = np.broadcast_to(np.array(None, object), (n_rows,))
        return Cells(tuple(names), (hole,) * len(names))

    def write(self, columns, index=None):
        places = sorted(columns)
        return _frames.rebuild(
            self.kind,
            [self.names[place] for place in places],
            [columns[place] for place in places],
            [self.schema[place] for place in places],
            index,
        )

    def fill(self, table, at, predicted):
        columns = {}
        for place, values in predicted.items():
            here = at.get(place)
            columns[place] = values if here is None else _fill(table.column(here), values)
        return self.write(columns, table.index)

    def write_numbers(self, columns, index=None):
        places = sorted(columns)
        floats = "Float64" if self.kind == "polars" else "float64"
        schema = [
            {"dtype": floats if columns[place].dtype.kind == "f" else "object"}
            | {key: value for key, value in self.schema[place].items() if key == "width"}
            for place in places
        ]
        names = [self.names[place] for place in places]
        return _frames.rebuild(self.kind, names, [columns[p] for p in places], schema, index)

    def frame_of(self, values, names, index=None):
        if self.kind == "polars":
            import polars as pl

            return pl.DataFrame(dict(zip(map(str, names), values.T, strict=True)))
        index = range(len(values)) if index is None else index
        return pd.DataFrame(values, columns=np.array([*names, None], object)[:-1], index=index)

    def to_plain(self):
        return {
            "kind": self.kind,
            "names": self.names,
            "schema": self.schema,
            "blocks": self.is_block,
            "float64": self.is_double,
        }

    @classmethod
    def from_plain(cls, node):
        kind, names, schema, blocks, float64 = fields(
            node, "kind", "names", "schema", "blocks", "float64"
        )
        check(kind in ("pandas", "polars", "array", "slicedict"), "the kind of its rows")
        check(isinstance(names, list) and len(names) > 0, "the names of its columns")
        check(len(set(names)) == len(names), "the names of its columns")
        check(type(blocks) is bool and type(float64) is bool, "the layout of its rows")
        whole = isinstance(schema, list) and len(schema) == len(names)
        check(whole, "the dtypes of its columns")
        for described in schema:
            _check_described(described, kind)
        return cls(kind, names, schema, blocks, float64)


def _check_described(described, kind):
    optional = {"categories", "ordered", "time_unit", "time_zone", "width"}
    check(isinstance(described, dict) and "dtype" in described, "the dtype of a column")
    check(described.keys() - {"dtype"} <= optional, "the dtype of a column")
    dtype, values = described["dtype"], described.get("categories", [])
    check(isinstance(dtype, str) and len(dtype) < 1000, "the dtype of a column")
    named = dtype in ("category", "Categorical", "Enum")
    check(named == ("categories" in described), "the categories of a column")
    check(are_values(values) and len(set(values)) == len(values), "a column's categories")
    check(type(described.get("ordered", False)) is bool, "the order of categories")
    check((dtype == "category") == ("ordered" in described), "the order of categories")
    dated = kind == "polars" and dtype in ("Date", "Datetime")
    check(dated == ({"time_unit", "time_zone"} <= described.keys()), "the unit of a date")
    check(described.get("time_unit") in (None, "ms", "us", "ns"), "the unit of a date")
    width = described.get("width", 1)
    check(is_whole(width) and 0 < width <= LARGEST, "the width of a column")
    zone = described.get("time_zone")
    check(zone is None or isinstance(zone, str), "the zone of a date")
    if zone is not None:
        pd.Timestamp(0).tz_localize(zone)  # raises for what is no zone


def _fill(given, predicted):
    """Return a column with its holes filled by predictions."""
    if given.ndim == 2 and given.dtype.kind == "f":  # a block of numbers
        return np.where(np.isnan(given), predicted, given)
    there = _frames.observed(given)
    if given.dtype.kind == "O" or (given.ndim > 1 and given.dtype.kind == "f"):
        filled = np.empty(len(given), object)
        for i, (cell, known) in enumerate(zip(given, there, strict=True)):
            filled[i] = _patched(cell, predicted[i]) if known else predicted[i]
        return filled
    if there.all():
        return given
    return np.where(there, given, predicted).astype(given.dtype)


def _patched(cell, predicted):
    """Return an array cell with its holes filled, where it was predicted number by number."""
    if not isinstance(cell, np.ndarray | list) or not isinstance(predicted, np.ndarray):
        return cell
    if predicted.dtype.kind != "f" or np.shape(cell) != predicted.shape:
        return cell
    known = isinstance(cell, np.ndarray) and cell.dtype.kind == "f"
    numbers = cell if known else np.asarray(cell, np.float64)  # a list may hold None
    hole = np.isnan(numbers)
    return np.where(hole, predicted, numbers).astype(numbers.dtype) if hole.any() else cell
