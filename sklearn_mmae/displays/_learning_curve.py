"""`LearningCurveDisplay`: losses by epoch, in all and of each modality."""

from __future__ import annotations

from typing import Any, Self

from .._core.optional import optional
from .._core.typing import Axes, Figure
from ._axes import COLOURS, one_axes, pyplot
from ._cells import check_fitted

__all__ = ["LearningCurveDisplay"]


class LearningCurveDisplay:
    """Losses of the epochs of `fit`: of training rows and, where some were held out, of these.

    Parameters
    ----------
    losses : dict of str to dict of {"train", "valid"} to list of float
        By what they are of.
    unit : str, default="loss"
        Label of the axis.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    Notes
    -----
    The loss of a `MultimodalAutoencoder` is 1 where the column means are predicted; that of a
    `MultimodalVAE` is in units of the nats that a row of standard normal numbers has.

    A training loss is that of corrupted rows, of which parts are hidden, by weights that move; a
    validation loss that of clean rows, by the running mean of the weights. So it may be lower.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> from sklearn_mmae.displays import LearningCurveDisplay
    >>> frame = load_digits_frame()[:300]
    >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=3, random_state=0).fit(frame)
    >>> display = LearningCurveDisplay.from_estimator(mmae)
    >>> sorted(display.losses)
    ['caption', 'image', 'sum', 'tabular']
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, losses: dict[str, dict[str, list[float]]], *, unit: str = "loss") -> None:
        self.losses, self.unit = losses, unit

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Plot the history of a fitted estimator.

        Parameters
        ----------
        estimator : MultimodalAutoencoder or MultimodalVAE
            Fitted, for at least one epoch.
        ax : matplotlib Axes, default=None

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a pipeline or search, rather than the estimator in it.
        ValueError
            If no epoch was run.
        ImportError
            Without matplotlib.
        """
        pyplot(cls.__name__)
        check_fitted(estimator)
        history = estimator.history_
        if not history:
            raise ValueError(
                "no epoch was run, so there is no loss to plot. Fit with max_epochs of 1 or more."
            )
        prefix, losses = "train_loss_", {}
        parts = [key.removeprefix(prefix) for key in history[0] if key.startswith(prefix)]
        for part in ["sum", *(part for part in parts if part != "best")]:
            end = "" if part == "sum" else f"_{part}"
            losses[part.removeprefix("extra_terms__")] = {
                kind: [epoch[f"{kind}_loss{end}"] for epoch in history]
                for kind in ("train", "valid")
                if all(f"{kind}_loss{end}" in epoch for epoch in history)
            }
        if len(losses) == 2:  # one modality is the sum
            del losses["sum"]
        of_one = "a standard normal row" if "divergence" in losses else "column means"
        return cls(losses, unit=f"loss ({of_one} = 1)").plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Plot on `ax`, or in a new figure."""
        ax = one_axes(ax, type(self).__name__)
        colours = dict(zip((n for n in self.losses if n != "sum"), COLOURS * 9, strict=False))
        for name, curves in self.losses.items():
            for kind, values in curves.items():
                ax.plot(
                    range(1, len(values) + 1),
                    values,
                    color=colours.get(name, "0.35"),
                    ls="-" if kind == "valid" or len(curves) == 1 else ":",
                    lw=2.2 if name == "sum" else 1.6,
                    marker="o" if len(values) == 1 else None,
                    label=name if kind == "valid" or len(curves) == 1 else None,
                )
        self._explain(ax)
        ax.set(xlabel="epoch", ylabel=self.unit)
        ax.xaxis.get_major_locator().set_params(integer=True)
        values = [v for curves in self.losses.values() for curve in curves.values() for v in curve]
        if min(values) > 0:
            ticker = optional("matplotlib.ticker", extra="plot", why=type(self).__name__)
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(ticker.NullFormatter())
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _explain(self, ax):
        """Write a legend of names, and of the two kinds of lines where there are both."""
        if any(len(curves) > 1 for curves in self.losses.values()):
            ax.plot([], [], color="0.35", ls="-", label="held-out rows")
            ax.plot([], [], color="0.35", ls=":", label="training rows")
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
