"""Learning from what users hand in: fit, warm start, one more epoch, and a net from its weights.

This file and what it trains with import skorch, which takes as long as all the rest of the
package: `_base` imports it where a network is trained or restored, and not before.
"""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import _get_feature_names

from .._core.compat import has_progress_bar
from .._core.errors import ConvergenceError, listing
from .._core.random import Generators
from .._core.threads import one_thread
from ..modalities._base import fit_transformed
from ..statistics import PLAIN
from ..tables import _frame as _frames
from ..training._calibration import calibrate
from ..training._fit import Settings, learn, make_net
from ..training._net import StopTraining
from ..training._network import list_patterns
from ..training._predict import encode, index_patterns
from ..training._progress import Progress
from ._codes import explained_deviance
from ._lags import find_lags, skip_steps, skipped
from ._parameters import OPTIMIZERS, find_device
from ._parts import resolve
from ._rows import as_rows, index_contained, located, presence, read_rows, to_device

__all__ = ["add_epoch", "learn_aside", "restore_net"]

# What a fit knows of columns; a warm start takes it over.
OF_COLUMNS = (
    *("modalities_", "n_features_in_", "feature_names_in_", "_places", "_container"),
    *("lags_", "lag_intervals_", "_skips"),
)


@one_thread()
def learn_aside(estimator, X, previous=None, context=None, statistics=PLAIN):
    """Learn everything, and leave the estimator as it is.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        Gives the parameters.
    X : container of rows
    previous : BaseMultimodalAutoencoder, optional
        A fitted one, to go on from.
    context : sklearn.callback.CallbackContext, optional
    statistics : Statistics, default=PLAIN
        What is asked about the rows.

    Returns
    -------
    fitted : dict
        The fitted attributes.
    interrupted : KeyboardInterrupt or None
        What ended training early.
    """
    if previous is None:
        fitted, read = _fit_modalities(estimator, X, statistics)
    else:
        read, _ = read_rows(previous, X)
        known = vars(previous)
        fitted = {name: copy.deepcopy(known[name]) for name in OF_COLUMNS if name in known}
    names = [name for name, _, _ in fitted["modalities_"]]
    present = presence(read)
    device = find_device(estimator.device)
    generators = Generators.from_state(_random_state(estimator.random_state), device)
    network = _build(estimator, fitted, present, previous)
    rows = to_device(as_rows(read, index_contained(present, network.patterns.numpy())), device)
    batch_size = estimator.batch_size
    if batch_size == "auto":
        batch_size = int(np.clip(2 ** int(np.log2(max(len(rows) / 16, 1))), 16, 256))
    settings = _settings(estimator, device, batch_size, network.loss_names(names))
    # A bar of scikit-learn's counts the epochs, too; the two would write over one another.
    verbose = 0 if has_progress_bar(estimator) else int(estimator.verbose)
    residuals, fills = [], [modality.fill for _, modality, _ in fitted["modalities_"]]
    with Progress(estimator, context, estimator.max_epochs, verbose) as progress:
        net, interrupted = learn(
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
    net.callbacks_ = [
        (name, callback)
        for name, callback in net.callbacks_
        if not type(callback).__module__.startswith("sklearn_mmae.")
    ]
    network.eval()
    explained = _explain(network, read, present)
    fitted |= {
        "net_": net,
        "history_": _plain_history(net),
        "n_iter_": len(net.history_),
        "n_components_": estimator.n_components,
        "explained_deviance_": dict(zip(names, explained.tolist(), strict=True)),
        "_built": {name: getattr(estimator, name) for name in estimator._OF_NETWORK},
        # A warm start has been trained on all rows before, those held out now among them.
        "_calibration": _by_name(names, *residuals) if previous is None else None,
    }
    fitted |= estimator._look_at(network, rows)
    return fitted, interrupted


def _by_name(names, residuals=None):
    """Return what `calibrate` found by the names of the tables; None where nothing was held out."""
    return None if residuals is None else {names[m]: groups for m, groups in residuals.items()}


def _fit_modalities(estimator, X, statistics):
    """Fit modalities to their columns; return the attributes of `OF_COLUMNS`, and the values."""
    frame = _frames.read(X, estimator)
    fitted = _column_attributes(X, frame)
    reserved = estimator.get_params(deep=False).keys()
    resolved = resolve(estimator.modalities, frame, X, reserved)
    names = [name for name, _, _ in resolved]
    if not isinstance(estimator.modalities, str):
        estimator._validate_names(names)
    for _, modality, _ in resolved:
        if hasattr(modality, "memory") and modality.memory is None:
            modality.memory = estimator.memory
    read = [
        located(
            name,
            partial(fit_transformed, modality, statistics=statistics.of(name)),
            frame.cells(places),
        )
        for name, modality, places in resolved
    ]
    _check_anything_present(presence(read), names)
    fitted |= _undo_lags(estimator.max_lag, names, [m for _, m, _ in resolved], read, statistics)
    fitted["modalities_"] = [
        (name, modality, [frame.names[j] for j in places] if frame.kind != "array" else [*places])
        for name, modality, places in resolved
    ]
    fitted["_places"] = [places for _, _, places in resolved]
    fitted["_container"] = {
        "kind": frame.kind,
        "names": list(frame.names),
        "schema": frame.schema,
        "blocks": frame.matrix is not None,
        "float64": frame.matrix is not None and frame.matrix.dtype != np.float32,
    }
    return fitted, read


def _undo_lags(max_lag, names, modalities, read, statistics):
    """Find the lags if asked for, and let what is read begin at the latest of the modalities."""
    if max_lag is None:
        return {"_skips": [0] * len(names)}
    lags, intervals = find_lags(names, modalities, read, max_lag)
    skips = [skip_steps(lags, *named) for named in zip(names, modalities, strict=True)]
    for m, n in enumerate(skips):
        if n:
            read[m] = skipped(modalities[m], read[m], n)
            if not read[m].present.any():
                raise ValueError(
                    f"max_lag={max_lag:g}: modality {names[m]!r} comes {lags[names[m]]:.3g} s later"
                    f" than the others, of {lags}, and no row lasts longer. Give a smaller max_lag."
                )
            modalities[m].learn_steps(read[m], statistics.of(f"{names[m]}: without its lag"))
    return {"lags_": lags, "lag_intervals_": intervals, "_skips": skips}


def _column_attributes(X, frame):
    """Return the fitted attributes that scikit-learn has for columns."""
    fitted = {"n_features_in_": len(frame.names)}
    if frame.kind == "pandas":
        names = _get_feature_names(X)  # refuses names of mixed types
        if names is not None:
            fitted["feature_names_in_"] = names
    elif frame.kind != "array":
        fitted["feature_names_in_"] = np.array(frame.names, dtype=object)
    return fitted


def _check_anything_present(present, names):
    absent = [name for name, there in zip(names, present.any(0), strict=True) if not there]
    if absent:
        raise ValueError(
            f"modality {listing(map(repr, absent))}: no row has anything of it, so nothing can be"
            " learned. Leave it out ('drop'), or give rows that have it."
        )


def _random_state(seed):
    if seed is None:
        return np.random.RandomState()  # not numpy's global one: that is the caller's
    return check_random_state(seed)


def _build(estimator, fitted, present, previous):
    """Return the network, weights not yet drawn, or with those of the fit to go on from."""
    modalities = [modality for _, modality, _ in fitted["modalities_"]]
    if previous is None:
        return estimator._build_network(modalities, list_patterns(torch.as_tensor(present)))
    known_sizes = {"n_components": previous.n_components_, "width": previous._built["width"]}
    for name, before in known_sizes.items():
        now = getattr(estimator, name)
        if now != before:
            raise ValueError(
                f"warm_start goes on from weights of {name}={before}, but now {name}={now}. Set it"
                " back, or set warm_start=False to begin anew."
            )
    known = previous.net_.module_
    network = estimator._build_network(modalities, known.patterns.cpu())
    network.load_state_dict(known.state_dict())
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
def _explain(network, read, present):
    """Return the deviance explained on the training rows, each as `transform` would see it."""
    index, unknown = index_patterns(present, network.patterns.cpu().numpy())
    rows = as_rows(read, index)
    codes = encode(network, rows, unknown)
    explained = explained_deviance(network, rows, codes, present)
    if not codes.isfinite().all():
        raise ConvergenceError(
            "the vectors of the training rows are not finite: lower lr, or look for outliers."
        )
    return explained


def _plain_history(net):
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history_.to_list()]


