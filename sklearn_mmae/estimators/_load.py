"""`load`: an estimator from a file, which may come from anyone."""

from __future__ import annotations

import keyword
import math
import os
from contextlib import suppress

import numpy as np
import pandas as pd
import torch
from torch.overrides import TorchFunctionMode

from .._core import archive
from .._core.errors import ModelFileError
from .._core.values import are_floats, are_text, are_values, is_array, is_whole
from ..fusion import FUSIONS, Fusion
from ..modalities import Modality
from ..modalities._base import TimedModality
from ..modalities._detect import BUILTIN
from ..model._description import KIND, LARGEST, OF_SESSION, RUN_TIME
from ..model._lags import skip_steps
from ..model._parameters import OPTIMIZERS, check_parameters
from ..objectives import OBJECTIVES, Objective
from ..training._calibration import Groups
from ._autoencoder import MultimodalAutoencoder
from ._vae import MultimodalVAE

__all__ = ["load"]

_BUILT_IN = {kind.__name__: kind for kind in BUILTIN}
_BUILT_IN |= {fusion.__name__: fusion for fusion in FUSIONS.values()}
_BUILT_IN |= {objective.__name__: objective for objective in OBJECTIVES.values()}
_ESTIMATORS = {kind.__name__: kind for kind in (MultimodalAutoencoder, MultimodalVAE)}
_NAMED = {"fusion": (Fusion, FUSIONS), "objective": (Objective, OBJECTIVES)}
_TORCH_OPTIMIZERS = {
    name: value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
}


def load(path, *, trusted=()):
    """Load an estimator that `MultimodalAutoencoder` or `MultimodalVAE` has saved.

    No code in the file is run and no class is imported by a name in it; every value is checked,
    and no more memory is taken than the file's own size warrants.

    Parameters
    ----------
    path : str or path-like
    trusted : list of class, default=()
        Subclasses of `Modality`, `Fusion` and `Objective`, and optimizers, of your own that the
        file may use.
        They are built with what the file says, so they must cope with any values.

    Returns
    -------
    MultimodalAutoencoder or MultimodalVAE
        Its `transform` gives the same bits as before on the same machine and versions. `device`,
        `memory`, `callbacks` and `verbose` are the defaults, whatever they were; no modality has a
        `memory`.

    Raises
    ------
    ModelFileError
        If the file is damaged, of a newer version, or asks for what it must not.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    The file's checksum finds accidents; it does not say who wrote the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklearn_mmae import MultimodalAutoencoder, load
    >>> X = np.random.default_rng(0).normal(size=(40, 5))
    >>> mmae = MultimodalAutoencoder(n_components=2, max_epochs=3, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     mmae.save(Path(folder) / "model.mmae")
    ...     again = load(Path(folder) / "model.mmae")
    >>> bool((again.transform(X) == mmae.transform(X)).all())
    True
    """
    known = _known(trusted)
    tree = archive.read(path, kind=KIND)
    try:
        return _restore(tree, known)
    except Exception as error:  # whatever a class makes of the values of a damaged file
        raise ModelFileError(f"cannot read {os.fspath(path)!r}: {error}") from error


def _known(trusted):
    """Return the classes that a file may name."""
    known = dict(_BUILT_IN)
    for cls in trusted:
        if not isinstance(cls, type) or not issubclass(
            cls, Modality | Fusion | Objective | torch.optim.Optimizer
        ):
            raise TypeError(
                f"trusted: {cls!r} is no subclass of Modality, Fusion, Objective or Optimizer."
            )
        if cls.__name__ in known:
            raise ValueError(f"trusted: there is a class {cls.__name__} already. Rename yours.")
        known[cls.__name__] = cls
    return known


def _restore(tree, known):
    name, parameters, attributes, calibration, weights = _fields(
        tree, "class", "parameters", "attributes", "calibration", "weights"
    )
    _check(isinstance(name, str) and name in _ESTIMATORS, "its estimator is not known")
    kind = _ESTIMATORS[name]
    estimator = kind(**_parameters(parameters, kind, known))
    check_parameters(estimator)
    vars(estimator).update(_attributes(attributes, kind, known))
    _check_weights(estimator, weights)
    estimator.net_ = estimator._restore_net(weights)
    estimator._calibration = _calibration(calibration, estimator)
    with suppress(ImportError):  # rows of polars come back only where it is installed
        estimator.inverse_transform(np.zeros((1, estimator.n_components_)))
    return estimator


