"""The closed-form start: joint PCA for the decoders, regressions for every set of modalities.

A batch view is (rows, columns) per modality. So that each has its part in the joint principal
components, a view is divided as in multiple factor analysis [1]_: not by its total variance, of
which a text has most in thousands of words that say nothing of one another, but by that of its own
leading components, twice as many as the embedding has. From a part of the modalities the components
are predicted by ridge regression, its strength chosen by generalised cross-validation [2]_. Only
second moments are needed, so the data are read block by block, and never held twice.

With a target the components are those of principal covariates regression [4]_: of the views and,
beside them, of what they predict of the target. So an embedding is still linear in the views alone.

References
----------
.. [1] Abdi, Williams & Valentin (2013), "Multiple factor analysis", WIREs Comp. Stat. 5(2).
.. [2] Golub, Heath & Wahba (1979), "Generalized cross-validation as a method for choosing a good
   ridge parameter", Technometrics 21(2).
.. [3] Kaiser (1958), "The varimax criterion for analytic rotation in factor analysis",
   Psychometrika 23(3).
.. [4] de Jong & Kiers (1992), "Principal covariates regression: part I, theory", Chemometrics and
   Intelligent Laboratory Systems 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ...statistics import PLAIN, Statistics
from ...statistics._factors import TIED
from ._moments import ViewMoments, Views, learn_view_moments, reduced_bases, second_moments
from ._scores import Scores, learn_scores

__all__ = [
    "LinearStart",
    "Reduced",
    "fit_linear_start",
    "fixed_signs",
    "penalty_of",
    "ridge",
    "totals_of",
    "units_of",
    "varimax",
]

LEADING = 2  # times the components of the code: those of a view by whose variance it is divided
SMALLEST_SPREAD = 1e-3  # of the largest: components without variance keep a unit of their own
NOTHING = 1e-9  # of the largest weight of a decoder: rounding errors
TURNS = 100  # of the varimax iteration, at most
CAUTION = 0.3  # standard errors of the criterion
LEAST_FREE = 0.1  # of the rows, beyond the degrees of freedom that a regression takes


@dataclass(frozen=True)
class LinearStart:
    """What the closed form found; see `fit_linear_start`.

    Attributes
    ----------
    decoders : list of Tensor, each of shape (columns, components)
        ``view ~ decoder @ code``; embeddings have unit variance. That of a target is the last one.
    projections : list of Tensor, each of shape (2 * components, columns)
        Per modality its share of the joint projection, then its own prediction of the embedding.
    moments, targets : Tensor, (2 * components * modalities,) squared and by (components,)
        Second moments of the projected views, and with the embedding, for `ridge`.
    spread : Tensor of shape (components,)
        Standard deviation of each component.
    explained : Tensor of shape (components,)
        Share of the variance of the divided views that each explains.
    n_rows : int
    views : ViewMoments
        Of the views alone, without a target.
    """

    decoders: list[Tensor]
    projections: list[Tensor]
    moments: Tensor
    targets: Tensor
    spread: Tensor
    explained: Tensor
    n_rows: int
    views: ViewMoments


def fit_linear_start(
    blocks: Views,
    n_components: int,
    generator: torch.Generator,
    *,
    rotate: bool,
    weights: Sequence[float] | None = None,
    has_target: bool = False,
    statistics: Statistics = PLAIN,
    known: ViewMoments | None = None,
) -> LinearStart:
    """Fit joint principal components and the regressions onto them.

    Parameters
    ----------
    blocks : callable
        Called without arguments, yields ``(views, observed, present)`` block by block: lists over
        the modalities of Tensor (rows, columns) and of bool Tensor (rows, columns) or None where
        all of a present row is observed; and a bool Tensor (rows, modalities).
    n_components : int
    generator : torch.Generator
        For the random start of the reduction of wide views.
    rotate : bool
        Turn the axes within their subspace by varimax [3]_: each embedding then speaks of few
        columns, which trees and people read better; nothing else changes.
    weights : sequence of float, optional
        How much of the variance that is to be explained each view has. Default: all as much.
    has_target : bool, default=False
        Whether the last view is a target, which embeddings are steered by and not made of.
    statistics : Statistics, default=PLAIN
        What is asked for sums over the rows.
    known : ViewMoments, optional
        The moments of the rows, which then are not read; of views without a target.

    Returns
    -------
    LinearStart

    Notes
    -----
    Missing values reach the start by `second_moments`: a column with many of them is not shrunk
    towards its mean.
    """
    if has_target:
        bases, sizes = reduced_bases(blocks, n_components, generator, statistics, has_target=True)
        scores = learn_scores(blocks, bases, generator, statistics)
        covariance, n_rows = second_moments(
            blocks, bases, n_components, statistics, [s and s.reduce for s in scores]
        )
    else:
        moments = known or learn_view_moments(blocks, n_components, generator, statistics)
        bases, sizes, scores = moments.bases, moments.sizes, [None] * len(moments.bases)
        covariance, n_rows = moments.covariance, moments.n_rows
    views = [Reduced(*parts) for parts in zip(bases, sizes, scores, strict=True)]
    places = torch.tensor([0, *(view.size for view in views)]).cumsum(0).tolist()
    slices = [slice(a, b) for a, b in pairwise(places)]
    targets = slices.pop() if has_target else slice(places[-1], places[-1])
    own_covariance = covariance[: targets.start, : targets.start]
    weights = weights or [1.0] * len(views)
    units = units_of(own_covariance, slices, views, weights, n_components)
    shown = torch.diag(1 / units)
    if has_target:
        variance, towards = covariance.diagonal()[targets], covariance[: targets.start, targets]
        predicted = _regression(own_covariance, towards, variance, n_rows, cautious=True)
        predicted = predicted * weights[-1] ** 0.5
        shown = torch.cat([shown, predicted], 1)
    axes, spread = _principal_axes(shown.T @ own_covariance @ shown, n_components, rotate)
    total = sum(totals_of(own_covariance, slices, views, units))
    projection = shown @ (axes / spread)
    decoders = list(
        (axes[: targets.start] * spread * units.nan_to_num(posinf=0)[:, None]).split(
            [view.size for view in views[: len(slices)]]
        )
    )
    weight = spread**2
    towards_code = own_covariance @ projection
    own = [
        projection[s]
        if len(slices) == 1
        else ridge(own_covariance[s, s], towards_code[s], weight, n_rows)
        for s in slices
    ]
    shares = [torch.cat([projection[s], o], 1) for s, o in zip(slices, own, strict=True)]
    projected = torch.block_diag(*shares)
    if has_target:
        codes = projection.T @ own_covariance @ projection
        decoders.append(_regression(codes, projection.T @ towards, variance, n_rows).T)
    return LinearStart(
        decoders=[_rounded(v.rows(d)) for v, d in zip(views, decoders, strict=True)],
        projections=[
            view.weights(share).T.float().contiguous()
            for view, share in zip(views, shares, strict=False)
        ],
        moments=projected.T @ own_covariance @ projected,
        targets=projected.T @ towards_code,
        spread=spread,
        explained=(axes[: targets.start] * spread).square().sum(0) / total,
        n_rows=n_rows,
        views=_moments_of_views(own_covariance, slices, views, n_rows),
    )


@dataclass(frozen=True)
class Reduced:
    """A view as its second moments know it: reduced to a basis, scores of a target beside it."""

    basis: Tensor | None
    n_reduced: int
    scores: Scores | None

    @property
    def n_scores(self) -> int:
        """How many scores there are."""
        return 0 if self.scores is None else self.scores.weights.shape[1]

    @property
    def size(self) -> int:
        """Columns."""
        return self.n_reduced + self.n_scores

    def rows(self, decoder: Tensor) -> Tensor:
        """Return a decoder of the view's own columns, which scores say nothing of."""
        decoder = decoder[: self.n_reduced]
        return decoder if self.basis is None else self.basis @ decoder

    def weights(self, projection: Tensor) -> Tensor:
        """Return a projection of the reduced columns as one of the view's own."""
        own, of_scores = projection.tensor_split([self.n_reduced])
        own = own if self.basis is None else self.basis @ own
        return own if self.scores is None else own + self.scores.weights @ of_scores


