"""Rows as tensors that stay where the network is, and batches that are slices of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.utils.data import Dataset

from .._core.later import Later
from .._core.memory import give_back
from ..nn._sparse import Lists, as_tensors
from ..statistics import Statistics

__all__ = ["Batch", "BatchIterator", "Rows"]

MOST_KEPT = 2**26  # bytes of rows, until what is to be learned of them is asked for
WIDE = 2**12  # bytes of a row: an image of 64 x 64 pixels has as many

Found = TypeVar("Found")


class Batch(NamedTuple):
    """Some rows: a dict of tensors per modality, and each row's pattern of presence."""

    values: list[dict[str, Tensor]]
    pattern: Tensor

    def __len__(self) -> int:
        return len(self.pattern)

    def part(self, rows: slice) -> Batch:
        """Return a slice of the rows, without a copy."""
        return Batch(
            [{k: v[rows] for k, v in tensors.items()} for tensors in self.values],
            self.pattern[rows],
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on a device."""
        if self.pattern.device == device:
            return self
        return Batch(_moved(self.values, device), self.pattern.to(device))


class Rows(Dataset):
    """All rows of a table on one device, or some of them without a copy.

    Parameters
    ----------
    values : list of dict of Tensor, each of shape (rows, ...)
        One dict per modality.
    pattern : Tensor of shape (rows,), int64
        Which modalities are present: a row of `JointNetwork.patterns`.
    rows : Tensor of shape (n,), int64, or None
        Which rows; None for all of them.

    Attributes
    ----------
    rest : callable or None
        Called, yields further `Rows`, which count in sums and are not learned from otherwise.
    share : tuple of int
        Which of how many processes this is, that have each a rest of its own.
    """

    rest: Callable[[], Iterator[Rows]] | None = None
    share: tuple[int, int] = 0, 1

    def __init__(
        self, values: list[dict[str, Tensor]], pattern: Tensor, rows: Tensor | None = None
    ):
        self.values, self.pattern, self.rows = values, pattern, rows

    @classmethod
    def of_arrays(
        cls, arrays: Sequence[Mapping[str, np.ndarray | sparse.csr_array]], pattern: np.ndarray
    ) -> Rows:
        """Return what modalities hand over, one mapping each, as rows on the CPU."""
        return cls([as_tensors(part) for part in arrays], torch.from_numpy(pattern))

    def __len__(self) -> int:
        return len(self.pattern) if self.rows is None else len(self.rows)

    @property
    def nbytes(self) -> int:
        """How large the tensors are of which these are the rows, or some."""
        return sum(values.nbytes for tensors in self.values for values in tensors.values())

    @property
    def are_wide(self) -> bool:
        """Whether blocks of them are so large that it pays to look for free memory after each."""
        return self.nbytes > WIDE * len(self.pattern)

    def take(self, index: Tensor) -> Batch:
        """Return the rows at these places among ours as a `Batch`."""
        if self.rows is not None:
            index = self.rows.index_select(0, index)
        return Batch(
            [{k: v.index_select(0, index) for k, v in tensors.items()} for tensors in self.values],
            self.pattern.index_select(0, index),
        )

    def subset(self, rows: Tensor) -> Rows:
        """Return the rows at these places among ours, without a copy."""
        rows = rows if self.rows is None else self.rows[rows]
        return Rows(self.values, self.pattern, rows)

    def every_batch(self, size: int) -> Iterator[Batch]:
        """Yield these rows in order, or a share of them, and then the rest."""
        yield from BatchIterator(self._shared(), size)
        for rows in self.rest() if self.rest is not None else ():
            every = Batch(rows.values, rows.pattern)
            for first in range(0, len(every), size):
                yield every.part(slice(first, first + size)).to(self.pattern.device)
            are_wide = rows.are_wide
            del rows, every  # before the next ones are waited for
            if are_wide:
                give_back()

    def copied(self, places: Tensor) -> Rows:
        """Return the rows at these places among ours, as a copy that all others may outlive."""
        index = places if self.rows is None else self.rows[places]
        values = [{k: _copied(v, index) for k, v in tensors.items()} for tensors in self.values]
        return Rows(values, self.pattern[index])

    def later(self, learn: Callable[[Rows], Found], statistics: Statistics) -> Later[Found]:
        """Return what is to be learned of these rows: later, if they can be kept until then.

        Parameters
        ----------
        learn : callable
            ``learn(rows)``, asking nobody but these statistics.
        statistics : Statistics
            Those that are more than rows answer now.
        """
        found = Later(partial(learn, self))
        if self.nbytes > MOST_KEPT or not statistics.repeatable:
            found()
        return found

    def _shared(self) -> Rows:
        one, of = self.share
        if of == 1:
            return self
        every = torch.arange(len(self), device=self.pattern.device)
        return self.subset(every.tensor_split(of)[one])

    def to(self, device: torch.device) -> Rows:
        """Return the rows with all tensors on a device."""
        if self.pattern.device == device:
            return self
        rows = None if self.rows is None else self.rows.to(device)
        return Rows(_moved(self.values, device), self.pattern.to(device), rows)


def _copied(values: Tensor | Lists, index: Tensor) -> Tensor | Lists:
    return values.copied(index) if isinstance(values, Lists) else values.index_select(0, index)


def _moved(values: list[dict[str, Tensor]], device: torch.device) -> list[dict[str, Tensor]]:
    return [{key: v.to(device) for key, v in tensors.items()} for tensors in values]


class BatchIterator:
    """Whole batches, in order or, given a generator, in a new random order each time.

    Parameters
    ----------
    dataset : Rows
    batch_size : int
    generator : torch.Generator or None
        On the CPU, so that the order is the same on every device.
    most : int or None
        Rows to draw, of more; others each time.
    """

    def __init__(
        self,
        dataset: Rows,
        batch_size: int,
        generator: torch.Generator | None = None,
        most: int | None = None,
    ):
        self.dataset, self.batch_size, self.generator = dataset, batch_size, generator
        self.n_rows = len(dataset) if most is None else min(len(dataset), most)

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n, device = len(self.dataset), self.dataset.pattern.device
        if self.generator is None:
            order = torch.arange(n, device=device)
        else:
            order = torch.randperm(n, generator=self.generator).to(device)
        for index in order[: self.n_rows].split(self.batch_size):
            yield self.dataset.take(index)
