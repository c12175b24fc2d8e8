"""`ReconstructionDisplay`: cells beside what comes back of them."""

from __future__ import annotations

from typing import Any, Self

from .._core.typing import Array, Axes, Figure, Names, Rows
from ._axes import grid, pyplot
from ._cells import check_fitted, drawings, expect, first_rows, named, row_labels
from ._drawing import Drawing

__all__ = ["ReconstructionDisplay", "plot_drawings"]


class ReconstructionDisplay:
    """Cells of some rows, and the same as they come back from the vectors.

    Each modality is drawn by its kind: pictures as the estimator sees them; texts as bars of the
    words that tell most, or written out for ``decoder="sequence"``; sounds as log-mel
    spectrograms (of the samples that came back); clips as film strips; signals as lines, over
    seconds where the rate is known and over steps else; tables as dots in standard deviations from
    the mean, with the names of categories.

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
        Pictures and sounds take two columns, other modalities one.
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

    axes_: Array
    figure_: Figure

    def __init__(self, drawings: list[Drawing], labels: list[str]) -> None:
        self.drawings, self.labels = drawings, labels

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
        """Reconstruct rows and draw them.

        Parameters
        ----------
        estimator : MultimodalAutoencoder or MultimodalVAE
            Fitted.
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        n_rows : int, default=4
            The first rows of `X` are drawn.
        modalities : str or list of str, default=None
            Names of those to draw; None for all.
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

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place is divided. None makes a figure of the size that it takes.

        Returns
        -------
        self
        """
        self.axes_ = plot_drawings(self.drawings, self.labels, ax, type(self).__name__)
        self.figure_ = self.axes_.flat[0].figure
        return self


def plot_drawings(drawings: list[Drawing], labels: list[str], ax: Axes | None, why: str) -> Array:
    """Draw modalities side by side on axes of one grid, and return these."""
    widths = [drawing.width for drawing in drawings for _ in range(drawing.n_axes)]
    height = max(drawing.height for drawing in drawings)
    axes = grid(ax, why, widths, [height] * len(labels), labels)
    first = 0
    for drawing in drawings:
        drawing.draw(axes[:, first : first + drawing.n_axes])
        first += drawing.n_axes
    return axes