def _moments_of_views(
    covariance: Tensor, slices: list[slice], views: list[Reduced], n_rows: int
) -> ViewMoments:
    """Return the second moments without the scores that predict a target."""
    pairs = list(zip(slices, views, strict=False))
    own = torch.cat([torch.arange(s.start, s.start + view.n_reduced) for s, view in pairs])
    own = own.to(covariance.device)
    bases, sizes = [v.basis for _, v in pairs], [v.n_reduced for _, v in pairs]
    return ViewMoments(bases, sizes, covariance[own][:, own], n_rows)


def _regression(
    moments: Tensor, towards: Tensor, variance: Tensor, n_rows: int, *, cautious: bool = False
) -> Tensor:
    """Return the ridge regression of a target, (inputs, targets), whose columns vary so much."""
    unit = variance.clamp_min(1e-12).sqrt()
    return ridge(moments, towards / unit, variance, n_rows, cautious=cautious) * unit


def ridge(
    moments: Tensor, targets: Tensor, weight: Tensor, n_rows: int, *, cautious: bool = False
) -> Tensor:
    """Return ridge coefficients from second moments, the penalty by cross-validation.

    Parameters
    ----------
    moments : Tensor of shape (inputs, inputs), float64
        Mean of ``x x'``.
    targets : Tensor of shape (inputs, outputs)
        Mean of ``x y'``; outputs have unit variance.
    weight : Tensor of shape (outputs,)
        How much each output counts when the penalty is chosen.
    n_rows : int
        Rows behind the means.
    cautious : bool, default=False
        Take the largest penalty that is about as good as the best one, by a part of the standard
        error: coefficients of rare columns then stay small, where small ones do as well.

    Returns
    -------
    Tensor of shape (inputs, outputs)
    """
    values, vectors = torch.linalg.eigh(moments)
    values = values.clamp_min(0)
    along = vectors.T @ targets
    penalty = penalty_of(values, along, weight, n_rows, cautious=cautious)
    return vectors @ ((1 / (values + penalty))[:, None] * along)