@one_thread()
def add_epoch(estimator, X):
    """Train a fitted estimator for an epoch of these rows; whatever raises leaves it as it was."""
    read, _ = read_rows(estimator, X)
    net, weights = estimator.net_, estimator.net_.weights_
    patterns = net.module_.patterns
    index = index_contained(presence(read), patterns.cpu().numpy())
    rows = to_device(as_rows(read, index), patterns.device)
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
    estimator.history_ = estimator.history_ + _plain_history(net)[-1:]
    estimator.n_iter_ += 1
    estimator._calibration = None  # that of other weights, and perhaps of these very rows


def restore_net(estimator, weights):
    """Return the net of a fitted estimator, made of arrays.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
        With all fitted attributes but `net_`.
    weights : dict of str to ndarray
    """
    tensors = {name: torch.tensor(value) for name, value in weights.items()}
    network = estimator._rebuild_network(tensors["patterns"])
    network.load_state_dict(tensors)
    try:
        device = find_device(estimator.device)
    except ValueError:
        device = torch.device("cpu")  # fitted on a device that this machine lacks
    network.to(device).eval()
    generators = Generators.from_state(np.random.RandomState(0), device)
    batch_size = 64 if estimator.batch_size == "auto" else estimator.batch_size
    names = network.loss_names([name for name, _, _ in estimator.modalities_])
    settings = _settings(estimator, device, batch_size, names)
    settings.callbacks = []
    return make_net(network, settings, generators)
