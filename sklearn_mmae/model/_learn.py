"""Learning from what users hand in: a fit, a warm start, one more epoch, a net from its weights.

This file and what it trains with import skorch, which takes as long as all the rest of the
package: estimators import it where a network is trained or restored, and not before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import _get_feature_names

from .._core.compat import has_progress_bar
from .._core.errors import ConvergenceError, listing
from .._core.random import Generators
from .._core.threads import one_thread
from ..statistics import PLAIN, Statistics
from ..tables import _frame as tables
from ..training._calibration import calibrate
from ..training._fit import Settings, learn, make_net
from ..training._net import StopTraining
from ..training._network import list_patterns
from ..training._predict import index_contained, index_patterns, to_device
from ..training._progress import Progress
from ._build import OPTIMIZERS, find_device
from ._columns import Columns
from ._lags import find_lags, skipped
from ._model import Model, Read, as_rows, presence
from ._parts import resolve

__all__ = ["add_epoch", "learn_model", "restore_net"]


@one_thread()
def learn_model(
    estimator: Any,
    X: Any,
    build: Callable,
    look_at: Callable,
    previous: Model | None = None,
    context: Any = None,
    statistics: Statistics = PLAIN,
) -> tuple[Model, KeyboardInterrupt | None]:
    """Learn everything, and leave the estimator as it is.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Gives the parameters.
    X : container of rows
    build : callable
        ``build(modalities, patterns)`` returns the network, weights not yet drawn.
    look_at : callable
        ``look_at(network, rows)`` returns what one kind of estimator learns besides.
    previous : Model, optional
        One to go on from.
    context : sklearn.callback.CallbackContext, optional
    statistics : Statistics, default=PLAIN
        What is asked about the rows.

    Returns
    -------
    model : Model
    interrupted : KeyboardInterrupt or None
        What ended training early.
    """
    if previous is None:
        model, values = _learn_parts(estimator, X, statistics)
    else:
        _, _, values = previous.values(X, estimator)
        model = Model(previous.columns, copy.deepcopy(previous.parts), {}, previous.lags)
    present = presence(values)
    device = find_device(estimator.device)
    generators = Generators.from_state(_random_state(estimator.random_state), device)
    network = _build(estimator, model, build, present, previous)
    index = index_contained(present, network.patterns.numpy())
    rows = to_device(as_rows(values, index), device)
    batch_size = estimator.batch_size
    if batch_size == "auto":
        batch_size = int(np.clip(2 ** int(np.log2(max(len(rows) / 16, 1))), 16, 256))
    settings = _settings(estimator, device, batch_size, network.loss_names(model.names))
    # A bar of scikit-learn's counts the epochs, too; the two would write over one another.
    verbose = 0 if has_progress_bar(estimator) else int(estimator.verbose)
    residuals, fills = [], [part.modality.fill for part in model.parts]
    with Progress(estimator, context, estimator.max_epochs, verbose) as progress:
        model.net, interrupted = learn(
            network,
            rows,
            settings,
            generators,
            progress,
            fresh=previous is None,
            on_held_out=lambda *held_out: residuals.append(
                calibrate(*held_out, fills, statistics.of("calibration"))
            ),
            statistics=statistics.of("training"),
        )
    # Those of this package have watched this fit; a partial_fit tells the user's own.
    model.net.callbacks_ = [
        (name, callback)
        for name, callback in model.net.callbacks_
        if not type(callback).__module__.startswith("sklearn_mmae.")
    ]
    network.eval()
    model.explained = _explain(model, values, present)
    model.history = _plain_history(model.net)
    model.n_iter = len(model.history)
    if previous is None and residuals:
        # A warm start has been trained on all rows before, those held out now among them.
        model.calibration = {model.names[m]: groups for m, groups in residuals[0].items()}
    model.facts = look_at(network, rows)
    return model, interrupted


def _learn_parts(estimator, X, statistics):
    """Return a model of fitted modalities, without a network, and their values."""
    table = tables.read(X, estimator)
    if table.kind == "pandas":
        _get_feature_names(X)  # refuses names of mixed types
    parts = resolve(estimator.modalities, table, X, estimator.get_params(deep=False).keys())
    if not isinstance(estimator.modalities, str):
        estimator._validate_names([part.name for part in parts])
    for part in parts:
        if hasattr(part.modality, "memory") and part.modality.memory is None:
            part.modality.memory = estimator.memory
    values = [part.learn(table.cells(part.places), statistics.of(part.name)) for part in parts]
    _check_anything_present(parts, presence(values))
    model = Model(Columns.of(table), parts, {})
    if estimator.max_lag is not None:
        _undo_lags(model, values, estimator.max_lag, statistics)
    return model, values


def _undo_lags(model, values, max_lag, statistics):
    """Find the lags, and let what is read begin at the latest of the modalities."""
    modalities = [part.modality for part in model.parts]
    lags = find_lags(model.names, modalities, values, max_lag, statistics.of("lags"))
    model.keep_lags(lags)
    for m, part in enumerate(model.parts):
        if part.n_skipped:
            values[m] = skipped(part.modality, values[m], part.n_skipped)
            if not values[m].present.any():
                seconds = model.lags.seconds
                raise ValueError(
                    f"max_lag={max_lag:g}: modality {part.name!r} comes {seconds[part.name]:.3g} s"
                    f" later than the others, of {seconds}, and no row lasts longer. Give a smaller"
                    " max_lag."
                )
            part.modality.learn_steps(values[m], statistics.of(f"{part.name} without its lag"))


def _check_anything_present(parts, present):
    absent = [part.name for part, any_ in zip(parts, present.any(0), strict=True) if not any_]
    if absent:
        raise ValueError(
            f"modality {listing(map(repr, absent))}: no row has anything of it, so nothing can be"
            " learned. Leave it out ('drop'), or give rows that have it."
        )


def _random_state(seed):
    if seed is None:
        return np.random.RandomState()  # not numpy's global one: that is the caller's
    return check_random_state(seed)


def _build(estimator, model, build, present, previous):
    """Return the network, weights not yet drawn, or with those of the fit to go on from."""
    modalities = [part.modality for part in model.parts]
    of_network = ("n_components", *estimator.OF_NETWORK)
    model.built = {name: getattr(estimator, name) for name in of_network}
    if previous is None:
        return build(modalities, list_patterns(torch.as_tensor(present)))
    for name in ("n_components", "width"):
        before, now = previous.built[name], model.built[name]
        if now != before:
            raise ValueError(
                f"warm_start goes on from weights of {name}={before}, but now {name}={now}. Set it"
                " back, or set warm_start=False to begin anew."
            )
    network = build(modalities, previous.network.patterns.cpu())
    network.load_state_dict(previous.network.state_dict())
    return network


def _settings(estimator, device, batch_size, names):
    """Return what the parameters say about training."""
    return Settings(
        init=estimator.init,
        rotation=estimator.rotation,
        noise=estimator.noise,
        max_epochs=estimator.max_epochs,
        batch_size=batch_size,
        lr=estimator.lr,
        optimizer=OPTIMIZERS.get(estimator.optimizer, estimator.optimizer),
        weight_decay=estimator.weight_decay,
        early_stopping=estimator.early_stopping,
        validation_fraction=estimator.validation_fraction,
        n_iter_no_change=estimator.n_iter_no_change,
        tol=estimator.tol,
        device=device,
        names=names,
        callbacks=list(estimator.callbacks or ()),
    )


@one_thread(helpers=False)
def _explain(model, values, present):
    """Return the deviance explained on the training rows, each as `transform` would see it."""
    index, unknown = index_patterns(present, model.network.patterns.cpu().numpy())
    read = Read(None, {}, as_rows(values, index), present, unknown)
    try:
        codes = model.encode(read)
    except ConvergenceError:
        raise ConvergenceError(
            "the vectors of the training rows are not finite: lower lr, or look for outliers."
        ) from None
    return model.explained_deviance(read, codes)


def _plain_history(net):
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history_.to_list()]


@one_thread()
def add_epoch(model: Model, X: Any, estimator: Any) -> None:
    """Train a model for an epoch of these rows; whatever raises leaves it as it was."""
    _, _, values = model.values(X, estimator)
    net, weights = model.net, model.net.weights_
    patterns = model.network.patterns
    index = index_contained(presence(values), patterns.cpu().numpy())
    rows = to_device(as_rows(values, index), patterns.device)
    shown, running = weights.copy(), [mean.clone() for mean in weights.averages]
    moments, n_epochs = copy.deepcopy(net.optimizer_.state_dict()), len(net.history_)
    weights.swap()  # what is shown are the means; steps are taken from the weights themselves
    net.notify("on_train_begin", X=rows, y=None)
    try:
        net.fit_loop((rows, None), epochs=1)
    except StopTraining:
        pass  # it is one epoch anyway
    except BaseException:
        weights.set(shown)
        weights.averages = running
        net.optimizer_.load_state_dict(moments)
        del net.history_[n_epochs:]
        net.module_.eval()
        raise
    net.notify("on_train_end", X=rows, y=None)
    weights.swap()
    net.module_.eval()
    model.history = model.history + _plain_history(net)[-1:]
    model.n_iter += 1
    model.calibration = None  # that of other weights, and perhaps of these very rows


def restore_net(model: Model, estimator: Any, network: torch.nn.Module) -> None:
    """Put a network with its weights into a model.

    Parameters
    ----------
    model : Model
    estimator : BaseMultimodalAutoencoder
        Gives the parameters.
    network : JointNetwork
    """
    try:
        device = find_device(estimator.device)
    except ValueError:
        device = torch.device("cpu")  # fitted on a device that this machine lacks
    network.to(device).eval()
    generators = Generators.from_state(np.random.RandomState(0), device)
    batch_size = 64 if estimator.batch_size == "auto" else estimator.batch_size
    settings = _settings(estimator, device, batch_size, network.loss_names(model.names))
    settings.callbacks = []
    model.net = make_net(network, settings, generators)
