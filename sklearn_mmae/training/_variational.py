"""`VariationalNetwork`: the joint network of a variational autoencoder."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..nn._blocks import layer
from ..objectives import ALL, RANDOM, Evidence, Posterior
from ..statistics import PLAIN
from ._network import MultimodalNetwork
from .start._factor_analysis import fit_factor_analysis

__all__ = ["VariationalNetwork"]

LEAST_NOISE = 0.01  # of a number's standard deviation
WIDEST, NARROWEST = 3.0, -5.0  # log scales of a posterior beside that of the linear start
JUDGED_BY = 4  # draws of each held-out row
NUMBERS_OF_A_TEXT = 16  # the linear start takes what has no noise scale for so many numbers


class VariationalNetwork(MultimodalNetwork):
    """A Gaussian posterior for a row of several modalities, from any part of them, and back.

    The linear part is a product of Gaussian experts: each modality's precision and proposal, from
    factor analysis, so that it is the exact posterior where data are linear and Gaussian. The
    fusion adds to its mean and to its log scale, side by side.

    Parameters
    ----------
    networks, fusion, n_components, patterns, modality_dropout, extra_terms
        See `MultimodalNetwork`; the fusion is built for twice as many components.
    objective : Objective
    penalty : Penalty
    each_column : bool
        Whether each number of a table has a noise scale of its own.
    """

    def __init__(
        self,
        networks,
        fusion,
        n_components,
        patterns,
        modality_dropout,
        extra_terms,
        *,
        objective,
        penalty,
        each_column,
    ):
        super().__init__(networks, fusion, n_components, patterns, modality_dropout, extra_terms)
        self.objective, self.penalty = objective, penalty
        self.log_scales = nn.ParameterList(
            nn.Parameter(torch.zeros(part.n_scales if each_column else min(part.n_scales, 1)))
            for part in networks
        )
        self.register_buffer(
            "private", _private(len(networks), n_components, objective.private), persistent=False
        )

    def _register_start(self, n_components):
        n, k = len(self.networks), n_components
        self.projections = nn.ModuleList(
            layer(nn.Linear, network.n_view, k, bias=False) for network in self.networks
        )
        self.register_buffer("precisions", torch.zeros(n, k, k))
        self.register_buffer("scale", torch.ones(k))
        n_patterns = len(self.patterns)
        self.register_buffer("table", torch.zeros(n_patterns, k, n * k))
        for name in ("roots", "inverses"):  # these follow from the precisions
            identity = torch.eye(k).repeat(n_patterns, 1, 1)
            self.register_buffer(name, identity, persistent=False)
        self.register_load_state_dict_post_hook(lambda network, _: network._set_roots())

    def noise_scales(self, m):
        """Return the log noise scale of each of a modality's numbers, or of all of them."""
        scales = self.log_scales[m].clamp_min(math.log(LEAST_NOISE))
        return scales.expand(self.networks[m].n_scales) if len(scales) else scales

    @torch.no_grad()
    def learn_start(self, blocks, generator, *, rotate, statistics=PLAIN):
        """Set the linear path to that of factor analysis; see `MultimodalNetwork.learn_start`."""
        found = fit_factor_analysis(
            blocks,
            [self._groups(m) for m in range(len(self.networks))],
            len(self.scale),
            generator,
            rotate=rotate,
            private=self.private,
            statistics=statistics,
        )
        for m, (network, loadings, noise) in enumerate(
            zip(self.networks, found.loadings, found.noise, strict=True)
        ):
            network.start(loadings.float())
            scales, unit = self.log_scales[m], network.view_unit
            noise = noise.clamp_min((LEAST_NOISE / unit) ** 2)
            for group in range(len(scales)):
                scales[group] = 0.5 * noise[self._groups(m) == group].mean().log() + math.log(unit)
            if not network.n_scales:
                noise = noise * max(1.0, network.n_view / NUMBERS_OF_A_TEXT)
            weighted = loadings / noise[:, None]
            self.projections[m].weight.copy_(weighted.T)
            self.precisions[m].copy_(loadings.T @ weighted)
        self.table.copy_(self.regressions(self.patterns))
        self._set_roots()
        return [loadings.float() for loadings in found.loadings]

    @torch.no_grad()
    def _set_roots(self):
        roots, inverses = self.roots_of(self.patterns)
        self.roots.copy_(roots)
        self.inverses.copy_(inverses)

    def _groups(self, m):
        """Return which columns of a view share a noise variance."""
        part = self.networks[m]
        groups, n_own = part.scale_of_view().to(self.scale.device), len(self.log_scales[m])
        return torch.where(groups >= part.n_scales, n_own, groups.clamp_max(max(n_own - 1, 0)))

    def _covariances(self, patterns):
        """Return the posterior covariance given each pattern of presence, float64."""
        k = len(self.scale)
        total = torch.einsum("pm,mij->pij", patterns.double(), self.precisions.double())
        identity = torch.eye(k, dtype=torch.float64, device=total.device)
        return torch.linalg.inv(total + identity)

    def regressions(self, patterns):
        """Return how each pattern of presence makes a mean of the projected views.

        Parameters
        ----------
        patterns : Tensor of shape (patterns, modalities), bool

        Returns
        -------
        Tensor of shape (patterns, components, modalities * components)
        """
        covariances = self._covariances(patterns)
        members = patterns[:, None, :, None] * covariances[:, :, None, :]
        return members.flatten(2).to(self.table.dtype)

    def roots_of(self, patterns):
        """Return roots of the posterior covariances given patterns of presence, and inverses."""
        covariances = self._covariances(patterns)
        roots = torch.linalg.cholesky((covariances + covariances.mT) / 2)
        return torch.stack([roots, torch.linalg.inv(roots)]).to(self.table.dtype)

    def posterior(self, views, pattern, patterns=None, table=None, roots=None):
        """Return the posterior for views, given which modalities may be seen.

        Parameters
        ----------
        views, pattern, patterns, table
            See `encode`.
        roots : tuple of Tensor, optional
            Of the other patterns, as `roots_of` returns them.

        Returns
        -------
        Posterior
        """
        both = self._fused(
            views, pattern, patterns, table, lambda start: torch.cat([start, 0 * start], -1)
        )
        mean, log_scale = both.tensor_split(2, -1)
        roots = (self.roots, self.inverses) if roots is None else roots
        return Posterior(mean, log_scale.clamp(NARROWEST, WIDEST), pattern, *roots)

    def encode(self, views, pattern, patterns=None, table=None):
        """Return the posterior's mean; see `MultimodalNetwork.encode`."""
        return self.posterior(views, pattern, patterns, table).mean

    def outputs(self, code, m):
        """Return the outputs of a modality, which hears nothing of others' private components."""
        if self.private is not None:
            others = self.private.any(0) & ~self.private[m]
            code = torch.where(others, 0, code)
        return super().outputs(code, m)

    def log_likelihood(self, code, batch, present):
        """Return the log density of each modality given codes, in nats.

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
                    zip(self.networks, batch.values, present, strict=True)
                )
            ]
        )

    def loss_names(self, names):
        """Return what each entry of the loss is called: the divergence after the modalities."""
        return super().loss_names([*names, "divergence"])

    def draw(self, pattern, generator):
        """Return through which subsets each row is seen, as the objective asks."""
        n = len(self.networks)
        shown = []
        for subset in self.objective.subsets(n):
            if subset == ALL:
                shown.append(pattern)
            elif subset == RANDOM:
                shown.append(super().draw(pattern, generator)[-1])
            else:
                shown.append(self.meet[pattern, self.singles[subset]])
        return torch.stack(shown)

    def row_losses(self, views, batch, shown, generator):
        """Return minus the objective per row: of each modality, the divergence; extra terms.

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
        losses = torch.cat([-likelihood, divergence[None]]) / self._usual_nats()
        return self._with_terms(losses, posterior.mean[len(shown) :], batch)

    def judged(self, batch, draw):
        """Return minus the evidence lower bound given all of a row, or minus the objective."""
        if not self.objective.judged_by_evidence:
            return super().judged(batch, draw)
        posterior = self.posterior(self.views(batch.values), batch.pattern)
        codes = torch.stack([posterior.sample(generator) for generator in [draw()] * JUDGED_BY])
        present = self.patterns[batch.pattern].T
        likelihood = self.log_likelihood(codes, batch, present).sum(0).mean(0)
        return posterior.divergence() - likelihood

    def _usual_nats(self):
        numbers = [
            float(part.view_unit) ** 2 if part.n_scales else NUMBERS_OF_A_TEXT
            for part in self.networks
        ]
        return 0.5 * (1 + math.log(2 * math.pi)) * sum(numbers)


def _private(n_modalities, n_components, share):
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
