"""`ExplainedDevianceDisplay`: what embeddings of several lengths explain of each modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from .._core.optional import optional
from .._core.typing import Axes, Figure, Rows
from ..tables._table import read
from ._axes import colours_of, one_axes, pyplot

__all__ = ["ExplainedDevianceDisplay"]


class ExplainedDevianceDisplay:
    """The share of each modality's deviance that embeddings explain, by length, beside PCA's.

    Parameters
    ----------
    n_components : list of int
        Lengths of the embeddings.
    explained : dict of str to list of float
        Of each modality and length.
    pca : dict of str to list of float, default=None
        The same of principal components; NaN for more components than PCA can have.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    Notes
    -----
    PCA gets the columns of all modalities side by side: standardised numbers, an indicator of each
    category, pixels, tf-idf weights of words and their parts, steps of signals, video clips and
    spectrograms. Columns are centred, and each modality is scaled to a total variance of 1.

    For PCA the squared error counts, which for numbers and images is the deviance. For categories
    and words the deviance of the estimators is another one (see their `score`), so compare these
    lines in shape rather than in height. Of a modality of your own PCA gets what its `as_numbers`
    returns: by default the view of its network.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import ExplainedDevianceDisplay
    >>> frame = load_digits_frame()
    >>> mmae = MultimodalAutoencoder(max_epochs=0, random_state=0)
    >>> display = ExplainedDevianceDisplay.from_estimator(
    ...     mmae, frame[:300], frame[300:400], n_components=(2, 8)
    ... )
    >>> sorted(display.explained)
    ['caption', 'image', 'tabular']
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        n_components: Sequence[int],
        explained: dict[str, list[float]],
        pca: dict[str, list[float]] | None = None,
    ) -> None:
        self.n_components, self.explained, self.pca = n_components, explained, pca

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        X_test: Rows | None = None,
        *,
        n_components: Sequence[int] = (2, 4, 8, 16),
        ax: Axes | None = None,
    ) -> Self:
        """Fit a clone for each length, and plot what it explains.

        Parameters
        ----------
        estimator : MultimodalAutoencoder or MultimodalVAE
            Fitted or not: it is cloned.
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            To learn from.
        X_test : as X, default=None
            To explain; None for `X` itself.
        n_components : sequence of int, default=(2, 4, 8, 16)
            Lengths of the embeddings; a fit for each.
        ax : matplotlib Axes, default=None

        Returns
        -------
        ExplainedDevianceDisplay

        Raises
        ------
        ValueError
            Without any length of an embedding.
        ImportError
            Without matplotlib.
        """
        pyplot(cls.__name__)
        lengths = sorted(set(n_components))
        if not lengths:
            raise ValueError(
                "n_components is empty. Give lengths of embeddings, such as (2, 4, 8)."
            )
        X_test = X if X_test is None else X_test
        explained = {}
        for length in lengths:
            fitted = clone(estimator).set_params(n_components=length).fit(X)
            for name, share in fitted.explained_deviance(X_test).items():
                explained.setdefault(name, []).append(share)
        return cls(lengths, explained, _of_pca(fitted, X, X_test, lengths)).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot on `ax`, or in a new figure."""
        ax = one_axes(ax, type(self).__name__)
        pca = self.pca or {}
        for (name, shares), (colour, marker) in zip(
            self.explained.items(), colours_of(len(self.explained)), strict=True
        ):
            style = {"color": colour, "marker": marker, "ms": 6}
            ax.plot(self.n_components, shares, label=name, **style)
            if name in pca:
                ax.plot(self.n_components, pca[name], ls="--", mfc="none", **style)
        if pca:
            ax.plot([], [], color="0.35", label="this estimator")
            ax.plot([], [], color="0.35", ls="--", label="PCA")
        ticker = optional("matplotlib.ticker", extra="plot", why=type(self).__name__)
        ax.set_xscale("log", base=2)
        ax.set_xticks(self.n_components, list(map(str, self.n_components)))
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.yaxis.set_major_formatter(ticker.PercentFormatter(1.0))
        ax.set(xlabel="n_components", ylabel="deviance explained")
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _of_pca(estimator, X, X_test, lengths):
    """Return what principal components of all columns side by side explain of each modality."""
    from sklearn.decomposition import PCA

    blocks = {}
    known, asked = (_encoded(estimator, rows) for rows in (X, X_test))
    for name, (columns, present) in known.items():
        if name not in asked:
            continue
        mean = columns[present].mean(0)
        total = np.square(columns[present] - mean).sum() / len(columns)
        blocks[name] = [
            np.where(there[:, None], rows - mean, 0) / (np.sqrt(total) or 1)
            for rows, there in ((columns, present), asked[name])
        ]
    if not blocks:
        return {}
    ends = np.cumsum([block.shape[1] for block, _ in blocks.values()])
    learned, tested = (np.hstack(side) for side in zip(*blocks.values(), strict=True))
    most = min(learned.shape)
    pca = PCA(min(max(lengths), most), random_state=0).fit(learned)
    codes = pca.transform(tested)
    explained = {name: [] for name in blocks}
    for length in lengths:
        again = codes[:, :length] @ pca.components_[:length] + pca.mean_
        for (name, (_, block)), end in zip(blocks.items(), ends, strict=True):
            there = asked[name][1]
            error = block - again[:, end - block.shape[1] : end]
            error = np.square(error[there]).sum() / np.square(block[there]).sum()
            explained[name].append(float(1 - error) if length <= most else float("nan"))
    return explained


def _encoded(estimator, X):
    """Return the columns of each modality as numbers, and where it is present."""
    frame, encoded = read(X, estimator), {}
    for name, modality, columns in estimator.modalities_:
        if not set(columns) <= set(frame.names):
            continue  # rows to explain may lack modalities
        values = modality.transform(frame.cells([frame.names.index(c) for c in columns]))
        encoded[name] = modality.as_numbers(values), values.present
    return encoded
