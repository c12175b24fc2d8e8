"""`TranslationDisplay`: what is given, what is made of it, and what is true."""

from __future__ import annotations

from typing import Any, Self

from .._core.errors import listing
from .._core.typing import Axes, Names, Rows
from ..tables._table import read_columns, select
from ._axes import pyplot
from ._cells import check_fitted, drawings, expect, first_rows, named, row_labels
from ._reconstruction import DrawnRows

__all__ = ["TranslationDisplay"]


class TranslationDisplay(DrawnRows):
    """Modalities of some rows that are given, and others that are predicted from them.

    The truth is shown beside the predictions, where `X` has it. Modalities are shown as by
    `ReconstructionDisplay`.

    Make one by `from_estimator`; parameters and attributes are those of `ReconstructionDisplay`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import TranslationDisplay
    >>> frame = load_digits_frame()[:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0).fit(frame)
    >>> display = TranslationDisplay.from_estimator(
    ...     mmae, frame, given="caption", to="image", n_rows=3
    ... )
    >>> display.axes_.shape
    (3, 3)
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        to: Names,
        given: Names | None = None,
        n_rows: int = 4,
        ax: Axes | None = None,
    ) -> Self:
        """Translate rows and plot them.

        Parameters
        ----------
        estimator, X, n_rows, ax
            As in `ReconstructionDisplay.from_estimator`; columns of `to` may be missing.
        to : str or list of str
            Names of the modalities to predict.
        given : str or list of str, default=None
            Names of those to predict from; None for all others that `X` has.

        Returns
        -------
        TranslationDisplay

        Raises
        ------
        ValueError
            As `ReconstructionDisplay.from_estimator`; for a name in both `given` and `to`.
        """
        pyplot(cls.__name__)
        check_fitted(estimator)
        to = named(estimator, to, "to")
        columns_of = {name: columns for name, _, columns in estimator.modalities_}
        rows = first_rows(X, n_rows)
        known = read_columns(rows)
        there = [name for name, columns in columns_of.items() if set(columns) <= set(known)]
        if given is None:
            given = [name for name in there if name not in to]
        given = named(estimator, given, "given")
        both = [name for name in given if name in to]
        if both:
            raise ValueError(
                f"{listing(map(repr, both))} is both in given and in to. Name each once."
            )
        absent = [name for name in given if name not in there]
        if absent:
            columns = [column for name in absent for column in columns_of[name]]
            raise ValueError(
                f"given={listing(map(repr, absent))}, but X has no column"
                f" {listing(map(repr, columns))}. Give rows that have it, or name other modalities."
            )
        source = select(rows, [column for name in given for column in columns_of[name]])
        drawn = expect(estimator, estimator.translate(source, to), source, to)
        true = {"true": rows} if set(to) <= set(there) else {}
        found = drawings(estimator, given, {"given": source})
        found += drawings(estimator, to, {"translated": drawn, **true})
        return cls(found, row_labels(rows, n_rows)).plot(ax=ax)
