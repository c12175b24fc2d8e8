"""What a wide view says of a target: scores, learned before the view is reduced.

The leading directions of thousands of words are not those that tell a target, and a regression on
all of them knows its own rows too well. So each fold of the rows is scored by a ridge regression on
the others, as in stacking [1]_ and target encoding [2]_; new rows by the mean of these regressions.
A regression is solved in the Krylov space of its normal equations, as partial least squares are
[3]_: with few products for all folds and penalties.

References
----------
.. [1] Wolpert (1992), "Stacked generalization", Neural Networks 5(2).
.. [2] Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes in
   classification and prediction problems", SIGKDD Explorations 3(1).
.. [3] Helland (1988), "On the structure of partial least squares regression", Communications in
   Statistics 17(2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...nn._sparse import View
from ...statistics import Statistics
from ._moments import Views

__all__ = ["Scores", "learn_scores"]

N_FOLDS = 5
MOST_STEPS, MOST_DIRECTIONS = 10, 60  # of a Krylov space: steps of as many directions as targets
MOST_TARGETS = 16  # more are told by their leading combinations
PENALTIES = torch.logspace(-6, 2, 25, dtype=torch.float64)  # of the largest second moment


@dataclass(frozen=True)
class Scores:
    """What a view says of a target, by regressions that have not seen the row.

    Attributes
    ----------
    folds : Tensor of shape (rows,), int64
        Which of the regressions is a training row's.
    by_fold : Tensor of shape (columns, folds, targets)
    """

    folds: Tensor
    by_fold: Tensor

    @property
    def weights(self) -> Tensor:
        """The regression of rows that none has seen, (columns, targets)."""
        return self.by_fold.mean(1)

    def reduce(self, view: View, first: int) -> Tensor:
        """Return the scores of training rows, (rows, targets), numbered from `first` on."""
        scores = (view @ self.by_fold.flatten(1)).unflatten(1, self.by_fold.shape[1:])
        folds = self.folds[first : first + len(scores)].to(scores.device)
        return scores[torch.arange(len(scores), device=scores.device), folds]


def learn_scores(
    blocks: Views, bases: list[Tensor | None], generator: torch.Generator, statistics: Statistics
) -> list[Scores | None]:
    """Return scores of each view that is reduced to a basis, None for the others.

    Parameters
    ----------
    blocks : callable
        See `fit_linear_start`; the last view is the target.
    bases : list of Tensor or None
    generator : torch.Generator
        Samples the folds.
    statistics : Statistics
    """
    if all(basis is None for basis in bases[:-1]):
        return [None] * len(bases)
    n_rows = sum(len(present) for *_, present in blocks())
    # As many draws for any number of rows: in ranks, each has a number of its own.
    own = torch.Generator().manual_seed(int(torch.randint(2**63 - 1, (), generator=generator)))
    folds = torch.arange(n_rows)[torch.randperm(n_rows, generator=own)] % N_FOLDS
    target = _leading_targets(blocks, statistics)
    return [
        None
        if basis is None
        else _Regressions(blocks, m, target, folds, statistics.of(f"scores of view {m}")).learn()
        for m, basis in enumerate(bases[:-1])
    ] + [None]


def _leading_targets(blocks: Views, statistics: Statistics) -> Tensor:
    """Return combinations of the target's columns, (columns, targets), that vary most."""

    def rows() -> Iterator[tuple[Tensor, Tensor]]:
        for views, _, present in blocks():
            target = views[-1].double()
            yield target, present[:, -1:].expand_as(target)

    moments = statistics.second_moments("target", rows).product
    vectors = torch.linalg.eigh(moments).eigenvectors
    return vectors.flip(1)[:, :MOST_TARGETS]


