"""The closed-form start of a variational autoencoder: factor analysis, by second moments.

``view = W z + noise`` with ``z ~ N(0, I)`` is the linear variational autoencoder. With one noise
variance for all columns it is probabilistic PCA [1]_, which has a closed form; with one for each
group of columns it is factor analysis, found by expectation maximisation with expanded parameters
[2]_, which takes second moments only. Components of single modalities make it inter-battery factor
analysis [3]_.

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

import torch

from ._linear import fixed_signs, varimax
from ._moments import reduced_bases, second_moments

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
    """

    loadings: list
    noise: list


def fit_factor_analysis(blocks, groups, n_components, generator, *, rotate, private):
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

    Returns
    -------
    FactorAnalysis
    """
    bases, sizes = reduced_bases(blocks, n_components, generator)
    covariance, n_rows = second_moments(blocks, bases, n_components)
    views, *_ = next(iter(blocks()))
    groups = [
        group if basis is None else group.new_zeros(size)
        for group, basis, size in zip(groups, bases, sizes, strict=True)
    ]
    problem = _Problem(covariance, n_rows, groups, sizes, [v.shape[1] for v in views])
    allowed = None if private is None else _allowed(private, sizes)
    loadings, noise = _iterate(problem, *_begin(problem, n_components, allowed), allowed)
    if private is None:
        loadings = _turned(loadings, noise, rotate)
    places = torch.tensor([0, *sizes]).cumsum(0).tolist()
    found = FactorAnalysis([], [])
    for basis, view, (a, b) in zip(bases, views, pairwise(places), strict=True):
        wide = loadings[a:b] if basis is None else basis.double() @ loadings[a:b]
        found.loadings.append(wide)
        found.noise.append(noise[a:b] if basis is None else noise[a].expand(view.shape[1]))
    return found


class _Problem:
    """Second moments, and how noise variances follow from what is left of them.

    A wide view is reduced to its leading directions; what it has beyond them is noise.
    """

    def __init__(self, covariance, n_rows, groups, sizes, widths):
        self.covariance, self.n_rows = covariance, n_rows
        offset, index, self.beyond = 0, [], []
        for group, size, width in zip(groups, sizes, widths, strict=True):
            index.append(group + offset)
            offset += int(group.max()) + 1
            self.beyond.append((size, width))
        self.index = torch.cat(index)
        self.variance = covariance.diagonal().clamp_min(0)
        self.counts = torch.zeros(offset, dtype=covariance.dtype, device=covariance.device)
        self.counts.index_add_(0, self.index, torch.ones_like(self.variance))
        self.rest = torch.zeros_like(self.counts)
        place = 0
        for size, width in self.beyond:
            if width > size:  # reduced: one group, of all columns, whose variances sum to 1
                group = self.index[place]
                self.rest[group] = (1 - self.variance[place : place + size].sum()).clamp_min(0)
                self.counts[group] = width
            place += size
        # A column that never varies would have no noise, and an infinite density.
        self.usual = self._by_group(self.variance).clamp_min(1e-12)

    def _by_group(self, per_column):
        total = self.rest.clone().index_add_(0, self.index, per_column)
        return total / self.counts

    def noise(self, left):
        """Return the noise variance of each column, given what is left of its variance."""
        n = self.n_rows
        by_group = self._by_group(left.clamp_min(0))
        return ((n * by_group + PRIOR_ROWS * self.usual) / (n + PRIOR_ROWS))[self.index]


def _begin(problem, n_components, allowed):
    """Return loadings and noise of probabilistic PCA, in units of each group's variance."""
    scale = problem.usual[problem.index].sqrt()
    values, vectors = torch.linalg.eigh(problem.covariance / (scale[:, None] * scale))
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    p = len(values)
    k = min(n_components, p)
    left = float(values[k:].sum() / (p - k)) if k < p else float(values[-1])
    left = max(left, LEAST_LEFT)
    loadings = torch.zeros(p, n_components, dtype=values.dtype, device=values.device)
    loadings[:, :k] = vectors[:, :k] * (values[:k] - left).clamp_min(0).sqrt() * scale[:, None]
    if allowed is not None:
        # Where it may be is no question of order: each private part begins at its own residuals.
        loadings = torch.where(allowed, loadings + 1e-3 * scale[:, None], 0)
    return loadings, left * scale.square()


def _iterate(problem, loadings, noise, allowed):
    """Maximise the likelihood."""
    p, k = loadings.shape
    steps = int(min(MOST_STEPS, max(50, WORK / (p * p * k))))
    for _ in range(steps):
        weighted = loadings / noise[:, None]
        inner = torch.eye(k, dtype=loadings.dtype, device=loadings.device) + loadings.T @ weighted
        posterior = torch.linalg.inv(inner)
        towards = problem.covariance @ (weighted @ posterior)  # E[x z']
        second = posterior + (weighted @ posterior).T @ towards  # E[z z']
        if allowed is None:
            found = torch.linalg.solve(second, towards.T).T
            left = problem.variance - (found * towards).sum(1)
            found = found @ _root(second)
        else:
            found = _allowed_regression(towards, second, allowed)
            left = problem.variance - 2 * (found * towards).sum(1)
            left = left + ((found @ second) * found).sum(1)
        new = problem.noise(left)
        change = float((new / noise - 1).abs().max())
        loadings, noise = found, new
        if change < SETTLED:
            break
    return loadings, noise


def _root(matrix):
    """Return the lower triangular root of a positive definite matrix."""
    return torch.linalg.cholesky((matrix + matrix.T) / 2)


def _allowed(private, sizes):
    """Return which components each column may depend on, (columns, components) bool."""
    shared = ~private.any(0)
    rows = [(own | shared).expand(size, -1) for own, size in zip(private, sizes, strict=True)]
    return torch.cat(rows)


def _allowed_regression(towards, second, allowed):
    """Return the regression of each column on the components that it may depend on."""
    found = torch.zeros_like(towards)
    for pattern in allowed.unique(dim=0):
        rows = (allowed == pattern).all(1)
        inside = second[pattern][:, pattern]
        found[rows.nonzero(), pattern.nonzero().T] = torch.linalg.solve(
            inside, towards[rows][:, pattern].T
        ).T
    return found


def _turned(loadings, noise, rotate):
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
