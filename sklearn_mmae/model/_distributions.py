"""Intervals of numbers, probabilities of categories and of words, given what rows show."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch

from .._core.errors import PrivacyError, listing, warn
from .._core.threads import one_thread
from ..training._groups import LEVELS, Groups
from ..training._holes import binned, observed_cells, share_of_holes
from ..training._predict import decode, read_outputs
from ..training._scaling import Scaling, centred
from ..training._spread import Shape, far_off
from ._cells import Missing
from ._model import Model
from ._parts import Part
from ._read import Read

__all__ = [
    "Interval",
    "category_probabilities",
    "category_sets",
    "check_level",
    "predict_interval",
    "word_shares",
]

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


class _Table(NamedTuple):
    """A table among the modalities: its position, its part, and its calibration."""

    m: int
    part: Part
    groups: Groups

    def places(self, kinds: set[str]) -> list[int]:
        """Return the positions in `fit` of the columns of some kinds."""
        of_kinds = zip(self.part.places, self.part.modality.kinds_, strict=True)
        return [place for place, kind in of_kinds if kind in kinds]


class _Source(NamedTuple):
    """The groups that some cells of a table belong to.

    Attributes
    ----------
    groups : Groups
    of_rows : ndarray of shape (rows,), int
        Which of them the cells of each row belong to.
    cells : ndarray of shape (rows, cells), bool
        Which cells do.
    holes : ndarray of shape (rows,)
        The share of missing values by which that is so.
    """

    groups: Groups
    of_rows: np.ndarray
    cells: np.ndarray
    holes: np.ndarray


def check_level(level: float) -> None:
    """Refuse what is no share of the truth."""
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(
            f"level={level!r}: give the share of the truth that the intervals should hold, above 0"
            " and below 1, such as 0.9."
        )


def predict_interval(model: Model, X: Any, level: float, estimator: Any) -> Interval:
    """Return an `Interval`; see `BaseMultimodalAutoencoder.predict_interval`."""
    check_level(level)
    _tables(model, {"number"}, "predict_interval: no column of numbers")
    read = model.read(X, estimator)
    low, high, unbounded = {}, {}, []
    for table, ends, is_known in _ends_of_numbers(model, read, level):
        modality = table.part.modality
        kinds = [kind for kind in modality.kinds_ if kind in ("number", "date")]
        numbers = [i for i, kind in enumerate(kinds) if kind == "number"]
        if not numbers:
            continue
        learned = modality.n_observed_[numbers] > 0
        ends = [end[:, numbers] for end in ends]
        for end, infinity in zip(ends, (-np.inf, np.inf), strict=True):
            end[:, ~learned] = infinity
        for place, at in _columns_of_numbers(model, table):
            low[place], high[place] = (end[:, at] for end in ends)
            if not is_known[:, numbers][:, at][..., learned[at]].all():
                unbounded.append(repr(model.columns.names[place]))
    if unbounded:
        warn(
            f"column {listing(unbounded)}: too few rows were held out in fit to say how wide an"
            f" interval of level={level!r} is, so it is infinite. Ask for a lower level, or fit on"
            " more rows or with a larger validation_fraction."
        )
    return Interval(*(model.columns.write_numbers(ends, read.index) for ends in (low, high)))


def _columns_of_numbers(model, table):
    """Return where each column of numbers stands in `fit`, and which numbers it holds."""
    first = table.part.places[0]
    if model.columns.width(first):
        return [(first, slice(None))]
    return [(place, i) for i, place in enumerate(table.places({"number"}))]


def category_probabilities(model: Model, X: Any, estimator: Any) -> dict:
    """Return a dict; see `BaseMultimodalAutoencoder.category_probabilities`."""
    return _of_categories(
        model, X, estimator, "category_probabilities", lambda probabilities, _: probabilities
    )


def category_sets(model: Model, X: Any, level: float, estimator: Any) -> dict:
    """Return a dict; see `BaseMultimodalAutoencoder.category_sets`."""
    check_level(level)

    def chosen(probabilities, sources):
        n = sources[0].cells.shape[1] - len(probabilities)
        doubts = _per_cell(
            [(_at_level(s.groups.doubts, level)[s.of_rows], s.cells[:, n:]) for s in sources]
        )
        return [
            (shares >= 1 - doubt[:, None] - ROUNDING)
            | (shares == shares.max(1, keepdims=True, initial=0))
            for shares, doubt in zip(probabilities, doubts.T, strict=True)
        ]

    return _of_categories(model, X, estimator, "category_sets", chosen)


def _of_categories(model: Model, X: Any, estimator: Any, method: str, answer: Callable) -> dict:
    """Return a frame for each categorical column, of what an answer makes of probabilities."""
    kinds = {"bool", "category"}
    tables = _tables(model, kinds, f"{method}: no categorical column")
    read = model.read(X, estimator)
    codes, missing = model.encode(read), _missing(model, read)
    found = {}
    for table in tables:
        labels, n = table.part.modality.labels(), len(table.part.modality.mean_)
        logits = decode(model.network, codes, table.m, beside=model.beside(read, table.m))
        logits = _with(missing.get(table.m), logits)[:, n:]
        sources = _sources(model, read, table, missing.get(table.m))
        probabilities = _calibrated(logits, [*map(len, labels)], sources)
        answers = answer(probabilities, sources)
        for place, one, own in zip(table.places(kinds), answers, labels, strict=True):
            found[place] = model.columns.frame_of(one, own, read.index)
    return {model.columns.names[place]: found[place] for place in sorted(found)}


def _calibrated(logits, sizes, sources):
    """Return the probabilities of each column's categories, as its cells' groups scale them."""
    cells = [np.repeat(s.cells[:, s.cells.shape[1] - len(sizes) :], sizes, 1) for s in sources]
    slopes, offsets = (
        _per_cell(
            [
                (getattr(s.groups, name)[s.of_rows], own)
                for s, own in zip(sources, cells, strict=True)
            ]
        )
        for name in ("slopes", "offsets")
    )
    scaled = (torch.from_numpy(a).split(sizes, 1) for a in (logits, slopes, offsets))
    columns = zip(*scaled, strict=True)
    return [
        Scaling(*own).shares(centred(of_column.double())).numpy() for of_column, *own in columns
    ]


@one_thread()
def word_shares(model: Model, X: Any, estimator: Any) -> dict:
    """Return a dict; see `BaseMultimodalAutoencoder.word_shares`."""
    read = model.read(X, estimator)
    codes = model.encode(read)
    texts = [(m, part) for m, part in enumerate(model.parts) if part.modality.words is not None]
    if not texts:
        raise ValueError(
            "word_shares: no modality is a TextModality(decoder='words'); the modalities are"
            f" {listing(map(repr, model.names))}."
        )
    return {
        part.columns[0]: model.columns.frame_of(
            read_outputs(
                model.network,
                codes,
                m,
                model.network.networks[m].probabilities,
                model.beside(read, m),
            ),
            part.modality.words,
            read.index,
        )
        for m, part in texts
    }


def _tables(model: Model, kinds: set[str], problem: str) -> list[_Table]:
    """Return the tables that have columns of some kinds."""
    tables = [
        (m, part)
        for m, part in enumerate(model.parts)
        if model.network.networks[m].is_table and kinds & set(part.modality.kinds_)
    ]
    if not tables:
        raise ValueError(
            f"{problem} is in a TabularModality; the modalities are"
            f" {listing(map(repr, model.names))}."
        )
    method = problem.partition(":")[0]
    if model.privacy is not None:
        raise PrivacyError(
            f"{method} needs residuals of rows that were held out, which a fit with privacy does"
            " not take."
        )
    calibration = model.calibration()
    if calibration is None:
        raise ValueError(
            f"{method} needs rows that training has never seen, and there are"
            " none: they are held out by fit with early_stopping=True, and neither by partial_fit"
            " nor by a warm start. Call fit on all rows with early_stopping=True and"
            " warm_start=False."
        )
    return [_Table(m, part, calibration[part.name]) for m, part in tables]


def _ends_of_numbers(model, read, level):
    """Yield tables with numbers or dates, both ends in their units, and where they are known."""
    codes, missing = model.encode(read), _missing(model, read)
    tables = _tables(model, {"number", "date"}, "predict_interval: no column of numbers")
    said, within, errors, cells = [], [], [], []
    for table in tables:
        network, values = model.network.networks[table.m], read.rows.values[table.m]
        own = decode(model.network, codes, table.m, beside=model.beside(read, table.m))
        said.append(_with(missing.get(table.m), own)[:, : network.n_numbers])
        within.append(np.clip(said[-1], table.groups.low, table.groups.high))
        errors.append(np.abs(within[-1] - network.numbers(values).numpy()))
        cells.append(observed_cells(values, network).numpy()[:, : network.n_numbers])
    far = far_off(errors, cells, [table.groups.typical for table in tables])
    for table, predicted, inside, own in zip(tables, said, within, far, strict=True):
        n, of_table = predicted.shape[1], missing.get(table.m)
        halves = []
        for source in _sources(model, read, table, of_table):
            off = own if source.groups is table.groups else of_table.spread
            half = _at_level(source.groups.half_widths, level)[source.of_rows]
            spread = _spread(source, (inside, off, source.holes[:, None]))
            halves.append((half * spread, source.cells[:, :n]))
        half = _per_cell(halves)
        yield table, _ends(table, predicted, inside, half), np.isfinite(half)


def _ends(table, predicted, within, half):
    """Return both ends, in a table's units: within its bounds, but for what is predicted."""
    mean, scale = table.part.modality.mean_, table.part.modality.scale_
    said, centre = (values * scale + mean for values in (predicted, within))
    room = ROUNDING * (np.abs(centre) + np.abs(mean) + scale)
    first, last = (
        end.astype(np.float64) * scale + mean for end in (table.groups.low, table.groups.high)
    )
    half, known = half * scale + room, np.isfinite(half)
    low = np.minimum(np.maximum(centre - half, first - room), said)
    high = np.maximum(np.minimum(centre + half, last + room), said)
    return np.where(known, low, -np.inf), np.where(known, high, np.inf)


