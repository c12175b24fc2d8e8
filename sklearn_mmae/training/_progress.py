"""Epochs made visible: a bar for people, scikit-learn's callback protocol for programs."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from .._core.progress import LOG, progress_bar
from ._net import AutoencoderNet, StopTraining

__all__ = ["Progress"]

LONG = 60  # seconds of a fit that are worth a word


class Progress(Callback):
    """Report every epoch to a progress bar and to scikit-learn's callbacks.

    A context manager, for the bar is to be closed whatever happens.

    Parameters
    ----------
    estimator : estimator
        The one being fitted.
    context : sklearn.callback.CallbackContext or None
        Of its fit, where scikit-learn has callbacks.
    n_epochs : int
    verbose : int
        See `progress_bar`.
    """

    def __init__(self, estimator: BaseEstimator, context: Any, n_epochs: int, verbose: int):
        self.estimator, self.context = estimator, context
        self.n_epochs, self.verbose = n_epochs, verbose

        self.bar_ = None

    def __enter__(self) -> Progress:
        """Open the bar."""
        name = type(self.estimator).__name__
        self.bar_ = progress_bar(self.n_epochs, name, "epoch", self.verbose)
        return self

    def __exit__(self, *error: Any) -> None:
        """Close the bar, at its end unless there was an error."""
        if self.bar_ is not None:
            if error == (None, None, None):
                self.bar_.total = self.bar_.n  # training may stop early
            self.bar_.close()

    def finish(self, epochs: Iterable[int], n_epochs: int) -> None:
        """Run these epochs on all rows, after those of `fit`, and count them."""
        bar = self.bar_
        if bar is not None:
            bar.total = bar.n + n_epochs
            bar.set_description(f"{type(self.estimator).__name__}, on all rows")
        for _ in epochs:
            if bar is not None:
                bar.update()

    def on_epoch_begin(
        self,
        net: AutoencoderNet,
        dataset_train: Any = None,
        dataset_valid: Any = None,
        **kwargs: Any,
    ) -> None:
        """Open the epoch's task."""
        self.began_ = monotonic()
        if self.context is not None:
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(
        self,
        net: AutoencoderNet,
        dataset_train: Any = None,
        dataset_valid: Any = None,
        **kwargs: Any,
    ) -> None:
        """Advance the bar, close the task, and stop if a callback says so."""
        if len(net.history) == 1:
            self._say_how_long(monotonic() - self.began_)
        if self.bar_ is not None:
            losses = {k: net.history[-1].get(f"{k}_loss") for k in ("train", "valid")}
            shown = {k: f"{v:.4f}" for k, v in losses.items() if v is not None}
            self.bar_.set_postfix(shown, refresh=False)
            self.bar_.update()
        if self.context is not None and self.task_.call_on_fit_task_end(estimator=self.estimator):
            raise StopTraining

    def _say_how_long(self, seconds: float) -> None:
        """Warn of a long fit in the log, given the seconds of an epoch."""
        expected = seconds * self.n_epochs
        if expected > LONG and self.bar_ is None:
            LOG.warning(
                "%s: up to %.0f minutes, %.1f s for each of %d epochs. max_time=60 sets a limit of"
                " 60 seconds, verbose=1 shows a bar.",
                type(self.estimator).__name__,
                max(expected / 60, 1),
                seconds,
                self.n_epochs,
            )
