"""`AutoencoderNet`: a skorch net whose epochs cost no more than a loop written by hand."""

from __future__ import annotations

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from .._core.errors import ConvergenceError
from ._batches import BatchIterator
from ._flat import FlatWeights
from ._shards import Shards

__all__ = ["AutoencoderNet", "StopTraining", "held_out_generator"]

AVERAGING = 0.99  # of the weights, per step: constant steps then end as quietly as annealed ones

LARGEST_GRADIENT = 0.5


def held_out_generator(batch):
    """Return a generator for held-out rows, the same at every epoch.

    With others the best epoch would be a lucky one.
    """
    return torch.Generator(batch.pattern.device).manual_seed(len(batch))


class StopTraining(Exception):  # noqa: N818  (a signal, not an error)
    """Training is over before the last epoch."""


class AutoencoderNet(NeuralNet):
    """skorch's net, its hooks and history, over batches that are slices of tensors.

    Each step decodes every row twice: from all that is present, and from a random part of it, so
    that each modality alone leads to the whole row. What is evaluated and kept is a running mean
    of the weights (Polyak & Juditsky, 1992), so that no schedule of learning rates is needed.

    Skips skorch's bookkeeping per batch unless a callback asks for it: `on_batch_begin` and
    `on_batch_end` are sent to callbacks that define them; `on_grad_computed`, or an optimiser
    that takes a closure, brings back skorch's own step.

    Parameters
    ----------
    module : MultimodalNetwork
    noise : float
    generator : torch.Generator
        Of the training device, for noise and subsets.
    names : list of str
        Of the modalities, for the history and errors.
    **options
        Those of `skorch.NeuralNet`.
    """

    def __init__(self, module, *, noise=0.0, generator=None, names=(), **options):
        self.noise, self.generator, self.names = noise, generator, names
        super().__init__(
            module,
            criterion=nn.Identity,  # the module returns its loss: it depends on the masks
            iterator_train=BatchIterator,
            iterator_valid=BatchIterator,
            train_split=None,
            verbose=0,
            callbacks__print_log=None,
            callbacks__train_loss=None,
            callbacks__valid_loss=None,
            **options,
        )

    def initialize_optimizer(self, triggered_directly=None):
        """Give the optimiser the weights as two long tensors, with and without decay."""
        linear, networks = [], []
        for name, parameter in self.module_.named_parameters():
            # The linear path is right as it stands: decay would pull it away from PCA.
            on_path = name.startswith(("projections.", "log_scales.")) or ".linear." in name
            (linear if on_path else networks).append(parameter)
        self.weights_ = FlatWeights([linear, networks])
        options = dict(self.get_params_for("optimizer"))
        options.setdefault("lr", self.lr)
        first, second = self.weights_.parameters
        still = {"weight_decay": 0.0} if "weight_decay" in options else {}
        self.optimizer_ = self.optimizer(
            [{"params": [first], **still}, {"params": [second]}], **options
        )
        return self

    def _zero_grad_optimizer(self, set_to_none=None):
        pass  # the gradients are views, which each step writes anew

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the pair of training and validation rows, as given to `fit_loop`."""
        return X

    def notify(self, method_name, **cb_kwargs):
        """Tell the callbacks; those of skorch stop training by KeyboardInterrupt, a user does not.

        skorch takes every KeyboardInterrupt for the wish to stop early, which would swallow Ctrl-C.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        stop = None
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except StopTraining as asked:
                stop = asked  # the others hear of this epoch all the same
            except KeyboardInterrupt as interrupt:
                if not type(callback).__module__.startswith("skorch."):
                    raise
                stop = StopTraining(str(interrupt))
        if stop is not None:
            raise stop

    def train_step_single(self, batch, **fit_params):
        """Compute the loss and its gradient."""
        shown = self.module_.draw(batch.pattern, self.generator)

        def losses_of(module, generator, rows, seen):
            return module(rows, seen, self.noise, generator)

        losses = self.shards_.teach(losses_of, batch, shown)
        # One row with an outlier must not undo what many have taught.
        self.weights_.clip_gradients(LARGEST_GRADIENT)
        return {"loss": losses.sum(), "losses": losses, "y_pred": None}

    def train_step(self, batch, **fit_params):
        """Take one step, without a closure unless one is needed."""
        if self.needs_closure_:
            return super().train_step(batch, **fit_params)
        step = self.train_step_single(batch)
        self.optimizer_.step()
        return step

    def validation_step(self, batch, **fit_params):
        """Return the loss of held-out rows: each from all of it, and from fixed parts of it."""
        shown = self.module_.draw(batch.pattern, held_out_generator(batch))

        def losses_of(module, generator, rows, seen):
            return module(rows, seen, 0.0, held_out_generator(rows))

        losses = self.shards_.look(losses_of, batch, shown)
        return {"loss": losses.sum(), "losses": losses, "y_pred": None}

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Run epochs, having asked which callbacks want to hear of batches."""
        self.watched_ = self._overridden("on_batch_begin", "on_batch_end")
        self.needs_closure_ = self._overridden("on_grad_computed") or isinstance(
            self.optimizer_, torch.optim.LBFGS
        )
        self.shards_ = Shards(self.module_, self.generator, self.weights_, self.batch_size)
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        finally:
            del self.shards_

    def _overridden(self, *hooks):
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in hooks
        )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run all batches, with one record an epoch and no wait for the device within."""
        if iterator is None:
            return
        self.shards_.train(training)
        if not training:
            self.weights_.swap()
        total, n_rows = 0, 0
        try:
            for batch in iterator:
                if self.watched_:
                    self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch)
                total = total + step["losses"] * len(batch)
                n_rows += len(batch)
                if training:
                    self.weights_.average(AVERAGING)
                if self.watched_:
                    self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            if not training:
                self.weights_.swap()
        losses = (total / n_rows).tolist()
        self._check_finite(losses, prefix)
        self.history.record(f"{prefix}_loss", sum(losses))
        for name, loss in zip(self.names, losses, strict=True):
            self.history.record(f"{prefix}_loss_{name}", loss)
        before = [e[f"{prefix}_loss"] for e in self.history[:-1]]
        self.history.record(f"{prefix}_loss_best", sum(losses) < min(before, default=np.inf))

    def _check_finite(self, losses, prefix):
        broken = [
            name for name, loss in zip(self.names, losses, strict=True) if not np.isfinite(loss)
        ]
        if broken:
            raise ConvergenceError(
                f"the {'training' if prefix == 'train' else 'validation'} loss of modality"
                f" {', '.join(map(repr, broken))} is {losses[self.names.index(broken[0])]} in epoch"
                f" {len(self.history)}: training diverged. Lower lr (now {self.lr:g}), or look for"
                " outliers in the data."
            )
