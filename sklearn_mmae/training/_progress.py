"""Epochs made visible: a bar for people, scikit-learn's callback protocol for programs."""

from __future__ import annotations

from skorch.callbacks import Callback

from .._core.progress import progress_bar
from ._net import StopTraining

__all__ = ["Progress"]


class Progress(Callback):
    """Report every epoch to a progress bar and to scikit-learn's callbacks.

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

    def __init__(self, estimator, context, n_epochs, verbose):
        self.estimator, self.context = estimator, context
        self.n_epochs, self.verbose = n_epochs, verbose

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the bar."""
        name = type(self.estimator).__name__
        self.bar_ = progress_bar(self.n_epochs, name, "epoch", self.verbose)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Open the epoch's task."""
        if self.context is not None:
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Advance the bar, close the task, and stop if a callback says so."""
        if self.bar_ is not None:
            losses = {k: net.history[-1].get(f"{k}_loss") for k in ("train", "valid")}
            self.bar_.set_postfix({k: f"{v:.4f}" for k, v in losses.items() if v is not None})
            self.bar_.update()
        if self.context is not None and self.task_.call_on_fit_task_end(estimator=self.estimator):
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Close the bar."""
        if self.bar_ is not None:
            self.bar_.close()
