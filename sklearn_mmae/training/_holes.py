"""Cells of tables that are hidden, to learn what it is like to see less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..nn._modality import ModalityNetwork

__all__ = [
    "BINS",
    "Fill",
    "Tensors",
    "binned",
    "bins_of",
    "hide",
    "observed_cells",
    "share_of_holes",
    "without",
]

BINS = (0.2, 0.5)  # of the share of holes; none at all is a bin of its own

Tensors = dict[str, Tensor]
Fill = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def observed_cells(tensors: Tensors, part: ModalityNetwork) -> Tensor:
    """Return which cells of a table are observed.

    Parameters
    ----------
    tensors : dict of Tensor
    part : ModalityNetwork
        One that `is_table`.

    Returns
    -------
    Tensor of shape (rows, numbers + categorical columns), bool
    """
    parts = []
    if part.n_numbers:
        some = next(iter(tensors.values()))
        everything = torch.ones(1, dtype=torch.bool, device=some.device)
        parts.append(tensors.get("observed", everything.expand(len(some), part.n_numbers)))
    if part.sizes:
        parts.append(tensors["codes"] >= 0)
    return torch.cat(parts, 1)


def share_of_holes(observed: dict[int, Tensor], present: Tensor, m: int | None) -> Tensor:
    """Return the share of missing values in each row.

    That among the cells of table m or among those of all tables that are present, whichever is
    larger.

    Parameters
    ----------
    observed : dict of int to Tensor of shape (..., rows, cells), bool
        The cells of each table, by its position among the modalities.
    present : Tensor of shape (rows, modalities), bool
    m : int or None
        None for the share among all alone.

    Returns
    -------
    Tensor of shape (..., rows)
    """
    seen = {o: cells.sum(-1) * present[:, o] for o, cells in observed.items()}
    of_all = {o: cells.shape[-1] * present[:, o] for o, cells in observed.items()}
    holes = _one_less(sum(seen.values()), sum(of_all.values()))
    return holes if m is None else torch.maximum(_one_less(seen[m], of_all[m]), holes)


def bins_of(observed: dict[int, Tensor], present: Tensor, m: int | None) -> Tensor:
    """Return the bin of each row's `share_of_holes`, int64: none, few, up to half, more."""
    return binned(share_of_holes(observed, present, m))


def binned(holes: Tensor) -> Tensor:
    """Return the bin of each share of missing values, int64."""
    return torch.bucketize(holes, torch.tensor([0.0, *BINS], device=holes.device) + 1e-6)


def _one_less(seen: Tensor, of_all: Tensor) -> Tensor:
    return torch.where(of_all > 0, 1 - seen / of_all.clamp_min(1), 0)


def hide(there: Tensor, order: Tensor, share: Tensor, turn: float) -> Tensor:
    """Return what is still seen if, in all, a share of the cells is missing; one always is.

    Parameters
    ----------
    there : Tensor of shape (rows, cells), bool
    order : Tensor of shape (rows, cells), int64
        A permutation per row; its first observed cells are hidden first.
    share : Tensor of shape (rows, 1)
    turn : float
        In [0, 1): where among its observed cells a row begins.
    """
    # there      1 0 1 1 1    cells of a row: share = 3/5 are to be holes, 1 is, so 2 are hidden
    # shuffled   1 1 0 1 1    by order; rank among the observed 0 1 . 2 3, from `turn` on 2 3 . 0 1
    # still      1 1 0 0 0    rank >= 2 is still seen; then put back where it stood
    n_there = there.sum(1, keepdim=True)
    n_hidden = (share * there.shape[1]).round().clamp_min(1) - (there.shape[1] - n_there)
    n_hidden = torch.minimum(n_hidden.clamp_min(0), (n_there - 1).clamp_min(0))
    shuffled = there.gather(1, order)
    rank = shuffled.cumsum(1) - 1
    rank = (rank + (n_there * turn).long()) % n_there.clamp_min(1)
    still = shuffled & (rank >= n_hidden)
    return torch.zeros_like(there).scatter_(1, order, still)


def without(tensors: Tensors, part: ModalityNetwork, shown: Tensor, fill: Fill) -> Tensors:
    """Return a table's tensors with all cells but those shown missing, and what these expect."""
    n, hidden = part.n_numbers, {}
    if n:
        hidden["numbers"] = torch.where(shown[:, :n], part.numbers(tensors), 0)
        hidden["observed"] = shown[:, :n]
    if part.sizes:
        hidden["codes"] = torch.where(shown[:, n:], tensors["codes"], -1)
    filled = fill({name: values.cpu().numpy() for name, values in hidden.items()})
    return {name: torch.as_tensor(a, device=shown.device) for name, a in filled.items()}
