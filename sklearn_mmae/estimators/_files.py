"""Files: a fitted estimator saved, and one loaded from a file that may come from anyone."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from torch.overrides import TorchFunctionMode

from .._core import archive
from .._core.errors import ModelFileError
from .._core.later import Later
from .._core.plain import (
    LARGEST,
    check,
    class_of,
    fields,
    object_to_plain,
    to_plain,
)
from ..fusion import Fusion
from ..modalities import BUILTIN, Modality
from ..model._cells import Cells
from ..model._model import Model
from ..model._parts import modality_from_plain
from ..objectives import Objective
from ..privacy import Privacy
from ..training._build import NAMED, named_from_plain, named_to_plain
from ..training._settings import OPTIMIZERS
from ._parameters import check_parameters

__all__ = ["limit_reading", "load_as", "save"]

KIND = "estimator"  # of the file
OF_MACHINE = {"device", "memory", "callbacks", "verbose"}  # parameters that are never in a file
_BUILT_IN = {kind.__name__: kind for kind in BUILTIN}
_BUILT_IN |= {kind.__name__: kind for _, known in NAMED.values() for kind in known.values()}
_TORCH_OPTIMIZERS = {
    name: value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
}


def save(estimator: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator; see `BaseMultimodalAutoencoder.save`."""
    model = estimator._model
    calibration, density = model.calibration(), model.density()
    tree = {
        "class": type(estimator).__name__,
        "parameters": _parameters_to_plain(estimator, model),
        "attributes": model.to_plain(),
        "calibration": calibration
        and {name: groups.to_plain() for name, groups in calibration.items()},
        "density": density and density.to_plain(),
        "cells": model.cells and model.cells.to_plain(),
    }
    archive.write(path, {**to_plain(tree, ""), "weights": model.weights()}, kind=KIND)


def load_as(path: str | os.PathLike, trusted: Any, estimators: dict[str, type]) -> Any:
    """Return the estimator of a file, of one of some classes; see `load`."""
    classes = _trusted(trusted)
    tree = archive.read(path, kind=KIND)
    try:
        return _restore(tree, classes, estimators)
    except Exception as error:  # whatever a class makes of the values of a damaged file
        raise ModelFileError(f"cannot read {os.fspath(path)!r}: {error}") from error


def limit_reading(estimator: Any, root: str | os.PathLike | None, max_pixels: int) -> None:
    """Let the modalities of a loaded estimator read no more than their reader allows."""
    listed = [] if isinstance(estimator.modalities, str) else estimator.modalities
    for modality in [m for _, m, _ in listed] + [part.modality for part in estimator._model.parts]:
        if root is not None and hasattr(modality, "root"):
            modality.root = root
        if hasattr(modality, "max_pixels"):
            modality.max_pixels = min(modality.max_pixels, max_pixels)


def _trusted(trusted):
    """Return the classes that a file may name."""
    classes = dict(_BUILT_IN)
    for cls in trusted:
        if not isinstance(cls, type) or not issubclass(
            cls, Modality | Fusion | Objective | TransformerMixin | torch.optim.Optimizer
        ):
            raise TypeError(
                f"trusted: {cls!r} is no subclass of Modality, Fusion, Objective, TransformerMixin"
                " or Optimizer."
            )
        if cls.__name__ in classes:
            raise ValueError(f"trusted: there is a class {cls.__name__} already. Rename yours.")
        classes[cls.__name__] = cls
    return classes


def _restore(tree, classes, estimators):
    name, parameters, attributes, calibration, density, cells, weights = fields(
        tree, "class", "parameters", "attributes", "calibration", "density", "cells", "weights"
    )
    check(isinstance(name, str) and name in estimators, "its estimator is not known")
    kind = estimators[name]
    estimator = kind(**_parameters_from_plain(parameters, kind, classes))
    check_parameters(estimator)
    model = Model.from_plain(attributes, classes, kind.OF_NETWORK, kind.FACTS)
    check_parameters(kind(**model.built))
    estimator._model = model
    _check_weights(estimator._rebuild_network, len(model.parts), weights)
    estimator._restore(weights)
    model.calibration = Later.known(model.calibrated(calibration))
    model.density = Later.known(model.with_density(density))
    model.cells = None if cells is None else Cells.from_plain(cells, model)
    with suppress(ImportError):  # rows of polars come back only where it is installed
        model.write_average()
    return estimator


# Parameters --------------------------------------------------------------------------------------


def _parameters_to_plain(estimator, model):
    """Return the parameters as plain values, columns that a callable has named written out."""
    parameters = {
        name: getattr(estimator, name)
        for name in type(estimator)._get_param_names()
        if name not in OF_MACHINE
    }
    parameters["modalities"] = _listed(estimator.modalities, model)
    parameters |= {
        name: named_to_plain(name, parameters[name]) for name in NAMED & parameters.keys()
    }
    if isinstance(estimator.optimizer, type):
        parameters["optimizer"] = {"class": estimator.optimizer.__name__}
    if estimator.privacy is not None:
        parameters["privacy"] = estimator.privacy.get_params()
    # A seed of noise must not be known to those from whom it hides rows.
    if isinstance(estimator.random_state, np.random.RandomState) or estimator.privacy is not None:
        parameters["random_state"] = None
    for name, value in parameters.items():
        if isinstance(value, int) and value > LARGEST:
            raise ValueError(f"{name}={value} is more than a file may hold. Give less.")
    return parameters


