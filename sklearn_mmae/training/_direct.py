"""`DirectRegressions`: each modality from any others in closed form, beside the embedding.

What one modality tells of another goes through all of a row's few components, which are learned for
everything at once: where there is little to share, ridge regression without any bottleneck predicts
better [1]_. So both are kept; `_translation` says how they are blended. The regressions are those
of second moments: one matrix of them holds the regression on every set of modalities. So it does
how likely a modality is given the others, by which the anomalous one is found.

A row to be predicted from may be noisier than those that were learned from. Noise shows along the
directions in which rows hardly vary, so each row tells how strong its own is, and its regression
is the one that is best under that much of it.

References
----------
.. [1] Hoerl & Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems",
   Technometrics 12(1).
.. [2] Chen, Wiesel, Eldar & Hero (2010), "Shrinkage algorithms for MMSE covariance estimation",
   IEEE Transactions on Signal Processing 58(10).
.. [3] Rao (1948), "Large sample tests of statistical hypotheses concerning several parameters",
   Mathematical Proceedings of the Cambridge Philosophical Society 44(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..nn._blocks import matmul
from ..nn._modality import ModalityNetwork
from ..nn._sparse import View
from .start._linear import penalty_of
from .start._moments import ViewMoments, reduced_sizes

__all__ = ["Direct", "DirectRegressions"]

MOST_COLUMNS = 1024  # of all views: more are reduced to each one's leading directions
LEAST_SHRINKAGE = 1e-3
WITHOUT_NOISE = 30  # directions by which a row is taken, beforehand, to be no noisier than others
LEAST_PENALTY = 1e-6  # of the largest second moment: what single precision rounds is less


class Information(NamedTuple):
    """What others tell of a modality: a row's pointwise mutual information with them, in nats.

    It is ``constant + (square of x @ alone - square of x @ given) / 2`` of reduced views x.

    Attributes
    ----------
    constant : Tensor of shape ()
    alone, given : Tensor of shape (reduced columns of all, those of the modality), float64
        Make it white by itself; make white what the others leave of it.
    """

    constant: Tensor
    alone: Tensor
    given: Tensor

    def of(self, reduced: Tensor) -> Tensor:
        """Return that of each row, (rows,), given float64 reduced views."""
        alone, given = (matmul(reduced, w.T).square().sum(1) for w in (self.alone, self.given))
        return self.constant + (alone - given) / 2


class Direct(NamedTuple):
    """What predicts a modality beside the embedding, from one set of others.

    It is a ridge regression of the reduced view, along the directions of reduced columns.

    Attributes
    ----------
    directions : Tensor of shape (reduced columns of all, directions)
        At right angles to each other under the second moments; noise is as strong along each.
    values : Tensor of shape (directions,)
        How much rows vary along each, with the penalty.
    towards : Tensor of shape (directions, reduced columns of the modality)
        Second moments of both.
    weight : Tensor of shape (n_outputs,)
        How much the network's outputs count beside it.
    """

    directions: Tensor
    values: Tensor
    towards: Tensor
    weight: Tensor

    def of(self, reduced: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is predicted, (..., rows, reduced columns of the modality), and the noise.

        Its variance, (..., rows, 1), is in units of that of a column.
        """
        along = matmul(reduced, self.directions.T)
        # The most likely variance of a row's noise, by one step of scoring from none [3]_, drawn
        # towards none the more the fewer directions tell it.
        known = (self.values.min() / self.values).square()
        told = known.sum() ** 2 / known.square().sum()
        noise = ((along.square() - self.values) * known).sum(-1, keepdim=True) / known.sum()
        noise = (noise * (told / (told + WITHOUT_NOISE))).clamp_min(0)
        return matmul(along / (self.values + noise), self.towards.T), noise


