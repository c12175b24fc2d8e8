"""`ComponentDisplay`: what low and high values of one component stand for."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from .._core.typing import Array, Axes, Names, Rows
from ..modalities._shown import Shown
from ._axes import COLOURS, pyplot
from ._cells import Predicted, check_fitted, drawings, named
from ._drawing import Drawing
from ._reconstruction import DrawnRows
from ._tables import LONGEST_WORD, cut

__all__ = ["ComponentDisplay"]

REACH = 2.0  # standard deviations from the mean
MOST_BARS = 6


class Loadings(Drawing):
    """The largest loadings of a modality on one component as bars, beside a `Drawing` of it."""

    n_axes, width, height = 1, 2.6, 1.9

    def __init__(self, loadings: pd.Series, name: str) -> None:
        super().__init__(Shown([]), name, {})
        largest = np.argsort(-loadings.abs().to_numpy(), kind="stable")[:MOST_BARS]
        self.loadings = loadings.iloc[largest]

    def draw(self, axes: Array) -> None:
        """Draw the bars, blue for what is high where the component is low."""
        (ax,) = axes.flat
        values = self.loadings.to_numpy()
        places = range(len(values))
        ax.barh(places, values, 0.6, color=[COLOURS[int(value > 0)] for value in values])
        ax.set_yticks(places, [cut(str(label), LONGEST_WORD) for label in self.loadings.index])
        ax.set_ylim(MOST_BARS - 0.4, -0.6)
        ax.axvline(0, color="0.85", lw=1, zorder=0)
        ax.set(title=f"{self.name}\nlargest loadings", xlabel="loading")


class ComponentDisplay(DrawnRows):
    """What low and high values of one component look like, beside its largest loadings.

    The mean vector of some rows is decoded with the component two of its standard deviations
    lower and higher. Modalities are shown as by `ReconstructionDisplay`, texts as the predicted
    words; loadings are those of `components_`.

    Make one by `from_estimator`.

    Parameters
    ----------
    drawings : list of Drawing
        Of each modality, its cells and then its loadings.
    labels : list of str
        The component.

    Attributes
    ----------
    axes_ : ndarray of shape (1, columns), of Axes
        Images and sounds take three columns, other modalities two.
    figure_ : Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import ComponentDisplay
    >>> frame = load_digits_frame()[:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0).fit(frame)
    >>> display = ComponentDisplay.from_estimator(mmae, frame, component=1)
    >>> display.axes_.shape
    (1, 7)
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        component: int = 0,
        modalities: Names | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Decode low and high values of a component and plot them.

        Parameters
        ----------
        estimator : MultimodalAutoencoder or MultimodalVAE
            Fitted.
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            Whose vectors give the mean and the standard deviation.
        component : int, default=0
            Counted from 0.
        modalities : str or list of str, default=None
            Names of those to plot; None for all.
        ax : matplotlib Axes, default=None
            Whose place is divided. None makes a figure of the size that it takes.

        Returns
        -------
        ComponentDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a pipeline or search, rather than the estimator in it.
        ValueError
            For a component that there is not, or a name that is no modality's.
        ImportError
            Without matplotlib.
        """
        pyplot(cls.__name__)
        check_fitted(estimator)
        names, everything = (named(estimator, given, "modalities") for given in (modalities, None))
        _check_component(component, estimator.n_components_)
        codes = check_array(estimator.transform(X))
        step = np.zeros(codes.shape[1])
        step[component] = REACH * codes[:, component].std()
        ends = {"low": codes.mean(0) - step, "high": codes.mean(0) + step}
        versions = {
            version: Predicted(estimator.inverse_transform(end[None]), everything, None)
            for version, end in ends.items()
        }
        loadings = estimator.components_
        found: list[Drawing] = []
        for drawing in drawings(estimator, names, versions):
            found += [drawing, Loadings(loadings[drawing.name].iloc[component], drawing.name)]
        return cls(found, [f"component {component}"]).plot(ax=ax)


def _check_component(component: int, n: int) -> None:
    whole = isinstance(component, int | np.integer) and not isinstance(component, bool)
    if not whole or not 0 <= component < n:
        raise ValueError(
            f"component={component!r}: give one of the {n} there are, a whole number counted from"
            " 0."
        )