# Parameters --------------------------------------------------------------------------------------


def _parameters(node, kind, known):
    names = [n for n in kind._get_param_names() if n not in RUN_TIME]
    parameters = dict(zip(names, _fields(node, *names), strict=True))
    for name, value in parameters.items():
        _check(not isinstance(value, int) or value <= LARGEST, f"{name}={value!r} is too large")
    for name in _NAMED.keys() & parameters.keys():
        parameters[name] = _named(name, parameters[name], known)
    if isinstance(parameters["optimizer"], dict):
        (name,) = _fields(parameters["optimizer"], "class")
        known = _TORCH_OPTIMIZERS | known
        parameters["optimizer"] = _class(name, torch.optim.Optimizer, known)
    else:
        _check(parameters["optimizer"] in OPTIMIZERS, "its optimizer is not known")
    if parameters["modalities"] != "auto":
        _check(isinstance(parameters["modalities"], list), "its modalities are no list")
        parameters["modalities"] = [_entry(entry, known) for entry in parameters["modalities"]]
    return parameters


def _entry(entry, known):
    _check(isinstance(entry, tuple) and len(entry) == 3, "a modality is no triple")
    name, modality, columns = entry
    _check(isinstance(name, str), "a modality's name is no text")
    return name, modality if modality == "drop" else _object(modality, Modality, known), columns


def _named(name, node, known):
    """Return a parameter that has a short name, or is an object of a known class."""
    base, short = _NAMED[name]
    if isinstance(node, str):
        _check(node in short, f"its {name} is not known")
        return node
    return _object(node, base, known)


def _class(name, base, known):
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None or not issubclass(cls, base):
        raise ModelFileError(
            f"it needs a {base.__name__} of class {name!r}, which is not known. If you trust the"
            f" class, give it: load(path, trusted=[{name}])"
        )
    return cls


def _object(node, base, known):
    """Build a modality or fusion of a known class from exactly its own parameters."""
    name, parameters = _fields(node, "class", "parameters")
    cls = _class(name, base, known)
    _check(isinstance(parameters, dict), f"the parameters of {name}")
    for key in OF_SESSION & parameters.keys():
        _check(parameters[key] is None, f"the parameter {key} of {name}")
    part = cls(**parameters)
    if _BUILT_IN.get(name) is cls and base is Modality:
        _check(parameters.keys() == part.get_params().keys(), f"the parameters of {name}")
        part.check_parameters()
    return part


# Fitted attributes -------------------------------------------------------------------------------


_ATTRIBUTES = (
    *("modalities", "places", "container", "lags", "history", "n_iter"),
    *("n_components", "built", "explained_deviance", "n_features_in", "feature_names_in"),
)


def _attributes(node, kind, known):
    own = [name.rstrip("_") for name in kind._OF_FIT]
    found = _fields(node, *_ATTRIBUTES, *own)
    listed, places, container, lags, history, n_iter = found[:6]
    n_components, built, explained, n, names = found[6:11]
    for number, least in ((n_iter, 0), (n_components, 1), (n, 1)):
        _check(is_whole(number) and number >= least, f"{number!r} is no proper count")
    _check(n_components <= LARGEST, "its network is too large")
    _check_container(container, n)
    _check(isinstance(listed, list) and listed, "its modalities")
    _check(isinstance(places, list) and len(places) == len(listed), "the places of its columns")
    for own in places:
        whole = isinstance(own, list) and own and all(is_whole(p) and 0 <= p < n for p in own)
        _check(whole, "the places of a modality's columns")
    used = [place for own in places for place in own]
    _check(len(used) == len(set(used)), "a column is in two modalities")
    widths = [column.get("width", 1) for column in container["schema"]]  # of blocks of numbers
    fitted = [
        _fitted(entry, len(own), sum(widths[place] for place in own), known)
        for entry, own in zip(listed, places, strict=True)
    ]
    keys = [name for name, _, _ in fitted]
    _check(len(keys) == len(set(keys)), "two modalities have one name")
    _check(isinstance(explained, dict) and list(explained) == keys, "its explained deviance")
    _check(all(isinstance(e, float) for e in explained.values()), "its explained deviance")
    attributes = {
        "n_features_in_": n,
        "modalities_": fitted,
        "history_": _history(history),
        "n_iter_": n_iter,
        "n_components_": n_components,
        "explained_deviance_": explained,
        **_lags(lags, fitted),
        "_places": places,
        "_container": container,
        "_built": _built(built, kind, known),
        **_own_attributes(dict(zip(kind._OF_FIT, found[11:], strict=True)), n_components),
    }
    if names is not None:
        _check(names == container["names"] and are_text(names), "the names of its columns")
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes


