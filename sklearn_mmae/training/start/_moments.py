"""Second moments of a fit's views side by side, block by block, whatever is missing.

References
----------
.. [1] Halko, Martinsson & Tropp (2011), "Finding structure with randomness", SIAM Review 53(2).
.. [2] Little & Rubin (2019), "Statistical analysis with missing data", 3rd ed., ch. 11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ...nn._sparse import View
from ...statistics import PLAIN, SecondMoments, Statistics
from ...statistics._factors import (
    MOST_FACTORS,
    PatternMoments,
    conditional_covariance,
    expected,
    fit_factors,
    most_rows,
)
from ...statistics._samples import SampledRows

__all__ = [
    "ViewMoments",
    "Views",
    "learn_view_moments",
    "reduced_bases",
    "reduced_sizes",
    "second_moments",
]

MOST_COLUMNS = 700  # a wider view is first reduced to its own leading components
MOST_TOGETHER = 1000  # columns of all views: if there are more, the widest are reduced, too
SMALLEST = 1e-6  # deviation of a column, as a share of the largest, that counts
SWEEPS = 4  # of the subspace iteration that reduces a wide view

Views = Callable[[], Iterable[tuple[list[View], list[Tensor | None], Tensor]]]
Rows = Iterator[tuple[View, Tensor]]  # blocks of rows, and which of their cells are observed
More = Callable[[View, int], Tensor]  # columns beside a reduced view, of rows from a number on


@dataclass(frozen=True)
class ViewMoments:
    """Second moments of the views of some rows side by side, wide ones reduced.

    Attributes
    ----------
    bases : list of Tensor of shape (columns, reduced), or None
        Of each view; None for one that is as it is.
    sizes : list of int
        Columns of each reduced view.
    covariance : Tensor of shape (reduced columns of all, same), float64
    n_rows : int
    """

    bases: list[Tensor | None]
    sizes: list[int]
    covariance: Tensor
    n_rows: int

    @property
    def slices(self) -> list[slice]:
        """Where each reduced view stands."""
        return [slice(a, b) for a, b in pairwise(np.cumsum([0, *self.sizes]).tolist())]

    def of_first(self, n: int) -> ViewMoments:
        """Return the moments of the first views alone."""
        size = sum(self.sizes[:n])
        covariance = self.covariance[:size, :size]
        return ViewMoments(self.bases[:n], self.sizes[:n], covariance, self.n_rows)

    def with_rows(self, blocks: Views, n_components: int, statistics: Statistics) -> ViewMoments:
        """Return those of these rows and of others, by the same bases."""
        more, n = second_moments(blocks, self.bases, n_components, statistics)
        total = self.n_rows + n
        covariance = self.covariance * (self.n_rows / total) + more * (n / total)
        return ViewMoments(self.bases, self.sizes, covariance, total)


def learn_view_moments(
    blocks: Views, n_components: int, generator: torch.Generator, statistics: Statistics
) -> ViewMoments:
    """Return the second moments of rows; parameters as of `fit_linear_start`."""
    bases, sizes = reduced_bases(blocks, n_components, generator, statistics)
    covariance, n_rows = second_moments(blocks, bases, n_components, statistics)
    return ViewMoments(bases, sizes, covariance, n_rows)


def reduced_sizes(widths: Sequence[int], n_components: int) -> list[int]:
    """Return how many columns views of these widths are reduced to, the widest ones first."""
    least = min(2 * n_components + 96, max(2 * n_components, MOST_TOGETHER // max(len(widths), 1)))
    for widest in sorted({w for w in widths if w <= MOST_COLUMNS}, reverse=True):
        sizes = [width if width <= widest else min(width, least) for width in widths]
        if sum(sizes) <= MOST_TOGETHER:
            return sizes
    return [min(width, least) for width in widths]


def reduced_bases(
    blocks: Views,
    n_components: int,
    generator: torch.Generator,
    statistics: Statistics,
    *,
    has_target: bool = False,
) -> tuple[list[Tensor | None], list[int]]:
    """Return a basis for each wide view, None for the others, and how many columns they leave.

    Parameters
    ----------
    blocks, n_components, generator, statistics, has_target
        As of `fit_linear_start`.
    """
    widths = [view.shape[1] for view in next(iter(blocks()))[0]]  # views are large: none is kept
    if statistics.is_private:  # all are as they are, in one sum
        return [None] * len(widths), widths
    n = len(widths) - has_target
    sizes = reduced_sizes(widths[:n], n_components) + reduced_sizes(widths[n:], n_components)
    bases = [
        leading_basis(blocks, m, (width, size), generator, statistics) if size < width else None
        for m, (width, size) in enumerate(zip(widths, sizes, strict=True))
    ]
    return bases, sizes


def leading_basis(
    blocks: Views,
    m: int,
    shape: tuple[int, int],
    generator: torch.Generator,
    statistics: Statistics,
) -> Tensor:
    """Return the leading axes of one wide view, by subspace iteration [1]_, float64.

    So are its sums: those of float32 would depend on how the rows are cut into blocks.
    """
    basis = torch.randn(shape, generator=generator).double()

    def rows() -> Rows:
        for views, _, present in blocks():
            numbers = views[m].double()
            del views  # only what is asked for is there at a time: rows may be very wide
            yield numbers, present[:, m : m + 1]
            del numbers

    basis = basis.to(next(rows())[0].device)
    for sweep in range(SWEEPS):
        answer = statistics.second_moments(f"axes of view {m}, sweep {sweep}", rows, along=basis)
        basis = torch.linalg.qr(answer.product).Q.contiguous()
    return basis


def second_moments(
    blocks: Views,
    bases: list[Tensor | None],
    n_components: int,
    statistics: Statistics = PLAIN,
    more: Sequence[More | None] | None = None,
) -> tuple[Tensor, int]:
    """Return the mean of ``x x'`` over the reduced views side by side, and the number of rows.

    Where cells are missing it is what a round of EM makes of it: products of what is expected of
    the cells given those observed, by a factor analysis, and the covariance of what was not
    observed [2]_. Means over the rows that have both cells of a pair are no alternative: over
    different rows they contradict one another, and regressions on them explode.

    Parameters
    ----------
    blocks : callable
        See `fit_linear_start`.
    bases : list of Tensor or None
        See `reduced_bases`.
    n_components : int
    statistics : Statistics
    more : list of callable or None, optional
        ``more(view, first)`` returns further columns of each view, which follow its reduced ones.

    Returns
    -------
    moments : Tensor of shape (columns, columns), float64
    n_rows : int
    """
    rows = partial(_side_by_side, blocks, bases, more or [None] * len(bases))
    n_columns = next(rows())[0].shape[1]
    n_factors = min(n_components, MOST_FACTORS, n_columns)
    answer = statistics.second_moments("views", rows, most_rows=most_rows(n_columns, n_factors))
    if answer.sample is None:
        return answer.product / answer.n_rows, answer.n_rows
    return _completed(rows, answer, n_factors, statistics), answer.n_rows


def _completed(
    rows: Callable[[], Rows], answer: SecondMoments, n_factors: int, statistics: Statistics
) -> Tensor:
    """Return the second moments of rows with missing values."""
    # The columns' own deviations; what rounding leaves of a direction is not to be blown up.
    scale = (answer.product.diagonal() / answer.counts.clamp_min(1)).sqrt()
    scale = scale.clamp_min(max(float(scale.max()) * SMALLEST, 1e-12))
    in_units = answer.sample.rows / scale.cpu().numpy()
    sample = PatternMoments.of_rows(SampledRows(in_units, answer.sample.weights))
    loadings, noise = fit_factors(sample, min(n_factors, answer.n_rows))

    def filled() -> Rows:
        for reduced, observed in rows():
            means = expected(_with_nan(reduced / scale, observed), loadings, noise)
            means = torch.from_numpy(means).to(scale.device) * scale
            yield torch.where(observed, reduced, means), torch.ones_like(observed)

    product = statistics.second_moments("completed views", filled).product
    unseen = torch.from_numpy(conditional_covariance(sample, loadings, noise)).to(scale.device)
    return product / answer.n_rows + unseen * scale * scale[:, None]


def _side_by_side(blocks: Views, bases: list[Tensor | None], more: Sequence[More | None]) -> Rows:
    """Yield the reduced views of each block, float64, and which numbers are observed."""
    first = 0
    for views, observed, present in blocks():
        reduced, there = [], []
        for view, basis, further, seen, row in zip(
            views, bases, more, observed, present.T, strict=True
        ):
            numbers = view.double()
            parts = [numbers.to_dense() if basis is None else numbers @ basis]
            # A wide view is reduced with its holes at their columns' means.
            seen = row[:, None] if seen is None or basis is not None else seen & row[:, None]
            there.append(seen.expand_as(parts[0]))
            if further is not None:
                parts.append(further(numbers, first))
                there.append(row[:, None].expand_as(parts[1]))
            reduced += parts
        first += len(present)
        del views, observed, view, numbers, parts
        yield torch.cat(reduced, 1), torch.cat(there, 1)


def _with_nan(numbers: Tensor, observed: Tensor) -> np.ndarray:
    return torch.where(observed, numbers, torch.nan).cpu().numpy()
