"""Views of few numbers that are not zero, but for their mean: products skip the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from .._core.compat import cached_property

__all__ = ["SparseView", "View"]


@dataclass(frozen=True, eq=False)
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
        return self._dense

    @cached_property
    def _dense(self) -> Tensor:
        dense = self.of_present((-self.mean).expand(self.shape)).clone()
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