def _built(node, kind, known):
    """Return what the network was built of, which the parameters may no longer say."""
    built = dict(zip(kind._OF_NETWORK, _fields(node, *kind._OF_NETWORK), strict=True))
    _check(is_whole(built["width"]) and 1 <= built["width"] <= LARGEST, "its width")
    for name in _NAMED.keys() & built.keys():
        built[name] = _named(name, built[name], known)
    check_parameters(kind(**built))
    return built


def _own_attributes(values, n_components):
    for name, value in values.items():
        _check(are_floats(value, n_components), name)
    return values


def _fitted(entry, n_places, n_columns, known):
    name, columns, described, state = _fields(entry, "name", "columns", "modality", "state")
    _check(isinstance(name, str) and isinstance(columns, list), "a modality's name or columns")
    _check(len(columns) == n_places, f"the columns of modality {name!r}")
    modality = _object(described, Modality, known)
    _check(isinstance(state, dict), f"what modality {name!r} has learned")
    for key in state:
        free = (
            key.isidentifier() and not keyword.iskeyword(key) and not hasattr(type(modality), key)
        )
        _check(free, f"modality {name!r} cannot have an attribute {key!r}")
    vars(modality).update(state)
    if _BUILT_IN.get(type(modality).__name__) is type(modality):
        sound = state.keys() == modality.learned() and modality.is_sound(n_columns)
        _check(sound, f"what modality {name!r} has learned")
    return name, modality, columns


def _lags(node, fitted):
    """Return the lags between modalities, and how many steps of each are left out."""
    if not node:
        return {"_skips": [0] * len(fitted)}
    _check(isinstance(node, list) and all(len(entry) == 4 for entry in node), "its lags")
    lags, intervals = {}, {}
    for name, *numbers in node:
        _check(all(isinstance(x, float) and math.isfinite(x) for x in numbers), "its lags")
        lags[name], *intervals[name] = numbers
    timed = {name for name, modality, _ in fitted if isinstance(modality, TimedModality)}
    _check(lags.keys() == timed, "its lags")
    skips = [skip_steps(lags, name, modality) for name, modality, _ in fitted]
    for (_, modality, _), n in zip(fitted, skips, strict=True):
        _check(n == 0 or n < modality.n_steps_, "its lags")
    intervals = {name: tuple(interval) for name, interval in intervals.items()}
    return {"lags_": lags, "lag_intervals_": intervals, "_skips": skips}


def _history(node):
    n_epochs, columns = _fields(node, "n_epochs", "columns")
    _check(is_whole(n_epochs) and n_epochs >= 0 and isinstance(columns, dict), "its history")
    longest = max((len(c.get("epochs", ())) for c in columns.values()), default=0)
    _check(n_epochs == longest, "its history")  # every epoch has its number and its time
    history = [{} for _ in range(n_epochs)]
    for key, column in columns.items():
        epochs, values = _fields(column, "epochs", "values")
        values = values.tolist() if isinstance(values, np.ndarray) else values
        _check(is_array(epochs, "i") and isinstance(values, list), "its history")
        for epoch, value in zip(epochs.tolist(), values, strict=True):
            _check(0 <= epoch < n_epochs, "its history")
            history[epoch][key] = value
    return history