def penalty_of(
    values: Tensor, along: Tensor, weight: Tensor, n_rows: int, *, cautious: bool = False
) -> float:
    """Return the penalty of `ridge` that generalised cross-validation chooses.

    Parameters
    ----------
    values : Tensor of shape (directions,)
        Eigenvalues of the moments, none below 0.
    along : Tensor of shape (directions, outputs)
        The targets along the eigenvectors.
    weight, n_rows, cautious
        As of `ridge`.
    """
    largest = max(float(values.max()), 1e-300)
    penalties = largest * torch.logspace(-8, 1, 28, dtype=torch.float64, device=values.device)
    shrunk = 1 / (values + penalties[:, None])  # (penalty, direction)
    power = (along.square() * weight).sum(1)
    explained = ((2 * shrunk - values * shrunk**2) * power).sum(1)
    left = (weight.sum() - explained).clamp_min(1e-12 * float(weight.sum()))
    freedom = 1 + (values * shrunk).sum(1)
    usable = 1 - freedom / max(n_rows, 1)
    # With as many directions as rows everything fits, and the criterion is 0 / 0: not to be
    # trusted near there.
    criterion = torch.where(usable > LEAST_FREE, left / usable**2, torch.inf)
    best = int(criterion.argmin()) if n_rows > 1 else -1
    if cautious and n_rows > 1:
        as_good = criterion <= criterion[best] * (1 + CAUTION * (2 / n_rows) ** 0.5)
        best = int(as_good.nonzero().max())
    return float(penalties[best])