def _listed(modalities, model):
    if isinstance(modalities, str):
        return modalities
    chosen = {part.name: part.columns for part in model.parts}
    return [
        (
            name,
            part if isinstance(part, str) else object_to_plain(part, f"modality {name!r}"),
            chosen.get(name, []) if callable(columns) or isinstance(columns, slice) else columns,
        )
        for name, part, columns in modalities
    ]


def _parameters_from_plain(node, kind, classes):
    names = [n for n in kind._get_param_names() if n not in OF_MACHINE]
    parameters = dict(zip(names, fields(node, *names), strict=True))
    for name, value in parameters.items():
        check(not isinstance(value, int) or value <= LARGEST, f"{name}={value!r} is too large")
    for name in NAMED.keys() & parameters.keys():
        parameters[name] = named_from_plain(name, parameters[name], classes)
    if parameters["privacy"] is not None:
        given = fields(parameters["privacy"], *Privacy._get_param_names())
        parameters["privacy"] = Privacy(**dict(zip(Privacy._get_param_names(), given, strict=True)))
        parameters["privacy"].check_parameters()
    if isinstance(parameters["optimizer"], dict):
        (name,) = fields(parameters["optimizer"], "class")
        parameters["optimizer"] = class_of(name, torch.optim.Optimizer, _TORCH_OPTIMIZERS | classes)
    else:
        check(parameters["optimizer"] in OPTIMIZERS, "its optimizer is not known")
    if parameters["modalities"] != "auto":
        check(isinstance(parameters["modalities"], list), "its modalities are no list")
        parameters["modalities"] = [_entry(entry, classes) for entry in parameters["modalities"]]
    return parameters


def _entry(entry, classes):
    check(isinstance(entry, tuple) and len(entry) == 3, "a modality is no triple")
    name, modality, columns = entry
    check(isinstance(name, str), "a modality's name is no text")
    return name, modality if modality == "drop" else modality_from_plain(modality, classes), columns


# Weights -----------------------------------------------------------------------------------------


class _ShapesOnly(TorchFunctionMode):
    """Tensors that torch would allocate have a shape and a type, and no memory."""

    _ALLOCATES = frozenset(
        {torch.empty, torch.empty_like, torch.zeros, torch.ones, torch.full, torch.eye}
    )

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in self._ALLOCATES:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _check_weights(build, n, weights):
    """Compare the file's weights with the network that its attributes make, before building it."""
    check(isinstance(weights, dict), "its weights")
    check(all(isinstance(weight, np.ndarray) for weight in weights.values()), "its weights")
    patterns = weights.get("patterns")
    # More patterns than a fit makes would be slow to compare with one another.
    few = patterns is not None and patterns.dtype == bool and patterns.ndim == 2
    check(few and patterns.shape[1] == n and len(patterns) <= max(64, 2 * n + 34), "its patterns")
    check(not patterns[0].any() and patterns[-1].all(), "its patterns")
    with _ShapesOnly():
        expected = build(torch.as_tensor(patterns)).state_dict()
    check(weights.keys() == expected.keys(), "the names of its weights")
    for name, weight in weights.items():
        like, weight = expected[name], torch.as_tensor(weight)
        check(weight.shape == like.shape and weight.dtype == like.dtype, f"the shape of {name}")
        if weight.is_floating_point():
            check(bool(weight.isfinite().all()), f"{name} is not finite")
        elif like.device.type != "meta":  # numbers of rows and columns follow from the attributes
            check(torch.equal(weight, like), f"the numbers in {name}")
    for name in {"scale", "spread", "share"} & weights.keys():
        check((weights[name] > 0).all(), f"{name} is not positive")
    check((weights["explained"] >= 0).all(), "what its components explain")
    check(weights.get("n_rows", 0) >= 0, "its number of rows")
    if "direct.weight" in weights:
        _check_regressions(weights)
    if "precisions" in weights:
        precisions = weights["precisions"].astype(np.float64)
        symmetric = np.allclose(precisions, precisions.swapaxes(-1, -2), rtol=1e-3, atol=1e-5)
        check(symmetric and (np.linalg.eigvalsh(precisions) > -0.1).all(), "its precisions")


def _check_regressions(weights):
    """Refuse what regressions beside the codes cannot have learned."""
    share, covariance = weights["direct.weight"], torch.as_tensor(weights["direct.covariance"])
    check((share >= 0).all() and (share <= 1).all(), "the weights of its regressions")
    check((weights["direct.penalty"] > 0).all(), "the penalties of its regressions")
    check(0 < weights["direct.shrinkage"] <= 1, "the shrinkage of its second moments")
    check(torch.allclose(covariance, covariance.T, rtol=1e-3, atol=1e-6), "its second moments")
    # What rounding leaves below 0 is less than any penalty.
    rounding = 1e-5 * covariance.diagonal().max().clamp_min(1e-12)
    _, failed = torch.linalg.cholesky_ex(
        covariance.double() + rounding * torch.eye(len(covariance), dtype=torch.float64)
    )
    check(not failed, "its second moments")
