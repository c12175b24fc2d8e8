"""How a network is taught: hold rows out, start linear, train, keep what helps, finish on all rows.

The held-out rows decide two things: after how many epochs to stop, and whether the networks help
at all. They are kept only if they lower the held-out loss by more than one standard error of the
paired difference; otherwise the model is the linear start on all rows. So a small or linear table
gets its principal components, exactly.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import partial

import torch
from skorch.callbacks import Callback

from .._core.errors import ConvergenceError
from ..nn._blocks import initialise, seed_dropout
from ..statistics import PLAIN
from ._batches import BatchIterator
from ._net import AutoencoderNet, StopTraining, held_out_generator

__all__ = ["Settings", "learn", "make_net", "start_linear"]

BLOCK = 512  # rows at a time in the linear start
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
GAIN_ROWS = 1024  # enough to choose among six
LEAST_HELD_OUT = 50  # rows, as far as they are at most LARGEST_HELD_OUT of all
LARGEST_HELD_OUT = 0.3
STANDARD_ERRORS = 1.0  # by which the networks must beat the linear start
FINISH = 0.5  # epochs on all rows after the held-out ones have spoken, as a share of those before


@dataclass
class Settings:
    """What the estimator's parameters say about training."""

    init: str
    rotation: str | None
    noise: float
    max_epochs: int
    batch_size: int
    lr: float
    optimizer: type
    weight_decay: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: torch.device
    names: list
    callbacks: list = field(default_factory=list)


class _BestEpoch(Callback):
    """Keep the best weights by held-out loss, and stop when they get no better by much."""

    def __init__(self, patience, tol):
        self.patience, self.tol = patience, tol

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_, self.loss_, self.epoch_ = net.weights_.copy(), float("inf"), 0
        self.much_better_, self.waited_ = float("inf"), 0

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, "valid_loss"]
        if loss < self.loss_:
            self.best_ = [mean.clone() for mean in net.weights_.averages]
            self.loss_, self.epoch_ = loss, len(net.history)
        if self.much_better_ - loss > self.tol * abs(loss):
            self.much_better_, self.waited_ = loss, 0
            return
        self.waited_ += 1
        if self.waited_ >= self.patience:
            raise StopTraining


def make_net(network, settings, generator):
    """Return an initialised `AutoencoderNet` around a network."""
    seed_dropout(network, generator.on_device)
    optimizer = settings.optimizer
    options = {"weight_decay": settings.weight_decay}
    accepted = inspect.signature(optimizer).parameters
    if "fused" in accepted:
        options["fused"] = True
    return AutoencoderNet(
        network,
        noise=settings.noise,
        generator=generator.on_device,
        names=settings.names,
        lr=settings.lr,
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        device=settings.device,
        callbacks=settings.callbacks,
        optimizer=optimizer,
        iterator_train__generator=generator.of_order,
        **{f"optimizer__{name}": value for name, value in options.items() if name in accepted},
    ).initialize()


@torch.no_grad()
def start_linear(network, rows, settings, generator, statistics=PLAIN):
    """Set a network's linear path from the closed form on these rows."""

    def blocks():
        for batch in BatchIterator(rows, BLOCK):
            views, observed = network.views(batch.values), network.observed(batch.values)
            # Moments are of what was seen, not of what was made of it.
            seen = [
                v if o is None else torch.where(o, v, 0)
                for v, o in zip(views, observed, strict=True)
            ]
            yield seen, observed, network.patterns[batch.pattern]

    decoders = network.learn_start(
        blocks,
        generator.of_order,
        rotate=settings.rotation == "varimax",
        statistics=statistics,
    )
    device = rows.pattern.device
    batch = rows.take(torch.arange(min(len(rows), GAIN_ROWS), device=device))
    linked = [m for m, part in enumerate(network.networks) if part.has_link]
    if linked:
        network.eval()
        code = network.encode(network.views(batch.values), batch.pattern)
    for m in linked:
        part, losses = network.networks[m], []
        there = network.patterns[batch.pattern, m]
        for gain in GAINS:
            part.gain.fill_(gain)
            part.start(decoders[m])
            deviance = part.deviance(network.outputs(code, m), batch.values[m])
            losses.append(torch.where(there, deviance, 0))
        part.gain.fill_(GAINS[statistics.choose(f"gain of modality {m}", torch.stack(losses))])
        part.start(decoders[m])