class _Regressions:
    """The regressions of one view, one for each fold."""

    def __init__(
        self, blocks: Views, m: int, target: Tensor, folds: Tensor, statistics: Statistics
    ):
        self.blocks, self.m, self.target, self.folds = blocks, m, target, folds
        self.statistics = statistics

    def learn(self) -> Scores:
        """Find the Krylov spaces, then the penalty by the rows that regressions have not seen."""
        n_targets = self.target.shape[1]
        steps = [_orthonormal(self._products("target", None))]
        for step in range(1, max(2, min(MOST_STEPS, MOST_DIRECTIONS // n_targets))):
            towards = self._products(f"step {step}", steps[-1])
            steps.append(_orthonormal(towards, torch.cat(steps, 2)))
        space = torch.cat(steps, 2)
        seen, unseen = self._moments(space)
        solutions = _solutions(seen, n_targets)
        best = self.statistics.choose("penalty", _errors(unseen, solutions))
        return Scores(self.folds, torch.einsum("fcd,fdt->cft", space, solutions[:, best]))

    def _rows(self) -> Iterator[tuple[View, Tensor, Tensor]]:
        """Yield views, their targets, and by which regressions each row is seen, (row, fold)."""
        first = 0
        for views, _, present in self.blocks():
            view, there = views[self.m].double(), present[:, [self.m, -1]].all(1)
            folds = self.folds[first : first + len(there)].to(there.device)
            seen = folds[:, None] != torch.arange(N_FOLDS, device=there.device)
            yield view, views[-1].double() @ self.target, torch.where(there[:, None], seen, False)
            first += len(there)

    def _products(self, name: str, along: Tensor | None) -> Tensor:
        """Return ``x' x along``, or ``x' y``, of the rows that each regression sees.

        Shapes are (fold, column, direction).
        """

        def pairs() -> Iterator[tuple[Any, Tensor]]:
            for view, target, seen in self._rows():
                if along is None:
                    right = target[:, None].expand(-1, N_FOLDS, -1)
                else:
                    right = view @ along.movedim(0, 1).flatten(1)
                    right = right.unflatten(1, (N_FOLDS, -1))
                yield view.T, (right * seen[..., None]).flatten(1)

        product = self.statistics.products(name, pairs)
        return product.unflatten(1, (N_FOLDS, -1)).movedim(1, 0).contiguous()

    def _moments(self, space: Tensor) -> Tensor:
        """Return second moments of coordinates and targets, of the rows seen and of others.

        space      (fold, column, direction)
        moments    (seen or not, fold, direction and target, direction and target)
        """

        def pairs() -> Iterator[tuple[Tensor, Tensor]]:
            for view, target, seen in self._rows():
                along = (view @ space.movedim(0, 1).flatten(1)).unflatten(1, (N_FOLDS, -1))
                both = torch.cat([along, target[:, None].expand(-1, N_FOLDS, -1)], 2).movedim(0, 1)
                labelled = seen.any(1, keepdim=True)
                used = torch.stack([seen, labelled & ~seen]).movedim(1, 2)[..., None]
                yield (both * used).mT, both.expand(2, -1, -1, -1)

        return self.statistics.products("moments", pairs)


def _orthonormal(directions: Tensor, others: Tensor | None = None) -> Tensor:
    """Return orthonormal directions, (fold, column, n), at right angles to others."""
    if others is not None:
        for _ in range(2):  # once is not enough in floating point
            directions = directions - others @ (others.mT @ directions)
    return torch.linalg.qr(directions).Q


def _solutions(moments: Tensor, n_targets: int) -> Tensor:
    """Return the ridge regressions of each fold, (fold, penalty, direction, target)."""
    inputs, towards = moments[:, :-n_targets].tensor_split([-n_targets], 2)
    values, vectors = torch.linalg.eigh(inputs)
    values = values.clamp_min(0)
    penalties = PENALTIES.to(values.device) * values.amax(1, keepdim=True).clamp_min(1e-300)
    shrunk = 1 / (values[:, None] + penalties[..., None])
    return vectors[:, None] @ (shrunk[..., None] * (vectors.mT @ towards)[:, None])


def _errors(moments: Tensor, solutions: Tensor) -> Tensor:
    """Return the squared error of each penalty's regressions, (penalty,)."""
    n_targets = solutions.shape[-1]
    inputs, towards = moments[:, None, :-n_targets].tensor_split([-n_targets], 3)
    explained = 2 * solutions * towards - solutions * (inputs @ solutions)
    targets = moments[:, -n_targets:, -n_targets:].diagonal(dim1=1, dim2=2)
    return targets.sum() - explained.sum((0, 2, 3))
