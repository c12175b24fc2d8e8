"""Second moments of a fit's views side by side, block by block, whatever is missing.

References
----------
.. [1] Halko, Martinsson & Tropp (2011), "Finding structure with randomness", SIAM Review 53(2).
.. [2] Little & Rubin (2019), "Statistical analysis with missing data", 3rd ed., ch. 11.
"""

from __future__ import annotations

import numpy as np
import torch

from ...statistics._factors import (
    MOST_FACTORS,
    conditional_covariance,
    expected,
    fit_factors,
    rows_for_factors,
)

__all__ = ["reduced_bases", "second_moments"]

MOST_COLUMNS = 700  # a wider view is first reduced to its own leading components
SWEEPS = 4  # of the subspace iteration that reduces a wide view


def reduced_bases(blocks, n_components, generator):
    """Return a basis for each wide view, None for the others, and how many columns they leave.

    Parameters
    ----------
    blocks, n_components, generator
        As of `fit_linear_start`.
    """
    views, *_ = next(iter(blocks()))
    bases = [
        leading_basis(blocks, m, view.shape[1], n_components, generator)
        if view.shape[1] > MOST_COLUMNS
        else None
        for m, view in enumerate(views)
    ]
    sizes = [
        view.shape[1] if basis is None else basis.shape[1]
        for view, basis in zip(views, bases, strict=True)
    ]
    return bases, sizes


def leading_basis(blocks, m, n_columns, n_components, generator):
    """Return the leading axes of one wide view, by subspace iteration [1]_."""
    size = min(n_columns, 2 * n_components + 96)
    basis = torch.randn(n_columns, size, generator=generator)
    for _ in range(SWEEPS):
        image = 0
        for views, *_ in blocks():
            view = views[m]
            image = image + view.T @ (view @ basis.to(view.device))
        basis = torch.linalg.qr(image.double()).Q.float()
    return basis


def second_moments(blocks, bases, n_components):
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

    Returns
    -------
    moments : Tensor of shape (columns, columns), float64
    n_rows : int
    """
    product, squares, counts, n_rows = 0, 0, 0, 0
    for reduced, observed in _side_by_side(blocks, bases):
        n_rows += len(reduced)
        product = product + reduced.T @ reduced
        squares, counts = squares + reduced.square().sum(0), counts + observed.sum(0)
    if (counts == n_rows).all():
        return product / n_rows, n_rows
    scale = (squares / counts.clamp_min(1)).sqrt().clamp_min(1e-12)
    return _completed(blocks, bases, scale, n_rows, n_components), n_rows


def _completed(blocks, bases, scale, n_rows, n_components):
    """Return the second moments of rows with holes; `scale` are the columns' own deviations."""
    n_factors = min(n_components, MOST_FACTORS, len(scale), n_rows)
    some = torch.from_numpy(rows_for_factors(n_rows, len(scale), n_factors))
    sample, first = [], 0
    for reduced, observed in _side_by_side(blocks, bases):
        inside = some[(some >= first) & (some < first + len(reduced))] - first
        inside = inside.to(scale.device)
        sample.append(_with_nan(reduced[inside] / scale, observed[inside]))
        first += len(reduced)
    sample = np.concatenate(sample)
    loadings, noise = fit_factors(sample, n_factors)
    product = 0
    for reduced, observed in _side_by_side(blocks, bases):
        means = expected(_with_nan(reduced / scale, observed), loadings, noise)
        means = torch.from_numpy(means).to(scale.device) * scale
        filled = torch.where(observed, reduced, means)
        product = product + filled.T @ filled
    unseen = torch.from_numpy(conditional_covariance(sample, loadings, noise)).to(scale.device)
    return product / n_rows + unseen * scale * scale[:, None]


def _side_by_side(blocks, bases):
    """Yield the reduced views of each block, float64, and which numbers are observed."""
    for views, observed, present in blocks():
        reduced, there = [], []
        for view, basis, seen, row in zip(views, bases, observed, present.T, strict=True):
            reduced.append((view if basis is None else view @ basis).double())
            # A wide view is reduced with its holes at their columns' means.
            seen = row[:, None] if seen is None or basis is not None else seen & row[:, None]
            there.append(seen.expand_as(reduced[-1]))
        yield torch.cat(reduced, 1), torch.cat(there, 1)


def _with_nan(numbers, observed):
    return torch.where(observed, numbers, torch.nan).cpu().numpy()