class DirectRegressions(nn.Module):
    """Ridge regressions between views, and how much they count beside the network.

    Parameters
    ----------
    parts : list of ModalityNetwork
    n_components : int
        Of the embedding, by which wide views are reduced.

    Attributes
    ----------
    covariance : Tensor of shape (columns, columns)
        A buffer: second moments of the reduced views side by side; zeros before `learn`.
    shrinkage : Tensor of shape ()
        A buffer: how far correlations are shrunk where densities are asked for.
    penalty : Tensor of shape (2, modalities)
        A buffer: of the regressions on each modality alone, and of each on all others.
    weight : Tensor of shape (modalities + 1, shares)
        A buffer: how much the network's outputs count, from each modality alone and, last, from
        all others; 1 is the network alone. A table has a share for each number and one for all
        categories, other modalities have one.
    """

    covariance: Tensor
    shrinkage: Tensor
    penalty: Tensor
    weight: Tensor

    def __init__(self, parts: Sequence[ModalityNetwork], n_components: int):
        super().__init__()
        n = len(parts)
        self.widths = [part.n_view for part in parts]
        sizes = reduced_sizes(self.widths, n_components)
        if sum(sizes) > MOST_COLUMNS:
            sizes = [min(size, max(MOST_COLUMNS // n, 1)) for size in sizes]
        self.slices = _slices(sizes)
        for m, (width, size) in enumerate(zip(self.widths, sizes, strict=True)):
            self.register_buffer(f"basis_{m}", torch.zeros(width, size) if size < width else None)
        self.n_outputs = [part.n_outputs for part in parts]
        # How many numbers of each modality have a share of their own.
        self.n_numbers = [part.n_numbers if part.is_table else 0 for part in parts]
        self.shares = _slices([n_own + 1 for n_own in self.n_numbers])
        self.register_buffer("covariance", torch.zeros(sum(sizes), sum(sizes)))
        self.register_buffer("shrinkage", torch.ones(()))
        self.register_buffer("penalty", torch.ones(2, n))
        self.register_buffer("weight", torch.ones(n + 1, self.shares[-1].stop))

    def basis(self, m: int) -> Tensor | None:
        """Return what a view is multiplied by, (columns, reduced); None for one as it is."""
        return getattr(self, f"basis_{m}")

    @torch.no_grad()
    def learn(self, moments: ViewMoments) -> None:
        """Take over second moments of the views."""
        turns, whole = [], moments.covariance
        for m, (own, before) in enumerate(zip(self.slices, moments.slices, strict=True)):
            size, basis = own.stop - own.start, moments.bases[m]
            turn = torch.eye(moments.sizes[m], dtype=whole.dtype, device=whole.device)
            if size < moments.sizes[m]:
                turn = torch.linalg.eigh(whole[before, before]).eigenvectors[:, -size:]
                basis = turn if basis is None else basis @ turn
            turns.append(turn)
            if basis is not None:
                self.basis(m).copy_(basis)
        turned = torch.block_diag(*turns)
        self.covariance.copy_(turned.T @ whole @ turned)
        self.shrinkage.fill_(shrinkage_of(self._in_units()[0], moments.n_rows))

    def _deviations(self) -> Tensor:
        """Return the unit of each view's columns, in which they have variance 1 on average."""
        variances = self.covariance.diagonal().double()
        units = [
            variances[own].mean().clamp_min(1e-12).expand(own.stop - own.start).sqrt()
            for own in self.slices
        ]
        return torch.cat(units)

    def information(self, pattern: Tensor) -> dict[int, Information]:
        """Return what the others that are present tell of each modality present.

        Parameters
        ----------
        pattern : Tensor of shape (modalities,), bool
        """
        shrinkage = self.shrinkage.double()
        level = torch.diag(shrinkage * self._deviations().square())
        shrunk = (1 - shrinkage) * self.covariance.double() + level
        own, found = self._columns(pattern), {}
        precision = torch.zeros_like(shrunk)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(shrunk[own][:, own]))
        precision[own[:, None], own] = inverse
        for m in pattern.nonzero()[:, 0].tolist():
            here = self.slices[m]
            roots = [torch.linalg.cholesky(matrix[here, here]) for matrix in (precision, shrunk)]
            given, alone = (torch.linalg.inv(root).T for root in roots)
            whole = torch.zeros_like(precision[:, here])
            whole[here] = alone
            constant = sum(root.diagonal().log().sum() for root in roots)
            found[m] = Information(constant, whole, precision[:, here] @ given)
        return found

    @torch.no_grad()
    def cross_validate(self, n_rows: int) -> None:
        """Choose the penalties, given from how many rows the moments are."""
        every = torch.arange(len(self.slices))
        for m in every.tolist():
            self.penalty[0, m] = self._cross_validated(every == m, n_rows)
            self.penalty[1, m] = self._cross_validated(every != m, n_rows)

    def _cross_validated(self, pattern: Tensor, n_rows: int) -> float:
        """Return the penalty of the regression of all else on some modalities."""
        own, others = self._columns(pattern), self._columns(~pattern)
        in_units, unit = self._in_units()
        values, vectors = torch.linalg.eigh(in_units[own][:, own])
        deviation = in_units.diagonal()[others].clamp_min(1e-12).sqrt()
        along = vectors.T @ (in_units[own][:, others] / deviation)
        weight = (deviation * unit[others]).square()
        penalty = penalty_of(values.clamp_min(0), along, weight, n_rows)
        return max(penalty, LEAST_PENALTY * float(values[-1]), 1e-12)

    def _in_units(self) -> tuple[Tensor, Tensor]:
        """Return second moments of columns divided by `_deviations`, and these."""
        unit = self._deviations()
        return self.covariance.double() / (unit * unit[:, None]), unit

    def _columns(self, pattern: Tensor) -> Tensor:
        """Return the columns of some modalities among those of all."""
        every = torch.arange(len(self.covariance), device=self.covariance.device)
        return torch.cat(
            [every[own] for own, there in zip(self.slices, pattern.tolist(), strict=True) if there]
        )

    def given(self, pattern: Tensor, targets: Sequence[int]) -> dict[int, Direct]:
        """Return what predicts absent modalities from those present.

        Between one modality and all others, penalties and weights change with how many there are.

        Parameters
        ----------
        pattern : Tensor of shape (modalities,), bool
            What is present: something.
        targets : sequence of int
            Absent ones.
        """
        own = self._columns(pattern)
        in_units, unit = self._in_units()
        values, vectors = torch.linalg.eigh(in_units[own][:, own])
        directions = in_units.new_zeros(len(in_units), len(own))
        directions[own] = vectors / unit[own, None]
        shared = directions.float(), (values.clamp_min(0) + self._penalty(pattern)).float()
        found = {}
        for m in targets:
            here = self.slices[m]
            towards = vectors.T @ in_units[own, here] * unit[here]
            found[m] = Direct(*shared, towards.float(), self._weight(pattern, m))
        return found

    def _penalty(self, pattern: Tensor) -> Tensor:
        """Return the penalty of regressions on some modalities."""
        members, absent = (there.to(self.penalty.device) for there in (pattern, ~pattern))
        logs = self.penalty.double().log()
        between = self._between(pattern)
        return torch.lerp(logs[0][members].mean(), logs[1][absent].mean(), between).exp()

    def _weight(self, pattern: Tensor, m: int) -> Tensor:
        """Return how much each of the network's outputs counts, (n_outputs,)."""
        own, members = self.weight[:, self.shares[m]], pattern.to(self.weight.device)
        shares = torch.lerp(own[:-1][members].mean(0), own[-1], self._between(pattern))
        return torch.cat([shares[:-1], shares[-1:].expand(self.n_outputs[m] - len(shares) + 1)])

    def _between(self, pattern: Tensor) -> float:
        """Return 0 where one modality is present, 1 where all but one are."""
        n, n_present = len(pattern), int(pattern.sum())
        return min((n_present - 1) / (n - 2), 1.0) if n > 2 else 1.0

    def reduce(self, views: Sequence[View]) -> Tensor:
        """Return the reduced views side by side, (rows, reduced columns of all)."""
        parts = []
        for m, view in enumerate(views):
            basis = self.basis(m)
            parts.append(view.to_dense() if basis is None else matmul(view, basis.T))
        return torch.cat(parts, 1)

    def counts_for(self, m: int) -> bool:
        """Whether anything is to be blended in of a modality."""
        return bool((self.weight[:, self.shares[m]] < 1).any())

    def view(self, reduced: Tensor, beside: Direct, m: int) -> tuple[Tensor, Tensor]:
        """Return what is predicted of a view, (rows, columns), and the noise; see `Direct.of`."""
        (predicted, noise), basis = beside.of(reduced), self.basis(m)
        return predicted if basis is None else matmul(predicted, basis), noise


def shrinkage_of(moments: Tensor, n_rows: int) -> float:
    """Return how far second moments should be shrunk towards a multiple of the identity [2]_.

    Parameters
    ----------
    moments : Tensor of shape (columns, columns), float64
    n_rows : int
    """
    p, squares, total = len(moments), float(moments.square().sum()), float(moments.trace()) ** 2
    wanted = (1 - 2 / p) * squares + total
    error = (n_rows + 1 - 2 / p) * (squares - total / p)
    return max(min(wanted / error, 1.0), LEAST_SHRINKAGE) if error > 0 else 1.0


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]
