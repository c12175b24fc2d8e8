"""`ReconstructionDisplay`: cells beside what comes back of them."""

from __future__ import annotations

from typing import Any, Self

from .._core.typing import Array, Axes, Figure, Names, Rows
from ._axes import grid, pyplot
from ._cells import check_fitted, drawings, expect, first_rows, named, row_labels
from ._drawing import Drawing

__all__ = ["DrawnRows", "ReconstructionDisplay"]


class DrawnRows:
    """What figures of rows share: modalities side by side, and the rows below one another."""

    axes_: Array
    figure_: Figure

    def __init__(self, drawings: list[Drawing], labels: list[str]) -> None:
        self.drawings, self.labels = drawings, labels

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot in the place of `ax`, or in a figure of the size that it takes."""
        widths = [drawing.width for drawing in self.drawings for _ in range(drawing.n_axes)]
        height = max(drawing.height for drawing in self.drawings)
        axes = grid(ax, type(self).__name__, widths, [height] * len(self.labels), self.labels)
        first = 0
        for drawing in self.drawings:
            drawing.draw(axes[:, first : first + drawing.n_axes])
            first += drawing.n_axes
        self.axes_, self.figure_ = axes, axes.flat[0].figure
        return self


class ReconstructionDisplay(DrawnRows):
    """Cells of some rows, and their reconstructions from the embeddings.

    Images are shown as the estimator reads them; texts as bars of the most likely words, or
    written out for ``decoder="sequence"``; sounds as log-mel spectrograms (of the reconstructed
    samples); video clips as film strips; signals as lines, over seconds where the rate is known
    and over steps else; tables as dots in standard deviations from the mean, with the names of
    categories.

    Make one by `from_estimator`.

    Parameters
    ----------
    drawings : list of Drawing
        One for each modality.
    labels : list of str
        Of the rows.

    Attributes
    ----------
    axes_ : ndarray of shape (rows, columns), of Axes
        Images and sounds take two columns, other modalities one.
    figure_ : Figure

    See Also
    --------
    TranslationDisplay : The same for modalities that are predicted from others.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import ReconstructionDisplay
    >>> frame = load_digits_frame()[:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0).fit(frame)
    >>> display = ReconstructionDisplay.from_estimator(mmae, frame, n_rows=3)
    >>> display.axes_.shape
    (3, 4)
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        n_rows: int = 4,
        modalities: Names | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Reconstruct rows and plot them.

        Parameters
        ----------
        estimator : MultimodalAutoencoder or MultimodalVAE
            Fitted.
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        n_rows : int, default=4
            The first rows of `X` are shown.
        modalities : str or list of str, default=None
            Names of those to plot; None for all.
        ax : matplotlib Axes, default=None
            Whose place is divided. None makes a figure of the size that it takes.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a pipeline or search, rather than the estimator in it.
        ValueError
            For more rows than there are, or a name that is no modality's.
        ImportError
            Without matplotlib.
        """
        pyplot(cls.__name__)
        check_fitted(estimator)
        names = named(estimator, modalities, "modalities")
        rows = first_rows(X, n_rows)
        everything = named(estimator, None, "modalities")
        again = expect(estimator, estimator.reconstruct(rows), rows, everything)
        found = drawings(estimator, names, {"observed": rows, "reconstructed": again})
        return cls(found, row_labels(rows, n_rows)).plot(ax=ax)
