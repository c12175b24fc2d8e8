"""From rows as users have them to drawings of their cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._core.errors import check_names
from .._core.holes import is_hole
from ..modalities import (
    AudioModality,
    ImageModality,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from ..modalities.audio._spectrogram import FLOOR, STEP
from ..tables import _frame as _frames
from ..tables._cells import Cells
from ._drawing import PREDICTED
from ._media import Clips, Pictures, Signals, Sounds
from ._tables import Tables, Texts, Words

__all__ = ["check_fitted", "drawings", "expect", "first_rows", "named", "row_labels"]


class Predicted(NamedTuple):
    """Rows as they come back.

    Attributes
    ----------
    X : container
    shares : dict of column to DataFrame
        Of the words of texts.
    names : list of str
        Of the modalities that came back.
    """

    X: Any
    shares: dict
    names: list


def expect(estimator, X, rows, names):
    """Return what came back of some rows as `Predicted`, with the words that are expected."""
    texts = [m for _, m, _ in estimator.modalities_ if isinstance(m, TextModality)]
    with_shares = any(modality.decoder == "words" for modality in texts)
    return Predicted(X, estimator.word_shares(rows) if with_shares else {}, names)


def check_fitted(estimator):
    """Refuse what is not fitted, and what is no estimator with modalities."""
    check_is_fitted(estimator)
    if not hasattr(estimator, "modalities_"):
        raise TypeError(
            f"a {type(estimator).__name__} has no modalities. Give the MultimodalAutoencoder or"
            " MultimodalVAE within it, such as pipeline[-1] or search.best_estimator_."
        )


def first_rows(X, n_rows):
    """Return the first rows of a container, or say how many there are."""
    if isinstance(n_rows, bool) or not isinstance(n_rows, int | np.integer) or n_rows < 1:
        raise ValueError(f"n_rows={n_rows!r}: give a whole number of rows to draw, 1 or more.")
    X = X.tocsr() if hasattr(X, "tocsr") else X
    known = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows > known:
        raise ValueError(
            f"n_rows={n_rows}, but X has {known} row{'s' if known > 1 else ''}. Give more rows, or"
            f" n_rows={known} at most."
        )
    return X[:n_rows]


def row_labels(X, n_rows):
    """Return what the rows are called: by the index of a data frame, or their number."""
    index = getattr(X, "index", None)
    labels = range(n_rows) if index is None or callable(index) else index
    return [f"row {label}" for label in labels]


def named(estimator, given, parameter):
    """Return names of modalities as a list, all of them for None, or say which there are."""
    known = [name for name, _, _ in estimator.modalities_]
    return check_names(given, known, parameter, "modality of this estimator")


def drawings(estimator, names, versions):
    """Return a `Drawing` for each of some modalities.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted.
    names : list of str
    versions : dict of str to container or Predicted
        The same rows, by what they are to be called; those named in `PREDICTED` are predicted.

    Returns
    -------
    list of Drawing
    """
    read = {version: _columns_of(estimator, X) for version, X in versions.items()}
    return [
        _reader(modality)(
            name,
            modality,
            {version: cells_of(columns) for version, cells_of in read.items()},
        )
        for name, modality, columns in estimator.modalities_
        if name in names
    ]


def _columns_of(estimator, X):
    """Return a function from columns to their cells and, if predicted, the shares of words."""
    X, shares, names = X if isinstance(X, Predicted) else (X, {}, None)
    frame = _frames.read(X, estimator)
    held = frame.names
    if frame.kind == "array" and names is not None:  # what comes back has no other columns
        held = sorted(
            c for name, _, columns in estimator.modalities_ for c in columns if name in names
        )
    return lambda columns: (
        frame.cells([held.index(column) for column in columns]),
        shares.get(columns[0]),
    )


def _reader(modality):
    readers = {
        ImageModality: _pictures,
        AudioModality: _sounds,
        VideoModality: _clips,
        SequenceModality: _signals,
        TabularModality: _table,
        TextModality: _words if getattr(modality, "decoder", "") == "words" else _texts,
    }
    return next((read for cls, read in readers.items() if isinstance(modality, cls)), _texts)


def _pictures(name, modality, versions):
    """Read pictures, or make them of columns of pixels."""
    if modality.shape is not None:
        shape, low, high = modality.shape, modality.low_, modality.high_
    else:
        channels = len(modality.mode_)
        shape, low, high = (*modality.size_, channels), 0, 255

    def read(version, cells):
        if version in PREDICTED and modality.shape is None:
            return _objects(cells.columns[0])
        values = modality.transform(cells)
        pixels = values.tensors["pixels"].reshape(len(cells), *shape)
        if "observed" in values.tensors:
            there = values.tensors["observed"].reshape(pixels.shape)
            pixels = np.where(there, pixels, np.nan)
        return _where(values.present, pixels)

    drawn = {version: read(version, cells) for version, (cells, _) in versions.items()}
    return Pictures(name, drawn, low, high)


def _sounds(name, modality, versions):
    """Return spectrograms in decibels, also of the samples that came back."""

    def read(version, cells):
        if version in PREDICTED:
            sounds = np.empty(len(cells), object)
            for row, samples in enumerate(cells.columns[0]):
                sounds[row] = (modality.sampling_rate_, samples)
            cells = Cells(cells.names, (sounds,))
        tensors = modality.transform(cells).tensors
        return [
            levels[:n] * STEP + FLOOR if n else None
            for levels, n in zip(tensors["steps"], tensors["length"], strict=True)
        ]

    drawn = {version: read(version, cells) for version, (cells, _) in versions.items()}
    return Sounds(name, drawn, modality.step_seconds_, modality.frequencies_)


def _clips(name, modality, versions):
    shape = (*modality.size_, len(modality.mode_))

    def read(version, cells):
        if version in PREDICTED:
            return _objects(cells.columns[0])
        tensors = modality.transform(cells).tensors
        return [
            frames[:n].reshape(n, *shape) if n else None
            for frames, n in zip(tensors["steps"], tensors["length"], strict=True)
        ]

    drawn = {version: read(version, cells) for version, (cells, _) in versions.items()}
    in_frames = modality.rate is None and modality.rate_ is not None
    return Clips(name, drawn, None if in_frames else modality.step_seconds_)


def _signals(name, modality, versions):
    rate = modality.sampling_rate if modality.time is None else None

    def read(cells):
        at = {column: cells.columns[i] for i, column in enumerate(cells.names)}
        times = None if modality.time is None else at.pop(modality.time)
        (signals,) = at.values()
        drawn = []
        for row, cell in enumerate(signals):
            if is_hole(cell) or (times is not None and is_hole(times[row])):
                drawn.append(None)
                continue
            values = np.asarray(cell, np.float64)
            values = values.reshape(len(values), -1)
            if np.isnan(values).all():
                drawn.append(None)
                continue
            own = np.arange(len(values)) / (rate or 1) if times is None else times[row]
            drawn.append((np.asarray(own, np.float64), values))
        return drawn

    drawn = {version: read(cells) for version, (cells, _) in versions.items()}
    return Signals(name, drawn, in_seconds=bool(rate) or modality.time is not None)


def _words(name, modality, versions):
    """Return each row's words with their shares."""
    vocabulary, drawn = modality.vocabulary_, {}
    for version, (cells, shares) in versions.items():
        if shares is not None:
            drawn[version] = [dict(zip(vocabulary, row, strict=True)) for row in shares.to_numpy()]
            continue
        values = modality.transform(cells)
        rows = zip(values.tensors["features"], values.tensors["weights"], strict=True)
        counted = [
            {vocabulary[f]: w for f, w in zip(*row, strict=True) if w > 0 and f < len(vocabulary)}
            for row in rows
        ]
        drawn[version] = [
            {word: weight / sum(row.values()) for word, weight in row.items()} if there else None
            for row, there in zip(counted, values.present, strict=True)
        ]
    return Words(name, drawn, dict(zip(vocabulary, modality.shares_, strict=True)))


