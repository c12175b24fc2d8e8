"""Intervals of numbers and probabilities of categories, by what held-out rows have shown."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from .._core.errors import DataWarning, listing
from ..modalities import TabularModality
from ..training._calibration import LEVELS, bins_of, observed_cells
from ..training._predict import decode
from ._codes import encode_rows
from ._rows import fitted_modalities

__all__ = ["Interval", "category_probabilities", "predict_interval"]

ROUNDING = 8 * np.finfo(np.float32).eps  # of what is computed in single precision


class Interval(NamedTuple):
    """The two ends of the intervals of numbers, each a container as given to `fit`.

    Attributes
    ----------
    low, high : DataFrame, array or SliceDict
        The columns of numbers alone, in the order of `fit`, as floats.
    """

    low: Any
    high: Any


def predict_interval(estimator, X, level):
    """Return an `Interval`; see `BaseMultimodalAutoencoder.predict_interval`."""
    check_is_fitted(estimator)
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(
            f"level={level!r}: give the share of the truth that the intervals should hold, above 0"
            " and below 1, such as 0.9."
        )
    tables = _tables(estimator, {"number"}, "predict_interval: no column of numbers")
    encoded = encode_rows(estimator, X)
    container, low, high, unbounded = estimator._container, {}, {}, []
    for m, modality, places, groups in tables:
        centre, half = _numbers(estimator, encoded, m, groups, level)
        kinds = [kind for kind in modality.kinds_ if kind in ("number", "date")]
        numbers = [i for i, kind in enumerate(kinds) if kind == "number"]
        centre, half = centre[:, numbers], half[:, numbers]
        known = modality.n_observed_[numbers] > 0
        half[:, ~known] = np.inf
        if container.width(places[0]) is not None:
            own = [(places[0], slice(None))]
        else:
            own = [places[i] for i, kind in enumerate(modality.kinds_) if kind == "number"]
            own = [(place, i) for i, place in enumerate(own)]
        for place, at in own:
            low[place], high[place] = centre[:, at] - half[:, at], centre[:, at] + half[:, at]
            if np.isinf(half[:, at])[..., known[at]].any():
                unbounded.append(repr(container.names[place]))
    if unbounded:
        warnings.warn(
            f"column {listing(unbounded)}: too few rows were held out in fit to say how wide an"
            f" interval of level={level!r} is, so it is infinite. Ask for a lower level, or fit on"
            " more rows or with a larger validation_fraction.",
            DataWarning,
            stacklevel=3,
        )
    return Interval(*(container.write_numbers(ends, encoded.frame.index) for ends in (low, high)))


def category_probabilities(estimator, X):
    """Return a dict; see `BaseMultimodalAutoencoder.category_probabilities`."""
    check_is_fitted(estimator)
    kinds = {"bool", "category"}
    tables = _tables(estimator, kinds, "category_probabilities: no categorical column")
    encoded = encode_rows(estimator, X)
    found = {}
    for m, modality, places, groups in tables:
        logits = decode(estimator.net_.module_, encoded.codes, m)[:, len(modality.mean_) :]
        sizes = np.cumsum([0, *map(len, modality.categories_)])
        seen = encoded.rows.values[m]["codes"].numpy() >= 0
        of_rows = _groups_of_rows(estimator, encoded, m, groups)
        heat = _per_cell(groups.temperatures, seen, *of_rows)
        seen = np.repeat(seen, np.diff(sizes), axis=1)
        offsets = _per_cell(groups.offsets, seen, *of_rows)
        coded = [p for p, kind in zip(places, modality.kinds_, strict=True) if kind in kinds]
        for i, place in enumerate(coded):
            own = slice(sizes[i], sizes[i + 1])
            scaled = logits[:, own].astype(np.float64) / heat[:, i : i + 1] + offsets[:, own]
            shares = softmax(scaled, 1) if scaled.shape[1] else scaled
            found[place] = estimator._container.frame_of(
                shares, modality.categories_[i], encoded.frame.index
            )
    names = estimator._container.names
    return {names[place]: found[place] for place in sorted(found)}


def _tables(estimator, kinds, problem):
    """Return position, modality, places and groups of the tables that have such columns."""
    tables = [
        (m, modality, places)
        for m, (_, modality, places) in enumerate(fitted_modalities(estimator))
        if isinstance(modality, TabularModality)
        and estimator.net_.module_.networks[m].is_table
        and kinds & set(modality.kinds_)
    ]
    if not tables:
        names = [name for name, _, _ in estimator.modalities_]
        raise ValueError(
            f"{problem} is in a TabularModality; the modalities are {listing(map(repr, names))}."
        )
    if estimator._calibration is None:
        raise ValueError(
            f"{problem.partition(':')[0]} needs rows that training has never seen, and there are"
            " none: they are held out by fit with early_stopping=True, and neither by partial_fit"
            " nor by a warm start. Call fit on all rows with early_stopping=True and"
            " warm_start=False."
        )
    names = [name for name, _, _ in estimator.modalities_]
    return [(*table, estimator._calibration[names[table[0]]]) for table in tables]


def _numbers(estimator, encoded, m, groups, level):
    """Return the middles and half the widths of a table's numbers and dates, in their units."""
    modality, part = estimator.modalities_[m][1], estimator.net_.module_.networks[m]
    outputs = decode(estimator.net_.module_, encoded.codes, m)[:, : part.n_numbers]
    centre = outputs * modality.scale_ + modality.mean_
    seen = observed_cells(encoded.rows.values[m], part).numpy()[:, : part.n_numbers]
    widths = _at_level(groups.half_widths, level)
    half = _per_cell(widths, seen, *_groups_of_rows(estimator, encoded, m, groups))
    return centre, half * modality.scale_ + ROUNDING * (np.abs(centre) + modality.scale_)


def _per_cell(values, seen, of_seen, of_others):
    """Return for each cell what its group has for its column."""
    return np.where(seen, values[of_seen], values[of_others])


def _groups_of_rows(estimator, encoded, m, groups):
    """Return the groups of the cells of a table that are seen in each row, and of the others."""
    present = torch.from_numpy(encoded.present)
    observed = {
        o: observed_cells(encoded.rows.values[o], part)
        for o, part in enumerate(estimator.net_.module_.networks)
        if part.is_table
    }
    bins = bins_of(observed, present, m).numpy()
    keys, inverse = np.unique(np.column_stack([encoded.present, bins]), axis=0, return_inverse=True)
    chosen = [
        [groups.chain(key[:-1].astype(bool), key[-1], seen)[0] for key in keys]
        for seen in (True, False)
    ]
    return np.array(chosen)[:, inverse.ravel()]


def _at_level(half_widths, level):
    """Return half the widths at a level, (groups, numbers), straight between those stored."""
    upper = np.searchsorted(LEVELS, level - 1e-9)
    if upper == len(LEVELS):
        return np.full(half_widths.shape[:2], np.inf)
    above = half_widths[..., upper].astype(np.float64)
    if upper == 0 or LEVELS[upper] - level < 1e-9:
        return above
    below = half_widths[..., upper - 1].astype(np.float64)
    weight = (level - LEVELS[upper - 1]) / (LEVELS[upper] - LEVELS[upper - 1])
    between = np.isfinite(above)  # infinity minus infinity is NaN
    return np.where(between, below + weight * (np.where(between, above, 0) - below), np.inf)
