"""Single cells of tables: how a `CellModel` sees rows, and what it predicts of missing cells.

Its columns are the numbers and categories of all tables, side by side, and the leading components
of every other modality: so a cell is also predicted by the text beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from .._core.errors import listing, warn
from .._core.later import Later
from .._core.plain import check, fields
from .._core.threads import one_thread
from ..nn._modality import ModalityNetwork
from ..statistics import Statistics
from ..statistics._cell_model import MOST_COLUMNS, MOST_ROWS, CellModel
from ..statistics._gaussian import DECIMALS
from ..statistics._samples import SampledRows
from ..training._batches import Batch, Rows
from ..training._holes import observed_cells
from ._model import Model
from ._read import Read

__all__ = ["Cells", "impute", "learn_cells"]

COMPONENTS = 24  # of a modality that is no table
MOST_COMPONENTS = 48  # of all of them
LEAST_SPREAD = 1e-4  # of a component, beside the first
MOST_CATEGORIES = 20  # of a column, the last for all rarer ones; fewer where columns are many
FEWEST_CATEGORIES = 3
AT_ONCE = 512  # rows
LEAST_SHARE = 1e-6  # of a category, as its logit tells it


class _Column(NamedTuple):
    """A categorical column: its frequent categories, and the others as one.

    Attributes
    ----------
    kept : ndarray of shape (categories,), int
        The place of each category among the indicators.
    shares : ndarray of shape (categories,)
        Relative frequencies.
    scale : float
        What makes the total variance of the indicators 1.
    """

    kept: np.ndarray
    shares: np.ndarray
    scale: float

    @classmethod
    def of(cls, shares: np.ndarray, most: int) -> _Column:
        """Keep the most frequent categories, `most` with the one for the others."""
        order = np.argsort(-shares, kind="stable")
        kept = np.empty(len(shares), int)
        kept[order] = np.minimum(np.arange(len(shares)), most - 1)
        column = cls(kept, shares, 1.0)
        return column._replace(scale=max(1 - (column.merged**2).sum(), 1e-12) ** -0.5)

    @property
    def merged(self) -> np.ndarray:
        """Relative frequencies of what the indicators stand for."""
        return np.bincount(self.kept, self.shares)

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        """Return centred indicators, NaN where missing."""
        merged = self.merged
        places = self.kept[codes]
        centred = ((places[:, None] == np.arange(len(merged))) - merged) * self.scale
        return np.where(codes[:, None] < 0, np.nan, centred)

    def logits(self, indicators: np.ndarray) -> np.ndarray:
        """Return the logits of all categories, given what is expected of indicators."""
        merged = self.merged
        likely = np.maximum(indicators / self.scale + merged, LEAST_SHARE)
        within = self.shares / np.maximum(merged[self.kept], 1e-12)
        return np.log(np.maximum(likely[:, self.kept] * within, LEAST_SHARE**2))


class Cells(NamedTuple):
    """What is known of the cells of all tables.

    Attributes
    ----------
    bases : dict of str to ndarray of shape (columns of the reduced view, components)
        Of each modality that is no table; components have variance 1.
    learned : Later of CellModel
    """

    bases: dict[str, np.ndarray]
    learned: Later[CellModel]

    def to_plain(self) -> dict:
        """Return plain values and arrays."""
        return {"model": self.learned().to_plain(), "bases": self.bases}

    @classmethod
    def from_plain(cls, node: Any, model: Model) -> Cells:
        """Return what `to_plain` gave, checked against the parts of a model."""
        cells, bases = fields(node, "model", "bases")
        names = [model.names[m] for m in _others(model)]
        check(isinstance(bases, dict) and list(bases) == names, "bases")
        for m, basis in zip(_others(model), bases.values(), strict=True):
            own = model.network.direct.slices[m]
            floats = isinstance(basis, np.ndarray) and basis.dtype == np.float64
            check(floats and basis.ndim == 2 and len(basis) == own.stop - own.start, "a basis")
            check(bool(np.isfinite(basis).all()), "a basis")
        sizes = _sizes(model)
        n_columns = sum(sizes) + sum(basis.shape[1] for basis in bases.values())
        check(n_columns <= MOST_COLUMNS, "the columns of its model of cells")
        return cls(bases, Later.known(CellModel.from_plain(cells, sizes, n_columns)))


@one_thread(helpers=False)
@torch.no_grad()
def learn_cells(model: Model, rows: Rows, statistics: Statistics) -> Cells | None:
    """Learn what the cells of tables tell of one another.

    Parameters
    ----------
    model : Model
    rows : Rows
        All of a fit.
    statistics : Statistics

    Returns
    -------
    Cells or None
        None where there is no table, or one with too many columns.
    """
    sizes, others = _sizes(model), _others(model)
    k = min(COMPONENTS, MOST_COMPONENTS // max(len(others), 1))
    if not sizes or sum(sizes) + k * len(others) > MOST_COLUMNS:
        return None
    bases = {model.names[m]: _basis(model, m, k) for m in others}

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _, batch in _batches(rows):
            present = model.network.patterns[batch.pattern]
            columns = _columns(model, bases, batch.values, present)
            yield np.nan_to_num(columns), ~np.isnan(columns)

    answer = statistics.second_moments("cells", blocks, products=False, most_rows=MOST_ROWS)
    if answer.sample is None:
        return None
    return Cells(bases, Later(partial(_learn, answer.sample, sizes)))


@one_thread(helpers=False)
def _learn(sample: SampledRows, sizes: list[int]) -> CellModel:
    return CellModel.learn(sample, sizes)


@one_thread()
def impute(model: Model, read: Read) -> dict[int, np.ndarray]:
    """Return predicted columns by their positions in `fit`, for the missing values of rows."""
    better = {}
    if model.cells is not None:
        with torch.no_grad():
            present, bases = torch.from_numpy(read.present), model.cells.bases
            columns = [
                _columns(model, bases, batch.values, present[index])
                for index, batch in _batches(read.rows)
            ]
        expected = model.cells.learned().expected(np.concatenate(columns))
        better = _outputs(model, expected)
        for m, outputs in better.items():
            outputs[~read.present[:, m]] = np.nan  # whole tables are translated
    found = model.decode(model.encode(read), rows=read.rows, read=read, better=better)
    _warn_of_empty(model, found)
    return found


def _warn_of_empty(model: Model, found: dict[int, np.ndarray]) -> None:
    """Warn of columns of tables that come back empty."""
    places = [place for m, *_ in _tables(model) for place in model.parts[m].places]
    empty = [model.columns.names[place] for place in places if pd.isna(found[place]).all()]
    if empty:
        warn(
            f"column {listing(map(repr, empty))}: no cell was observed in fit, so nothing can be"
            " filled in. Drop the column, or leave it out of the modalities."
        )


def _others(model: Model) -> list[int]:
    """Return the modalities that are no tables."""
    return [m for m, network in enumerate(model.network.networks) if not network.is_table]


def _basis(model: Model, m: int, k: int) -> np.ndarray:
    """Return the leading axes of a reduced view, so that components vary by 1."""
    direct = model.network.direct
    own = direct.slices[m]
    values, axes = torch.linalg.eigh(direct.covariance[own, own].double().cpu())
    spread = values.flip(0)[:k].clamp_min(0).sqrt()
    kept = spread > LEAST_SPREAD * spread[0].clamp_min(1e-12)
    return (axes.flip(1)[:, :k][:, kept] / spread[kept]).numpy()


def _batches(rows: Rows) -> Iterator[tuple[torch.Tensor, Batch]]:
    """Yield rows, a few at a time, with their places."""
    for start in range(0, len(rows), AT_ONCE):
        index = torch.arange(start, min(start + AT_ONCE, len(rows)))
        yield index, rows.take(index.to(rows.pattern.device))


def _columns(
    model: Model, bases: dict[str, np.ndarray], values: list, present: torch.Tensor
) -> np.ndarray:
    """Return the rows of a `CellModel`, NaN where missing, float64."""
    found = []
    for m, network, columns in _tables(model):
        tensors, n = values[m], network.n_numbers
        if n:
            seen = observed_cells(tensors, network)[:, :n]
            numbers = torch.where(seen, network.numbers(tensors), torch.nan)
            found.append(numbers.double().cpu().numpy())
        codes = tensors["codes"].cpu().numpy().T if network.sizes else ()
        found += [column.indicators(own) for column, own in zip(columns, codes, strict=True)]
    for m in _others(model):
        network, reduced = model.network.networks[m], model.network.direct.basis(m)
        axes = torch.as_tensor(bases[model.names[m]], device=present.device)
        if reduced is not None:
            axes = reduced.double().to(axes.device) @ axes
        components = network.view(values[m]).double() @ axes
        there = torch.where(present[:, m, None], components, torch.nan)
        # The last bits of a product depend on the rows beside.
        found.append(there.cpu().numpy().round(DECIMALS))
    return np.concatenate(found, 1)


def _outputs(model: Model, expected: np.ndarray) -> dict[int, np.ndarray]:
    """Return the outputs of each table's network that a `CellModel` knows better, else NaN."""
    found, at = {}, 0
    for m, network, columns in _tables(model):
        parts = [expected[:, at : at + network.n_numbers]]
        at += network.n_numbers
        for column in columns:
            size = len(column.merged)
            own = expected[:, at : at + size]
            parts.append(np.where(np.isnan(own[:, :1]), np.nan, column.logits(own)))
            at += size
        found[m] = np.concatenate(parts, 1)
    return found


def _tables(model: Model) -> Iterator[tuple[int, ModalityNetwork, list[_Column]]]:
    """Yield the position, the network and the categorical columns of each table."""
    networks = enumerate(model.network.networks)
    tables = [(m, network) for m, network in networks if network.is_table]
    n_numbers = sum(network.n_numbers for _, network in tables)
    n_categorical = sum(len(network.sizes) for _, network in tables)
    room = (MOST_COLUMNS - MOST_COMPONENTS - n_numbers) // max(n_categorical, 1)
    most = int(np.clip(room, FEWEST_CATEGORIES, MOST_CATEGORIES))
    for m, network in tables:
        even = [np.full(size, 1 / size) for size in network.sizes]  # a user's own may not tell
        shares = getattr(model.parts[m].modality, "shares_", even)
        yield m, network, [_Column.of(own, most) for own in shares]


def _sizes(model: Model) -> list[int]:
    """Return how many columns each number and each category has."""
    sizes = []
    for _, network, columns in _tables(model):
        sizes += [1] * network.n_numbers + [len(column.merged) for column in columns]
    return sizes
