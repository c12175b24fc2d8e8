"""`VariationalNetwork`: the joint network of a variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fusion import Fusion
from ..nn._modality import ModalityNetwork
from ..objectives import ALL, RANDOM, Evidence, Objective, Penalty, Posterior
from ..statistics import Statistics
from ._batches import Batch
from ._joint import JointNetwork, NewGenerator, Paths, RowBlocks, Views
from .start._factor_analysis import fit_factor_analysis
from .start._moments import ViewMoments

__all__ = ["VariationalNetwork"]

LEAST_NOISE = 0.01  # of a number's standard deviation
WIDEST, NARROWEST = 3.0, -5.0  # log scales of a posterior beside that of the linear start
JUDGED_BY = 4  # draws of each held-out row


class VariationalNetwork(JointNetwork):
    """A Gaussian posterior for a row of several modalities, from any part of them, and back.

    The linear part is a product of Gaussian experts: each modality's precision and proposal, from
    factor analysis, so that it is the exact posterior where data are linear and Gaussian. The
    fusion adds to its mean and to its log scale, side by side.

    Parameters
    ----------
    networks, fusion
        See `JointNetwork`; the fusion is built for twice as many components.
    n_components : int
    patterns, modality_dropout, extra_terms
        See `JointNetwork`.
    objective : Objective
    penalty : Penalty
    each_column : bool
        Whether each number of a table has a noise scale of its own.
    target : ModalityNetwork, optional
    weights : sequence of float, optional
        See `JointNetwork`.
    """

    own_losses = ("divergence",)
    has_prior = True
    guards_parts = False  # its objective holds its codes, and its decoders have their noise

    def __init__(
        self,
        networks: Sequence[ModalityNetwork],
        fusion: Fusion,
        n_components: int,
        patterns: Tensor,
        modality_dropout: float,
        extra_terms: dict[str, float],
        *,
        objective: Objective,
        penalty: Penalty,
        each_column: bool,
        target: ModalityNetwork | None = None,
        weights: Sequence[float] | None = None,
    ):
        n, k = len(networks), n_components
        super().__init__(
            networks,
            fusion,
            patterns,
            modality_dropout,
            extra_terms,
            n_components=k,
            n_projected=k,
            target=target,
            weights=weights,
            private=_private(n, k, objective.private),
        )
        self.objective, self.penalty = objective, penalty
        self.log_scales = nn.ParameterList(
            nn.Parameter(torch.zeros(part.n_scales if each_column else min(part.n_scales, 1)))
            for part in networks
        )
        self.register_buffer("precisions", torch.zeros(n, k, k))
        self.register_buffer("scale", torch.ones(k))
        self.register_buffer("table", torch.zeros(len(patterns), k, n * k), persistent=False)
        for name in ("roots", "inverses"):  # as the table, these follow from the precisions
            identity = torch.eye(k).repeat(len(patterns), 1, 1)
            self.register_buffer(name, identity, persistent=False)
        self.register_load_state_dict_post_hook(lambda network, _: network._set_roots())

    def noise_scales(self, m: int) -> Tensor:
        """Return the log noise scale of each of a modality's numbers, or of all of them."""
        scales = self.log_scales[m].clamp_min(math.log(LEAST_NOISE))
        return scales.expand(self.networks[m].n_scales) if len(scales) else scales

    @torch.no_grad()
    def learn_start(
        self,
        blocks: RowBlocks,
        generator: torch.Generator,
        *,
        rotate: bool,
        statistics: Statistics,
        known: ViewMoments | None = None,
    ) -> tuple[list[Tensor], ViewMoments]:
        """Set the linear path to that of factor analysis."""
        groups = [self._groups(m) for m in range(len(self.networks))]
        private = self.private
        if self.target is not None:
            groups.append(groups[0].new_zeros(self.target.n_view))
            private = None if private is None else F.pad(private, (0, 0, 0, 1))
        learned = fit_factor_analysis(
            blocks,
            groups,
            len(self.scale),
            generator,
            rotate=rotate,
            private=private,
            statistics=statistics,
            known=known,
        )
        decoders = [loadings.float() for loadings in learned.loadings]
        for decoder, weight in zip(self.decoders, decoders, strict=True):
            decoder.start(weight)
        for m, (network, loadings, noise) in enumerate(
            zip(self.networks, learned.loadings, learned.noise, strict=False)
        ):
            scales, unit = self.log_scales[m], network.view_unit
            noise = noise.clamp_min((LEAST_NOISE / unit) ** 2)
            for group in range(len(scales)):
                scales[group] = 0.5 * noise[groups[m] == group].mean().log() + math.log(unit)
            weighted = loadings / (noise * network.repeats)[:, None]
            self.projections[m].weight.copy_(weighted.T)
            self.precisions[m].copy_(loadings.T @ weighted)
        # Of views of variance 1.
        own = learned.loadings[: len(self.networks)]
        self.explained.copy_(sum(loadings.square().sum(0) for loadings in own) / len(own))
        self._set_roots()
        return decoders, learned.views.of_first(len(self.networks))

    @torch.no_grad()
    def _set_roots(self) -> None:
        self.table.copy_(self.regressions(self.patterns))
        roots, inverses = self.roots_of(self.patterns)
        self.roots.copy_(roots)
        self.inverses.copy_(inverses)

    def _groups(self, m: int) -> Tensor:
        """Return which columns of a view share a noise variance."""
        part = self.networks[m]
        groups, n_own = part.scale_of_view().to(self.scale.device), len(self.log_scales[m])
        return torch.where(groups >= part.n_scales, n_own, groups.clamp_max(max(n_own - 1, 0)))

    def _covariances(self, patterns: Tensor) -> Tensor:
        """Return the posterior covariance given each pattern of presence, float64."""
        k = len(self.scale)
        total = torch.einsum("pm,mij->pij", patterns.double(), self.precisions.double())
        identity = torch.eye(k, dtype=torch.float64, device=total.device)
        return torch.linalg.inv(total + identity)

    def regressions(self, patterns: Tensor) -> Tensor:
        """Return how each pattern of presence makes a mean of the projected views."""
        covariances = self._covariances(patterns)
        members = torch.where(patterns[:, None, :, None], covariances[:, :, None, :], 0)
        # Nothing without a linear start.
        return members.flatten(2).to(self.table.dtype) * self.precisions.any()

    def roots_of(self, patterns: Tensor) -> Tensor:
        """Return roots of the posterior covariances given patterns of presence, and inverses."""
        covariances = self._covariances(patterns)
        roots = torch.linalg.cholesky((covariances + covariances.mT) / 2)
        return torch.stack([roots, torch.linalg.inv(roots)]).to(self.table.dtype)

    def paths_of(self, patterns: Tensor) -> Paths:
        """Return patterns, their regressions, and the roots of their covariances."""
        return patterns, self.regressions(patterns), *self.roots_of(patterns)

    @property
    def own_paths(self) -> Paths:
        """The network's own patterns, their regressions and roots."""
        return self.patterns, self.table, self.roots, self.inverses

    def posterior(self, views: Views, pattern: Tensor, paths: Paths | None = None) -> Posterior:
        """Return the posterior for views, given which modalities may be seen; see `encode`."""
        patterns, table, roots, inverses = paths or self.own_paths
        start = self._linear(views, pattern, table)
        # The log scales start at 0, which is the posterior of the linear model.
        start = torch.cat([start, torch.zeros_like(start)], -1)
        mean, log_scale = self._fused(views, start, patterns[pattern]).tensor_split(2, -1)
        return Posterior(mean, log_scale.clamp(NARROWEST, WIDEST), pattern, roots, inverses)

    def encode(self, views: Views, pattern: Tensor, paths: Paths | None = None) -> Tensor:
        """Return the posterior's mean."""
        return self.posterior(views, pattern, paths).mean

    def log_likelihood(self, code: Tensor, batch: Batch, present: Tensor) -> Tensor:
        """Return the log density of each modality given embeddings, in nats.

        Parameters
        ----------
        code : Tensor of shape (..., rows, components)
        batch : Batch
        present : Tensor of shape (modality, rows), bool

        Returns
        -------
        Tensor of shape (modality, ..., rows)
            0 where the modality is absent.
        """
        return torch.stack(
            [
                torch.where(
                    there,
                    part.log_likelihood(self.outputs(code, m), values, self.noise_scales(m)),
                    0,
                )
                for m, (part, values, there) in enumerate(
                    zip(self.networks, batch.values, present, strict=False)
                )
            ]
        )

    def draw(self, pattern: Tensor, generator: torch.Generator) -> Tensor:
        """Return through which subsets each row is seen, as the objective asks."""
        shown = []
        for subset in self.objective.subsets(len(self.networks)):
            if subset == ALL:
                shown.append(pattern)
            elif subset == RANDOM:
                shown.append(self._random_part(pattern, generator))
            else:
                # A tensor without an axis would be read on the host, to index by a number.
                shown.append(self.meet[pattern, self.singles[subset, None]])
        return torch.stack(shown)

    def row_losses(
        self, views: Views, batch: Batch, shown: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return minus the objective per row: of modalities, target, divergence, extra terms.

        In units of what a row of standard normal numbers has, so that losses of short and of long
        rows are about as large.
        """
        present = self.patterns[batch.pattern].T
        posterior = self.posterior(views, self._with_singles(shown, batch.pattern))
        evidence = Evidence(
            posterior=posterior[: len(shown)],
            seen=self.patterns[shown].movedim(-1, 0),
            present=present,
            log_likelihood=lambda code: self.log_likelihood(code, batch, present),
            penalty=self.penalty,
            generator=generator,
            private=self.private,
        )
        likelihood, divergence = self.objective.terms(evidence)
        losses = torch.cat([-self._as_they_count(likelihood), divergence[None]])
        losses = losses / self._usual_nats()
        if self.target is not None:
            of_target = self._target_loss(posterior.mean[: len(shown)], batch).mean(0, keepdim=True)
            losses = torch.cat([losses[:-1], of_target, losses[-1:]])
        return self._with_terms(losses, posterior.mean[len(shown) :], batch)

    def judged(self, batch: Batch, draw: NewGenerator) -> Tensor:
        """Return minus the evidence lower bound given all of a row, or minus the objective."""
        if not self.objective.judged_by_evidence:
            return self._judged_by_losses(batch, draw)
        posterior = self.posterior(self.views(batch.values), batch.pattern)
        codes = torch.stack([posterior.sample(generator) for generator in [draw()] * JUDGED_BY])
        present = self.patterns[batch.pattern].T
        likelihood = self._as_they_count(self.log_likelihood(codes, batch, present)).sum(0).mean(0)
        judged = posterior.divergence() - likelihood
        if self.target is not None:
            judged = judged + self._usual_nats() * self._target_loss(posterior.mean, batch)
        return judged

    def _target_loss(self, code: Tensor, batch: Batch) -> Tensor:
        """Return the loss of the target, (..., rows), as large as one of a modality."""
        n = len(self.networks)
        deviance = self.target.deviance(self.outputs(code, n), batch.values[-1])
        return self.weights[-1] * deviance / (self.share[-1] * n)

    def _as_they_count(self, likelihood: Tensor) -> Tensor:
        """Return log likelihoods, (modality, ..., rows), each times the modality's weight."""
        weights = self.weights[: len(self.networks)]
        return (likelihood.movedim(0, -1) * weights).movedim(-1, 0)

    def _usual_nats(self) -> float:
        return 0.5 * (1 + math.log(2 * math.pi)) * sum(part.worth for part in self.networks)


def _private(n_modalities: int, n_components: int, share: float) -> Tensor | None:
    """Return which components are private to which modality, or None."""
    if not share:
        return None
    private = torch.zeros(n_modalities, n_components, dtype=torch.bool)
    if n_modalities == 1:
        return private  # nothing to be hidden from anything
    each = int(share * n_components / n_modalities)
    if not each:
        raise ValueError(
            f"n_components={n_components} leaves no private component for each of {n_modalities}"
            f" modalities. Give at least {math.ceil(n_modalities / share)}."
        )
    first = n_components - each * n_modalities
    for m in range(n_modalities):
        private[m, first + m * each : first + (m + 1) * each] = True
    return private
