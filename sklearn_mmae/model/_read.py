"""New rows as a model reads them: which columns of `fit` they have, and which modalities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_feature_names, _check_n_features

from ..tables import Columns, Table
from ..training._batches import Rows
from ._parts import Part

__all__ = ["Read", "as_rows", "match_columns", "presence"]


@dataclass(frozen=True)
class Read:
    """Rows as a model has read them.

    Attributes
    ----------
    table : Table
    at : dict of int to int
        Where the columns of `fit` stand in it; those that are missing altogether are left out.
    rows : Rows
    present : ndarray of shape (rows, modalities), bool
        What may be looked at.
    unknown : ndarray of shape (patterns, modalities), bool
        Patterns of presence that the network does not know; see `index_patterns`.
    """

    table: Table
    at: dict[int, int]
    rows: Rows
    present: np.ndarray
    unknown: np.ndarray

    @property
    def index(self) -> pd.Index | None:
        """Labels of the rows, where they have any."""
        return self.table.index


def presence(values: list) -> np.ndarray:
    """Return which modalities each row has, (rows, modalities) bool."""
    return np.stack([part.present for part in values], 1)


def as_rows(values: list, index: np.ndarray) -> Rows:
    """Return values as `Rows` on the CPU, given the number of each row's pattern."""
    return Rows.of_arrays([part.tensors for part in values], index)


def match_columns(
    X: Any,
    table: Table,
    columns: Columns,
    parts: Sequence[Part],
    only_numbers: bool,
    estimator: Any,
) -> dict[int, int]:
    """Return where each column of `fit` stands now, having checked names and number.

    Parameters
    ----------
    X : container of rows
    table : Table
        The same rows, read.
    columns : Columns
        Those of `fit`.
    parts : list of Part
    only_numbers : bool
        Whether the modalities are tables of numbers: scikit-learn asks for all columns of these, in
        their order, as an array of them would need it.
    estimator : estimator
        Named in scikit-learn's own messages.
    """
    named = hasattr(estimator, "feature_names_in_")
    if named and table.kind != "array":
        now = {name: i for i, name in enumerate(table.names)}
        at = {i: now[name] for i, name in enumerate(columns.names) if name in now}
        used = any(place in at for part in parts for place in part.places)
        # What is both new and missing may have been renamed.
        known = len(at) in (len(now), len(columns.names))
        if used and known:
            any_order = not (only_numbers and _needs_order(estimator.modalities))
            if any_order or _is_in_order(at, parts):
                return at
        only_names = pd.DataFrame(columns=pd.Index(table.names, dtype=object))
        try:
            _check_feature_names(estimator, only_names, reset=False)
        except ValueError as error:
            raise ValueError(
                f"{error}\nX.reindex(columns=mmae.feature_names_in_) has the columns of fit,"
                " with missing values where one is absent."
            ) from None
    elif named:
        _check_feature_names(estimator, X, reset=False)
    _check_n_features(estimator, np.empty((0, len(table.names))), reset=False)
    return {i: i for i in range(len(table.names))}


def _needs_order(modalities: Any) -> bool:
    """Whether columns are not all listed by name, so that they may not come in any order."""
    keys = [None] if isinstance(modalities, str) else [key for *_, key in modalities]
    lists = [key if isinstance(key, list | tuple) else [key] for key in keys]
    return not all(isinstance(name, str) for names in lists for name in names)


def _is_in_order(at: dict[int, int], parts: Sequence[Part]) -> bool:
    """Whether columns are those of `fit` in their order, but for whole modalities."""
    whole = all(len({place in at for place in part.places}) == 1 for part in parts)
    return whole and [*at.values()] == [*range(len(at))]
