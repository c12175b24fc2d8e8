"""Objectives whose joint posterior is a mixture: MMVAE, MMVAE+, MoPoE, MMVM."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from ._base import ALL, RANDOM, Evidence, Objective, each_alone, mean_over
from ._posterior import Posterior

__all__ = ["MMVAE", "MMVM", "MMVAEPlus", "MoPoE"]

BOUNDS = ("elbo", "iwae", "dreg")


class _OfSingles(Objective):
    """An objective of the posteriors given each modality alone.

    Those given more of a row are the Gaussians nearest to the mixture of the ones given each of
    its modalities, in the sense of ``KL(mixture || Gaussian)``: they learn from the draws, and
    leave the value of the objective as it is.
    """

    judged_by_evidence = False

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each modality alone; for more than one, the row and a random part follow."""
        alone = each_alone(n_modalities)
        return alone if n_modalities == 1 else [*alone, ALL, RANDOM]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides, of the modalities alone."""
        n = len(evidence.present)
        alone = replace(evidence, posterior=evidence.posterior[:n], seen=evidence.seen[:, :n])
        codes, likelihood, divergence = self._terms(alone)
        if n == 1:
            return likelihood, divergence
        codes = codes.detach()[:, None]  # (expert, 1, rows, components)
        nearest = -evidence.posterior[n:].log_density(codes)
        member = evidence.seen[:, n:]
        distance = (torch.where(member, nearest, 0).sum(0) / member.sum(0).clamp_min(1)).sum(0)
        return likelihood, divergence + (distance - distance.detach())

    @abstractmethod
    def _terms(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor]:
        """Return draws (expert, rows, components), and the two sides."""


class MMVAE(_OfSingles):
    r"""A mixture of what each modality alone says [1]_, every modality decoded from each.

    .. math:: \frac{1}{M} \sum_m E_{z_{1:K} \sim q(z|x_m)} \log \frac{1}{K} \sum_k
              \frac{p(z_k) \prod_n p(x_n|z_k)}{\frac{1}{M} \sum_n q(z_k|x_n)}

    Parameters
    ----------
    bound : {"elbo", "iwae", "dreg"}, default="elbo"
        "elbo" has K = 1; "iwae" is tighter with more samples [2]_; "dreg" has the same value, and
        gradients whose noise does not grow with K [3]_.
    n_draws : int, default=10
        K, for "iwae" and "dreg".

    References
    ----------
    .. [1] Shi, Siddharth, Paige & Torr (2019), "Variational mixture-of-experts autoencoders for
       multi-modal deep generative models", NeurIPS.
    .. [2] Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    .. [3] Tucker, Lawson, Gu & Maddison (2019), "Doubly reparameterized gradient estimators for
       Monte Carlo objectives", ICLR.
    """

    def __init__(self, bound: str = "elbo", n_draws: int = 10):
        if bound not in BOUNDS:
            raise ValueError(f"bound={bound!r}: give 'elbo', 'iwae' or 'dreg'.")
        if not isinstance(n_draws, int) or isinstance(n_draws, bool) or n_draws < 1:
            raise ValueError(f"n_draws={n_draws!r}: give a whole number of at least 1.")
        self.bound, self.n_draws = bound, n_draws

    def _terms(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor]:
        """Return draws and sides; the likelihood is that of the draws by their weight."""
        n_draws = 1 if self.bound == "elbo" else self.n_draws
        codes = torch.stack([evidence.sample() for _ in range(n_draws)])  # (draw, expert, rows, k)
        likelihood = evidence.log_likelihood(codes)  # (modality, draw, expert, rows)
        prior = log_prior(codes)
        mixture = log_mixture(evidence, codes, frozen=self.bound == "dreg")
        weight = likelihood.sum(0) + evidence.penalty.beta * (prior - mixture)
        sides = two_sides(evidence, likelihood, weight, codes, doubly=self.bound == "dreg")
        return codes[0], *sides


class MMVAEPlus(_OfSingles):
    r"""Shared components for all modalities, private ones for each [1]_.

    .. math:: \frac{1}{M} \sum_m E_{q(u|x_m) q(w_m|x_m)} \log p(x_m|u,w_m) + \sum_{n \ne m}
              E_{p(w_n)} \log p(x_n|u,w_n) - \beta \log \frac{\frac{1}{M} \sum_n q(u|x_n)
              \cdot q(w_m|x_m)}{p(u) p(w_m)}

    What a modality says of its own cannot leak into the others: they are decoded from the shared
    part, and private parts sampled from the prior. (The paper lets the prior of such samples be
    learned.)

    Parameters
    ----------
    private : float in (0, 1), default=0.5
        Share of the components that are private, the same number for each modality.

    References
    ----------
    .. [1] Palumbo, Daunhawer & Vogt (2023), "MMVAE+: Enhancing the generative quality of
       multimodal VAEs without compromises", ICLR.
    """

    def __init__(self, private: float = 0.5):
        if not 0 < private < 1:
            raise ValueError(f"private={private!r}: give a share between 0 and 1, such as 0.5.")
        self.private = private

    def _terms(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor]:
        """Return draws and sides."""
        own = evidence.sample()  # (expert, rows, components)
        private = evidence.private.any(0)
        # Draws of the prior for all private parts, but that of the modality which is looked at.
        strange = torch.empty_like(own).normal_(generator=evidence.generator)
        mine = evidence.private[:, None] | ~private
        codes = torch.where(mine, own, strange)
        likelihood = evidence.log_likelihood(codes)
        # The divergence of shared and private parts, each by its own distribution.
        shared = log_mixture(evidence, codes, only=~private)
        alone = marginal_log_density(evidence.posterior, codes, evidence.private[:, None])
        prior = log_prior(torch.where(mine, codes, 0), mine)
        divergence = evidence.penalty.beta * (shared + alone - prior)
        likelihood = torch.stack([mean_over(one, evidence.present) for one in likelihood])
        # What is private to a modality is for that modality to say, whoever says what is shared.
        said = torch.where(evidence.private[:, None], own, 0).sum(0)
        whole = torch.where(private, said, own)
        return whole, likelihood, mean_over(divergence, evidence.present)


class MoPoE(Objective):
    r"""A mixture of the posteriors given subsets of the modalities [1]_, all decoded from each.

    .. math:: w L(x) + (1 - w) E_s L(x_s), \quad L(x_s) = E_{q(z|x_s)} \sum_m \log p(x_m|z)
              - \beta KL(q(z|x_s) || p(z))

    The parts s of a row are sampled, each with equal probability at ``modality_dropout=0.5``. The
    paper takes all of them in each step, and the row as one of them; but the density of rows,
    and how they come back, depend on the row as a whole.

    Parameters
    ----------
    joint : float in (0, 1), default=0.5
        w, the weight of the row as a whole.

    References
    ----------
    .. [1] Sutter, Daunhawer & Vogt (2021), "Generalized multimodal ELBO", ICLR.
    """

    def __init__(self, joint: float = 0.5):
        if not 0 < joint < 1:
            raise ValueError(f"joint={joint!r}: give a weight between 0 and 1, such as 0.5.")
        self.joint = joint

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each row whole, and a random part of it."""
        return [ALL] if n_modalities == 1 else [ALL, RANDOM]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides, means over the subsets by their weights."""
        likelihood = evidence.log_likelihood(evidence.sample())
        divergence = evidence.penalty.of(evidence.posterior)
        if len(divergence) == 1:
            return likelihood[:, 0], divergence[0]
        part = 1 - self.joint
        return (
            torch.lerp(likelihood[:, 0], likelihood[:, 1], part),
            torch.lerp(divergence[0], divergence[1], part),
        )


class MMVM(_OfSingles):
    r"""Each modality for itself, with the mixture of all posteriors as the prior [1]_.

    .. math:: \sum_m E_{q(z|x_m)} \log p(x_m|z) - \beta KL\left(q(z|x_m) ||
              \frac{1}{M} \sum_n q(z|x_n)\right)

    The prior depends on the row, so that nothing holds the embeddings of all rows at N(0, I):
    `score_samples` and `sample`, which take that for the prior, say less of such a model.

    References
    ----------
    .. [1] Sutter, Meng, Agostini, Chopard, Fortin, Vogt et al. (2024), "Unity by diversity:
       improved representation learning in multimodal VAEs", NeurIPS.
    """

    def _terms(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor]:
        """Return draws and sides."""
        codes = evidence.sample()
        likelihood = evidence.log_likelihood(codes).diagonal(dim1=0, dim2=1).T
        apart = evidence.posterior.log_density(codes) - log_mixture(evidence, codes)
        divergence = evidence.penalty.beta * torch.where(evidence.present, apart, 0).sum(0)
        return codes, likelihood, divergence


def log_prior(code: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the log density of N(0, I), of all components or of those that count."""
    squares = code.square() + math.log(2 * math.pi)
    return -0.5 * (squares if counted is None else torch.where(counted, squares, 0)).sum(-1)


