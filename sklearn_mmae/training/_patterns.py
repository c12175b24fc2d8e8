"""Patterns of presence: which modalities a row has, and which parts of it a network knows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..statistics import PLAIN, Statistics

__all__ = [
    "MOST_ENUMERATED",
    "Solved",
    "chances_of",
    "index_contained",
    "index_patterns",
    "list_patterns",
    "meetings_of",
    "shares_of",
]

MOST_ENUMERATED = 6  # modalities up to which every pattern of presence has its own regression
MOST_OF_ROWS = 32  # patterns that are taken from the rows, beyond that
MOST_REMEMBERED = 2**22  # numbers, of what was solved for patterns


class Solved:
    """What was solved for patterns of presence: a memory that begins anew when it is full.

    Threads may share it: in the worst case they solve the same twice.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Sequence[Tensor]] = {}
        self._size = 0

    def __reduce__(self) -> tuple[type, tuple]:
        return Solved, ()  # no pickle or copy needs to be as large

    def get(self, key: Hashable, solve: Callable[..., Any]) -> Any:
        """Return the tensors of ``solve(key)``, of now or of when they were asked for before."""
        found = self._known.get(key)
        if found is None:
            found = solve(key)
            self._size += sum(tensor.numel() for tensor in found)
            if self._size > MOST_REMEMBERED:
                self._known, self._size = {}, 0
            self._known[key] = found
        return found


def list_patterns(present: Tensor, statistics: Statistics = PLAIN) -> Tensor:
    """List the patterns of presence a network should know.

    Parameters
    ----------
    present : Tensor of shape (rows, modalities), bool
        The training rows.
    statistics : Statistics
        Asked for the rows' most frequent patterns, beyond a few modalities.

    Returns
    -------
    Tensor of shape (patterns, modalities), bool
        First nothing, last everything. Every subset for a few modalities; else each alone, all
        but each, and, unless they are private, those among the rows.
    """
    n = present.shape[1]
    if n <= MOST_ENUMERATED:
        return torch.tensor(list(product([False, True], repeat=n)))
    single = torch.eye(n, dtype=torch.bool)
    rows = map(tuple, present.tolist())
    frequent = (
        []
        if statistics.is_private
        else statistics.frequent("patterns of presence", rows, MOST_OF_ROWS)
    )
    of_rows = torch.tensor([*frequent], dtype=torch.bool).reshape(-1, n)
    patterns = torch.cat([single, ~single, of_rows]).unique(dim=0)
    inside = patterns.any(1) & ~patterns.all(1)
    ends = torch.tensor([[False] * n, [True] * n])
    return torch.cat([ends[:1], patterns[inside], ends[1:]])


def chances_of(patterns: Tensor, modality_dropout: float) -> Tensor | None:
    """Return the cumulated chances of the patterns of presence to be sampled, or None for none."""
    if patterns.shape[1] == 1 or not modality_dropout:
        return None
    seen = patterns.sum(1, dtype=torch.float32)
    hidden = patterns.shape[1] - seen
    chance = (1 - modality_dropout) ** seen * modality_dropout**hidden
    chance[0] = chance[-1] = 0  # nothing teaches nothing; everything is the first code
    return (chance / chance.sum()).cumsum(0)


def meetings_of(patterns: Tensor) -> Tensor:
    """Return the table of intersections: (patterns, patterns), int64.

    Where the intersection is empty or not among the patterns, the first one stays.
    """
    numbers = {tuple(p): i for i, p in enumerate(patterns.tolist())}
    table = torch.arange(len(patterns))[:, None].repeat(1, len(patterns))
    for i, a in enumerate(patterns.tolist()):
        for j, b in enumerate(patterns.tolist()):
            both = tuple(x and y for x, y in zip(a, b, strict=True))
            if any(both) and both in numbers:
                table[i, j] = numbers[both]
    return table


def shares_of(patterns: Tensor, index: Tensor, statistics: Statistics) -> Tensor:
    """Return in which share of the rows each modality is present, (modalities,), above 0.

    Parameters
    ----------
    patterns : Tensor of shape (patterns, modalities), bool
    index : Tensor of shape (rows,), int64
        Each row's pattern.
    statistics : Statistics
    """
    counts = statistics.counts("patterns", index.cpu().numpy(), len(patterns))
    share = counts @ patterns.cpu().numpy() / counts.sum()
    return torch.from_numpy(share).float().clamp_min(1e-6)


def index_patterns(present: np.ndarray, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each row's pattern of presence.

    Parameters
    ----------
    present : ndarray of shape (rows, modalities), bool
    patterns : ndarray of shape (patterns, modalities), bool
        Those that are known.

    Returns
    -------
    index : ndarray of shape (rows,), int64
        Among the known ones, then the unknown ones.
    unknown : ndarray of shape (others, modalities), bool
    """
    known = {tuple(p): i for i, p in enumerate(patterns.tolist())}
    if present.all():  # the usual case; sorting the rows would cost more than to encode them
        return np.full(len(present), known[(True,) * present.shape[1]]), present[:0]
    found, inverse = np.unique(present, axis=0, return_inverse=True)
    unknown, numbers = [], []
    for pattern in map(tuple, found.tolist()):
        if pattern not in known:
            known[pattern] = len(known)
            unknown.append(pattern)
        numbers.append(known[pattern])
    unknown = np.array(unknown, bool).reshape(-1, present.shape[1])
    return np.array(numbers, np.int64)[inverse.ravel()], unknown


def index_contained(present: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Give each row the number of its pattern or, for training, of the largest one within it.

    Among many modalities not every pattern has a regression of its own (see `list_patterns`). A
    row of another one is learned from as if it had only what the largest known part of it has.

    Parameters
    ----------
    present : ndarray of shape (rows, modalities), bool
    patterns : ndarray of shape (patterns, modalities), bool
        Those that are known; nothing at all is one of them.

    Returns
    -------
    ndarray of shape (rows,), int64
    """
    index, unknown = index_patterns(present, patterns)
    within = (unknown[:, None] | ~patterns).all(2)
    largest = np.where(within, patterns.sum(1), -1).argmax(1)
    return np.concatenate([np.arange(len(patterns)), largest])[index]
