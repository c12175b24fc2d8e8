"""How many components: as many as explain a share, or as stand out from unrelated columns.

The latter is parallel analysis [1]_, without its draws [2]_: a component counts if its variance is
above the largest that columns of the same variances, independent of one another, would have in so
many rows, which is the upper edge of a generalised Marchenko-Pastur distribution [3]_. So that a
view of few columns does not hide what many columns of another have in common, each is first
divided by its own edge.

References
----------
.. [1] Horn (1965), "A rationale and test for the number of factors in factor analysis",
   Psychometrika 30(2).
.. [2] Dobriban & Owen (2019), "Deterministic parallel analysis: an improved method for selecting
   factors and principal components", JRSS B 81(1).
.. [3] Silverstein & Choi (1995), "Analysis of the limiting spectral distribution of large
   dimensional random matrices", Journal of Multivariate Analysis 54(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor

from ..._core.errors import warn
from ...nn._modality import ModalityNetwork
from ...statistics import Statistics
from .._batches import BatchIterator, Rows
from ._begin import BLOCK, seen_views
from ._linear import Reduced, totals_of, units_of
from ._moments import Views, reduced_bases, second_moments

__all__ = ["MOST", "find_size"]

MOST = 256  # components that are ever chosen


def find_size(
    wanted: float | str,
    parts: Sequence[ModalityNetwork],
    rows: Rows,
    present: Tensor,
    weights: Sequence[float],
    statistics: Statistics,
) -> int:
    """Return a number of components, from 1 to `MOST`.

    Parameters
    ----------
    wanted : float in (0, 1) or "auto"
        The share of the variance of the balanced views to explain.
    parts : list of ModalityNetwork
        Give the views.
    rows : Rows
        Their patterns are rows of `present`.
    present : Tensor of shape (patterns, modalities), bool
    weights : sequence of float
        Of the views, see `fit_linear_start`.
    statistics : Statistics

    Notes
    -----
    Where cells are missing, or views are wide, second moments depend a little on the number of
    components: a start with the number found may then explain a little less or more.
    """

    def blocks():
        for batch in BatchIterator(rows, BLOCK):
            yield *seen_views(parts, batch.values), present[batch.pattern]

    # Of its own: whoever asks for the number that is found gets the same bits.
    generator = torch.Generator().manual_seed(0)
    bases, sizes = reduced_bases(blocks, MOST, generator, statistics)
    covariance, n_rows = second_moments(blocks, bases, MOST, statistics)
    views = [Reduced(basis, size, None) for basis, size in zip(bases, sizes, strict=True)]
    slices = [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]
    if wanted != "auto":
        return _explaining(wanted, covariance, slices, views, weights)
    spectra = [
        _unrelated(covariance[own, own], part)
        if view.basis is None
        else _variances(blocks, m, covariance.diagonal()[own].sum(), statistics)
        for m, (own, view, part) in enumerate(zip(slices, views, parts, strict=True))
    ]
    return _outstanding(covariance, slices, spectra, n_rows)


def _explaining(
    share: float,
    covariance: Tensor,
    slices: list[slice],
    views: list[Reduced],
    weights: Sequence[float],
) -> int:
    """Return the least number whose principal components explain a share, by bisection.

    Views are balanced by twice as many components as the embedding has, so that each number has
    eigenvalues of its own.
    """

    def explained(n: int) -> float:
        units = units_of(covariance, slices, views, weights, n)
        values = torch.linalg.eigvalsh(covariance / units / units[:, None])
        return float(values[-n:].sum() / sum(totals_of(covariance, slices, views, units)))

    too_few, enough = 0, min(MOST, len(covariance))
    reached = explained(enough)
    if reached < share and enough == MOST:
        warn(
            f"n_components={share:g}: {MOST} components, the most that are chosen, explain"
            f" {reached:.0%} of the variance. Give a smaller share, or a whole number."
        )
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if explained(middle) < share:
            too_few = middle
        else:
            enough = middle
    return enough


def _outstanding(
    covariance: Tensor, slices: list[slice], spectra: list[np.ndarray], n_rows: int
) -> int:
    """Return how many principal components stand out from unrelated columns, at least 1."""
    edges = [_edge(spectrum, n_rows) for spectrum in spectra]
    units = torch.ones_like(covariance.diagonal())
    for own, edge in zip(slices, edges, strict=True):
        units[own] = edge**0.5
    values = torch.linalg.eigvalsh(covariance / units / units[:, None])
    divided = [spectrum / edge for spectrum, edge in zip(spectra, edges, strict=True)]
    n_above = int((values > _edge(np.concatenate(divided), n_rows)).sum())
    return min(max(n_above, 1), MOST)


def _unrelated(covariance: Tensor, part: ModalityNetwork) -> np.ndarray:
    """Return the eigenvalues that a view would have if its columns were not related.

    The indicators of one categorical column are, whatever the others do.
    """
    widths = [1] * part.n_view
    if part.is_table:
        widths = [1] * part.n_numbers + part.sizes
    ends = np.cumsum([0, *widths]).tolist()
    values = [torch.linalg.eigvalsh(covariance[a:b, a:b]) for a, b in pairwise(ends)]
    return torch.cat(values).clamp_min(0).cpu().numpy()


def _variances(blocks: Views, m: int, known: Tensor, statistics: Statistics) -> np.ndarray:
    """Return the variances of the columns of a wide view, whose leading directions have `known`."""

    def squares():
        for views, _, _ in blocks():
            square = views[m].to_dense().double().square()
            yield torch.ones_like(square[:, :1]).T, square

    sums = statistics.products(f"variances of view {m}", squares)[0]
    return (sums / sums.sum().clamp_min(1e-12) * known.clamp_min(1)).cpu().numpy()


def _edge(spectrum: np.ndarray, n_rows: int) -> float:
    """Return the largest variance along any direction of unrelated columns [3]_."""
    largest = max(float(spectrum.max(initial=0)), 1e-12)
    shares = spectrum / largest

    def outside(place: float) -> float:
        at = expit(place)
        return 1 / at + (shares / (1 - at * shares)).sum() / n_rows

    # Between all of it and none of it; the function has one minimum.
    return largest * float(minimize_scalar(outside, bounds=(-30, 30), method="bounded").fun)