def log_mixture(
    evidence: Evidence, codes: Tensor, *, frozen: bool = False, only: Tensor | None = None
) -> Tensor:
    """Return the log density of embeddings (..., rows, k) under the mixture of present experts."""
    posterior = evidence.posterior
    densities = []
    for m in range(len(evidence.present)):
        expert = posterior[m]
        if only is not None:
            density = marginal_log_density(expert, codes, only)
        elif frozen:
            density = expert.frozen_log_density(codes)
        else:
            density = expert.log_density(codes)
        densities.append(torch.where(evidence.present[m], density, -torch.inf))
    count = evidence.present.sum(0).clamp_min(1)
    found = torch.stack(densities).logsumexp(0) - count.log()
    return torch.where(evidence.present.any(0), found, 0)


def marginal_log_density(posterior: Posterior, codes: Tensor, counted: Tensor) -> Tensor:
    """Return the log density of components taken one by one, of those that count."""
    variance = posterior.variance()
    squares = (codes - posterior.mean).square() / variance + variance.log() + math.log(2 * math.pi)
    return -0.5 * torch.where(counted, squares, 0).sum(-1)


def two_sides(
    evidence: Evidence, likelihood: Tensor, weight: Tensor, codes: Tensor, *, doubly: bool
) -> tuple[Tensor, Tensor]:
    """Return likelihood and divergence of an importance-weighted bound, a mean over experts."""
    n_draws = len(weight)
    share = weight.detach().softmax(0)  # over the draws
    if doubly:
        # The gradient of the codes takes the weights twice, the decoders' once.
        if codes.requires_grad:
            codes.register_hook(lambda gradient: gradient * share[..., None])
        bound = (share * weight).sum(0)
        value = weight.detach().logsumexp(0) - math.log(n_draws)
        bound = bound + (value - bound).detach()
    else:
        bound = weight.logsumexp(0) - math.log(n_draws)
    likelihood = (share * likelihood).sum(1)
    likelihood = torch.stack([mean_over(one, evidence.present) for one in likelihood])
    bound = mean_over(bound, evidence.present)
    return likelihood, likelihood.sum(0) - bound
