"""Single cells of tables: how rows of a fit look to a `CellModel`, and what it makes of holes.

Its columns are the numbers and categories of all tables, side by side, and the leading components
of every other modality: so a cell is also told by the text beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from .._core.plain import check, fields
from .._core.threads import one_thread
from ..nn._modality import ModalityNetwork
from ..statistics import Statistics
from ..statistics._cell_model import MOST_COLUMNS, CellModel
from ..statistics._gaussian import DECIMALS
from ..training._batches import Rows
from ..training._calibration import observed_cells
from ._model import Model, Read

__all__ = ["Cells", "impute", "learn_cells"]

COMPONENTS = 24  # of a modality that is no table
MOST_COMPONENTS = 48  # of all of them
MORE = 16  # axes of the subspace iteration beside these
SWEEPS = 3
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
        """Return centred indicators, NaN in the holes."""
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
    model : CellModel
    bases : dict of str to ndarray of shape (columns of the view, components)
        Of each modality that is no table; components have variance 1.
    """

    model: CellModel
    bases: dict[str, np.ndarray]

    def to_plain(self) -> dict:
        """Return plain values and arrays."""
        return {"model": self.model.to_plain(), "bases": self.bases}

    @classmethod
    def from_plain(cls, node: Any, model: Model) -> Cells:
        """Return what `to_plain` gave, checked against the parts of a model."""
        cells, bases = fields(node, "model", "bases")
        others = [m for m, network in enumerate(model.network.networks) if not network.is_table]
        check(isinstance(bases, dict) and list(bases) == [model.names[m] for m in others], "bases")
        for m, basis in zip(others, bases.values(), strict=True):
            n_view = model.network.networks[m].n_view
            floats = isinstance(basis, np.ndarray) and basis.dtype == np.float32
            check(floats and basis.ndim == 2 and len(basis) == n_view, "the basis of a view")
            check(bool(np.isfinite(basis).all()), "the basis of a view")
        sizes = _sizes(model)
        n_columns = sum(sizes) + sum(basis.shape[1] for basis in bases.values())
        check(n_columns <= MOST_COLUMNS, "the columns of its model of cells")
        return cls(CellModel.from_plain(cells, sizes, n_columns), bases)


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
    sizes, networks = _sizes(model), model.network.networks
    others = [m for m, network in enumerate(networks) if not network.is_table]
    k = min(COMPONENTS, MOST_COMPONENTS // max(len(others), 1))
    if not sizes or sum(sizes) + k * len(others) > MOST_COLUMNS:
        return None
    bases = {model.names[m]: _basis(networks[m], rows, m, k, statistics) for m in others}

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(rows), AT_ONCE):
            index = torch.arange(start, min(start + AT_ONCE, len(rows)))
            batch = rows.take(index.to(rows.pattern.device))
            present = model.network.patterns[batch.pattern]
            columns = _columns(model, bases, batch.values, present)
            yield np.nan_to_num(columns), ~np.isnan(columns)

    n_columns = sum(sizes) + sum(basis.shape[1] for basis in bases.values())
    return Cells(CellModel.learn(blocks, sizes, n_columns, statistics), bases)


@one_thread()
def impute(model: Model, read: Read) -> dict[int, np.ndarray]:
    """Return predicted columns by their positions in `fit`, for the holes of rows."""
    better = {}
    if model.cells is not None:
        with torch.no_grad():
            present = torch.from_numpy(read.present)
            columns = _columns(model, model.cells.bases, read.rows.values, present)
        expected = model.cells.model.expected(columns)
        better = _outputs(model, expected)
    return model.decode(model.encode(read), rows=read.rows, better=better)


def _basis(
    network: ModalityNetwork, rows: Rows, m: int, k: int, statistics: Statistics
) -> np.ndarray:
    """Return the leading axes of a view, by subspace iteration, so that components vary by 1."""
    own = statistics.of(f"view {m}")
    device = rows.pattern.device
    generator = torch.Generator().manual_seed(0)
    size = min(network.n_view, k + MORE)
    axes = torch.randn(network.n_view, size, generator=generator).double().to(device)

    def blocks() -> Iterator[tuple]:
        for start in range(0, len(rows), AT_ONCE):
            index = torch.arange(start, min(start + AT_ONCE, len(rows)), device=device)
            view = network.view(rows.take(index).values[m]).double()
            yield view, torch.ones(len(index), 1, dtype=torch.bool, device=device)

    for sweep in range(SWEEPS):
        axes = torch.linalg.qr(axes).Q
        answer = own.second_moments(f"sweep {sweep}", blocks, along=axes)
        before, axes = axes, answer.product
    values, turn = torch.linalg.eigh(before.T @ axes)
    spread = (values.flip(0)[:k].clamp_min(0) / max(answer.n_rows, 1)).sqrt()
    kept = spread > 1e-6
    basis = (before @ turn.flip(1)[:, :k])[:, kept] / spread[kept]
    return basis.float().cpu().numpy()


def _columns(
    model: Model, bases: dict[str, np.ndarray], values: list, present: torch.Tensor
) -> np.ndarray:
    """Return the rows of a `CellModel`, NaN in the holes, float64."""
    found = []
    for m, network, columns in _tables(model):
        tensors, n = values[m], network.n_numbers
        if n:
            seen = observed_cells(tensors, network)[:, :n]
            numbers = torch.where(seen, network.numbers(tensors), torch.nan)
            found.append(numbers.double().cpu().numpy())
        codes = tensors["codes"].cpu().numpy().T if network.sizes else ()
        found += [column.indicators(own) for column, own in zip(columns, codes, strict=True)]
    for m, (name, network) in enumerate(zip(model.names, model.network.networks, strict=True)):
        if not network.is_table:
            view = network.view(values[m]).double()
            components = view @ torch.as_tensor(bases[name], device=view.device).double()
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
        yield m, network, [_Column.of(shares, most) for shares in model.parts[m].modality.shares_]


def _sizes(model: Model) -> list[int]:
    """Return how many columns each number and each category has."""
    sizes = []
    for _, network, columns in _tables(model):
        sizes += [1] * network.n_numbers + [len(column.merged) for column in columns]
    return sizes
