"""`AutoencoderNet`: a skorch net whose epochs cost no more than a loop written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from .._core.errors import ConvergenceError
from ._batches import Batch, BatchIterator, Rows
from ._gradients import FlatWeights, MakeGradients, PlainGradients
from ._joint import JointNetwork
from ._rates import NEVER, Deadline, Rate, later, one_cycle, shares_done

__all__ = ["AutoencoderNet", "StopTraining", "held_out_generator"]

Step = dict[str, Any]  # loss, losses and y_pred, as skorch has it

AVERAGING = 0.95  # of the weights, per step: early epochs are then judged without their noise


def held_out_generator(batch: Batch) -> torch.Generator:
    """Return a generator for held-out rows, the same at every epoch.

    With others the best epoch would be a lucky one.
    """
    return torch.Generator(batch.pattern.device).manual_seed(len(batch))


class StopTraining(Exception):  # noqa: N818  (a signal, not an error)
    """Training is over before the last epoch."""


class AutoencoderNet(NeuralNet):
    """skorch's net, its hooks and history, over batches that are slices of tensors.

    What is evaluated and kept is a running mean of the weights (Polyak & Juditsky, 1992): what an
    epoch has learned shows before the learning rate has come down.

    Skips skorch's bookkeeping per batch unless a callback asks for it: `on_batch_begin` and
    `on_batch_end` are sent to callbacks that define them; `on_grad_computed`, or an optimiser
    that takes a closure, brings back skorch's own step.

    Parameters
    ----------
    module : JointNetwork
    noise : float
    generator : torch.Generator
        Of the training device, for noise and subsets.
    names : list of str
        Of the losses, those of modalities first, for the history and errors.
    make_gradients : callable
        Makes the `Gradients` of a stretch of epochs.
    **options
        Those of `skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: JointNetwork,
        *,
        noise: float = 0.0,
        generator: torch.Generator | None = None,
        names: Sequence[str] = (),
        make_gradients: MakeGradients = PlainGradients,
        **options: Any,
    ):
        self.noise, self.generator, self.names = noise, generator, names
        self.make_gradients = make_gradients
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

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> AutoencoderNet:
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

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        pass  # the gradients are views, which each step writes anew

    # Who hears of it --------------------------------------------------------------------------

    listeners_: tuple[Callback, ...] = ()

    @contextmanager
    def heard_by(self, *listeners: Callback) -> Iterator[None]:
        """Tell these, too, and before the net's own callbacks."""
        self.listeners_ = listeners
        try:
            yield
        finally:
            self.listeners_ = ()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks; those of skorch stop training by KeyboardInterrupt, a user does not.

        skorch takes every KeyboardInterrupt for the wish to stop early, which would swallow Ctrl-C.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        stop = None
        for callback in (*self.listeners_, *(callback for _, callback in self.callbacks_)):
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

    def _overridden(self, *hooks: str) -> bool:
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in hooks
        )

    # Steps ------------------------------------------------------------------------------------

    def train_step_single(self, batch: Batch, **fit_params: Any) -> Step:
        """Compute the loss and its gradient."""
        shown = self.module_.draw(batch.pattern, self.generator)
        losses = self.gradients_.teach(
            lambda network, generator, rows, seen: network(rows, seen, self.noise, generator),
            batch,
            shown,
        )
        return {"loss": losses.sum(), "losses": losses, "y_pred": None}

    def train_step(self, batch: Batch, **fit_params: Any) -> Step:
        """Take one step, without a closure unless one is needed."""
        self._set_rate()
        if self.needs_closure_:
            step = super().train_step(batch, **fit_params)
        else:
            step = self.train_step_single(batch)
            self.optimizer_.step()
        self.weights_.average(AVERAGING)
        return step

    def validation_step(self, batch: Batch, **fit_params: Any) -> Step:
        """Return the loss of held-out rows: each from all of it, and from fixed parts of it."""
        shown = self.module_.draw(batch.pattern, held_out_generator(batch))
        losses = self.gradients_.look(
            lambda network, _, rows, seen: network(rows, seen, 0.0, held_out_generator(rows)),
            batch,
            shown,
        )
        return {"loss": losses.sum(), "losses": losses, "y_pred": None}

    # Epochs -----------------------------------------------------------------------------------

    def learn(
        self,
        rows: Rows,
        held_out: Rows | None = None,
        *,
        epochs: int,
        deadline: Deadline = NEVER,
    ) -> None:
        """Run a cycle of epochs that the callbacks hear of and the history records.

        Parameters
        ----------
        rows : Rows
        held_out : Rows or None
        epochs : int
        deadline : Deadline, optional
            The cycle then ends earlier. Raises `StopTraining` if an epoch could not end.
        """
        # Users' own schedules of learning rates stay in charge.
        scheduled = any(isinstance(callback, LRScheduler) for _, callback in self.callbacks_)
        with self._stretch(rows, epochs, None if scheduled else one_cycle, deadline):
            for _ in range(epochs):
                self._run_epoch(rows, held_out)

    def learn_more(self, rows: Rows) -> None:
        """Run one more epoch, of all rows however many, with small steps."""
        most, self.iterator_train__most = self.iterator_train__most, None
        try:
            with self._stretch(rows, 1, later):
                self._run_epoch(rows, None)
        finally:
            self.iterator_train__most = most

    def learn_unheard(
        self, rows: Rows, epochs: int, rate: Rate, deadline: Deadline
    ) -> Iterator[int]:
        """Run epochs that no callback hears of, and no history records; yields their numbers."""
        with self._stretch(rows, epochs, rate, deadline):
            self.watched_ = self.needs_closure_ = False
            for epoch in range(epochs):
                self._check_finite(self._teach(rows), "train")
                yield epoch

    def _run_epoch(self, rows: Rows, held_out: Rows | None) -> None:
        told = {"dataset_train": rows, "dataset_valid": held_out}
        self.notify("on_epoch_begin", **told)
        self._record("train", self._teach(rows))
        if held_out is not None:
            self._record("valid", self._look(held_out))
        self.notify("on_epoch_end", **told)

    @contextmanager
    def _stretch(
        self, rows: Rows, epochs: int, rate: Rate | None, deadline: Deadline = NEVER
    ) -> Iterator[None]:
        """Prepare for some epochs, each step of which takes its learning rate from `rate`."""
        self.watched_ = self._overridden("on_batch_begin", "on_batch_end")
        self.needs_closure_ = self._overridden("on_grad_computed") or isinstance(
            self.optimizer_, torch.optim.LBFGS
        )
        groups = self.optimizer_.param_groups
        self.peaks_ = [group["lr"] for group in groups]
        _ = self.module_.own_paths  # solved once, before copies share them
        self.gradients_ = self.make_gradients(
            self.module_, self.generator, self.weights_, self.batch_size
        )
        n_steps = epochs * len(self._batches(rows))
        self.rate_, self.done_ = rate, shares_done(n_steps, deadline)
        try:
            yield
        finally:
            del self.gradients_
            if rate is not None:
                for group, peak in zip(groups, self.peaks_, strict=True):
                    group["lr"] = peak

    def _set_rate(self) -> None:
        """Set the learning rate of the next step, unless a callback does."""
        done = next(self.done_, None)
        if done is None:
            raise StopTraining
        if self.rate_ is not None:
            for group, peak in zip(self.optimizer_.param_groups, self.peaks_, strict=True):
                group["lr"] = peak * self.rate_(done)

    def _batches(self, rows: Rows) -> BatchIterator:
        return self.gradients_.batches(self.get_iterator(rows, training=True))

    def _teach(self, rows: Rows) -> list[float]:
        self.gradients_.train(True)
        return self._mean_losses(self._batches(rows), self.train_step, training=True)

    def _look(self, rows: Rows) -> list[float]:
        self.gradients_.train(False)
        batches = self.get_iterator(rows, training=False)
        self.weights_.swap()
        try:
            return self._mean_losses(batches, self.validation_step, training=False)
        finally:
            self.weights_.swap()

    def _mean_losses(
        self, batches: Iterable[Batch], take_step: Callable[[Batch], Step], *, training: bool
    ) -> list[float]:
        """Take a step for each batch, without waiting for the device; return the mean losses."""
        total, n_rows = 0, 0
        for batch in batches:
            if self.watched_:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = take_step(batch)
            total = total + step["losses"] * len(batch)
            n_rows += len(batch)
            if self.watched_:
                self.notify("on_batch_end", batch=batch, training=training, **step)
        return (total / n_rows).tolist()

    def _record(self, prefix: str, losses: list[float]) -> None:
        """Write the losses of an epoch into the history."""
        self._check_finite(losses, prefix)
        self.history.record(f"{prefix}_loss", sum(losses))
        for name, loss in zip(self.names, losses, strict=True):
            self.history.record(f"{prefix}_loss_{name}", loss)
        before = [e[f"{prefix}_loss"] for e in self.history[:-1]]
        self.history.record(f"{prefix}_loss_best", sum(losses) < min(before, default=np.inf))

    def drop_open_epoch(self) -> None:
        """Forget an epoch that has not ended."""
        if len(self.history) and "train_loss" not in self.history[-1]:
            del self.history_[-1:]

    def _check_finite(self, losses: list[float], prefix: str) -> None:
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
