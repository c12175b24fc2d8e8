"""How a `CellModel` sees rows: the columns it has of tables and of other modalities.

Its columns are the numbers and categories of all tables, side by side, and the leading components
of every other modality: so a cell is also predicted by the text beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ..statistics._cell_model import MOST_COLUMNS
from ..statistics._gaussian import DECIMALS
from ..training._batches import Batch, Rows
from ..training._holes import observed_cells
from ..training._joint import JointNetwork
from ._parts import Part

__all__ = ["CellColumns", "OfTable", "others_of"]

COMPONENTS = 24  # of a modality that is no table
MOST_COMPONENTS = 48  # of all of them
LEAST_SPREAD = 1e-4  # of a component, beside the first
MOST_CATEGORIES = 40  # of a column, the last for all rarer ones; fewer where columns are many
FEWEST_CATEGORIES = 3
AT_ONCE = 512  # rows
LEAST_SHARE = 1e-3  # of a category, as its logit tells it


class Column(NamedTuple):
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
    def of(cls, shares: np.ndarray, most: int) -> Column:
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

    @property
    def within(self) -> np.ndarray:
        """The share of each category among those of its indicator."""
        return self.shares / np.maximum(self.merged[self.kept], 1e-12)

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        """Return centred indicators, NaN where missing."""
        merged = self.merged
        places = self.kept[codes]
        centred = ((places[:, None] == np.arange(len(merged))) - merged) * self.scale
        return np.where(codes[:, None] < 0, np.nan, centred)

    def codes(self, indicators: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Return codes with these indicators, -1 where missing; of several, by their shares."""
        codes = np.full(len(indicators), -1)
        there = ~np.isnan(indicators[:, 0])
        codes[there] = indicators[there].argmax(1)
        within = self.within.astype(np.float64)
        for place in np.unique(codes[there]):
            categories, rows = np.flatnonzero(self.kept == place), np.flatnonzero(codes == place)
            shares = within[categories] / within[categories].sum()
            codes[rows] = ~random.choice(categories, len(rows), p=shares)
        return np.where(there, ~codes, -1)

    def logits(self, indicators: np.ndarray) -> np.ndarray:
        """Return the logits of all categories, given what is expected of indicators."""
        likely = np.maximum(indicators / self.scale + self.merged, LEAST_SHARE)
        return np.log(np.maximum(likely[:, self.kept] * self.within, LEAST_SHARE**2))


class OfTable(NamedTuple):
    """The columns of a table: its numbers from `start` on, then the indicators of categories."""

    m: int
    start: int
    n_numbers: int
    categorical: list[Column]

    @property
    def sizes(self) -> list[int]:
        """How many columns each number and each category has."""
        return [1] * self.n_numbers + [len(column.merged) for column in self.categorical]

    @property
    def numbers(self) -> slice:
        """Where the numbers stand."""
        return slice(self.start, self.start + self.n_numbers)

    def indicators(self) -> Iterator[tuple[Column, slice]]:
        """Yield each categorical column, and where its indicators stand."""
        at = self.start + self.n_numbers
        for column in self.categorical:
            yield column, slice(at, at + len(column.merged))
            at += len(column.merged)

    def outputs(self, expected: np.ndarray) -> np.ndarray:
        """Return what is expected as the outputs of the table's network, NaN where it is NaN."""
        parts = [expected[:, self.numbers]]
        for column, own in self.indicators():
            given = expected[:, own]
            parts.append(np.where(np.isnan(given[:, :1]), np.nan, column.logits(given)))
        return np.concatenate(parts, 1)


