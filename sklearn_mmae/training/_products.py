"""Products of rows with the weights of their patterns of presence, grouped by these."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..nn._blocks import matmul

__all__ = ["TILE", "by_pattern", "by_tiles"]

TILE = 128  # rows of one pattern that are multiplied at a time


def by_pattern(projected: Tensor, pattern: Tensor, table: Tensor) -> Tensor:
    """Return what `JointNetwork._linear` does, with one product for each pattern that occurs.

    A row's last bits then depend on the rows beside it, which a gradient's do anyway.
    """
    return _grouped(projected, pattern, table, lambda rows, weight: rows @ weight.T)


def by_tiles(projected: Tensor, pattern: Tensor, table: Tensor) -> Tensor:
    """Return what `by_pattern` does, by products of one size: a row's bits are its own."""
    size = min(TILE, len(projected))

    def multiply(rows: Tensor, weight: Tensor) -> Tensor:
        tiles = F.pad(rows, (0, 0, 0, -len(rows) % size)).split(size)
        return torch.cat([matmul(tile, weight) for tile in tiles])[: len(rows)]

    return _grouped(projected, pattern, table, multiply)


def _grouped(
    projected: Tensor,
    pattern: Tensor,
    table: Tensor,
    multiply: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Return the products of each row with the weights of its pattern, (..., rows, components)."""
    which = pattern.flatten()
    order = which.argsort(stable=True)
    sizes = which.bincount(minlength=len(table)).tolist()
    groups = projected.index_select(0, order % len(projected)).split(sizes)
    linear = [multiply(rows, own) for rows, own in zip(groups, table, strict=True) if len(rows)]
    return torch.cat(linear).index_select(0, order.argsort()).unflatten(0, pattern.shape)
