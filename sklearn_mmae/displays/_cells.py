"""From rows as users have them to drawings of their cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, singledispatch
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._core.errors import check_names
from .._core.typing import Names, Rows, SameContainer
from ..modalities import _shown
from ..tables._table import count_rows, names_of_rows, read, take_rows
from ._drawing import Drawing
from ._media import Clips, Pictures, Signals, Sounds
from ._tables import Tables, Texts, Words

__all__ = ["Predicted", "check_fitted", "drawings", "expect", "first_rows", "named", "row_labels"]


class Predicted(NamedTuple):
    """Rows as they come back.

    Attributes
    ----------
    X : container
    names : list of str
        Of the modalities that came back.
    shares : callable or None
        Returns the shares of words that are expected, a dict of column to DataFrame; None for
        those of the words that came back.
    """

    X: SameContainer
    names: list[str]
    shares: Callable[[], dict] | None


def expect(estimator: Any, X: SameContainer, rows: Rows, names: list[str]) -> Predicted:
    """Return what came back of some rows as `Predicted`, with the words that are expected."""
    return Predicted(X, names, cache(lambda: estimator.word_shares(rows)))


def check_fitted(estimator: Any) -> None:
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
        raise ValueError(f"n_rows={n_rows!r}: give a whole number of rows to plot, 1 or more.")
    known = count_rows(X)
    if n_rows > known:
        raise ValueError(
            f"n_rows={n_rows}, but X has {known} row{'s' if known > 1 else ''}. Give more rows, or"
            f" n_rows={known} at most."
        )
    return take_rows(X, np.arange(n_rows))


def row_labels(X, n_rows):
    """Return what the rows are called: by the index of a data frame, or their number."""
    return [f"row {label}" for label in names_of_rows(X)]


def named(estimator: Any, given: Names | None, parameter: str) -> list[str]:
    """Return names of modalities as a list, all of them for None, or say which there are."""
    known = {name: columns for name, _, columns in estimator.modalities_}
    return check_names(given, known, parameter, "modality of this estimator")


def drawings(
    estimator: Any, names: list[str], versions: dict[str, Rows | Predicted]
) -> list[Drawing]:
    """Return a `Drawing` for each of some modalities.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Fitted.
    names : list of str
    versions : dict of str to container or Predicted
        The same rows, by what they are to be called.

    Returns
    -------
    list of Drawing
    """
    show = {version: _reader(estimator, X) for version, X in versions.items()}
    drawn = []
    for name, modality, columns in estimator.modalities_:
        if name in names:
            shown = {version: read(modality, columns) for version, read in show.items()}
            drawn.append(drawing(next(iter(shown.values())), name, shown))
    return drawn


@singledispatch
def drawing(shown: object, name: str, versions: dict[str, _shown.Shown]) -> Drawing:
    """Return the `Drawing` of what a modality shows, as the first of its versions says."""
    raise TypeError(
        f"modality {name!r} shows a {type(shown).__name__}, which is not shown. Return one of the"
        " records of sklearn_mmae.cells, such as Texts or Pictures."
    )


drawing.register(_shown.Clips, Clips)
drawing.register(_shown.Pictures, Pictures)
drawing.register(_shown.Signals, Signals)
drawing.register(_shown.Sounds, Sounds)
drawing.register(_shown.Tables, Tables)
drawing.register(_shown.Texts, Texts)
drawing.register(_shown.Words, Words)


def _reader(estimator: Any, X: Rows | Predicted) -> Callable[[Any, list], _shown.Shown]:
    """Return a function from a modality and its columns to what it shows of some rows."""
    predicted = isinstance(X, Predicted)
    X, names, shares = X if predicted else (X, None, None)
    frame = read(X, estimator)
    held = frame.names
    if frame.kind == "array" and names is not None:  # what comes back has no other columns
        held = sorted(
            c for name, _, columns in estimator.modalities_ for c in columns if name in names
        )

    def show(modality, columns):
        cells = frame.cells([held.index(column) for column in columns])
        if frame.kind == "array":  # positions in `fit`
            cells = replace(cells, names=tuple(columns))
        shown = modality.shown(cells, predicted)
        if shares is not None and isinstance(shown, _shown.Words):
            return _expected(shown, shares()[columns[0]])
        return shown

    return show


def _expected(shown: _shown.Words, shares: Any) -> _shown.Words:
    """Return words with the shares that are expected, of which those that came back are few."""
    rows = shares.to_numpy()
    return replace(shown, cells=[dict(zip(shares.columns, row, strict=True)) for row in rows])
