"""Rows of few numbers that are not zero: lists of them, and views whose products skip the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["Lists", "SparseView", "View", "as_tensors"]


class Lists:
    """Lists of numbers, one a row, end to end: one long list does not make the others long.

    They stand where a tensor of shape (rows, longest) would, and give parts of it.

    Parameters
    ----------
    numbers : Tensor of shape (n,)
    starts, lengths : Tensor of shape (rows,), int64
    longest : int
        Length of the longest list.
    """

    def __init__(self, numbers: Tensor, starts: Tensor, lengths: Tensor, longest: int) -> None:
        self.numbers, self.starts, self.lengths = numbers, starts, lengths
        self.longest = longest

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: slice) -> Tensor:
        """Return a slice of the rows, padded with 0."""
        return self._padded(self.starts[rows], self.lengths[rows])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return some rows, padded with 0."""
        return self._padded(self.starts[index], self.lengths[index])

    @property
    def nbytes(self) -> int:
        """Size of the numbers."""
        return self.numbers.nbytes

    def copied(self, index: Tensor) -> Lists:
        """Return the lists of some rows, which no longer hold those of others."""
        lengths = self.lengths[index]
        starts = lengths.cumsum(0) - lengths
        moved = (self.starts[index] - starts).repeat_interleave(lengths)
        numbers = self.numbers[moved + torch.arange(len(moved), device=moved.device)]
        numbers = numbers if len(numbers) else self.numbers.new_zeros(1)
        return Lists(numbers, starts, lengths, self.longest)

    def to(self, device: torch.device) -> Lists:
        """Return the lists on a device."""
        parts = [part.to(device) for part in (self.numbers, self.starts, self.lengths)]
        return Lists(*parts, self.longest)

    def _padded(self, starts: Tensor, lengths: Tensor) -> Tensor:
        on_host = lengths.device.type == "cpu" and len(lengths) > 0
        # How long the lists of a batch are is not for the host to wait for.
        longest = max(int(lengths.max()), 1) if on_host else self.longest
        places = torch.arange(longest, device=lengths.device)
        listed = places < lengths[:, None]
        at = torch.where(listed, starts[:, None] + places, 0)
        return torch.where(listed, self.numbers[at], 0)


def as_tensors(arrays: Mapping[str, np.ndarray | sparse.csr_array]) -> dict[str, Tensor | Lists]:
    """Return arrays as tensors on the CPU, without a copy.

    Of a sparse one these are two: under its name the `Lists` of its numbers, and under the same
    with ``_at`` those of their columns.
    """
    tensors: dict[str, Tensor | Lists] = {}
    for name, array in arrays.items():
        if not sparse.issparse(array):
            whole = array if array.size else np.ascontiguousarray(array)
            tensors[name] = torch.from_numpy(whole)
            continue
        lengths = np.diff(array.indptr).astype(np.int64)
        longest = max(int(lengths.max(initial=0)), 1)
        starts = torch.from_numpy(array.indptr[:-1].astype(np.int64))
        for key, numbers in ((name, array.data), (f"{name}_at", array.indices)):
            # Where there is no number at all, a padded row still has one to look at.
            some = torch.from_numpy(numbers if len(numbers) else np.zeros(1, numbers.dtype))
            tensors[key] = Lists(some, starts, torch.from_numpy(lengths), longest)
    return tensors


@dataclass(eq=False)
class SparseView:
    """A view (rows, columns) as lists of weights: ``weights in their columns - mean``.

    It goes where a tensor would: it has a shape and a device, and is multiplied from both sides, as
    the linear start does, without the zeros. All else asks for `to_dense`, as it may of any tensor:
    layers, for a product of a batch's few rows in float32 is as fast when dense. A GPU always is.

    Parameters
    ----------
    features : Tensor of shape (rows, n), any int
        Columns of the weights.
    weights : Tensor of shape (rows, n)
        0 where a list has ended, and in rows that are absent.
    mean : Tensor of shape (columns,)
    present : Tensor of shape (rows,), bool, or None
        Other rows are 0; None for all.
    """

    features: Tensor
    weights: Tensor
    mean: Tensor
    present: Tensor | None = None
    _dense: Tensor | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), len(self.mean)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.weights.device

    @property
    def T(self) -> _Transposed:  # noqa: N802, as of a tensor
        """What multiplies rows, (rows, n) to (columns, n)."""
        return _Transposed(self)

    def double(self) -> SparseView:
        """Return the same in float64."""
        return replace(self, weights=self.weights.double(), mean=self.mean.double())

    def to_dense(self) -> Tensor:
        """Return the view as a tensor, always the same one."""
        if self._dense is None:
            self._dense = self._written_out()
        return self._dense

    def _written_out(self) -> Tensor:
        dense = (-self.mean).repeat(self.weights.shape[0], 1)
        if self.present is not None:
            dense.mul_(self.present[:, None])
        return dense.scatter_add_(1, self.features.long(), self.weights)

    def of_present(self, rows: Tensor) -> Tensor:
        """Return rows, 0 those that are absent."""
        return rows if self.present is None else torch.where(self.present[:, None], rows, 0)

    def __matmul__(self, matrix: Tensor) -> Tensor:
        """Return the product (rows, n) with a matrix (columns, n)."""
        if self.device.type != "cpu":
            return self.to_dense() @ matrix
        product = torch.from_numpy(self.listed() @ matrix.numpy())
        return self.of_present(product - self.mean @ matrix)

    def listed(self) -> sparse.csr_array:
        """Return the weights alone."""
        weights = self.weights.numpy()
        listed = weights != 0
        columns = self.features.numpy()[listed].astype(np.int32)
        ends = np.pad(listed.sum(1), (1, 0)).cumsum()
        return sparse.csr_array((weights[listed], columns, ends), self.shape)


@dataclass(frozen=True, eq=False)
class _Transposed:
    """A view seen from the other side."""

    view: SparseView

    def __matmul__(self, rows: Tensor) -> Tensor:
        """Return the product (columns, n) with rows (rows, n)."""
        view = self.view
        if view.device.type != "cpu":
            return view.to_dense().T @ rows
        product = torch.from_numpy(view.listed().T.tocsr() @ rows.numpy())
        return product.addr_(view.mean, view.of_present(rows).sum(0), alpha=-1)


View = Tensor | SparseView
