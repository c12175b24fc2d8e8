"""`BestEpoch`: the best weights by the loss of held-out rows, and when to stop."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from skorch.callbacks import Callback

from ..statistics import Statistics
from ._net import AutoencoderNet, StopTraining

__all__ = ["BestEpoch"]

RISES, MUCH_WORSE = 3, 0.01  # of the held-out loss in a row, and the share that stops training


class BestEpoch(Callback):
    """Keep the best weights by held-out loss, and stop when they get no better by much, or worse.

    Worse is a loss that has risen in successive epochs, to more than a share above the best [1]_,
    while that of the rows to learn from has fallen: where large steps shake both, both come down
    again.

    References
    ----------
    .. [1] Prechelt (1998), "Early stopping - but when?", Neural Networks: Tricks of the Trade.
    """

    def __init__(self, patience: int, tol: float, statistics: Statistics):
        self.patience, self.tol, self.statistics = patience, tol, statistics

    def on_train_begin(self, net: AutoencoderNet, X: Any = None, y: Any = None, **kwargs: Any):
        """Begin with the weights as they are, of which nothing is known."""
        self.best_, self.loss_, self.epoch_ = net.weights_.copy(), np.inf, 0
        self.before_ = len(net.history)
        self.much_better_, self.waited_ = float("inf"), 0
        self.has_stopped_ = False

    def is_last(self, net: AutoencoderNet) -> bool:
        """Whether the last epoch is the best so far."""
        return self.epoch_ == len(net.history) - self.before_

    def on_epoch_end(self, net: AutoencoderNet, **kwargs: Any):
        """Look at what has been learned so far."""
        loss = net.history[-1, "valid_loss"]
        losses = np.array([self.loss_, loss])
        if not self.epoch_ or self.statistics.choose("epoch", losses):
            self.best_ = [mean.clone() for mean in net.weights_.averages]
            self.loss_, self.epoch_ = loss, len(net.history) - self.before_
        last = net.history[self.before_ :, ("train_loss", "valid_loss")][-RISES - 1 :]
        overfits = len(last) > RISES and all(
            after < before and held_out_after > held_out_before
            for (before, held_out_before), (after, held_out_after) in pairwise(last)
        )
        is_worse = overfits and loss - self.loss_ > MUCH_WORSE * abs(self.loss_)
        if self.much_better_ - loss > self.tol * abs(loss):
            self.much_better_, self.waited_ = loss, 0
        else:
            self.waited_ += 1
        if is_worse or self.waited_ >= self.patience:
            self.has_stopped_ = True
            raise StopTraining
