"""`load`: an estimator from a file, which may come from anyone."""

from __future__ import annotations

import keyword
import math
import os
from contextlib import suppress
from numbers import Real

import numpy as np
import pandas as pd
import torch
from torch.overrides import TorchFunctionMode

from . import modalities
from ._autoencoder import MultimodalAutoencoder
from ._core import archive
from ._core.errors import ModelFileError
from ._description import LARGEST, RUN_TIME
from ._parameters import OPTIMIZERS, check_parameters
from .fusion import FUSIONS, Fusion
from .modalities import ImageModality, Modality, TabularModality, TextModality

__all__ = ["load"]

_BUILT_IN = {name: getattr(modalities, name) for name in modalities.__all__ if name != "Modality"}
_BUILT_IN |= {fusion.__name__: fusion for fusion in FUSIONS.values()}
_LARGEST_PIXEL = float(np.finfo(np.float32).max) * 1.01
_TORCH_OPTIMIZERS = {
    name: value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer)
}


def load(path, *, trusted=()):
    """Load an estimator that `MultimodalAutoencoder.save` has written.

    No code in the file is run and no class is imported by a name in it; every value is checked,
    and no more memory is taken than the file's own size warrants.

    Parameters
    ----------
    path : str or path-like
    trusted : list of class, default=()
        Subclasses of `Modality` and `Fusion`, and optimizers, of your own that the file may use.
        They are built with what the file says, so they must cope with any values.

    Returns
    -------
    MultimodalAutoencoder
        Its `transform` gives the same bits as before on the same machine and versions. `device`,
        `callbacks` and `verbose` are the defaults, whatever they were.

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
    tree = archive.read(path, kind=MultimodalAutoencoder.__name__)
    try:
        return _restore(tree, known)
    except Exception as error:  # whatever a class makes of the values of a damaged file
        raise ModelFileError(f"cannot read {os.fspath(path)!r}: {error}") from error


def _known(trusted):
    """Return the classes that a file may name."""
    known = dict(_BUILT_IN)
    for cls in trusted:
        if not isinstance(cls, type) or not issubclass(
            cls, Modality | Fusion | torch.optim.Optimizer
        ):
            raise TypeError(f"trusted: {cls!r} is no subclass of Modality, Fusion or Optimizer.")
        if cls.__name__ in known:
            raise ValueError(f"trusted: there is a class {cls.__name__} already. Rename yours.")
        known[cls.__name__] = cls
    return known


def _restore(tree, known):
    parameters, attributes, weights = _fields(tree, "parameters", "attributes", "weights")
    estimator = MultimodalAutoencoder(**_parameters(parameters, known))
    check_parameters(estimator)
    vars(estimator).update(_attributes(attributes, known))
    _check_weights(estimator, weights)
    estimator.net_ = estimator._restore_net(weights)
    with suppress(ImportError):  # rows of polars come back only where it is installed
        estimator.inverse_transform(np.zeros((1, estimator.n_components_)))
    return estimator


# Parameters --------------------------------------------------------------------------------------


def _parameters(node, known):
    names = [n for n in MultimodalAutoencoder._get_param_names() if n not in RUN_TIME]
    parameters = dict(zip(names, _fields(node, *names), strict=True))
    for name, value in parameters.items():
        _check(not isinstance(value, int) or value <= LARGEST, f"{name}={value!r} is too large")
    parameters["fusion"] = _fusion(parameters["fusion"], known)
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


def _fusion(node, known):
    if isinstance(node, str):
        _check(node in FUSIONS, "its fusion is not known")
        return node
    return _object(node, Fusion, known)


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
    part = cls(**parameters)
    if _BUILT_IN.get(name) is cls and base is Modality:
        _check(parameters.keys() == part.get_params().keys(), f"the parameters of {name}")
        part._check_parameters()
    return part


# Fitted attributes -------------------------------------------------------------------------------


def _attributes(node, known):
    listed, places, container, history, n_iter, n_components, width, fusion, explained, n, names = (
        _fields(
            node,
            "modalities",
            "places",
            "container",
            "history",
            "n_iter",
            "n_components",
            "width",
            "fusion",
            "explained_deviance",
            "n_features_in",
            "feature_names_in",
        )
    )
    for number, least in ((n_iter, 0), (n_components, 1), (width, 1), (n, 1)):
        _check(_is_whole(number) and number >= least, f"{number!r} is no proper count")
    _check(n_components <= LARGEST and width <= LARGEST, "its network is too large")
    _check_container(container, n)
    _check(isinstance(listed, list) and listed, "its modalities")
    _check(isinstance(places, list) and len(places) == len(listed), "the places of its columns")
    for own in places:
        whole = isinstance(own, list) and own and all(_is_whole(p) and 0 <= p < n for p in own)
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
        "_places": places,
        "_container": container,
        "_width": width,
        "_fusion": _fusion(fusion, known),
    }
    if names is not None:
        _check(names == container["names"] and _are_text(names), "the names of its columns")
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes


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
    if type(modality) in _CHECKS:
        expected, check = _CHECKS[type(modality)]
        _check(state.keys() == expected(modality), f"what modality {name!r} has learned")
        _check(check(modality, n_columns), f"what modality {name!r} has learned")
    return name, modality, columns


def _history(node):
    n_epochs, columns = _fields(node, "n_epochs", "columns")
    _check(_is_whole(n_epochs) and n_epochs >= 0 and isinstance(columns, dict), "its history")
    longest = max((len(c.get("epochs", ())) for c in columns.values()), default=0)
    _check(n_epochs == longest, "its history")  # every epoch has its number and its time
    history = [{} for _ in range(n_epochs)]
    for key, column in columns.items():
        epochs, values = _fields(column, "epochs", "values")
        values = values.tolist() if isinstance(values, np.ndarray) else values
        _check(_is_array(epochs, "i") and isinstance(values, list), "its history")
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
        _check(_are_values(values) and len(set(values)) == len(values), "a column's categories")
        _check(type(described.get("ordered", False)) is bool, "the order of categories")
        _check((dtype == "category") == ("ordered" in described), "the order of categories")
        dated = kind == "polars" and dtype in ("Date", "Datetime")
        _check(dated == ({"time_unit", "time_zone"} <= described.keys()), "the unit of a date")
        _check(described.get("time_unit") in (None, "ms", "us", "ns"), "the unit of a date")
        width = described.get("width", 1)
        _check(_is_whole(width) and 0 < width <= LARGEST, "the width of a column")
        zone = described.get("time_zone")
        _check(zone is None or isinstance(zone, str), "the zone of a date")
        if zone is not None:
            pd.Timestamp(0).tz_localize(zone)  # raises for what is no zone


# What each modality has learned: the names of its attributes, and whether their values agree ------


def _table_state(m):
    return {
        *("kinds_", "dtypes_", "n_observed_", "mean_", "scale_", "scaling_"),
        *("categories_", "shares_", "weight_"),
    }


def _check_table(m, n_columns):
    numbers = sum(kind in ("number", "date") for kind in m.kinds_)
    coded = len(m.kinds_) - numbers
    return (
        isinstance(m.kinds_, list)
        and set(m.kinds_) <= {"number", "date", "bool", "category"}
        and len(m.kinds_) == n_columns
        and _are_text(m.dtypes_)
        and len(m.dtypes_) == len(m.kinds_)
        and m.scaling_ in ("column", "common")
        and _are_floats(m.n_observed_, numbers)
        and _are_floats(m.mean_, numbers)
        and _are_floats(m.scale_, numbers, above=0)
        and isinstance(m.categories_, list)
        and isinstance(m.shares_, list)
        and len(m.categories_) == len(m.shares_) == coded
        and all(_are_values(values) for values in m.categories_)
        and all(
            _are_floats(share, len(values)) and (share >= 0).all()
            for share, values in zip(m.shares_, m.categories_, strict=True)
        )
        and _is_positive(m.weight_)
    )


def _text_state(m):
    state = {"vocabulary_", "idf_", "block_scales_", "mean_", "shares_", "null_deviance_"}
    if m.vectorizer is not None:
        state |= {"subwords_", "subword_idf_"}
    return state | ({"tokens_", "n_tokens_"} if m.decoder == "sequence" else set())


def _check_text(m, n_columns):
    subwords = [] if m.vectorizer is None else m.subwords_
    written = m.tokens_ if m.decoder == "sequence" else m.vocabulary_
    return (
        n_columns == 1
        and (m.vectorizer is None or isinstance(m.vectorizer, str))
        and all(_are_text(t) and len(set(t)) == len(t) for t in (m.vocabulary_, subwords, written))
        and _are_floats(m.idf_, len(m.vocabulary_))
        and (m.vectorizer is None or _are_floats(m.subword_idf_, len(subwords)))
        and _are_floats(m.block_scales_, 1 if m.vectorizer is None else 2, above=0)
        and _are_floats(m.mean_, len(m.vocabulary_) + len(subwords))
        and len(written) > 0
        and _are_floats(m.shares_, len(written))
        and (m.shares_ >= 0).all()
        and _is_positive(m.null_deviance_)
        and (
            m.decoder != "sequence"
            or (written[0] == "" and _is_whole(m.n_tokens_) and 0 < m.n_tokens_ <= m.max_length)
        )
    )


def _image_state(m):
    return {
        *("size_", "mode_", "mean_", "scale_", "low_", "high_"),
        *("units_", "dtypes_", "null_deviance_"),
    }


def _check_image(m, n_columns):
    if not (isinstance(m.size_, tuple) and len(m.size_) == 2 and all(map(_is_whole, m.size_))):
        return False
    channels = {"L": 1, "RGB": 3, "RGBA": 4, None: math.prod((m.shape or ())[2:])}
    n_pixels = math.prod(m.size_) * channels.get(m.mode_, 0)
    return (
        min(m.size_) > 0
        and n_pixels > 0
        and (m.shape is None) == (m.mode_ is not None)
        and (m.shape is None or m.size_ == tuple(m.shape[:2]))
        and n_columns == (1 if m.shape is None else n_pixels)
        and _are_floats(m.mean_, n_pixels)
        and m.mean_.dtype == np.float32
        and _is_positive(m.scale_)
        and _is_positive(m.null_deviance_)
        and isinstance(m.low_, float)
        and isinstance(m.high_, float)
        and -_LARGEST_PIXEL < m.low_ <= m.high_ < _LARGEST_PIXEL
        and isinstance(m.units_, dict)
        and m.units_.keys() <= {"float", "integer"}
        and all(map(_is_positive, m.units_.values()))
        and (
            m.dtypes_ is None
            if m.shape is None
            else _are_text(m.dtypes_) and len(m.dtypes_) == n_pixels
        )
    )


_CHECKS = {
    TabularModality: (_table_state, _check_table),
    TextModality: (_text_state, _check_text),
    ImageModality: (_image_state, _check_image),
}


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
    for name in ("scale", "spread", "share"):
        _check((weights[name] > 0).all(), f"{name} is not positive")
    _check(weights["n_rows"] >= 0, "its number of rows")


# Small questions ---------------------------------------------------------------------------------


def _check(condition, what):
    if not condition:
        raise ModelFileError(f"{what}: this is not as it should be")


def _fields(node, *names):
    """Return the values of a dictionary of exactly these keys."""
    if not isinstance(node, dict) or node.keys() != set(names):
        raise ModelFileError(f"it should have exactly the entries {', '.join(names)} in one place")
    return [node[name] for name in names]


def _is_whole(value):
    return type(value) is int


def _is_positive(value):
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < value < math.inf


def _is_array(value, kinds):
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in kinds


def _are_floats(value, n, above=-math.inf):
    known = _is_array(value, "f") and len(value) == n
    return bool(known and np.isfinite(value).all() and (value > above).all())


def _are_text(value):
    return isinstance(value, list) and all(type(item) is str for item in value)


def _are_values(value):
    return isinstance(value, list) and all(type(v) in (str, int, float, bool) for v in value)