def learn(
    network,
    rows,
    settings,
    generator,
    progress,
    *,
    fresh=True,
    on_held_out=None,
    statistics=PLAIN,
):
    """Teach a network all it can learn from these rows.

    Parameters
    ----------
    network : MultimodalNetwork
        On the CPU; weights not yet drawn, unless it is to go on from those it has.
    rows : Rows
    settings : Settings
    generator : Generators
    progress : Progress
        Hears of every epoch.
    fresh : bool, default=True
        Draw the weights and start linear; else go on from the weights there are.
    statistics : Statistics, default=PLAIN
        What is asked about the rows.
    on_held_out : callable, optional
        Called with the network and the held-out `Rows`, if there are any, while the network has
        not been trained on them: before it finishes on all rows.

    Returns
    -------
    net : AutoencoderNet
    interrupted : KeyboardInterrupt or None
        What ended training early; the best epoch so far is kept.
    """
    held_out = _hold_out(rows, settings, generator) if settings.early_stopping else None
    train = rows if held_out is None else held_out[0]
    linear_start = fresh and settings.init == "linear"
    if fresh:
        initialise(network, generator.of_weights, residuals_at_zero=linear_start)
    network.to(settings.device)
    _set_share(network, rows, statistics)
    if linear_start:
        start_linear(network, train, settings, generator, statistics.of("start"))
    best = _BestEpoch(settings.n_iter_no_change, settings.tol)
    settings.callbacks = [progress, *settings.callbacks]
    if held_out is None:
        net = make_net(network, settings, generator)
        interrupted = _run(net, (train, None), settings.max_epochs)
        net.weights_.swap()
        return net, interrupted
    settings.callbacks = [best, *settings.callbacks]
    net = make_net(network, settings, generator)
    guarded = linear_start or not fresh
    before = _row_losses(net, held_out[1]) if guarded else None
    first = net.weights_.copy()
    interrupted = _run(net, held_out, settings.max_epochs)
    net.weights_.set(best.best_)
    helped = not guarded or bool(
        statistics.choose(
            "networks",
            torch.stack([before, _row_losses(net, held_out[1])]),
            margin=STANDARD_ERRORS,
        )
    )
    if not helped:
        net.weights_.set(first)
    if on_held_out is not None:
        on_held_out(network, held_out[1])
    if not helped:
        if linear_start:
            start_linear(network, rows, settings, generator, statistics.of("start of all rows"))
    elif interrupted is None and best.epoch_:
        _finish(net, rows, best.epoch_, progress)
    net.weights_.averages = net.weights_.copy()
    return net, interrupted


def _finish(net, rows, epochs, progress):
    """Go on from the best weights with all rows, steps shrinking to nothing."""
    callbacks, net.callbacks_ = net.callbacks_, []
    history = net.history_
    epochs = max(1, round(FINISH * epochs))
    groups = net.optimizer_.param_groups
    rates = [group["lr"] for group in groups]
    net.weights_.averages = net.weights_.copy()
    for epoch in progress.finish(epochs):
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * (1 - epoch / epochs)
        net.history_ = type(history)()
        net.fit_loop((rows, None), epochs=1)
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    net.history_, net.callbacks_ = history, callbacks
    net.weights_.swap()


def _run(net, split, epochs):
    """Run the epochs; say what interrupted them, if anything did."""
    net.notify("on_train_begin", X=split, y=None)
    try:
        net.fit_loop(split, epochs=epochs)
    except StopTraining:
        pass
    except KeyboardInterrupt as interrupted:
        return interrupted
    finally:
        net.notify("on_train_end", X=split, y=None)
    return None


def _hold_out(rows, settings, generator):
    n = len(rows)
    n_held = max(settings.validation_fraction * n, min(LEAST_HELD_OUT, LARGEST_HELD_OUT * n))
    n_held = min(round(n_held), n - 1)
    if n_held < 1:
        return None
    order = torch.randperm(n, generator=generator.of_order).to(rows.pattern.device)
    return rows.subset(order[n_held:].sort().values), rows.subset(order[:n_held].sort().values)


def _set_share(network, rows, statistics):
    """Note in which share of the rows each modality is present."""
    patterns = network.patterns
    counts = statistics.counts("patterns", rows.pattern.cpu().numpy(), len(patterns))
    counts = torch.as_tensor(counts, device=patterns.device)
    share = (counts[:, None] * patterns).sum(0) / counts.sum()
    network.share.copy_(share.clamp_min(1e-6))


@torch.no_grad()
def _row_losses(net, rows):
    """Return the validation loss of each row, as the epochs measure it."""
    network = net.module_.eval()
    losses = []
    for batch in BatchIterator(rows, net.batch_size):
        losses.append(network.judged(batch, partial(held_out_generator, batch)))
    losses = torch.cat(losses).double()
    if not losses.isfinite().all():
        raise ConvergenceError("the loss of held-out rows is not finite: look for outliers.")
    return losses