def _texts(name, modality, versions):
    """Write cells out, also those of modalities that nothing is known of."""

    def write(row):
        cells = {column: cell for column, cell in row.items() if not is_hole(cell)}
        if len(row) == 1:
            return next((_written(cell) for cell in cells.values()), None)
        return ", ".join(f"{column} {_written(cell)}" for column, cell in cells.items()) or None

    drawn = {
        version: [
            write(dict(zip(cells.names, row, strict=True)))
            for row in zip(*cells.columns, strict=True)
        ]
        for version, (cells, _) in versions.items()
    }
    return Texts(name, drawn)


def _table(name, modality, versions):
    """Return standardised numbers and names of categories."""
    drawn = {}
    for version, (cells, _) in versions.items():
        values = modality.transform(cells)
        drawn[version] = [
            row if there else None
            for row, there in zip(
                _rows(modality, values.tensors, len(cells)), values.present, strict=True
            )
        ]
    names = list(map(str, cells.names))
    kinds = [kind in ("number", "date") for kind in modality.kinds_]
    numbers = [n for n, is_number in zip(names, kinds, strict=True) if is_number]
    categories = [n for n, is_number in zip(names, kinds, strict=True) if not is_number]
    return Tables(name, drawn, numbers, categories)


def _rows(modality, tensors, n_rows):
    if "raw" in tensors:
        numbers = (tensors["raw"] - modality.mean_) / modality.scale_
    else:
        numbers = tensors.get("numbers", np.zeros((n_rows, 0)))
    if "observed" in tensors:
        numbers = np.where(tensors["observed"], numbers, np.nan)
    codes = tensors.get("codes", np.zeros((n_rows, 0), int))
    for row, codes_of_row in zip(numbers, codes, strict=True):
        values = [
            str(known[code]) if code >= 0 else None
            for code, known in zip(codes_of_row, modality.categories_, strict=True)
        ]
        yield np.asarray(row, np.float64), values


def _written(cell):
    return f"{cell:.4g}" if isinstance(cell, float | np.floating) else str(cell)


def _objects(column):
    return [None if is_hole(cell) else np.asarray(cell) for cell in column]


def _where(present, cells):
    return [cell if there else None for cell, there in zip(cells, present, strict=True)]
