"""The closed-form start of a variational autoencoder: factor analysis, by second moments.

``view = W z + noise`` with ``z ~ N(0, I)`` is the linear variational autoencoder. With one noise
variance for all columns it is probabilistic PCA [1]_, which has a closed form; with one for each
group of columns it is factor analysis, found by expectation maximisation with expanded parameters
[2]_, which takes second moments only: that of `statistics`, with noise of its own. Components of
single modalities make it inter-battery factor analysis [3]_.

References
----------
.. [1] Tipping & Bishop (1999), "Probabilistic principal component analysis", JRSS B 61(3).
.. [2] Liu, Rubin & Wu (1998), "Parameter expansion to accelerate EM: the PX-EM algorithm",
   Biometrika 85(4).
.. [3] Klami, Virtanen & Kaski (2013), "Bayesian canonical correlation analysis", JMLR 14.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ...statistics import PLAIN, Statistics
from ...statistics._factors import PatternMoments, maximise
from ._linear import fixed_signs, varimax
from ._moments import ViewMoments, Views, learn_view_moments

__all__ = ["FactorAnalysis", "fit_factor_analysis"]

MOST_STEPS = 2000
WORK = 2e10  # multiplications, at most, that the iteration may take
SETTLED = 1e-5  # relative change of the noise
PRIOR_ROWS = 1.0  # rows of pure noise beside the data, or a column could be explained wholly
LEAST_LEFT = 1e-3  # of a column's variance, at the beginning
SIGNAL = 1e-6  # of the largest: loadings below are none


@dataclass(frozen=True)
class FactorAnalysis:
    """What was found; see `fit_factor_analysis`.

    Attributes
    ----------
    loadings : list of Tensor, each of shape (columns, components)
    noise : list of Tensor, each of shape (columns,)
        Variances.
    views : ViewMoments
        What they were found from.
    """

    loadings: list[Tensor]
    noise: list[Tensor]
    views: ViewMoments


def fit_factor_analysis(
    blocks: Views,
    groups: list[Tensor],
    n_components: int,
    generator: torch.Generator,
    *,
    rotate: bool,
    private: Tensor | None,
    statistics: Statistics = PLAIN,
    known: ViewMoments | None = None,
) -> FactorAnalysis:
    """Fit loadings and noise variances.

    Parameters
    ----------
    blocks : callable
        See `fit_linear_start`.
    groups : list of Tensor, each of shape (columns,), int64
        Which columns of a modality have one noise variance.
    n_components : int
    generator : torch.Generator
        For the reduction of wide views, whose columns then share one variance.
    rotate : bool
        Turn the components by varimax; else the posterior given everything is uncorrelated.
    private : Tensor of shape (modality, components), bool, or None
        Components that only this modality's columns may depend on.
    statistics : Statistics, default=PLAIN
        What is asked for sums over the rows.
    known : ViewMoments, optional
        The moments of the rows, which then are not read.

    Returns
    -------
    FactorAnalysis
    """
    learned = known or learn_view_moments(blocks, n_components, generator, statistics)
    bases, sizes, moments, n_rows = (
        learned.bases,
        learned.sizes,
        learned.covariance,
        learned.n_rows,
    )
    views, *_ = next(iter(blocks()))
    widths = [view.shape[1] for view in views]
    groups = [
        group.cpu().numpy() if basis is None else np.zeros(size, int)
        for group, basis, size in zip(groups, bases, sizes, strict=True)
    ]
    covariance = moments.cpu().numpy()
    shared = _SharedNoise(covariance.diagonal(), n_rows, groups, sizes, widths)
    allowed = None if private is None else _allowed(private.cpu().numpy(), sizes)
    found, noise = maximise(
        PatternMoments.of_product(covariance * n_rows, n_rows),
        *_begin(covariance, shared, n_components, allowed),
        shared.noise,
        rounds=int(min(MOST_STEPS, max(50, WORK / (len(covariance) ** 2 * n_components)))),
        settled=SETTLED,
        allowed=allowed,
    )
    loadings, noise = torch.from_numpy(found).to(moments), torch.from_numpy(noise).to(moments)
    if private is None:
        loadings = _turned(loadings, noise, rotate)
    places = [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]))]
    return FactorAnalysis(
        [
            loadings[own] if basis is None else basis @ loadings[own]
            for basis, own in zip(bases, places, strict=True)
        ],
        [
            noise[own] if basis is None else noise[own][0].expand(width)
            for basis, own, width in zip(bases, places, widths, strict=True)
        ],
        learned,
    )


class _SharedNoise:
    """How noise variances of groups of columns follow from what is left of the columns' own.

    A wide view is reduced to its leading directions; what it has beyond them is noise.
    """

    def __init__(
        self,
        variance: np.ndarray,
        n_rows: int,
        groups: list[np.ndarray],
        sizes: list[int],
        widths: list[int],
    ):
        self.n_rows = n_rows
        offsets = np.cumsum([0, *(group.max() + 1 for group in groups)])
        self.group = np.concatenate([g + o for g, o in zip(groups, offsets, strict=False)])
        self.counts = np.bincount(self.group).astype(float)
        self.rest = np.zeros(len(self.counts))
        variance = np.maximum(variance, 0)
        for place, size, width in zip(np.cumsum([0, *sizes]), sizes, widths, strict=False):
            if width > size:  # reduced: one group, of all columns, whose variances sum to 1
                group = self.group[place]
                self.rest[group] = max(1 - variance[place : place + size].sum(), 0)
                self.counts[group] = width
        # A column that never varies would have no noise, and an infinite density.
        self.usual = np.maximum(self._by_group(variance), 1e-12)

    def _by_group(self, per_column: np.ndarray) -> np.ndarray:
        return (self.rest + np.bincount(self.group, per_column)) / self.counts

    def noise(self, left: np.ndarray) -> np.ndarray:
        """Return the noise variance of each column, given what is left of its variance."""
        n, by_group = self.n_rows, self._by_group(np.maximum(left, 0))
        return ((n * by_group + PRIOR_ROWS * self.usual) / (n + PRIOR_ROWS))[self.group]


def _begin(
    covariance: np.ndarray, shared: _SharedNoise, n_components: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return loadings and noise of probabilistic PCA, in units of each group's variance."""
    scale = np.sqrt(shared.usual[shared.group])
    values, vectors = np.linalg.eigh(covariance / (scale[:, None] * scale))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    p, k = len(values), min(n_components, len(values))
    left = max(values[k:].mean() if k < p else values[-1], LEAST_LEFT)
    loadings = np.zeros((p, n_components))
    axes = fixed_signs(torch.from_numpy(vectors[:, :k].copy())).numpy()
    loadings[:, :k] = axes * np.sqrt(np.maximum(values[:k] - left, 0)) * scale[:, None]
    if allowed is not None:
        # Where it may be is no question of order: each private part begins at its own residuals.
        loadings = np.where(allowed, loadings + 1e-3 * scale[:, None], 0)
    return loadings, left * scale**2


def _allowed(private: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Return which components each column may depend on, (columns, components) bool."""
    return np.repeat(private | ~private.any(0), sizes, 0)


def _turned(loadings: Tensor, noise: Tensor, rotate: bool) -> Tensor:
    """Return the same loadings along other axes, those that explain most first."""
    size = loadings.square().sum(0)
    if rotate:
        there = size > SIGNAL * size.max()
        turned = torch.zeros_like(loadings)
        if there.any():
            turned[:, there] = loadings[:, there] @ varimax(loadings[:, there])
    else:
        precision = loadings.T @ (loadings / noise[:, None])
        turned = loadings @ torch.linalg.eigh(precision).eigenvectors
    order = turned.square().sum(0).argsort(descending=True, stable=True)
    return fixed_signs(turned[:, order])