def _check_container(container, n):
    kind, names, schema, blocks, float64 = _fields(
        container, "kind", "names", "schema", "blocks", "float64"
    )
    _check(kind in ("pandas", "polars", "array", "slicedict"), "the kind of its rows")
    _check(isinstance(names, list) and len(names) == n, "the names of its columns")
    _check(len(set(names)) == n, "the names of its columns")
    _check(type(blocks) is bool and type(float64) is bool, "the layout of its rows")
    _check(isinstance(schema, list) and len(schema) == n, "the dtypes of its columns")
    optional = {"categories", "ordered", "time_unit", "time_zone", "width"}
    for described in schema:
        _check(isinstance(described, dict) and "dtype" in described, "the dtype of a column")
        _check(described.keys() - {"dtype"} <= optional, "the dtype of a column")
        dtype, values = described["dtype"], described.get("categories", [])
        _check(isinstance(dtype, str) and len(dtype) < 1000, "the dtype of a column")
        named = dtype in ("category", "Categorical", "Enum")
        _check(named == ("categories" in described), "the categories of a column")
        _check(are_values(values) and len(set(values)) == len(values), "a column's categories")
        _check(type(described.get("ordered", False)) is bool, "the order of categories")
        _check((dtype == "category") == ("ordered" in described), "the order of categories")
        dated = kind == "polars" and dtype in ("Date", "Datetime")
        _check(dated == ({"time_unit", "time_zone"} <= described.keys()), "the unit of a date")
        _check(described.get("time_unit") in (None, "ms", "us", "ns"), "the unit of a date")
        width = described.get("width", 1)
        _check(is_whole(width) and 0 < width <= LARGEST, "the width of a column")
        zone = described.get("time_zone")
        _check(zone is None or isinstance(zone, str), "the zone of a date")
        if zone is not None:
            pd.Timestamp(0).tz_localize(zone)  # raises for what is no zone


def _calibration(node, estimator):
    """Return the `Groups` of each table by its name, or None."""
    if node is None:
        return None
    parts = estimator.net_.module_.networks
    tables = {
        name: part
        for (name, _, _), part in zip(estimator.modalities_, parts, strict=True)
        if part.is_table
    }
    _check(isinstance(node, dict) and node.keys() == tables.keys(), "its calibration")
    found = {}
    for name, part in tables.items():
        fields = _fields(node[name], *Groups._fields)
        _check(all(isinstance(field, np.ndarray) for field in fields), "its calibration")
        found[name] = Groups(*fields)
        sound = found[name].is_sound(len(parts), part.n_numbers, part.sizes)
        _check(sound, f"the calibration of modality {name!r}")
    return found


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


def _check_weights(estimator, weights):
    """Compare the file's weights with the network that its attributes make, before building it."""
    _check(isinstance(weights, dict), "its weights")
    _check(all(isinstance(weight, np.ndarray) for weight in weights.values()), "its weights")
    n = len(estimator.modalities_)
    patterns = weights.get("patterns")
    # More patterns than a fit makes would be slow to compare with one another.
    few = patterns is not None and patterns.dtype == bool and patterns.ndim == 2
    _check(few and patterns.shape[1] == n and len(patterns) <= max(64, 2 * n + 34), "its patterns")
    _check(not patterns[0].any() and patterns[-1].all(), "its patterns")
    with _ShapesOnly():
        expected = estimator._rebuild_network(torch.as_tensor(patterns)).state_dict()
    _check(weights.keys() == expected.keys(), "the names of its weights")
    for name, weight in weights.items():
        like, weight = expected[name], torch.as_tensor(weight)
        _check(weight.shape == like.shape and weight.dtype == like.dtype, f"the shape of {name}")
        if weight.is_floating_point():
            _check(bool(weight.isfinite().all()), f"{name} is not finite")
        elif like.device.type != "meta":  # numbers of rows and columns follow from the attributes
            _check(torch.equal(weight, like), f"the numbers in {name}")
    for name in {"scale", "spread", "share"} & weights.keys():
        _check((weights[name] > 0).all(), f"{name} is not positive")
    _check(weights.get("n_rows", 0) >= 0, "its number of rows")
    if "precisions" in weights:
        precisions = weights["precisions"].astype(np.float64)
        symmetric = np.allclose(precisions, precisions.swapaxes(-1, -2), rtol=1e-3, atol=1e-5)
        _check(symmetric and (np.linalg.eigvalsh(precisions) > -0.1).all(), "its precisions")


# Small questions ---------------------------------------------------------------------------------


def _check(condition, what):
    if not condition:
        raise ModelFileError(f"{what}: this is not as it should be")


def _fields(node, *names):
    """Return the values of a dictionary of exactly these keys."""
    if not isinstance(node, dict) or node.keys() != set(names):
        raise ModelFileError(f"it should have exactly the entries {', '.join(names)} in one place")
    return [node[name] for name in names]
