"""Single cells of tables: what is predicted of those that are missing, and how sure that is."""

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
from ..statistics import Statistics
from ..statistics._cell_model import MOST_COLUMNS, MOST_ROWS, CellModel, CrossFitted
from ..statistics._samples import SampledRows
from ..training._batches import Rows
from ..training._groups import Groups
from ._cell_calibration import calibrate_cells
from ._cell_columns import CellColumns, others_of
from ._model import Model
from ._read import Read

__all__ = ["Cells", "Missing", "impute", "learn_cells"]


class Missing(NamedTuple):
    """What is known of the missing cells of a table.

    Attributes
    ----------
    outputs : ndarray of shape (rows, outputs)
        As those of the table's network, NaN where cells are observed, or the table is absent.
    spread : ndarray of shape (rows, numbers)
        How far off numbers may be; see `Gaussian.spread`.
    groups : Groups
        How far off they are.
    """

    outputs: np.ndarray
    spread: np.ndarray
    groups: Groups


class Cells(NamedTuple):
    """What is known of the cells of all tables.

    Attributes
    ----------
    columns : CellColumns
    learned : Later of CellModel
    groups : Later of dict of int to Groups
        How far off missing cells are, by the positions of the tables among the modalities.
    """

    columns: CellColumns
    learned: Later[CellModel]
    groups: Later[dict[int, Groups]]

    @one_thread()
    @torch.no_grad()
    def expected(self, model: Model, read: Read) -> dict[int, np.ndarray]:
        """Return the outputs of each table, NaN where cells are observed, or it is absent."""
        return self._outputs(read, self.learned().expected(self._rows(model, read)))

    @one_thread()
    @torch.no_grad()
    def missing(self, model: Model, read: Read) -> dict[int, Missing]:
        """Return what is known of the missing cells of each table."""
        rows, cells = self._rows(model, read), self.learned()
        outputs, spread = self._outputs(read, cells.expected(rows)), cells.spread(rows)
        groups = self.groups()
        return {
            table.m: Missing(outputs[table.m], spread[:, table.numbers], groups[table.m])
            for table in self.columns.tables
        }

    def _rows(self, model, read):
        return self.columns.read(model.network, read.rows, torch.from_numpy(read.present))

    def _outputs(self, read, expected):
        found = {table.m: table.outputs(expected) for table in self.columns.tables}
        for m, outputs in found.items():
            outputs[~read.present[:, m]] = np.nan  # whole tables are translated
        return found

    def to_plain(self) -> dict:
        """Return plain values and arrays."""
        return {
            "model": self.learned().to_plain(),
            "bases": list(self.columns.bases.values()),
            "groups": [groups.to_plain() for groups in self.groups().values()],
        }

    @classmethod
    def from_plain(cls, node: Any, model: Model) -> Cells:
        """Return what `to_plain` gave, checked against the parts of a model."""
        cells, bases, groups = fields(node, "model", "bases", "groups")
        network, others = model.network, others_of(model.network)
        check(isinstance(bases, list) and len(bases) == len(others), "bases")
        for m, basis in zip(others, bases, strict=True):
            own = network.direct.slices[m]
            floats = isinstance(basis, np.ndarray) and basis.dtype == np.float64
            check(floats and basis.ndim == 2 and len(basis) == own.stop - own.start, "a basis")
            check(bool(np.isfinite(basis).all()), "a basis")
        columns = CellColumns.of_tables(network, model.parts)
        columns = columns._replace(bases=dict(zip(others, bases, strict=True)))
        check(columns.n_columns <= MOST_COLUMNS, "the columns of its model of cells")
        learned = CellModel.from_plain(cells, columns.sizes, columns.n_columns)
        tables = [table.m for table in columns.tables]
        check(isinstance(groups, list) and len(groups) == len(tables), "its calibration")
        known = {
            m: Groups.from_plain(own, len(model.parts), network.networks[m])
            for m, own in zip(tables, groups, strict=True)
        }
        return cls(columns, Later.known(learned), Later.known(known))


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
    columns = CellColumns.of(model.network, model.parts)
    if columns is None:
        return None

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for some in columns.read_all(model.network, rows):
            yield np.nan_to_num(some), ~np.isnan(some)

    answer = statistics.second_moments("cells", blocks, products=False, most_rows=MOST_ROWS)
    if answer.sample is None:
        return None
    # Whoever asks for one of the two first learns what both go by; then it is forgotten.
    fitted = Later(partial(_learn, answer.sample, columns.sizes))
    n_modalities = len(model.parts)
    return Cells(
        columns,
        Later(lambda: fitted().model),
        Later(lambda: calibrate_cells(fitted(), columns, n_modalities)),
    )


@one_thread(helpers=False)
def _learn(sample: SampledRows, sizes: list[int]) -> CrossFitted:
    return CrossFitted.learn(sample, sizes)


def impute(model: Model, read: Read) -> dict[int, np.ndarray]:
    """Return predicted columns by their positions in `fit`, for the missing values of rows."""
    better = None if model.cells is None else model.cells.expected(model, read)
    found = model.decode(model.encode(read), rows=read.rows, read=read, better=better)
    _warn_of_empty(model, found)
    return found


def _warn_of_empty(model: Model, found: dict[int, np.ndarray]) -> None:
    """Warn of columns of tables that come back empty."""
    tables = [
        part for part, one in zip(model.parts, model.network.networks, strict=True) if one.is_table
    ]
    places = [place for part in tables for place in part.places]
    empty = [model.columns.names[place] for place in places if pd.isna(found[place]).all()]
    if empty:
        warn(
            f"column {listing(map(repr, empty))}: no cell was observed in fit, so nothing can be"
            " filled in. Drop the column, or leave it out of the modalities."
        )
