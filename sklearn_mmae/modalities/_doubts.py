"""What ``modalities="auto"`` says of columns that it cannot tell, and what to write instead."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np

from .._core.errors import CellError, CellTypeError, locate
from ..tables._cells import Column, objects, sort_of
from . import BUILTIN
from ._arrays import (
    LONGEST_SIGNAL,
    describe_arrays,
    is_picture_shape,
    kind_of_arrays,
    shape_of,
    some_cells,
    unwrapped,
)
from ._files import noun_of_name, regular_file
from ._media import FileModality, MediaModality, mostly
from .tabular._cells import find_remedy, kind_of

__all__ = ["cannot_tell", "unread_files"]

MEDIA = [modality for modality in BUILTIN if issubclass(modality, MediaModality)]
OF_FILES = {m.noun: m.__name__ for m in MEDIA if issubclass(m, FileModality)}
CHANNELS = (1, 3, 4)


def unread_files(name: Any, column: Column) -> str:
    """Say why a column of names of files is none of files; empty for any other column."""
    if column.categories is not None:
        return ""
    cells = [cell for cell in some_cells(column.values) if isinstance(cell, str | os.PathLike)]
    nouns = [noun_of_name(cell) for cell in cells]
    if not mostly(nouns):
        return ""
    noun = Counter(filter(None, nouns)).most_common(1)[0][0]
    first = os.fsdecode(cells[nouns.index(noun)])
    try:
        regular_file(first, None, noun)
        reason = f"{first!r} is of a format that is not read. Convert the files"
    except CellError as error:
        reason = f"{error.problem}. Give paths that lead there from the current folder"
    root = f"{OF_FILES[noun]}(root=...)"
    return (
        f"names of {noun}s, not learned as such: {reason}, or say where they are:"
        f" {_said(name, root)}"
    )


def cannot_tell(name: Any, column: Column) -> CellTypeError:
    """Return the error of a column that no modality accepts."""
    if kind_of_arrays(column.values) == "unclear":
        return _unclear(name, column)
    if None not in {sort_of(kind) for kind in column.types}:  # a table would say what is wrong
        with locate(column=name):
            kind_of(column)
    rows = np.flatnonzero(column.observed).tolist()
    odd = [row for row in rows if sort_of(type(column.values[row])) is None]
    # Beside arrays, the cell that is to be unwrapped is the one to be looked at.
    row = next((row for row in odd if unwrapped(column.values[row])[1]), odd[0])
    cell = column.values[row]
    unread = unread_files(name, column) if isinstance(cell, os.PathLike) else ""
    if unread:
        return CellTypeError(unread, column=name, row=row)
    shape = f" of shape {shape_of(cell)}" if isinstance(cell, np.ndarray) else ""
    return CellTypeError(
        "cannot tell what this column is: the argument must be a string, an image, an array, a"
        f" date or a number, but its cell is a {type(cell).__name__}{shape}",
        column=name,
        row=row,
        remedy=_remedy(name, column, cell),
    )


def _unclear(name: Any, column: Column) -> CellTypeError:
    shapes = [np.shape(cell) for cell in some_cells(column.values)]
    wide = mostly([len(shape) == 2 and shape[0] < shape[1] for shape in shapes])
    turned = " of the column.map(numpy.transpose) if channels come first" if wide else ""
    return CellTypeError(
        "cannot tell what this column is: arrays of shape"
        f" {describe_arrays(column.values)} may be images, signals of up to"
        f" {LONGEST_SIGNAL} steps, or sounds",
        column=name,
        remedy=f"Say which modality it is: {_said(name, 'SequenceModality()')}{turned}, or"
        " ImageModality(), or AudioModality(rate=...)",
    )


def _remedy(name: Any, column: Column, cell: Any) -> str:
    """Say what to do about a column of cells like one."""
    inside, how = unwrapped(cell)
    if how:
        cells = objects([unwrapped(each)[0] for each in some_cells(column.values)])
        found = next((m for m in MEDIA if m.accepts(name, cells)), None)
        then = f"It is then taken for {found.__name__}()" if found else _of_array(name, inside)
        return f"Give {how} as the cell. {then}"
    if isinstance(cell, np.ndarray):
        return _of_array(name, cell)
    said = _said(name, "TextModality()")
    return f"{find_remedy(type(cell))}. Or say which modality it is: {said}"


def _of_array(name: Any, array: Any) -> str:
    """Say what to do with arrays that are no images, signals or clips as they are."""
    shape = np.shape(array)
    if len(shape) == 4 and shape[1] in CHANNELS:
        return "Move the channels last, numpy.moveaxis(cell, 1, -1), for VideoModality()"
    if len(shape) == 3 and shape[0] in CHANNELS:
        return "Move the channels last, numpy.moveaxis(cell, 0, -1), for ImageModality()"
    if len(shape) == 3 and not is_picture_shape(shape):
        return f"Say that arrays (T, H, W) are grey clips: {_said(name, 'VideoModality()')}"
    return f"Say which modality it is: {_said(name, 'SequenceModality()')}, or ImageModality()"


def _said(name: Any, modality: str) -> str:
    return f"modalities=[({str(name)!r}, {modality}, [{name!r}]), ...]"