def _rounded(decoder: Tensor) -> Tensor:
    """Return a decoder in single precision, 0 for columns of which there is only rounding error.

    They are constant, and training would not leave them so: Adam's first steps are as long for a
    gradient of 1e-16 as for any other.
    """
    size = decoder.abs().amax(1, keepdim=True)
    return torch.where(size > NOTHING * size.amax(), decoder, 0).float()


def units_of(
    covariance: Tensor,
    slices: list[slice],
    views: list[Reduced],
    weights: Sequence[float],
    n_components: int,
) -> Tensor:
    """Return what each column is divided by, (columns,): the same for all of a view."""
    units = torch.ones_like(covariance.diagonal())
    for own, view, weight in zip(slices, views, weights, strict=False):
        units[own.stop - view.n_scores : own.stop] = torch.inf  # they are there to predict by
        if len(slices) > 1:
            own = slice(own.start, own.start + view.n_reduced)
            leading = torch.linalg.eigvalsh(covariance[own, own])[-LEADING * n_components :]
            units[own] = (leading.clamp_min(0).sum().clamp_min(1e-12) / weight).sqrt()
    return units


def totals_of(
    covariance: Tensor, slices: list[slice], views: list[Reduced], units: Tensor
) -> list[Tensor]:
    """Return the variance of each view, divided by its units."""
    totals = []
    for own, view in zip(slices, views, strict=False):
        total = covariance.diagonal()[own][: view.n_reduced].sum()
        if view.basis is not None:
            total = total.clamp_min(1)  # that of a view, of which a basis has a part
        totals.append(total.clamp_min(1e-12) / units[own.start] ** 2)
    return totals


def _principal_axes(covariance: Tensor, n_components: int, rotate: bool) -> tuple[Tensor, Tensor]:
    """Return orthonormal axes, (columns, components), and the spread along each, largest first."""
    values, vectors = torch.linalg.eigh(covariance)
    k = min(n_components, len(covariance))
    spread = covariance.new_zeros(n_components)
    spread[:k] = values.flip(0)[:k].clamp_min(0).sqrt()
    spread.clamp_(min=max(float(spread.max()) * SMALLEST_SPREAD, 1e-12))
    axes = covariance.new_zeros(len(covariance), n_components)
    axes[:, :k] = vectors.flip(1)[:, :k]
    if rotate:
        rotation = varimax(axes[:, :k])
        # Still orthonormal axes of the same subspace; the components are no longer uncorrelated.
        rotated = (rotation.square() * spread[:k, None].square()).sum(0).sqrt()
        order = rotated.argsort(descending=True, stable=True)
        axes[:, :k], spread[:k] = (axes[:, :k] @ rotation)[:, order], rotated[order]
    axes[:, :k] = fixed_signs(axes[:, :k])
    return axes, spread


def varimax(loadings: Tensor) -> Tensor:
    """Return the rotation that makes the squared loadings of each axis vary most."""
    k = loadings.shape[1]
    rotation = torch.eye(k, dtype=loadings.dtype, device=loadings.device)
    criterion = 0.0
    for _ in range(TURNS):
        turned = loadings @ rotation
        centred = turned**3 - turned * turned.square().mean(0)
        left, sizes, right = torch.linalg.svd(loadings.T @ centred)
        rotation = left @ right
        if float(sizes.sum()) <= criterion * (1 + 1e-6):
            break
        criterion = float(sizes.sum())
    return rotation


def fixed_signs(vectors: Tensor) -> Tensor:
    """Make the largest entry of each axis positive, as scikit-learn's PCA does.

    Of entries that tie, as those of the two values of a bool, it is the first one.
    """
    size = vectors.abs()
    first = (size >= (1 - TIED) * size.amax(0)).int().argmax(0, keepdim=True)
    largest = vectors.gather(0, first)
    return vectors * torch.where(largest < 0, -1.0, 1.0)