class CellColumns(NamedTuple):
    """All columns of a `CellModel`: of tables, and then of other modalities.

    Attributes
    ----------
    tables : list of OfTable
    bases : dict of int to ndarray of shape (columns of the reduced view, components)
        Of each modality that is no table; components have variance 1.
    """

    tables: list[OfTable]
    bases: dict[int, np.ndarray]

    @classmethod
    def of_tables(cls, network: JointNetwork, parts: list[Part]) -> CellColumns:
        """Return the columns of tables alone."""
        tables = [(m, one) for m, one in enumerate(network.networks) if one.is_table]
        room = MOST_COLUMNS - sum(one.n_numbers for _, one in tables)
        if len(tables) < len(network.networks):
            room -= MOST_COMPONENTS
        sizes = [size for _, one in tables for size in one.sizes]
        # As many of each column as all have room for.
        fitting = [m for m in range(MOST_CATEGORIES + 1) if np.minimum(sizes, m).sum() <= room]
        most = max([FEWEST_CATEGORIES, *fitting])
        found, start = [], 0
        for m, one in tables:
            even = [np.full(size, 1 / size) for size in one.sizes]  # a user's own may not tell
            shares = getattr(parts[m].modality, "shares_", even)
            columns = [Column.of(own, most) for own in shares]
            found.append(OfTable(m, start, one.n_numbers, columns))
            start += sum(found[-1].sizes)
        return cls(found, {})

    @classmethod
    def of(cls, network: JointNetwork, parts: list[Part]) -> CellColumns | None:
        """Return the columns of a fitted model, or None where there is no table or too much."""
        columns, others = cls.of_tables(network, parts), others_of(network)
        k = min(COMPONENTS, MOST_COMPONENTS // max(len(others), 1))
        if not columns.sizes or sum(columns.sizes) + k * len(others) > MOST_COLUMNS:
            return None
        return columns._replace(bases={m: _basis(network, m, k) for m in others})

    @property
    def sizes(self) -> list[int]:
        """How many columns each target, a cell of a table, has."""
        return [size for table in self.tables for size in table.sizes]

    @property
    def n_columns(self) -> int:
        """How many columns there are."""
        return sum(self.sizes) + sum(basis.shape[1] for basis in self.bases.values())

    def others(self) -> Iterator[tuple[int, slice]]:
        """Yield each modality that is no table, and where its components stand."""
        at = sum(self.sizes)
        for m, basis in self.bases.items():
            yield m, slice(at, at + basis.shape[1])
            at += basis.shape[1]

    def read(self, network: JointNetwork, rows: Rows, present: torch.Tensor) -> np.ndarray:
        """Return rows as the model of cells sees them, NaN where missing, float64.

        Parameters
        ----------
        network : JointNetwork
        rows : Rows
        present : Tensor of shape (rows, modalities), bool
        """
        found = [
            self._read(network, batch.values, present[index]) for index, batch in _batches(rows)
        ]
        return np.concatenate([np.empty((0, self.n_columns)), *found])

    def read_all(self, network: JointNetwork, rows: Rows) -> Iterator[np.ndarray]:
        """Yield all rows of a fit so, a few at a time."""
        for _, batch in _batches(rows):
            yield self._read(network, batch.values, network.patterns[batch.pattern])

    def _read(self, network: JointNetwork, values: list, present: torch.Tensor) -> np.ndarray:
        found = []
        for table in self.tables:
            part, tensors, n = network.networks[table.m], values[table.m], table.n_numbers
            if n:
                seen = observed_cells(tensors, part)[:, :n]
                numbers = torch.where(seen, part.numbers(tensors), torch.nan)
                found.append(numbers.double().cpu().numpy())
            codes = tensors["codes"].cpu().numpy().T if part.sizes else ()
            own = zip(table.categorical, codes, strict=True)
            found += [column.indicators(of_column) for column, of_column in own]
        for m, basis in self.bases.items():
            axes = torch.as_tensor(basis, device=present.device)
            reduced = network.direct.basis(m)
            if reduced is not None:
                axes = reduced.double().to(axes.device) @ axes
            components = network.networks[m].view(values[m]).double() @ axes
            there = torch.where(present[:, m, None], components, torch.nan)
            # The last bits of a product depend on the rows beside.
            found.append(there.cpu().numpy().round(DECIMALS))
        return np.concatenate(found, 1)


def others_of(network: JointNetwork) -> list[int]:
    """Return the modalities that are no tables."""
    return [m for m, one in enumerate(network.networks) if not one.is_table]


def _basis(network: JointNetwork, m: int, k: int) -> np.ndarray:
    """Return the leading axes of a reduced view, so that components vary by 1."""
    direct = network.direct
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