def _spread(source, causes):
    """Return the spread of each number, (rows, numbers)."""
    found, groups = np.empty(causes[0].shape), source.groups
    for g in np.unique(source.of_rows):
        shape = Shape(groups.knots[g], groups.sizes[g], groups.powers[g])
        rows = np.flatnonzero(source.of_rows == g)
        found[rows] = shape.at(*(cause[rows] for cause in causes))
    return found


def _per_cell(pairs):
    """Return for each cell the value of the last pair, of values and cells, that has it."""
    found = np.empty(pairs[0][0].shape, pairs[0][0].dtype)
    for values, cells in pairs:
        found[cells] = values[cells]
    return found


def _missing(model: Model, read: Read) -> dict[int, Missing]:
    """Return what is known beside the network of tables that have missing cells."""
    networks = enumerate(model.network.networks)
    tables = [(m, network) for m, network in networks if network.is_table]
    holes = [
        read.present[:, m] & ~observed_cells(read.rows.values[m], network).numpy().all(1)
        for m, network in tables
    ]
    if model.cells is None or not np.any(holes):  # it takes a while to learn
        return {}
    return model.cells.missing(model, read)


def _with(missing, outputs):
    """Return outputs of a table, those of missing cells as `impute` has them."""
    if missing is None:
        return outputs
    return np.where(np.isnan(missing.outputs), outputs, missing.outputs).astype(outputs.dtype)


