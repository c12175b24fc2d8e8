"""`LatentDisplay`: the embeddings of rows as a map of two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._core.errors import did_you_mean, listing
from .._core.holes import observed
from .._core.typing import ArrayLike, Axes, Figure, Rows
from ..tables._table import read_columns
from ._axes import colours_of, one_axes, pyplot

__all__ = ["LatentDisplay"]

MOST_CATEGORIES = 12  # that a legend holds; more are the most frequent and "other"


class LatentDisplay:
    """A map of embeddings: each row is a dot, coloured by a column or label.

    Parameters
    ----------
    codes : ndarray of shape (rows, 2)
    labels : array of shape (rows,), default=None
        Numbers are shown by a colour bar; categories, texts and bools by a legend.
    name : str, default=""
        Of the labels.
    axis_labels : pair of str, default=("first component", "second component")

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import LatentDisplay
    >>> frame = load_digits_frame()[:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0).fit(frame)
    >>> display = LatentDisplay.from_estimator(mmae, frame, color="ink")
    >>> display.ax_.get_xlabel()
    'component 0'
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        codes: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        name: str = "",
        axis_labels: Sequence[str] = ("first component", "second component"),
    ) -> None:
        self.codes, self.labels, self.name, self.axis_labels = codes, labels, name, axis_labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        color: ArrayLike | None = None,
        method: str = "components",
        components: Sequence[int] = (0, 1),
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Transform rows and plot them.

        Parameters
        ----------
        estimator : transformer
            Fitted.
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        color : column name, or array of shape (rows,), default=None
            What to colour the rows by.
        method : {"components", "pca"}, default="components"
            Two components as they are, or the first two principal components of the vectors.
        components : pair of int, default=(0, 1)
            Which of them.
        ax : matplotlib Axes, default=None
        **options
            Of matplotlib's ``scatter``.

        Returns
        -------
        LatentDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For a column or component that there is not.
        ImportError
            Without matplotlib.
        """
        pyplot(cls.__name__)
        check_is_fitted(estimator)
        if method not in ("components", "pca"):
            raise ValueError(
                f"method={method!r}: give 'components' or 'pca'."
                + did_you_mean(method, ["components", "pca"])
            )
        labels, name = _labels(color, X)
        codes = check_array(estimator.transform(X))
        if labels is not None and len(labels) != len(codes):
            raise ValueError(
                f"color has {len(labels)} entries, X {len(codes)} rows. Give one for each row."
            )
        axis_labels = [f"component {component}" for component in components]
        if method == "pca":
            codes, axis_labels = _principal(codes, components)
        _check_components(components, codes.shape[1])
        display = cls(codes[:, list(components)], labels, name=name, axis_labels=axis_labels)
        return display.plot(ax=ax, **options)

    def plot(self, ax: Axes | None = None, **options: Any) -> Self:
        """Plot on `ax`, or in a new figure, by options of ``scatter``."""
        ax = one_axes(ax, type(self).__name__)
        options = {"s": 14, "linewidths": 0, "alpha": 0.8} | options
        x, y = np.asarray(self.codes).T
        if self.labels is None:
            ax.scatter(x, y, **({"color": colours_of(1)[0][0]} | options))
        elif _is_number(self.labels):
            self._plot_numbers(ax, x, y, options)
        else:
            self._plot_categories(ax, x, y, options)
        ax.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_numbers(self, ax, x, y, options):
        numbers = np.asarray(self.labels, np.float64)
        known = np.isfinite(numbers)
        if not known.all():
            ax.scatter(x[~known], y[~known], **(options | {"color": "0.8"}))
        dots = ax.scatter(x[known], y[known], c=numbers[known], **({"cmap": "viridis"} | options))
        ax.figure.colorbar(dots, ax=ax, label=self.name)

    def _plot_categories(self, ax, x, y, options):
        known = observed(np.asarray(self.labels, object))
        labels = pd.Series(list(self.labels), dtype=object).where(known)
        counts = labels.value_counts()
        kept = list(counts.index[:MOST_CATEGORIES])
        with suppress(TypeError):  # of kinds that have no order among them
            kept.sort()
        groups = {label: (labels == label).to_numpy() for label in kept}
        rest = ~labels.isin(kept).to_numpy()
        if rest.any():
            name = "other" if len(counts) > len(kept) else "missing"
            ax.scatter(x[rest], y[rest], label=name, **(options | {"color": "0.8"}))
        for (label, where), (colour, marker) in zip(
            groups.items(), colours_of(len(groups)), strict=True
        ):
            style = {"color": colour, "marker": marker} | options
            ax.scatter(x[where], y[where], label=str(label), **style)
        ax.legend(
            title=self.name,
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            frameon=False,
            markerscale=1.6,
        )


def _labels(color, X):
    """Return what to colour by, and its name."""
    if color is None:
        return None, ""
    if isinstance(color, str):
        columns = read_columns(X)
        if color not in columns:
            raise ValueError(
                f"color={color!r} is no column of X.{did_you_mean(color, columns)} They are"
                f" {listing(map(repr, columns))}; or give an array, one entry for each row."
            )
        return columns[color].values, color
    return np.asarray(color), str(getattr(color, "name", None) or "")


def _is_number(labels):
    labels = np.asarray(labels)
    return labels.dtype.kind == "f" or (labels.dtype.kind in "iu" and len(set(labels)) > 12)


def _principal(codes, components):
    from sklearn.decomposition import PCA

    n = min(codes.shape)
    _check_components(components, n)
    pca = PCA(n, svd_solver="full").fit(codes)
    shares = pca.explained_variance_ratio_
    names = [f"principal component {c} ({shares[c]:.0%} of variance)" for c in components]
    return pca.transform(codes), names


def _check_components(components, n):
    if len(components) != 2 or not all(0 <= component < n for component in components):
        raise ValueError(
            f"components={components!r}: give two of the {n} there are, counted from 0, such as"
            " (0, 1)."
        )
