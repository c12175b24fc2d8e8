"""Learning from what users hand in: a fit, a warm start, one more epoch, a net from its weights.

This file and what it trains with import skorch, which takes as long as all the rest of the
package: estimators import it where a network is trained or restored, and not before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import partial
from numbers import Integral
from time import monotonic
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import _get_feature_names

from .._core.compat import has_progress_bar
from .._core.errors import ConvergenceError, check_names, listing
from .._core.later import Later
from .._core.random import Generators
from .._core.ranks import Ranks
from .._core.threads import one_thread
from ..statistics import PLAIN, Statistics
from ..statistics._merged import Ranked
from ..tables import Chunks, Columns, read, read_schema
from ..training._calibration import calibrate
from ..training._density import learn_density
from ..training._gradients import RankGradients
from ..training._lesson import Lesson, make_net
from ..training._moment_density import density_of_moments
from ..training._more import as_before_on_error, one_more_epoch
from ..training._patterns import index_contained, index_patterns, list_patterns
from ..training._progress import Progress
from ..training._rates import Deadline
from ..training._settings import Settings, find_device
from ..training.start._size import find_size
from ._cells import learn_cells
from ._lags import find_lags, skipped
from ._model import NOTHING, Model
from ._parts import resolve
from ._passes import Passes, learn_from, split
from ._public import gradients_of, plan_networks, statistics_of
from ._ranks import join_ranks, time_of_first
from ._read import Read, as_rows, presence
from ._target import Target
from ._weights import order_of

__all__ = ["add_epoch", "learn_model", "restore_net"]

EXPLAINED = 4096  # training rows, at most, by which `explained_deviance_` is measured


@one_thread()
def learn_model(
    estimator: Any,
    X: Any,
    y: Any,
    build: Callable,
    look_at: Callable,
    previous: Model | None = None,
    context: Any = None,
    statistics: Statistics | None = None,
    ranks: Ranks | None = None,
) -> tuple[Model, BaseException | None]:
    """Learn everything, and leave the estimator as it is.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Gives the parameters.
    X : container of rows
    y : array, Series or DataFrame of labels, or None
        The target, if the estimator's `target_weight` is above 0.
    build : callable
        ``build(model, patterns)`` returns the network, weights not yet initialised.
    look_at : callable
        ``look_at(network, rows, statistics)`` returns what one kind of estimator learns besides.
    previous : Model, optional
        One to go on from.
    context : sklearn.callback.CallbackContext, optional
    statistics : Statistics, optional
        What is asked about the rows. Default: as the estimator's `privacy` says.
    ranks : Ranks, optional
        Processes that learn together, each with rows of its own.

    Returns
    -------
    model : Model
    interrupted : KeyboardInterrupt, LostRankError or None
        What ended training early.
    """
    statistics = statistics_of(estimator, X) if statistics is None else statistics
    clock = monotonic
    if ranks is not None:
        X, y = join_ranks(ranks, estimator, X, y)
        clock = partial(time_of_first, ranks)
    deadline = Deadline.after(estimator.max_time, clock)
    passes = Passes(X, estimator, ranks) if isinstance(X, Chunks) else None
    if ranks is not None and not passes.is_whole:
        statistics = Ranked(ranks)
    if previous is None:
        model, values, labels, rest = _learn_parts(estimator, X, y, passes, statistics)
    else:
        model, values, labels, rest = _go_on(estimator, X, y, passes, previous)
    model.weights_of_loss = _weights(estimator, model)
    present = presence(values)
    # With privacy: a row less would move others, and what is taken by place.
    order = np.arange(len(present)) if statistics.is_private else order_of([*values, *labels])
    device = find_device(estimator.device)
    random_state = _random_state(estimator.random_state)
    if ranks is not None:
        random_state = ranks.gather("random state", random_state)[0]
    generators = Generators.from_state(random_state, device)
    network = _build(estimator, model, build, values, order, previous, device, statistics)
    plan_networks(estimator, network, statistics)
    to_rows = partial(_to_rows, patterns=network.patterns.numpy(), n_modalities=len(values))
    rows = to_rows([*values, *labels]).subset(torch.from_numpy(order)).to(device)
    if rest is not None:
        rows.rest = lambda: map(to_rows, rest())
        rows.share = (0, 1) if ranks is None else (ranks.rank, ranks.size)
    # A bar of scikit-learn's counts the epochs, too; the two would write over one another.
    verbose = 0 if has_progress_bar(estimator) else int(estimator.verbose)
    settings = _settings(estimator, statistics)
    with Progress(estimator, context, estimator.max_epochs, verbose) as progress:
        learned = Lesson(
            network,
            rows,
            settings,
            generators,
            statistics.of("training"),
            progress,
            names=model.names,
            calibrate=partial(_calibrate, model.parts, statistics.of("calibration")),
            previous=previous and previous.network,
            make_gradients=(
                partial(RankGradients, ranks=ranks)
                if ranks
                else gradients_of(estimator, statistics)
            ),
            deadline=deadline,
        ).learn()
    model.net = learned.net
    network.eval()
    model.history = _plain_history(model.net)
    model.n_iter = len(model.history)
    if learned.calibration is not None:
        model.calibration = learned.calibration
    interrupted = learned.interrupted
    if statistics.is_private:
        model.n_iter = settings.max_epochs  # of which the history says nothing
        model.facts = look_at(network, rows, statistics)
        model.privacy = statistics.spent()
        model.density = Later.known(density_of_moments(network, learned.moments))
        return model, interrupted

    def look_back() -> None:
        model.explained = _explain(model, values, present, order, statistics)
        model.facts = look_at(network, rows, statistics)

    try:  # whatever more is learned from the rows of a fit is learned here
        look_back()
        model.cells = learn_cells(model, rows, statistics.of("tables"))
        fills = [part.modality.fill for part in model.parts]
        model.density = learn_density(network, rows, fills, statistics.of("density"))
    except KeyboardInterrupt as error:  # the networks are kept, and take a moment to look at
        interrupted = error
        look_back()
    return model, interrupted


def _learn_parts(estimator, X, y, passes, statistics):
    """Return a model of fitted modalities, without a network, and values: of rows and labels.

    The last thing is what yields the values of the rows that networks do not learn from.
    """
    X = X if passes is None else passes.kept
    table = read(X, estimator)
    n_rows = table.n_rows if passes is None else passes.n_rows
    target, labels = _learn_target(estimator, y, n_rows, statistics)
    if table.kind == "pandas":
        _get_feature_names(X)  # refuses names of mixed types
    naming = nullcontext if passes is None else passes.naming_rank
    with naming():
        parts = resolve(estimator.modalities, table, X, estimator.get_params(deep=False).keys())
    if not isinstance(estimator.modalities, str):
        estimator._validate_names([part.name for part in parts])
    for part in parts:
        if hasattr(part.modality, "memory") and part.modality.memory is None:
            part.modality.memory = estimator.memory
        if estimator.target_weight:
            part.modality.expect_target()
    if passes is not None:
        with naming():
            table = passes.fit_size(parts, table)
    if passes is None or passes.is_whole:
        with naming():
            values = [
                part.learn(table.cells(part.places), statistics.of(part.name)) for part in parts
            ]
    else:
        learn_from(passes, parts, table)
        values = [part.read(table.cells(part.places)) for part in parts]
    if statistics.is_private:  # dtypes of columns are public, and what objects there are is not
        table = read_schema(table)
    else:
        _check_anything_present(parts, presence(values))
    model = Model(Columns.of(table), parts, {}, target=target)
    if estimator.max_lag is not None:
        _undo_lags(model, values, estimator.max_lag, statistics)
    if statistics.is_private:  # every row is in a step by chance
        return model, values, labels, None
    return model, *_of_networks(values, labels, passes, parts)


def _go_on(estimator, X, y, passes, previous):
    """Return what `_learn_parts` does, of a model to go on from."""
    _, _, values = previous.values(X if passes is None else passes.kept, estimator)
    parts, target = copy.deepcopy((previous.parts, previous.target))
    model = Model(previous.columns, parts, {}, previous.lags, target)
    n_rows = len(values[0].present) if passes is None else passes.n_rows
    labels = _labels(model, y, n_rows, estimator)
    return model, *_of_networks(values, labels, passes, parts)


def _of_networks(values, labels, passes, parts):
    """Return values and labels of the rows that networks learn from, and what yields the rest."""
    if passes is not None:
        return values, [part.take(passes.rows) for part in labels], passes.rest(parts, labels)
    kept, rest = split([*values, *labels])
    return kept[: len(values)], kept[len(values) :], rest


def _to_rows(values, patterns, n_modalities):
    """Return values as `Rows`, each of the largest known pattern that is there."""
    return as_rows(values, index_contained(presence(values[:n_modalities]), patterns))


def _learn_target(estimator, y, n_rows, statistics):
    """Return the target, if there is to be one, and its values, as a list of at most one."""
    if not estimator.target_weight:
        return None, []
    if y is None:
        raise ValueError(
            f"target_weight={estimator.target_weight:g} asks for a target, but y is None. Give"
            " fit(X, y), or target_weight=0."
        )
    target, values = Target.learn(y, n_rows, statistics.of("target"))
    return target, [values]


def _labels(model, y, n_rows, estimator):
    """Return the values of the labels of rows to go on with, as a list of at most one."""
    if (model.target is None) != (not estimator.target_weight):
        raise ValueError(
            f"the first fit had {'a' if model.target else 'no'} target, but now target_weight="
            f"{estimator.target_weight:g}. Set it back, or fit anew without warm_start."
        )
    if model.target is None:
        return []
    if y is None:
        raise ValueError("the first fit had a target, but now y is None. Give y, too.")
    return [model.target.read(y, n_rows)]


def _weights(estimator, model):
    """Return how much the loss of each modality counts, and last that of a target."""
    given = estimator.modality_weights or {}
    if given:
        check_names(list(given), model.names, "modality_weights", "modality of this estimator")
    weights = [float(given.get(part.name, part.modality.usual_weight)) for part in model.parts]
    return weights if model.target is None else [*weights, float(estimator.target_weight)]


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
                    f"max_lag={max_lag!r}: modality {part.name!r} comes {seconds[part.name]:.3g} s"
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


def _build(estimator, model, build, values, order, previous, device, statistics):
    """Return the network, weights not yet initialised, of the shape of the fit to go on from."""
    of_network = ("n_components", *estimator.OF_NETWORK)
    model.built = {name: getattr(estimator, name) for name in of_network}
    chooses = not isinstance(estimator.n_components, Integral)
    if previous is None:
        if chooses:
            own = estimator, model, values, order, device, statistics
            model.built["n_components"] = _find_size(*own)
        return build(model, list_patterns(torch.as_tensor(presence(values)), statistics))
    if chooses:
        model.built["n_components"] = previous.built["n_components"]
    for name in ("n_components", "width"):
        before, now = previous.built[name], model.built[name]
        if now != before:
            raise ValueError(
                f"warm_start goes on from weights of {name}={before}, but now {name}={now}. Set it"
                " back, or set warm_start=False to begin anew."
            )
    return build(model, previous.network.patterns.cpu())


@one_thread(helpers=False)
def _find_size(estimator, model, values, order, device, statistics):
    """Return how many components explain the share that is asked for, or stand out."""
    parts = [part.modality.network(4, 16, 0.0).to(device) for part in model.parts]
    present = torch.as_tensor(presence(values)).to(device)
    rows = as_rows(values, np.arange(len(present))).subset(torch.from_numpy(order)).to(device)
    weights, own = model.weights_of_loss[: len(parts)], statistics.of("size")
    with torch.no_grad():  # a decorator of torch would hide the user's line from warnings
        return find_size(estimator.n_components, parts, rows, present, weights, own)


def _settings(estimator, statistics=PLAIN):
    """Return what the parameters say about training; a private fit holds no rows out."""
    given = {field.name: getattr(estimator, field.name) for field in fields(Settings)}
    if statistics.is_private:
        given["early_stopping"] = False
        steps = statistics.steps
        given |= {"max_epochs": 0} if steps is None else {"batch_size": steps.size}
    return Settings(**given)


@one_thread(helpers=False)
def _explain(model, values, present, order, statistics):
    """Return the deviance explained on training rows, each as `transform` would see it."""
    index, unknown = index_patterns(present, model.network.patterns.cpu().numpy())
    some = order[np.linspace(0, len(present) - 1, min(len(present), EXPLAINED)).astype(int)]
    rows = as_rows(values, index).subset(torch.from_numpy(some))
    read = Read(None, {}, rows, present[some], unknown)
    try:
        codes = model.encode(read)
    except ConvergenceError:
        raise ConvergenceError(
            "the vectors of the training rows are not finite: lower lr, or look for outliers."
        ) from None
    return model.explained_deviance(read, codes, statistics)


def _calibrate(parts, statistics, folds):
    """Return the calibration of each table, by its name."""
    found = calibrate(folds, [part.modality.fill for part in parts], statistics)
    return {parts[m].name: groups for m, groups in found.items()}


def _plain_history(net):
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history_.to_list()]


@one_thread()
def add_epoch(model: Model, X: Any, y: Any, estimator: Any) -> None:
    """Train a model for an epoch of these rows; whatever raises leaves it as it was."""
    _, _, values = model.values(X, estimator)
    labels, patterns = _labels(model, y, len(values[0].present), estimator), model.network.patterns
    index = index_contained(presence(values), patterns.cpu().numpy())
    order = torch.from_numpy(order_of([*values, *labels]))
    rows = as_rows([*values, *labels], index).subset(order).to(patterns.device)
    with as_before_on_error(model.net):
        one_more_epoch(model.net, rows)
        changed = {"history": model.history + _plain_history(model.net)[-1:]}
        # Those of other weights, and perhaps of these very rows.
        changed |= {"n_iter": model.n_iter + 1, "calibration": NOTHING, "density": NOTHING}
        vars(model).update(changed)


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
    settings = replace(_settings(estimator), callbacks=None)
    model.net = make_net(network, settings, generators, network.loss_names(model.names))