def _sources(model, read, table, missing) -> list[_Source]:
    """Return the groups of the cells of a table that are seen, of the others, of those imputed."""
    network = model.network.networks[table.m]
    seen = observed_cells(read.rows.values[table.m], network).numpy()

    def source(groups, is_seen, cells, m):
        holes = _holes(model, read, m)
        keys = np.column_stack([read.present, binned(holes).numpy()])
        keys, inverse = np.unique(keys, axis=0, return_inverse=True)
        chosen = [groups.chain(key[:-1].astype(bool), key[-1], is_seen)[0] for key in keys]
        return _Source(groups, np.array(chosen, int)[inverse.ravel()], cells, holes.numpy())

    found = [source(table.groups, is_seen, seen == is_seen, table.m) for is_seen in (True, False)]
    if missing is not None:
        first = np.cumsum([0, *[1] * network.n_numbers, *network.sizes])[:-1]
        imputed = ~np.isnan(missing.outputs[:, first])
        found.append(source(missing.groups, False, imputed, None))
    return found


def _holes(model, read, m):
    """Return the share of missing values in each row, as table m sees it; None: in all of them."""
    observed = {
        o: observed_cells(read.rows.values[o], network)
        for o, network in enumerate(model.network.networks)
        if network.is_table
    }
    return share_of_holes(observed, torch.from_numpy(read.present), m)


def _at_level(half_widths, level):
    """Return half the widths, or doubts, at a level, (groups, columns), between those stored."""
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
